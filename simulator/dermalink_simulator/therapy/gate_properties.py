"""The drive gate's invariant and properties, in the subset, for any state of the therapy."""

from collections.abc import Callable
from typing import Final

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.seam import DriveOrder
from dermalink_simulator.therapy.claim import proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.gate import EXERCISE, MOTOR, NEEDLES, REST, Cut, Fed, GateState, Guarded
from dermalink_simulator.therapy.state import MOVING, TherapyState
from dermalink_simulator.therapy.subset import less

# The invariant


def targets(k: CoreLimits, g: GateState) -> bool:
    """A target is within the cap, and there is none but for needles out."""
    return g.target_um <= k.depth_cap_um and (g.wants == NEEDLES or g.target_um == 0)


def motors(k: CoreLimits, g: GateState) -> bool:
    """A rate is one of the pen's, and there is none but for motion."""
    return (
        k.rate_min_hz <= g.motor_hz <= k.rate_max_hz if g.wants in (MOTOR, NEEDLES) else g.motor_hz == 0
    ) and g.wants <= EXERCISE


def times(k: CoreLimits, g: GateState) -> bool:
    """Lease and watchdog are no longer than they may be; no lease but for motion."""
    return (
        g.watchdog_left_ms <= k.watchdog_ms
        and g.lease_left_ms <= k.lease_max_ms
        and (g.wants in (MOTOR, NEEDLES) or g.lease_left_ms == 0)
        and g.cut <= Cut.CONTACT
    )


CLAUSES: Final[tuple[Callable[..., bool], ...]] = (targets, motors, times)

# What the main loop's word may do


