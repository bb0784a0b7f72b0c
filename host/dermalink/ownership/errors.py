"""What can go wrong with the keys of a person's pens; none of it ever names a key."""

from dermalink.errors import HostError


class KeyStoreError(HostError):
    """Root: the keys of a pen can't be kept, read or removed; what was there is there still."""


class KeyringLocked(KeyStoreError):
    """The system's keyring is locked, or the person did not let it be unlocked."""


class KeyringFailed(KeyStoreError):
    """The system's keyring can't be asked, or says no."""


class KeysForbidden(KeyStoreError):
    """The system does not let this user read or write the place where the keys lie."""


class KeysExposed(KeyStoreError):
    """Others can read the place where the keys lie, so that nothing in it counts as secret any more."""


class KeysBroken(KeyStoreError):
    """What lies there is cut, altered, or written by a newer Dermalink."""


class KeysMissing(KeyStoreError):
    """This computer knows the pen, and the system's keyring has its keys no more."""
