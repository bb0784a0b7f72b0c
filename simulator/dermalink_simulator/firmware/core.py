"""Events into the therapy core, its answers out: effects carried out, the gate fed, changes of state told."""

from zlib import crc32

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages.identity import StateChanged, StatusFlag
from dermalink_simulator.firmware import effects
from dermalink_simulator.firmware.inside import SYMPTOM_SHOWN_MS, Inside, Trace
from dermalink_simulator.firmware.twice import SETTING_TOP, gate_inverse, therapy_inverse
from dermalink_simulator.therapy.answer import Answer, Verdict
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import MOVING, Clock, TherapyState, Write
from dermalink_simulator.therapy.step import step

_APPLIED = int(Verdict.APPLIED)
_MEASURED = (*MOVING, int(State.STOPPING))
SEQUENCE_MASK = 0xFFFF
NO_WORD = 0  # no code word of `Reason`


def feed(pen: Inside, event: Event, trace: Trace | None = None) -> Answer:
    """One event through the core, and all that follows from it at once."""
    before = pen.state
    after, answer = step(pen.limits, before, event)
    if answer[0] == _APPLIED:
        pen.state = after
        pen.second.therapy_of, pen.second.therapy = after, therapy_inverse(after)
        if pen.reason_is_anothers:
            pen.reason_is_anothers = not _writes_reason(pen, before, event)
        moved = after[0] != before[0]
        if moved:  # first, as it happened first: what the end of a pass gives back, no later record books again
            effects.on_transition(pen, before)
        if answer[2]:
            effects.carry_out(pen, answer[2], event, before)
        if moved:
            tell_state(pen)
    if trace is not None:
        trace(trace_line(pen, event, answer))
    return answer


def _writes_reason(pen: Inside, before: TherapyState, event: Event) -> bool:
    """Whether the event writes a reason, be it the same word again: asked with one in its place that no row writes."""
    after, _ = step(pen.limits, before._replace(reason=NO_WORD), event)
    return after.reason != NO_WORD


def wind(pen: Inside, *, main_loop: bool = False) -> None:
    """Tell the gate what the therapy wants now; only the main loop winds up the watchdog of a drive that is on."""
    state, before = pen.state, pen.gate
    pen.gate = pen.compiled.feed(before, state, (pen.self_test.exercise,))
    if not main_loop and before.wants and pen.gate.wants:
        pen.gate = pen.gate._replace(watchdog_left_ms=min(before.watchdog_left_ms, pen.gate.watchdog_left_ms))
    pen.order = None
    pen.setting_um = state.depth_um if state[0] in _MEASURED else 0
    second = pen.second
    second.gate_of, second.gate, second.setting_um = pen.gate, gate_inverse(pen.gate), pen.setting_um ^ SETTING_TOP


def settle_writes(pen: Inside, trace: Trace | None) -> None:
    """Tell the core of writes that ended."""
    while pen.written:
        token, ok = pen.written.popleft()
        if token == effects.CLOCK:
            pen.clock_failed = not ok
            if ok:
                pen.clock_out_s, pen.clock_wanted_s = pen.clock_wanted_s, 0
        elif token == effects.SYMPTOM:
            pen.symptoms.written += 1
            pen.symptoms.failed = not ok
            if ok:
                pen.symptoms.shown_ms = SYMPTOM_SHOWN_MS
                tell_state(pen)
        elif token == effects.PAIRING:
            pen.pairing.written = ok
        elif token:
            feed(pen, Event(kind=EventKind.FLASH_DONE, write=token, ok=int(ok)), trace)
        if not ok and token != Write.OPEN and pen.state.fault == Reason.NONE:
            feed(pen, Event(kind=EventKind.FAULT, reason=int(Reason.FLASH_FAILED)), trace)


def status_flags(pen: Inside) -> StatusFlag:
    """What the pen measures of itself right now."""
    sensors, state = pen.sensors, pen.state
    flags = StatusFlag(0)
    for flag, is_set in (
        (StatusFlag.ARMED, state.state in MOVING),
        (StatusFlag.NEEDLES_IN, sensors.depth_um == 0),
        (StatusFlag.MOTOR_OFF, sensors.motor_on == 0),
        (StatusFlag.CONTACT, sensors.contact != 0),
        (StatusFlag.CARTRIDGE, sensors.head_present != 0),
        (StatusFlag.SUPPLY, sensors.supply != 0),
        (StatusFlag.BUTTON, sensors.button != 0),
        (StatusFlag.CLOCK_VALID, pen.clock.trouble == Clock.SOUND),
        (StatusFlag.SESSION_OPEN, state.session_id != 0),
        (StatusFlag.PASS_OPEN, state.written == 1),
        (StatusFlag.SYMPTOM, state.symptom_s != 0 or state.symptom == 1),
        (StatusFlag.ADVICE_DUE, state.advice_due == 1),
    ):
        if is_set:
            flags |= flag
    return flags


def tell_state(pen: Inside) -> None:
    """The state changed: everybody who said hello hears it, on a pen that is its owner's only nobody else."""
    flags, state = None, pen.state
    for port in pen.ports.values():
        if not port.hears(owners_only=pen.owners_only):
            continue
        if flags is None:
            flags = status_flags(pen)
        port.change_sequence = (port.change_sequence + 1) & SEQUENCE_MASK
        port.notify(
            StateChanged(
                sequence=port.change_sequence,
                tick_ms=pen.tick_ms,
                state=State(state.state),
                reason=Reason(pen.told_reason),
                flags=flags,
            )
        )


def trace_line(pen: Inside, event: Event, answer: Answer) -> str:
    """One line of a recorded trace: when, the event's fields, the answer, a digest of the state after it."""
    fields = ",".join(
        f"{name}={int(value)}"
        for name, value, plain in zip(Event._fields[1:], event[1:], Event._field_defaults.values(), strict=True)
        if value != plain
    )
    return f"{pen.tick_ms} {EventKind(event.kind).name} {fields or '-'} {answer_line(pen.state, answer)}"


def answer_line(state: TherapyState, answer: Answer) -> str:
    """The end of a trace's line: verdict, reason, effects, the state and a digest of all of it."""
    plain = [tuple(map(int, value)) if isinstance(value, tuple) else int(value) for value in state]
    verdict, reason, name = Verdict(answer.verdict).name, Reason(answer.reason).name, State(state.state).name
    return f"{verdict} {reason} {int(answer.effects)} {name} {crc32(repr(plain).encode()):08x}"
