"""Wire types of a field: integers of declared width, raw bytes, and a counted tail. Little-endian, packed."""

from typing import Annotated, Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import DeclarationError


class Wire(NamedTuple):
    """An integer on the wire: its `struct` code, the range accepted (both ends included), and the answer outside it.

    `under` and `over` are the reasons of the refusal below and above the range; for an enumeration `over` is the
    reason for a value that does not exist. None is the general reason of the error raised.
    """

    code: str
    low: int
    high: int
    under: Reason | None = None
    over: Reason | None = None

    def within(self, low: int, high: int, *, under: Reason | None = None, over: Reason | None = None) -> "Wire":
        """The same width with a narrower range; without `under`, `over` stands for both ends.

        Raises `DeclarationError` when the range is empty or not within this one.
        """
        if not self.low <= low <= high <= self.high:
            raise DeclarationError(f"{low}..{high} is not within {self.low}..{self.high}")
        return Wire(self.code, int(low), int(high), under or over, over)

    def refusing(self, reason: Reason) -> "Wire":
        """The same type; `reason` is the answer to a value that is not one of the enumeration's."""
        return self._replace(under=reason, over=reason)


class Raw(NamedTuple):
    """Exactly `size` bytes."""

    size: int


class Tail(NamedTuple):
    """The rest of a message: `least` to `most` items of `item` bytes each; only as the last field."""

    item: int
    least: int
    most: int


u8: Final = Wire("B", 0, 0xFF)
u16: Final = Wire("H", 0, 0xFFFF)
u32: Final = Wire("I", 0, 0xFFFF_FFFF)
i8: Final = Wire("b", -0x80, 0x7F)
i16: Final = Wire("h", -0x8000, 0x7FFF)
i32: Final = Wire("i", -0x8000_0000, 0x7FFF_FFFF)

U8 = Annotated[int, u8]
U16 = Annotated[int, u16]
U32 = Annotated[int, u32]
I32 = Annotated[int, i32]

WIDTHS: Final = {width.code: width for width in (u8, u16, u32, i8, i16, i32)}
BITS: Final = {"B": 8, "H": 16, "I": 32, "b": 8, "h": 16, "i": 32}
