"""Motor and depth carriage: what an order does to them, in closed form between two moments.

The carriage goes out at a fixed speed and is drawn back by a spring; the motor spins up and brakes as first-order
systems. An order ends by itself (SR-STOP-3), and with it the carriage is the spring's. Moments are microseconds.
"""

from math import acos, cos, exp, floor, pi, tau
from random import Random
from typing import Final, NamedTuple

from dermalink_simulator.hardware.physics import PARKED_UM, Physics
from dermalink_simulator.seam import EXERCISE_STOP_UM, DriveOrder

OFF: Final = DriveOrder()
STILL_HZ: Final = 0.5  # slower than this a motor with a cam has stopped
SETTLED_HZ: Final = 0.05
EXERCISE_AT_UM: Final = PARKED_UM + EXERCISE_STOP_UM
NEAR_UM: Final = -200  # further in than this no head reaches its face, however badly it sits
CHART_US: Final = 1_000
PIECE_US: Final = 5_000  # so that at most one stroke falls into a piece, up to 200 Hz


class Point(NamedTuple):
    """Where the needles stood: moment, carriage in µm above the head's face, how far out of 1 the cam had them.

    `turn` numbers the cam's turns, each from innermost to innermost; `outermost` is True once in each.
    """

    at_us: int
    carriage_um: float
    out: float
    turn: int
    outermost: bool


_point: Final = tuple.__new__


class DriveFaults(NamedTuple):
    """What a fault lays over the mechanism: µm too far, percent of the spring's time and of the motor's rate."""

    overshoot_um: int = 0
    stuck: bool = False
    spring_broken: bool = False
    spring_percent: int = 100
    stalled: bool = False
    speed_percent: int = 100


