"""Faults that happen and are over: what each does to the board, at once."""

from random import Random

from dermalink_simulator.faults.spelling import ANY, Fault
from dermalink_simulator.faults.words import BY_CHANCE
from dermalink_simulator.hardware.board import Board
from dermalink_simulator.hardware.crash import CrashWatch, When
from dermalink_simulator.hardware.flash import Tear
from dermalink_simulator.hardware.halt import memory_of
from dermalink_simulator.hardware.laying import ways_of
from dermalink_simulator.seam import Kept, PowerCause


def happen(board: Board, fault: Fault, random: Random) -> None:
    """Do it; what it draws comes from `random`. It must be possible."""
    values = fault.values
    match fault.unit, fault.kind:
        case "link", "cut":
            _cut(board, fault)
        case "firmware", "crash_before":
            board.watch(CrashWatch(When.BEFORE, values["opcode"]))
        case "firmware", "crash_after":
            board.watch(CrashWatch(When.AFTER, values["opcode"]))
        case "memory", "flip":
            _flip(board, values["variable"], values["bit"], random)
        case "flash", "power_cut":
            board.flash.cut_in, board.flash.tear = values["operation"], Tear(values["tear"])
        case "flash", "write_failure":
            board.flash.failing = values["operations"]
        case "flash", "bit_rot":
            sector = values["sector"]
            board.flash.rot(None if sector == BY_CHANCE else sector, values["bits"], random)
        case "clock", "lost":
            board.clock.lose(board.now_ms)
        case "clock", "jump":
            board.clock.jump(values["s"])
        case "battery", "low":
            board.mechanism.battery.set_percent(values["percent"])
        case "supply", "glitch":
            board.power_off()
            board.at(values["ms"], lambda: board.power_on(PowerCause.POWER_LOSS))
        case _:
            raise AssertionError(fault)
    board.wake()


def _cut(board: Board, fault: Fault) -> None:
    """Have open connections end after some bytes, or now."""
    for port in list(board.ports.values()):
        if fault.instance not in (ANY, port.number):
            continue
        for line in ways_of(port, fault.values["way"]):
            line.faults.cut_after = fault.values["bytes"]
        if not fault.values["bytes"]:
            board.lost(port)


def _flip(board: Board, variable: int, bit: int, random: Random) -> None:
    memory = memory_of(board.firmware)
    assert memory is not None
    kept = variable or random.choice([one for one in Kept if memory.kept_bits(one)])
    board.flip(kept, random.randrange(memory.kept_bits(kept)) if bit == BY_CHANCE else bit)
