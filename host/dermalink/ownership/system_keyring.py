"""The system's keyring: macOS' Keychain, Windows' Credential Manager, the Secret Service of a Linux desktop, KWallet.

Only backends that are known to encrypt what they keep are used, and each is asked by itself, never the chain of all
that are installed: what looks into one after the other would take a password from a plain file as well. Without one of
these there is no keyring here, whatever else is installed (`keyrings.alt`, a null keyring).

Importing `keyring` and looking for backends takes 0.2 s, so it is done only when keys are to be had. Calls wait for a
person who is asked to unlock the keyring.
"""

from typing import TYPE_CHECKING, Final

from dermalink.ownership.errors import KeyringFailed, KeyringLocked, KeyStoreError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE: Final = "dermalink"
UNLOCK: Final = "Unlock it, or let it be unlocked when the system asks, and try again"

# Each backend's module, and what a person calls it.
KNOWN: Final = {
    "keyring.backends.macOS": "the Keychain",
    "keyring.backends.Windows": "the Windows Credential Manager",
    "keyring.backends.SecretService": "the desktop's keyring (Secret Service)",
    "keyring.backends.libsecret": "the desktop's keyring (Secret Service)",
    "keyring.backends.kwallet": "KWallet",
}


class SystemKeyring:
    """One backend; raises `KeyringLocked` or `KeyringFailed`, and nothing of the library's own."""

    def __init__(self, backend: "KeyringBackend") -> None:
        """`find` makes it."""
        self._backend = backend
        self.called: Final = KNOWN[type(backend).__module__]

    def read(self, name: str) -> str | None:
        """What is kept under `name`, None where nothing is."""
        try:
            return self._backend.get_password(SERVICE, name)
        except Exception as error:  # a backend lets errors of its system's library through
            raise self._said(error, "read") from error

    def write(self, name: str, text: str) -> None:
        """Keep `text`, in place of what was there, and see that it is there."""
        try:
            self._backend.set_password(SERVICE, name, text)
            kept = self._backend.get_password(SERVICE, name)
        except Exception as error:
            raise self._said(error, "kept") from error
        if kept != text:
            raise self._said(RuntimeError("what was kept did not come back"), "kept")

    def remove(self, name: str) -> None:
        """Remove what is kept under `name`, if anything is."""
        try:
            if self._backend.get_password(SERVICE, name) is not None:
                self._backend.delete_password(SERVICE, name)
        except Exception as error:
            raise self._said(error, "removed") from error

    def _said(self, error: Exception, done: str) -> KeyStoreError:
        from keyring.errors import KeyringLocked as Locked

        kind = KeyringLocked if isinstance(error, Locked) else KeyringFailed
        return kind(
            f"The keys were not {done}: {self.called} says no",
            limit=str(error) or type(error).__name__,
            rule="SR-OWN-1",
            advice=UNLOCK if kind is KeyringLocked else f"See that {self.called} works. {UNLOCK}",
        )


def find() -> SystemKeyring | None:
    """The keyring that is used here; None where there is none that is known to encrypt. Raises `KeyringFailed`."""
    import keyring
    from keyring.backends.chainer import ChainerBackend

    try:
        chosen = keyring.get_keyring()
        offered = chosen.backends if isinstance(chosen, ChainerBackend) else [chosen]
    except Exception as error:  # the one that a person's settings name can't be loaded, say
        raise KeyringFailed(
            "This computer's keyring can't be asked",
            limit=str(error) or type(error).__name__,
            rule="SR-OWN-1",
            advice="See what PYTHON_KEYRING_BACKEND and keyringrc.cfg name (`keyring diagnose`)",
        ) from error
    return next((SystemKeyring(each) for each in offered if type(each).__module__ in KNOWN), None)
