"""What a field of the therapy core is made of: an integer of declared width, a set of bits, or a row of such cells."""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple, get_type_hints

from dermalink_protocol.wire import Wire, u8, u16, u32


class Kind(NamedTuple):
    """A field's kind: the highest value of a cell, whether it is a set of bits, and its cells (0: a plain number)."""

    top: int
    bits: bool = False
    cells: int = 0


class Cells(NamedTuple):
    """A fixed number of equal cells."""

    number: int
    cell: Wire
    bits: bool = False


ZONE_CELLS: Final = 9
RING_CELLS: Final = 8

Bits8 = Annotated[int, Cells(0, u8, bits=True)]
ZoneBits = Annotated[tuple[int, ...], Cells(ZONE_CELLS, u8, bits=True)]
ZoneU8 = Annotated[tuple[int, ...], Cells(ZONE_CELLS, u8)]
ZoneU16 = Annotated[tuple[int, ...], Cells(ZONE_CELLS, u16)]
ZoneU32 = Annotated[tuple[int, ...], Cells(ZONE_CELLS, u32)]
RingU32 = Annotated[tuple[int, ...], Cells(RING_CELLS, u32)]


def kinds(record: type) -> Mapping[str, Kind]:
    """The kind of each field of a record, in the order of declaration."""
    found: dict[str, Kind] = {}
    for name, hint in get_type_hints(record, include_extras=True).items():
        width = hint.__metadata__[0]
        if isinstance(width, Cells):
            found[name] = Kind(width.cell.high, width.bits, width.number)
        else:
            found[name] = Kind(width.high)
    return found
