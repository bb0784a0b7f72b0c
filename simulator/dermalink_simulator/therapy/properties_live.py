"""Properties of going on: nothing ends before its time, what ends goes where it is to go, who reduces is obeyed."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Effect, Verdict
from dermalink_simulator.therapy.claim import Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.guards import CLEARABLE
from dermalink_simulator.therapy.state import MOVING, Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import helper, less, most
from dermalink_simulator.therapy.updates import cause


@helper
def in_time(b: TherapyState, e: Event) -> bool:
    """A tick that ends neither lease nor session."""
    return e.kind == EventKind.TICK and b.lease_left_ms > e.dt_ms and b.session_left_ms > e.dt_ms


@proves("SR-STOP-6", "SR-RATE-1", "SR-STOP-1")
def motion_goes_on(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """While lease and session run, spin-up, armed, running and lifted each go on until their own time, and then on."""
    return not in_time(b, e) or (
        (b.state != at.SPIN_UP or a.state == (at.SPIN_UP if b.timer_ms > e.dt_ms else at.ARMED))
        and (
            b.state != at.ARMED
            or a.state == (at.RUNNING if e.contact != 0 else (at.ARMED if b.timer_ms > e.dt_ms else at.STOPPING))
        )
        and (b.state != at.RUNNING or a.state == (at.RUNNING if e.contact != 0 or b.timer_ms > e.dt_ms else at.LIFTED))
        and (
            b.state != at.LIFTED
            or a.state == (at.RUNNING if e.contact != 0 else (at.LIFTED if b.timer_ms > e.dt_ms else at.STOPPING))
        )
        and (a.state != at.RUNNING or b.state == at.RUNNING or a.timer_ms == k.lift_retract_ms)
    )


@proves("SR-STOP-5", "SR-CART-1")
def press_goes_stale(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A begin that is not written while its press is fresh leads to a pause, and says why; before that it goes on."""
    return (
        e.kind != EventKind.TICK
        or b.state != at.RECORDING
        or (
            a.state == at.RECORDING
            and a.writing == b.writing
            and (
                (a.goal == Goal.PAUSE and a.reason == Reason.PRESS_STALE)
                if b.goal == Goal.GO and b.timer_ms <= e.dt_ms
                else (a.goal == b.goal and a.reason == b.reason)
            )
        )
    )


