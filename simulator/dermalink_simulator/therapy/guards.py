"""Who may, when, and how far along: guards f(limits, state, event) of one expression each."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Symptom
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import Clock, Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import apart, helper

CLEARABLE: Final = (
    int(Reason.RATE_OVER),
    int(Reason.STALLED),
    int(Reason.WATCHDOG),
    int(Reason.DRIVE_FAULT),
    int(Reason.SENSOR_FAULT),
    int(Reason.FLASH_FAILED),
    int(Reason.BUTTON_STUCK),
    int(Reason.SELF_TEST_FAILED),
    int(Reason.TEMPERATURE),
    int(Reason.CARTRIDGE_BADLY_SEATED),
)
"""Faults that a self-test and a press clear; every other needs service (SR-RST-3)."""


def always(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Whatever the rest is."""
    return True


# Who


def stranger(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Not from an authenticated connection."""
    return e.authenticated != 1 or e.port == 0


def wrong_session(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Not about the open session."""
    return s.session_id == 0 or e.session_id != s.session_id


def not_owner(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Not from the session's owner."""
    return e.port != s.owner


def owned_by_other(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The session has an owner, and this is another."""
    return s.owner != 0 and e.port != s.owner


def owned(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The session has an owner, be it this one."""
    return s.owner != 0


def from_owner(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """It is the owner's connection."""
    return s.owner != 0 and e.port == s.owner


@helper
def symptom_known(e: Event) -> bool:
    """The symptom is one that exists."""
    return e.symptom in (Symptom.PAIN, Symptom.BLEEDING, Symptom.RASH, Symptom.UNSAID)


@helper
def symptom_counts(s: TherapyState, e: Event) -> bool:
    """From the pen's button, the owner, or anybody authenticated while nobody owns a session."""
    return symptom_known(e) and e.authenticated == 1 and (e.port == 0 or s.owner == 0 or e.port == s.owner)


def locks(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A symptom that locks, not only stops."""
    return symptom_counts(s, e)


def locks_fresh(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The same while waiting for the first press."""
    return symptom_counts(s, e) and s.written == 0


def to_rest_locks(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A symptom that locks, while a self-test stops."""
    return s.goal == Goal.REST and symptom_counts(s, e)


# Sessions


def other_boot(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The host speaks to an earlier power-up."""
    return e.boot_id != s.boot_id


def no_session_id(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """No session has number 0."""
    return e.session_id == 0


def lease_wrong(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A lease is 100 to 1000 ms."""
    return e.lease_ms < k.lease_min_ms or e.lease_ms > k.lease_max_ms


def clock_lost(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The clock was lost and not set since."""
    return s.clock == Clock.LOST


def clock_back(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The clock is before the last record."""
    return s.clock == Clock.BACK


def symptom_locked(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A symptom was reported: in this session, or its wait is not over, or a clinician's advice is due."""
    return s.symptom != 0 or s.symptom_s != 0 or s.advice_due != 0


def waiting_time(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The wait since the last session is not over."""
    return s.wait_s != 0


def self_test_due(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """No self-test has passed since power-up, the last session and the last fault."""
    return s.self_tested == 0


def conditioned(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The wrapper names a condition under which nothing starts."""
    return e.condition != Reason.NONE


def session_ends(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The session's time is over with this tick."""
    return s.session_left_ms <= e.dt_ms


def session_ends_fresh(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The same while waiting for the first press."""
    return s.session_left_ms <= e.dt_ms and s.written == 0


def has_session(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A session is open."""
    return s.session_id != 0


def cleared_open(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A self-test has passed since the fault, in a session whose time is not over."""
    return s.self_tested == 1 and s.session_id != 0 and s.session_left_ms != 0


def cleared_over(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A self-test has passed since the fault, in a session."""
    return s.self_tested == 1 and s.session_id != 0


def cleared(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A self-test has passed since the fault."""
    return s.self_tested == 1


# Passes


def fresh(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The frame's pass has not begun."""
    return s.written == 0


def fresh_from_owner(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The frame's pass has not begun, and it is the owner's connection."""
    return s.written == 0 and s.owner != 0 and e.port == s.owner


def lease_over(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The lease lapses with this tick."""
    return s.lease_left_ms <= e.dt_ms


def session_over(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The session's time is over."""
    return s.session_left_ms == 0


def no_lease(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """No lease is running."""
    return s.lease_left_ms == 0


def time_over(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The state's timer ends with this tick."""
    return s.timer_ms <= e.dt_ms


def press_old(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """What is being written was to go on by itself, and the press is no longer fresh."""
    return s.goal == Goal.GO and s.timer_ms <= e.dt_ms


def time_over_fresh(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The same, and the pass has not begun."""
    return s.timer_ms <= e.dt_ms and s.written == 0


def resume_over(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The interrupted pass can be resumed no longer."""
    return s.written == 1 and s.pass_ms <= e.dt_ms


def in_contact(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The head touches skin."""
    return e.contact != 0


def resumes_used_up(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The pass was resumed as often as it may be."""
    return s.resumes >= k.resumes_max


def renewal_stale(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The lease would have ended before the renewal came, counted from the tick that it quotes."""
    return e.age_ms >= s.lease_ms


def head_worn(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """With these strokes the head has made all that it may."""
    return s.head_strokes <= e.strokes


def budget_reached(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """With these punctures the pass has made all that it may."""
    return s.pass_left <= e.punctures


def budget_reached_framed(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The same, while a frame is held and stopping led to a pause."""
    return s.zone != 0 and s.goal == Goal.PAUSE and s.pass_left <= e.punctures


def has_frame(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A frame is held."""
    return s.zone != 0


# Stopping


def to_rest(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """What stops is a self-test."""
    return s.goal == Goal.REST


def to_rest_faulty(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """What stops is a self-test, with a fault latched."""
    return s.goal == Goal.REST and s.fault != Reason.NONE


def to_pause(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Stopping leads to a pause."""
    return s.goal == Goal.PAUSE


def to_end_or_close(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Stopping leads to the pass's end, or to the session's with it."""
    return s.goal in (Goal.END, Goal.CLOSE)


def to_fault(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Stopping leads to a fault."""
    return s.goal == Goal.FAULT


def to_close(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Stopping leads to the session's end."""
    return s.goal == Goal.CLOSE


def to_service(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Stopping leads to a fault that needs service."""
    return s.goal == Goal.FAULT and s.fault not in CLEARABLE


# Writes


def other_write(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Another write than the one that is waited for."""
    return e.write != s.writing


def begin_written(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The pass's begin is written, nothing speaks against it by now, lease and session run."""
    return s.writing == Write.BEGIN and s.goal == Goal.GO and s.lease_left_ms != 0 and s.session_left_ms != 0


def begin_written_lapsed(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The pass's begin is written, but the lease has lapsed, or the session is over."""
    return s.writing == Write.BEGIN and s.goal == Goal.GO


def end_written(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The pass's end is written."""
    return s.writing == Write.END and s.goal == Goal.END


def end_written_close(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The pass's end is written, and the session's is next."""
    return s.writing == Write.END and s.goal == Goal.CLOSE


def write_failed(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The write that is waited for went wrong."""
    return e.ok != 1


# Faults


@helper
def fault_named(e: Event) -> int:
    """The event's fault; one without a name counts as a memory fault."""
    return e.reason if e.reason != Reason.NONE else Reason.MEMORY_FAULT


@helper
def worse(one: int, other: int) -> int:
    """The fault that stays of two: the first, unless only the other needs service."""
    return (
        other if one == Reason.NONE or (one in CLEARABLE and other not in CLEARABLE and other != Reason.NONE) else one
    )


def needs_service(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """With this event's fault the pen needs service."""
    return worse(s.fault, fault_named(e)) not in CLEARABLE


def loaded_service(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The ledger's fault, or one since power-up, needs service."""
    return worse(s.fault, e.reason) not in CLEARABLE and worse(s.fault, e.reason) != Reason.NONE


def other_fault(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Not the fault that is latched."""
    return e.reason != s.fault


def tested_sound(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The self-test passed, and no fault is latched."""
    return e.ok == 1 and s.fault == Reason.NONE


def tested_faulty(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The self-test passed, and a press will clear the fault."""
    return e.ok == 1


# Clock


def before_record(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A date before the build, the calibration or the last sound record."""
    return e.utc_s < e.clock_floor_s


def jump_unpressed(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A jump of over 24 hours, and the button is not held."""
    return e.pressed == 0 and apart(e.utc_s, e.clock_now_s) > k.clock_jump_max_s
