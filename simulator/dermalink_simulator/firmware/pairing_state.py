"""What the firmware remembers of pairing while it has power."""

from typing import TYPE_CHECKING, NamedTuple

from dermalink_protocol.wire import U8, U32
from dermalink_simulator.firmware.owner_desk import Desk

if TYPE_CHECKING:
    from dermalink_simulator.firmware.pairing_run import Run


class LastWord(NamedTuple):
    """The third step that made the owner of that number, and its answer, for whoever did not hear it."""

    number: int
    share: bytes
    reply: bytes


class BondWindow(NamedTuple):
    """How long a bond of Bluetooth's own may still be made (`bonding`), how many may still be begun; its number."""

    window_ms: U32 = 0
    left: U8 = 0
    number: U32 = 0


class PairingState:
    """The desk; the window for bonds; the run whose answer waits or was given; that answer; how the write ended that
    something waits for.

    `told_wrong` is how many wrong codes since the last pairing the history tells of.
    None is not yet, for each of the last three. `no_point_ms` is when a port last sent a share that is no point.
    """

    __slots__ = ("answered", "bonds", "desk", "last_word", "no_point_ms", "run", "told_wrong", "written")

    def __init__(self) -> None:
        self.desk = Desk()
        self.told_wrong = 0
        self.bonds = BondWindow()
        self.run: Run | None = None
        self.answered: bytes | None = None
        self.written: bool | None = None
        self.last_word: LastWord | None = None
        self.no_point_ms: dict[int, int] = {}
