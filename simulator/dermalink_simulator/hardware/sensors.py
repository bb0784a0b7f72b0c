"""What reads depth: the independent sensor at the head, and the drive's own feedback at the carriage (SR-DEPTH-7)."""

from random import Random

from dermalink_simulator.hardware.chance import noise


class DepthReader:
    """Turns a true height above the head's face into a reading: bounded noise, and what a fault lays over it.

    Heights and readings are signed µm; whoever reports a protrusion takes a negative one as 0. `stuck_um` is a reading
    that never changes, `extra_um` noise beyond the declared accuracy, `offset_um` a shift.
    """

    __slots__ = ("_noise", "_random", "extra_um", "last_um", "offset_um", "stuck_um")

    def __init__(self, random: Random, noise_um: int) -> None:
        self._random = random
        self._noise = noise(random, noise_um)
        self.stuck_um: int | None = None
        self.extra_um = 0
        self.offset_um = 0
        self.last_um = 0

    @property
    def faulty(self) -> bool:
        """Whether a fault lies over it."""
        return self.stuck_um is not None or self.extra_um > 0 or self.offset_um != 0

    def read(self, true_um: float) -> int:
        """A reading of `true_um`."""
        if self.stuck_um is not None:
            return self.stuck_um
        self.last_um = reading = round(true_um) + self._noise() + self.offset_um
        if self.extra_um:
            self.last_um = reading = reading + self._random.randint(-self.extra_um, self.extra_um)
        return reading
