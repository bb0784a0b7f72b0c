"""Properties of the answer: what may be done is done, refusals are true, what stops says why.

A pen that refuses everything would be safe and of no use; these say the other half.
"""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Verdict
from dermalink_simulator.therapy.claim import Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.guards_command import id_remembered
from dermalink_simulator.therapy.properties_pass import (
    conditions_met,
    depth_allowed,
    head_named,
    pass_allowed,
    sweep_allowed,
)
from dermalink_simulator.therapy.state import MOVING, Clock, Goal, TherapyState
from dermalink_simulator.therapy.subset import apart, helper, less
from dermalink_simulator.therapy.updates import cause
from dermalink_simulator.therapy.widths import ZONE_CELLS

ENDERS: Final = (
    EventKind.STOP, EventKind.SYMPTOM, EventKind.HEAD, EventKind.LINK_LOST, EventKind.END_PASS, EventKind.PAUSE_PASS,
    EventKind.CLOSE_SESSION, EventKind.CLOCK_LOST, EventKind.CLOCK_BACK, EventKind.DETECTED_PAUSE,
    EventKind.DETECTED_STOP,
)  # fmt: skip


@helper
def alive(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """A command's header is in order, and new."""
    return (
        e.authenticated == 1
        and e.port != 0
        and e.command_id != 0
        and not id_remembered(b, e)
        and e.command_id > b.last_id
        and less(e.command_id, b.last_id) <= k.ids_ahead_max
        and 1 <= e.ttl_ms <= k.ttl_max_ms
        and e.future == 0
        and e.age_ms <= e.ttl_ms
    )


@helper
def owners(b: TherapyState, e: Event) -> bool:
    """A command for this session from its owner."""
    return b.session_id != 0 and e.session_id == b.session_id and e.port == b.owner


@proves("SR-DEPTH-8", "SR-PASS-2")
def what_may_start_starts(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Prepare, begin and resume are applied when nothing speaks against them."""
    return (
        e.kind not in at.STARTING
        or r.verdict == Verdict.APPLIED
        or not alive(k, b, e)
        or not owners(b, e)
        or not conditions_met(k, b, e)
        or (
            e.kind == EventKind.PREPARE
            and not (
                b.state in (at.OPEN, at.PREPARED)
                and depth_allowed(k, b, e)
                and sweep_allowed(k, b, e)
                and pass_allowed(k, b, e)
                and head_named(b, e)
            )
        )
        or (e.kind == EventKind.BEGIN_PASS and not (b.state == at.PREPARED and e.frame_id == b.frame_id))
        or (e.kind == EventKind.RESUME_PASS and not (b.state == at.PAUSED and b.resumes < k.resumes_max))
    )


@proves("SR-SES-1", "SR-POST-1", "SR-RST-3", "SR-INT-2")
def what_may_be_done_is_done(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """So are opening, adopting, testing, acknowledging, and setting the clock."""
    return (
        e.kind
        not in (
            EventKind.OPEN_SESSION,
            EventKind.ADOPT_SESSION,
            EventKind.RUN_SELF_TEST,
            EventKind.ACKNOWLEDGE_FAULT,
            EventKind.SET_CLOCK,
        )
        or r.verdict == Verdict.APPLIED
        or not alive(k, b, e)
        or (e.kind == EventKind.OPEN_SESSION and not may_open(k, b, e))
        or (e.kind == EventKind.ADOPT_SESSION and not may_adopt(k, b, e))
        or (e.kind == EventKind.RUN_SELF_TEST and (b.state != at.IDLE or e.contact != 0))
        or (
            e.kind == EventKind.ACKNOWLEDGE_FAULT
            and (b.state != at.FAULT or e.contact != 0 or e.reason != b.fault or (b.owner != 0 and e.port != b.owner))
        )
        or (
            e.kind == EventKind.SET_CLOCK
            and (
                b.state not in (at.IDLE, at.OPEN)
                or e.utc_s < e.clock_floor_s
                or (e.pressed == 0 and apart(e.utc_s, e.clock_now_s) > k.clock_jump_max_s)
            )
        )
    )


@helper
def may_open(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """Nothing speaks against a session."""
    return (
        b.state == at.IDLE
        and b.wait_s == 0
        and b.symptom_s == 0
        and b.advice_due == 0
        and b.clock == Clock.SOUND
        and b.self_tested == 1
        and e.boot_id == b.boot_id
        and e.session_id != 0
        and e.condition == Reason.NONE
        and k.lease_min_ms <= e.lease_ms <= k.lease_max_ms
    )


@helper
def may_adopt(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """The session is there to be adopted."""
    return (
        b.state in (at.OPEN, at.PAUSED, at.FAULT)
        and b.session_id != 0
        and e.session_id == b.session_id
        and b.owner == 0
        and k.lease_min_ms <= e.lease_ms <= k.lease_max_ms
    )


@proves("SR-STOP-1")
def renewal_is_honest(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A renewal is applied when, and only when, it is the owner's and still buys something."""
    return e.kind != EventKind.RENEW_LEASE or (r.verdict == Verdict.APPLIED) == (
        b.state in at.RENEWABLE
        and e.authenticated == 1
        and e.port != 0
        and owners(b, e)
        and e.future == 0
        and e.age_ms < b.lease_ms
    )


@proves("SR-STOP-5", "SR-RST-3", "SR-CART-1", "SR-STOP-2")
def the_pens_own_word_counts(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A press that may start starts, one that may clear clears, a write that is waited for leads on, and so on."""
    return (
        (
            e.kind != EventKind.BUTTON
            or b.state != at.WAITING
            or r.verdict == Verdict.APPLIED
            or b.session_left_ms == 0
            or b.lease_left_ms == 0
            or e.utc_s == 0
            or e.utc_s > b.head_sterile_s
            or e.battery_percent < k.battery_start_percent
            or e.supply != 0
            or e.condition != Reason.NONE
        )
        and (e.kind != EventKind.BUTTON or b.state != at.FAULT or (a.state != at.FAULT) == (b.self_tested == 1))
        and (
            e.kind != EventKind.FLASH_DONE
            or b.state not in (at.OPENING, at.RECORDING, at.CLOSING)
            or (r.verdict == Verdict.APPLIED) == (e.write == b.writing)
        )
        and (
            e.kind != EventKind.FLASH_DONE or b.state != at.CLOSING or r.verdict != Verdict.APPLIED or a.session_id == 0
        )
        and (e.kind != EventKind.MEASURED_IN or b.state != at.STOPPING or a.state != at.STOPPING)
        and (e.kind != EventKind.SELF_TEST_DONE or b.state != at.SELF_TEST or a.state != at.SELF_TEST)
        and (e.kind not in (EventKind.HEAD, EventKind.FAULT) or r.verdict == Verdict.APPLIED)
        and (e.kind != EventKind.LOADED or (r.verdict == Verdict.APPLIED) == (b.state == at.BOOT))
    )


@proves("SR-PASS-2", "SR-STOP-1", "SR-SES-1")
def writes_lead_on(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A begin that is written goes where it may; an opening and an end that are written go where they were to lead."""
    return (
        e.kind != EventKind.FLASH_DONE
        or e.write != b.writing
        or b.state not in (at.OPENING, at.RECORDING, at.CLOSING)
        or (
            (a.state == at.LOCKED or a.state == at.FAULT)
            if e.ok != 1 or b.fault != Reason.NONE
            else (
                (b.state != at.CLOSING or a.state == at.IDLE)
                and (b.state != at.OPENING or a.state in (at.OPEN, at.CLOSING))
                and (b.state != at.RECORDING or a.state not in (at.FAULT, at.LOCKED))
            )
        )
    )


@proves("SR-STOP-8", "SR-RST-3")
def dead_for_a_cause(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """ "Stop failed" is said of a stop that failed alone."""
    return (
        a.state != at.STOP_FAILED or b.state == at.STOP_FAILED or (b.state == at.STOPPING and e.kind == EventKind.TICK)
    )


# Reasons


@helper
def said_by_pen(b: TherapyState, e: Event, r: Answer) -> bool:
    """The reason is the one that the wrapper names as its condition, or the head's verdict."""
    return (r.reason == e.condition and e.kind in (EventKind.OPEN_SESSION, *at.STARTING, EventKind.BUTTON)) or (
        r.reason == b.head_verdict and e.kind in at.STARTING
    )


@proves("SR-CMD-1", "SR-SES-1", "SR-SEC-1", "SR-STOP-1")
def refusals_are_true(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What a refusal says of who, when and how old is so; a refusal always says something."""
    return (
        r.verdict != Verdict.REFUSED
        or said_by_pen(b, e, r)
        or (
            r.reason != Reason.NONE
            and (r.reason != Reason.NOT_AUTHENTICATED or e.authenticated != 1 or e.port == 0)
            and (r.reason != Reason.WRONG_SESSION or e.session_id != b.session_id or b.session_id == 0)
            and (r.reason != Reason.NOT_OWNER or e.port != b.owner)
            and (r.reason != Reason.COMMAND_ID_REUSED or id_remembered(b, e))
            and (r.reason != Reason.COMMAND_ID_NOT_NEWER or e.command_id <= b.last_id or e.command_id == 0)
            and (r.reason != Reason.COMMAND_ID_TOO_FAR or less(e.command_id, b.last_id) > k.ids_ahead_max)
            and (r.reason != Reason.TTL_TOO_LONG or e.ttl_ms == 0 or e.ttl_ms > k.ttl_max_ms)
            and (r.reason != Reason.COMMAND_FROM_FUTURE or e.future != 0)
            and (r.reason != Reason.COMMAND_LATE or e.age_ms > e.ttl_ms)
            and (r.reason != Reason.RENEWAL_STALE or e.age_ms >= b.lease_ms)
            and (r.reason != Reason.LEASE_OUT_OF_RANGE or e.lease_ms < k.lease_min_ms or e.lease_ms > k.lease_max_ms)
            and (r.reason != Reason.WRONG_BOOT or e.boot_id != b.boot_id)
            and (r.reason != Reason.SELF_TEST_DUE or b.self_tested == 0)
            and (r.reason != Reason.INTERVAL_NOT_OVER or b.wait_s != 0)
            and (r.reason != Reason.SYMPTOM_LOCK or b.symptom_s != 0 or b.symptom != 0 or b.advice_due != 0)
            and (r.reason != Reason.CLOCK_BACK or b.clock == Clock.BACK)
            and (r.reason != Reason.FAULT_LATCHED or b.fault != Reason.NONE)
            and (r.reason != Reason.LOCKED or b.state in at.DEAD)
        )
    )


@proves("SR-DEPTH-1", "SR-DEPTH-2", "SR-DEPTH-3", "SR-PASS-1", "SR-PASS-2", "SR-PASS-3", "SR-PASS-6", "SR-CART-2")
def frame_refusals_are_true(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What a refusal says of frame, head and pass is so."""
    return (
        r.verdict != Verdict.REFUSED
        or e.kind not in (*at.STARTING, EventKind.BUTTON)
        or said_by_pen(b, e, r)
        or (
            (r.reason != Reason.DEPTH_OVER_CAP or e.depth_um > k.depth_cap_um)
            and (r.reason != Reason.DEPTH_UNDER_MIN or e.depth_um < k.depth_min_um)
            and (r.reason != Reason.DEPTH_OFF_STEP or e.depth_um % k.depth_step_um != 0)
            and (r.reason != Reason.DEPTH_OVER_CARTRIDGE or e.depth_um > b.head_reach_um)
            and (
                r.reason != Reason.DEPTH_OVER_ZONE_CAP
                or e.depth_um > k.zone_cap_um[e.zone if e.zone < ZONE_CELLS else 0]
            )
            and (r.reason != Reason.UNKNOWN_ZONE or e.zone == 0 or e.zone >= ZONE_CELLS)
            and (r.reason != Reason.RATE_OUT_OF_RANGE or e.rate_hz < k.rate_min_hz or e.rate_hz > k.rate_max_hz)
            and (
                r.reason != Reason.SPEED_OUT_OF_RANGE
                or e.speed_mm_s < k.speed_min_mm_s
                or e.speed_mm_s > k.speed_max_mm_s
            )
            and (r.reason != Reason.DENSITY_TOO_HIGH or not sweep_allowed(k, b, e))
            and (r.reason != Reason.WRONG_FRAME or e.frame_id != b.frame_id)
            and (r.reason != Reason.RESUMES_USED_UP or b.resumes >= k.resumes_max)
            and (r.reason != Reason.BATTERY_LOW or e.battery_percent < k.battery_start_percent)
            and (r.reason != Reason.SUPPLY_PRESENT or e.supply != 0)
            and (r.reason != Reason.CLOCK_LOST or e.utc_s == 0)
            and (r.reason != Reason.LEASE_LAPSED or b.lease_left_ms == 0)
            and (r.reason != Reason.SESSION_OVER or b.session_left_ms == 0)
            and (r.reason != Reason.CARTRIDGE_EXPIRED or e.utc_s > b.head_sterile_s)
            and (r.reason != Reason.CARTRIDGE_WORN_OUT or b.head_strokes == 0)
        )
    )


@proves("SR-STOP-1", "SR-STOP-6", "SR-PASS-2")
def what_ends_says_why(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What ends motion, a wait for the press, or a prepared frame, is told as its cause."""
    return (
        (b.state not in MOVING and b.state not in (at.PREPARED, at.WAITING, at.PAUSED, at.SELF_TEST, at.OPEN))
        or a.state == b.state
        or (
            (e.kind not in ENDERS or a.reason == cause(e))
            and (
                e.kind != EventKind.BUTTON
                or (b.state not in MOVING and b.state != at.SELF_TEST)
                or a.reason == cause(e)
            )
            and (
                e.kind != EventKind.TICK
                or a.state not in (at.STOPPING, at.CLOSING, at.PAUSED)
                or a.reason
                in (
                    Reason.LEASE_LAPSED,
                    Reason.SESSION_OVER,
                    Reason.ARMED_IDLE,
                    Reason.LIFT_OFF,
                    Reason.PRESS_TIMEOUT,
                    a.fault,
                )
            )
            and (
                e.kind != EventKind.STROKES
                or a.state in MOVING
                or a.reason == (Reason.CARTRIDGE_WORN_OUT if b.head_strokes <= e.strokes else Reason.BUDGET_REACHED)
            )
            and (e.kind != EventKind.FAULT or a.reason == a.fault)
        )
    )


@proves("SR-STOP-1", "SR-STOP-6", "SR-SES-1")
def ticks_say_why(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What ended in time says which time it was."""
    return (
        e.kind != EventKind.TICK
        or a.state == b.state
        or (
            (a.reason != Reason.LEASE_LAPSED or b.reason == a.reason or b.lease_left_ms <= e.dt_ms)
            and (a.reason != Reason.SESSION_OVER or b.reason == a.reason or b.session_left_ms <= e.dt_ms)
            and (a.reason != Reason.ARMED_IDLE or b.reason == a.reason or b.state == at.ARMED)
            and (a.reason != Reason.LIFT_OFF or b.reason == a.reason or b.state == at.LIFTED)
            and (a.goal != Goal.CLOSE or b.goal == a.goal or a.reason == Reason.SESSION_OVER)
            and (b.state != at.WAITING or a.state not in (at.PREPARED, at.PAUSED) or a.reason == Reason.PRESS_TIMEOUT)
            and (
                b.state not in (at.WAITING, at.PAUSED)
                or a.state != at.RECORDING
                or a.goal == Goal.CLOSE
                or a.reason == Reason.RESUME_TOO_LATE
            )
            and (a.reason != Reason.PRESS_TIMEOUT or b.reason == a.reason or b.state == at.WAITING)
        )
    )


@proves("SR-STOP-1", "SR-SES-1", "SR-RST-3")
def what_goes_on_says_nothing(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Motion that begins, a session that opens, a fault that clears leave no reason; power-up tells its fault."""
    return (
        (a.state != at.SPIN_UP or b.state == at.SPIN_UP or a.reason == Reason.NONE)
        and (a.state != at.OPENING or b.state == at.OPENING or a.reason == Reason.NONE)
        and (b.fault == a.fault or a.fault != Reason.NONE or a.reason == Reason.NONE)
        and (e.kind != EventKind.LOADED or b.state != at.BOOT or a.reason == a.fault)
        and (
            e.kind != EventKind.FLASH_DONE
            or a.state != at.PAUSED
            or b.state != at.RECORDING
            or b.goal != Goal.GO
            or a.reason == (Reason.LEASE_LAPSED if b.lease_left_ms == 0 else Reason.SESSION_OVER)
        )
        and (e.kind != EventKind.SELF_TEST_DONE or a.state == b.state or e.ok == 1 or a.reason == a.fault)
    )


ANSWERS: Final[tuple[Property, ...]] = (
    what_may_start_starts, what_may_be_done_is_done, renewal_is_honest, the_pens_own_word_counts, writes_lead_on,
    dead_for_a_cause, refusals_are_true, frame_refusals_are_true, what_ends_says_why, ticks_say_why,
    what_goes_on_says_nothing,
)  # fmt: skip
