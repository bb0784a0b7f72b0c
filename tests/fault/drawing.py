"""Faults drawn by chance: any word of the vocabulary with any of its numbers, now or later, for a while or for good."""

from random import Random
from typing import Final

from dermalink_simulator.faults.words import FaultKind

# A parked head's needles stand 400 µm inside; one that is seated further out than that shows them with nothing moving.
SEATED_UM: Final = 300


def values_of(word: FaultKind, random: Random) -> dict[str, int]:
    """Numbers of a word: as when nothing is said, at the ends of their ranges, or anywhere between."""
    values: dict[str, int] = {}
    for one in word.parameters:
        if one.name in ("opcode", "bit"):  # most are none
            continue
        anywhere = random.randrange(one.low, one.high + 1, one.step)
        values[one.name] = random.choice((one.default, one.default, one.low, one.high, anywhere))
    if word.kind == "badly_seated":
        values["um"] = max(-SEATED_UM, min(values["um"], SEATED_UM))
    return values


def schedule_of(word: FaultKind, random: Random) -> dict[str, int]:
    """When it begins, how long it lasts, what it is drawn from."""
    when = {"after_ms": random.choice((0, 0, 7, 400, 2_000))}
    if not word.once:
        when["for_ms"] = random.choice((0, 0, 5, 60, 900, 5_000))
    if word.drawn:
        when["seed"] = random.randrange(1_000)
    return when
