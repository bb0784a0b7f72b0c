"""The self-test (SR-POST-1): what therapy relies on is made to happen, and watched, before therapy may rely on it.

The needles move below the head's face only, and not at all in contact. The main loop steps it; the timer interrupt
times the retraction.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import DEPTH_CAP_UM, SENSOR_DISAGREE_MAX_UM, WATCHDOG_MS
from dermalink_protocol.messages.identity import SelfTestStep
from dermalink_simulator.firmware.monitor import CLEAR, Reading, undeclared, watch
from dermalink_simulator.seam import EXERCISE_STOP_UM, DriveOrder, Sensors
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.gate import EXERCISE, Cut, GateState, Guarded, guard, order

RELEASE_WITHIN_MS: Final = 2_000  # a button held while switching on is let go by then, or it is stuck (assumption)
AWAY_WITHIN_MS: Final = 8_000  # a pen on the skin is lifted by then; inside the core's 10 s for the whole (assumption)
SETTLE_MS: Final = 60  # the carriage stands at the stop: eight times the way's time at 40 um/ms (assumption)
RETRACT_WITHIN_MS: Final = 100  # no spring that is one takes longer
SLOW_PERCENT: Final = 150  # of the calibrated retraction (SR-STOP-8)
STORE_WITHIN_MS: Final = 1_000  # flash writes with two erased sectors take a tenth of it
TIMER_MAX_MS: Final = 0xFFFF

_MOVING_STEPS: Final = SelfTestStep.RETRACTION | SelfTestStep.SENSORS_AGREE


class Phase(IntEnum):
    """Where the self-test stands."""

    OFF = 0
    LOOK = 1
    EXTEND = 2
    RETRACT = 3
    STORE = 4


class Declared(NamedTuple):
    """What the pen is declared to keep: as in `flash_layout.FactoryRecord`."""

    accuracy_um: int
    tolerance_um: int
    retraction_ms: int


class Seen(NamedTuple):
    """What the firmware sees elsewhere: nothing waits to be written any more; the clock is sound."""

    stored: bool
    clock_sound: bool


class Outcome(NamedTuple):
    """How a self-test ended: NONE, or the step's reason; whether the head is seated outside the tolerance."""

    reason: Reason
    badly_seated: bool


class Report(NamedTuple):
    """What `messages.identity.SelfTestReport` tells, as far as it was measured."""

    tick_ms: int = 0
    done: SelfTestStep = SelfTestStep(0)
    failed: SelfTestStep = SelfTestStep(0)
    retraction_ms: int = 0
    disagreement_um: int = 0


