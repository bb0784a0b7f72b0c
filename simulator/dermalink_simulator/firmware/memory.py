"""The firmware's memory as a test sees it: each variable that it keeps as a row of bits, of which one can be flipped.

The fields come in the order of declaration, the lowest bit of each first; a field's width is the declared one, a
limit's 32 bits. The second, inverted copy of a variable follows the first, bit for bit (`twice`).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from dermalink_simulator.firmware.button import Button
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.monitor import Monitor
from dermalink_simulator.firmware.twice import layout
from dermalink_simulator.seam import Kept
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.gate import GateState, compiled
from dermalink_simulator.therapy.state import TherapyState

SETTING_BITS: Final = 16
RECORDS: Final[Mapping[Kept, tuple[str, str, type]]] = {
    Kept.THERAPY: ("state", "therapy", TherapyState),
    Kept.LIMITS: ("limits", "limits", CoreLimits),
    Kept.GATE: ("gate", "gate", GateState),
    Kept.MONITOR: ("monitor", "monitor", Monitor),
    Kept.BUTTON: ("button", "button", Button),
}
"""Of each record its names in `Inside` and in `twice.Second`, and its type."""


class Cell(NamedTuple):
    """A number in a record: its field, its place in the field (-1: the field is a plain number), its bits."""

    field: str
    at: int
    bits: int


def kept_bits(variable: int) -> int:
    """How many bits a variable has, in both copies; 0 for one that is not kept."""
    return 2 * copy_bits(variable)


def copy_bits(variable: int) -> int:
    """How many bits one copy has."""
    if variable == Kept.SETTING:
        return SETTING_BITS
    return sum(cell.bits for cell in _cells(variable)) if variable in RECORDS else 0


def flip(pen: Inside, variable: int, bit: int) -> None:
    """Flip a bit of a variable in place; one that is not there is nobody's."""
    bits = copy_bits(variable)
    pen.second.forget()
    if variable == Kept.SETTING:
        if bit < bits:
            pen.setting_um ^= 1 << bit
        else:
            pen.second.setting_um ^= 1 << bit - bits
    elif variable in RECORDS:
        if bit < bits:
            _flip_first(pen, variable, bit)
        else:
            _flip_second(pen, variable, bit - bits)
    pen.order = None  # it is made of the gate and the limits when it is asked for


def _flip_first(pen: Inside, variable: int, bit: int) -> None:
    name, _, _ = RECORDS[Kept(variable)]
    for cell in _cells(variable):
        if bit < cell.bits:
            setattr(pen, name, _flipped(getattr(pen, name), cell, bit))
            break
        bit -= cell.bits
    if variable == Kept.LIMITS:
        pen.compiled = compiled(pen.limits)


def _flip_second(pen: Inside, variable: int, bit: int) -> None:
    _, name, _ = RECORDS[Kept(variable)]
    second = bytearray(getattr(pen.second, name))
    second[bit // 8] ^= 1 << bit % 8
    setattr(pen.second, name, bytes(second))


def _flipped(record: Any, cell: Cell, bit: int) -> Any:
    value = getattr(record, cell.field)
    if cell.at < 0:
        return record._replace(**{cell.field: value ^ 1 << bit})
    cells = (*value[: cell.at], value[cell.at] ^ 1 << bit, *value[cell.at + 1 :])
    return record._replace(**{cell.field: cells})


@cache
def _cells(variable: int) -> tuple[Cell, ...]:
    _, _, record = RECORDS[Kept(variable)]
    return tuple(
        Cell(name, at, kind.top.bit_length())
        for name, kind in layout(record).items()
        for at in (range(kind.cells) if kind.cells else (-1,))
    )
