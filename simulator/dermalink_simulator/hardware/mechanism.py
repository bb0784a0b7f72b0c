"""All that moves, touches and measures, joined: drive and seat make protrusion, skin takes it, sensors read it."""

from math import cos, tau
from typing import Final

from dermalink_protocol.limits import STOP_FAILED_MS
from dermalink_simulator.hardware.battery import Battery
from dermalink_simulator.hardware.button import ButtonPart
from dermalink_simulator.hardware.cartridge import Seat
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.clock import BatteryClock
from dermalink_simulator.hardware.drive import PIECE_US, STILL_HZ, Drive
from dermalink_simulator.hardware.hand import HandPart
from dermalink_simulator.hardware.physics import PARKED_UM, Physics
from dermalink_simulator.hardware.sensors import ContactReader, Reader, TravelReader
from dermalink_simulator.hardware.skin import Skin
from dermalink_simulator.seam import Sensors

READING_MAX: Final = 0xFFFF
TRAVEL_MAX_UM: Final = 0x7FFF
ROOM_C: Final = 25
NO_TURN: Final = -1
PIECE_MS: Final = PIECE_US // 1_000
REST_EVERY_MS: Final = 50  # how often battery and clock are read while nothing but the cam moves


class _Since:
    """What is gathered between two calls of one kind."""

    __slots__ = ("at_ms", "dx", "dy", "feedback", "peak", "strokes")

    def __init__(self, now_ms: int) -> None:
        self.at_ms = now_ms
        self.peak = self.feedback = self.strokes = self.dx = self.dy = 0


