"""A line between a host and a port of the pen, one way: bytes pass, or a fault has them lost, spoilt or late."""

from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

HELD_BACK_MS: Final = 100  # a chunk held back for reordering comes at the latest after this
PERMILLE: Final = 1_000


@dataclass(slots=True)
class LineFaults:
    """What is wrong with a line: chances in permille (bytes for loss and corruption, chunks for the others).

    On a line of whole values every chance is a value's, and one that is corrupted is lost: over the air a link layer
    checks what it carries (24 bits of CRC, Bluetooth Core, Vol 6, Part B, 3.1.1).

    `delay_ms` is how late every chunk comes; `cut_after` how many more bytes pass before the line is gone. `drawn_from`
    is where the chance of each comes from, by name; the line's own for what is not in it.
    """

    loss: int = 0
    corruption: int = 0
    duplication: int = 0
    reordering: int = 0
    delay_ms: int = 0
    cut_after: int | None = None
    drawn_from: dict[str, Random] = field(default_factory=dict, repr=False, compare=False)

    @property
    def none(self) -> bool:
        """Whether nothing is wrong."""
        return self == LineFaults()


class Arrival(NamedTuple):
    """A chunk that comes after `delay_ms`."""

    delay_ms: int
    data: bytes


class Line:
    """One way of one connection; `cut` is True once the line is gone. A `whole` one never cuts a chunk to pieces."""

    def __init__(self, random: Random, *, whole: bool = False) -> None:
        self._random = random
        self._whole = whole
        self.faults = LineFaults()
        self.cut = False

    def send(self, data: bytes) -> list[Arrival]:
        """What arrives of `data`, and when."""
        if self.cut or not data:
            return []
        faults = self.faults
        if faults.cut_after is not None:
            data = self._cut(data, faults.cut_after)
        if faults.loss or faults.corruption:
            data = self._spoil(data)
        if not data:
            return []
        delay = faults.delay_ms
        if self._chance("reordering", faults.reordering):
            delay += faults.drawn_from.get("reordering", self._random).randint(1, HELD_BACK_MS)
        first = Arrival(delay, data)
        return [first, first] if self._chance("duplication", faults.duplication) else [first]

    def _cut(self, data: bytes, after: int) -> bytes:
        """What still passes of `data`; on a line of values the one in which the cut falls does not."""
        passes = b"" if self._whole and len(data) > after else data[:after]
        self.faults.cut_after = 0 if len(data) > after else after - len(data)
        self.cut = self.faults.cut_after == 0
        return passes

    def _spoil(self, data: bytes) -> bytes:
        loss, corruption = self.faults.loss, self.faults.corruption
        if self._whole:
            return b"" if self._chance("loss", loss) or self._chance("corruption", corruption) else data
        flips = self.faults.drawn_from.get("corruption", self._random)
        spoilt = bytearray()
        for byte in data:
            if self._chance("loss", loss):
                continue
            spoilt.append(byte ^ (1 << flips.randrange(8)) if self._chance("corruption", corruption) else byte)
        return bytes(spoilt)

    def _chance(self, kind: str, permille: int) -> bool:
        return permille > 0 and self.faults.drawn_from.get(kind, self._random).randrange(PERMILLE) < permille
