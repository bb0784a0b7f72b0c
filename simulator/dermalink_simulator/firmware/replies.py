"""What the pen answers: to questions from what it knows, to commands from the state that they led to."""

from collections.abc import Callable
from typing import Any, Final

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import (
    CALIBRATION_S,
    DENSITY_MAX_PER_CM2,
    DEPTH_CAP_UM,
    DEPTH_MIN_UM,
    DEPTH_STEP_UM,
    LEASE_MAX_MS,
    NEEDLES_MAX,
    PASSES_PER_ZONE,
    PROTOCOL_VERSION,
    RESUMES_PER_PASS,
    SPEED_MAX_MM_S,
    TTL_MAX_MS,
)
from dermalink_protocol.messages import identity, records, refusal, stop, therapy
from dermalink_protocol.messages.identity import CartridgeFlag
from dermalink_protocol.schema import Message
from dermalink_protocol.zones import Head
from dermalink_simulator.firmware import stranger_view
from dermalink_simulator.firmware.core import status_flags
from dermalink_simulator.firmware.effects import passes_done
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.tags import MAKERS, NO_TAG_ID
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import Clock

COUNT_MAX: Final = 0xFFFF


def status(pen: Inside, *, to_stranger: bool = False) -> identity.Status:
    """How the pen stands; to a stranger as `stranger_view` has it."""
    state, sensors = pen.state, pen.sensors
    has_pass = state.written == 1
    whole = identity.Status(
        tick_ms=pen.tick_ms,
        state=State(state.state),
        reason=Reason(state.fault if state.fault != Reason.NONE else pen.told_reason),
        flags=status_flags(pen),
        session_id=state.session_id,
        zone=state.zone,
        direction=state.direction,
        depth_um=state.depth_um,
        rate_hz=state.rate_hz,
        peak_depth_um=pen.pass_peak_um,
        force_mn=sensors.force_mn,
        punctures=pen.pass_punctures,
        punctures_left=state.pass_left,
        resumes_left=int(RESUMES_PER_PASS) - state.resumes if has_pass else 0,
        lease_left_ms=state.lease_left_ms,
        session_left_s=-(-state.session_left_ms // 1_000),
        wait_s=max(state.wait_s, state.symptom_s),
        utc_s=sensors.utc_s if pen.clock.trouble == Clock.SOUND else 0,
        battery_percent=sensors.battery_percent,
        overruns=min(pen.lost + sum(port.lost for port in pen.ports.values()), COUNT_MAX),
    )
    return stranger_view.told(whole, state.wait_s) if to_stranger else whole


def last_command(pen: Inside) -> identity.LastCommand:
    """The last therapy command that was applied."""
    session_id, command_id, opcode, tick_ms = pen.last
    return identity.LastCommand(
        boot_id=pen.boot_id, session_id=session_id, command_id=command_id, applied_opcode=opcode, tick_ms=tick_ms
    )


def cartridge(pen: Inside) -> identity.Cartridge:
    """The seated head: what its tag says, what the ledger counts, why it is refused."""
    head, tag = pen.head, pen.head.tag
    flags = CartridgeFlag.PRESENT if head.present else CartridgeFlag(0)
    blank: dict[str, Any] = dict.fromkeys(identity.Cartridge.__annotations__, 0)
    blank |= {"tag_id": NO_TAG_ID, "reason": Reason(pen.state.head_verdict)}
    if tag is None:
        return identity.Cartridge(**blank | {"flags": flags})
    record = pen.store.ledger.find(tag.tag_id) if tag.tag_id != head.record.tag_id else head.record
    in_session = pen.state.session_id != 0 and record.session_id == pen.state.session_id
    utc_s = pen.sensors.utc_s if pen.clock.trouble == Clock.SOUND else 0
    flags |= CartridgeFlag.READABLE
    for flag, is_set in (
        (CartridgeFlag.MAKER_KNOWN, tag.maker in MAKERS),
        (CartridgeFlag.USED_IN_LEDGER, record.sessions > 0),
        (CartridgeFlag.USED_THIS_SESSION, in_session),
        (CartridgeFlag.EXPIRED, not 0 < utc_s <= tag.sterile_until_s),
        (CartridgeFlag.REUSABLE, tag.sessions_allowed > 1),
    ):
        if is_set:
            flags |= flag
    return identity.Cartridge(
        flags=flags,
        tag_id=tag.tag_id,
        maker=tag.maker,
        lot=tag.lot,
        head=tag.head if tag.head in (Head.GLIDE, Head.STAMP) else 0,
        needles=tag.needles,
        width_um=tag.width_um,
        protrusion_um=tag.protrusion_um,
        sterile_until_s=tag.sterile_until_s,
        sessions_allowed=tag.sessions_allowed,
        sessions_used=record.sessions,
        strokes=record.strokes,
        motor_s=record.motor_s,
        reason=Reason(pen.state.head_verdict),
    )


def self_test(pen: Inside) -> identity.SelfTestReport:
    """How the last self-test ended."""
    return identity.SelfTestReport(**pen.self_test.report._asdict())


def history_state(pen: Inside) -> records.HistoryState:
    """How far the history reaches; a chain that does not hold shows as a hole."""
    history = pen.store.history
    broken = pen.store.trouble is Reason.HISTORY_BROKEN
    return records.HistoryState(
        first_number=1 if history.records else 0,
        last_number=history.anchor.number,
        last_hash=history.anchor.hash,
        first_hole=history.first_hole if broken else 0,
    )


def _open(pen: Inside, _request: Any, applied: dict[str, Any]) -> Message:
    anchor = pen.store.history.anchor
    return therapy.SessionOpened(
        **applied, session_id=pen.state.session_id, history_number=anchor.number, history_hash=anchor.hash
    )


def _adopt(pen: Inside, _request: Any, applied: dict[str, Any]) -> Message:
    return therapy.SessionAdopted(**applied, session_id=pen.state.session_id, passes_done=passes_done(pen.state))


def _close(pen: Inside, _request: Any, done: dict[str, Any]) -> Message:
    anchor = pen.store.history.anchor
    return therapy.SessionClosed(**done, history_number=anchor.number, history_hash=anchor.hash)


def _prepare(pen: Inside, _request: Any, applied: dict[str, Any]) -> Message:
    state = pen.state
    left = pen.limits.zone_budget[state.zone] - state.spent[state.zone]
    budget = min(pen.limits.pass_budget[state.zone], max(0, left))
    return therapy.Prepared(**applied, frame_id=state.frame_id, budget=budget)


def _begin(pen: Inside, _request: Any, applied: dict[str, Any]) -> Message:
    return therapy.PassBegun(**applied, press_within_ms=pen.state.timer_ms)


def _resume(pen: Inside, _request: Any, applied: dict[str, Any]) -> Message:
    return therapy.PassResumed(**applied, press_within_ms=pen.state.timer_ms, punctures_left=pen.state.pass_left)


def _renew(pen: Inside, _request: Any, _done: dict[str, Any]) -> Message:
    return therapy.LeaseRenewed(tick_ms=pen.tick_ms, lease_left_ms=pen.state.lease_left_ms)


def _clock(_pen: Inside, request: Any, applied: dict[str, Any]) -> Message:
    return therapy.ClockSet(**applied, utc_s=request.utc_s)


APPLIED: Final[dict[type[Message], Callable[[Inside, Any, dict[str, Any]], Message]]] = {
    therapy.OpenSession: _open,
    therapy.AdoptSession: _adopt,
    therapy.CloseSession: _close,
    therapy.Prepare: _prepare,
    therapy.BeginPass: _begin,
    therapy.ResumePass: _resume,
    therapy.PausePass: lambda _pen, _request, done: therapy.PassPaused(**done),
    therapy.EndPass: lambda _pen, _request, done: therapy.PassEnded(**done),
    therapy.RenewLease: _renew,
    therapy.AcknowledgeFault: lambda _pen, _request, applied: therapy.FaultAcknowledged(**applied),
    therapy.RunSelfTest: lambda _pen, _request, applied: therapy.SelfTestStarted(**applied),
    therapy.SetClock: _clock,
    stop.Stop: lambda _pen, _request, done: stop.Stopped(**done),
    stop.ReportSymptom: lambda _pen, _request, done: stop.SymptomReported(**done),
}


def granted(pen: Inside, request: Message) -> Message:
    """The reply to a command that was applied, from the state that it led to."""
    told: dict[str, Any] = {"tick_ms": pen.tick_ms, "state": State(pen.state.state)}
    if isinstance(request, therapy.TherapyCommand):
        told["command_id"] = request.command_id
    return APPLIED[type(request)](pen, request, told)


def refused(opcode: int, reason: int, limit: int = 0) -> refusal.Refused:
    """A refusal."""
    return refusal.Refused(refused_opcode=opcode, reason=Reason(reason), limit=limit)


NUMBERS: Final[dict[int, int]] = {
    Reason.DEPTH_OVER_CAP: int(DEPTH_CAP_UM),
    Reason.DEPTH_UNDER_MIN: int(DEPTH_MIN_UM),
    Reason.DEPTH_OFF_STEP: int(DEPTH_STEP_UM),
    Reason.SPEED_OUT_OF_RANGE: int(SPEED_MAX_MM_S),
    Reason.DENSITY_TOO_HIGH: int(DENSITY_MAX_PER_CM2),
    Reason.CARTRIDGE_OVER_CAP: int(DEPTH_CAP_UM),
    Reason.CARTRIDGE_OVER_NEEDLES: int(NEEDLES_MAX),
    Reason.ZONE_FULL: int(PASSES_PER_ZONE),
    Reason.RESUMES_USED_UP: int(RESUMES_PER_PASS),
    Reason.TTL_TOO_LONG: int(TTL_MAX_MS),
    Reason.COMMAND_LATE: int(TTL_MAX_MS),
    Reason.LEASE_OUT_OF_RANGE: int(LEASE_MAX_MS),
    Reason.VERSION_MISMATCH: int(PROTOCOL_VERSION),
    Reason.CALIBRATION_EXPIRED: int(CALIBRATION_S),
}


def limit_of(pen: Inside, reason: int, event: Event) -> int:
    """The number that goes with a refusal, in the unit of the field concerned; 0 where there is none."""
    state, limits = pen.state, pen.limits
    if reason == Reason.DEPTH_OVER_ZONE_CAP:
        return limits.zone_cap_um[event.zone or state.zone]
    if reason == Reason.DEPTH_OVER_CARTRIDGE:
        return state.head_reach_um
    if reason == Reason.RATE_OUT_OF_RANGE:
        return limits.rate_max_hz if event.rate_hz > limits.rate_max_hz else limits.rate_min_hz
    if reason == Reason.INTERVAL_NOT_OVER:
        return state.wait_s
    if reason == Reason.SYMPTOM_LOCK:
        return state.symptom_s
    if reason == Reason.COMMAND_ID_NOT_NEWER:
        return min(state.last_id, 0x7FFF_FFFF)
    if reason == Reason.COMMAND_ID_TOO_FAR:
        return min(state.last_id + limits.ids_ahead_max, 0x7FFF_FFFF)
    if reason == Reason.COMMAND_LATE:
        return event.ttl_ms
    if reason == Reason.BATTERY_LOW:
        return limits.battery_start_percent
    return NUMBERS.get(reason, 0)
