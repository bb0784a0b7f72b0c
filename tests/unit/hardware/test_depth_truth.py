"""What the head does, what the sensors see of it, and what the skin gets: three different things."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_protocol.codewords import State
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.hardware.cartridge import Seat, glide_head, long_head
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.physics import Physics
from tests.fault.running_pen import Running
from tests.unit.hardware.rig import Rig


@given(st.integers(0, 1 << 32))
def test_a_seated_head_stands_within_its_part_of_the_tolerance(seed: int) -> None:
    physics = Physics()
    seat = Seat(physics, generator(seed, "seat"))
    seat.fit(glide_head())
    assert abs(seat.offset_um) <= physics.seat_limit_um == physics.drive_tolerance_um - physics.drive_error_um


def test_every_seating_is_another() -> None:
    rig = Rig()
    seat = rig.pen._board.mechanism.seat
    offsets = set()
    for number in range(20):
        rig.pen.cartridge.fit(glide_head(number))
        offsets.add(seat.offset_um)
    assert len(offsets) > 5


@pytest.mark.sr("SR-DEPTH-7", side="pen")
def test_the_independent_sensor_sees_the_head_and_the_feedback_the_carriage() -> None:
    rig = Rig("exact")
    rig.pen.faults.inject("cartridge", "badly_seated", um=60)
    rig.run_at(300)
    assert rig.firmware.ticks[-1].peak_um == 360
    assert rig.firmware.ticks[-1].feedback_um == 300


@settings(max_examples=20, deadline=None)
@given(st.integers(200, 255 + 245), st.integers(0, 2_000), st.integers(0, 3))
def test_nothing_passes_a_true_stop(um: int, overshoot: int, seed: int) -> None:
    rig = Rig(seed=seed)
    rig.pen.hand.touch(Zone.CHIN)
    if overshoot:
        rig.pen.faults.inject("drive", "overshoot", um=overshoot)
    rig.pen.faults.inject("cartridge", "badly_seated", um=500)
    rig.run_at(um)
    assert rig.pen.skin.protruded_um <= 500
    assert rig.pen.skin.deepest_um == rig.pen.skin.protruded_um


def test_without_its_stop_the_head_goes_where_the_drive_sends_it() -> None:
    rig = Rig("exact")
    rig.pen.hand.touch(Zone.CHIN)
    rig.pen.faults.inject("cartridge_stop", "broken")
    rig.pen.faults.inject("drive", "overshoot", um=200)
    rig.run_at(450)
    assert rig.pen.skin.deepest_um == 650
    assert rig.pen.skin.over(500)


def test_a_lying_tag_is_a_longer_head() -> None:
    rig = Rig("exact")
    rig.pen.cartridge.fit(long_head())
    rig.run_at(250)
    rig.say("o100,255", 100)
    rig.pen.cartridge.fit("glide")
    rig.pen.faults.inject("cartridge_tag", "lies")
    rig.pen.faults.inject("drive", "overshoot", um=700)
    rig.run_at(255)
    assert rig.pen.skin.protruded_um == 955
    head = rig.pen.cartridge.head
    assert head is not None
    assert head.tag is not None
    assert head.tag.protrusion_um == 500


def test_no_head_no_needles() -> None:
    rig = Rig()
    rig.pen.cartridge.pull()
    rig.pen.hand.touch(Zone.CHIN)
    rig.run_at(300)
    assert not rig.out()
    assert rig.pen.skin.punctures == 0
    assert rig.firmware.ticks[-1].peak_um <= 3  # noise around the face


def test_pulling_the_head_takes_the_needles_out_of_the_skin() -> None:
    rig = Rig()
    rig.run_at(300)
    assert rig.out()
    rig.pen.cartridge.pull()
    assert not rig.out()
    rig.pen.cartridge.fit("glide")
    assert rig.out()


def test_the_peak_of_a_stroke_is_held_for_guard_and_main_loop_each() -> None:
    rig = Rig("exact")
    rig.run_at(300, hz=50)
    rig.firmware.guards.clear()
    rig.firmware.ticks.clear()
    rig.pen.advance(1_000)
    for calls in (rig.firmware.guards, rig.firmware.ticks):
        assert sum(sensors.strokes for sensors in calls) == 50
        assert all(sensors.peak_um == 300 for sensors in calls if sensors.strokes)


@pytest.mark.parametrize(("um", "reads"), [(-1, 0), (120, 120)])
def test_a_stuck_sensor_reads_the_same_in_and_out(um: int, reads: int) -> None:
    rig = Rig()
    rig.pen.faults.inject("depth_sensor", "stuck", um=um)
    rig.run_at(300)
    rig.say("s", 200)
    assert {sensors.depth_um for sensors in rig.firmware.guards} == {reads}
    assert rig.pen.skin.protruded_um > 250


def test_offset_and_noise_lie_over_the_reading_and_not_over_the_truth() -> None:
    rig = Rig("exact")
    rig.pen.faults.inject("depth_sensor", "offset", um=-70)
    rig.run_at(300)
    assert rig.firmware.ticks[-1].peak_um == 230
    rig.pen.faults.clear("depth_sensor", "offset")
    rig.pen.faults.inject("depth_sensor", "noisy", um=40)
    rig.firmware.ticks.clear()
    rig.pen.advance(2_000)
    peaks = [sensors.peak_um for sensors in rig.firmware.ticks if sensors.strokes]
    assert 260 <= min(peaks) < 280
    assert 320 < max(peaks) <= 340
    assert rig.pen.skin.protruded_um == 300


def test_the_exercise_shows_the_travel_to_both_readers() -> None:
    rig = Rig("exact")
    rig.firmware.sleep_ms = 10
    rig.say("x", 100)
    assert rig.firmware.guards[-1].travel_um == rig.firmware.guards[-1].travel_feedback_um == 300
    assert rig.firmware.guards[-1].depth_um == 0
    assert not rig.out()
    rig.say("s", 30)
    assert rig.firmware.guards[-1].travel_um == rig.firmware.guards[-1].travel_feedback_um == 0


def test_counts_stand_by_zone_direction_and_time() -> None:
    rig = Rig("exact")
    rig.pen.hand.touch(Zone.CHIN, Direction.HORIZONTAL)
    rig.run_at(300, ms=1_000)
    chin = rig.pen.skin.punctures_in(Zone.CHIN)
    at = rig.pen.now_ms * 1_000
    rig.pen.hand.touch(Zone.NOSE)
    rig.pen.advance(1_000)
    skin = rig.pen.skin
    assert skin.punctures_in(Zone.CHIN) == skin.punctures_in(Zone.CHIN, Direction.HORIZONTAL) == chin
    assert skin.punctures == chin + skin.punctures_in(Zone.NOSE)
    assert len(skin.between(at, 1 << 60)) == 100
    assert skin.punctures_in(Zone.NOSE) == 1_200
    assert skin.deepest_in(Zone.NOSE) == 300
    assert skin.deepest_in(Zone.FOREHEAD) == 0
    assert skin.into_skin_um == 150


def test_needles_that_only_rest_in_skin_are_one_puncture() -> None:
    rig = Rig("exact")
    rig.pen.hand.touch(Zone.CHIN)
    rig.run_at(300, hz=0)
    assert rig.pen.skin.strokes == 1
    assert rig.pen.skin.deepest_um > 0


def test_a_stroke_that_is_cut_short_is_known_as_deep_as_it_went() -> None:
    depths = []
    for ms in range(20):
        rig = Rig("exact")
        rig.pen.hand.touch(Zone.CHIN)
        rig.run_at(0, hz=60, ms=500 + ms)
        rig.pen.faults.inject("cartridge_stop", "broken")
        rig.say("o60,500", 24)
        rig.say("s", 100)
        depths.append(rig.pen.skin.deepest_um)
        assert rig.pen.skin.protruded_um == rig.pen.skin.deepest_um
        assert rig.pen.skin.strokes >= 1
    assert min(depths) > 50
    assert max(depths) > 400
    assert len(set(depths)) > 10


@pytest.mark.sr("SR-DEPTH-7", side="pen")
@pytest.mark.parametrize("seed", range(1, 4))
def test_a_stroke_that_the_spring_cuts_short_was_the_same_stroke_to_both_sensors(seed: int) -> None:
    running = Running(seed, depth_um=200)
    for lift in range(20):
        running.pen.hand.lift()
        running.host.run(437 + lift)
        running.pen.hand.go_on()
        running.host.run(403)
        status = running.host.status()
        assert status.state == State.RUNNING, (lift, status.reason)
