"""A line between a host and a port of the pen, one way: bytes pass, or a fault has them lost, spoilt or late."""

from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

HELD_BACK_MS: Final = 100  # a chunk held back for reordering comes at the latest after this
PERMILLE: Final = 1_000


@dataclass(slots=True)
class LineFaults:
    """What is wrong with a line: chances in permille (bytes for loss and corruption, chunks for the others).

    `delay_ms` is how late every chunk comes; `cut_after` how many more bytes pass before the line is gone.
    """

    loss: int = 0
    corruption: int = 0
    duplication: int = 0
    reordering: int = 0
    delay_ms: int = 0
    cut_after: int | None = None

    @property
    def none(self) -> bool:
        """Whether nothing is wrong."""
        return self == LineFaults()


class Arrival(NamedTuple):
    """A chunk that comes after `delay_ms`."""

    delay_ms: int
    data: bytes


class Line:
    """One way of one connection; `cut` is True once the line is gone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.faults = LineFaults()
        self.cut = False

    def send(self, data: bytes) -> list[Arrival]:
        """What arrives of `data`, and when."""
        if self.cut or not data:
            return []
        faults = self.faults
        if faults.cut_after is not None:
            data = data[: faults.cut_after]
            faults.cut_after -= len(data)
            self.cut = faults.cut_after == 0
        if faults.loss or faults.corruption:
            data = self._spoil(data)
        if not data:
            return []
        delay = faults.delay_ms
        if self._chance(faults.reordering):
            delay += self._random.randint(1, HELD_BACK_MS)
        first = Arrival(delay, data)
        return [first, first] if self._chance(faults.duplication) else [first]

    def _spoil(self, data: bytes) -> bytes:
        spoilt = bytearray()
        for byte in data:
            if self._chance(self.faults.loss):
                continue
            spoilt.append(byte ^ (1 << self._random.randrange(8)) if self._chance(self.faults.corruption) else byte)
        return bytes(spoilt)

    def _chance(self, permille: int) -> bool:
        return permille > 0 and self._random.randrange(PERMILLE) < permille
