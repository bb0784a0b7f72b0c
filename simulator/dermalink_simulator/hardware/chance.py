"""Chance for one part each: a generator of its own from the pen's seed, so that parts do not disturb each other."""

from collections.abc import Callable
from itertools import cycle
from random import Random
from typing import Final

TABLE: Final = 251  # readings before noise repeats; prime, so that it falls into step with nothing


def generator(seed: int, part: str) -> Random:
    """The generator of `part` in the pen with `seed`; the same two give the same numbers everywhere."""
    return Random(f"dermalink/{part}/{seed}")


def noise(random: Random, greatest: int) -> Callable[[], int]:
    """Bounded noise around zero, a value a call: normal with a third of `greatest` as its spread, cut at `greatest`.

    Drawn once into a table that is read round and round, so that a reading costs next to nothing.
    """
    spread = greatest / 3
    table = [max(-greatest, min(greatest, round(random.gauss(0, spread)))) for _ in range(TABLE)]
    return cycle(table).__next__
