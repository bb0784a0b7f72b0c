"""The gate's straight code against the one-expression functions that are proved."""

import random

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.firmware.inside import limits_for
from dermalink_simulator.seam import DriveOrder
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.gate import FEED, GUARD, ORDER, Fed, GateState, Guarded, feed, guard, order
from dermalink_simulator.therapy.state import MOVING, TherapyState

LOOSE = limits_for(60, 120, frozenset({"limit-check"}))


def mostly(draw: random.Random, good: list[int], bad: list[int]) -> int:
    return draw.choice(good if draw.random() < 0.9 else bad)


def therapy(draw: random.Random) -> TherapyState:
    """A therapy state, sensible or not, often one that may move."""
    return TherapyState(
        state=draw.choice([*(int(state) for state in State), *MOVING * 4]),
        zone=mostly(draw, [1, 5, 8], [0, 9, 255]),
        depth_um=mostly(draw, [200, 250, 500], [0, 29, 251, 501, 0xFFFF]),
        rate_hz=mostly(draw, [60, 100, 120], [0, 49, 50, 150, 151, 255]),
        written=mostly(draw, [1], [0]),
        owner=mostly(draw, [1, 9], [0]),
        fault=mostly(draw, [int(Reason.NONE)], [int(Reason.WATCHDOG)]),
        head_verdict=mostly(draw, [int(Reason.NONE)], [int(Reason.CARTRIDGE_USED)]),
        head_reach_um=mostly(draw, [500], [0, 250, 501]),
        head_tolerance_um=mostly(draw, [1, 30, 50], [0, 51]),
        lease_left_ms=mostly(draw, [1, 500, 1_000], [0, 1_001]),
    )


def gate(draw: random.Random) -> GateState:
    return GateState(
        wants=draw.randrange(4),
        motor_hz=draw.choice([0, 100]),
        target_um=draw.choice([0, 220, 470]),
        lease_left_ms=draw.choice([0, 1, 4, 5, 6, 500]),
        watchdog_left_ms=draw.choice([0, 1, 5, 50]),
        cut=draw.choice([0, 0, 1, 5]),
    )


@pytest.mark.parametrize("limits", [LIMITS, LOOSE], ids=["real", "loose"])
def test_straight_code_is_equal_to_what_is_proved(limits: CoreLimits) -> None:
    draw = random.Random(9)
    moved = 0
    for _ in range(5_000):
        state, now, fed = therapy(draw), gate(draw), Fed(draw.randrange(2))
        told = feed(limits, now, state, fed.exercise)
        assert told == GateState(**{name: part(limits, now, state, fed) for name, part in FEED.items()})
        seen = Guarded(draw.choice([0, 1, 5, 50, 1_000]), draw.randrange(2), draw.randrange(2), draw.randrange(2))
        guarded = guard(limits, now, seen)
        assert guarded == now._replace(**{name: part(limits, now, seen) for name, part in GUARD.items()})
        ordered = order(limits, told)
        assert ordered == DriveOrder(**{name: part(limits, told) for name, part in ORDER.items()})
        moved += ordered.motor_hz > 0
    assert moved > 100
