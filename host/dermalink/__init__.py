"""The host library of Dermalink. Every public name is loaded when it is first used, so that starting costs nothing."""

from dermalink_protocol.version import __version__

TYPE_CHECKING = False  # what `typing` has by this name; importing it would be a third of the start-up

if TYPE_CHECKING:
    from dermalink.discovery import discover
    from dermalink.errors import HostRefusal, LinkError, PenRefusal, Timeout, UnknownOutcome
    from dermalink.outcome import Applied, Outcome, Refused, Unknown
    from dermalink.pen import Pen
    from dermalink.reconnect import Reconnector
    from dermalink.sync import SyncPen
    from dermalink_protocol.errors import DermalinkError
    from dermalink_protocol.zones import Direction, Symptom, Zone

__all__ = [
    "Applied",
    "DermalinkError",
    "Direction",
    "HostRefusal",
    "LinkError",
    "Outcome",
    "Pen",
    "PenRefusal",
    "Reconnector",
    "Refused",
    "Symptom",
    "SyncPen",
    "Timeout",
    "Unknown",
    "UnknownOutcome",
    "Zone",
    "__version__",
    "discover",
]

_HOMES = {
    "Applied": "dermalink.outcome",
    "DermalinkError": "dermalink_protocol.errors",
    "Direction": "dermalink_protocol.zones",
    "HostRefusal": "dermalink.errors",
    "LinkError": "dermalink.errors",
    "Outcome": "dermalink.outcome",
    "Pen": "dermalink.pen",
    "PenRefusal": "dermalink.errors",
    "Reconnector": "dermalink.reconnect",
    "Refused": "dermalink.outcome",
    "Symptom": "dermalink_protocol.zones",
    "SyncPen": "dermalink.sync",
    "Timeout": "dermalink.errors",
    "Unknown": "dermalink.outcome",
    "UnknownOutcome": "dermalink.errors",
    "Zone": "dermalink_protocol.zones",
    "discover": "dermalink.discovery",
}


if not TYPE_CHECKING:  # a misspelt name is for a type checker to find

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
