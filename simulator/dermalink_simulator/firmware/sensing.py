"""The main loop: one tick's measurements become the therapy core's events, in the order that it asks for."""

from functools import lru_cache

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import PRESS_WITHIN_MS
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.zones import Head, Symptom
from dermalink_simulator.firmware import effects, pairing
from dermalink_simulator.firmware.button import button_step
from dermalink_simulator.firmware.calibration import refusal as calibration_refusal
from dermalink_simulator.firmware.clock import believed, look, ticked, was_set
from dermalink_simulator.firmware.core import SEQUENCE_MASK, feed, settle_writes, wind
from dermalink_simulator.firmware.detectors import FRESH, STEADY, Touch, dwell_step, force_step, rate_step, shape_of
from dermalink_simulator.firmware.hold import Meaning, hold_step, is_short_press
from dermalink_simulator.firmware.inside import Inside, Trace
from dermalink_simulator.firmware.plausibility import pair_step, rested, touches
from dermalink_simulator.firmware.selftest import Seen
from dermalink_simulator.firmware.tags import NO_TAG_ID, halves
from dermalink_simulator.firmware.telemetry import rate_hz
from dermalink_simulator.seam import Sensors
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.gate import Cut
from dermalink_simulator.therapy.state import MOVING, Clock

TEMPERATURE_MIN_C = 5  # SR-PWR-1 (assumption)
TEMPERATURE_MAX_C = 40  # SR-PWR-1 (assumption)
BATTERY_FLOOR_MV = 3_200  # of one lithium-ion cell under load (assumption)
CHECKPOINT_S = 3_600  # how often the clock is written down while nothing else is (assumption)

_SPIN_UP, _ARMED, _RUNNING, _LIFTED = (int(s) for s in (State.SPIN_UP, State.ARMED, State.RUNNING, State.LIFTED))
_STOPPING, _WAITING = int(State.STOPPING), int(State.WAITING)
_CLOCK_STATES = (int(State.IDLE), int(State.OPEN))  # where a press has nothing else to start or to clear
_TURNING = (_ARMED, _RUNNING, _LIFTED)
_TICK = int(EventKind.TICK)
_STROKES = int(EventKind.STROKES)
# The ticks of a moving pen, made once: a record of fifty fields costs as much as the step that reads it.
_TICKS = {(10, contact): Event(_TICK, dt_ms=10, contact=contact) for contact in (0, 1)}
_MEASURED_IN = Event(kind=EventKind.MEASURED_IN)
_BUTTON_SYMPTOM = Event(kind=EventKind.SYMPTOM, authenticated=1, symptom=int(Symptom.UNSAID))
_FORCE_TOO_HIGH = int(Reason.FORCE_TOO_HIGH)
_PAUSES = frozenset({int(Reason.DWELL), int(Reason.FORCE_HIGH), int(Reason.RATE_OFF), int(Reason.LEASE_LAPSED)})
_STOPS = frozenset({int(Reason.FORCE_TOO_HIGH), int(Reason.BATTERY_LOW), int(Reason.SUPPLY_PRESENT)})


@lru_cache(256)
def _strokes_event(strokes: int, punctures: int) -> Event:
    return Event(_STROKES, strokes=strokes, punctures=punctures)


def _temperate(celsius: int) -> bool:
    return TEMPERATURE_MIN_C <= celsius <= TEMPERATURE_MAX_C


def conditions(pen: Inside) -> dict[str, int]:
    """What the core is told beside a command, or a press, that leads to motion."""
    sensors = pen.sensors
    reason = _uncalibrated(pen)
    if reason is Reason.NONE and not (_temperate(sensors.temperature_c) and _temperate(sensors.motor_c)):
        reason = Reason.TEMPERATURE
    elif reason is Reason.NONE and not pen.store.history.has_room:
        reason = Reason.HISTORY_FULL
    elif not pen.store.ledger.has_room(pen.head.record.tag_id):
        reason = Reason.LEDGER_FULL
    return {
        "utc_s": sensors.utc_s if pen.clock.trouble == Clock.SOUND else 0,
        "battery_percent": sensors.battery_percent,
        "supply": sensors.supply,
        "accuracy_um": pen.declared.accuracy_um,
        "condition": int(reason),
    }


