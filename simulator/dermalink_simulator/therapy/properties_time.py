"""Properties of time, faults and the self-test: nothing outlives its time, and what latches stays."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Effect
from dermalink_simulator.therapy.claim import Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.guards import CLEARABLE
from dermalink_simulator.therapy.state import MOVING, Goal, TherapyState
from dermalink_simulator.therapy.subset import helper, less, most

# Nothing outlives its time


@proves("SR-STOP-1")
def lease_stops(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Motion ends, for a pause, with the tick in which the lease does; without one it does not begin."""
    return (
        e.kind != EventKind.TICK
        or b.state not in MOVING
        or b.lease_left_ms > e.dt_ms
        or (a.state == at.STOPPING and a.goal == Goal.PAUSE and a.reason == Reason.LEASE_LAPSED)
    ) and (b.state in MOVING or a.state not in MOVING or b.lease_left_ms != 0)


@proves("SR-STOP-1")
def lease_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A lease runs down by the tick's time, whole; it grows by nothing but the owner's renewal."""
    return (
        a.lease_left_ms <= b.lease_left_ms
        or (e.kind == EventKind.RENEW_LEASE and e.port == b.owner and e.authenticated == 1)
    ) and (e.kind != EventKind.TICK or a.session_id == 0 or a.lease_left_ms == less(b.lease_left_ms, e.dt_ms))


@proves("SR-STOP-1")
def renewal_counts_from_tick(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A renewal buys no more than the lease from the tick that it quotes; one from the future, or stale, nothing."""
    return e.kind != EventKind.RENEW_LEASE or (
        a.lease_left_ms == b.lease_left_ms
        or (
            e.future == 0
            and e.age_ms < b.lease_ms
            and e.session_id == b.session_id
            and a.lease_left_ms == most(b.lease_left_ms, less(b.lease_ms, e.age_ms))
        )
    )


@helper
def timed(s: TherapyState) -> bool:
    """A state with a timer of its own that only runs down."""
    return s.state in (at.SELF_TEST, at.WAITING, at.RECORDING, at.SPIN_UP, at.ARMED, at.LIFTED, at.STOPPING)


@proves("SR-STOP-5", "SR-STOP-6", "SR-STOP-8", "SR-RATE-1")
def timers_run_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A state's timer runs down by the tick's time, whole, and by nothing else; it never starts again in the state."""
    return (
        not timed(b)
        or a.state != b.state
        or a.writing != b.writing
        or a.timer_ms == (less(b.timer_ms, e.dt_ms) if e.kind == EventKind.TICK else b.timer_ms)
    )


@proves("SR-STOP-6")
def lift_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Out of contact the time until the needles go in runs down; only contact makes it whole again."""
    return (
        b.state != at.RUNNING
        or a.state != at.RUNNING
        or a.timer_ms
        == (
            (k.lift_retract_ms if e.contact != 0 else less(b.timer_ms, e.dt_ms))
            if e.kind == EventKind.TICK
            else b.timer_ms
        )
    )


@proves("SR-STOP-6", "SR-STOP-5", "SR-POST-1")
def times_end_states(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A timer that ends, ends its state: spin-up, a lift, idling armed, waiting for the press, a self-test."""
    return (
        e.kind != EventKind.TICK
        or b.state not in (at.SELF_TEST, at.WAITING, at.SPIN_UP, at.ARMED, at.RUNNING, at.LIFTED)
        or b.timer_ms > e.dt_ms
        or (b.state == at.RUNNING and e.contact != 0)
        or a.state != b.state
    )


@proves("SR-STOP-6")
def times_lead_on(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Ended times lead to less: running to lifted, lifted and idle to stopping for a pause, unpressed back."""
    return (
        (a.state != at.LIFTED or b.state in (at.RUNNING, at.LIFTED))
        and (a.state != at.LIFTED or b.state == at.LIFTED or a.timer_ms == k.lift_pause_ms)
        and (
            b.state not in (at.ARMED, at.LIFTED)
            or e.kind != EventKind.TICK
            or e.contact != 0
            or b.timer_ms > e.dt_ms
            or (a.state == at.STOPPING and a.goal in (Goal.PAUSE, Goal.CLOSE))
        )
        and (
            b.state != at.WAITING
            or e.kind != EventKind.TICK
            or a.state in (at.WAITING, at.PREPARED, at.PAUSED, at.RECORDING, at.CLOSING)
        )
    )


# Faults


@proves("SR-RST-3", "SR-RST-1")
def fault_clears_by_test_and_press(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A latched fault goes by a press after a passed self-test alone, and never one that needs service."""
    return (
        b.fault == Reason.NONE
        or a.fault == b.fault
        or (a.fault != Reason.NONE and (b.fault in CLEARABLE or a.fault == Reason.STOP_NOT_CONFIRMED))
        or (
            a.fault == Reason.NONE
            and b.state == at.FAULT
            and e.kind == EventKind.BUTTON
            and b.self_tested == 1
            and b.fault in CLEARABLE
            and (r.effects & Effect.WRITE_CLEARED) != 0
        )
    )


@proves("SR-RST-3", "SR-RST-1")
def worse_fault_stays(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A fault that needs service is never replaced by one that does not."""
    return b.fault == Reason.NONE or b.fault in CLEARABLE or a.fault not in CLEARABLE


@proves("SR-POST-1", "SR-RST-3")
def tested_by_self_test_alone(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """That the pen is tested, a self-test that passed says alone; a new one, a fault and a session's end unsay it."""
    return (
        a.self_tested == b.self_tested
        or a.self_tested == 0
        or (b.state == at.SELF_TEST and e.kind == EventKind.SELF_TEST_DONE and e.ok == 1)
    ) and (a.session_id == b.session_id or a.session_id != 0 or a.self_tested == 0)


@proves("SR-POST-1")
def self_test_starts(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A self-test starts at power-up, on a free head by command, and the wrapper is told; a failed one is a fault."""
    return (
        (
            a.state != at.SELF_TEST
            or b.state == at.SELF_TEST
            or (
                r.effects == Effect.START_SELF_TEST
                and a.timer_ms == k.self_test_within_ms
                and (
                    (b.state == at.BOOT and e.kind == EventKind.LOADED)
                    or (b.state == at.IDLE and e.kind == EventKind.RUN_SELF_TEST and e.contact == 0)
                    or (
                        b.state == at.FAULT
                        and e.kind == EventKind.ACKNOWLEDGE_FAULT
                        and e.contact == 0
                        and e.reason == b.fault
                    )
                )
            )
        )
        and (b.state != at.SELF_TEST or e.kind != EventKind.SELF_TEST_DONE or e.ok == 1 or a.goal == Goal.FAULT)
        and (b.state != at.SELF_TEST or a.state != at.IDLE or b.fault == Reason.NONE)
    )


TIMES: Final[tuple[Property, ...]] = (
    lease_stops, lease_runs_down, renewal_counts_from_tick, timers_run_down, lift_runs_down, times_end_states,
    times_lead_on, fault_clears_by_test_and_press, worse_fault_stays, tested_by_self_test_alone, self_test_starts,
)  # fmt: skip
