"""A therapy command that passed the gate, as a ticket of its own type."""

from typing import Any, Generic, NoReturn, TypeVar

from dermalink.errors import HostRefusal
from dermalink_protocol.codewords import Reason

R_co = TypeVar("R_co", covariant=True)


class Checked(Generic[R_co]):
    """A therapy command that passed the gate; `Pen.apply` sends it, once. Only the gate makes one."""

    __slots__ = ("__weakref__",)

    def __init__(self, *_: object, **__: object) -> None:
        raise _forged("made")

    def __init_subclass__(cls, **_: Any) -> None:
        raise _forged("derived from")

    def __copy__(self) -> NoReturn:
        raise _forged("copied")

    def __deepcopy__(self, _: Any) -> NoReturn:
        raise _forged("copied")

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise _forged("pickled")

    def __replace__(self, **_: Any) -> NoReturn:
        raise _forged("changed")


def _forged(how: str) -> HostRefusal:
    return HostRefusal(
        f"A checked command cannot be {how}",
        Reason.OUT_OF_RANGE,
        rule="SR-DEPTH-8",
        limit="only the pen's gate makes one",
        advice="Ask `pen.gate`",
    )
