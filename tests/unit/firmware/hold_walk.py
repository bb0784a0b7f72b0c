"""Every way through a button and what its holds mean, beside a witness that keeps its own account of what was done.

Contacts close and open in steps of half a bounce and of a second; the pen rests or does not at each look. The witness
knows nothing of `Button` and `Hold`: it reads what each look says the hold has become.
"""

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from dermalink_simulator.firmware.button import AT_POWER_UP, Button
from dermalink_simulator.firmware.hold import NO_HOLD, Hold, Meaning

BOUNCE_MS: Final = 20
SYMPTOM_MS: Final = 3_000
HAND_OVER_MS: Final = 10_000
STEPS_MS: Final = (10, 1_000)

ButtonStep = Callable[[Button, int, int], tuple[Button, int]]
HoldStep = Callable[[Hold, Button, int], tuple[Hold, Button, Meaning]]


class Witness(NamedTuple):
    """`at` is how long the contact is as it is, `down_ms` how long it was closed since the press that nobody let go of
    for a bounce's time (-1: there is none), in pieces that are no bounce; `rested` whether the pen did at every look,
    `said` what the hold became.
    """

    down: int = 1
    at: int = 0
    down_ms: int = -1
    rested: int = 0
    said: int = 0


class Node(NamedTuple):
    """Where the walk is."""

    button: Button = AT_POWER_UP
    hold: Hold = NO_HOLD
    seen: Witness = Witness()


def after(steps: tuple[ButtonStep, HoldStep], node: Node, moved: tuple[int, int, int]) -> Node:
    """The walk one look on; raises AssertionError where a rule is broken."""
    dt_ms, down, idle = moved
    button, _ = steps[0](node.button, dt_ms, down)
    hold, button, meaning = steps[1](node.hold, button, idle)
    seen = judged(told(node.seen, dt_ms, down), meaning, idle)
    # What is compared with nothing greater is the same from there on.
    button = button._replace(down_ms=min(button.down_ms, BOUNCE_MS), held_ms=min(button.held_ms, HAND_OVER_MS))
    return Node(button, hold, seen)


def told(seen: Witness, dt_ms: int, down: int) -> Witness:
    """What the contact did since the last look; a change is seen at the end of its step."""
    if down != seen.down:
        fresh = down and seen.at >= BOUNCE_MS
        return Witness(1, 0, 0, 1) if fresh else seen._replace(down=down, at=0)
    at, before = min(seen.at + dt_ms, BOUNCE_MS), seen.at
    if not down or seen.down_ms < 0:
        return seen._replace(at=at)
    counts = 0 if at < BOUNCE_MS else dt_ms if before >= BOUNCE_MS else before + dt_ms
    return seen._replace(at=at, down_ms=min(seen.down_ms + counts, HAND_OVER_MS))


def judged(seen: Witness, meaning: Meaning, idle: int) -> Witness:
    """What the look said, held against what was done."""
    over = not seen.down and seen.at >= BOUNCE_MS
    rested = seen.rested & idle
    due = Meaning.NOTHING
    if seen.down_ms >= SYMPTOM_MS and not seen.said:
        if not rested:
            due = Meaning.SYMPTOM
        elif seen.down_ms >= HAND_OVER_MS:
            due = Meaning.HAND_OVER
        elif over:
            due = Meaning.SYMPTOM
    assert meaning is due, f"{meaning.name} in place of {due.name} after {seen.down_ms} ms"
    if over:
        return Witness(0, seen.at)
    return seen._replace(rested=rested, said=int(seen.said or meaning is not Meaning.NOTHING))


def walk(button_step: ButtonStep, hold_step: HoldStep, most: int = 400_000) -> int:
    """Go every way from power-up, with the button free, held, or stuck; returns how many places there are."""
    steps = cache(button_step), cache(hold_step)
    moves = [(dt_ms, down, idle) for dt_ms in STEPS_MS for down in (0, 1) for idle in (0, 1)]
    found, todo = {Node()}, [Node()]
    while todo:
        node = todo.pop()
        for move in moves:
            each = after(steps, node, move)
            if each not in found:
                found.add(each)
                todo.append(each)
        assert len(found) < most, "the walk does not end"
    return len(found)
