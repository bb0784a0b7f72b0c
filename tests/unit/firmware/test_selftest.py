"""The self-test as a machine of its own: what it finds, in which order, and that it never moves in contact."""

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import SelfTestStep
from dermalink_simulator.firmware import selftest
from dermalink_simulator.firmware.selftest import Declared, Outcome, Seen, SelfTest, monitor_trips, watchdog_trips
from dermalink_simulator.seam import EXERCISE_STOP_UM, Sensors
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.gate import Cut

DECLARED = Declared(accuracy_um=20, tolerance_um=30, retraction_ms=15)
SEEN = Seen(stored=True, clock_sound=True)
REST = Sensors(head_present=1)
ALL_STEPS = SelfTestStep(0xFF)


class Bench:
    """A carriage that follows the self-test's wish at once, and comes in after `retraction_ms`."""

    def __init__(self, retraction_ms: int = 15, travel_um: int = EXERCISE_STOP_UM, believed_um: int = EXERCISE_STOP_UM):
        self.test = SelfTest()
        self.retraction_ms, self.travel_um, self.believed_um = retraction_ms, travel_um, believed_um
        self.out_ms = 0
        self.exercised = False
        self.cut = 0

    def sensors(self, rest: Sensors) -> Sensors:
        if self.test.exercise:
            self.exercised, self.out_ms = True, self.retraction_ms
        if self.out_ms > 0:
            return rest._replace(travel_um=self.travel_um, travel_feedback_um=self.believed_um)
        return rest

    def run(self, rest: Sensors = REST, seen: Seen = SEEN, declared: Declared = DECLARED) -> Outcome:
        self.test.start()
        for _ in range(1_200):
            for _ in range(2):
                self.out_ms -= 5
                self.test.guard(5, self.sensors(rest), declared)
            outcome = self.test.step(LIMITS, 10, self.sensors(rest), declared, cut=self.cut, seen=seen)
            if outcome is not None:
                assert not self.test.exercise
                assert not self.test.runs
                return outcome
        raise AssertionError("it never ends")


@pytest.mark.sr("SR-POST-1", side="pen")
def test_a_sound_pen_passes_every_step() -> None:
    bench = Bench()
    assert bench.run() == Outcome(Reason.NONE, badly_seated=False)
    assert bench.test.report.done == ALL_STEPS
    assert bench.test.report.failed == SelfTestStep(0)
    assert bench.test.report.retraction_ms in (15, 20)


@pytest.mark.sr("SR-POST-1", "SR-STOP-8", side="pen")
@pytest.mark.parametrize(("retraction_ms", "reason"), [(20, Reason.NONE), (25, Reason.RETRACTION_SLOW)])
def test_a_retraction_slower_than_one_and_a_half_times_calibrated_fails(retraction_ms: int, reason: Reason) -> None:
    assert Bench(retraction_ms=retraction_ms).run().reason is reason


@pytest.mark.sr("SR-POST-1", "SR-STOP-8", side="pen")
def test_needles_that_never_come_in_fail() -> None:
    assert Bench(retraction_ms=1_000_000).run().reason is Reason.RETRACTION_SLOW


@pytest.mark.sr("SR-DEPTH-7", side="pen")
@pytest.mark.parametrize(
    ("travel_um", "believed_um", "reason"),
    [
        (325, 300, Reason.NONE),
        (326, 300, Reason.SENSORS_DISAGREE),
        (274, 300, Reason.SENSORS_DISAGREE),
        (300, 326, Reason.DRIVE_FAULT),
        (300, 0, Reason.DRIVE_FAULT),
    ],
)
def test_sensor_and_drive_are_held_against_the_stop(travel_um: int, believed_um: int, reason: Reason) -> None:
    bench = Bench(travel_um=travel_um, believed_um=believed_um)
    assert bench.run(Sensors()).reason is reason


@pytest.mark.sr("SR-DEPTH-6", side="pen")
@pytest.mark.parametrize(("travel_um", "badly"), [(325, False), (331, True), (269, True)])
def test_a_head_outside_the_tolerance_is_badly_seated_and_the_pen_itself_sound(travel_um: int, badly: bool) -> None:
    bench = Bench(travel_um=travel_um)
    assert bench.run() == Outcome(Reason.NONE, badly_seated=badly)
    assert bool(bench.test.report.failed & SelfTestStep.SEATING) is badly


@pytest.mark.sr("SR-POST-1", side="pen")
def test_nothing_moves_in_contact() -> None:
    bench = Bench()
    assert bench.run(REST._replace(contact=1)).reason is Reason.IN_CONTACT
    assert not bench.exercised


@pytest.mark.sr("SR-POST-1", side="pen")
def test_a_touch_in_the_middle_of_it_is_said() -> None:
    bench = Bench()
    bench.cut = Cut.CONTACT
    assert bench.run().reason is Reason.IN_CONTACT


@pytest.mark.sr("SR-POST-1", "SR-STOP-5", side="pen")
def test_a_stuck_button_fails_and_one_let_go_in_time_does_not() -> None:
    assert Bench().run(REST._replace(button=1)).reason is Reason.BUTTON_STUCK


@pytest.mark.sr("SR-POST-1", side="pen")
def test_a_store_that_does_not_take_its_record_fails() -> None:
    bench = Bench()
    assert bench.run(seen=Seen(stored=False, clock_sound=True)).reason is Reason.FLASH_FAILED
    assert bench.test.report.failed == SelfTestStep.STORAGE


@pytest.mark.sr("SR-POST-1", side="pen")
def test_an_unsound_clock_is_said_and_can_still_be_set() -> None:
    bench = Bench()
    assert bench.run(seen=Seen(stored=True, clock_sound=False)).reason is Reason.NONE
    assert bench.test.report.failed == SelfTestStep.CLOCK


@pytest.mark.sr("SR-POST-1", side="pen", twin=True)
@pytest.mark.parametrize(
    ("broken", "instead", "step"),
    [
        ("watch", lambda monitor, *_: monitor, SelfTestStep.DEPTH_MONITOR),
        ("watch", lambda monitor, *_: monitor._replace(latched=int(Reason.DEPTH_EXCEEDED)), SelfTestStep.DEPTH_MONITOR),
        ("guard", lambda _limits, gate, _guarded: gate, SelfTestStep.WATCHDOG),
    ],
    ids=["monitor never trips", "monitor always trips", "watchdog never trips"],
)
def test_a_monitor_or_a_watchdog_that_does_not_work_is_found(
    monkeypatch: pytest.MonkeyPatch, broken: str, instead: object, step: SelfTestStep
) -> None:
    assert monitor_trips(DECLARED)
    assert watchdog_trips(LIMITS)
    monkeypatch.setattr(selftest, broken, instead)
    bench = Bench()
    assert bench.run().reason is Reason.SELF_TEST_FAILED
    assert bench.test.report.failed == step
