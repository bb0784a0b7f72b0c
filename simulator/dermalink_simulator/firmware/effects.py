"""What the therapy core asks to be done, done: writes as transactions, the self-test, the clock."""

from typing import Any, Final

from dermalink_protocol.codewords import Reason, RecordKind, State
from dermalink_protocol.history_entries import (
    ClockSetEntry,
    Entry,
    FaultCleared,
    FaultLatched,
    HeadSeated,
    HeadUsed,
    PassBegunEntry,
    PassEndedEntry,
    PassInterrupted,
    PassResumedEntry,
    PoweredUp,
    RefusedCount,
    SelfTested,
    SessionAdoptedEntry,
    SessionClosedEntry,
    SessionOpenedEntry,
    StoppedEntry,
    SymptomEntry,
)
from dermalink_protocol.messages.identity import SelfTestStep
from dermalink_protocol.zones import Direction, Symptom, Zone, pass_bits
from dermalink_simulator.firmware.detectors import new_spot, resumed
from dermalink_simulator.firmware.flash_layout import StateRecord
from dermalink_simulator.firmware.flash_store import Transaction, head_of
from dermalink_simulator.firmware.identity import FIRMWARE_VERSION
from dermalink_simulator.firmware.inside import SYMPTOM_SHOWN_MS, Inside
from dermalink_simulator.firmware.untold import NONE_UNTOLD, one_more, told_as_one
from dermalink_simulator.seam import PowerCause
from dermalink_simulator.therapy.answer import Effect
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import MOVING, Clock, TherapyState, Write

UNTRACKED: Final = 0  # a write that nobody waits for
CLOCK: Final = 5  # beside the numbers of `Write`
SYMPTOM: Final = 6
PAIRING: Final = 7
# The same symptom said again begins its lock anew, and stands in the history once; so often the lock is written anew.
SYMPTOM_AGAIN_S: Final = 60
HEAD_FIELDS: Final = frozenset({"head_tag_id", "head_sessions", "head_strokes", "head_motor_s", "head_session_id"})
RESERVE_FACTOR: Final = 2  # strokes out of contact come on top of those that the budget allows
NOT_MEASURED: Final = 0xFFFF


def passes_done(state: TherapyState) -> int:
    """The session's passes, as the messages tell them."""
    return sum(pass_bits(zone, directions) for zone, directions in enumerate(state.done) if zone)


