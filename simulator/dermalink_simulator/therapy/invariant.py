"""What holds in every state that the therapy core can be in: small named clauses over few fields.

`LIVES` says for each field in which states it may be other than zero (or than NONE); the widths of all fields belong to
the invariant too. A clause is f(limits, state), a clause over cells f(limits, state, cell).
"""

from collections.abc import Callable
from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Direction, Head
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.checks import depth_sound, frame_sound, pass_free, sweep_sound
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.guards import CLEARABLE
from dermalink_simulator.therapy.state import MOVING, Clock, Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import helper
from dermalink_simulator.therapy.widths import RING_CELLS

Clause = Callable[[CoreLimits, TherapyState], bool]
CellClause = Callable[[CoreLimits, TherapyState, int], bool]

SESSION: Final = (
    at.OPENING, at.OPEN, at.PREPARED, at.WAITING, at.RECORDING, *MOVING, at.PAUSED, at.CLOSING
)  # fmt: skip
"""A session is open for certain."""

PASS_OPEN: Final = (at.WAITING, at.RECORDING, *MOVING, at.STOPPING, at.PAUSED)
_MAY_SESSION: Final = (*SESSION, at.STOPPING, at.FAULT, at.SELF_TEST)
_FRAME: Final = (at.PREPARED, *PASS_OPEN)
_ALL_BUT_BOOT: Final = tuple(state for state in at.ALL if state != at.BOOT)

LIVES: Final[dict[str, tuple[int, ...]]] = {
    "goal": (at.OPENING, at.RECORDING, at.STOPPING, at.CLOSING),
    "timer_ms": (at.SELF_TEST, at.WAITING, at.RECORDING, *MOVING, at.STOPPING),
    "writing": (at.OPENING, at.RECORDING, at.CLOSING),
    "fault": (at.BOOT, at.SELF_TEST, at.FAULT, *at.DEAD, at.STOPPING, at.OPENING, at.RECORDING, at.CLOSING),
    "self_tested": (at.IDLE, *SESSION, at.STOPPING, at.FAULT),
    "boot_id": _ALL_BUT_BOOT,
    "session_id": _MAY_SESSION,
    "owner": _MAY_SESSION,
    "session_left_ms": tuple(state for state in _MAY_SESSION if state != at.CLOSING),
    "lease_ms": _MAY_SESSION,
    "lease_left_ms": _MAY_SESSION,
    "symptom": _MAY_SESSION,
    "frame_id": _MAY_SESSION,
    "done": _MAY_SESSION,
    "spent": _MAY_SESSION,
    "head_marked": _MAY_SESSION,
    **dict.fromkeys(("zone", "direction", "depth_um", "rate_hz", "speed_mm_s"), _FRAME),
    **dict.fromkeys(("pass_left", "resumes", "written"), PASS_OPEN),
    "pass_ms": (at.PAUSED, at.WAITING),
    **dict.fromkeys(("last_id", "ring_at", "ring_ids", "ring_digests"), _ALL_BUT_BOOT),
}
"""Fields that are not named here may have a value in any state."""


@helper
def leads_on(s: TherapyState) -> bool:
    """A state of a session that nothing worse than a pause is about to end."""
    return (
        s.state in (at.PREPARED, at.WAITING, at.PAUSED)
        or s.state in MOVING
        or (s.state == at.STOPPING and s.goal == Goal.PAUSE)
        or (s.state == at.RECORDING and s.goal in (Goal.GO, Goal.PAUSE))
    )


@helper
def begun(s: TherapyState) -> bool:
    """A pass is begun, as confirmed, and not over."""
    return s.state in MOVING or s.state == at.PAUSED or (s.state in (at.STOPPING, at.WAITING) and s.written == 1)


def flags(k: CoreLimits, s: TherapyState) -> bool:
    """Flags are 0 or 1."""
    return (
        s.self_tested <= 1
        and s.advice_due <= 1
        and s.symptom <= 1
        and s.head_marked <= 1
        and s.written <= 1
        and s.clock <= Clock.BACK
    )


