"""Sensors of touch that lie while needles work: what the pen sees by the other one, and that it sees nothing else."""

from random import Random

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import LIFT_RETRACT_MS
from dermalink_protocol.messages import therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.plausibility import APART_MS, STILL_MS
from dermalink_simulator.pen import SimulatedPen
from tests.fault.running_pen import IN_US, PHASES_MS, Running
from tests.support.raw_host import RawHost

SEEN_US = 1_000 * (max(APART_MS, STILL_MS) + 20)  # two ticks of the main loop besides
NO_DETECTORS = frozenset({"detectors"})
SESSION_MS = 20 * 60_000


def pressed_hard(disabled: frozenset[str] = frozenset(), phase_ms: int = 0, mn: int = -1) -> Running:
    """A hand that presses hard, and a force sensor that goes on reading what it read before, or something else."""
    running = Running(phase_ms=phase_ms, disabled=disabled)
    running.host.run(300)
    running.mark()
    running.pen.faults.inject("force_sensor", "stuck", mn=mn)
    running.pen.hand.press_hard(4_500)
    running.host.run(1_000)
    return running


@pytest.mark.sr("SR-BIST-1", "SR-PASS-5", side="pen")
@pytest.mark.parametrize("phase_ms", PHASES_MS)
@pytest.mark.parametrize("mn", [-1, 0, 1_000, 1_900])
def test_a_force_sensor_that_is_stuck_hides_no_hard_press(mn: int, phase_ms: int) -> None:
    running = pressed_hard(phase_ms=phase_ms, mn=mn)
    assert running.in_after_us() <= SEEN_US + IN_US
    assert (running.state(), running.host.status().reason) == (State.FAULT, Reason.SENSOR_FAULT)


@pytest.mark.sr("SR-BIST-1", "SR-PASS-5", side="pen", twin=True)
def test_without_that_safeguard_it_hides_one() -> None:
    assert pressed_hard(NO_DETECTORS).out()


def carried_through_the_air(disabled: frozenset[str] = frozenset(), phase_ms: int = 0) -> Running:
    running = Running(phase_ms=phase_ms, disabled=disabled)
    running.mark()
    running.pen.faults.inject("contact", "stuck_closed")
    running.pen.hand.lift()
    running.pen.faults.inject("travel", "drifting")  # a hand that carries it through the air is motion to the sensor
    running.host.run(LIFT_RETRACT_MS + 1_000)
    return running


@pytest.mark.sr("SR-BIST-1", "SR-STOP-6", side="pen")
@pytest.mark.parametrize("phase_ms", PHASES_MS)
def test_a_contact_that_is_stuck_closed_keeps_no_needle_out_in_the_air(phase_ms: int) -> None:
    running = carried_through_the_air(phase_ms=phase_ms)
    assert running.in_after_us() <= LIFT_RETRACT_MS * 1_000
    assert running.host.status().reason is Reason.SENSOR_FAULT


@pytest.mark.sr("SR-BIST-1", "SR-STOP-6", side="pen", twin=True)
def test_without_that_safeguard_it_keeps_them_out() -> None:
    assert carried_through_the_air(NO_DETECTORS).out()


@pytest.mark.sr("SR-BIST-1", side="pen")
def test_a_contact_that_is_stuck_open_in_skin_is_told_by_the_force() -> None:
    running = Running()
    running.pen.faults.inject("contact", "stuck_open")
    running.host.run(1_000)
    assert running.in_after_us() <= SEEN_US + IN_US
    assert running.host.status().reason is Reason.SENSOR_FAULT


@pytest.mark.sr("SR-PASS-3", "SR-BIST-1", side="pen")
@pytest.mark.parametrize("permille", [100, 300, 700, 1_000])
def test_a_contact_that_bounces_leaves_no_stroke_uncounted(permille: int) -> None:
    running = Running(depth_um=300)
    running.pen.faults.inject("contact", "bouncing", permille=permille)
    running.host.run(1_500)
    running.pen.faults.clear()
    assert running.host.status().punctures >= running.pen.skin.punctures


