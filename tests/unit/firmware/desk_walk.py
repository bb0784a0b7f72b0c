"""Every way through the pairing desk, beside a witness that keeps its own account of what SR-SEC-2 and SR-OWN-1 allow.

Coarse steps of time, two ports, a bar; the witness reads verdicts and what was written down, never the desk's state,
but for the port of a run.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple

from dermalink_simulator.firmware.owner_desk import Desk, DeskEvent, EventKind, Verdict

WRONG_WALKED: Final = 4  # a bar and the try after it
STEP_MS: Final = 30_000  # half a window
WINDOW_MS: Final = 60_000
FIRST_BAR_S: Final = 600
NEVER_MS: Final = WINDOW_MS + 1
PORTS: Final = (1, 2)

Step = Callable[[Desk, DeskEvent], tuple[Desk, Verdict]]


class Kept(NamedTuple):
    """What the flash has."""

    owned: int = 0
    wrong: int = 0
    barred_s: int = 0
    bar_due: int = 0


class Witness(NamedTuple):
    """`pressed_ms`, `held_ms`: since the last press, or the last hold that was long enough, on an idle pen.

    `answers` were given since the last right code, `bar_s` is what every third try that was written down forbids, `run`
    is the port that was answered and not gone since, and `late` whether a step of time has passed since then: each is
    longer than a run's turn.
    """

    owned: int = 0
    pressed_ms: int = NEVER_MS
    held_ms: int = NEVER_MS
    answers: int = 0
    bar_s: int = 0
    run: int = 0
    late: int = 0


class Node(NamedTuple):
    """Where the walk is."""

    desk: Desk = Desk()
    kept: Kept = Kept()
    writing: int = 0  # kind of event that ends the write under way, 0 for none
    seen: Witness = Witness()


def _always() -> list[DeskEvent]:
    found = []
    for idle in (0, 1):
        found += [DeskEvent(EventKind.PRESS, idle, ok=ok) for ok in (0, 1)]
        found += [DeskEvent(EventKind.HELD, idle), DeskEvent(EventKind.TICK, idle, dt_ms=STEP_MS)]
        for port in PORTS:
            found += [DeskEvent(kind, idle, port=port) for kind in (EventKind.TERMS, EventKind.RELEASE, EventKind.GONE)]
            found += [DeskEvent(EventKind.CONFIRM, idle, port=port, ok=ok) for ok in (0, 1)]
    return found


ALWAYS: Final = _always()
TRIES: Final = [DeskEvent(EventKind.TRY, idle, port=port) for idle in (0, 1) for port in PORTS]
ENDS: Final = {
    int(kind): [DeskEvent(kind, idle, ok=ok) for idle in (0, 1) for ok in (0, 1)]
    for kind in (EventKind.WRITTEN, EventKind.TAKEN, EventKind.RELEASED)
}
RAN: Final = [DeskEvent(EventKind.RAN, seconds=FIRST_BAR_S)]
TOLD: Final = [DeskEvent(EventKind.TOLD)]


def events(node: Node) -> Iterator[DeskEvent]:
    """All that can happen next."""
    yield from ALWAYS
    if node.desk.wrong < WRONG_WALKED:
        yield from TRIES
    if node.writing:
        yield from ENDS[node.writing]
    elif node.desk.barred_s or node.seen.bar_s:  # a write takes milliseconds, a bar seconds
        yield from RAN
    if node.desk.bar_due:
        yield from TOLD


WRITES: Final = {
    Verdict.COUNT: EventKind.WRITTEN,
    Verdict.TAKE: EventKind.TAKEN,
    Verdict.RELEASE: EventKind.RELEASED,
}


def after(step: Step, node: Node, event: DeskEvent) -> Node:
    """The walk one event on; raises AssertionError where a rule is broken."""
    desk, verdict = step(node.desk, event)
    kept, writing = node.kept, node.writing
    if writing == event.kind:
        writing = 0
        if event.ok:
            owned = {EventKind.TAKEN: 1, EventKind.RELEASED: 0}.get(event.kind, kept.owned)
            kept = Kept(owned, node.desk.wrong, node.desk.barred_s, node.desk.bar_due)
    elif event.kind is EventKind.RAN:
        kept = kept._replace(barred_s=max(0, kept.barred_s - event.seconds))
    if verdict is Verdict.BUSY and event.kind in (EventKind.TERMS, EventKind.TRY) and not node.writing:
        assert not node.seen.late, "kept out by a run whose turn is over"
    if verdict in WRITES:
        assert not writing, "a second write of the desk while one is under way"
        writing = int(WRITES[verdict])
    seen = witness(node.seen, event, verdict, kept)
    if verdict is Verdict.ANSWER:
        seen = seen._replace(run=node.desk.run, late=0)
    return Node(desk, kept, writing, seen)


def witness(seen: Witness, event: DeskEvent, verdict: Verdict, kept: Kept) -> Witness:
    """What the witness knows after an event, and its objections."""
    seen = _time(seen, event)
    if event.kind is EventKind.GONE and seen.run == event.port:
        seen = seen._replace(run=0, late=0)
    failed = event.kind is EventKind.CONFIRM and verdict is Verdict.FAILED and seen.run == event.port
    if failed or verdict in (Verdict.SHUT, Verdict.RELEASE):
        seen = seen._replace(run=0, late=0)
    if event.kind is EventKind.TICK:
        # With the window, or with a session, the run is over as well.
        seen = seen._replace(late=int(seen.run != 0)) if in_window(seen) else seen._replace(run=0, late=0)
    if verdict in (Verdict.TELL_TERMS, Verdict.COUNT):
        assert event.idle, "let in while needles may move"
        assert seen.bar_s == 0, "let in while barred"
        assert in_window(seen), "let in outside a window"
    if verdict is Verdict.COUNT:
        assert seen.late or seen.run in (0, event.port), "let in during another's turn"
        seen = seen._replace(run=0, late=0)
    if verdict is Verdict.ANSWER:
        assert event.idle, "answered while needles may move"
        assert seen.bar_s == 0, "answered while barred"
        assert in_window(seen), "answered outside a window"
        answers = seen.answers + 1
        assert kept.wrong >= answers, "an answer that was not written down as a try"
        seen = seen._replace(answers=answers)
    if event.kind is EventKind.WRITTEN and event.ok and kept.wrong % 3 == 0:
        bar_s = FIRST_BAR_S << (kept.wrong // 3 - 1)
        assert kept.barred_s >= bar_s, "a bar that was not written down with the try that brings it"
        seen = seen._replace(bar_s=bar_s)
    if verdict is Verdict.TAKE:
        assert event.idle, "taken while needles may move"
        assert event.kind is EventKind.CONFIRM, "taken without a word of the host"
        assert event.ok, "taken with a wrong code"
        assert seen.run == event.port, "taken from another than was answered"
        assert in_window(seen), "taken outside a window"
        seen = seen._replace(answers=0, bar_s=0, run=0)
    if verdict is Verdict.RELEASE:
        assert event.idle, "released while needles may move"
        assert seen.owned, "released without an owner"
    return seen._replace(owned=kept.owned)


def in_window(seen: Witness) -> bool:
    """Whether a hold opened the pen within the last minute, or a press one without an owner."""
    return seen.held_ms < WINDOW_MS or (not seen.owned and seen.pressed_ms < WINDOW_MS)


def _time(seen: Witness, event: DeskEvent) -> Witness:
    if event.kind is EventKind.RAN:
        return seen._replace(bar_s=max(0, seen.bar_s - event.seconds))
    if event.kind is EventKind.PRESS:
        return seen._replace(pressed_ms=0 if event.idle and event.ok else seen.pressed_ms)
    if event.kind is EventKind.HELD:
        return seen._replace(held_ms=0 if event.idle else seen.held_ms)
    if event.kind is EventKind.TICK:
        pressed_ms = min(seen.pressed_ms + event.dt_ms, NEVER_MS) if event.idle else NEVER_MS
        held_ms = min(seen.held_ms + event.dt_ms, NEVER_MS) if event.idle else NEVER_MS
        return seen._replace(pressed_ms=pressed_ms, held_ms=held_ms)
    return seen


def power_back(node: Node) -> Node:
    """Power goes and comes back: what the flash has is all there is."""
    owned, wrong, barred_s, bar_due = node.kept
    seen = Witness(owned, answers=node.seen.answers, bar_s=node.seen.bar_s)
    return Node(Desk(owned=owned, wrong=wrong, barred_s=barred_s, bar_due=bar_due), node.kept, 0, seen)


def walk(step: Step, most: int = 2_000_000) -> int:
    """Go every way from a new pen; returns how many places there are."""
    start, step = Node(), cache(step)
    found, todo = {start}, [start]
    while todo:
        node = todo.pop()
        for each in (power_back(node), *(after(step, node, event) for event in events(node))):
            if each not in found:
                found.add(each)
                todo.append(each)
        assert len(found) < most, "the walk does not end"
    return len(found)