class Mechanism:
    """The parts and their joints; moments are given in ms, and move only forwards.

    `supply_cut` says that the motor has lost its supply because needles did not come in. Whoever lays a fault over
    contact, travel, force, button or seat sets `disturbed`; it spares a sound pen the question, three times in 10 ms.
    """

    def __init__(self, physics: Physics, seed: int, clock: BatteryClock) -> None:
        self._physics = physics
        self._clock = clock
        self.drive = Drive(physics, generator(seed, "drive"))
        self.seat = Seat(physics, generator(seed, "seat"))
        self.hand = HandPart(physics, generator(seed, "hand"))
        self.skin = Skin(physics.skin_takes_permille)
        self.button = ButtonPart(generator(seed, "button"))
        self.battery = Battery(physics.battery_mah, 100)
        self.battery_c = self.motor_c = ROOM_C
        self.battery_reads_c: int | None = None
        self.motor_reads_c: int | None = None
        self.depth_sensor = Reader(generator(seed, "depth sensor"), physics.sensor_noise_um)
        self.feedback = Reader(generator(seed, "drive feedback"), physics.feedback_noise_um)
        self.force_sensor = Reader(generator(seed, "force sensor"), 0)  # the hand's own force is uneven enough
        self.contact = ContactReader(generator(seed, "contact"))
        self.travel = TravelReader()
        self.blind = False  # the timer interrupt's channel to the depth sensor
        self.disturbed = False
        self._guard = _Since(0)
        self._main = _Since(0)
        self._turn = NO_TURN
        self._turn_um = 0
        self.supply_cut = False
        self._unstopped_ms = 0
        self._undrawn_ms = 0
        self._measured = False
        self._depth = self._belief = self._force = 0
        self._rest: tuple[int, ...] = ()
        self._rest_at = -REST_EVERY_MS

    def changed(self) -> None:
        """Something was done to a part: what was measured holds no more."""
        self._measured = False
        self._rest_at = -REST_EVERY_MS

    def forget(self, now_ms: int) -> None:
        """A processor starts: nothing was gathered yet."""
        self._guard, self._main = _Since(now_ms), _Since(now_ms)
        self.seat.opened = False

    def brown_out(self, now_ms: int) -> None:
        """The supply fell under its floor: the motor driver drops out, and the spring retracts."""
        self.drive.supplied = False
        self.drive.cut(now_ms * 1_000)

    def move(self, now_ms: int, until_ms: int) -> None:
        """Let time pass."""
        self._measured = False
        drive = self.drive
        while now_ms < until_ms:
            if drive.idle:
                self._hand_moves(until_ms)
                self._look_after_stop(now_ms, until_ms)
                return
            step = until_ms if until_ms - now_ms <= PIECE_MS else now_ms + PIECE_MS
            drive.run(now_ms * 1_000, step * 1_000)
            if drive.course or not drive.steady_per_us:
                self._follow(now_ms * 1_000, step * 1_000)
            self._hand_moves(step)
            self._look_after_stop(now_ms, step)
            now_ms = step

    def _look_after_stop(self, now_ms: int, until_ms: int) -> None:
        """Needles that are not in 50 ms after the last order have the motor's supply cut for good (SR-STOP-8)."""
        if not self.skin.needles_are_out or self.drive.driving:
            self._unstopped_ms = 0
            return
        self._unstopped_ms += until_ms - now_ms
        if self._unstopped_ms >= STOP_FAILED_MS:
            self.supply_cut = True
            self.drive.supplied = False

    def service(self) -> None:
        """A workshop gives the motor its supply back."""
        self.supply_cut = False

    @property
    def last_force_mn(self) -> int:
        """The force sensor's last reading."""
        return self._force

    def head_changed(self, now_ms: int) -> None:
        """A head was fitted or pulled: needles may be out, or gone, without any motion."""
        self._out_or_in(now_ms * 1_000, now_ms * 1_000)

    def guard_sensors(self, now_ms: int) -> Sensors:
        """What the timer interrupt reads."""
        sensors = self._read(self._guard, now_ms)
        return sensors._replace(depth_um=0, peak_um=0) if self.blind else sensors

    def main_sensors(self, now_ms: int, dt_ms: int) -> Sensors:
        """What the main loop reads; the battery is drawn on by the way."""
        self._undrawn_ms += dt_ms
        if self._undrawn_ms >= REST_EVERY_MS:
            self.battery.draw(self._physics.electronics_ma + self._motor_ma(), self._undrawn_ms)
            self._undrawn_ms = 0
            self.drive.supplied = not (self.battery.flat or self.supply_cut)
        sensors = self._read(self._main, now_ms)
        if self.seat.opened:
            self.seat.opened = False
            self.changed()
        return sensors

    def _motor_ma(self) -> int:
        return int(self.drive.rate_hz * self._physics.motor_ma_100hz) // 100

    def _hand_moves(self, until_ms: int) -> None:
        hand = self.hand
        if not hand.touching:
            hand.run(until_ms)
            return
        x, y = hand.x_um, hand.y_um
        hand.run(until_ms)
        x, y = hand.x_um - x, hand.y_um - y
        if (x or y) and hand.touching:
            guard, main = self._guard, self._main
            guard.dx += x
            guard.dy += y
            main.dx += x
            main.dy += y

    def _follow(self, now_us: int, until_us: int) -> None:
        """Take head, skin and sensors along with what the drive has just done."""
        drive, seat = self.drive, self.seat
        out = drive.carriage_um + seat.offset_um > 0 and seat.limit_um > 0
        passed = out != self.skin.needles_are_out
        if passed and out:
            self._out_or_in(now_us, until_us)
        if drive.course:
            for point in drive.course:
                self._stand(*point)
        if passed and not out:
            self._out_or_in(now_us, until_us)

    def _stand(self, at_us: int, carriage_um: float, out: float, turn: int, outermost: bool) -> None:
        """Needles stand somewhere: the sensors hold the peak, and skin takes it where there is skin."""
        seat, skin = self.seat, self.skin
        true = min(carriage_um + seat.offset_um, seat.limit_um)
        guard, main = self._guard, self._main
        if outermost:
            guard.strokes += 1
            main.strokes += 1
        elif true <= 0:
            return
        else:
            true, carriage_um = true * out, carriage_um * out
        peak, belief = self.depth_sensor.read(true), self.feedback.read(carriage_um)
        if peak > guard.peak:
            guard.peak = peak
        if peak > main.peak:
            main.peak = peak
        if belief > guard.feedback:
            guard.feedback = belief
        if belief > main.feedback:
            main.feedback = belief
        depth = round(true)
        if depth <= 0:
            return
        if depth > skin.protruded_um:
            skin.protruded_um = depth
        if self.hand.touching and seat.head is not None:
            if turn != self._turn:
                self._turn, self._turn_um = turn, depth
                skin.stroke(at_us, self.hand.place, depth, seat.head.needles)
                self.hand.mark()
            elif depth > self._turn_um:
                self._turn_um = depth
                skin.deepen(depth)

    def _out_or_in(self, now_us: int, until_us: int) -> None:
        """Note when the needles passed the head's face; needs no motion when a head came or went."""
        out = self.drive.carriage_um + self.seat.offset_um > 0 and self.seat.limit_um > 0
        if out == self.skin.needles_are_out:
            return
        moment = until_us
        if now_us < until_us:
            moment = min(max(self.drive.crossing_us(-self.seat.offset_um), now_us), until_us)
        self._turn = NO_TURN
        if out:
            self.skin.needles_come_out(moment)
        else:
            self.skin.needles_go_in(moment)

    def _measure(self, now_ms: int) -> None:
        """Read every sensor at `now_ms`; guard and main loop share what falls on the same moment."""
        drive, seat, sensor = self.drive, self.seat, self.depth_sensor
        self._measured = True
        self._force = self.hand.force_mn()
        if self.disturbed:
            if self.force_sensor.faulty:
                self._force = max(0, min(self.force_sensor.read(self._force), READING_MAX))
            if self.button.bounce_ms or seat.loose:
                self._rest_at = -REST_EVERY_MS
        if drive.steady_per_us and not drive.exercised:
            # Only the cam turns: all that changes from one call to the next is how far out it stands.
            carriage = drive.carriage_um
            head = min(carriage + seat.offset_um, seat.limit_um)
            out = (1 + cos(tau * drive.phase)) / 2
            depth = sensor.read(head * out if head > 0 else head)
            self._depth = depth if depth > 0 else 0
            # A stroke that the spring cuts short ends here, so both sensors have to have seen the same of it.
            belief = self.feedback.read(carriage * out) if head > 0 else 0
            self._belief = belief if belief > 0 else 0
            if now_ms - self._rest_at >= REST_EVERY_MS:
                self._read_rest(now_ms, 0, 0)
            return
        self._depth = self._belief = travel = travel_belief = 0
        if not drive.idle or drive.carriage_um > PARKED_UM or sensor.stuck is not None:
            turning = drive.rate_hz >= STILL_HZ
            carriage = drive.carriage_um
            head = min(carriage + seat.offset_um, seat.limit_um)
            if head > 0 and turning:
                out = (1 + cos(tau * drive.phase)) / 2
                head, carriage = head * out, carriage * out
            depth = sensor.read(head)
            self._depth = max(0, depth)
            belief = self.feedback.read(carriage)
            self._belief = max(0, belief)
            if drive.exercised or not turning:
                travel = max(0, min(depth - PARKED_UM, READING_MAX))
                travel_belief = max(0, min(belief - PARKED_UM, READING_MAX))
        self._read_rest(now_ms, travel, travel_belief)

    def _read_rest(self, now_ms: int, travel_um: int, travel_feedback_um: int) -> None:
        """What changes slowly, in the order of `Sensors` from the button on."""
        seat, battery, rate = self.seat, self.battery, self.drive.rate_hz
        self._rest_at = now_ms
        self._rest = (
            self.button.read(now_ms),
            seat.read_switch(now_ms),
            seat.tag_ok,
            battery.supply,
            battery.percent,
            battery.millivolts,
            self.battery_c if self.battery_reads_c is None else self.battery_reads_c,
            self.motor_c if self.motor_reads_c is None else self.motor_reads_c,
            self._motor_ma(),
            1 if rate > STILL_HZ else 0,
            self._clock.utc_s(now_ms),
            travel_um,
            travel_feedback_um,
            self._clock.ran_s(now_ms),
        )

    def _read(self, since: _Since, now_ms: int) -> Sensors:
        if not self._measured:
            self._measure(now_ms)
        peak, belief, dx, dy, period = since.peak, since.feedback, since.dx, since.dy, self.drive.stroke_us
        depth = self._depth
        contact = 1 if self.hand.touching else 0
        if self.disturbed:
            dx, dy = self.travel.read(dx, dy, now_ms - since.at_ms)
            contact = self.contact.read(touching=self.hand.touching)
        since.at_ms = now_ms
        # Comparisons, where a call of `max` or `min` would cost twice as much: this runs three times in 10 ms.
        sensors = tuple.__new__(
            Sensors,
            (
                depth,
                peak if peak > depth else depth,
                belief if belief > self._belief else self._belief,
                since.strokes,
                period if period < READING_MAX else READING_MAX,
                self._force,
                contact,
                dx if -TRAVEL_MAX_UM < dx < TRAVEL_MAX_UM else max(-TRAVEL_MAX_UM, min(dx, TRAVEL_MAX_UM)),
                dy if -TRAVEL_MAX_UM < dy < TRAVEL_MAX_UM else max(-TRAVEL_MAX_UM, min(dy, TRAVEL_MAX_UM)),
                *self._rest,
            ),
        )
        since.peak = since.feedback = since.strokes = since.dx = since.dy = 0
        return sensors
