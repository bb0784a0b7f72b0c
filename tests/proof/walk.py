"""The walk: every state that can be reached from power-up, with small limits, slice by slice.

A slice asks about one family of things and freezes the others: a frozen field is put back to a value of its own after
each step, as long as it is not zero, so that what it counts never ends. What the walk finds and a proof of safety
can't: rows that are never taken, states that are never reached, and locks that can never be cleared.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.zones import Direction, Head, Symptom
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import POWER_UP, TherapyState, Write
from dermalink_simulator.therapy.step import MACHINE, Machine

SMALL: Final = LIMITS._replace(
    pass_budget=(0, *(2,) * 8),
    zone_budget=(0, *(6,) * 8),
    resumes_max=1,
    resume_within_ms=3,
    press_within_ms=2,
    press_fresh_ms=2,
    spin_up_ms=1,
    armed_idle_ms=2,
    lift_retract_ms=1,
    lift_pause_ms=1,
    stop_failed_ms=2,
    self_test_within_ms=2,
    session_max_ms=4,
    lease_min_ms=1,
    lease_max_ms=4,
    interval_s=2,
    symptom_lock_s=2,
    head_strokes_max=6,
)
"""Limits with which time runs out in a step or two."""

COMMANDS: Final = ("last_id", "ring_at", "ring_ids", "ring_digests")
CONDITIONS: Final = {"utc_s": 1_000, "battery_percent": 100, "accuracy_um": 10}
OWNER: Final = {"authenticated": 1, "port": 1, "session_id": 1}
HEADER: Final = {**OWNER, "ttl_ms": 100, **CONDITIONS}
FIT: Final = Event(
    EventKind.HEAD, head_kind=Head.GLIDE, needles=12, width_um=6_000, reach_um=500, tolerance_um=40, utc_s=1_000,
    sterile_until_s=2_000, sessions_allowed=1, strokes_left=6, tag_low=7, tag_high=8,
)  # fmt: skip
SHALLOW: Final = FIT._replace(reach_um=240)
ABSENT: Final = Event(EventKind.HEAD, verdict=Reason.CARTRIDGE_ABSENT)


class Slice(NamedTuple):
    """One part of the walk."""

    name: str
    limits: CoreLimits
    events: tuple[Event, ...]
    frozen: Mapping[str, object]
    start: TherapyState = POWER_UP


class Walked(NamedTuple):
    """What a walk found: each state with the one before it and the event between; rows taken; the number of edges."""

    states: dict[TherapyState, tuple[TherapyState, Event] | None]
    rows: set[int]
    edges: int
    leads: list[tuple[int, int]]


def prepare(zone: int, direction: int, **changes: int) -> Event:
    """A frame that may be taken."""
    fields = {**HEADER, "depth_um": 250, "rate_hz": 60, "speed_mm_s": 20, "tag_low": 7, "tag_high": 8, **changes}
    return Event(EventKind.PREPARE, zone=zone, direction=direction, **fields)


def pen_events() -> list[Event]:
    """What comes from the pen itself, once for each thing that it may say."""
    writes = [Event(EventKind.FLASH_DONE, write=write, ok=ok) for write in list(Write)[1:] for ok in (0, 1)]
    return [
        Event(EventKind.LOADED, boot_id=1),
        Event(EventKind.LOADED, boot_id=1, reason=Reason.STALLED),
        Event(EventKind.LOADED, boot_id=1, reason=Reason.DEPTH_EXCEEDED),
        Event(EventKind.SELF_TEST_DONE, ok=1),
        Event(EventKind.SELF_TEST_DONE, reason=Reason.SELF_TEST_FAILED),
        Event(EventKind.STROKES, strokes=1, punctures=1),
        Event(EventKind.MEASURED_IN),
        Event(EventKind.BUTTON, **CONDITIONS),
        FIT,
        ABSENT,
        Event(EventKind.FAULT, reason=Reason.STALLED),
        Event(EventKind.FAULT, reason=Reason.DEPTH_EXCEEDED),
        Event(EventKind.DETECTED_PAUSE, reason=Reason.DWELL),
        Event(EventKind.DETECTED_STOP, reason=Reason.FORCE_TOO_HIGH),
        Event(EventKind.LINK_LOST, port=1),
        Event(EventKind.STOP, port=2),
        *writes,
    ]


def host_events(*passes: tuple[int, int]) -> list[Event]:
    """What comes from the session's owner, ids aside."""
    command = {**HEADER, "command_id": 1}
    return [
        Event(EventKind.OPEN_SESSION, **command, boot_id=1, lease_ms=2),
        Event(EventKind.ADOPT_SESSION, **command, lease_ms=2),
        Event(EventKind.CLOSE_SESSION, **OWNER),
        *(prepare(zone, direction, command_id=1) for zone, direction in passes),
        Event(EventKind.BEGIN_PASS, **command, frame_id=1),
        Event(EventKind.RESUME_PASS, **command),
        Event(EventKind.PAUSE_PASS, **OWNER),
        Event(EventKind.END_PASS, **OWNER),
        Event(EventKind.RENEW_LEASE, **OWNER),
        Event(EventKind.ACKNOWLEDGE_FAULT, **command, reason=Reason.STALLED),
        Event(EventKind.ACKNOWLEDGE_FAULT, **command, reason=Reason.SELF_TEST_FAILED),
        Event(EventKind.ACKNOWLEDGE_FAULT, **command, reason=Reason.FLASH_FAILED),
        Event(EventKind.RUN_SELF_TEST, **command),
    ]


