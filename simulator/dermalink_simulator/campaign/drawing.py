"""Drawing the steps of a script: what is done with which numbers, and faults, any word with any of its numbers."""

from random import Random
from typing import Final

from dermalink_simulator.campaign.script import FAULT, Step
from dermalink_simulator.faults.spelling import spell
from dermalink_simulator.faults.words import VOCABULARY, FaultKind

# A parked head's needles stand 400 µm inside; one that is seated further out than that shows them with nothing moving.
SEATED_UM: Final = 300
# The true stop is what must hold a needle that the drive sends too far; `deep` takes it away.
STOPS: Final = frozenset({("cartridge_stop", "broken"), ("cartridge_stop", "worn"), ("cartridge_tag", "lies")})
# What is not drawn, and why.
NOT_DRAWN: Final = {
    ("air", ""): "a campaign's host talks to the pen directly; tests/fault/test_air_faults.py is over the air",
}
NOT_IN_WEEKS: Final = {
    ("clock", "drift"): "a wait by a clock that runs fast is over sooner (known gap)",
    ("contact", "bouncing"): "contact that is not seen is not counted (known gap)",
    ("contact", "stuck_closed"): "contact that is not seen is not counted (known gap)",
    ("contact", "stuck_open"): "contact that is not seen is not counted (known gap)",
    ("memory", "flip"): "its world is that of flips: a count of strokes is no thing that is kept twice",
    ("flash", "reordering"): "what a flash calls done and loses, nobody has (known gap)",
}
WORDS: Final = tuple(
    word for word in VOCABULARY if (word.unit, "") not in NOT_DRAWN and (word.unit, word.kind) not in STOPS
)
WEEK_WORDS: Final = tuple(word for word in WORDS if (word.unit, word.kind) not in NOT_IN_WEEKS)


class Drawer:
    """Draws steps one after the other."""

    def __init__(self, random: Random) -> None:
        """Whatever is drawn comes from `random`."""
        self.random = random
        self.steps: list[Step] = []

    def add(self, do: str, then_ms: int = 0, **numbers: int) -> None:
        """One more step."""
        self.steps.append(Step(do, numbers, then_ms))

    def fault(self, word: FaultKind, then_ms: int = 0) -> None:
        """A fault of this word, now or later, with any of its numbers."""
        values, when = values_of(word, self.random), schedule_of(word, self.random)
        self.steps.append(Step(FAULT, {}, then_ms, spell(word.unit, word.kind, 0, values, **when)))

    def fault_now(self, unit: str, kind: str, then_ms: int = 0) -> None:
        """A fault with its plain numbers, at once, until it is taken off."""
        self.steps.append(Step(FAULT, {}, then_ms, spell(unit, kind)))

    def prepare(self, zone: int, direction: int, depth_um: int, then_ms: int = 0) -> None:
        """The host asks for motion."""
        self.add("prepare", then_ms, zone=int(zone), direction=int(direction), depth_um=depth_um)


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


def named(unit: str, kind: str) -> FaultKind:
    """The word of the vocabulary."""
    return next(word for word in VOCABULARY if (word.unit, word.kind) == (unit, kind))
