"""How much of a zone a pass has gone over: an estimate, from the head's own travel.

The pen does not know where it is. It feels its displacement over the skin, so what is counted is the area under the
head along that path while needles are out, twice-covered spots once, against the zone's area (an assumption,
`ZONE_RULES`). What is needled beyond the zone's edge counts as well; after a lift the place is lost, and the path goes
on where it was; a zone declared wrongly is not seen at all.
"""

from typing import Final

from dermalink_protocol.limits import ZONE_RULES
from dermalink_protocol.samples import CONTACT, NEEDLES_OUT, PACK_SAMPLE, TRAVEL_UNIT_UM
from dermalink_protocol.zones import Head, Zone

COVERED_PERCENT: Final = 95  # an estimate this high counts as covered; the last edge is never exactly met
CELL_UM: Final = 1_000  # a sixth of a 6 mm head: a disc of 29 cells is within 3 % of its true area
CELL_MM2: Final = CELL_UM * CELL_UM // 1_000_000
ROW: Final = 1 << 16  # cells of one column have consecutive numbers; no hand moves 32 m
FACE_OF_SQUARE: Final = (785, 1_000)  # a head's face is a disc: pi / 4 of the square around it


class Coverage:
    """The estimate for one pass; `add` takes telemetry, `percent` goes from 0 to 100 and never back."""

    def __init__(self, zone: Zone, head: Head, width_um: int) -> None:
        """`width_um` is the head's, from its tag."""
        self._area_mm2 = ZONE_RULES[zone].area_mm2
        self._stamp = head is Head.STAMP
        self._face_mm2 = width_um * width_um * FACE_OF_SQUARE[0] // (FACE_OF_SQUARE[1] * 1_000_000)
        self._face = _disc(width_um)
        self._cells: set[int] = set()
        self._at = (0, 0)
        self._cell: int | None = None
        self._working = False
        self._presses = 0

    def add(self, samples: bytes) -> None:
        """Count what a batch's samples moved over."""
        x, y = self._at
        for _depth, _force, _rate, flags, dx, dy in PACK_SAMPLE.iter_unpack(samples):
            if not flags & CONTACT:
                self._working = False
                continue
            x += dx * TRAVEL_UNIT_UM
            y += dy * TRAVEL_UNIT_UM
            if not flags & NEEDLES_OUT:
                continue
            self._presses += not self._working
            self._working = True
            cell = x // CELL_UM * ROW + y // CELL_UM
            if cell != self._cell:
                self._cell = cell
                self._cells.update([cell + offset for offset in self._face])
        self._at = (x, y)

    @property
    def percent(self) -> int:
        """The estimate, rounded down."""
        covered = self._presses * self._face_mm2 if self._stamp else len(self._cells) * CELL_MM2
        return min(100, 100 * covered // self._area_mm2)


def _disc(width_um: int) -> list[int]:
    """The cells under a head of that width, as differences to the cell under its middle."""
    reach = width_um // (2 * CELL_UM)
    inside = range(-reach, reach + 1)
    return [
        i * ROW + j for i in inside for j in inside if 4 * (i * i + j * j) * CELL_UM * CELL_UM <= width_um * width_um
    ]
