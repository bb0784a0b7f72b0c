"""Faults of what sets, sees and limits the depth: what the skin truly got."""

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import SENSOR_DISAGREE_MAX_UM
from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.monitor import drive_max_um
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.profile import profile_named
from tests.fault.running_pen import AT_REST, CAP_UM, IN_US, PHASES_MS, Running
from tests.support.raw_host import RawHost

SEEDS = range(4)
ALONE = [
    ("depth_sensor", "stuck", {}),
    ("depth_sensor", "stuck", {"um": 470}),
    ("depth_sensor", "noisy", {}),
    ("depth_sensor", "offset", {"um": -60}),
    ("depth_sensor", "offset", {"um": 60}),
    ("drive_feedback", "stuck", {}),
    ("drive_feedback", "offset", {"um": -60}),
    ("drive", "overshoot", {"um": 30}),
    ("drive", "overshoot", {"um": 2_000}),
    ("drive", "stuck", {}),
    ("spring", "weak", {}),
    ("motor", "stalled", {}),
    ("spring", "broken", {}),
    ("monitor", "blind", {}),
    ("motor", "overspeed", {}),
    ("motor", "slow", {}),
    ("cartridge", "badly_seated", {"um": 60}),
    ("cartridge", "badly_seated", {"um": -60}),
    ("cartridge_tag", "unreadable", {}),
    ("button", "stuck", {}),
    ("battery", "low", {"percent": 0}),
]
WITH_A_TRUE_STOP = [*ALONE, ("cartridge_stop", "broken", {}), ("cartridge_tag", "lies", {})]


@pytest.mark.sr("SR-DEPTH-5", "SR-DEPTH-6", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("unit", "kind", "values"), WITH_A_TRUE_STOP)
def test_no_single_fault_takes_a_needle_past_the_cap(unit: str, kind: str, values: dict[str, int], seed: int) -> None:
    running = Running(seed, phase_ms=seed * 3)
    running.pen.faults.inject(unit, kind, **values)
    running.host.run(1_500)
    running.pen.faults.clear()
    running.host.run(500)
    assert running.pen.skin.protruded_um <= CAP_UM
    assert running.pen.skin.over(CAP_UM) == []


@pytest.mark.sr("SR-DEPTH-5", side="pen")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("first", range(0, len(ALONE), 3))
def test_with_a_true_stop_no_pair_of_faults_does_either(first: int, seed: int) -> None:
    for unit, kind, values in ALONE[first : first + 3]:
        for other in ALONE[seed::3]:
            running = Running(seed, phase_ms=seed)
            running.pen.faults.inject(unit, kind, **values)
            running.pen.faults.inject(other[0], other[1], **other[2])
            running.host.run(300)
            assert running.pen.skin.protruded_um <= CAP_UM


@pytest.mark.sr("SR-DEPTH-5", side="pen")
@pytest.mark.parametrize("phase_ms", PHASES_MS)
@pytest.mark.parametrize("um", [60, 100, 200, 1_000])
@pytest.mark.parametrize(("unit", "kind"), [("cartridge_stop", "broken"), ("cartridge_tag", "lies")])
def test_with_stop_and_drive_broken_strokes_pass_it_for_at_most_25_ms(
    unit: str, kind: str, um: int, phase_ms: int
) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.faults.inject(unit, kind)
    running.pen.faults.inject("drive", "overshoot", um=um)
    running.host.run(1_000)
    over = running.pen.skin.over(CAP_UM)
    assert over, "the fault has to show"  # also in a stroke that the monitor cut before it was all out
    assert over[-1].at_us - over[0].at_us <= IN_US
    inside = running.pen.skin.last_in_us
    assert inside is not None
    assert inside - over[0].at_us <= IN_US
    running.pen.faults.clear()
    running.pen.button.press()
    running.host.run(3_000)
    assert running.pen.skin.over(CAP_UM) == over
    assert running.state() in (State.LOCKED, State.FAULT)


