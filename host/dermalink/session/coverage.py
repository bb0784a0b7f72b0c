"""How much of a zone a pass has gone over: an estimate, from the head's own travel.

The pen does not know where it is. It feels its displacement over the skin, so what is counted is the area under the
head along that path, twice-covered spots once, against the zone's area (an assumption, `ZONE_RULES`). After a lift the
place is lost and the path goes on where it was; a zone declared wrongly is not seen at all.
"""

from typing import Final

from dermalink_protocol.limits import ZONE_RULES
from dermalink_protocol.samples import CONTACT, PACK_SAMPLE, TRAVEL_UNIT_UM
from dermalink_protocol.zones import Head, Zone

CELL_UM: Final = 2_000  # a third of a 6 mm head: a turn's overlap is seen, and a cell is entered ten times a second
FACE_OF_SQUARE: Final = (785, 1_000)  # a stamp's face is a disc: pi / 4 of the square around it


class Coverage:
    """The estimate for one pass; `add` takes telemetry, `percent` goes from 0 to 100 and never back."""

    def __init__(self, zone: Zone, head: Head, width_um: int) -> None:
        """`width_um` is the head's, from its tag."""
        self._area_mm2 = ZONE_RULES[zone].area_mm2
        self._stamp = head is Head.STAMP
        self._face_mm2 = width_um * width_um * FACE_OF_SQUARE[0] // (FACE_OF_SQUARE[1] * 1_000_000)
        self._cells_across = max(1, round(width_um / CELL_UM))
        self._cells: set[tuple[int, int]] = set()
        self._at = (0, 0)
        self._cell: tuple[int, int] | None = None
        self._touching = False
        self._presses = 0

    def add(self, samples: bytes) -> None:
        """Count what a batch's samples moved over."""
        x, y = self._at
        for _depth, _force, _rate, flags, dx, dy in PACK_SAMPLE.iter_unpack(samples):
            touching = bool(flags & CONTACT)
            self._presses += touching and not self._touching
            self._touching = touching
            if not touching:
                continue
            x += dx * TRAVEL_UNIT_UM
            y += dy * TRAVEL_UNIT_UM
            cell = (x // CELL_UM, y // CELL_UM)
            if cell != self._cell:
                self._cell = cell
                self._enter(cell)
        self._at = (x, y)

    def _enter(self, cell: tuple[int, int]) -> None:
        reach = range(-(self._cells_across // 2), self._cells_across - self._cells_across // 2)
        self._cells.update((cell[0] + i, cell[1] + j) for i in reach for j in reach)

    @property
    def percent(self) -> int:
        """The estimate, rounded down."""
        cell_mm2 = CELL_UM * CELL_UM // 1_000_000
        covered = self._presses * self._face_mm2 if self._stamp else len(self._cells) * cell_mm2
        return min(100, 100 * covered // self._area_mm2)
