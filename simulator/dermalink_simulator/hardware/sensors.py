"""What measures, and what a fault lays over a reading: depth, drive, force, contact, travel.

The independent depth sensor is at the head, the drive's own feedback at the carriage (SR-DEPTH-7).
"""

from random import Random
from typing import Final

from dermalink_simulator.hardware.chance import noise

PERMILLE: Final = 1_000


class Reader:
    """Turns a true number into a reading: bounded noise, and what a fault lays over it.

    Depths are signed µm above the head's face, and whoever reports a protrusion takes a negative one as 0; forces mN.
    `stuck` is a reading that never changes, `extra` noise beyond the declared accuracy, drawn from `chance`, `offset` a
    shift.
    """

    __slots__ = ("_noise", "chance", "extra", "last", "offset", "stuck")

    def __init__(self, random: Random, greatest_noise: int) -> None:
        self._noise = noise(random, greatest_noise)
        self.chance = random
        self.stuck: int | None = None
        self.extra = 0
        self.offset = 0
        self.last = 0

    @property
    def faulty(self) -> bool:
        """Whether a fault lies over it."""
        return self.stuck is not None or self.extra > 0 or self.offset != 0

    def read(self, true: float) -> int:
        """A reading of `true`."""
        if self.stuck is not None:
            return self.stuck
        self.last = reading = round(true) + self._noise() + self.offset
        if self.extra:
            self.last = reading = reading + self.chance.randint(-self.extra, self.extra)
        return reading


class ContactReader:
    """Sees whether the head is on skin; `stuck` is 0 or 1 whatever is so, `bouncing` how often in 1000 it errs."""

    __slots__ = ("bouncing", "chance", "stuck")

    def __init__(self, random: Random) -> None:
        self.chance = random
        self.stuck: int | None = None
        self.bouncing = 0

    def read(self, *, touching: bool) -> int:
        """1 for skin."""
        if self.stuck is not None:
            return self.stuck
        if self.bouncing and self.chance.randrange(PERMILLE) < self.bouncing:
            return int(not touching)
        return int(touching)


class TravelReader:
    """Sees how far the head has moved; `stuck` it sees nothing, `reversed` the opposite, `drift_um_s` what is none."""

    __slots__ = ("_left", "drift_um_s", "reversed", "stuck")

    def __init__(self) -> None:
        self.stuck = self.reversed = False
        self.drift_um_s = 0
        self._left = 0

    def read(self, dx_um: int, dy_um: int, dt_ms: int) -> tuple[int, int]:
        """What it says of a displacement that took `dt_ms`."""
        if self.stuck:
            dx_um = dy_um = 0
        elif self.reversed:
            dx_um, dy_um = -dx_um, -dy_um
        whole, self._left = divmod(self.drift_um_s * dt_ms + self._left, 1_000)
        return dx_um + whole, dy_um
