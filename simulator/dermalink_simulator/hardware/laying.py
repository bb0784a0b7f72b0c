"""Faults that last: makes each part what a list of them says, and sound where they say nothing of it."""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Final

from dermalink_simulator.faults.spelling import ANY
from dermalink_simulator.faults.words import LAST_READING
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.battery import INNER_MOHM
from dermalink_simulator.hardware.board import Board
from dermalink_simulator.hardware.clock import STOPPED_PPM
from dermalink_simulator.hardware.drive import DriveFaults
from dermalink_simulator.hardware.line import Line, LineFaults
from dermalink_simulator.hardware.mechanism import ROOM_C, Mechanism
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.hardware.sensors import Reader

TO_PEN: Final = 1
FROM_PEN: Final = 2
BATTERY: Final = 1
MOTOR: Final = 2

Words = Mapping[tuple[str, str, int], Mapping[str, int]]
Draws = Mapping[tuple[str, str], Random]


class _On:
    """What is on, asked for by unit and kind: a number of it, or what is so without it."""

    def __init__(self, words: Words, draws: Draws) -> None:
        self._words, self._draws = words, draws

    def has(self, unit: str, kind: str) -> bool:
        """Whether it is on."""
        return (unit, kind, ANY) in self._words

    def has_unit(self, unit: str) -> bool:
        """Whether any kind of it is on."""
        return any(word[0] == unit for word in self._words)

    def of(self, unit: str, kind: str, name: str, sound: int, instance: int = ANY) -> int:
        """A number of it; of one instance, or of all at once."""
        for which in (instance, ANY):
            if (unit, kind, which) in self._words:
                return self._words[unit, kind, which][name]
        return sound

    def maybe(self, unit: str, kind: str, name: str, instance: int = ANY) -> int | None:
        """As `of`, None without it."""
        missing = -(1 << 62)
        value = self.of(unit, kind, name, missing, instance)
        return None if value == missing else value

    def draw(self, unit: str, kind: str, otherwise: Random) -> Random:
        """Where its chance comes from."""
        return self._draws.get((unit, kind), otherwise)


def lay_parts(board: Board, words: Words, draws: Draws) -> None:
    """Make everything but links and air what is said."""
    on, parts = _On(words, draws), board.mechanism
    board.main_hung = on.has("main_loop", "hung")
    board.main_slow_ms = on.of("main_loop", "slow", "ms", 0)
    board.guard_hung = on.has("monitor", "hung")
    parts.blind = on.has("monitor", "blind")
    _lay_flash(board, on)
    _lay_sensors(parts, on)
    _lay_temperatures(parts, on)
    parts.drive.set_faults(
        board.now_ms * 1_000,
        DriveFaults(
            overshoot_um=on.of("drive", "overshoot", "um", 0),
            stuck=on.has("drive", "stuck"),
            spring_broken=on.has("spring", "broken"),
            spring_percent=on.of("spring", "weak", "percent", 100),
            stalled=on.has("motor", "stalled"),
            speed_percent=on.of("motor", "overspeed", "percent", on.of("motor", "slow", "percent", 100)),
        ),
    )
    _lay_seat(parts, on)
    parts.head_changed(board.now_ms)
    button = parts.button
    button.stuck, button.dead = on.has("button", "stuck"), on.has("button", "dead")
    button.bounce_ms = on.of("button", "bouncing", "ms", 0)
    button.chance = on.draw("button", "bouncing", button.chance)
    stopped = on.has("clock", "stopped")
    board.clock.run_wrongly(STOPPED_PPM if stopped else on.of("clock", "drift", "ppm", 0), board.now_ms)
    sag, lost_mv = on.of("battery", "sag", "mohm", INNER_MOHM), on.of("supply", "brown_out", "mv", 0)
    parts.battery.spoil(sag, lost_mv)
    if parts.battery.flat:
        parts.brown_out(board.now_ms)  # the motor driver drops out by itself, whatever any program does


def _lay_flash(board: Board, on: _On) -> None:
    flash = board.flash
    flash.slow_ms = on.of("flash", "slow", "ms", 0)
    flash.bad_sector = on.maybe("flash", "bad_sector", "sector")
    flash.stands_erases = on.maybe("flash", "worn_out", "erases")
    flash.wear_chance = on.draw("flash", "worn_out", flash.wear_chance)
    flash.cache_chance = on.draw("flash", "reordering", flash.cache_chance)
    flash.cache(on.of("flash", "reordering", "operations", 0))


