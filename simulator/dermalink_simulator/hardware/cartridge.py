"""A cartridge with its tag and its mechanical stop, and the seat that holds it."""

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from dermalink_protocol.zones import Head
from dermalink_simulator.hardware.physics import HEAD_WIDTH_UM, NEEDLES, Physics
from dermalink_simulator.seam import Tag

KNOWN_MAKER: Final = 1
STERILE_UNTIL_S: Final = 1_893_456_000  # 2030-01-01
NO_STOP_UM: Final = 5_000  # longer than any needle
PERMILLE: Final = 1_000


class Cartridge(NamedTuple):
    """A head as it is: what its tag says (None: nothing readable), and where its stop really stands.

    `stop_um` is the protrusion above the head's face that nothing passes while the stop is whole.
    """

    tag: Tag | None
    stop_um: int
    needles: int = NEEDLES
    width_um: int = HEAD_WIDTH_UM


def glide_head(number: int = 1, **changes: Any) -> Cartridge:
    """A sound disposable glide head of the known maker; `number` is its identity, `changes` are fields of its tag."""
    return _head(Head.GLIDE, number, changes)


def stamp_head(number: int = 1, **changes: Any) -> Cartridge:
    """A sound disposable stamp head."""
    return _head(Head.STAMP, number, changes)


def long_head(number: int = 1) -> Cartridge:
    """A 1.0 mm head, honest about it: refused however low the setting (SR-DEPTH-2)."""
    return glide_head(number, protrusion_um=1_000)


def blank_head(number: int = 1) -> Cartridge:
    """A head whose tag cannot be read."""
    return glide_head(number)._replace(tag=None)


HEADS: Final[dict[str, Callable[[int], Cartridge]]] = {
    "glide": glide_head,
    "stamp": stamp_head,
    "long": long_head,
    "blank": blank_head,
}


def _head(kind: Head, number: int, changes: dict[str, Any]) -> Cartridge:
    tag = Tag(
        tag_id=b"H%07d" % number,
        maker=KNOWN_MAKER,
        lot=20_260,
        head=kind,
        needles=NEEDLES,
        width_um=HEAD_WIDTH_UM,
        protrusion_um=500,
        sterile_until_s=STERILE_UNTIL_S,
        sessions_allowed=1,
        strokes_max=60_000,
    )._replace(**changes)
    return Cartridge(tag, tag.protrusion_um, tag.needles, tag.width_um)


class Seat:
    """Holds at most one head; every seating has an offset of its own (normal, cut at the head's part of tolerance).

    `offset_um` is how much further than the carriage the head stands; `limit_um` where its stop is now;
    `tag_ok` is 1 while its tag can be read. Until `open_until_ms` the seat's switch reads open: no hand changes a head
    without it. `opened` holds that it did, until the main loop has read it. `loose` and `flaky` are how often in 1000
    the switch, and the tag, cannot be read although all is well.
    """

    def __init__(self, physics: Physics, random: Random) -> None:
        self._physics = physics
        self._random = random
        self.head: Cartridge | None = None
        self.offset_um = 0
        self.limit_um = 0
        self.tag_ok = 0
        self.open_until_ms = 0
        self.opened = False
        self._seated_um = 0
        self.badly_um: int | None = None
        self.stop_broken = False
        self.worn_um = 0
        self.unreadable = False
        self.true_stop_um: int | None = None
        self.loose = self.flaky = 0
        self.loose_chance = self.flaky_chance = random

    def fit(self, head: Cartridge) -> None:
        """Seat `head`, in place of the one before."""
        self.head = head
        sigma, limit = self._physics.seat_sigma_um, self._physics.seat_limit_um
        offset = self._random.gauss(0, sigma) if limit else 0.0
        while abs(offset) > limit:
            offset = self._random.gauss(0, sigma)
        self._seated_um = round(offset)
        self.settle()

    def pull(self) -> Cartridge | None:
        """Take the head out and give it."""
        head, self.head = self.head, None
        self.settle()
        return head

    def settle(self) -> None:
        """Work out where the head stands and stops, after a change of head or of faults."""
        self.tag_ok = int(self.tag() is not None)
        if self.head is None:
            self.offset_um, self.limit_um = 0, 0
            return
        self.offset_um = self._seated_um if self.badly_um is None else self.badly_um
        stop = self.head.stop_um if self.true_stop_um is None else self.true_stop_um
        self.limit_um = NO_STOP_UM if self.stop_broken else stop + self.worn_um

    def tag(self) -> Tag | None:
        """What a reader gets: None with no head, no tag, or one that cannot be read."""
        return None if self.head is None or self.unreadable else self.head.tag

    def read_tag(self) -> Tag | None:
        """As `tag`, by a reader that may fail now and then."""
        return None if self.flaky and self.flaky_chance.randrange(PERMILLE) < self.flaky else self.tag()

    def read_switch(self, now_ms: int) -> int:
        """1 while the seat's switch is closed on a head."""
        if self.loose and self.loose_chance.randrange(PERMILLE) < self.loose:
            return 0
        return int(self.head is not None and not self.opened and now_ms >= self.open_until_ms)