def time_events() -> list[Event]:
    """What comes from clocks and symptoms."""
    return [
        Event(EventKind.TIME_RAN, seconds=1),
        Event(EventKind.CLOCK_LOST),
        Event(EventKind.CLOCK_BACK),
        Event(EventKind.SET_CLOCK, **HEADER, command_id=1, clock_now_s=1_000, clock_floor_s=1_000),
        Event(EventKind.SYMPTOM, symptom=Symptom.PAIN, authenticated=1),
        Event(EventKind.SYMPTOM, symptom=Symptom.RASH, authenticated=1),
        Event(EventKind.SYMPTOM, symptom=Symptom.UNSAID, authenticated=1),
    ]


def ticks(*times: int) -> list[Event]:
    """A main loop's ticks, in contact and out of it."""
    return [Event(EventKind.TICK, dt_ms=dt, contact=contact) for dt in times for contact in (0, 1)]


FORGETFUL: Final = {"last_id": 0, "ring_at": 0, "ring_ids": POWER_UP.ring_ids, "ring_digests": POWER_UP.ring_digests}
"""Commands leave no memory, so that the same ids may come again."""

TIMELESS: Final = {"session_left_ms": 4, "lease_left_ms": 2, "frame_id": 1, **FORGETFUL}

SPEECHLESS: Final = {"reason": int(Reason.NONE)}
"""Why something happened leads nowhere; a test of its own looks at what is said."""

