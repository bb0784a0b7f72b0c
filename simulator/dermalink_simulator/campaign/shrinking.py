"""Shrinking a script that broke something: fewer steps, then less time, as long as the same invariant is broken."""

from collections.abc import Callable, Sequence
from typing import Final

from dermalink_simulator.campaign.playing import play
from dermalink_simulator.campaign.script import Script, Step

PLAYS_MAX: Final = 300  # of a fifteenth of a second each; what a longer search takes off more is a step or two
SHORT_MS: Final = (0, 10)


def shrunk(script: Script, invariant: str, plays_max: int = PLAYS_MAX) -> Script:
    """The shortest script found that breaks this invariant; `script` must break it, and is given back if nothing helps.

    It plays at most `plays_max` times.
    """
    left = [plays_max]

    def still(steps: Sequence[Step]) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        broken = play(script._replace(steps=tuple(steps))).broken
        return broken is not None and broken.invariant == invariant

    steps = _without_parts(list(script.steps), still)
    steps = _sooner(steps, still)
    return script._replace(steps=tuple(_without_parts(steps, still)))


def _without_parts(steps: list[Step], still: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """Leave out ever smaller parts, from the end, for as long as it still breaks."""
    size = max(1, len(steps) // 2)
    while True:
        begin, before = len(steps), len(steps)
        while begin > 0:
            begin = max(0, begin - size)
            fewer = steps[:begin] + steps[begin + size :]
            if len(fewer) < len(steps) and still(fewer):
                steps = fewer
        if size == 1 and len(steps) == before:
            return steps
        size = max(1, size // 2) if len(steps) == before or size > 1 else 1


def _sooner(steps: list[Step], still: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """Let less time pass after each step, and begin faults at once."""
    for place, step in enumerate(tuple(steps)):
        for ms in SHORT_MS:
            if ms < step.then_ms:
                shorter = [*steps[:place], step._replace(then_ms=ms), *steps[place + 1 :]]
                if still(shorter):
                    steps = shorter
                    break
        if step.fault is not None and step.fault.after_ms:
            soon = steps[place]._replace(fault=step.fault._replace(after_ms=0))
            at_once = [*steps[:place], soon, *steps[place + 1 :]]
            if still(at_once):
                steps = at_once
    return steps
