"""Lays faults over a board's parts and takes them off again; what is on is always worked out from the whole list.

A fault may begin later and end by itself, by the pen's own time.
"""

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import Final, NamedTuple

from dermalink_simulator.faults.spelling import (
    ANY,
    Fault,
    ImpossibleFaultError,
    must_be_known,
    spell,
)
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.board import Board
from dermalink_simulator.hardware.chance import generator
from dermalink_simulator.hardware.halt import memory_of
from dermalink_simulator.hardware.happening import happen
from dermalink_simulator.hardware.laying import lay_air, lay_line, lay_parts
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.seam import Kept

MISSED_MAX: Final = 64  # of those that could not begin, the newest are remembered
ENDED_BY_A_RESET: Final = (("main_loop", "hung"), ("monitor", "hung"))


class _Laid(NamedTuple):
    """A fault that is on, and where its chance comes from as long as it is."""

    fault: Fault
    random: Random


class Missed(NamedTuple):
    """A fault that was to begin later, and then could not; `why` says what was in the way."""

    fault: Fault
    at_ms: int
    why: str

    def __str__(self) -> str:
        return f"{self.fault} at {self.at_ms} ms: {self.why}"


class Faults:
    """The faults of one pen. `inject` puts one on (again: with new numbers), `clear` takes some or all off."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._begun = 0
        self._on: list[_Laid] = []
        self._waiting: list[Fault] = []
        self._missed: deque[Missed] = deque(maxlen=MISSED_MAX)
        self._sound_air = AirConditions()
        board.on_connect = self._connected
        board.on_reset = self._was_reset

    @property
    def active(self) -> list[Fault]:
        """What is on now, in the order in which it came; what happens once and is over is not in it."""
        return [one.fault for one in self._on]

    @property
    def waiting(self) -> list[Fault]:
        """What is to begin later."""
        return list(self._waiting)

    @property
    def missed(self) -> list[Missed]:
        """What was to begin, and then could not: no cartridge was there, no power, no connection."""
        return list(self._missed)

    def attach_air(self, air: AirConditions | None) -> None:
        """The pen is on an air of ours, or no longer: then its faults are over."""
        if air is None and self._board.air is not None:
            self._board.air.become(self._sound_air)
        self._on = [one for one in self._on if one.fault.unit != "air"]
        self._board.air = air
        if air is not None:
            self._sound_air = air.copy()

    def inject(
        self,
        unit: str,
        kind: str,
        instance: int = ANY,
        *,
        after_ms: int = 0,
        for_ms: int = 0,
        seed: int = 0,
        **values: int,
    ) -> Fault:
        """Put a fault on, now or `after_ms`, until it is cleared or `for_ms`, with a `seed` of its own or the pen's.

        Times are the pen's own. Raises `UnknownFaultError` or `ImpossibleFaultError`, and then changes nothing. Whether
        one that begins later is possible shows when it begins: if not, it is in `missed`.
        """
        return self.put_on(spell(unit, kind, instance, values, after_ms=after_ms, for_ms=for_ms, seed=seed))

    def put_on(self, fault: Fault) -> Fault:
        """As `inject`, for a fault that is spelled out."""
        if fault.after_ms:
            self._waiting.append(fault)
            self._board.at(fault.after_ms, lambda: self._due(fault))
        else:
            self._begin(fault)
        return fault

    def play(self, faults: Iterable[Fault]) -> None:
        """Put on all of them, as those of a file (`faults.file.load_faults`); their times count from now.

        Raises `ImpossibleFaultError` where one that begins at once cannot, and then puts on none; one that another of
        them makes impossible is in `missed`.
        """
        faults = list(faults)
        for fault in faults:
            if not fault.after_ms:
                self._must_be_possible(fault)
        for fault in faults:
            if fault.after_ms:
                self.put_on(fault)
            else:
                self._begin_or_miss(fault)

    def clear(self, unit: str | None = None, kind: str | None = None, instance: int | None = None) -> list[Fault]:
        """Take off every fault that fits what is named, all with nothing named; returns those taken off.

        Those that wait to begin are among them.
        """
        must_be_known(unit, kind)
        wanted = (unit, kind, instance)
        gone = [
            one
            for one in (*self.active, *self._waiting)
            if all(want in (None, has) for want, has in zip(wanted, one[:3], strict=True))
        ]
        self._on = [one for one in self._on if not _among(one.fault, gone)]
        self._waiting = [one for one in self._waiting if not _among(one, gone)]
        if unit in (None, "firmware"):
            self._board.watch(None)
        if unit in (None, "link") and kind in (None, "cut"):
            for port in self._board.ports.values():
                port.to_pen.faults.cut_after = port.from_pen.faults.cut_after = None
        if unit in (None, "flash"):
            self._board.flash.cut_in = self._board.flash.failing = 0
        self._lay()
        return gone

    def _due(self, fault: Fault) -> None:
        """Its time has come, if nobody took it off."""
        if not _among(fault, self._waiting):
            return
        self._waiting = [one for one in self._waiting if one is not fault]
        self._begin_or_miss(fault)

    def _begin_or_miss(self, fault: Fault) -> None:
        try:
            self._begin(fault)
        except ImpossibleFaultError as error:
            self._missed.append(Missed(fault, self._board.now_ms, error.limit))

    def _begin(self, fault: Fault) -> None:
        self._must_be_possible(fault)
        self._begun += 1
        # Without a seed of its own, what begins twice is drawn anew.
        drawn = f"fault {fault.unit} {fault.kind} {fault.instance}" + ("" if fault.seed else f" {self._begun}")
        random = generator(fault.seed or self._board.seed, drawn)
        if fault.word.once:
            happen(self._board, fault, random)
            return
        self._on = [one for one in self._on if one.fault[:3] != fault[:3]] + [_Laid(fault, random)]
        self._lay()
        if fault.for_ms:
            self._board.at(fault.for_ms, lambda: self._over(fault))

    def _over(self, fault: Fault) -> None:
        """It has lasted as long as it was to, if it is still that one."""
        if _among(fault, self.active):
            self._on = [one for one in self._on if one.fault is not fault]
            self._lay()

    def _must_be_possible(self, fault: Fault) -> None:
        why, advice = self._in_the_way(fault)
        if why:
            raise ImpossibleFaultError(f"fault {fault} was refused", limit=why, advice=advice)

    def _in_the_way(self, fault: Fault) -> tuple[str, str]:
        board = self._board
        if fault.unit.startswith("cartridge") and board.mechanism.seat.head is None:
            return "no cartridge is fitted", ""
        if fault.unit in ("firmware", "main_loop", "monitor", "memory", "supply") and not board.powered:
            return "the pen has no power", ""
        if fault.unit == "air" and board.air is None:
            advice = "Serve it with --ble tcp-server:127.0.0.1:0, or use the faults of unit link"
            return "the pen is on no air of ours; an adapter's or a dongle's air is the room's own", advice
        if fault[:2] == ("link", "cut") and not board.ports:
            return "the pen has no connection", ""
        if fault.unit == "link" and fault.instance and fault.instance not in board.ports:
            return f"port {fault.instance} has no connection", ""
        if fault.unit == "memory":
            return self._no_such_bit(fault.values["variable"], fault.values["bit"]), ""
        return "", ""

    def _no_such_bit(self, variable: int, bit: int) -> str:
        memory = memory_of(self._board.firmware)
        if memory is None:
            return "this firmware shows nobody its memory (seam.Remembering)"
        if variable == 0:
            if not any(memory.kept_bits(one) for one in Kept):
                return "this firmware keeps nothing now"
            return "" if bit < 0 else "a bit is one of a variable: name that as well"
        bits = memory.kept_bits(variable)
        if not bits:
            return f"this firmware keeps no {Kept(variable).name.lower()}"
        return f"{Kept(variable).name.lower()} has {bits} bits, from 0" if bit >= bits else ""

    def _lay(self) -> None:
        """Make the parts what the list says."""
        board = self._board
        words = {(one.fault.unit, one.fault.kind, one.fault.instance): one.fault.values for one in self._on}
        lay_parts(board, words, {one.fault[:2]: one.random for one in self._on if one.fault.word.drawn})
        for port in list(board.ports.values()):
            self._connected(port)
        if board.air is not None:
            spoilt = {one.fault.kind: one.fault.values for one in self._on if one.fault.unit == "air"}
            lay_air(board.air, self._sound_air, spoilt)
        board.wake()

    def _connected(self, port: PenPort) -> None:
        """Lay the link faults that concern a port over its two lines."""
        mine = [one for one in self._on if one.fault.unit == "link" and one.fault.instance in (ANY, port.number)]
        draws = {one.fault.kind: one.random for one in mine if one.fault.word.drawn}
        lay_line(port, {one.fault.kind: one.fault.values for one in mine}, draws)

    def _was_reset(self) -> None:
        """The processor starts again: what hung, hangs no more."""
        self._board.watch(None)
        self._on = [one for one in self._on if one.fault[:2] not in ENDED_BY_A_RESET]
        self._board.main_hung = self._board.guard_hung = False


def _among(fault: Fault, faults: list[Fault]) -> bool:
    """Whether it is one of them, itself and not only one that reads the same."""
    return any(one is fault for one in faults)
