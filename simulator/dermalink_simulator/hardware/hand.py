"""A simulated hand that works the pen: where the head is, whether it touches, and how hard it is pressed."""

from collections.abc import Iterator
from random import Random
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import SPEED_MAX_MM_S, SPEED_MIN_MM_S
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.hardware.chance import noise
from dermalink_simulator.hardware.path import Leg, Way, covered_percent, once_ms, stamp, sweep
from dermalink_simulator.hardware.physics import Physics

LIGHT_MN: Final = 1_000  # an even, light pressure
HARD_MN: Final = 2_500  # over the 2 N that pause
FORCE_MAX_MN: Final = 5_000
_STILL: Final = Leg(1 << 40, 0, 0, 0, 0, touching=True)


class HandError(DermalinkError):
    """A hand was asked for what no hand does."""


class HandPart:
    """The hand's state at `now_ms`, moved on by `run`. `place` is zone << 3 | direction of where it truly works."""

    def __init__(self, physics: Physics, random: Random) -> None:
        self._random = random
        self._noise = noise(random, physics.force_noise_mn)
        self._legs: Iterator[Leg] | None = None
        self._leg = _STILL
        self._leg_from_ms = 0
        self._wanted = False
        self._halted_ms: int | None = None
        self._force_mn = self._light_mn = LIGHT_MN
        self._hard_until_ms: int | None = None
        self._width_um = 0
        self._runs: dict[int, list[list[int]]] = {}
        self._run: list[int] | None = None
        self.place = Zone.FOREHEAD << 3 | Direction.VERTICAL
        self.x_um = 0
        self.y_um = 0
        self.touching = False

    def work(self, way: Way, now_ms: int, force_mn: int, *, stamping: bool) -> int:
        """Touch down and go over the zone until told otherwise; returns how long once over it takes, in ms."""
        if not SPEED_MIN_MM_S <= way.speed_mm_s <= 2 * SPEED_MAX_MM_S:
            raise HandError(f"{way.speed_mm_s} mm/s was refused", limit=f"{SPEED_MIN_MM_S} to {2 * SPEED_MAX_MM_S}")
        if not 0 <= way.overlap_percent <= 90:
            raise HandError(f"an overlap of {way.overlap_percent} % was refused", limit="0 to 90")
        self._press(force_mn)
        self._at(way.zone, way.direction)
        self._width_um = way.width_um
        self._legs = stamp(way) if stamping else sweep(way, self._random)
        self._leg_from_ms = now_ms
        self._leg = next(self._legs)
        self._halted_ms = None
        self._wanted = True
        self.run(now_ms)
        return once_ms(way)

    def touch(self, zone: Zone, direction: Direction, now_ms: int, force_mn: int) -> None:
        """Touch down and stay in one spot."""
        self._press(force_mn)
        self._at(zone, direction)
        self._legs = None
        self._leg = Leg(1 << 40, self.x_um, self.y_um, self.x_um, self.y_um, touching=True)
        self._leg_from_ms = now_ms
        self._halted_ms = None
        self._wanted = self.touching = True

    def lift(self, now_ms: int) -> None:
        """Take the pen off the skin, and remember where."""
        self.stay(now_ms)
        self._wanted = self.touching = False

    def stay(self, now_ms: int) -> None:
        """Stop moving, in contact if it was."""
        if self._halted_ms is None:
            self._halted_ms = now_ms
        self._run = None

    def go_on(self, now_ms: int) -> None:
        """Touch down where it was lifted and go on from there."""
        if self._halted_ms is not None:
            self._leg_from_ms += now_ms - self._halted_ms
            self._halted_ms = None
        self._wanted = True
        self.run(now_ms)

    def press_hard(self, force_mn: int, now_ms: int, for_ms: int | None) -> None:
        """Press with `force_mn` (0 to 5 000) from now on, or for `for_ms`."""
        light = self._light_mn
        self._press(force_mn)
        if for_ms is not None:
            self._light_mn, self._hard_until_ms = light, now_ms + for_ms

    def run(self, now_ms: int) -> None:
        """Move on to `now_ms`."""
        if self._hard_until_ms is not None and now_ms >= self._hard_until_ms:
            self._force_mn, self._hard_until_ms = self._light_mn, None
        if self._halted_ms is not None:
            self.touching = self._wanted
            return
        leg = self._leg
        since = now_ms - self._leg_from_ms
        while since >= leg[0] and self._legs is not None:
            self._leg_from_ms += leg.last_ms
            since -= leg.last_ms
            self._leg = leg = next(self._legs)
            self._run = None
        last, x0, y0, x1, y1, touching = leg
        self.touching = touching and self._wanted
        self.x_um = x0 if x0 == x1 else x0 + (x1 - x0) * since // last
        self.y_um = y0 if y0 == y1 else y0 + (y1 - y0) * since // last

    def force_mn(self) -> int:
        """The force on the head now."""
        if not self.touching:
            return 0
        force = self._force_mn + self._noise()
        return force if 0 <= force <= FORCE_MAX_MN else max(0, min(FORCE_MAX_MN, force))

    def mark(self) -> None:
        """A stroke reached the skin here."""
        run = self._run
        if run is None:
            self._run = [self.x_um, self.y_um, self.x_um, self.y_um]
            self._runs.setdefault(self.place, []).append(self._run)
        else:
            run[2], run[3] = self.x_um, self.y_um

    def covered_percent(self, zone: Zone, direction: Direction) -> int:
        """How much of the zone was truly gone over with needles out in that direction."""
        runs = [(run[0], run[1], run[2], run[3]) for run in self._runs.get(zone << 3 | direction, [])]
        return covered_percent(zone, runs, self._width_um) if runs else 0

    def _at(self, zone: Zone, direction: Direction) -> None:
        self.place = Zone(zone) << 3 | Direction(direction)
        self._run = None

    def _press(self, force_mn: int) -> None:
        if not 0 <= force_mn <= FORCE_MAX_MN:
            raise HandError(f"a force of {force_mn} mN was refused", limit=f"a hand presses with 0 to {FORCE_MAX_MN}")
        self._force_mn = self._light_mn = force_mn
        self._hard_until_ms = None
