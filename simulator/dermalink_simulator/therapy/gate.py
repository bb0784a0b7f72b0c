"""The drive gate: the last word on whether the drive moves, and how far (SR-DEPTH-*, SR-STOP-1, 3, 6).

Needles move only while the therapy wants it, and its frame is within every cap, and lease and watchdog run, and nothing
has cut the drive: neither the monitor nor a press. It believes nothing of the therapy's state and is proved for any. It
runs in the timer interrupt (`guard`), so it stops the needles when the main loop hangs; the main loop tells it what the
therapy wants after every step (`feed`). A cut holds until a feed finds the therapy at rest. Nothing is clamped: a frame
over a cap moves nothing at all.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.wire import U8, U16
from dermalink_simulator.seam import DriveOrder
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.state import MOVING, TherapyState
from dermalink_simulator.therapy.straight import straight
from dermalink_simulator.therapy.subset import helper, least, less


class Cut(IntEnum):
    """What has cut the drive; the first one stays."""

    NONE = 0
    TRIP = 1
    PRESS = 2
    LEASE = 3
    WATCHDOG = 4
    CONTACT = 5


class GateState(NamedTuple):
    """What the gate knows between two interrupts.

    wants             0: rest, 1: motor, needles in, 2: needles out, 3: the self-test's exercise.
    motor_hz          the frame's rate; zero unless wants is 1 or 2.
    target_um         the frame's depth less the tolerance; zero unless wants is 2.
    lease_left_ms     runs down here too; zero unless wants is 1 or 2.
    watchdog_left_ms  whole at each feed; at most 50.
    cut               a `Cut`; a feed at rest takes it away.
    """

    wants: U8 = 0
    motor_hz: U8 = 0
    target_um: U16 = 0
    lease_left_ms: U16 = 0
    watchdog_left_ms: U8 = 0
    cut: U8 = 0


class Fed(NamedTuple):
    """What the main loop adds to the therapy's state: 1 while the self-test asks for the exercise of its drive."""

    exercise: U8 = 0


class Guarded(NamedTuple):
    """What the interrupt sees: time since the last one, a trip of the monitor, a press's edge, contact."""

    dt_ms: U16 = 0
    trip: U8 = 0
    pressed: U8 = 0
    contact: U8 = 0


AT_REST: Final = GateState()
REST, MOTOR, NEEDLES, EXERCISE = 0, 1, 2, 3


@helper
def depth_permitted(k: CoreLimits, t: TherapyState) -> bool:
    """The frame is within the pen's cap, its zone's and its head's, and its tolerance is one."""
    return (
        1 <= t.zone < 9
        and t.depth_um <= k.depth_cap_um
        and t.depth_um <= k.zone_cap_um[t.zone]
        and t.depth_um <= t.head_reach_um
        and t.head_reach_um <= k.depth_cap_um
        and 1 <= t.head_tolerance_um <= k.tolerance_max_um
        and t.depth_um > t.head_tolerance_um
    )


@helper
def motion_permitted(k: CoreLimits, t: TherapyState) -> bool:
    """The frame may run at all: also its rate, its begin as written, its head and its lease."""
    return (
        depth_permitted(k, t)
        and k.rate_min_hz <= t.rate_hz <= k.rate_max_hz
        and t.written == 1
        and t.owner >= 1
        and t.fault == Reason.NONE
        and t.head_verdict == Reason.NONE
        and 1 <= t.lease_left_ms <= k.lease_max_ms
    )


@helper
def wanted(k: CoreLimits, t: TherapyState, i: Fed) -> int:
    """What the therapy's state wants and may have."""
    return (
        (NEEDLES if t.state == State.RUNNING else MOTOR)
        if t.state in MOVING and motion_permitted(k, t)
        else (EXERCISE if t.state == State.SELF_TEST and i.exercise != 0 else REST)
    )


def _fed_wants(k: CoreLimits, g: GateState, t: TherapyState, i: Fed) -> int:
    return wanted(k, t, i)


def _fed_motor(k: CoreLimits, g: GateState, t: TherapyState, i: Fed) -> int:
    return t.rate_hz if wanted(k, t, i) in (MOTOR, NEEDLES) else 0


def _fed_target(k: CoreLimits, g: GateState, t: TherapyState, i: Fed) -> int:
    return t.depth_um - t.head_tolerance_um if wanted(k, t, i) == NEEDLES else 0


def _fed_lease(k: CoreLimits, g: GateState, t: TherapyState, i: Fed) -> int:
    return t.lease_left_ms if wanted(k, t, i) in (MOTOR, NEEDLES) else 0


def _fed_watchdog(k: CoreLimits, g: GateState, t: TherapyState, i: Fed) -> int:
    return k.watchdog_ms


def _fed_cut(k: CoreLimits, g: GateState, t: TherapyState, i: Fed) -> int:
    return g.cut if t.state in MOVING or t.state == State.SELF_TEST else 0