def goals(k: CoreLimits, s: TherapyState) -> bool:
    """Each state leads only where it can lead."""
    return (
        (s.state != at.STOPPING or Goal.REST <= s.goal <= Goal.FAULT)
        and (s.state != at.OPENING or s.goal in (Goal.GO, Goal.CLOSE, Goal.FAULT))
        and (s.state != at.CLOSING or s.goal in (Goal.GO, Goal.FAULT))
        and (s.state != at.RECORDING or s.goal in (Goal.GO, Goal.PAUSE, Goal.END, Goal.CLOSE, Goal.FAULT))
        and (s.writing != Write.END or s.goal in (Goal.END, Goal.CLOSE, Goal.FAULT))
    )


def writes(k: CoreLimits, s: TherapyState) -> bool:
    """Each writing state waits for its own write."""
    return (
        (s.state != at.OPENING or s.writing == Write.OPEN)
        and (s.state != at.CLOSING or s.writing == Write.CLOSE)
        and (s.state != at.RECORDING or s.writing in (Write.BEGIN, Write.END))
    )


def timers(k: CoreLimits, s: TherapyState) -> bool:
    """A state's timer is running, and no longer than it may."""
    return (
        (s.state != at.SELF_TEST or 1 <= s.timer_ms <= k.self_test_within_ms)
        and (s.state != at.WAITING or 1 <= s.timer_ms <= k.press_within_ms)
        and (s.state != at.RECORDING or s.timer_ms <= (k.press_fresh_ms if s.writing == Write.BEGIN else 0))
        and (s.state != at.RECORDING or s.goal != Goal.GO or s.timer_ms != 0)
        and (s.state != at.SPIN_UP or 1 <= s.timer_ms <= k.spin_up_ms)
        and (s.state != at.ARMED or 1 <= s.timer_ms <= k.armed_idle_ms)
        and (s.state != at.RUNNING or 1 <= s.timer_ms <= k.lift_retract_ms)
        and (s.state != at.LIFTED or 1 <= s.timer_ms <= k.lift_pause_ms)
        and (s.state != at.STOPPING or 1 <= s.timer_ms <= k.stop_failed_ms)
    )


def faults(k: CoreLimits, s: TherapyState) -> bool:
    """A fault is latched where it must be, and nowhere else."""
    return (
        (s.state not in (at.FAULT, at.LOCKED, at.STOP_FAILED) or s.fault != Reason.NONE)
        and (s.goal != Goal.FAULT or s.fault != Reason.NONE)
        and (s.state not in (at.OPENING, at.RECORDING, at.CLOSING) or s.goal == Goal.FAULT or s.fault == Reason.NONE)
        and (s.state != at.STOPPING or s.goal in (Goal.REST, Goal.FAULT) or s.fault == Reason.NONE)
    )


def service(k: CoreLimits, s: TherapyState) -> bool:
    """What needs service is locked, and what is locked needs service."""
    return (
        (s.state != at.FAULT or s.fault in CLEARABLE)
        and (s.state != at.SELF_TEST or s.fault == Reason.NONE or s.fault in CLEARABLE)
        and (s.goal != Goal.REST or s.fault == Reason.NONE or s.fault in CLEARABLE)
        and (s.state not in (at.LOCKED, at.STOP_FAILED) or s.fault not in CLEARABLE)
    )


def tested(k: CoreLimits, s: TherapyState) -> bool:
    """A session goes on only after a self-test that passed."""
    return (
        (s.state not in SESSION or s.goal == Goal.FAULT or s.self_tested == 1)
        and (s.state != at.STOPPING or s.goal in (Goal.REST, Goal.FAULT) or s.self_tested == 1)
        and (s.goal != Goal.REST or s.self_tested == 0)
    )


def sessions(k: CoreLimits, s: TherapyState) -> bool:
    """Where a session must be open, one is; a self-test meets one only after a fault."""
    return (
        (s.state not in SESSION or s.session_id != 0)
        and (s.state != at.STOPPING or s.goal in (Goal.REST, Goal.FAULT) or s.session_id != 0)
        and (s.state != at.SELF_TEST or s.session_id == 0 or s.fault != Reason.NONE)
        and (s.goal != Goal.REST or s.session_id == 0 or s.fault != Reason.NONE)
        and (s.session_id == 0 or k.lease_min_ms <= s.lease_ms <= k.lease_max_ms)
        and s.session_left_ms <= k.session_max_ms
        and (s.goal != Goal.CLOSE or s.session_left_ms == 0)
    )