def _uncalibrated(pen: Inside) -> Reason:
    """Why the calibration bars all therapy now, or NONE."""
    store = pen.store
    return calibration_refusal(
        store.calibration, store.factory.serial_number, _utc(pen), store.record.clock_s, pen.run_s
    )


def main_tick(pen: Inside, dt_ms: int, sensors: Sensors, trace: Trace | None) -> None:
    """One turn of the main loop."""
    pen.sensors = sensors
    pen.tick_ms = (pen.tick_ms + dt_ms) & 0xFFFF_FFFF
    pen.spare_ms = ticked(pen.spare_ms, dt_ms)
    pen.symptoms.shown_ms = max(0, pen.symptoms.shown_ms - dt_ms)
    pairing.passed(pen, dt_ms)
    _button(pen, dt_ms, sensors, trace)
    pen.head.tick(dt_ms, sensors.head_present)
    if pen.head.changed:
        tell_head(pen, trace)
    if pen.state[0] in MOVING:
        _moving(pen, dt_ms, sensors, trace)
    else:
        pen.pair = rested(pen.pair)
        if sensors.strokes:
            _strokes(pen, dt_ms, sensors, trace)
    if pen.monitor.latched and not pen.monitor_told:
        pen.monitor_told = True
        feed(pen, Event(kind=EventKind.FAULT, reason=pen.monitor.latched), trace)
    _dwell(pen, dt_ms, sensors, trace)
    if pen.state[0] == _STOPPING:
        pen.stop_ms = min(pen.stop_ms + dt_ms, effects.NOT_MEASURED - 1)
        if not sensors.depth_um and not sensors.motor_on:
            feed(pen, _MEASURED_IN, trace)
    if pen.disabled and "lease" in pen.disabled and pen.state.owner:
        renew = Event(EventKind.RENEW_LEASE, authenticated=1, port=pen.state.owner, session_id=pen.state.session_id)
        feed(pen, renew, trace)
    pen.contact = 1 if sensors.contact or pen.raw_contact else 0
    pen.raw_contact = sensors.contact
    feed(pen, _TICKS.get((dt_ms, pen.contact)) or Event(_TICK, dt_ms=dt_ms, contact=pen.contact), trace)
    _time(pen, sensors, trace)
    if pen.self_test.runs:
        _self_test(pen, dt_ms, sensors, trace)
    settle_writes(pen, trace)
    wind(pen, main_loop=True)
    _sample(pen, dt_ms, sensors)


def _button(pen: Inside, dt_ms: int, sensors: Sensors, trace: Trace | None) -> None:
    """Presses and holds; the timer interrupt looks at the button as well, and only time that it has not seen is new."""
    pen.button, pressed = button_step(pen.button, max(0, dt_ms - pen.guarded_ms), sensors.button)
    pen.guarded_ms = 0
    pen.press_left_ms = max(0, pen.press_left_ms - dt_ms)
    if pressed or pen.pressed:
        pen.pressed, pen.press_left_ms = False, 0
        pen.press_free = pen.state[0] in _CLOCK_STATES
        pairing.pressed(pen)
        if pen.state[0] == _WAITING:
            # What a press starts waits for the head's tag, read after it; a second press meanwhile takes it back.
            pen.press_waits = not pen.press_waits
            pen.head.look_again()
        elif "button-stop" not in pen.disabled or pen.state[0] not in MOVING:
            feed(pen, Event(kind=EventKind.BUTTON, **conditions(pen)), trace)
    if pen.press_free and is_short_press(pen.button):
        pen.press_left_ms = int(PRESS_WITHIN_MS)
    pen.hold, pen.button, meaning = hold_step(pen.hold, pen.button, pairing.rests(pen))
    if pen.button is not pen.second.button_of:
        pen.second.keep_button(pen.button)
    if meaning is Meaning.SYMPTOM or (meaning is Meaning.HAND_OVER and not pairing.idle(pen)):
        _held_for_symptom(pen, trace)
    elif meaning is Meaning.HAND_OVER:
        pairing.held(pen)


def _held_for_symptom(pen: Inside, trace: Trace | None) -> None:
    """A hold that reports one, but on a pen that touched nobody, which whoever plays with it in a shop would lock."""
    if not pen.touched_nobody:
        feed(pen, _BUTTON_SYMPTOM, trace)