@pytest.mark.sr("SR-DEPTH-5", "SR-DEPTH-7", side="pen")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("zone", "limit_um", "um", "broken"), [(Zone.FOREHEAD, 500, 50, True), (Zone.NOSE, 250, 40, False)]
)
def test_an_overshoot_that_the_sensors_accuracy_would_hide_latches(
    zone: Zone, limit_um: int, um: int, seed: int, *, broken: bool
) -> None:
    pen = SimulatedPen(seed=seed)
    host = RawHost(pen)
    host.to_running(zone, Direction.VERTICAL, depth_um=limit_um)
    host.run(200)
    if broken:
        pen.faults.inject("cartridge_stop", "broken")
    pen.faults.inject("drive", "overshoot", um=um)
    host.run(1_000)
    over = pen.skin.over(limit_um)
    assert not over or over[-1].at_us - over[0].at_us <= IN_US
    assert host.status().reason in (Reason.DRIVE_FAULT, Reason.DEPTH_EXCEEDED)


@pytest.mark.sr("SR-DEPTH-6", side="pen")
@pytest.mark.parametrize("profile", ["nominal", "exact", "loose"])
def test_a_sound_drive_is_inside_its_part_of_the_tolerance(profile: str) -> None:
    physics = profile_named(profile).physics
    greatest_um = physics.drive_error_um + physics.feedback_noise_um
    assert 500 - physics.drive_tolerance_um + greatest_um <= drive_max_um(500, physics.drive_tolerance_um)


@pytest.mark.sr("SR-DEPTH-5", side="pen", twin=True)
def test_without_the_monitor_that_would_go_on() -> None:
    pen = SimulatedPen(seed=1, firmware=lambda: PenFirmware(disabled=frozenset({"monitor"})))
    host = RawHost(pen)
    host.to_running(depth_um=250)
    pen.faults.inject("cartridge_stop", "broken")
    pen.faults.inject("drive", "overshoot", um=400)
    host.run(1_000)
    over = pen.skin.over(CAP_UM)
    assert over[-1].at_us - over[0].at_us > 500_000


@pytest.mark.sr("SR-DEPTH-7", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("unit", "kind", "values"),
    [
        ("depth_sensor", "stuck", {"um": 0}),
        ("depth_sensor", "stuck", {"um": 150}),
        ("depth_sensor", "offset", {"um": -70}),
        ("depth_sensor", "offset", {"um": 70}),
        ("drive_feedback", "offset", {"um": -70}),
        ("drive_feedback", "stuck", {"um": 0}),
        ("cartridge", "badly_seated", {"um": -70}),
        ("monitor", "blind", {}),
    ],
)
def test_sensors_that_disagree_end_the_therapy_within_a_stroke(
    unit: str, kind: str, values: dict[str, int], seed: int
) -> None:
    assert max(abs(value) for value in [70, *values.values()]) > SENSOR_DISAGREE_MAX_UM
    running = Running(seed, phase_ms=seed * 2, depth_um=300)
    running.pen.faults.inject(unit, kind, **values)
    running.host.run(500)
    stroke_us = 1_000_000 // 60
    assert running.in_after_us() <= 2 * stroke_us + IN_US
    assert running.state() in (State.LOCKED, State.FAULT, State.STOP_FAILED)


@pytest.mark.sr("SR-STOP-8", side="pen")
@pytest.mark.parametrize(("unit", "kind"), [("drive", "stuck"), ("spring", "broken")])
def test_needles_that_do_not_come_in_are_a_failed_stop_and_never_a_stop(unit: str, kind: str) -> None:
    running = Running()
    running.pen.faults.inject(unit, kind)
    running.host.stop()
    running.host.run(500)
    assert running.out()
    assert not running.pen.motor_turns
    assert running.state() is State.STOP_FAILED
    running.pen.faults.clear()
    running.pen.button.press()
    running.host.run(2_000)
    assert not running.out()
    assert running.state() is State.STOP_FAILED


@pytest.mark.sr("SR-RATE-1", side="pen")
@pytest.mark.parametrize(("kind", "within_us"), [("stalled", 150_000), ("overspeed", 100_000)])
def test_a_motor_off_its_rate(kind: str, within_us: int) -> None:
    running = Running()
    running.pen.faults.inject("motor", kind)
    running.host.run(500)
    assert running.in_after_us() <= within_us + IN_US
    assert running.state() in (State.LOCKED, State.FAULT)


