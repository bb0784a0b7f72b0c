"""The firmware's memory as a test sees it: each variable that it keeps as a row of bits, of which one can be flipped.

The fields come in the order of declaration, the lowest bit of each first; a field's width is the declared one, a
limit's 32 bits.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from dermalink_simulator.firmware.button import Button
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.monitor import Monitor
from dermalink_simulator.seam import Kept
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.gate import GateState, compiled
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.widths import kinds

SETTING_BITS: Final = 16
LIMIT_BITS: Final = 32
RECORDS: Final[Mapping[Kept, tuple[str, type]]] = {
    Kept.THERAPY: ("state", TherapyState),
    Kept.LIMITS: ("limits", CoreLimits),
    Kept.GATE: ("gate", GateState),
    Kept.MONITOR: ("monitor", Monitor),
    Kept.BUTTON: ("button", Button),
}


class Cell(NamedTuple):
    """A number in a record: its field, its place in the field (-1: the field is a plain number), its bits."""

    field: str
    at: int
    bits: int


def kept_bits(variable: int) -> int:
    """How many bits a variable has; 0 for one that is not kept."""
    if variable == Kept.SETTING:
        return SETTING_BITS
    return sum(cell.bits for cell in _cells(variable)) if variable in RECORDS else 0


def flip(pen: Inside, variable: int, bit: int) -> None:
    """Flip a bit of a variable in place; one that is not there is nobody's."""
    if variable == Kept.SETTING:
        pen.setting_um ^= 1 << bit % SETTING_BITS
        return
    if variable not in RECORDS:
        return
    name, _ = RECORDS[Kept(variable)]
    for cell in _cells(variable):
        if bit < cell.bits:
            setattr(pen, name, _flipped(getattr(pen, name), cell, bit))
            break
        bit -= cell.bits
    if variable == Kept.LIMITS:
        pen.compiled = compiled(pen.limits)
    pen.order = None  # it is made of the gate and the limits when it is asked for


def _flipped(record: Any, cell: Cell, bit: int) -> Any:
    value = getattr(record, cell.field)
    if cell.at < 0:
        return record._replace(**{cell.field: value ^ 1 << bit})
    cells = (*value[: cell.at], value[cell.at] ^ 1 << bit, *value[cell.at + 1 :])
    return record._replace(**{cell.field: cells})


@cache
def _cells(variable: int) -> tuple[Cell, ...]:
    _, record = RECORDS[Kept(variable)]
    if record is CoreLimits:
        return tuple(
            Cell(name, at, LIMIT_BITS)
            for name, value in LIMITS._asdict().items()
            for at in (range(len(value)) if isinstance(value, tuple) else (-1,))
        )
    return tuple(
        Cell(name, at, kind.top.bit_length())
        for name, kind in kinds(record).items()
        for at in (range(kind.cells) if kind.cells else (-1,))
    )