@proves("SR-DEPTH-1", "SR-DEPTH-2", "SR-DEPTH-3", "SR-DEPTH-6", "SR-DEPTH-8")
def target_is_within_all_caps(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """A target is the frame's depth less its tolerance, in RUNNING alone, within the caps of pen, zone and head."""
    return a.target_um == 0 or (
        t.state == State.RUNNING
        and a.target_um + t.head_tolerance_um == t.depth_um
        and t.head_tolerance_um != 0
        and t.head_tolerance_um <= k.tolerance_max_um
        and t.depth_um <= k.depth_cap_um
        and 1 <= t.zone < 9
        and t.depth_um <= k.zone_cap_um[t.zone]
        and t.depth_um <= t.head_reach_um
        and t.head_reach_um <= k.depth_cap_um
    )


@proves("SR-CART-1", "SR-STOP-1", "SR-STOP-2", "SR-RATE-1")
def motor_needs_permission(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """The motor turns while the therapy moves, at the frame's rate, with begin written, an owner, a lease, no fault."""
    return a.motor_hz == 0 or (
        t.state in MOVING
        and a.motor_hz == t.rate_hz
        and k.rate_min_hz <= t.rate_hz <= k.rate_max_hz
        and t.written == 1
        and t.owner != 0
        and t.fault == Reason.NONE
        and t.head_verdict == Reason.NONE
        and t.lease_left_ms != 0
    )


@proves("SR-STOP-1")
def lease_is_the_therapys(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """The gate's lease is the therapy's, and at most a lease."""
    return a.lease_left_ms == 0 or (a.lease_left_ms == t.lease_left_ms and t.lease_left_ms <= k.lease_max_ms)


@proves("SR-POST-1")
def exercise_is_the_self_tests(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """The exercise is the self-test's alone, and only when it asks."""
    return a.wants != EXERCISE or (t.state == State.SELF_TEST and i.exercise != 0)


@proves("SR-STOP-3", "SR-STOP-6", "SR-DEPTH-5")
def cut_holds_until_rest(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """A cut stays until the therapy is at rest; a feed cuts nothing by itself."""
    return a.cut == g.cut or (a.cut == Cut.NONE and a.wants == REST and t.state not in MOVING)


@proves("SR-STOP-2")
def rest_is_rest(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """A therapy that neither moves nor tests itself wants nothing; one that may move gets what it wants."""
    return (t.state in MOVING or t.state == State.SELF_TEST or a.wants == REST) and (
        a.wants not in (MOTOR, NEEDLES) or (a.wants == NEEDLES) == (t.state == State.RUNNING)
    )


@proves("SR-STOP-3")
def watchdog_is_wound_up(k: CoreLimits, g: GateState, t: TherapyState, i: Fed, a: GateState) -> bool:
    """The main loop's word is what keeps the watchdog, for its time and no longer."""
    return a.watchdog_left_ms == k.watchdog_ms


# What the interrupt does


@proves("SR-STOP-1", "SR-STOP-3")
def times_run_down(k: CoreLimits, g: GateState, i: Guarded, a: GateState) -> bool:
    """Lease and watchdog run down with the interrupt, whole, and what was wanted stays as it was."""
    return (
        a.lease_left_ms == less(g.lease_left_ms, i.dt_ms)
        and a.watchdog_left_ms == less(g.watchdog_left_ms, i.dt_ms)
        and a.wants == g.wants
        and a.motor_hz == g.motor_hz
        and a.target_um == g.target_um
    )


@proves("SR-DEPTH-5", "SR-STOP-6", "SR-STOP-1", "SR-STOP-3", "SR-POST-1")
def causes_cut(k: CoreLimits, g: GateState, i: Guarded, a: GateState) -> bool:
    """A trip, a press, the lease's end, the watchdog's, and contact in an exercise cut whatever wants to move."""
    return (
        g.wants == REST
        or a.cut != Cut.NONE
        or (
            i.trip == 0
            and i.pressed == 0
            and g.watchdog_left_ms > i.dt_ms
            and (g.wants == EXERCISE or g.lease_left_ms > i.dt_ms)
            and (g.wants != EXERCISE or i.contact == 0)
        )
    )


@proves("SR-STOP-3", "SR-STOP-6")
def first_cut_stays(k: CoreLimits, g: GateState, i: Guarded, a: GateState) -> bool:
    """What cut first is kept; an interrupt takes no cut away, and makes none where nothing is wanted."""
    return (g.cut == Cut.NONE or a.cut == g.cut) and (g.wants != REST or a.cut == g.cut)


@proves("SR-STOP-6", "SR-DEPTH-5")
def cut_has_its_cause(k: CoreLimits, g: GateState, i: Guarded, a: GateState) -> bool:
    """A cut names what it was."""
    return a.cut == g.cut or (
        (a.cut != Cut.TRIP or i.trip != 0)
        and (a.cut != Cut.PRESS or i.pressed != 0)
        and (a.cut != Cut.CONTACT or (i.contact != 0 and g.wants == EXERCISE))
        and (a.cut != Cut.LEASE or (a.lease_left_ms == 0 and g.wants != EXERCISE))
        and (a.cut != Cut.WATCHDOG or a.watchdog_left_ms == 0)
        and a.cut != Cut.NONE
    )


# The order


@proves("SR-DEPTH-1", "SR-STOP-3", "SR-STOP-1")
def order_expires(k: CoreLimits, g: GateState, o: DriveOrder) -> bool:
    """An order to move is good for 50 ms at most, no longer than lease and watchdog; its target is within the cap."""
    return (
        o.valid_ms <= k.order_valid_max_ms
        and o.valid_ms <= g.watchdog_left_ms
        and (o.motor_hz == 0 or o.valid_ms <= g.lease_left_ms)
        and o.target_um <= k.depth_cap_um
        and (o.motor_hz != 0 or o.target_um == 0)
        and (o.valid_ms != 0 or (o.motor_hz == 0 and o.target_um == 0 and o.exercise == 0))
    )


@proves("SR-STOP-1", "SR-STOP-2", "SR-STOP-3", "SR-STOP-6", "SR-DEPTH-5")
def nothing_moves_when_cut(k: CoreLimits, g: GateState, o: DriveOrder) -> bool:
    """Cut, at rest, without lease or watchdog: off and in."""
    return (
        g.cut == Cut.NONE
        and g.wants != REST
        and g.watchdog_left_ms != 0
        and (g.lease_left_ms != 0 or g.wants == EXERCISE)
    ) or (o.motor_hz == 0 and o.target_um == 0 and o.exercise == 0 and o.valid_ms == 0)


@proves("SR-POST-1", "SR-DEPTH-1")
def order_is_what_is_wanted(k: CoreLimits, g: GateState, o: DriveOrder) -> bool:
    """An order is what the gate holds, nothing deeper or faster; an exercise has neither motor nor target."""
    return (
        (o.target_um == 0 or o.target_um == g.target_um)
        and (o.motor_hz == 0 or o.motor_hz == g.motor_hz)
        and (o.exercise == 0 or (g.wants == EXERCISE and o.motor_hz == 0 and o.target_um == 0))
        and (o.target_um == 0 or g.wants == NEEDLES)
    )


@proves("SR-STOP-6")
def wanted_is_ordered(k: CoreLimits, g: GateState, o: DriveOrder) -> bool:
    """What is wanted and not cut is ordered."""
    return (
        g.cut != Cut.NONE
        or g.watchdog_left_ms == 0
        or (
            (g.wants not in (MOTOR, NEEDLES) or g.lease_left_ms == 0 or (o.motor_hz == g.motor_hz and o.valid_ms != 0))
            and (g.wants != NEEDLES or g.lease_left_ms == 0 or o.target_um == g.target_um)
            and (g.wants != EXERCISE or (o.exercise == 1 and o.valid_ms != 0))
        )
    )


FEEDS: Final[tuple[Callable[..., bool], ...]] = (
    target_is_within_all_caps, motor_needs_permission, lease_is_the_therapys, exercise_is_the_self_tests,
    cut_holds_until_rest, rest_is_rest, watchdog_is_wound_up,
)  # fmt: skip
GUARDS: Final[tuple[Callable[..., bool], ...]] = (times_run_down, causes_cut, first_cut_stays, cut_has_its_cause)
ORDERS: Final[tuple[Callable[..., bool], ...]] = (
    order_expires, nothing_moves_when_cut, order_is_what_is_wanted, wanted_is_ordered
)  # fmt: skip
