"""All that moves, touches and measures, joined: drive and seat make protrusion, skin takes it, sensors read it."""

from math import cos, tau
from typing import Final

from dermalink_simulator.hardware.battery import Battery
from dermalink_simulator.hardware.button import ButtonPart
from dermalink_simulator.hardware.cartridge import Seat
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.clock import BatteryClock
from dermalink_simulator.hardware.drive import PIECE_US, STILL_HZ, Drive
from dermalink_simulator.hardware.hand import HandPart
from dermalink_simulator.hardware.physics import PARKED_UM, Physics
from dermalink_simulator.hardware.sensors import DepthReader
from dermalink_simulator.hardware.skin import Skin
from dermalink_simulator.seam import Sensors

STROKE_US_MAX: Final = 0xFFFF
TRAVEL_MAX_UM: Final = 0x7FFF
ROOM_C: Final = 25


class _Since:
    """What is gathered between two calls of one kind."""

    __slots__ = ("dx", "dy", "feedback", "peak", "strokes")

    def __init__(self) -> None:
        self.peak = self.feedback = self.strokes = self.dx = self.dy = 0


class Mechanism:
    """The parts and their joints; moments are given in ms, and move only forwards."""

    def __init__(self, physics: Physics, seed: int, clock: BatteryClock) -> None:
        self._physics = physics
        self._clock = clock
        self.drive = Drive(physics, generator(seed, "drive"))
        self.seat = Seat(physics, generator(seed, "seat"))
        self.hand = HandPart(physics, generator(seed, "hand"))
        self.skin = Skin(physics.skin_takes_permille)
        self.button = ButtonPart()
        self.battery = Battery(physics.battery_mah, 100)
        self.depth_sensor = DepthReader(generator(seed, "depth sensor"), physics.sensor_noise_um)
        self.feedback = DepthReader(generator(seed, "drive feedback"), physics.feedback_noise_um)
        self._guard = _Since()
        self._main = _Since()
        self._held_counted = False

    def forget(self) -> None:
        """A processor starts: nothing was gathered yet."""
        self._guard, self._main = _Since(), _Since()

    def brown_out(self, now_ms: int) -> None:
        """The supply fell under its floor: the motor driver drops out, and the spring retracts."""
        self.drive.supplied = False
        self.drive.cut(now_ms * 1_000)

    def move(self, now_ms: int, until_ms: int) -> None:
        """Let time pass."""
        while now_ms < until_ms:
            if self.drive.idle:
                self._hand_moves(until_ms)
                return
            step = min(until_ms, now_ms + PIECE_US // 1_000)
            self._piece(now_ms * 1_000, step * 1_000)
            self._hand_moves(step)
            now_ms = step

    def head_changed(self, now_ms: int) -> None:
        """A head was fitted or pulled: needles may be out, or gone, without any motion."""
        self._out_or_in(now_ms * 1_000, now_ms * 1_000)

    def guard_sensors(self, now_ms: int) -> Sensors:
        """What the timer interrupt reads."""
        return self._read(self._guard, now_ms)

    def main_sensors(self, now_ms: int, dt_ms: int) -> Sensors:
        """What the main loop reads; the battery is drawn on by the way."""
        drive = self.drive
        self.battery.draw(self._physics.electronics_ma + self._motor_ma(), dt_ms)
        if not drive.supplied and not self.battery.flat:
            drive.supplied = True
        return self._read(self._main, now_ms)

    def _motor_ma(self) -> int:
        return int(self.drive.rate_hz * self._physics.motor_ma_100hz) // 100

    def _hand_moves(self, until_ms: int) -> None:
        hand = self.hand
        x, y = hand.x_um, hand.y_um
        hand.run(until_ms)
        if hand.touching and (hand.x_um != x or hand.y_um != y):
            dx, dy = hand.x_um - x, hand.y_um - y
            self._guard.dx += dx
            self._guard.dy += dy
            self._main.dx += dx
            self._main.dy += dy

    def _piece(self, now_us: int, until_us: int) -> None:
        drive, seat = self.drive, self.seat
        drive.run(now_us, until_us)
        for moment, carriage in drive.bottoms:
            self._stroke(moment, carriage)
        head = drive.carriage_um + seat.offset_um
        if (head > 0 and seat.limit_um > 0) != self.skin.needles_are_out:
            self._out_or_in(now_us, until_us)
        if head > 0 and drive.rate_hz < STILL_HZ:
            self._held_out(until_us, min(head, seat.limit_um))

    def _stroke(self, moment_us: int, carriage_um: float) -> None:
        seat, skin = self.seat, self.skin
        true = carriage_um + seat.offset_um
        true = min(true, seat.limit_um)
        peak = self.depth_sensor.read(true)
        belief = self.feedback.read(carriage_um)
        for since in (self._guard, self._main):
            since.strokes += 1
            since.peak = max(since.peak, peak)
            since.feedback = max(since.feedback, belief)
        if true > 0:
            depth = round(true)
            skin.protruded_um = max(skin.protruded_um, depth)
            if self.hand.touching:
                skin.stroke(moment_us, self.hand.place, depth, seat.head.needles if seat.head else 0)
                self.hand.mark()

    def _held_out(self, now_us: int, true_um: float) -> None:
        """Needles stand out while the motor stands still: the cam parks at its outermost."""
        depth = round(true_um)
        self.skin.protruded_um = max(self.skin.protruded_um, depth)
        if self.hand.touching and depth > 0 and not self._held_counted and self.seat.head is not None:
            self._held_counted = True
            self.skin.stroke(now_us, self.hand.place, depth, self.seat.head.needles)

    def _out_or_in(self, now_us: int, until_us: int) -> None:
        """Note when the needles passed the head's face; needs no motion when a head came or went."""
        out = self.drive.carriage_um + self.seat.offset_um > 0 and self.seat.limit_um > 0
        if out == self.skin.needles_are_out:
            return
        moment = until_us
        if now_us < until_us:
            moment = min(max(self.drive.crossing_us(-self.seat.offset_um), now_us), until_us)
        self._held_counted = False
        if out:
            self.skin.needles_come_out(moment)
        else:
            self.skin.needles_go_in(moment)

    def _read(self, since: _Since, now_ms: int) -> Sensors:
        drive, seat, hand, battery = self.drive, self.seat, self.hand, self.battery
        carriage = drive.carriage_um
        depth = travel = travel_belief = 0
        sensor = self.depth_sensor
        peak, belief = since.peak, since.feedback
        if not drive.idle or carriage > PARKED_UM or sensor.faulty:
            out = drive.rate_hz < STILL_HZ or (1 + cos(tau * drive.phase)) / 2
            head = carriage + seat.offset_um
            depth = sensor.read(min(head, seat.limit_um) * out if head > 0 else head)
            peak = max(peak, depth)
            if carriage > 0:
                belief = max(belief, self.feedback.read(carriage * out))
            travel = sensor.read(head - PARKED_UM)
            travel_belief = self.feedback.read(carriage - PARKED_UM)
        sensors = Sensors(
            depth,
            peak,
            belief,
            min(since.strokes, 255),
            min(drive.stroke_us, STROKE_US_MAX),
            hand.force_mn(),
            int(hand.touching),
            max(-TRAVEL_MAX_UM, min(since.dx, TRAVEL_MAX_UM)),
            max(-TRAVEL_MAX_UM, min(since.dy, TRAVEL_MAX_UM)),
            self.button.down,
            int(seat.head is not None),
            int(seat.tag() is not None),
            int(battery.supply),
            battery.percent,
            battery.millivolts,
            ROOM_C,
            ROOM_C,
            self._motor_ma(),
            int(drive.rate_hz > STILL_HZ),
            self._clock.utc_s(now_ms),
            travel,
            travel_belief,
        )
        since.peak = since.feedback = since.strokes = since.dx = since.dy = 0
        return sensors