@proves("SR-STOP-5", "SR-PASS-2", "SR-POST-1")
def waiting_goes_on(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A wait for a press, a pause and a self-test go on until their own time; then back, to the end, or to a fault."""
    return (
        e.kind != EventKind.TICK
        or (
            b.state in (at.WAITING, at.PAUSED)
            and (
                b.session_left_ms <= e.dt_ms
                or (
                    a.state == at.RECORDING
                    if b.written == 1 and b.pass_ms <= e.dt_ms
                    else (
                        a.state == b.state
                        if b.state == at.PAUSED or b.timer_ms > e.dt_ms
                        else a.state == (at.PAUSED if b.written == 1 else at.PREPARED)
                    )
                )
            )
        )
        or (
            b.state == at.SELF_TEST
            and (
                a.state == at.SELF_TEST
                if b.timer_ms > e.dt_ms
                else (a.state == at.STOPPING and a.goal == Goal.FAULT and a.fault != Reason.NONE)
            )
        )
        or b.state not in (at.WAITING, at.PAUSED, at.SELF_TEST)
    )


@proves("SR-PASS-3", "SR-CART-4")
def strokes_go_on(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Strokes end a pass only when its punctures or the head's strokes are made."""
    return e.kind != EventKind.STROKES or (
        (b.state not in MOVING or b.pass_left <= e.punctures or b.head_strokes <= e.strokes or a.state == b.state)
        and (b.state != at.STOPPING or b.pass_left <= e.punctures or (a.goal == b.goal and a.state == b.state))
    )


@proves("SR-STOP-2", "SR-STOP-8")
def stopping_has_its_time(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Whatever stops has the whole time to be measured in."""
    return a.state != at.STOPPING or b.state == at.STOPPING or a.timer_ms == k.stop_failed_ms


@proves("SR-PASS-2", "SR-SES-1", "SR-STOP-4")
def reducing_is_obeyed(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Close, pause and end are obeyed from the owner, from anybody authenticated when there is none; else refused."""
    return e.kind not in at.REDUCING or (r.verdict == Verdict.APPLIED) == (
        e.authenticated == 1
        and e.port != 0
        and b.session_id != 0
        and e.session_id == b.session_id
        and (b.owner == 0 or e.port == b.owner)
        and (
            e.kind == EventKind.CLOSE_SESSION
            or (b.zone != 0 and (e.kind == EventKind.END_PASS or b.state != at.PREPARED))
        )
    )


@proves("SR-SES-1", "SR-PASS-2")
def closing_wins(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What is to close while something stops or is written closes after it; a link lost is the owner's alone."""
    return (
        e.kind not in (EventKind.CLOSE_SESSION, EventKind.CLOCK_LOST, EventKind.CLOCK_BACK)
        or r.verdict != Verdict.APPLIED
        or b.session_id == 0
        or a.state not in (at.STOPPING, at.RECORDING, at.OPENING)
        or a.goal in (Goal.REST, Goal.CLOSE, Goal.FAULT)
    ) and (e.kind != EventKind.LINK_LOST or (r.verdict == Verdict.APPLIED) == (b.owner != 0 and e.port == b.owner))


@proves("SR-STOP-1")
def renewal_is_exact(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A renewal gives the lease from the tick that it quotes; an adoption takes the lease that it asks for."""
    return (
        e.kind != EventKind.RENEW_LEASE
        or r.verdict != Verdict.APPLIED
        or a.lease_left_ms == most(b.lease_left_ms, less(b.lease_ms, e.age_ms))
    ) and (e.kind != EventKind.ADOPT_SESSION or r.verdict != Verdict.APPLIED or a.lease_ms == e.lease_ms)


@proves("SR-RST-3", "SR-RST-1")
def latching_is_written(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A fault that latches is written; a failed self-test and a failed write latch one; its own name clears it."""
    return (
        (
            a.fault == b.fault
            or a.fault == Reason.NONE
            or e.kind == EventKind.LOADED
            or (r.effects & Effect.WRITE_FAULT) != 0
        )
        and (
            e.kind != EventKind.SELF_TEST_DONE
            or b.state != at.SELF_TEST
            or (a.self_tested == 1 if e.ok == 1 else (r.effects & Effect.WRITE_FAULT) != 0)
        )
        and (
            e.kind != EventKind.FLASH_DONE
            or r.verdict != Verdict.APPLIED
            or e.ok == 1
            or (
                a.session_id == 0
                and a.fault != Reason.NONE
                and (
                    b.fault not in (Reason.NONE, *CLEARABLE)
                    or (a.reason == a.fault and (r.effects & Effect.WRITE_FAULT) != 0)
                )
                and (b.fault != Reason.NONE or a.fault == Reason.FLASH_FAILED)
            )
        )
        and (e.kind != EventKind.ACKNOWLEDGE_FAULT or r.verdict != Verdict.APPLIED or b.owner == 0 or e.port == b.owner)
    )


@proves("SR-CART-1", "SR-STOP-5")
def begin_goes(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A begin that is written goes into spin-up, unless something spoke against it, or lease or session ended."""
    return (
        e.kind != EventKind.FLASH_DONE
        or b.writing != Write.BEGIN
        or e.write != Write.BEGIN
        or e.ok != 1
        or (
            a.state
            == (
                (at.SPIN_UP if b.lease_left_ms != 0 and b.session_left_ms != 0 else at.PAUSED)
                if b.goal == Goal.GO
                else (at.PAUSED if b.goal == Goal.PAUSE else a.state)
            )
            and (b.goal not in (Goal.END, Goal.CLOSE) or (a.state == at.RECORDING and a.goal == b.goal))
        )
    )


@proves("SR-INT-2", "SR-SYM-1")
def waits_run_out(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Time that really ran counts in every state: no wait is for ever."""
    return (
        e.kind != EventKind.TIME_RAN
        or b.state == at.BOOT
        or (
            r.verdict == Verdict.APPLIED
            and a.wait_s == less(b.wait_s, e.seconds)
            and a.symptom_s == less(b.symptom_s, e.seconds)
        )
    )


@proves("SR-STOP-6", "SR-STOP-4", "SR-RST-3")
def press_is_heard(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A press ends a self-test as it does motion; one that clears nothing is refused."""
    return (e.kind != EventKind.BUTTON or b.state != at.SELF_TEST or a.state == at.STOPPING) and (
        e.kind != EventKind.BUTTON or b.state != at.FAULT or (r.verdict == Verdict.APPLIED) == (b.self_tested == 1)
    )


@proves("SR-STOP-2", "SR-SYM-1")
def what_turns_worse_says_why(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What makes a stop or a write lead to something worse is told as its cause; and a fault as itself."""
    return (
        e.kind in (EventKind.FLASH_DONE, EventKind.MEASURED_IN, EventKind.TICK)
        or a.goal <= b.goal
        or b.state not in (at.STOPPING, at.RECORDING, at.OPENING, at.CLOSING)
        or a.reason
        == (a.fault if e.kind == EventKind.FAULT else (b.reason if e.kind == EventKind.STROKES else cause(e)))
    ) and (e.kind != EventKind.FAULT or a.reason == a.fault)


LIVE: Final[tuple[Property, ...]] = (
    motion_goes_on, press_goes_stale, waiting_goes_on, strokes_go_on, stopping_has_its_time, reducing_is_obeyed,
    closing_wins, renewal_is_exact, latching_is_written, begin_goes, waits_run_out, press_is_heard,
    what_turns_worse_says_why,
)  # fmt: skip
