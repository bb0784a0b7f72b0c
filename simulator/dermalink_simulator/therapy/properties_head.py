"""Properties of the head: how it is judged, marked, worn, and that it changes by seating alone."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer
from dermalink_simulator.therapy.checks import judged
from dermalink_simulator.therapy.claim import Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import MOVING, TherapyState, Write
from dermalink_simulator.therapy.subset import helper, least, less


@proves("SR-CART-2", "SR-DEPTH-2", "SR-DEPTH-6", "SR-CART-1")
def head_is_judged(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A head that is seated is fit only if nothing speaks against it, and known as its tag says."""
    return e.kind != EventKind.HEAD or (
        a.head_verdict == judged(k, b, e)
        and (
            a.head_verdict != Reason.NONE
            or (
                e.verdict == Reason.NONE
                and e.reach_um <= k.depth_cap_um
                and 1 <= e.needles <= k.needles_max
                and 1 <= e.tolerance_um <= k.tolerance_max_um
                and e.utc_s <= e.sterile_until_s
                and e.sessions_used == 0
                and e.sessions_allowed != 0
                and (e.marked == 0 or b.session_id != 0)
                and a.head_kind == e.head_kind
                and a.head_needles == e.needles
                and a.head_width_um == e.width_um
                and a.head_reach_um == e.reach_um
                and a.head_tolerance_um == e.tolerance_um
                and a.head_sterile_s == e.sterile_until_s
                and a.head_strokes == least(e.strokes_left, k.head_strokes_max)
                and a.tag_low == e.tag_low
                and a.tag_high == e.tag_high
                and (a.head_marked == 1) == (e.marked != 0)
            )
        )
    )


@helper
def same_head(b: TherapyState, a: TherapyState) -> bool:
    """What is known of the head is as it was, but for mark and strokes."""
    return (
        a.head_verdict == b.head_verdict
        and a.head_kind == b.head_kind
        and a.head_needles == b.head_needles
        and a.head_width_um == b.head_width_um
        and a.head_reach_um == b.head_reach_um
        and a.head_tolerance_um == b.head_tolerance_um
        and a.head_sterile_s == b.head_sterile_s
        and a.tag_low == b.tag_low
        and a.tag_high == b.tag_high
    )


@proves("SR-CART-1", "SR-CART-3")
def head_changes_by_seating_alone(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What is known of a head changes when it is seated or pulled, or is used up with its session."""
    return (
        e.kind == EventKind.HEAD
        or same_head(b, a)
        or (b.head_marked == 1 and a.session_id == 0 and a.head_verdict == Reason.CARTRIDGE_USED)
    )


@proves("SR-CART-1")
def mark_stays(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A head is marked by the press that begins, stays marked while seated, and is used when the session ends."""
    return (
        e.kind == EventKind.HEAD
        or a.head_marked == b.head_marked
        or (b.head_marked == 0 and a.writing == Write.BEGIN)
        or (b.head_marked == 1 and a.session_id == 0 and a.head_verdict == Reason.CARTRIDGE_USED)
    )


@proves("SR-CART-4")
def strokes_run_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A head's strokes run down whole, and by strokes alone."""
    return (
        e.kind == EventKind.HEAD
        or (b.head_marked == 1 and a.session_id == 0)
        or a.head_strokes
        == (
            less(b.head_strokes, e.strokes)
            if e.kind == EventKind.STROKES and (b.state in MOVING or (b.state == at.STOPPING and b.zone != 0))
            else b.head_strokes
        )
    )


HEADS: Final[tuple[Property, ...]] = (
    head_is_judged, head_changes_by_seating_alone, mark_stays, strokes_run_down,
)  # fmt: skip
