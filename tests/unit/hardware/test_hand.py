"""The hand: its way over a zone, what it covers, how it presses, and that displacement adds up."""

from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_protocol.limits import DWELL_TRAVEL_UM, DWELL_WINDOW_MS, LIFT_RETRACT_MS, STAMP_PRESS_MAX_MS
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.hand import HandError
from dermalink_simulator.hardware.path import Way, covered_percent, lanes, once_ms, side_um, stamp, sweep
from tests.unit.hardware.rig import Rig

ways = st.builds(
    Way,
    st.sampled_from(list(Zone)),
    st.sampled_from(list(Direction)),
    st.integers(10, 40),
    st.integers(0, 50),
    st.integers(1, 400),
    st.integers(3_000, 9_000),
)


@given(ways)
def test_legs_join_without_a_gap(way: Way) -> None:
    legs = list(islice(sweep(way, generator(0, "hand")), 80))
    assert all(before[3:5] == after[1:3] for before, after in pairwise(legs))
    assert all(leg.last_ms > 0 for leg in legs)


@settings(max_examples=30, deadline=None)
@given(ways)
def test_going_over_a_zone_once_covers_it(way: Way) -> None:
    count = len(lanes(way))
    runs = [leg[1:5] for leg in islice(sweep(way, generator(0, "hand")), 2 * count - 1)][::2]
    assert len(runs) == count
    assert covered_percent(way.zone, runs, way.width_um) >= 95


def test_half_the_lanes_cover_little_more_than_half() -> None:
    way = Way(Zone.FOREHEAD, Direction.VERTICAL)
    count = len(lanes(way)) // 2
    runs = [leg[1:5] for leg in islice(sweep(way, generator(0, "hand")), 2 * count - 1)][::2]
    assert 55 <= covered_percent(way.zone, runs, way.width_um) <= 65  # apart, so they share no overlap


def test_a_cheek_takes_about_a_minute() -> None:
    assert 40_000 < once_ms(Way(Zone.LEFT_CHEEK, Direction.VERTICAL)) < 65_000


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([zone for zone in Zone if side_um(zone) > 30_000]), st.sampled_from(list(Direction)))
def test_an_ordinary_sweep_is_no_dwell(zone: Zone, direction: Direction) -> None:
    rig = Rig()
    rig.awake()
    rig.pen.hand.sweep(zone, direction)
    for _ in range(1_500):
        rig.pen.advance(10)
    window = DWELL_WINDOW_MS // 10
    looked = 0
    for start in range(len(rig.firmware.ticks) - window):
        ticks = rig.firmware.ticks[start : start + window]
        if all(sensors.contact for sensors in ticks):
            looked += 1
            net = sum(sensors.dx_um for sensors in ticks) ** 2 + sum(sensors.dy_um for sensors in ticks) ** 2
            assert net >= DWELL_TRAVEL_UM**2
    assert looked > 100


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_displacement_adds_up_whatever_the_steps(seed: int, steps: list[int]) -> None:
    rig = Rig(seed=seed)
    rig.pen.hand.sweep(Zone.CHIN, Direction.DIAGONAL)
    part = rig.pen._board.mechanism.hand
    start = part.x_um, part.y_um
    for step in steps:
        rig.pen.advance(step)
    rig.awake()
    rig.pen.advance(1_000)
    for calls in (rig.firmware.ticks, rig.firmware.guards):
        moved = sum(sensors.dx_um for sensors in calls), sum(sensors.dy_um for sensors in calls)
        assert abs(start[0] + moved[0] - part.x_um) <= 600  # what came after the last call
        assert abs(start[1] + moved[1] - part.y_um) <= 600


def test_a_real_sweep_with_needles_out_covers_and_counts() -> None:
    rig = Rig("exact")
    rig.run_at(250, hz=60)
    ms = rig.pen.hand.sweep(Zone.NOSE, Direction.HORIZONTAL, speed_mm_s=40)
    rig.pen.advance(ms)
    rig.pen.hand.lift()
    pen = rig.pen
    assert pen.hand.covered_percent(Zone.NOSE, Direction.HORIZONTAL) >= 85
    assert pen.hand.covered_percent(Zone.NOSE, Direction.VERTICAL) == 0
    assert pen.skin.punctures == pytest.approx(ms * 60 * 12 / 1_000, rel=0.02)