EVERYTHING: Final = Slice(
    "one zone, every event of pen and owner; session, lease and waits without end",
    SMALL,
    (*pen_events(), *host_events((1, Direction.VERTICAL)), *time_events()[:1], *time_events()[4:5], *ticks(1)),
    {**TIMELESS, **SPEECHLESS, "wait_s": 0, "head_strokes": 6, "pass_ms": 3},
)
ZONES: Final = Slice(
    "two zones, four passes; no time, no faults, no pauses",
    SMALL,
    (
        Event(EventKind.LOADED, boot_id=1),
        Event(EventKind.SELF_TEST_DONE, ok=1),
        Event(EventKind.STROKES, strokes=1, punctures=1),
        Event(EventKind.MEASURED_IN),
        Event(EventKind.BUTTON, **CONDITIONS),
        FIT,
        *(Event(EventKind.FLASH_DONE, write=write, ok=1) for write in list(Write)[1:]),
        *host_events()[:1],
        *(prepare(zone, direction, command_id=1) for zone, direction in ((1, 1), (1, 2), (1, 4), (5, 1))),
        Event(EventKind.BEGIN_PASS, **HEADER, command_id=1, frame_id=1),
        Event(EventKind.END_PASS, **OWNER),
        Event(EventKind.RENEW_LEASE, **OWNER),
        *ticks(1)[1:],
    ),
    {**TIMELESS, **SPEECHLESS, "wait_s": 0, "head_strokes": 6, "timer_ms": 1},
)
WAITS: Final = Slice(
    "waits, clock and symptoms around a session",
    SMALL,
    (
        *(Event(EventKind.LOADED, boot_id=1, wait_s=wait, symptom_s=wait, advice_due=wait & 1) for wait in (0, 1, 2)),
        Event(EventKind.SELF_TEST_DONE, ok=1),
        Event(EventKind.MEASURED_IN),
        Event(EventKind.BUTTON, **CONDITIONS),
        FIT,
        *(Event(EventKind.FLASH_DONE, write=write, ok=1) for write in list(Write)[1:]),
        *host_events((1, Direction.VERTICAL))[:5],
        Event(EventKind.RENEW_LEASE, **OWNER),
        Event(EventKind.RUN_SELF_TEST, **HEADER, command_id=1),
        Event(EventKind.ACKNOWLEDGE_FAULT, **HEADER, command_id=1, reason=Reason.SELF_TEST_FAILED),
        *time_events(),
        *ticks(0),
        *ticks(1)[1:],
    ),
    {**TIMELESS, **SPEECHLESS, "head_strokes": 6, "timer_ms": 1},
)
TIMES: Final = Slice(
    "lease, session and resuming that end, heads that wear out",
    SMALL._replace(lift_pause_ms=3, armed_idle_ms=3, spin_up_ms=2),
    (
        Event(EventKind.LOADED, boot_id=1),
        Event(EventKind.SELF_TEST_DONE, ok=1),
        Event(EventKind.STROKES, strokes=3, punctures=1),
        Event(EventKind.MEASURED_IN),
        Event(EventKind.BUTTON, **CONDITIONS),
        FIT,
        Event(EventKind.LINK_LOST, port=1),
        *(Event(EventKind.FLASH_DONE, write=write, ok=1) for write in list(Write)[1:]),
        *host_events((1, Direction.VERTICAL))[:9],
        Event(EventKind.RENEW_LEASE, **OWNER, age_ms=1),
        *ticks(1),
    ),
    {"frame_id": 1, **FORGETFUL, **SPEECHLESS, "wait_s": 0},
)
IDS: Final = Slice(
    "command ids that come again",
    SMALL,
    (
        Event(EventKind.LOADED, boot_id=1),
        Event(EventKind.SELF_TEST_DONE, ok=1),
        Event(EventKind.FLASH_DONE, write=Write.OPEN, ok=1),
        *(
            Event(kind, **HEADER, command_id=number, digest=digest, boot_id=1, lease_ms=2, clock_now_s=1_000)
            for kind in (EventKind.OPEN_SESSION, EventKind.SET_CLOCK)
            for number in (0, 1, 2, 3)
            for digest in (1, 2)
        ),
    ),
    {**SPEECHLESS, "session_left_ms": 4},
)
SLICES: Final = (EVERYTHING, ZONES, WAITS, TIMES, IDS)

WIDE: Final = (
    EVERYTHING._replace(
        name="one zone, every event there is",
        events=(*EVERYTHING.events, *time_events()[1:4], *time_events()[5:]),
        frozen={**TIMELESS, **SPEECHLESS, "head_strokes": 6, "pass_ms": 3},
    ),
    ZONES._replace(
        name="two zones, six passes",
        events=(*ZONES.events, *(prepare(5, direction, command_id=1) for direction in (2, 4))),
    ),
)
"""The same with more at once; minutes, not seconds."""