class SelfTest:
    """One self-test at a time; `exercise` is 1 while it asks the gate for the drive."""

    __slots__ = ("_badly_seated", "_phase", "_reason", "_timer_ms", "exercise", "report")

    def __init__(self) -> None:
        self.report = Report()
        self.exercise = 0
        self._phase = Phase.OFF
        self._timer_ms = 0
        self._reason = Reason.NONE
        self._badly_seated = False

    @property
    def runs(self) -> bool:
        """Whether one is under way."""
        return self._phase is not Phase.OFF

    def start(self) -> None:
        """Begin one; it asks for nothing yet."""
        self.report = Report()
        self._enter(Phase.LOOK)
        self._reason, self._badly_seated = Reason.NONE, False

    def guard(self, dt_ms: int, sensors: Sensors, declared: Declared) -> None:
        """The timer interrupt: how long the needles take to come in."""
        if self._phase is Phase.RETRACT and not self.report.retraction_ms:
            self._timer_ms = min(self._timer_ms + dt_ms, TIMER_MAX_MS)
            if sensors.travel_um <= declared.accuracy_um or self._timer_ms >= RETRACT_WITHIN_MS:
                self.report = self.report._replace(retraction_ms=self._timer_ms)

    def step(
        self, limits: CoreLimits, dt_ms: int, sensors: Sensors, declared: Declared, *, cut: int, seen: Seen
    ) -> Outcome | None:
        """The main loop's part; gives the outcome once. `cut` is the gate's."""
        if self._phase is not Phase.RETRACT:
            self._timer_ms = min(self._timer_ms + dt_ms, TIMER_MAX_MS)
        if self._phase is Phase.LOOK:
            self._look(limits, sensors, declared)
        elif self._phase is Phase.EXTEND:
            self._extend(sensors, declared, cut)
        elif self._phase is Phase.RETRACT:
            self._retract(sensors, declared)
        elif self._phase is Phase.STORE and (seen.stored or self._timer_ms >= STORE_WITHIN_MS):
            self._note(SelfTestStep.STORAGE, Reason.NONE if seen.stored else Reason.FLASH_FAILED)
            self._note_clock(sound=seen.clock_sound)
            self._phase = Phase.OFF
            return Outcome(self._reason, self._badly_seated)
        return None

    def _look(self, limits: CoreLimits, sensors: Sensors, declared: Declared) -> None:
        if sensors.button and self._timer_ms < RELEASE_WITHIN_MS:
            return
        if sensors.contact and self._timer_ms < AWAY_WITHIN_MS:
            return
        self._note(SelfTestStep.BUTTON, Reason.BUTTON_STUCK if sensors.button else Reason.NONE)
        self._note(SelfTestStep.DEPTH_MONITOR, Reason.NONE if monitor_trips(declared) else Reason.SELF_TEST_FAILED)
        self._note(SelfTestStep.WATCHDOG, Reason.NONE if watchdog_trips(limits) else Reason.SELF_TEST_FAILED)
        if sensors.contact:
            self._note(_MOVING_STEPS, Reason.IN_CONTACT)
            self._enter(Phase.STORE)
            return
        self.exercise = 1
        self._enter(Phase.EXTEND)

    def _extend(self, sensors: Sensors, declared: Declared, cut: int) -> None:
        if cut:
            self.exercise = 0
            reason = Reason.IN_CONTACT if cut == Cut.CONTACT else Reason.SELF_TEST_FAILED
            self._note(_MOVING_STEPS, reason)
            self._enter(Phase.STORE)
            return
        if self._timer_ms < SETTLE_MS:
            return
        travel, feedback = sensors.travel_um, sensors.travel_feedback_um
        apart = abs(travel - feedback)
        self.report = self.report._replace(disagreement_um=apart)
        off_stop = abs(feedback - EXERCISE_STOP_UM) > SENSOR_DISAGREE_MAX_UM
        told = undeclared(declared.accuracy_um, declared.tolerance_um) is Reason.NONE
        if sensors.head_present and told and not off_stop:
            self._badly_seated = abs(travel - EXERCISE_STOP_UM) > declared.tolerance_um
            self._note(SelfTestStep.SEATING, Reason.NONE)
            if self._badly_seated:
                self.report = self.report._replace(failed=self.report.failed | SelfTestStep.SEATING)
        agree = apart <= SENSOR_DISAGREE_MAX_UM or self._badly_seated
        if off_stop:
            self._note(SelfTestStep.SENSORS_AGREE, Reason.DRIVE_FAULT)
        else:
            self._note(SelfTestStep.SENSORS_AGREE, Reason.NONE if agree else Reason.SENSORS_DISAGREE)
        self.exercise = 0
        self._enter(Phase.RETRACT)

    def _retract(self, sensors: Sensors, declared: Declared) -> None:
        took_ms = self.report.retraction_ms
        if not took_ms or (sensors.depth_um and took_ms < RETRACT_WITHIN_MS):
            return
        slow = took_ms * 100 > declared.retraction_ms * SLOW_PERCENT or sensors.depth_um or sensors.motor_on
        self._note(SelfTestStep.RETRACTION, Reason.RETRACTION_SLOW if slow else Reason.NONE)
        self._enter(Phase.STORE)

    def _note(self, step: SelfTestStep, reason: Reason) -> None:
        failed = step if reason is not Reason.NONE else SelfTestStep(0)
        self.report = self.report._replace(done=self.report.done | step, failed=self.report.failed | failed)
        if self._reason is Reason.NONE:
            self._reason = reason

    def _note_clock(self, *, sound: bool) -> None:
        """A clock that is not sound is said, and locks by itself: it can be set, which a failed test could not mend."""
        failed = SelfTestStep(0) if sound else SelfTestStep.CLOCK
        report = self.report
        self.report = report._replace(done=report.done | SelfTestStep.CLOCK, failed=report.failed | failed)

    def _enter(self, phase: Phase) -> None:
        self._phase, self._timer_ms = phase, 0


def monitor_trips(declared: Declared) -> bool:
    """Whether the monitor latches on an injected reading over the cap, and on nothing less."""
    accuracy_um, tolerance_um, _ = declared
    over = watch(CLEAR, Reading(0, DEPTH_CAP_UM + accuracy_um + 1, 0, 0), 0, accuracy_um, tolerance_um)
    under = watch(CLEAR, Reading(0, DEPTH_CAP_UM + accuracy_um, 0, 0), 0, accuracy_um, tolerance_um)
    return over.latched == Reason.DEPTH_EXCEEDED and not under.latched


def watchdog_trips(limits: CoreLimits) -> bool:
    """Whether the gate cuts the drive once the main loop has been away for the watchdog's time."""
    gate = GateState(wants=EXERCISE, watchdog_left_ms=int(WATCHDOG_MS))
    gate = guard(limits, gate, Guarded(dt_ms=int(WATCHDOG_MS)))
    return gate.cut == Cut.WATCHDOG and order(limits, gate) == DriveOrder()
