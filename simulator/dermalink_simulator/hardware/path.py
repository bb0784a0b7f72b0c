"""The way of a hand over a zone: lanes side by side, turned at their ends, and what of the zone they cover.

A zone is a square of its area around (0, 0); a lane is as wide as the head. A hand takes every second lane first and
those between afterwards: no turn then stays within one head width, which would be dwell. Lengths in µm, times in ms.
"""

from collections.abc import Iterator
from itertools import cycle, islice
from math import ceil, hypot, sqrt
from random import Random
from typing import Final, NamedTuple

from dermalink_protocol.limits import ZONE_RULES
from dermalink_protocol.zones import Direction, Zone

SPEED_SPREAD: Final = 0.2  # a hand's speed from lane to lane (numbers for the simulation)
STAMP_PRESS_MS: Final = 300  # under the 400 ms that a press may last
STAMP_LIFT_MS: Final = 250  # under the 300 ms after which lifted needles go in
APART: Final = 1.2  # head widths from one lane to the next, in time
FASTEST_MM_S: Final = 80  # a hand on its way across (assumption)
CELL_UM: Final = 1_000

_SLANT: Final = sqrt(0.5)
_ALONG: Final = {
    Direction.VERTICAL: (0.0, 1.0),
    Direction.HORIZONTAL: (1.0, 0.0),
    Direction.DIAGONAL: (_SLANT, _SLANT),
}


class Leg(NamedTuple):
    """A straight piece of the way; a hand that turns still touches, one that lifts does not."""

    last_ms: int
    x0: int
    y0: int
    x1: int
    y1: int
    touching: bool


class Way(NamedTuple):
    """How a hand goes over a zone."""

    zone: Zone
    direction: Direction
    speed_mm_s: int = 20
    overlap_percent: int = 15
    turn_ms: int = 150
    width_um: int = 6_000


def side_um(zone: Zone) -> int:
    """The side of the square that stands for a zone."""
    return round(sqrt(ZONE_RULES[zone].area_mm2) * 1_000)


def lanes(way: Way) -> list[tuple[float, float]]:
    """(offset across, half the way along) of each lane's centre line, side by side over the whole zone."""
    side, width = side_um(way.zone), way.width_um
    slanted = way.direction is Direction.DIAGONAL
    extent = side * sqrt(2) if slanted else float(side)
    pitch = width * (100 - way.overlap_percent) / 100
    count = max(2, ceil((extent - width) / pitch) + 1)
    step = (extent - width) / (count - 1)
    found = []
    for number in range(count):
        across = -extent / 2 + width / 2 + number * step
        length = extent - 2 * max(0.0, abs(across) - width / 2) if slanted else extent
        found.append((across, max(length - width, width) / 2))
    return found


def order(way: Way) -> list[int]:
    """In which order the lanes are taken, so that neighbours in time are more than a head's width apart."""
    count = len(lanes(way))
    pitch = way.width_um * (100 - way.overlap_percent) / 100
    stride = max(1, ceil(APART * way.width_um / pitch))
    return [lane for first in range(stride) for lane in range(first, count, stride)]


def sweep(way: Way, random: Random) -> Iterator[Leg]:
    """Lane after lane over the whole zone, and again, without end; the first leg begins on the first lane."""
    along_x, along_y = _ALONG[way.direction]
    rows, at, sign = lanes(way), None, 1
    for number in cycle(order(way)):
        across, half = rows[number]
        begin = _point(along_x, along_y, -sign * half, across)
        end = _point(along_x, along_y, sign * half, across)
        speed = way.speed_mm_s * random.uniform(1 - SPEED_SPREAD, 1 + SPEED_SPREAD)
        if at is not None:
            yield Leg(_turn_ms(way, at, begin), *at, *begin, touching=True)
        yield Leg(max(1, round(2 * half / speed)), *begin, *end, touching=True)
        at, sign = end, -sign


def _turn_ms(way: Way, at: tuple[int, int], to: tuple[int, int]) -> int:
    """A turn takes its time; a long way across takes what that way takes."""
    return max(way.turn_ms, round(hypot(to[0] - at[0], to[1] - at[1]) / FASTEST_MM_S))


def stamp(way: Way) -> Iterator[Leg]:
    """Press, lift and move on by one head width less the overlap, over the whole zone, without end."""
    side = side_um(way.zone)
    pitch = way.width_um * (100 - way.overlap_percent) // 100
    first = -side // 2 + way.width_um // 2
    count = max(1, -(-(side - way.width_um) // pitch) + 1)
    points = [(first + column * pitch, first + row * pitch) for row in range(count) for column in range(count)]
    for number in range(1 << 60):
        here, there = points[number % len(points)], points[(number + 1) % len(points)]
        yield Leg(STAMP_PRESS_MS, *here, *here, touching=True)
        yield Leg(STAMP_LIFT_MS, *here, *there, touching=False)


def once_ms(way: Way) -> int:
    """About how long one going over the zone takes."""
    legs = islice(sweep(way, Random(0)), 2 * len(lanes(way)) - 1)
    return sum(leg.last_ms for leg in legs)


def covered_percent(zone: Zone, runs: list[tuple[int, int, int, int]], width_um: int) -> int:
    """How much of a zone lies within half a head's width of the runs (x0, y0, x1, y1), in whole percent."""
    side = side_um(zone)
    count = side // CELL_UM
    rows = [0] * count
    for run in runs:
        _paint(rows, run, width_um // 2, side)
    return sum(row.bit_count() for row in rows) * 100 // (count * count)


def _point(along_x: float, along_y: float, along: float, across: float) -> tuple[int, int]:
    return round(along_x * along + along_y * across), round(along_y * along - along_x * across)


def _paint(rows: list[int], run: tuple[int, int, int, int], reach: int, side: int) -> None:
    """Set the bit of every cell whose centre lies within `reach` of the run."""
    x0, y0, x1, y1 = run
    length = hypot(x1 - x0, y1 - y0)
    origin = -(side // 2)
    low_x, high_x = min(x0, x1) - reach, max(x0, x1) + reach
    low_y, high_y = min(y0, y1) - reach, max(y0, y1) + reach
    last = len(rows)
    for row in range(max(0, (low_y - origin) // CELL_UM), min(last, (high_y - origin) // CELL_UM + 1)):
        y = origin + row * CELL_UM + CELL_UM // 2
        bits = 0
        for column in range(max(0, (low_x - origin) // CELL_UM), min(last, (high_x - origin) // CELL_UM + 1)):
            x = origin + column * CELL_UM + CELL_UM // 2
            part = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (length * length) if length else 0.0
            part = min(1.0, max(0.0, part))
            if hypot(x - x0 - part * (x1 - x0), y - y0 - part * (y1 - y0)) <= reach:
                bits |= 1 << column
        rows[row] |= bits
