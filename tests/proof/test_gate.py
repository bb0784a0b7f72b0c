"""The drive gate holds for any state of the therapy, and for a hung main loop."""

import pytest

from dermalink_simulator.therapy.claim import PROVES
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.gate import AT_REST, Cut, GateState, Guarded, feed, guard, order
from dermalink_simulator.therapy.gate_properties import FEEDS, GUARDS, ORDERS
from dermalink_simulator.therapy.state import POWER_UP, TherapyState
from tests.proof.gate_proof import GateProver
from tests.proof.running import running

ROWS = sorted({row for claim in (*FEEDS, *GUARDS, *ORDERS) for row in PROVES[claim]})


@pytest.mark.sr(*ROWS, side="pen", kind="proof")
def test_the_gate_is_proved_for_any_state_of_the_therapy() -> None:
    assert GateProver().refuted() == []


def never_moves(k: object, g: GateState, o: GateState) -> bool:
    """A false claim: no order ever turns the motor."""
    return o.motor_hz == 0


def test_a_false_claim_about_the_gate_is_refuted() -> None:
    assert GateProver().refuted(orders=(never_moves,)) == ["never_moves"]


def test_the_gate_is_at_rest_at_power_up() -> None:
    assert order(LIMITS, feed(LIMITS, AT_REST, POWER_UP)) == order(LIMITS, AT_REST) == (0, 0, 0, 0)


def test_needles_go_out_as_far_as_setting_less_tolerance() -> None:
    told = order(LIMITS, feed(LIMITS, AT_REST, running()))
    assert (told.motor_hz, told.target_um, told.exercise) == (60, 210, 0)
    assert 0 < told.valid_ms <= LIMITS.order_valid_max_ms


@pytest.mark.sr("SR-STOP-3", "SR-STOP-1", side="pen")
@pytest.mark.parametrize(("lease_ms", "cut"), [(400, Cut.WATCHDOG), (20, Cut.LEASE)])
def test_a_hung_main_loop_moves_nothing_after_lease_or_watchdog(lease_ms: int, cut: Cut) -> None:
    gate = feed(LIMITS, AT_REST, running()._replace(lease_left_ms=lease_ms))
    for elapsed in range(5, 200, 5):
        gate = guard(LIMITS, gate, Guarded(dt_ms=5))
        told = order(LIMITS, gate)
        assert bool(told.motor_hz) == (elapsed < min(lease_ms, LIMITS.watchdog_ms))
    assert gate.cut == cut


@pytest.mark.parametrize(("seen", "cut"), [({"trip": 1}, Cut.TRIP), ({"pressed": 1}, Cut.PRESS)])
def test_a_cut_holds_until_the_therapy_is_at_rest(seen: dict[str, int], cut: Cut) -> None:
    gate = guard(LIMITS, feed(LIMITS, AT_REST, running()), Guarded(dt_ms=5, **seen))
    assert gate.cut == cut
    assert feed(LIMITS, gate, running()).cut == cut
    assert order(LIMITS, feed(LIMITS, gate, running())) == (0, 0, 0, 0)
    assert feed(LIMITS, gate, POWER_UP).cut == Cut.NONE


@pytest.mark.sr("SR-DEPTH-1", "SR-DEPTH-2", "SR-DEPTH-3", side="pen")
@pytest.mark.parametrize(
    "lie",
    [
        {"depth_um": 510, "zone": 1},
        {"depth_um": 260, "zone": 5},
        {"head_reach_um": 240},
        {"head_reach_um": 501},
        {"zone": 0},
        {"zone": 9},
        {"zone": 255},
        {"head_tolerance_um": 0},
        {"head_tolerance_um": 51},
        {"rate_hz": 151},
        {"rate_hz": 49},
        {"written": 0},
        {"owner": 0},
        {"lease_left_ms": 0},
        {"lease_left_ms": 1_001},
        {"depth_um": 65_535},
    ],
)
def test_a_state_that_should_never_be_moves_nothing(lie: dict[str, int]) -> None:
    state: TherapyState = running()._replace(**lie)  # type: ignore[arg-type]
    assert order(LIMITS, feed(LIMITS, AT_REST, state)) == (0, 0, 0, 0)