def wrong(event: Event) -> list[Event]:
    """An event with one thing wrong with it, for each thing that can be."""
    kind = EventKind(event.kind)
    if kind == EventKind.BUTTON:
        changes: list[dict[str, int]] = [{"utc_s": 0}, {"battery_percent": 19}, {"supply": 1}, {"utc_s": 2_001}]
        return [event._replace(**change) for change in [*changes, {"condition": Reason.TEMPERATURE}]]  # type: ignore[arg-type]
    if not event.authenticated:
        return []
    changes = [{"authenticated": 0}, {"port": 2}, {"port": 0}, {"session_id": 2}, {"session_id": 0}, {"future": 1}]
    changes += [
        {"age_ms": 101},
        {"ttl_ms": 0},
        {"ttl_ms": 501},
        {"command_id": 0},
        {"command_id": 0xFFFF_FFFF},
        {"contact": 1},
        {"boot_id": 2},
    ]
    changes += [{"lease_ms": 0}, {"lease_ms": 5}, {"condition": int(Reason.LEDGER_FULL)}, {"utc_s": 0}]
    changes += [{"accuracy_um": 0}, {"accuracy_um": 26}, {"battery_percent": 19}, {"supply": 1}, {"utc_s": 2_001}]
    changes += [{"frame_id": 2}, {"reason": int(Reason.WATCHDOG)}, {"zone": 0}, {"zone": 9}, {"zone": 6}]
    changes += [{"direction": 3}, {"depth_um": 510}, {"depth_um": 190}, {"depth_um": 255}, {"zone": 5, "depth_um": 260}]
    changes += [
        {"rate_hz": 49},
        {"rate_hz": 151},
        {"speed_mm_s": 9},
        {"speed_mm_s": 41},
        {"tag_low": 9},
        {"tag_high": 9},
    ]
    changes += [{"rate_hz": 150, "speed_mm_s": 10}, {"clock_floor_s": 1_001}, {"utc_s": 100_000}]
    return [event._replace(**change) for change in changes]


def frozen(state: TherapyState, fields: Sequence[tuple[str, object]]) -> TherapyState:
    """A state with its frozen fields put back, but for those that are zero."""
    changed = {name: value for name, value in fields if getattr(state, name) not in (0, value)}
    return state._replace(**changed) if changed else state  # type: ignore[arg-type]


def walk(piece: Slice, machine: Machine = MACHINE) -> Walked:
    """Every state of a slice."""
    step, limits, fields = machine.step, piece.limits, tuple(piece.frozen.items())
    states: dict[TherapyState, tuple[TherapyState, Event] | None] = {piece.start: None}
    numbers = {piece.start: 0}
    order, rows, edges, leads = [piece.start], set(), 0, []
    for number, state in enumerate(order):
        for event in piece.events:
            after, answer = step(limits, state, event)
            edges += 1
            rows.add(answer.row)
            if after is state:
                continue
            after = frozen(after, fields)
            place = numbers.get(after)
            if place is None:
                place = numbers[after] = len(order)
                states[after] = (state, event)
                order.append(after)
            leads.append((number, place))
    return Walked(states, rows, edges, leads)


def cannot_reach(walked: Walked, wanted: Iterable[int]) -> list[TherapyState]:
    """The states from which no way leads to a state of one of these names."""
    order = list(walked.states)
    names = set(wanted)
    back: dict[int, list[int]] = {}
    for start, end in walked.leads:
        back.setdefault(end, []).append(start)
    reached = {number for number, state in enumerate(order) if state.state in names}
    waiting = list(reached)
    while waiting:
        for start in back.get(waiting.pop(), ()):
            if start not in reached:
                reached.add(start)
                waiting.append(start)
    return [state for number, state in enumerate(order) if number not in reached]


def path(walked: Walked, state: TherapyState) -> list[tuple[str, str]]:
    """How a state is reached: events, and the states that they lead to."""
    found: list[tuple[str, str]] = []
    at: TherapyState | None = state
    while at is not None:
        before = walked.states[at]
        found.append((EventKind(before[1].kind).name if before else "", State(at.state).name))
        at = before[0] if before else None
    return found[::-1]
