"""The mechanism: spin-up, carriage, spring, strokes, and what faults make of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.zones import Zone
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.drive import EXERCISE_AT_UM, PIECE_US, Drive
from dermalink_simulator.hardware.physics import PARKED_UM, Physics
from dermalink_simulator.seam import DriveOrder
from tests.unit.hardware.rig import Rig

EXACT = Physics(drive_error_um=0)


def drive_for(order: DriveOrder, ms: int) -> tuple[Drive, int, list[tuple[int, float]]]:
    """A drive that followed an order for so long, the moment, and its strokes."""
    drive, now, strokes = Drive(EXACT, generator(0, "drive")), 0, []
    while now < ms * 1_000:
        drive.take(order, now)
        drive.run(now, now + PIECE_US)
        strokes += [(point.at_us, point.carriage_um) for point in drive.course if point.outermost]
        now += PIECE_US
    return drive, now, strokes


@given(st.integers(50, 150))
def test_the_motor_is_within_a_tenth_of_its_rate_after_300_ms(hz: int) -> None:
    drive, _, _ = drive_for(DriveOrder(hz, 0, 50), 300)
    assert abs(drive.rate_hz - hz) <= hz / 10


@given(st.integers(50, 150))
def test_strokes_come_at_the_rate(hz: int) -> None:
    _, _, strokes = drive_for(DriveOrder(hz, 250, 50), 2_000)
    late = [at for at, _ in strokes if at > 1_000_000]
    periods = {after - before for before, after in pairwise(late)}
    assert all(abs(period - 1e6 / hz) <= 2 for period in periods)


@given(st.integers(200, 500), st.integers(50, 150))
def test_the_spring_draws_in_within_15_ms_whatever_the_moment(um: int, hz: int) -> None:
    drive, now, _ = drive_for(DriveOrder(hz, um, 50), 500)
    assert drive.carriage_um == um
    drive.cut(now)
    assert now < drive.crossing_us(0) < now + 15_000
    for _ in range(3):
        drive.run(now, now + PIECE_US)
        now += PIECE_US
    assert drive.carriage_um == PARKED_UM


def test_an_order_ends_to_the_microsecond() -> None:
    drive, now, _ = drive_for(DriveOrder(100, 300, 7), 500)
    drive.run(now, now + PIECE_US)  # the order was renewed 5 ms ago, so it runs out within this piece
    assert not drive.driving
    assert drive.crossing_us(300) == now - PIECE_US + 7_000


@given(st.integers(200, 480), st.integers(1, 40))
def test_the_carriage_passes_a_height_when_it_says_so(um: int, part: int) -> None:
    drive, now, _ = drive_for(DriveOrder(0, um, 50), 200)
    drive.cut(now)
    level = um - part * (um - PARKED_UM) / 41
    assert drive.carriage_at(drive.crossing_us(level)) == pytest.approx(level, abs=0.2)


def test_an_exercise_stops_below_the_face() -> None:
    drive, _, strokes = drive_for(DriveOrder(0, 0, 50, 1), 100)
    assert drive.carriage_um == EXERCISE_AT_UM < 0
    assert drive.exercised
    assert strokes == []


@pytest.mark.sr("SR-STOP-2", side="pen")
def test_a_cut_does_not_finish_the_stroke() -> None:
    rig = Rig("exact")
    rig.pen.hand.touch(Zone.CHIN)
    rig.run_at(400)
    at = rig.pen.now_ms * 1_000
    rig.say("s", 100)
    assert all(stroke.depth_um < 400 for stroke in rig.pen.skin.between(at, at + 100_000))
    assert not rig.pen.motor_turns


def test_a_motor_that_stalls_makes_no_strokes() -> None:
    rig = Rig()
    rig.run_at(250)
    rig.pen.faults.inject("motor", "stalled")
    rig.pen.advance(50)
    rig.firmware.guards.clear()
    rig.pen.advance(200)
    assert sum(sensors.strokes for sensors in rig.firmware.guards) == 0
    assert rig.out()


def test_an_overspeeding_motor_shows_in_the_stroke_period() -> None:
    rig = Rig()
    rig.run_at(250)
    rig.pen.faults.inject("motor", "overspeed", percent=125)
    rig.pen.advance(500)
    assert rig.firmware.ticks[-1].stroke_us == pytest.approx(8_000, abs=10)


def test_a_stuck_carriage_stays_out_and_a_slow_spring_takes_longer() -> None:
    rig = Rig()
    rig.run_at(250)
    rig.pen.faults.inject("drive", "stuck")
    rig.say("s", 1_000)
    assert rig.out()
    assert not rig.pen.motor_turns
    rig.pen.faults.clear()
    rig.pen.advance(15)
    assert not rig.out()
    rig.pen.power.service()
    rig.pen.advance(100)
    rig.run_at(250)
    rig.pen.faults.inject("spring", "weak", percent=300)
    at = rig.pen.now_ms
    rig.say("s", 1_000)
    assert rig.pen.skin.last_in_us is not None
    assert at + 15 < rig.pen.skin.last_in_us / 1_000 < at + 45


def test_a_fault_elsewhere_does_not_touch_a_retraction_under_way() -> None:
    rig = Rig()
    rig.run_at(250)
    at = rig.pen.now_ms
    rig.say("s", 7)
    rig.pen.faults.inject("depth_sensor", "noisy")
    rig.pen.advance(30)
    assert rig.pen.skin.last_in_us is not None
    assert rig.pen.skin.last_in_us <= (at + 15) * 1_000


def test_at_most_one_stroke_falls_into_a_guard_tick() -> None:
    rig = Rig()
    rig.run_at(250, hz=150)
    rig.pen.faults.inject("motor", "overspeed")
    rig.pen.advance(2_000)
    assert {sensors.strokes for sensors in rig.firmware.guards} == {0, 1}


@pytest.mark.sr("SR-STOP-8", side="pen")
@pytest.mark.parametrize(("stuck_ms", "turns"), [(40, True), (200, False)])
def test_needles_not_in_after_50_ms_cost_the_motor_its_supply_until_service(stuck_ms: int, *, turns: bool) -> None:
    rig = Rig()
    rig.run_at(250)
    rig.pen.faults.inject("drive", "stuck")
    rig.say("s", stuck_ms)
    rig.pen.faults.clear()
    rig.say("o100,0", 300)
    assert rig.pen.motor_turns is turns
    rig.say("s", 300)
    rig.pen.power.service()
    rig.say("o100,0", 300)
    assert rig.pen.motor_turns