def press_counts(pen: Inside, trace: Trace | None) -> None:
    """The tag that a press waited for was read: in the state that it was for, it starts."""
    pen.press_waits = False
    feed(pen, Event(kind=EventKind.BUTTON, **conditions(pen)), trace)
    settle_writes(pen, trace)
    wind(pen)


def tell_head(pen: Inside, trace: Trace | None) -> None:
    """The seated head changed, or its tag reads differently."""
    head = pen.head
    if head.tag is not None and head.tag.tag_id != head.record.tag_id:
        effects.flush_head(pen)
    event = head.event(pen.store.ledger, pen.state.session_id, pen.declared.tolerance_um, _utc(pen))
    if head.tag is not None:
        pen.shape = shape_of(head.tag.width_um, stamp=head.tag.head == Head.STAMP)
    same = halves(head.record.tag_id) == (pen.state.tag_low, pen.state.tag_high)
    if not (pen.state[0] in MOVING and same and event.verdict == pen.state.head_verdict):
        feed(pen, event, trace)
        effects.head_seated(pen)


def _utc(pen: Inside) -> int:
    return pen.sensors.utc_s if pen.clock.trouble == Clock.SOUND else 0


def _strokes(pen: Inside, dt_ms: int, sensors: Sensors, trace: Trace | None) -> None:
    """Strokes are counted as long as there are any, whatever the state."""
    strokes = sensors.strokes
    touching = touches(sensors.contact or pen.raw_contact, sensors.force_mn)
    punctures = strokes * pen.state.head_needles if touching else 0
    pen.pass_punctures += punctures
    pen.head.strokes(strokes, dt_ms if sensors.motor_on else 0)
    feed(pen, _strokes_event(strokes, punctures), trace)


def _moving(pen: Inside, dt_ms: int, sensors: Sensors, trace: Trace | None) -> None:
    """What can go wrong while the motor turns."""
    if sensors.strokes:
        _strokes(pen, dt_ms, sensors, trace)
    if sensors.peak_um > pen.pass_peak_um:
        pen.pass_peak_um = sensors.peak_um
    cut = pen.gate.cut
    if cut:
        _cut(pen, cut, trace)
    if "detectors" not in pen.disabled:
        pen.force_over_ms, reason = force_step(pen.force_over_ms, dt_ms, sensors.force_mn)
        if reason:
            _stopped_by(pen, reason, trace)
        pen.pair, reason = pair_step(pen.pair, dt_ms, sensors.contact, sensors.force_mn)
        if reason:
            _stopped_by(pen, reason, trace)
        if pen.state[0] in _TURNING:
            pen.rate, reason = rate_step(pen.rate, dt_ms, sensors.strokes, sensors.stroke_us, pen.state.rate_hz)
            if reason:
                _stopped_by(pen, reason, trace)
        else:
            pen.rate = STEADY
    if sensors.supply:
        _stopped_by(pen, int(Reason.SUPPLY_PRESENT), trace)
    if sensors.battery_mv < BATTERY_FLOOR_MV:
        _stopped_by(pen, int(Reason.BATTERY_LOW), trace)
    if not (_temperate(sensors.temperature_c) and _temperate(sensors.motor_c)):
        _stopped_by(pen, int(Reason.TEMPERATURE), trace)


def _cut(pen: Inside, cut: int, trace: Trace | None) -> None:
    """The gate has cut the drive by itself; the therapy hears why."""
    if cut == Cut.PRESS:
        feed(pen, Event(kind=EventKind.BUTTON, **conditions(pen)), trace)
    elif cut == Cut.LEASE:
        _stopped_by(pen, int(Reason.LEASE_LAPSED), trace)
    elif cut == Cut.WATCHDOG:
        _stopped_by(pen, int(Reason.WATCHDOG), trace)


def _stopped_by(pen: Inside, reason: int, trace: Trace | None) -> None:
    kind = EventKind.FAULT
    if reason in _PAUSES:
        kind = EventKind.DETECTED_PAUSE
    elif reason in _STOPS:
        kind = EventKind.DETECTED_STOP
    feed(pen, Event(kind=kind, reason=reason), trace)


def _dwell(pen: Inside, dt_ms: int, sensors: Sensors, trace: Trace | None) -> None:
    if not sensors.contact and pen.dwell is FRESH:
        return
    working = 1 if pen.state[0] == _RUNNING else 0
    punctures = sensors.strokes * pen.state.head_needles if working else 0
    touch = tuple.__new__(Touch, (sensors.contact, working, sensors.dx_um, sensors.dy_um, punctures))
    pen.dwell, reason = dwell_step(pen.dwell, dt_ms, touch, pen.shape)
    if reason and "detectors" not in pen.disabled:
        feed(pen, Event(kind=EventKind.DETECTED_PAUSE, reason=reason), trace)


