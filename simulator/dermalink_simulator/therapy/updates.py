"""What a row may write into a field: updates f(limits, state, event, old value), one expression each."""

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Symptom
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.guards import fault_named, worse
from dermalink_simulator.therapy.state import Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import helper, less, most
from dermalink_simulator.therapy.widths import RING_CELLS

# Plain values


def zero(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Nothing, or nothing any more."""
    return 0


def one(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """It is so."""
    return 1


def no_reason(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The code word for none."""
    return Reason.NONE


def left(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Milliseconds left after a tick."""
    return less(old, e.dt_ms)


# Reasons


def told(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The reason that the event brings."""
    return e.reason


def refused_condition(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The condition that the wrapper names."""
    return e.condition


def refused_head(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Why the seated head is refused."""
    return s.head_verdict


@helper
def symptom_reason(e: Event) -> int:
    """The symptom's reason; that of a plain stop if there is no such symptom."""
    return (
        Reason.SYMPTOM_PAIN
        if e.symptom == Symptom.PAIN
        else (
            Reason.SYMPTOM_BLEEDING
            if e.symptom == Symptom.BLEEDING
            else (
                Reason.SYMPTOM_RASH
                if e.symptom == Symptom.RASH
                else (Reason.SYMPTOM_UNSAID if e.symptom == Symptom.UNSAID else Reason.HOST_STOP)
            )
        )
    )


@helper
def cause(e: Event) -> int:
    """Why a pass stops, by the kind of event."""
    return (
        symptom_reason(e)
        if e.kind in (EventKind.SYMPTOM, EventKind.STOP)
        else (
            Reason.CARTRIDGE_CHANGED
            if e.kind == EventKind.HEAD
            else (
                Reason.BUTTON
                if e.kind == EventKind.BUTTON
                else (
                    Reason.LINK_LOST
                    if e.kind == EventKind.LINK_LOST
                    else (
                        Reason.HOST_END
                        if e.kind == EventKind.END_PASS
                        else (Reason.HOST_PAUSE if e.kind == EventKind.PAUSE_PASS else cause_of_close(e))
                    )
                )
            )
        )
    )


@helper
def cause_of_close(e: Event) -> int:
    """Why a session closes, by the kind of event; else the reason that the event brings."""
    return (
        Reason.SESSION_CLOSED
        if e.kind == EventKind.CLOSE_SESSION
        else (
            Reason.CLOCK_LOST
            if e.kind == EventKind.CLOCK_LOST
            else (
                Reason.CLOCK_BACK
                if e.kind == EventKind.CLOCK_BACK
                else (Reason.SESSION_OVER if e.kind == EventKind.TICK else e.reason)
            )
        )
    )


def caused(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The event's cause."""
    return cause(e)


def caused_pause(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The event's cause, unless something as strong was there before."""
    return cause(e) if s.goal < Goal.PAUSE else old


def caused_end(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The event's cause, unless something as strong was there before."""
    return cause(e) if s.goal < Goal.END else old


def caused_close(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The event's cause, unless something as strong was there before."""
    return cause(e) if s.goal < Goal.CLOSE else old


def lapsed(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The lease lapsed."""
    return Reason.LEASE_LAPSED


def lapsed_or_over(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The lease lapsed; or else the session was over."""
    return Reason.LEASE_LAPSED if s.lease_left_ms == 0 else Reason.SESSION_OVER


def lifted(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Too long out of contact."""
    return Reason.LIFT_OFF


def idled(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Armed too long without contact."""
    return Reason.ARMED_IDLE


def unpressed(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Nobody pressed the button."""
    return Reason.PRESS_TIMEOUT


def written_late(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The press was no longer fresh when the begin was written."""
    return Reason.PRESS_STALE


def resumed_too_late(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Nobody resumed in time."""
    return Reason.RESUME_TOO_LATE


def budget_spent(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The pass has made all its punctures."""
    return Reason.BUDGET_REACHED


def worn_out(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head has made all its strokes."""
    return Reason.CARTRIDGE_WORN_OUT


# Goals and writes


def rest(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Leads to rest."""
    return Goal.REST


def pause(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Leads at least to a pause."""
    return most(old, Goal.PAUSE)


def end(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Leads at least to the pass's end."""
    return most(old, Goal.END)


def close(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Leads at least to the session's end."""
    return most(old, Goal.CLOSE)


def fault(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Leads to a fault."""
    return Goal.FAULT


def write_open(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The session's opening is being written."""
    return Write.OPEN


def write_begin(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The pass's begin is being written."""
    return Write.BEGIN


def write_end(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The pass's end is being written."""
    return Write.END


def write_close(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The session's end is being written."""
    return Write.CLOSE


# Times


def stop_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until "stop failed"."""
    return k.stop_failed_ms


def press_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until a press comes too late."""
    return k.press_within_ms


def fresh_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until a press is no longer fresh."""
    return k.press_fresh_ms


def spin_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until the motor is up."""
    return k.spin_up_ms


def idle_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until armed without contact is over."""
    return k.armed_idle_ms


def lift_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until the needles go in out of contact."""
    return k.lift_retract_ms


def return_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until a lift is a pause."""
    return k.lift_pause_ms


def test_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until a self-test counts as failed."""
    return k.self_test_within_ms


def resume_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until an interrupted pass is over."""
    return k.resume_within_ms


def session_time(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Until a session is over."""
    return k.session_max_ms


# Faults


def faulted(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The worse of the latched fault and the event's."""
    return worse(s.fault, fault_named(e))


def loaded_fault(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The worse of the ledger's fault and one since power-up."""
    return worse(s.fault, e.reason)


def test_failed(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The worse of the latched fault and the failed step's."""
    return worse(s.fault, e.reason if e.reason != Reason.NONE else Reason.SELF_TEST_FAILED)


def test_late(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The worse of the latched fault and that of a self-test that did not end."""
    return worse(s.fault, Reason.SELF_TEST_FAILED)


def flash_failed(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The worse of the latched fault and that of a write that went wrong."""
    return worse(s.fault, Reason.FLASH_FAILED)


def stop_failed(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Needles not measured in, or motor not measured off, in time."""
    return Reason.STOP_NOT_CONFIRMED


# Session


def boot_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The power-up's number."""
    return e.boot_id


def session_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The session's number."""
    return e.session_id


def port_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The event's connection."""
    return e.port


def lease_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The lease that is asked for."""
    return e.lease_ms


def renewed(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The lease, counted from the tick that the renewal quotes, not from its arrival."""
    return most(old, less(s.lease_ms, e.age_ms))


# Commands


def id_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The command's id."""
    return e.command_id


def digest_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The command's content."""
    return e.digest


def next_cell(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The ring's next cell."""
    return old + 1 if old + 1 < RING_CELLS else 0