class Drive:
    """The mechanism.

    `course` is where the needles stood in the last `run`: at every outermost point of the cam, and every ms while the
    motion changes, so that nothing in between is missed. `cut_us` is when the
    last order ended. `exercised` holds from an exercise until the carriage is parked again. `steady_per_us` is the
    strokes per µs while motor and carriage are where they were told to be, so that only the cam turns; 0 otherwise.
    """

    def __init__(self, physics: Physics, random: Random) -> None:
        self._physics = physics
        self._random = random
        self._spring_us = physics.spring_ms * 1_000.0
        self._order = OFF
        self._ends_us = 0
        self._driven = False
        self._error_um = 0
        self._from_um = float(PARKED_UM)
        self._from_us = 0
        self._goal_um = float(PARKED_UM)
        self.carriage_um = float(PARKED_UM)
        self.rate_hz = 0.0
        self.phase = 0.0
        self.stroke_us = 0
        self._outermost_us = 0
        self._turns = 0
        self.course: list[Point] = []
        self.idle = True
        self.cut_us = 0
        self.exercised = False
        self.steady_per_us = 0.0
        # What a fault lays over the mechanism.
        self._overshoot_um = 0
        self._stuck = False
        self._spring_broken = False
        self._slow_percent = 100
        self._stalled = False
        self._speed_percent = 100
        self.supplied = True

    @property
    def order(self) -> DriveOrder:
        """The order in force, off when it has run out."""
        return self._order if self._driven else OFF

    @property
    def driving(self) -> bool:
        """Whether an order is in force."""
        return self._driven

    def take(self, order: DriveOrder, now_us: int) -> None:
        """Follow `order` from now on, until it runs out."""
        motor_hz, target_um, valid_ms, exercise = order
        was = self._order
        if self._driven and valid_ms and self.supplied and (motor_hz, target_um, exercise) == (was[0], was[1], was[3]):
            self._ends_us = now_us + valid_ms * 1_000
            return
        if not (motor_hz or target_um or exercise) or valid_ms == 0 or not self.supplied:
            if self._driven:
                self._release(now_us)
            return
        self._ends_us = now_us + valid_ms * 1_000
        self.steady_per_us = 0.0
        self._order = order
        fresh = not self._driven
        self._driven, self.idle = True, False
        self.exercised = self.exercised or exercise > 0
        if fresh or was.target_um != target_um or was.exercise != exercise:
            bound = self._physics.drive_error_um
            self._error_um = self._random.randint(-bound, bound)
            self._aim(now_us)

    def ease(self, order: DriveOrder, now_us: int) -> bool:
        """Follow `order` in so far as it takes away; True when it asks for more than what is in force.

        It never lengthens what is in force: an order that nobody confirms in the timer interrupt runs out.
        """
        now = self._order
        if order[:2] == now[:2] and order.exercise == now.exercise:
            return False
        more = order.motor_hz > now.motor_hz or order.target_um > now.target_um or order.exercise > now.exercise
        less = order.motor_hz < now.motor_hz or order.target_um < now.target_um or order.exercise < now.exercise
        if less:
            motor, target = min(order.motor_hz, now.motor_hz), min(order.target_um, now.target_um)
            left = min((self._ends_us - now_us) // 1_000, order.valid_ms)
            self.take(DriveOrder(motor, target, max(0, left), min(order.exercise, now.exercise)), now_us)
        return more

    def cut(self, now_us: int) -> None:
        """No order is in force any more: the motor brakes, the spring draws the carriage back."""
        if self._driven:
            self._release(now_us)

    def set_faults(self, now_us: int, faults: DriveFaults) -> None:
        """What is wrong with the mechanism from now on; what did not change leaves a motion alone."""
        carriage = (faults.overshoot_um, faults.stuck, faults.spring_percent, faults.spring_broken)
        if carriage != (self._overshoot_um, self._stuck, self._slow_percent, self._spring_broken):
            self._overshoot_um, self._stuck, self._slow_percent, self._spring_broken = carriage
            self._aim(now_us)
        self._stalled, self._speed_percent = faults.stalled, faults.speed_percent
        self.steady_per_us = 0.0
        self.idle = False

    def run(self, now_us: int, until_us: int) -> None:
        """Let time pass; pieces are at most `PIECE_US` long while anything moves."""
        if self.course:
            self.course.clear()
        if self.idle:
            return
        per_us = self.steady_per_us
        if per_us and self._ends_us >= until_us:
            phase = self.phase + per_us * (until_us - now_us)
            if phase >= 1.0:
                phase -= 1.0
                moment = until_us - round(phase / per_us)
                self._turns += 1
                self.course.append(_point(Point, (moment, self.carriage_um, 1.0, self._turns, True)))
                self.stroke_us = moment - self._outermost_us
                self._outermost_us = moment
            self.phase = phase
            return
        if self._driven and self._ends_us < until_us:
            if self._ends_us > now_us:
                self._piece(now_us, self._ends_us)
                now_us = self._ends_us
            self._release(now_us)
        self._piece(now_us, until_us)

    def carriage_at(self, moment_us: int) -> float:
        """Where the carriage stands at a moment of the present motion, in µm above the head's face."""
        since = moment_us - self._from_us
        if self._stays():
            return self._from_um
        if self._spring_owns():
            whole = self._spring_us * self._slow_percent / 100
            if since >= whole:
                return float(PARKED_UM)
            return PARKED_UM + (self._from_um - PARKED_UM) * cos(pi / 2 * since / whole)
        way = self._physics.slew_um_ms * since / 1_000
        left = self._goal_um - self._from_um
        if left >= 0:
            return self._from_um + way if way < left else self._goal_um
        return self._from_um - way if way < -left else self._goal_um

    def crossing_us(self, level_um: float) -> int:
        """The moment at which the present motion brings the carriage to `level_um` (it must lie on its way)."""
        if self._spring_owns():
            part = (level_um - PARKED_UM) / (self._from_um - PARKED_UM)
            whole = self._spring_us * self._slow_percent / 100
            return self._from_us + round(acos(max(-1.0, min(1.0, part))) * 2 / pi * whole)
        return self._from_us + round(abs(level_um - self._from_um) * 1_000 / self._physics.slew_um_ms)

    def _spring_owns(self) -> bool:
        return not self._driven or (self._order.target_um == 0 and self._order.exercise == 0)

    def _stays(self) -> bool:
        """Whether nothing moves the carriage, wherever it should go."""
        return self._stuck or (self._spring_broken and self._spring_owns())

    def _aim(self, now_us: int) -> None:
        """Begin a motion from where the carriage stands."""
        self._from_um, self._from_us = self.carriage_um, now_us
        self.steady_per_us = 0.0
        if self._spring_owns():
            self._goal_um = float(PARKED_UM)
        elif self._order.target_um:
            self._goal_um = float(self._order.target_um + self._error_um + self._overshoot_um)
        else:
            self._goal_um = float(EXERCISE_AT_UM)

    def _release(self, now_us: int) -> None:
        self.cut_us = now_us
        self._driven = False
        self._order = OFF
        self._aim(now_us)

    def _piece(self, now_us: int, until_us: int) -> None:
        goal = 0.0
        if self._driven and not self._stalled:
            goal = self._order.motor_hz * self._speed_percent / 100
        seconds = (until_us - now_us) / 1e6
        rate = self.rate_hz
        if rate == goal:
            turned = rate * seconds
        else:
            slowness = (self._physics.spin_up_ms if goal else self._physics.brake_ms) / 1e3
            kept = exp(-seconds / slowness)
            turned = goal * seconds + (rate - goal) * slowness * (1 - kept)
            rate = goal + (rate - goal) * kept
            if -SETTLED_HZ < rate - goal < SETTLED_HZ:
                rate = goal
            self.rate_hz = rate
        self._chart(now_us, until_us, turned)
        stays = self._stays()
        if self.carriage_um != self._goal_um or stays:
            self.carriage_um = self.carriage_at(until_us)
        self.idle = not self._driven and rate == 0.0 and (stays or self.carriage_um <= PARKED_UM)
        if self.exercised and self.carriage_um <= PARKED_UM and not self._driven:
            self.exercised = False
        if rate == goal and rate > 0 and (stays or self.carriage_um == self._goal_um):
            self.steady_per_us = rate / 1e6

    def _chart(self, now_us: int, until_us: int, turned: float) -> None:
        """Note where the needles stood while the motion changed."""
        phase, turns, span_us = self.phase, self._turns, until_us - now_us
        after = phase + turned
        count = floor(after)
        for number in range(1, count + 1):
            moment = now_us + round((number - phase) / turned * span_us)
            self.course.append(Point(moment, self.carriage_at(moment), 1.0, turns + number, outermost=True))
            self.stroke_us = moment - self._outermost_us
            self._outermost_us = moment
        if max(self.carriage_um, self.carriage_at(until_us)) > NEAR_UM:
            turning = self.rate_hz >= STILL_HZ
            steps = max(1, span_us // CHART_US)
            for step in range(1, steps + 1):
                moment, at = now_us + span_us * step // steps, phase + turned * step / steps
                out = (1 + cos(tau * at)) / 2 if turning else 1.0
                turn = turns + floor(at + 0.5)
                self.course.append(Point(moment, self.carriage_at(moment), out, turn, outermost=False))
            self.course.sort()
        self.phase = after - count
        self._turns += count