def _lay_sensors(parts: Mechanism, on: _On) -> None:
    _lay_reader(parts.depth_sensor, "depth_sensor", "um", on, parts.depth_sensor.last)
    _lay_reader(parts.feedback, "drive_feedback", "um", on, parts.feedback.last)
    _lay_reader(parts.force_sensor, "force_sensor", "mn", on, parts.last_force_mn)
    contact, travel = parts.contact, parts.travel
    contact.stuck = None
    if on.has("contact", "stuck_closed"):
        contact.stuck = 1
    if on.has("contact", "stuck_open"):
        contact.stuck = 0
    contact.bouncing = on.of("contact", "bouncing", "permille", 0)
    contact.chance = on.draw("contact", "bouncing", contact.chance)
    travel.stuck, travel.reversed = on.has("travel", "stuck"), on.has("travel", "reversed")
    travel.drift_um_s = on.of("travel", "drifting", "um_s", 0)
    parts.disturbed = any(on.has_unit(unit) for unit in ("contact", "travel", "force_sensor", "button", "cartridge"))


def _lay_reader(reader: Reader, unit: str, name: str, on: _On, last: int) -> None:
    stuck = on.maybe(unit, "stuck", name)
    if stuck == LAST_READING:
        stuck = reader.stuck if reader.stuck is not None else last
    reader.stuck = stuck
    reader.extra = on.of(unit, "noisy", name, 0)
    reader.offset = on.of(unit, "offset", name, 0)
    reader.chance = on.draw(unit, "noisy", reader.chance)


def _lay_temperatures(parts: Mechanism, on: _On) -> None:
    battery_read = parts.battery_c if parts.battery_reads_c is None else parts.battery_reads_c
    motor_read = parts.motor_c if parts.motor_reads_c is None else parts.motor_reads_c
    parts.battery_reads_c = on.maybe("temperature", "stuck", "celsius", BATTERY)
    parts.motor_reads_c = on.maybe("temperature", "stuck", "celsius", MOTOR)
    if parts.battery_reads_c == LAST_READING:
        parts.battery_reads_c = battery_read
    if parts.motor_reads_c == LAST_READING:
        parts.motor_reads_c = motor_read
    parts.battery_c, parts.motor_c = (
        on.of("temperature", "hot", "celsius", on.of("temperature", "cold", "celsius", ROOM_C, which), which)
        for which in (BATTERY, MOTOR)
    )


def _lay_seat(parts: Mechanism, on: _On) -> None:
    seat = parts.seat
    seat.stop_broken = on.has("cartridge_stop", "broken")
    seat.worn_um = on.of("cartridge_stop", "worn", "um", 0)
    seat.unreadable = on.has("cartridge_tag", "unreadable")
    seat.true_stop_um = on.maybe("cartridge_tag", "lies", "um")
    seat.flaky = on.of("cartridge_tag", "flaky", "permille", 0)
    seat.flaky_chance = on.draw("cartridge_tag", "flaky", seat.flaky_chance)
    seat.badly_um = on.maybe("cartridge", "badly_seated", "um")
    seat.loose = on.of("cartridge", "loose", "permille", 0)
    seat.loose_chance = on.draw("cartridge", "loose", seat.loose_chance)
    seat.settle()


def lay_air(air: AirConditions, sound: AirConditions, on: Mapping[str, Mapping[str, int]]) -> None:
    """Make the air what it is without faults, and then lay these over it; told only where it changes."""
    spoilt = sound.copy()
    if "loss" in on:
        spoilt.loss = on["loss"]["permille"]
    if "bursts" in on:
        spoilt.bursts, spoilt.burst_events = on["bursts"]["permille"], on["bursts"]["events"]
    if "interval" in on:
        spoilt.interval_us = on["interval"]["us"]
    if "latency" in on:
        spoilt.latency = on["latency"]["events"]
    if "delay" in on:
        spoilt.delay_ms = on["delay"]["ms"]
    spoilt.silence = "silence" in on
    if spoilt != air:
        air.become(spoilt)


def ways_of(port: PenPort, way: int) -> Iterable[Line]:
    """The lines of a connection that a fault's `way` means."""
    return [line for number, line in ((TO_PEN, port.to_pen), (FROM_PEN, port.from_pen)) if way in (0, number)]


def lay_line(port: PenPort, on: Mapping[str, Mapping[str, int]], draws: Mapping[str, Random]) -> None:
    """Make a connection's two lines what these faults of it say."""
    for way, line in ((TO_PEN, port.to_pen), (FROM_PEN, port.from_pen)):
        mine = {kind: values for kind, values in on.items() if values["way"] in (0, way)}
        line.faults = LineFaults(
            loss=mine.get("loss", {}).get("permille", 0),
            corruption=mine.get("corruption", {}).get("permille", 0),
            duplication=mine.get("duplication", {}).get("permille", 0),
            reordering=mine.get("reordering", {}).get("permille", 0),
            delay_ms=mine.get("delay", {}).get("ms", 0),
            cut_after=line.faults.cut_after,
            drawn_from=dict(draws),
        )
