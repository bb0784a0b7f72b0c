"""Updates that belong together, by name: a row adds blocks, and of two that write one field the later wins."""

from typing import Final

from dermalink_simulator.therapy import updates as u
from dermalink_simulator.therapy import updates_pass as p
from dermalink_simulator.therapy import updates_wait as w
from dermalink_simulator.therapy.row import EVERY, Block

CLOCK: Final[Block] = {"lease_left_ms": u.left, "session_left_ms": u.left, "timer_ms": u.left, "pass_ms": u.left}
"""Time runs."""

COMMAND: Final[Block] = {
    "last_id": u.id_given, "ring_at": u.next_cell, "ring_ids": u.id_given, "ring_digests": u.digest_given
}  # fmt: skip
"""A command was applied, and is remembered."""

SESSION: Final[Block] = {
    "session_id": u.session_given, "owner": u.port_given, "session_left_ms": u.session_time, "lease_ms": u.lease_given,
    "reason": u.no_reason,
}  # fmt: skip
"""A session opens, its lease not yet running."""

ADOPT: Final[Block] = {"owner": u.port_given, "lease_ms": u.lease_given, "lease_left_ms": u.zero}
"""A session has a new owner, its lease not yet running."""

ORPHAN: Final[Block] = {"owner": u.zero, "lease_left_ms": u.zero}
"""A session's owner is gone."""

SEAT: Final[Block] = {
    "head_verdict": p.verdict_given, "tag_low": p.tag_low_given, "tag_high": p.tag_high_given,
    "head_kind": p.kind_given, "head_needles": p.needles_given, "head_width_um": p.width_given,
    "head_reach_um": p.reach_given,
    "head_tolerance_um": p.tolerance_given, "head_sterile_s": p.sterile_given, "head_strokes": p.strokes_given,
    "head_marked": p.mark_given,
}  # fmt: skip
"""A head is seated, or gone."""

FRAME: Final[Block] = {
    "zone": p.zone_asked, "direction": p.direction_asked, "depth_um": p.depth_asked, "rate_hz": p.rate_asked,
    "speed_mm_s": p.speed_asked, "frame_id": p.frame_next,
}  # fmt: skip
"""A frame is prepared."""

DROP: Final[Block] = {
    "zone": u.zero, "direction": u.zero, "depth_um": u.zero, "rate_hz": u.zero, "speed_mm_s": u.zero,
    "pass_left": u.zero, "pass_ms": u.zero, "resumes": u.zero, "written": u.zero, "timer_ms": u.zero,
}  # fmt: skip
"""Frame and pass are over."""

SPEND: Final[Block] = {
    "pass_left": p.whole_budget, "spent": p.booked, "head_marked": u.one, "writing": u.write_begin,
    "timer_ms": u.fresh_time,
}  # fmt: skip
"""A pass begins: its whole budget is booked, its head used, the press fresh for a while."""

GIVE_BACK: Final[Block] = {"spent": p.given_back, **DROP}
"""A pass has ended, as written: what it did not make comes back."""

TOUCH: Final[Block] = {"done": p.touched, "wait_s": w.interval}
"""Skin is touched with needles out: the pass is used, the wait begins."""

STROKE: Final[Block] = {
    "pass_left": p.punctured, "head_strokes": p.struck, "done": p.touched_if_struck, "wait_s": w.interval_if_struck
}  # fmt: skip
"""Strokes were made."""

STOPPING: Final[Block] = {"timer_ms": u.stop_time}
"""The drive is cut; "in" and "off" are to be measured in time."""

ENDING: Final[Block] = {"writing": u.write_end, "timer_ms": u.zero, "pass_ms": u.zero}
"""The pass's end is to be written."""

WRITTEN: Final[Block] = {"written": u.one, "writing": u.zero, "goal": u.zero}
"""The pass's begin stands in the ledger."""

AT_REST: Final[Block] = {"writing": u.zero, "goal": u.zero, "timer_ms": u.zero}
"""No write, no stopping, no time."""

RETIRE: Final[Block] = {
    "head_verdict": p.verdict_after, "head_marked": u.zero,
    **dict.fromkeys(
        ("tag_low", "tag_high", "head_kind", "head_needles", "head_width_um", "head_reach_um", "head_tolerance_um",
         "head_sterile_s", "head_strokes"), p.unmarked_only),
}  # fmt: skip
"""A head that this session used is used."""

OVER: Final[Block] = {
    **dict.fromkeys(
        ("session_id", "owner", "session_left_ms", "lease_ms", "lease_left_ms", "symptom", "frame_id", "self_tested",
         f"done{EVERY}", f"spent{EVERY}"), u.zero),
    **DROP, **RETIRE,
}  # fmt: skip
"""The session is over, and what was its own with it."""

LATCH: Final[Block] = {"symptom_s": w.symptom_wait, "advice_due": w.advice, "symptom": w.if_session}
"""A symptom locks."""

LOST: Final[Block] = {"clock": w.lost, "wait_s": w.interval_again, "symptom_s": w.symptom_again}
"""The clock was lost: what was waited for so far counts no more."""

BACK: Final[Block] = {"clock": w.back}
"""The clock moved back."""

CLEARED: Final[Block] = {"fault": u.no_reason, "reason": u.no_reason}
"""A fault is cleared."""

FAULTED: Final[Block] = {"fault": u.faulted, "reason": u.faulted, "self_tested": u.zero}
"""A fault latches."""

STOP_FAILED: Final[Block] = {"fault": u.stop_failed, "reason": u.stop_failed, "goal": u.zero}
"""Needles not measured in, or motor not measured off, in time."""

FLASH_FAILED: Final[Block] = {"fault": u.flash_failed, "reason": u.flash_failed}
"""A write went wrong."""

STROKE_LATE: Final[Block] = {"wait_s": w.interval_if_struck}
"""Strokes of a drive that would not stop."""
