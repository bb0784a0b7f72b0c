"""Properties of motion: what may cause it, what ends it and how, and that nothing outlives its time."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Symptom
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Effect, Verdict
from dermalink_simulator.therapy.checks import frame_sound
from dermalink_simulator.therapy.claim import Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.guards import CLEARABLE, fault_named, symptom_counts, worse
from dermalink_simulator.therapy.state import MOVING, Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import helper

# What may cause motion


@proves("SR-STOP-5", "SR-CART-1", "SR-PASS-3")
def motion_begins_by_press(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Motion begins with a press that resumes, or the write that a press began, confirmed while that is fresh."""
    return (
        a.state not in MOVING
        or b.state in MOVING
        or (
            a.state == at.SPIN_UP
            and (
                (b.state == at.WAITING and e.kind == EventKind.BUTTON and b.written == 1)
                or (
                    b.state == at.RECORDING
                    and b.writing == Write.BEGIN
                    and e.kind == EventKind.FLASH_DONE
                    and e.write == Write.BEGIN
                    and e.ok == 1
                    and b.goal == Goal.GO
                    and 1 <= b.timer_ms <= k.press_fresh_ms
                )
            )
        )
    )


@proves("SR-CART-1", "SR-PASS-3")
def written_by_flash_alone(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """That a begin is written, only the flash's own word says; and what was to be written is still what is booked."""
    return (
        a.written != 1
        or b.written == 1
        or (
            b.state == at.RECORDING
            and b.writing == Write.BEGIN
            and e.kind == EventKind.FLASH_DONE
            and e.write == Write.BEGIN
            and e.ok == 1
            and a.pass_left == b.pass_left
            and a.zone == b.zone
            and a.direction == b.direction
        )
    )


@proves("SR-CART-1", "SR-PASS-3", "SR-STOP-5")
def recording_begins_by_press(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A begin is written after a press in WAITING alone: budget whole, head marked, and the wrapper told to write."""
    return (
        a.writing != Write.BEGIN
        or b.writing == Write.BEGIN
        or (
            b.state == at.WAITING
            and e.kind == EventKind.BUTTON
            and a.state == at.RECORDING
            and a.goal == Goal.GO
            and a.timer_ms == k.press_fresh_ms
            and a.pass_left == k.pass_budget[b.zone]
            and a.head_marked == 1
            and r.effects == Effect.WRITE_BEGIN
        )
    )


@proves("SR-STOP-5")
def waiting_begins_by_owner(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A press is waited for after the owner's word alone, for as long as the limit says."""
    return (
        a.state != at.WAITING
        or b.state == at.WAITING
        or (
            (
                (b.state == at.PREPARED and e.kind == EventKind.BEGIN_PASS)
                or (b.state == at.PAUSED and e.kind == EventKind.RESUME_PASS)
            )
            and e.port == b.owner
            and e.authenticated == 1
            and e.session_id == b.session_id
            and a.timer_ms == k.press_within_ms
        )
    )


@proves("SR-STOP-5", "SR-PWR-1", "SR-CAL-1", "SR-STOP-1", "SR-SES-1")
def press_needs_conditions(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A press starts nothing without battery, with a supply, without lease or session, or past the sterile date."""
    return (
        b.state != at.WAITING
        or e.kind != EventKind.BUTTON
        or r.verdict != Verdict.APPLIED
        or (
            e.battery_percent >= k.battery_start_percent
            and e.supply == 0
            and e.condition == Reason.NONE
            and e.utc_s != 0
            and e.utc_s <= b.head_sterile_s
            and b.lease_left_ms != 0
            and b.session_left_ms != 0
        )
    )


@proves("SR-RATE-1")
def armed_after_spin_up(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """The motor is up only when its time has run out, whole, with the needles in."""
    return (
        a.state != at.ARMED
        or b.state == at.ARMED
        or (
            b.state == at.SPIN_UP
            and e.kind == EventKind.TICK
            and b.timer_ms <= e.dt_ms
            and a.timer_ms == k.armed_idle_ms
        )
    ) and (a.state != at.SPIN_UP or b.state == at.SPIN_UP or a.timer_ms == k.spin_up_ms)


@proves("SR-STOP-6")
def needles_out_by_contact(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Needles come out in contact alone, armed or within the time after a lift."""
    return (
        a.state != at.RUNNING
        or b.state == at.RUNNING
        or (b.state in (at.ARMED, at.LIFTED) and e.kind == EventKind.TICK and e.contact != 0)
    )


# What ends motion, and how


@proves("SR-STOP-2", "SR-STOP-8")
def motion_ends_in_stopping(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Motion is left for STOPPING alone, with the whole time until "stop failed"."""
    return (
        b.state not in MOVING
        or a.state in MOVING
        or (a.state == at.STOPPING and a.timer_ms == k.stop_failed_ms and a.goal >= Goal.PAUSE)
    )


@proves("SR-STOP-2", "SR-STOP-8")
def stopping_ends_measured(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Stopping ends when needles are measured in and the motor off, or as failed when its time is over."""
    return (
        b.state != at.STOPPING
        or a.state == at.STOPPING
        or (e.kind == EventKind.MEASURED_IN and a.state != at.STOP_FAILED and a.state not in MOVING)
        or (e.kind == EventKind.TICK and b.timer_ms <= e.dt_ms and a.state == at.STOP_FAILED)
    )


@proves("SR-STOP-8")
def stop_fails_in_time(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A stop that is not measured in time has failed, and says so for good."""
    return (
        b.state != at.STOPPING
        or e.kind != EventKind.TICK
        or b.timer_ms > e.dt_ms
        or (
            a.state == at.STOP_FAILED
            and a.fault == Reason.STOP_NOT_CONFIRMED
            and a.reason == a.fault
            and r.effects == Effect.WRITE_FAULT
        )
    )


@proves("SR-STOP-8", "SR-RST-3")
def dead_stays_dead(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """ "Stop failed" and "locked" are left by service alone."""
    return b.state not in at.DEAD or a.state == b.state


@proves("SR-STOP-4")
def stop_is_accepted(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Stop and a reported symptom are accepted in every state, from anybody."""
    return e.kind not in (EventKind.STOP, EventKind.SYMPTOM) or r.verdict == Verdict.APPLIED


@helper
def quiet(s: TherapyState) -> bool:
    """Nothing moves, waits for a press, can be resumed, or is about to: at most it stops or writes to end."""
    return (
        s.state not in MOVING
        and s.state not in (at.PREPARED, at.WAITING, at.PAUSED, at.SELF_TEST)
        and (s.state not in (at.STOPPING, at.RECORDING) or s.goal in (Goal.REST, Goal.END, Goal.CLOSE, Goal.FAULT))
    )


@proves("SR-STOP-4", "SR-PASS-2")
def stop_ends_the_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """After Stop or a symptom nothing moves, waits, or can be resumed."""
    return e.kind not in (EventKind.STOP, EventKind.SYMPTOM) or quiet(a)


@proves("SR-STOP-2", "SR-PASS-2", "SR-DEPTH-5", "SR-DEPTH-7")
def fault_ends_the_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """After a fault nothing moves, waits, or can be resumed; it is latched, and written."""
    return e.kind != EventKind.FAULT or (
        quiet(a)
        and a.fault == worse(b.fault, fault_named(e))
        and r.effects == Effect.WRITE_FAULT
        and a.self_tested == 0
    )


@proves("SR-CART-3", "SR-PASS-2")
def head_change_ends_the_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """After a change of head nothing moves, waits, or can be resumed."""
    return e.kind != EventKind.HEAD or b.state == at.SELF_TEST or quiet(a)


@proves("SR-PASS-5")
def too_much_ends_the_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What is detected as too much ends the pass."""
    return (
        e.kind != EventKind.DETECTED_STOP
        or (b.state not in MOVING and b.state not in (at.STOPPING, at.RECORDING))
        or quiet(a)
    )


@proves("SR-PASS-2")
def end_ends_the_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """The host's end ends the pass."""
    return e.kind != EventKind.END_PASS or r.verdict != Verdict.APPLIED or quiet(a)


@helper
def halted(s: TherapyState) -> bool:
    """Nothing moves, or is about to without another press."""
    return s.state not in MOVING and (s.state != at.RECORDING or s.goal != Goal.GO)


@proves("SR-STOP-6")
def press_stops(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A press while armed, running, or about to be, stops."""
    return e.kind != EventKind.BUTTON or (b.state not in MOVING and b.state != at.RECORDING) or halted(a)


@proves("SR-STOP-1", "SR-PASS-4", "SR-PASS-5", "SR-RATE-1", "SR-SES-1")
def causes_stop(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Dwell, pressure, rate, a lost link, a lost or turned clock, and the host's pause or close stop."""
    return (
        (e.kind != EventKind.DETECTED_PAUSE or a.state not in MOVING)
        and (e.kind != EventKind.LINK_LOST or b.owner == 0 or e.port != b.owner or (halted(a) and a.owner == 0))
        and (e.kind not in (EventKind.CLOCK_LOST, EventKind.CLOCK_BACK) or halted(a))
        and (e.kind not in (EventKind.PAUSE_PASS, EventKind.CLOSE_SESSION) or r.verdict != Verdict.APPLIED or halted(a))
    )


@proves("SR-STOP-4")
def stop_ends_the_self_test(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A self-test is left as measured, or as its own report says; it opens no way to motion."""
    return (
        b.state != at.SELF_TEST
        or a.state in (at.SELF_TEST, at.STOPPING)
        or (e.kind == EventKind.SELF_TEST_DONE and e.ok == 1 and a.state in (at.IDLE, at.FAULT))
    )


@proves("SR-STOP-2")
def goal_grows(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """While stopping or writing, what it leads to only gets worse, and a self-test's stop leads to rest or a fault."""
    return (
        (b.state != at.STOPPING or a.state != at.STOPPING or a.goal >= b.goal)
        and (b.state != at.RECORDING or a.state != at.RECORDING or a.goal >= b.goal)
        and (b.state not in (at.OPENING, at.CLOSING) or a.state != b.state or a.goal >= b.goal)
        and (b.goal != Goal.REST or a.goal in (Goal.GO, Goal.REST, Goal.FAULT))
    )


@proves("SR-STOP-2", "SR-PASS-2")
def stopping_leads_to_goal(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Measured in, a stop leads where it was to lead: pause, end, close, fault, rest."""
    return (
        b.state != at.STOPPING
        or e.kind != EventKind.MEASURED_IN
        or (
            (b.goal != Goal.PAUSE or (a.state == at.PAUSED and a.pass_ms == k.resume_within_ms))
            and (
                b.goal not in (Goal.END, Goal.CLOSE)
                or (
                    a.state == at.RECORDING
                    and a.writing == Write.END
                    and a.goal == b.goal
                    and r.effects == Effect.WRITE_END
                )
            )
            and (b.goal != Goal.FAULT or a.state == (at.FAULT if b.fault in CLEARABLE else at.LOCKED))
            and (b.goal != Goal.REST or a.state == (at.IDLE if b.fault == Reason.NONE else at.FAULT))
        )
    )


@proves("SR-DEPTH-1", "SR-DEPTH-2", "SR-DEPTH-3", "SR-DEPTH-6", "SR-DEPTH-8")
def what_moves_is_sound(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What begins to move is the frame that was held before, whole, and within every cap with this head."""
    return (
        a.state not in MOVING
        or b.state in MOVING
        or (
            frame_sound(k, a)
            and a.zone == b.zone
            and a.direction == b.direction
            and a.depth_um == b.depth_um
            and a.rate_hz == b.rate_hz
            and a.speed_mm_s == b.speed_mm_s
        )
    )


@proves("SR-SYM-1")
def symptom_stops_and_latches(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A symptom that counts starts its wait, latches for the session, is written; one from outside locks nothing."""
    return e.kind != EventKind.SYMPTOM or (
        (
            a.symptom_s == k.symptom_lock_s
            and (a.session_id == 0 or a.symptom == 1)
            and (r.effects & Effect.WRITE_SYMPTOM) != 0
        )
        if symptom_counts(b, e)
        else (a.symptom_s == b.symptom_s and a.symptom == b.symptom and a.advice_due == b.advice_due)
    )


@proves("SR-SYM-1")
def button_symptom_counts(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """One held on the pen's own button counts in every state, whoever owns the session, and as the worst."""
    return (
        e.kind != EventKind.SYMPTOM
        or e.port != 0
        or e.authenticated != 1
        or e.symptom != Symptom.UNSAID
        or (
            quiet(a)
            and a.symptom_s == k.symptom_lock_s
            and a.advice_due == 1
            and a.symptom == (1 if b.session_id != 0 else 0)
            and (r.effects & Effect.WRITE_SYMPTOM) != 0
        )
    )


MOTION: Final[tuple[Property, ...]] = (
    motion_begins_by_press, written_by_flash_alone, recording_begins_by_press, waiting_begins_by_owner,
    press_needs_conditions, armed_after_spin_up, needles_out_by_contact, motion_ends_in_stopping,
    stopping_ends_measured, stop_fails_in_time, dead_stays_dead, stop_is_accepted, stop_ends_the_pass,
    fault_ends_the_pass, head_change_ends_the_pass, too_much_ends_the_pass, end_ends_the_pass, press_stops,
    causes_stop, stop_ends_the_self_test, goal_grows, stopping_leads_to_goal, what_moves_is_sound,
    symptom_stops_and_latches, button_symptom_counts,
)  # fmt: skip
