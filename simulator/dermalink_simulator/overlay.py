"""Lays faults over a board's parts and takes them off again; what is on is always worked out from the whole list."""

from typing import Final

from dermalink_simulator.faults import ANY, Fault, ImpossibleFaultError, UnknownFaultError, is_once, kinds_of, spell
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.board import Board
from dermalink_simulator.hardware.crash import CrashWatch, When
from dermalink_simulator.hardware.flash import Tear
from dermalink_simulator.hardware.line import Line, LineFaults
from dermalink_simulator.hardware.mechanism import ROOM_C
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.hardware.sensors import DepthReader

TO_PEN: Final = 1
FROM_PEN: Final = 2


class Faults:
    """The faults of one pen. `inject` puts one on (again: with new numbers), `clear` takes some or all off."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._on: list[Fault] = []
        self._sound_air = AirConditions()
        board.on_connect = self._connected
        board.on_reset = self._was_reset

    @property
    def active(self) -> list[Fault]:
        """What is on now, in the order in which it came; what happens once and is over is not in it."""
        return list(self._on)

    def attach_air(self, air: AirConditions | None) -> None:
        """The pen is on an air of ours, or no longer: then its faults are over."""
        if air is None and self._board.air is not None:
            self._board.air.become(self._sound_air)
        self._on = [fault for fault in self._on if fault.unit != "air"]
        self._board.air = air
        if air is not None:
            self._sound_air = air.copy()

    def inject(self, unit: str, kind: str, instance: int = ANY, **values: int) -> Fault:
        """Put a fault on; raises `UnknownFaultError` or `ImpossibleFaultError`, and then changes nothing."""
        fault = spell(unit, kind, instance, values)
        self._must_be_possible(fault)
        if is_once(fault):
            self._happen(fault)
            return fault
        self._on = [one for one in self._on if one[:3] != fault[:3]] + [fault]
        self._lay()
        return fault

    def clear(self, unit: str | None = None, kind: str | None = None, instance: int | None = None) -> list[Fault]:
        """Take off every fault that fits what is named, all with nothing named; returns those taken off."""
        if unit is not None and (not kinds_of(unit) or (kind is not None and kind not in kinds_of(unit))):
            raise UnknownFaultError(f"clearing {unit} {kind or ''} was refused", limit="there is no such fault")
        wanted = (unit, kind, instance)
        gone = [one for one in self._on if all(want in (None, has) for want, has in zip(wanted, one[:3], strict=True))]
        self._on = [one for one in self._on if one not in gone]
        if unit in (None, "firmware"):
            self._board.watch(None)
        if unit in (None, "link") and kind in (None, "cut"):
            for port in self._board.ports.values():
                port.to_pen.faults.cut_after = port.from_pen.faults.cut_after = None
        if unit in (None, "flash"):
            self._board.flash.cut_in = self._board.flash.failing = 0
        self._lay()
        return gone

    def _must_be_possible(self, fault: Fault) -> None:
        if fault.unit == "cartridge" and self._board.mechanism.seat.head is None:
            raise ImpossibleFaultError(f"fault {fault} was refused", limit="no cartridge is fitted")
        if fault.unit in ("firmware", "main_loop", "guard") and not self._board.powered:
            raise ImpossibleFaultError(f"fault {fault} was refused", limit="the pen has no power")
        if fault.unit == "air" and self._board.air is None:
            raise ImpossibleFaultError(
                f"fault {fault} was refused",
                limit="the pen is on no air of ours; an adapter's or a dongle's air is the room's own",
                advice="Serve it with --ble tcp-server:127.0.0.1:0, or use the faults of unit link",
            )
        if fault[:2] == ("link", "cut") and not self._board.ports:
            raise ImpossibleFaultError(f"fault {fault} was refused", limit="the pen has no connection")
        if fault.unit == "link" and fault.instance and fault.instance not in self._board.ports:
            raise ImpossibleFaultError(f"fault {fault} was refused", limit=f"port {fault.instance} has no connection")

    def _happen(self, fault: Fault) -> None:
        board, values = self._board, fault.values
        match fault.unit, fault.kind:
            case "link", "cut":
                self._cut(fault)
            case "firmware", "crash_before":
                board.watch(CrashWatch(When.BEFORE, values["opcode"]))
            case "firmware", "crash_after":
                board.watch(CrashWatch(When.AFTER, values["opcode"]))
            case "flash", "power_cut":
                board.flash.cut_in, board.flash.tear = values["operation"], Tear(values["tear"])
            case "flash", "write_failure":
                board.flash.failing = values["operations"]
            case "clock", "lost":
                board.clock.lose(board.now_ms)
            case "battery", "low":
                board.mechanism.battery.set_percent(values["percent"])
            case _:
                raise AssertionError(fault)

    def _cut(self, fault: Fault) -> None:
        """Have open connections end after some bytes, or now."""
        for port in list(self._board.ports.values()):
            if fault.instance not in (ANY, port.number):
                continue
            for way, line in ((TO_PEN, port.to_pen), (FROM_PEN, port.from_pen)):
                if fault.values["way"] in (0, way):
                    line.faults.cut_after = fault.values["after"]
            if not fault.values["after"]:
                self._board.lost(port)

    def _lay(self) -> None:
        """Make the parts what the list says."""
        on = {(fault.unit, fault.kind): fault.values for fault in self._on}
        board = self._board
        parts = board.mechanism
        board.main_hung = ("main_loop", "hung") in on
        board.guard_hung = ("guard", "hung") in on
        board.flash.slow_ms = on.get(("flash", "slow"), {"ms": 0})["ms"]
        board.flash.bad_sector = on.get(("flash", "bad_sector"), {}).get("sector")
        parts.motor_c = on.get(("motor", "hot"), {"celsius": ROOM_C})["celsius"]
        parts.battery_c = on.get(("battery", "cold"), {"celsius": ROOM_C})["celsius"]
        parts.button.stuck = ("button", "stuck") in on
        self._lay_reader(parts.depth_sensor, "depth_sensor", on)
        self._lay_reader(parts.feedback, "drive_feedback", on)
        parts.drive.set_faults(
            board.now_ms * 1_000,
            overshoot_um=on.get(("actuator", "overshoot"), {"um": 0})["um"],
            stuck=("actuator", "stuck") in on,
            slow_percent=on.get(("actuator", "slow"), {"percent": 100})["percent"],
            stalled=("motor", "stalled") in on,
            speed_percent=on.get(("motor", "overspeed"), {"percent": 100})["percent"],
        )
        seat = parts.seat
        seat.stop_broken = ("cartridge", "stop_broken") in on
        seat.unreadable = ("cartridge", "tag_unreadable") in on
        seat.true_stop_um = on.get(("cartridge", "tag_lies"), {}).get("um")
        seat.badly_um = on.get(("cartridge", "badly_seated"), {}).get("um")
        seat.settle()
        parts.head_changed(board.now_ms)
        for port in list(board.ports.values()):
            self._connected(port)
        self._lay_air(on)
        board.wake()

    def _lay_air(self, on: dict[tuple[str, str], dict[str, int]]) -> None:
        """Make the air what it is without faults, and then lay these over it; told only where it changes."""
        air = self._board.air
        if air is None:
            return
        spoilt = self._sound_air.copy()
        if ("air", "loss") in on:
            spoilt.loss = on["air", "loss"]["permille"]
        if ("air", "bursts") in on:
            spoilt.bursts, spoilt.burst_events = on["air", "bursts"]["permille"], on["air", "bursts"]["events"]
        if ("air", "interval") in on:
            spoilt.interval_us = on["air", "interval"]["us"]
        if ("air", "latency") in on:
            spoilt.latency = on["air", "latency"]["events"]
        if ("air", "delay") in on:
            spoilt.delay_ms = on["air", "delay"]["ms"]
        spoilt.silence = ("air", "silence") in on
        if spoilt != air:
            air.become(spoilt)

    @staticmethod
    def _lay_reader(reader: DepthReader, unit: str, on: dict[tuple[str, str], dict[str, int]]) -> None:
        stuck = on.get((unit, "stuck"), {}).get("um")
        if stuck == -1:
            stuck = reader.stuck_um if reader.stuck_um is not None else reader.last_um
        reader.stuck_um = stuck
        reader.extra_um = on.get((unit, "noisy"), {"um": 0})["um"]
        reader.offset_um = on.get((unit, "offset"), {"um": 0})["um"]

    def _connected(self, port: PenPort) -> None:
        """Lay the link faults that concern a port over its two lines."""
        for way, line in ((TO_PEN, port.to_pen), (FROM_PEN, port.from_pen)):
            self._lay_line(line, port.number, way)

    def _lay_line(self, line: Line, number: int, way: int) -> None:
        mine = {}
        for fault in self._on:
            if fault.unit == "link" and fault.instance in (ANY, number) and fault.values["way"] in (0, way):
                mine[fault.kind] = fault.values
        line.faults = LineFaults(
            loss=mine.get("loss", {"permille": 0})["permille"],
            corruption=mine.get("corruption", {"permille": 0})["permille"],
            duplication=mine.get("duplication", {"permille": 0})["permille"],
            reordering=mine.get("reordering", {"permille": 0})["permille"],
            delay_ms=mine.get("delay", {"ms": 0})["ms"],
            cut_after=line.faults.cut_after,
        )

    def _was_reset(self) -> None:
        """The processor starts again: what hung, hangs no more."""
        self._board.watch(None)
        self._on = [fault for fault in self._on if fault.unit not in ("main_loop", "guard")]
        self._board.main_hung = self._board.guard_hung = False
