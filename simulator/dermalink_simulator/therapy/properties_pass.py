"""Properties of frames, passes, budgets and heads."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Direction
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Effect, Verdict
from dermalink_simulator.therapy.checks import density_over, head_unfit
from dermalink_simulator.therapy.claim import CellProperty, Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import MOVING, Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import helper, less
from dermalink_simulator.therapy.widths import ZONE_CELLS

# The frame


@helper
def same_frame(b: TherapyState, a: TherapyState) -> bool:
    """The frame is as it was."""
    return (
        a.zone == b.zone
        and a.direction == b.direction
        and a.depth_um == b.depth_um
        and a.rate_hz == b.rate_hz
        and a.speed_mm_s == b.speed_mm_s
        and a.frame_id == b.frame_id
    )


@proves("SR-DEPTH-8")
def frame_changes_by_prepare_alone(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A frame is as it was prepared, until it is dropped whole; only a new one, before a pass, takes its place."""
    return (
        a.zone == 0
        or (b.zone != 0 and same_frame(b, a))
        or (e.kind == EventKind.PREPARE and b.state in (at.OPEN, at.PREPARED) and a.state == at.PREPARED)
    )


@helper
def prepares(e: Event, r: Answer) -> bool:
    """A frame is taken."""
    return e.kind == EventKind.PREPARE and r.verdict == Verdict.APPLIED