def sessionless(k: CoreLimits, s: TherapyState) -> bool:
    """Without a session, nothing of one."""
    return s.session_id != 0 or (
        s.owner == 0
        and s.session_left_ms == 0
        and s.lease_ms == 0
        and s.lease_left_ms == 0
        and s.symptom == 0
        and s.frame_id == 0
        and s.head_marked == 0
        and s.zone == 0
    )


def sessionless_zones(k: CoreLimits, s: TherapyState, z: int) -> bool:
    """Without a session, no passes."""
    return s.session_id != 0 or (s.done[z] == 0 and s.spent[z] == 0)


def lease(k: CoreLimits, s: TherapyState) -> bool:
    """A lease is at most what was asked for, and nobody's without an owner."""
    return s.lease_left_ms <= s.lease_ms and (s.owner != 0 or s.lease_left_ms == 0)


def frames(k: CoreLimits, s: TherapyState) -> bool:
    """A frame is held whole or not at all, and where one must be held, one is."""
    return (
        (s.zone != 0 or (s.direction == 0 and s.depth_um == 0 and s.rate_hz == 0 and s.speed_mm_s == 0))
        and (s.state not in (at.PREPARED, at.WAITING, at.RECORDING, at.PAUSED) or s.zone != 0)
        and (s.state not in MOVING or s.zone != 0)
        and (s.state != at.STOPPING or s.goal not in (Goal.PAUSE, Goal.END, Goal.CLOSE) or s.zone != 0)
        and (s.goal != Goal.REST or s.zone == 0)
        and (s.zone == 0 or s.frame_id != 0)
    )


def frame_within(k: CoreLimits, s: TherapyState) -> bool:
    """A held frame is within the caps of pen and zone, whatever became of the head."""
    return s.zone == 0 or (
        s.zone < 9
        and k.depth_min_um <= s.depth_um <= k.depth_cap_um
        and s.depth_um <= k.zone_cap_um[s.zone]
        and k.rate_min_hz <= s.rate_hz <= k.rate_max_hz
        and k.speed_min_mm_s <= s.speed_mm_s <= k.speed_max_mm_s
        and s.direction in (Direction.VERTICAL, Direction.HORIZONTAL, Direction.DIAGONAL)
    )


def frame_whole_depth(k: CoreLimits, s: TherapyState) -> bool:
    """What may move, or go on to, has its depth within every cap."""
    return not leads_on(s) or depth_sound(k, s)


def frame_whole_sweep(k: CoreLimits, s: TherapyState) -> bool:
    """What may move, or go on to, has a sound sweep."""
    return not leads_on(s) or sweep_sound(k, s)


def frame_headed(k: CoreLimits, s: TherapyState) -> bool:
    """What may move, or go on to, has a fit head; a begun pass has marked it."""
    return (not leads_on(s) or frame_sound(k, s)) and (
        not leads_on(s) or s.state == at.PREPARED or (s.state == at.WAITING and s.written == 0) or s.head_marked == 1
    )


def unlatched(k: CoreLimits, s: TherapyState) -> bool:
    """A symptom in the session leaves nothing that could go on."""
    return not leads_on(s) or s.symptom == 0


def passes_free(k: CoreLimits, s: TherapyState) -> bool:
    """A frame whose pass has not begun has one that is still free."""
    return not (s.state == at.PREPARED or (s.state == at.WAITING and s.written == 0)) or pass_free(k, s)


def pass_booked(k: CoreLimits, s: TherapyState) -> bool:
    """What a pass may still make is no more than its zone has booked, nor than its budget."""
    return s.zone == 0 or (s.zone < 9 and s.pass_left <= k.pass_budget[s.zone] and s.pass_left <= s.spent[s.zone])


def pass_fields(k: CoreLimits, s: TherapyState) -> bool:
    """A pass is begun whole or not at all."""
    return (
        (s.written == 1 or (s.resumes == 0 and s.pass_ms == 0))
        and (s.written == 1 or s.pass_left == 0 or s.writing == Write.BEGIN)
        and (s.writing != Write.BEGIN or s.written == 0)
        and (s.zone != 0 or s.written == 0)
        and (s.state not in MOVING or s.written == 1)
        and (s.state != at.PAUSED or s.written == 1)
        and (s.writing != Write.END or s.written == 1)
        and (s.state != at.STOPPING or s.zone == 0 or s.written == 1)
        and s.resumes <= k.resumes_max
    )