def durable(pen: Inside) -> dict[str, Any]:
    """The fields of the store's record as they are now; a pass that is begun or about to be counts as touching skin."""
    state, head, desk = pen.state, pen.head.record, pen.pairing.desk
    spending = state.written == 1 or state.writing == Write.BEGIN
    touched = spending or any(state.done)
    needles = max(1, state.head_needles)
    reserved = RESERVE_FACTOR * -(-state.pass_left // needles) if spending else 0
    return {
        "run_s": pen.run_s,
        "clock_s": pen.sensors.utc_s if pen.clock.trouble == Clock.SOUND else pen.store.record.clock_s,
        "chip_s": pen.sensors.ran_s,
        "clock_trouble": pen.clock.trouble,
        "wait_s": max(state.wait_s, pen.limits.interval_s) if spending else state.wait_s,
        "lock_s": state.symptom_s,
        "advice_due": state.advice_due,
        "fault": state.fault,
        "session_id": max(pen.store.record.session_id, state.session_id),
        "session_open": int(state.session_id != 0),
        "touched": int(touched),
        "passes": passes_done(state),
        "head_tag_id": head.tag_id,
        "head_sessions": head.sessions,
        "head_strokes": head.strokes,
        "head_motor_s": head.motor_s,
        "head_session_id": head.session_id,
        "reserved_strokes": reserved,
        "reserved_motor_s": -(-reserved // max(1, state.rate_hz)),
        "wrong_codes": desk.wrong,
        "barred_s": desk.barred_s,
        "bar_due": desk.bar_due,
    }


def write(
    pen: Inside,
    *entries: Entry,
    token: int = UNTRACKED,
    to_ledger: bool = False,
    urgent: bool = False,
    **changes: Any,
) -> None:
    """Write the durable fields and `entries` down, in one; a write that finds no room ends as failed at once.

    Entries that are not about a session are left out when only a session's own reserve is left, and all but those that
    must come before a stroke when there is no room at all: a full history is no fault, it only starts nothing
    (SR-SEC-5). What is `urgent` is written before all else that waits.
    """
    own = frozenset(changes) | (HEAD_FIELDS if to_ledger else frozenset())
    if not pen.store.history.has_room:
        entries = tuple(entry for entry in entries if _bears_therapy(pen, entry))
    transaction = Transaction(token, durable(pen) | changes, entries, to_ledger, own, urgent)
    if pen.store.submit(transaction):
        return
    if token in (Write.OPEN, Write.BEGIN) or not pen.store.submit(transaction._replace(entries=())):
        pen.written.append((token, False))


def _bears_therapy(pen: Inside, entry: Entry) -> bool:
    """Whether the entry tells of a session, the open one or one that it names."""
    in_session = pen.state.session_id != 0 or getattr(entry, "session_id", 0) != 0
    return in_session and not isinstance(entry, SessionAdoptedEntry | ClockSetEntry)


def note(pen: Inside, entry: Entry) -> None:
    """Write down what is good to know but bears no therapy; left out when the history has only its reserve left."""
    if pen.store.history.has_room:
        write(pen, entry)


def carry_out(pen: Inside, effects: int, event: Event, before: TherapyState) -> None:
    """Do what the bits of `Effect` ask for."""
    if effects & Effect.START_SELF_TEST:
        pen.self_test.start()
        if pen.booted:
            write(pen)  # so that the storage is exercised; at power-up the boot's own record does that
    for effect, action in ACTIONS.items():
        if effects & effect:
            action(pen, event, before)


def _open(pen: Inside, _event: Event, _before: TherapyState) -> None:
    number, digest = pen.host_record
    entry = SessionOpenedEntry(session_id=pen.state.session_id, host_record_number=number, host_record_hash=digest)
    write(pen, entry, token=Write.OPEN)


def _begin(pen: Inside, _event: Event, _before: TherapyState) -> None:
    state = pen.state
    fresh = pen.head.begin(state.session_id)
    tag_id = pen.head.record.tag_id
    pen.pass_peak_um = pen.pass_punctures = 0
    pen.dwell = new_spot(pen.dwell)
    _tell_head(pen)  # so that maker, lot and sterile date stand there before its first stroke (SR-TRACE-1)
    entries: list[Entry] = []
    if fresh:
        sessions = pen.head.record.sessions
        entries.append(HeadUsed(session_id=state.session_id, tag_id=tag_id, sessions_used=sessions))
    entries.append(
        PassBegunEntry(
            session_id=state.session_id,
            zone=Zone(state.zone),
            direction=Direction(state.direction),
            depth_um=state.depth_um,
            rate_hz=state.rate_hz,
            speed_mm_s=state.speed_mm_s,
            tag_id=tag_id,
            budget=state.pass_left,
        )
    )
    if "ledger-before-stroke" in pen.disabled:
        pen.written.append((int(Write.BEGIN), True))
    else:
        write(pen, *entries, token=Write.BEGIN, to_ledger=fresh)


def flush_head(pen: Inside) -> None:
    """Before another head is seated: what the one before it did goes into the ledger."""
    record = pen.head.record
    if record.sessions and record != pen.store.ledger.find(record.tag_id):
        write(pen, to_ledger=True)


def _end(pen: Inside, _event: Event, before: TherapyState) -> None:
    state = pen.state
    entry = PassEndedEntry(
        session_id=state.session_id,
        zone=Zone(state.zone or before.zone),
        direction=Direction(state.direction or before.direction),
        reason=Reason(state.reason),
        punctures=pen.pass_punctures,
        budget_left=state.pass_left,
        peak_depth_um=pen.pass_peak_um,
    )
    write(pen, entry, token=Write.END, reserved_strokes=0, reserved_motor_s=0, wait_s=state.wait_s)


def _close(pen: Inside, _event: Event, before: TherapyState) -> None:
    number, digest = pen.host_record
    touched = any(pen.state.done) or any(before.done)
    entry = SessionClosedEntry(
        session_id=pen.state.session_id or before.session_id,
        reason=Reason(pen.state.reason),
        touched=int(touched),
        passes_done=passes_done(pen.state) | passes_done(before),
        host_record_number=number,
        host_record_hash=digest,
    )
    head_worked = pen.head.record.session_id == entry.session_id
    write(pen, entry, token=Write.CLOSE, to_ledger=head_worked, session_open=0)
    count_refusals(pen)
    if touched:
        tell_untold(pen)  # with a session that touched skin, so never more often than those are


def _fault(pen: Inside, _event: Event, _before: TherapyState) -> None:
    fault = Reason(pen.state.fault)
    limit = {
        Reason.DEPTH_EXCEEDED: pen.limits.depth_cap_um,
        Reason.DEPTH_OVER_SETTING: pen.setting_um,
    }.get(fault, 0)
    measured = pen.pass_peak_um if limit else 0
    write(pen, FaultLatched(fault=fault, measured=measured, limit=limit), urgent=True)


def _cleared(pen: Inside, _event: Event, before: TherapyState) -> None:
    pen.monitor, pen.monitor_told = type(pen.monitor)(), False
    pen.second.keep_monitor(pen.monitor)
    write(pen, FaultCleared(fault=Reason(before.fault)))


def _symptom(pen: Inside, event: Event, before: TherapyState) -> None:
    symptom = Symptom(event.symptom)
    by_owner = int(event.port in (0, before.owner))
    told, said = pen.symptoms, (int(symptom), by_owner, before.session_id)
    if before.symptom_s == 0 or told.failed:
        told.noted.clear()
    again = said in told.noted
    if again and pen.run_s - told.noted_run_s < SYMPTOM_AGAIN_S:
        told.shown_ms = SYMPTOM_SHOWN_MS if told.written == told.said else told.shown_ms
        return
    told.noted.add(said)
    told.noted_run_s = pen.run_s
    told.said += 1
    entry = SymptomEntry(symptom=symptom, by_owner=by_owner, session_id=before.session_id)
    write(pen, *(() if again else (entry,)), token=SYMPTOM, urgent=True)


def _set_clock(pen: Inside, event: Event, _before: TherapyState) -> None:
    before_s = pen.sensors.utc_s
    entries: tuple[Entry, ...] = ()
    apart_s = abs(event.utc_s - event.clock_now_s)
    if event.utc_s != before_s or pen.clock.trouble != Clock.SOUND:
        entries = (ClockSetEntry(before_utc_s=before_s, after_utc_s=event.utc_s, wait_left_s=pen.state.wait_s),)
        if event.pressed and apart_s > pen.limits.clock_jump_max_s:
            pen.press_left_ms = 0  # a press speaks for one new clock
        elif not event.pressed:
            pen.clock_sets.note(pen.run_s, abs(event.utc_s - before_s))
    pen.clock_wanted_s, pen.clock_failed = event.utc_s, False
    ran_s = pen.sensors.ran_s  # clock and chip belong together
    write(pen, *entries, token=CLOCK, clock_s=event.utc_s, chip_s=ran_s, clock_trouble=int(Clock.SOUND))


ACTIONS: Final = {
    Effect.WRITE_OPEN: _open,
    Effect.WRITE_BEGIN: _begin,
    Effect.WRITE_END: _end,
    Effect.WRITE_CLOSE: _close,
    Effect.WRITE_FAULT: _fault,
    Effect.WRITE_CLEARED: _cleared,
    Effect.WRITE_SYMPTOM: _symptom,
    Effect.SET_CLOCK: _set_clock,
}


def on_transition(pen: Inside, before: TherapyState) -> None:
    """What the history tells of a change of state that no effect asked to be written."""
    after = pen.state
    if after.state == State.WAITING:
        pen.pressed = False  # a press from before the host's word is no answer to it (SR-STOP-5)
    if before.state == State.WAITING:
        pen.press_waits = False
    if before.state == State.STOPPING:
        needles_in_ms = pen.stop_ms if after.state != State.STOP_FAILED else NOT_MEASURED
        reason = Reason(after.reason)
        write(pen, StoppedEntry(session_id=before.session_id, reason=reason, needles_in_ms=needles_in_ms))
    if after.state == State.PAUSED and before.state in (State.STOPPING, State.RECORDING):
        write(
            pen,
            PassInterrupted(
                session_id=after.session_id,
                zone=Zone(after.zone),
                direction=Direction(after.direction),
                reason=Reason(after.reason),
                punctures=pen.pass_punctures,
                peak_depth_um=pen.pass_peak_um,
            ),
        )
    if after.state == State.SPIN_UP and before.state == State.WAITING:
        pen.dwell = resumed(pen.dwell)
        left = pen.limits.resumes_max - after.resumes
        direction = Direction(after.direction)
        write(
            pen,
            PassResumedEntry(
                session_id=after.session_id, zone=Zone(after.zone), direction=direction, resumes_left=left
            ),
        )
    if after.state in MOVING and before.state not in MOVING:
        pen.stop_ms = 0


def _folded(record: StateRecord) -> dict[str, Any]:
    """The head last worked with, with all that a pass which power cut short may have come to."""
    return {
        "head_tag_id": record.head_tag_id,
        "head_sessions": record.head_sessions,
        "head_strokes": record.head_strokes + record.reserved_strokes,
        "head_motor_s": record.head_motor_s + record.reserved_motor_s,
        "head_session_id": record.head_session_id,
    }


def powered_up(pen: Inside, cause: PowerCause) -> None:
    """The boot's own record, and the end of a session that power cut short: one write."""
    record = pen.store.record
    start_entry = PoweredUp(
        cause=cause,
        boot_id=pen.boot_id,
        firmware_version=FIRMWARE_VERSION,
        calibration_id=pen.store.calibration_id,
        serial_number=pen.store.factory.serial_number,
    )
    singly = pen.store.history.has_start_room(news=cause == PowerCause.WATCHDOG)
    entries: list[Entry] = [start_entry] if singly else []
    if record.session_open:
        entries.insert(
            0,
            SessionClosedEntry(
                session_id=record.session_id,
                reason=Reason.POWER_LOST,
                touched=record.touched,
                passes_done=record.passes,
                host_record_number=0,
                host_record_hash=bytes(32),
            ),
        )
    own = {
        "boot_count": record.boot_count + 1,
        "session_open": 0,
        "touched": 0,
        "passes": 0,
        **_folded(record),
        "reserved_strokes": 0,
        "reserved_motor_s": 0,
        **({} if singly else one_more(record, start_entry)),
    }
    changes = durable(pen) | own
    if record.head_sessions:
        pen.store.ledger.hold(head_of(record._replace(**changes)))
    start = Transaction(UNTRACKED, changes, tuple(entries), bool(record.head_sessions), frozenset(own))
    if not pen.store.submit(start):
        pen.store.submit(start._replace(entries=()))  # without room for its history, a start counts all the same


def self_tested(pen: Inside) -> None:
    """How a self-test ended."""
    report = pen.self_test.report
    entry = SelfTested(
        done=SelfTestStep(report.done),
        failed=SelfTestStep(report.failed),
        retraction_ms=report.retraction_ms,
        disagreement_um=report.disagreement_um,
    )
    if pen.store.history.has_start_room(news=_is_news(pen, entry)):
        write(pen, entry)
    else:
        write(pen, **one_more(pen.store.newest, entry))


def _is_news(pen: Inside, entry: SelfTested) -> bool:
    """Whether a self-test failed in other steps than the last one told of."""
    last = pen.store.history.newest(RecordKind.SELF_TESTED)
    told = last.entry() if last is not None else None
    return not isinstance(told, SelfTested) or told.failed != entry.failed


def clock_changed(pen: Inside, before_s: int) -> None:
    """The clock shows something else than it should, and nobody set it by a command; 0 is lost."""
    entry = ClockSetEntry(before_utc_s=before_s, after_utc_s=pen.sensors.utc_s, wait_left_s=pen.state.wait_s)
    write(pen, entry)


def head_seated(pen: Inside) -> None:
    """Another head than the last one told of was fitted, and its tag was read."""
    if pen.store.history.has_start_room():
        _tell_head(pen)


def heads_told(pen: Inside) -> None:
    """At a start: the head that the history told this owner of last needs no second record."""
    if pen.store.trouble is not Reason.NONE:
        return
    last = pen.store.history.newest(RecordKind.HEAD_SEATED)
    told = last.entry() if last is not None and last.owner == pen.store.record.owners else None
    if isinstance(told, HeadSeated):
        pen.noted_tag_id = told.tag_id


def _tell_head(pen: Inside) -> None:
    tag = pen.head.tag
    if tag is None or tag.tag_id == pen.noted_tag_id:
        return
    pen.noted_tag_id = tag.tag_id
    write(
        pen,
        HeadSeated(
            tag_id=tag.tag_id,
            maker=tag.maker,
            lot=tag.lot,
            head=tag.head,
            needles=tag.needles,
            width_um=tag.width_um,
            protrusion_um=tag.protrusion_um,
            sterile_until_s=tag.sterile_until_s,
            reason=Reason(pen.state.head_verdict),
        ),
    )


def adopted(pen: Inside) -> None:
    """Another connection took the session over."""
    write(pen, SessionAdoptedEntry(session_id=pen.state.session_id))


def count_refusals(pen: Inside) -> None:
    """All refusals since the last such record, as one, as long as such records have room."""
    if pen.refusals and pen.store.history.has_refusal_room:
        opcode, reason = pen.last_refusal
        note(pen, RefusedCount(refusals=pen.refusals, opcode=opcode, reason=Reason(reason)))
        pen.refusals = 0


def tell_untold(pen: Inside) -> None:
    """All starts and self-tests that have no record of their own, as one; they stay counted while there is no room."""
    entry = told_as_one(pen.store.newest)
    if entry is not None and pen.store.history.has_room:
        write(pen, entry, **NONE_UNTOLD)