@helper
def depth_allowed(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """Zone and depth, as asked for, are within the caps of pen, zone and head."""
    return (
        1 <= e.zone < ZONE_CELLS
        and k.depth_min_um <= e.depth_um <= k.depth_cap_um
        and e.depth_um % k.depth_step_um == 0
        and e.depth_um <= k.zone_cap_um[e.zone]
        and e.depth_um <= b.head_reach_um
        and b.head_reach_um <= k.depth_cap_um
        and 1 <= b.head_tolerance_um <= k.tolerance_max_um
        and k.zone_heads[e.zone] & b.head_kind != 0
    )


@helper
def sweep_allowed(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """Direction, rate and speed, as asked for, are in range, and not too dense with this head."""
    return (
        e.direction in (Direction.VERTICAL, Direction.HORIZONTAL, Direction.DIAGONAL)
        and k.rate_min_hz <= e.rate_hz <= k.rate_max_hz
        and k.speed_min_mm_s <= e.speed_mm_s <= k.speed_max_mm_s
        and not density_over(k, b.head_needles, b.head_width_um, e.rate_hz, e.speed_mm_s)
    )


@helper
def pass_allowed(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """The pass, as asked for, was not made, and its zone has a whole budget left."""
    return (
        1 <= e.zone < ZONE_CELLS
        and b.done[e.zone] & e.direction == 0
        and b.spent[e.zone] + k.pass_budget[e.zone] <= k.zone_budget[e.zone]
    )


@helper
def head_named(b: TherapyState, e: Event) -> bool:
    """The head, as asked for, is the seated one."""
    return e.tag_low == b.tag_low and e.tag_high == b.tag_high


@helper
def conditions_met(k: CoreLimits, b: TherapyState, e: Event) -> bool:
    """A fit head in date with strokes left, an accurate sensor, energy, no symptom, no condition of the wrapper's."""
    return (
        not head_unfit(k, b, e)
        and e.utc_s != 0
        and e.utc_s <= b.head_sterile_s
        and b.head_strokes != 0
        and 1 <= e.accuracy_um <= k.accuracy_max_um
        and e.battery_percent >= k.battery_start_percent
        and e.supply == 0
        and e.condition == Reason.NONE
        and b.symptom_s == 0
        and b.symptom == 0
        and b.advice_due == 0
    )


@proves("SR-DEPTH-1", "SR-DEPTH-2", "SR-DEPTH-3", "SR-DEPTH-6")
def prepared_depth_is_allowed(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A frame that is taken is within the caps of pen, zone and head, and is taken as asked for, not clamped."""
    return not prepares(e, r) or (depth_allowed(k, b, e) and a.zone == e.zone and a.depth_um == e.depth_um)


@proves("SR-RATE-1", "SR-PASS-6", "SR-PASS-1")
def prepared_sweep_is_allowed(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A frame that is taken has one direction, a rate and a speed in range, and a density that may be."""
    return not prepares(e, r) or (
        sweep_allowed(k, b, e)
        and a.direction == e.direction
        and a.rate_hz == e.rate_hz
        and a.speed_mm_s == e.speed_mm_s
        and a.frame_id != b.frame_id
        and a.frame_id != 0
    )


@proves("SR-PASS-1", "SR-PASS-3")
def prepared_pass_is_free(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A frame that is taken is for a pass that was not made, in a zone with a whole budget left."""
    return not prepares(e, r) or pass_allowed(k, b, e)


@proves("SR-CART-2", "SR-DEPTH-5", "SR-PWR-1", "SR-CAL-1", "SR-SYM-1", "SR-SES-1")
def starting_needs_conditions(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Prepare, begin and resume are the owner's, and need a fit head in date, an accurate sensor, and energy."""
    return (
        e.kind not in at.STARTING
        or r.verdict != Verdict.APPLIED
        or (b.owner == e.port and e.port != 0 and e.session_id == b.session_id and conditions_met(k, b, e))
    )


@proves("SR-DEPTH-8")
def prepared_names_the_head(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A frame names the seated head, and what begins is the newest frame."""
    return (not prepares(e, r) or head_named(b, e)) and (
        e.kind != EventKind.BEGIN_PASS or r.verdict != Verdict.APPLIED or e.frame_id == b.frame_id
    )


@proves("SR-DEPTH-8", "SR-SES-1")
def frame_ids_go_on(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A frame's number changes with a new frame alone, by one, and ends with the session."""
    return (
        a.frame_id == b.frame_id
        or (prepares(e, r) and (a.frame_id == 1 or (b.frame_id < a.frame_id and a.frame_id - b.frame_id == 1)))
        or a.session_id == 0
    )


# The pass


@proves("SR-PASS-2")
def resume_is_the_same_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A resumed pass is the same one: frame, budget left, one more of at most five, in time."""
    return (
        b.state != at.WAITING
        or a.state not in MOVING
        or (
            same_frame(b, a)
            and a.pass_left == b.pass_left
            and b.pass_ms != 0
            and a.resumes == b.resumes + 1
            and a.resumes <= k.resumes_max
        )
    )


@proves("SR-PASS-2")
def resumes_count(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Resumes are counted by a press alone, and forgotten with the pass alone."""
    return a.resumes == b.resumes or (b.state == at.WAITING and a.state == at.SPIN_UP) or a.zone == 0


@proves("SR-PASS-2", "SR-SES-1")
def resume_is_asked_for(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What may be resumed has resumes, time and punctures left; a pass that has none is not asked for again."""
    return (
        e.kind != EventKind.RESUME_PASS
        or r.verdict != Verdict.APPLIED
        or (b.state == at.PAUSED and b.resumes < k.resumes_max and b.pass_ms != 0 and b.pass_left != 0)
    )


@proves("SR-PASS-2", "SR-IND-1")
def resume_time_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """The time to resume begins with a pause, whole, and runs down whole, also while a press is waited for."""
    return (
        (
            b.state not in (at.PAUSED, at.WAITING)
            or a.state not in (at.PAUSED, at.WAITING)
            or a.pass_ms == (less(b.pass_ms, e.dt_ms) if e.kind == EventKind.TICK else b.pass_ms)
        )
        and (
            b.state in (at.PAUSED, at.WAITING)
            or a.state != at.PAUSED
            or (b.state in (at.STOPPING, at.RECORDING) and a.pass_ms == k.resume_within_ms)
        )
        and (
            b.state not in (at.PAUSED, at.WAITING)
            or b.written == 0
            or e.kind != EventKind.TICK
            or b.pass_ms > e.dt_ms
            or a.state == at.RECORDING
        )
    )


@proves("SR-PASS-3")
def budget_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A pass's punctures are whole at its press, run down whole by strokes, by nothing else, and go with the pass."""
    return (
        a.zone == 0
        or (b.state == at.WAITING and b.written == 0 and e.kind == EventKind.BUTTON)
        or a.pass_left
        == (
            less(b.pass_left, e.punctures)
            if e.kind == EventKind.STROKES and (b.state in MOVING or b.state == at.STOPPING)
            else b.pass_left
        )
    )


@proves("SR-PASS-3", "SR-CART-4")
def budget_ends_the_pass(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Without punctures left to the pass, or strokes to the head, it ends."""
    return (
        e.kind != EventKind.STROKES
        or (b.state not in MOVING and (b.state != at.STOPPING or b.zone == 0))
        or (
            (b.pass_left > e.punctures and (b.state == at.STOPPING or b.head_strokes > e.strokes))
            or (a.state == at.STOPPING and a.goal >= Goal.END)
        )
    )


@proves("SR-PASS-2", "SR-PASS-3")
def budget_comes_back_when_written(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A pass that goes on or ends well leaves its states only by a written end; else a fault takes it, or the clock."""
    return (
        b.written == 0
        or a.written == 1
        or (
            b.state == at.RECORDING
            and b.writing == Write.END
            and e.kind == EventKind.FLASH_DONE
            and e.write == Write.END
        )
        or a.state in (at.FAULT, at.LOCKED, at.STOP_FAILED)
    )


@proves("SR-PASS-3")
def end_is_written(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A pass's end is written once, where a pass is to end."""
    return (a.writing == Write.END and b.writing != Write.END) == ((r.effects & Effect.WRITE_END) != 0)


@proves("SR-PASS-2", "SR-INT-1", "SR-SES-1")
def touch_is_kept(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Needles out in contact use the pass and start the whole wait; so does every stroke with punctures."""
    return (
        a.state != at.RUNNING
        or b.state == at.RUNNING
        or (a.done[b.zone] & b.direction != 0 and a.wait_s == k.interval_s)
    ) and (
        e.kind != EventKind.STROKES
        or e.punctures == 0
        or b.zone == 0
        or (b.state not in MOVING and b.state != at.STOPPING)
        or (a.done[b.zone] & b.direction != 0 and a.wait_s == k.interval_s)
    )


# The zones' sets and counters


@proves("SR-PASS-1", "SR-PASS-2")
def done_only_grows(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer, z: int) -> bool:
    """A pass that was made stays made while the session lasts; what is added is the frame's own zone and direction."""
    return (
        a.done[z] == b.done[z]
        or a.session_id == 0
        or (b.zone == z and a.done[z] == b.done[z] | b.direction and b.written == 1)
    )


@proves("SR-PASS-3")
def spent_is_exact(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer, z: int) -> bool:
    """A zone's punctures grow by a press, by a whole pass; they shrink by a written end alone, by what was not made."""
    return (
        a.spent[z] == b.spent[z] + k.pass_budget[z]
        if a.writing == Write.BEGIN and b.writing != Write.BEGIN and b.zone == z
        else (
            a.spent[z] + b.pass_left == b.spent[z]
            if e.kind == EventKind.FLASH_DONE
            and e.write == Write.END
            and b.writing == Write.END
            and e.ok == 1
            and b.goal != Goal.FAULT
            and b.zone == z
            else (a.spent[z] == b.spent[z] or a.session_id == 0)
        )
    )


PASSES: Final[tuple[Property, ...]] = (
    frame_changes_by_prepare_alone, prepared_depth_is_allowed, prepared_sweep_is_allowed, prepared_pass_is_free,
    starting_needs_conditions, prepared_names_the_head, frame_ids_go_on, resume_is_the_same_pass, resumes_count,
    resume_is_asked_for, resume_time_runs_down, budget_runs_down, budget_ends_the_pass,
    budget_comes_back_when_written, end_is_written, touch_is_kept,
)  # fmt: skip

ZONES: Final[tuple[CellProperty, ...]] = (done_only_grows, spent_is_exact)
