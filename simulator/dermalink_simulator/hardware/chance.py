"""Chance for one part each: a generator of its own from the pen's seed, so that parts do not disturb each other."""

from random import Random
from typing import Final

TABLE: Final = 1_024  # readings before noise repeats; a power of two


def generator(seed: int, part: str) -> Random:
    """The generator of `part` in the pen with `seed`; the same two give the same numbers everywhere."""
    return Random(f"dermalink/{part}/{seed}")


class Noise:
    """Bounded noise around zero: normal with a third of `greatest` as its spread, cut at `greatest`.

    Drawn once into a table and read round and round: a reading costs one look-up.
    """

    __slots__ = ("_at", "_table")

    def __init__(self, random: Random, greatest: int) -> None:
        spread = greatest / 3
        self._table = [max(-greatest, min(greatest, round(random.gauss(0, spread)))) for _ in range(TABLE)]
        self._at = 0

    def next(self) -> int:
        """The next value, in the unit of `greatest`."""
        self._at = at = (self._at + 1) & (TABLE - 1)
        return self._table[at]