def pass_resumable(k: CoreLimits, s: TherapyState) -> bool:
    """What waits to be resumed has punctures and time left."""
    return (
        (s.state != at.PAUSED or (s.pass_left != 0 and 1 <= s.pass_ms <= k.resume_within_ms))
        and (s.state != at.WAITING or s.written == 0 or (s.pass_left != 0 and 1 <= s.pass_ms <= k.resume_within_ms))
        and (s.state != at.WAITING or s.written == 0 or s.resumes < k.resumes_max)
        and (s.state != at.STOPPING or s.goal != Goal.PAUSE or s.pass_left != 0)
        and (s.state != at.RECORDING or s.writing != Write.BEGIN or s.pass_left != 0)
    )


def moving(k: CoreLimits, s: TherapyState) -> bool:
    """Motion has an owner, a lease, a session, punctures and strokes left."""
    return s.state not in MOVING or (
        s.owner != 0 and s.lease_left_ms != 0 and s.session_left_ms != 0 and s.pass_left != 0 and s.head_strokes != 0
    )


def waiting(k: CoreLimits, s: TherapyState) -> bool:
    """What waits for a press, or is being written to begin, has strokes left to its head."""
    return (s.state != at.WAITING or s.head_strokes != 0) and (
        s.state != at.RECORDING or s.goal not in (Goal.GO, Goal.PAUSE) or s.head_strokes != 0
    )


def owned(k: CoreLimits, s: TherapyState) -> bool:
    """What is prepared, waits or is about to go has an owner."""
    return (s.state not in (at.PREPARED, at.WAITING) or s.owner != 0) and (
        s.state != at.RECORDING or s.goal != Goal.GO or s.owner != 0
    )


def touched(k: CoreLimits, s: TherapyState) -> bool:
    """A pass that had needles out in contact is used."""
    return s.state not in (at.RUNNING, at.LIFTED) or s.done[s.zone] & s.direction != 0


def head_fit(k: CoreLimits, s: TherapyState) -> bool:
    """What is known of a fit head is within the limits."""
    return s.head_verdict != Reason.NONE or (
        s.head_kind in (Head.GLIDE, Head.STAMP)
        and 1 <= s.head_needles <= k.needles_max
        and s.head_width_um != 0
        and 1 <= s.head_reach_um <= k.depth_cap_um
        and 1 <= s.head_tolerance_um <= k.tolerance_max_um
        and s.head_strokes <= k.head_strokes_max
    )


def head_unfit(k: CoreLimits, s: TherapyState) -> bool:
    """Nothing is known of a head that is refused."""
    return s.head_verdict == Reason.NONE or (
        s.head_kind == 0
        and s.head_needles == 0
        and s.head_width_um == 0
        and s.head_reach_um == 0
        and s.head_tolerance_um == 0
        and s.head_sterile_s == 0
        and s.head_strokes == 0
        and s.head_marked == 0
        and s.tag_low == 0
        and s.tag_high == 0
    )


def zones_within(k: CoreLimits, s: TherapyState, z: int) -> bool:
    """No zone has more passes, or more punctures booked, than it may."""
    return s.done[z] & 7 == s.done[z] and s.spent[z] <= k.zone_budget[z]


def ring(k: CoreLimits, s: TherapyState) -> bool:
    """The ring's next cell is one of it."""
    return s.ring_at < RING_CELLS


def ring_old(k: CoreLimits, s: TherapyState, z: int) -> bool:
    """What is remembered is no newer than the newest."""
    return s.ring_ids[z] <= s.last_id


CLAUSES: Final[tuple[Clause, ...]] = (
    flags, goals, writes, timers, faults, service, tested, sessions, sessionless, lease, frames, frame_within,
    frame_whole_depth, frame_whole_sweep, frame_headed, unlatched, passes_free, pass_booked, pass_fields,
    pass_resumable, moving, waiting, owned, touched, head_fit, head_unfit, ring,
)  # fmt: skip

ZONE_CLAUSES: Final[tuple[CellClause, ...]] = (sessionless_zones, zones_within)
RING_CLAUSES: Final[tuple[CellClause, ...]] = (ring_old,)