def _time(pen: Inside, sensors: Sensors, trace: Trace | None) -> None:
    """What the clock really ran, and whether it is still sound."""
    if pen.clock_out_s:
        return
    before = pen.clock
    clock, ran = look(pen.clock, sensors.utc_s, sensors.ran_s)
    if clock is pen.clock:
        return
    pen.clock = clock
    pen.spare_ms, seconds = believed(pen.spare_ms, ran.seconds)
    if seconds:
        pen.run_s += seconds
        feed(pen, Event(kind=EventKind.TIME_RAN, seconds=seconds), trace)
        pairing.ran(pen, seconds)
    if clock.trouble != before.trouble or ran.jumped:
        tell_clock(pen, trace)
        effects.clock_changed(pen, before.utc_s)
    elif pen.run_s - pen.checkpoint_s >= CHECKPOINT_S:
        pen.checkpoint_s = pen.run_s
        effects.count_refusals(pen)
        effects.write(pen)


def tell_clock(pen: Inside, trace: Trace | None) -> None:
    """The clock is not sound: the core hears what is wrong with it."""
    if pen.clock.trouble == Clock.LOST:
        feed(pen, Event(kind=EventKind.CLOCK_LOST), trace)
    elif pen.clock.trouble == Clock.BACK:
        feed(pen, Event(kind=EventKind.CLOCK_BACK), trace)


def clock_taken(pen: Inside) -> int:
    """What the hardware's clock is to be set to, taken."""
    utc_s, pen.clock_out_s = pen.clock_out_s, 0
    if utc_s:
        pen.clock = was_set(pen.clock, utc_s)
        pen.sensors = pen.sensors._replace(utc_s=utc_s)
    return utc_s


def _self_test(pen: Inside, dt_ms: int, sensors: Sensors, trace: Trace | None) -> None:
    seen = Seen(stored=not pen.store.busy, clock_sound=pen.clock.trouble == Clock.SOUND)
    outcome = pen.self_test.step(pen.limits, dt_ms, sensors, pen.declared, cut=pen.gate.cut, seen=seen)
    if outcome is None:
        return
    pen.self_test.report = pen.self_test.report._replace(tick_ms=pen.tick_ms)
    seated = pen.head.tag.tag_id if pen.head.tag is not None else NO_TAG_ID
    badly = seated if outcome.badly_seated else NO_TAG_ID
    if badly != pen.head.badly_seated:
        pen.head.badly_seated = badly
        pen.head.changed = True
    ok = outcome.reason is Reason.NONE
    feed(pen, Event(kind=EventKind.SELF_TEST_DONE, ok=int(ok), reason=int(outcome.reason)), trace)
    effects.self_tested(pen)


def _sample(pen: Inside, dt_ms: int, sensors: Sensors) -> None:
    sampler = pen.sampler
    if pen.state[0] in MOVING:
        sensed = (
            sensors.peak_um,
            sensors.force_mn,
            rate_hz(sensors.stroke_us),
            sensors.contact,
            sensors.dx_um,
            sensors.dy_um,
        )
        batch = sampler.armed(pen.tick_ms, dt_ms, sensed, needles_out=pen.state[0] == _RUNNING)
    elif pen.state[0] == _STOPPING:
        batch = sampler.stopping()
    else:
        batch = sampler.idle(pen.tick_ms, dt_ms, sensors.force_mn, sensors.contact)
    if batch is not None:
        send_telemetry(pen, *batch)


def send_telemetry(pen: Inside, tick_ms: int, samples: bytes) -> None:
    """A batch to the session's owner; with none to everybody who said hello, or only to the pen's owner."""
    owner = pen.state.owner
    for port in pen.ports.values():
        if not port.hears(owners_only=pen.owners_only) or (pen.state.session_id and port.number != owner - 1):
            continue
        port.telemetry_sequence = (port.telemetry_sequence + 1) & SEQUENCE_MASK
        port.notify(Telemetry(sequence=port.telemetry_sequence, tick_ms=tick_ms, samples=samples))