@pytest.mark.sr("SR-RST-3", "SR-BIST-1", side="pen")
def test_a_self_test_and_a_press_clear_it_and_what_still_lies_is_told_again() -> None:
    running = Running()
    host, pen = running.host, running.pen
    pen.faults.inject("contact", "stuck_open")
    host.run(1_000)
    pen.hand.lift()
    assert host.status().state is State.FAULT
    host.expect(therapy.FaultAcknowledged, host.command(therapy.AcknowledgeFault, fault=Reason.SENSOR_FAULT))
    host.wait_for(State.FAULT)
    pen.button.press()
    host.wait_for(State.OPEN)
    host.run(500)  # the press is over
    prepared = host.prepare(Zone.CHIN, Direction.VERTICAL)
    host.begin(prepared.frame_id)
    host.wait_for(State.ARMED)
    pen.hand.sweep(Zone.CHIN, Direction.VERTICAL)
    host.run(1_000)
    assert host.status().reason is Reason.SENSOR_FAULT


def ordinary_session(seed: int, head: str, profile: str = "nominal") -> tuple[int, set[Reason]]:
    """A session of 20 minutes by an ordinary hand: lifts, moments of hard pressing, pauses; armed ms, what was told."""
    drawn = Random(seed)
    pen = SimulatedPen(profile, seed=seed)
    pen.cartridge.fit(head)
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    begun = pen.now_ms
    host.open()
    armed_ms, told = 0, set[Reason]()
    zones = [Zone.FOREHEAD, Zone.LEFT_CHEEK, Zone.RIGHT_CHEEK, Zone.CHIN, Zone.NOSE]
    if head == "stamp":
        zones = [Zone.NOSE, Zone.UPPER_LIP, Zone.LEFT_UNDER_EYE, Zone.RIGHT_UNDER_EYE]
    for zone, direction in ((zone, direction) for zone in zones for direction in Direction):
        if pen.now_ms - begun > SESSION_MS - 120_000:
            break
        host.begin(host.prepare(zone, direction, depth_um=200).frame_id)
        host.wait_for(State.ARMED)
        left_ms = pen.hand.sweep(zone, direction)
        while left_ms > 0:
            step_ms = drawn.randrange(500, 6_000)
            host.run(step_ms)
            armed_ms, left_ms = armed_ms + step_ms, left_ms - step_ms
            match drawn.randrange(4):
                case 0:
                    pen.hand.lift()
                    host.run(drawn.randrange(50, 2_000))
                    pen.hand.go_on()
                case 1:
                    pen.hand.press_hard(drawn.randrange(1_200, 1_990), for_ms=drawn.randrange(50, 900))
                case _:
                    pass
            status = host.status()
            told.add(status.reason)
            if status.state not in (State.ARMED, State.RUNNING, State.LIFTED):
                break
        pen.hand.lift()
        if host.status().state not in (State.OPEN, State.RECORDING):
            host.ask(therapy.EndPass(session_id=host.session_id))
        host.wait_for(State.OPEN)
    return armed_ms, told


@pytest.mark.sr("SR-BIST-1", side="pen")
@pytest.mark.parametrize(("head", "profile"), [("glide", "nominal"), ("stamp", "nominal"), ("glide", "exact")])
def test_an_ordinary_session_tells_of_no_sensor(head: str, profile: str) -> None:
    armed_ms, told = ordinary_session(1, head, profile)
    assert armed_ms > 60_000
    assert Reason.SENSOR_FAULT not in told


@pytest.mark.complete
@pytest.mark.sr("SR-BIST-1", side="pen")
@pytest.mark.parametrize("hour", range(10))
def test_ten_armed_hours_of_ordinary_use_tell_of_no_sensor(hour: int) -> None:
    armed_ms, seed = 0, 100 * hour
    while armed_ms < 3_600_000:
        seed += 1
        more_ms, told = ordinary_session(seed, "glide" if seed % 4 else "stamp")
        armed_ms += more_ms
        assert Reason.SENSOR_FAULT not in told, seed
