"""Why a door can't open; each message says which door, what is in the way, and what to do."""

from dermalink_protocol.errors import DermalinkError


class DoorError(DermalinkError):
    """A door of the simulator stays shut."""


class AddressRefusedError(DoorError):
    """The address is no address, or reaches beyond this machine without that being asked for."""


class AddressTakenError(DoorError):
    """Somebody else listens there, or the system doesn't let this process do so."""


class PathTakenError(DoorError):
    """Something that is not ours to replace lies where the link should be."""


class NotOnThisSystemError(DoorError):
    """This operating system has no such door."""