def booted_with(unit: str, kind: str, values: dict[str, int], *, head: bool) -> SimulatedPen:
    """A pen that was switched on with a fault, and has had time for its self-test."""
    pen = SimulatedPen(power=False)
    if not head:
        pen.cartridge.pull()
    pen.faults.inject(unit, kind, **values)
    pen.power.restore()
    pen.advance(15_000)
    assert not pen.needles_out
    return pen


@pytest.mark.sr("SR-PWR-1", side="pen")
@pytest.mark.parametrize(
    ("unit", "kind", "values"),
    [
        ("temperature", "hot", {}),
        ("battery", "low", {"percent": 0}),
        ("temperature", "cold", {"celsius": 4}),
        ("temperature", "hot", {"celsius": 41}),
    ],
)
def test_heat_cold_and_a_flat_battery_retract(unit: str, kind: str, values: dict[str, int]) -> None:
    running = Running()
    running.pen.faults.inject(unit, kind, **values)
    running.host.run(300)
    assert running.in_after_us() <= 20_000 + IN_US
    assert not running.pen.motor_turns


@pytest.mark.sr("SR-POST-1", "SR-DEPTH-7", "SR-STOP-8", "SR-STOP-5", side="pen")
@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize(
    ("unit", "kind", "values", "reason"),
    [
        ("depth_sensor", "stuck", {}, Reason.SENSORS_DISAGREE),
        ("depth_sensor", "offset", {"um": 70}, Reason.SENSORS_DISAGREE),
        ("drive_feedback", "offset", {"um": 70}, Reason.DRIVE_FAULT),
        ("spring", "weak", {"percent": 300}, Reason.RETRACTION_SLOW),
        ("spring", "broken", {}, Reason.RETRACTION_SLOW),
        ("button", "stuck", {}, Reason.BUTTON_STUCK),
    ],
)
def test_the_self_test_at_power_up_finds(
    unit: str, kind: str, values: dict[str, int], reason: Reason, *, head: bool
) -> None:
    pen = booted_with(unit, kind, values, head=head)
    host = RawHost(pen)
    if head and reason is Reason.SENSORS_DISAGREE:
        # With a head on, a sensor that is off looks like a head that sits badly: refused either way.
        assert host.expect(identity.Cartridge, identity.GetCartridge()).reason == Reason.CARTRIDGE_BADLY_SEATED
        return
    status = host.status()
    assert status.state in (State.FAULT, State.LOCKED)
    assert status.reason == reason


@pytest.mark.sr("SR-POST-1", side="pen", twin=True)
@pytest.mark.parametrize("head", [False, True])
def test_a_sound_pen_passes_its_self_test(*, head: bool) -> None:
    host = RawHost(booted_with("depth_sensor", "offset", {"um": 1}, head=head))
    assert host.status().state is State.IDLE


@pytest.mark.sr("SR-DEPTH-6", side="pen")
def test_a_badly_seated_head_gets_no_therapy() -> None:
    pen = booted_with("cartridge", "badly_seated", {}, head=True)
    host = RawHost(pen)
    host.hello()
    host.open()
    head = pen.cartridge.head
    assert head is not None
    assert head.tag is not None
    answer = host.ask(
        host.command(
            therapy.Prepare,
            session_id=host.session_id,
            zone=Zone.CHIN,
            direction=Direction.VERTICAL,
            depth_um=250,
            rate_hz=60,
            speed_mm_s=20,
            tag_id=head.tag.tag_id,
        )
    )
    assert isinstance(answer, Refused)
    assert answer.reason == Reason.CARTRIDGE_BADLY_SEATED


@pytest.mark.parametrize(("unit", "kind", "values"), ALONE)
def test_every_one_of_them_comes_to_rest(unit: str, kind: str, values: dict[str, int]) -> None:
    running = Running(depth_um=300)
    running.pen.faults.inject(unit, kind, **values)
    running.host.run(300)
    running.host.port.close()
    running.pen.faults.clear()
    running.pen.advance(30_000)
    assert not running.pen.needles_out
    assert not running.pen.motor_turns
    assert running.state() in AT_REST
