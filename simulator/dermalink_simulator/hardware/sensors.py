"""What reads depth: the independent sensor at the head, and the drive's own feedback at the carriage (SR-DEPTH-7)."""

from random import Random
from typing import Final

from dermalink_simulator.hardware.chance import Noise

READING_MAX_UM: Final = 0xFFFF


class DepthReader:
    """Turns true µm into readings: bounded noise, and what a fault lays over it.

    `stuck_um` is a reading that never changes, `extra_um` noise beyond the declared accuracy, `offset_um` a shift.
    """

    def __init__(self, random: Random, noise_um: int) -> None:
        self._random = random
        self._noise = Noise(random, noise_um)
        self.stuck_um: int | None = None
        self.extra_um = 0
        self.offset_um = 0
        self.last_um = 0

    @property
    def faulty(self) -> bool:
        """Whether a fault lies over it."""
        return self.stuck_um is not None or self.extra_um > 0 or self.offset_um != 0

    def read(self, true_um: float) -> int:
        """A reading of `true_um`; nothing below the head's face is seen."""
        if self.stuck_um is not None:
            return self.stuck_um
        reading = round(true_um) + self._noise.next() + self.offset_um
        if self.extra_um:
            reading += self._random.randint(-self.extra_um, self.extra_um)
        self.last_um = reading = 0 if reading < 0 else min(reading, READING_MAX_UM)
        return reading