def _guarded_lease(k: CoreLimits, g: GateState, i: Guarded) -> int:
    return less(g.lease_left_ms, i.dt_ms)


def _guarded_watchdog(k: CoreLimits, g: GateState, i: Guarded) -> int:
    return less(g.watchdog_left_ms, i.dt_ms)


@helper
def cut_by(g: GateState, i: Guarded) -> int:
    """What cuts the drive now, of a gate that wants motion."""
    return (
        Cut.TRIP
        if i.trip != 0
        else (
            Cut.PRESS
            if i.pressed != 0
            else (
                Cut.CONTACT
                if g.wants == EXERCISE and i.contact != 0
                else (
                    Cut.LEASE
                    if g.wants in (MOTOR, NEEDLES) and g.lease_left_ms <= i.dt_ms
                    else (Cut.WATCHDOG if g.watchdog_left_ms <= i.dt_ms else Cut.NONE)
                )
            )
        )
    )


def _guarded_cut(k: CoreLimits, g: GateState, i: Guarded) -> int:
    return g.cut if g.cut != Cut.NONE or g.wants == REST else cut_by(g, i)


@helper
def live(g: GateState) -> bool:
    """The drive may move now."""
    return (
        g.wants != REST
        and g.cut == Cut.NONE
        and g.watchdog_left_ms >= 1
        and (g.lease_left_ms >= 1 or g.wants == EXERCISE)
    )


def _order_motor(k: CoreLimits, g: GateState) -> int:
    return g.motor_hz if live(g) else 0


def _order_target(k: CoreLimits, g: GateState) -> int:
    return g.target_um if live(g) else 0


def _order_valid(k: CoreLimits, g: GateState) -> int:
    return (
        least(
            k.order_valid_max_ms,
            g.watchdog_left_ms if g.wants == EXERCISE else least(g.watchdog_left_ms, g.lease_left_ms),
        )
        if live(g)
        else 0
    )


def _order_exercise(k: CoreLimits, g: GateState) -> int:
    return 1 if live(g) and g.wants == EXERCISE else 0


GatePart = Callable[..., Any]

FEED: Final[dict[str, GatePart]] = {
    "wants": _fed_wants,
    "motor_hz": _fed_motor,
    "target_um": _fed_target,
    "lease_left_ms": _fed_lease,
    "watchdog_left_ms": _fed_watchdog,
    "cut": _fed_cut,
}
"""The gate's fields after the main loop told it the therapy's state; f(limits, gate, therapy, fed)."""

GUARD: Final[dict[str, GatePart]] = {
    "lease_left_ms": _guarded_lease,
    "watchdog_left_ms": _guarded_watchdog,
    "cut": _guarded_cut,
}
"""The fields that an interrupt changes; f(limits, gate, guarded)."""

ORDER: Final[dict[str, GatePart]] = {
    "motor_hz": _order_motor,
    "target_um": _order_target,
    "valid_ms": _order_valid,
    "exercise": _order_exercise,
}
"""The order to the drive, from the gate's state alone; f(limits, gate)."""


class Compiled(NamedTuple):
    """`feed`, `guard` and `order` for given limits, as straight code."""

    feed: Callable[[GateState, TherapyState, tuple[int]], GateState]
    guard: Callable[[GateState, tuple[int, ...]], GateState]
    order: Callable[[GateState], DriveOrder]


@cache
def compiled(limits: CoreLimits) -> Compiled:
    """The gate for these limits: f(gate, therapy, fed), f(gate, guarded), f(gate)."""
    gate: dict[str, tuple[str, ...]] = {"g": GateState._fields}
    fed: dict[str, tuple[str, ...]] = {"t": TherapyState._fields, "i": Fed._fields}
    guarded: dict[str, tuple[str, ...]] = {"i": Guarded._fields}
    fixed = {"k": limits}
    return Compiled(
        straight(FEED, GateState, ("k", "g", "t", "i"), gate | fed, fixed),
        straight(GUARD, GateState, ("k", "g", "i"), gate | guarded, fixed),
        straight(ORDER, DriveOrder, ("k", "g"), gate, fixed),
    )


def feed(limits: CoreLimits, gate: GateState, therapy: TherapyState, exercise: int = 0) -> GateState:
    """The main loop's word, after every step of the core and at least every main loop; winds up the watchdog."""
    return compiled(limits).feed(gate, therapy, (exercise,))


def guard(limits: CoreLimits, gate: GateState, guarded: Guarded) -> GateState:
    """The timer interrupt: time runs, and whatever cuts the drive cuts it."""
    return compiled(limits).guard(gate, guarded)


def order(limits: CoreLimits, gate: GateState) -> DriveOrder:
    """What the drive is told now; `DriveOrder()` is off and in."""
    return compiled(limits).order(gate)
