"""Write tests/vectors/owner_desk.jsonl: the pairing desk as stories, event by event (`--check`: only compare).

`python -m tests.desk_vectors`. A firmware team runs its own desk through them. Each step has what happens, what is to
be done (`verdict`) and how the desk stands after it; what those are is in `dermalink_simulator.firmware.owner_desk`.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from dermalink_protocol.generate.files import ROOT, write_or_check
from dermalink_protocol.limits import PAIR_BARRED_MAX_S, PAIR_BARRED_S, PAIR_TRIES, PAIR_WINDOW_MS
from dermalink_simulator.firmware.owner_desk import RUN_MS, Desk, DeskEvent, EventKind, desk_step

FILE: Final = ROOT / "tests" / "vectors" / "owner_desk.jsonl"
HALF_MS: Final = int(PAIR_WINDOW_MS) // 2
HERE, THERE = 1, 2  # a port's number plus one

PRESS: Final = DeskEvent(EventKind.PRESS, ok=1)
HELD: Final = DeskEvent(EventKind.HELD)
TICK: Final = DeskEvent(EventKind.TICK, dt_ms=10)
SESSION: Final = DeskEvent(EventKind.TICK, idle=0, dt_ms=10)
TOLD: Final = DeskEvent(EventKind.TOLD)


def _at(kind: EventKind, port: int = HERE, ok: int = 0) -> DeskEvent:
    return DeskEvent(kind, port=port, ok=ok)


def _wait(ms: int) -> DeskEvent:
    return DeskEvent(EventKind.TICK, dt_ms=ms)


def _ran(seconds: int) -> DeskEvent:
    return DeskEvent(EventKind.RAN, seconds=seconds)


def _try(port: int = HERE) -> list[DeskEvent]:
    return [_at(EventKind.TERMS, port), _at(EventKind.TRY, port), _at(EventKind.WRITTEN, port, ok=1)]


def _wrong(port: int = HERE) -> list[DeskEvent]:
    return [*_try(port), _at(EventKind.CONFIRM, port)]


def _right(port: int = HERE) -> list[DeskEvent]:
    return [*_try(port), _at(EventKind.CONFIRM, port, ok=1), _at(EventKind.TAKEN, port, ok=1)]


Events = Iterable[DeskEvent]
THREE_WRONG: Final = [PRESS, *_wrong(), *_wrong(), *_wrong()]
OWNED: Final = Desk(owned=1)
STORIES: Final[dict[str, tuple[Desk, Events]]] = {
    "a press and the right code": (Desk(), [PRESS, *_right()]),
    "without a press": (Desk(), [_at(EventKind.TERMS), _at(EventKind.TRY), _at(EventKind.CONFIRM, ok=1)]),
    "a press with a fault, or in a session, opens nothing": (
        Desk(),
        [DeskEvent(EventKind.PRESS), DeskEvent(EventKind.PRESS, idle=0, ok=1), _at(EventKind.TERMS)],
    ),
    "the window shuts after its time": (Desk(), [PRESS, _wait(HALF_MS), _wait(HALF_MS), _at(EventKind.TRY)]),
    "and a millisecond before it is open": (Desk(), [PRESS, _wait(HALF_MS), _wait(HALF_MS - 1), _at(EventKind.TRY)]),
    "a second press opens it anew": (Desk(), [PRESS, _wait(HALF_MS), PRESS, _wait(HALF_MS), *_right()]),
    "a session shuts it, and ends the run": (Desk(), [PRESS, *_try(), SESSION, _at(EventKind.CONFIRM, ok=1)]),
    "three wrong codes shut and bar": (Desk(), [*THREE_WRONG, TICK, PRESS, _at(EventKind.TRY), TOLD]),
    "the third try may still be right": (Desk(wrong=2), [PRESS, *_right()]),
    "the bar runs out": (Desk(), [*THREE_WRONG, _ran(PAIR_BARRED_S - 1), PRESS, _ran(1), PRESS, *_right()]),
    "the next bar is twice as long": (
        Desk(wrong=int(PAIR_TRIES), bar_due=0),
        [*THREE_WRONG, _ran(2 * PAIR_BARRED_S - 1), PRESS, _at(EventKind.TERMS)],
    ),
    "no bar is longer than the longest": (Desk(wrong=0xFFFC), [*THREE_WRONG, _ran(int(PAIR_BARRED_MAX_S))]),
    "what was answered and never confirmed stays a try": (
        Desk(),
        [PRESS, *_try(), _at(EventKind.GONE), *_try(), _at(EventKind.GONE), *_try(), _at(EventKind.GONE), TICK],
    ),
    "a try that could not be written down is not answered": (
        Desk(),
        [PRESS, _at(EventKind.TERMS), _at(EventKind.TRY), _at(EventKind.WRITTEN, ok=0), *_right()],
    ),
    "who goes away while his try is written down": (
        Desk(),
        [PRESS, _at(EventKind.TRY), _at(EventKind.GONE), _at(EventKind.TRY, THERE), _at(EventKind.WRITTEN, ok=1)],
    ),
    "another port waits for an answered run": (
        Desk(),
        [
            *(PRESS, *_try(), _at(EventKind.TRY, THERE), _wait(RUN_MS - 1), _at(EventKind.TRY, THERE), _wait(1)),
            *(*_right(THERE), _at(EventKind.CONFIRM, ok=1)),
        ],
    ),
    "an answered run may be confirmed late, while nobody else began": (
        Desk(),
        [PRESS, *_try(), _wait(RUN_MS), _at(EventKind.CONFIRM, ok=1), _at(EventKind.TAKEN, ok=1)],
    ),
    "an owner that could not be written down": (
        Desk(),
        [PRESS, *_try(), _at(EventKind.CONFIRM, ok=1), _at(EventKind.TAKEN, ok=0), PRESS, *_right()],
    ),
    "an owned pen and a press": (OWNED, [PRESS, _at(EventKind.TERMS), _at(EventKind.TRY)]),
    "an owned pen and the hold": (OWNED, [HELD, *_right()]),
    "the hold alone changes no owner": (OWNED, [HELD, *_wrong(), _wait(HALF_MS), _wait(HALF_MS), _at(EventKind.TRY)]),
    "no hold opens what is barred": (Desk(owned=1, wrong=3, barred_s=600), [HELD, _at(EventKind.TRY)]),
    "the owner gives it up": (OWNED, [_at(EventKind.RELEASE), _at(EventKind.RELEASED, ok=1), PRESS, *_right(THERE)]),
    "giving up that could not be written down": (OWNED, [_at(EventKind.RELEASE), _at(EventKind.RELEASED, ok=0)]),
    "not in a session": (OWNED, [DeskEvent(EventKind.RELEASE, idle=0, port=HERE)]),
    "nobody gives up what is nobody's": (Desk(), [_at(EventKind.RELEASE)]),
}


def lines() -> Iterator[dict[str, Any]]:
    """A story a line."""
    for name, (begins, events) in STORIES.items():
        steps = []
        desk = begins
        for event in events:
            desk, verdict = desk_step(desk, event)
            happens = event._asdict() | {"kind": event.kind.name}
            steps.append({"event": happens, "verdict": verdict.name, "desk": desk._asdict()})
        yield {"good": name, "desk": begins._asdict(), "steps": steps}


if __name__ == "__main__":
    text = "".join(f"{json.dumps(line)}\n" for line in lines())
    sys.exit(write_or_check({FILE: text}, sys.argv[1:]))