def test_nothing_is_covered_with_the_needles_in() -> None:
    rig = Rig()
    rig.pen.hand.sweep(Zone.NOSE, Direction.HORIZONTAL)
    rig.pen.advance(5_000)
    assert rig.pen.hand.covered_percent(Zone.NOSE, Direction.HORIZONTAL) == 0
    assert rig.pen.skin.punctures == 0


def test_a_lifted_hand_neither_presses_nor_moves_and_goes_on_where_it_was() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.hand.sweep(Zone.CHIN, Direction.VERTICAL)
    rig.pen.advance(500)
    rig.pen.hand.lift()
    part = rig.pen._board.mechanism.hand
    at = part.x_um, part.y_um
    rig.pen.advance(1_000)
    last = rig.firmware.ticks[-1]
    assert (last.contact, last.force_mn, last.dx_um, last.dy_um) == (0, 0, 0, 0)
    rig.pen.hand.go_on()
    assert (part.x_um, part.y_um) == at
    rig.pen.advance(100)
    assert rig.firmware.ticks[-1].contact == 1
    assert rig.firmware.ticks[-1].dy_um != 0


def test_a_hand_that_stays_presses_without_moving() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.hand.sweep(Zone.CHIN, Direction.VERTICAL)
    rig.pen.advance(500)
    rig.pen.hand.stay()
    rig.pen.advance(20)
    rig.firmware.ticks.clear()
    rig.pen.advance(500)
    assert {(sensors.contact, sensors.dx_um, sensors.dy_um) for sensors in rig.firmware.ticks} == {(1, 0, 0)}


def test_pressing_hard_is_for_a_while_or_until_told() -> None:
    rig = Rig("exact")
    rig.awake()
    rig.pen.hand.touch(Zone.CHIN, force_mn=900)
    rig.pen.hand.press_hard(3_000, for_ms=300)
    rig.pen.advance(250)
    assert rig.firmware.ticks[-1].force_mn == 3_000
    rig.pen.hand.press_hard(3_500, for_ms=100)
    rig.pen.advance(150)
    assert rig.firmware.ticks[-1].force_mn == 900
    rig.pen.hand.press_hard(4_200)
    rig.pen.advance(5_000)
    assert rig.firmware.ticks[-1].force_mn == 4_200


@pytest.mark.parametrize("force", [-1, 5_001])
def test_a_hand_presses_with_what_a_hand_has(force: int) -> None:
    with pytest.raises(HandError):
        Rig().pen.hand.touch(Zone.CHIN, force_mn=force)


@pytest.mark.parametrize(("speed", "overlap"), [(9, 15), (81, 15), (20, 91), (20, -1)])
def test_a_hand_moves_as_a_hand_moves(speed: int, overlap: int) -> None:
    with pytest.raises(HandError):
        Rig().pen.hand.sweep(Zone.CHIN, Direction.VERTICAL, speed_mm_s=speed, overlap_percent=overlap)


def test_a_stamp_head_presses_and_lifts() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.cartridge.fit("stamp")
    rig.pen.hand.sweep(Zone.UPPER_LIP, Direction.VERTICAL)
    rig.pen.advance(5_000)
    contacts = "".join(str(sensors.contact) for sensors in rig.firmware.ticks)
    presses = [len(run) * 10 for run in contacts.split("0") if run]
    lifts = [len(run) * 10 for run in contacts.split("1") if run]
    assert max(presses) <= STAMP_PRESS_MAX_MS
    assert max(lifts) < LIFT_RETRACT_MS
    assert len(presses) >= 8


def test_stamps_cover_their_zone() -> None:
    way = Way(Zone.UPPER_LIP, Direction.VERTICAL)
    presses = [leg[1:5] for leg in islice(stamp(way), 200) if leg.touching]
    assert covered_percent(way.zone, presses, way.width_um) >= 90
