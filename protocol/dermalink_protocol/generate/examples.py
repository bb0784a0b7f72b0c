"""Good and bad payloads of a packed record, from its declaration alone: the codec that they test has no part in it."""

import struct
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

from dermalink_protocol.codec import Field, Packed
from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import OutOfRange, ProtocolError, ReservedBits, UnknownCodeword, WrongLength
from dermalink_protocol.wire import WIDTHS, Raw, Tail, Wire

Value = int | bytes


class Good(NamedTuple):
    """Values of all fields, and the bytes that they are on the wire."""

    name: str
    values: dict[str, Value]
    payload: bytes


class Bad(NamedTuple):
    """Bytes that are no such record, and the answer that they must get."""

    name: str
    payload: bytes
    error: type[ProtocolError]
    reason: Reason
    limit: int = 0


def good_ones(cls: type[Packed]) -> list[Good]:
    """All fields at their lowest, at their highest, and at values whose bytes differ; just one where there are none."""
    if not cls.fields:
        return [Good("empty", {}, b"")]
    kinds = {"lowest": _lowest, "highest": _highest, "pattern": _pattern}
    made = []
    for name, value_of in kinds.items():
        values = {field.name: value_of(field, index) for index, field in enumerate(cls.fields)}
        made.append(Good(name, values, pack(cls, values)))
    return made


def pack(cls: type[Packed], values: dict[str, Value]) -> bytes:
    """`values` as they stand on the wire, unchecked."""
    return b"".join(_pack_one(field.wire, values[field.name]) for field in cls.fields)


def _pack_one(wire: Wire | Raw | Tail, value: Any) -> bytes:
    return struct.pack(f"<{wire.code}", value) if isinstance(wire, Wire) else bytes(value)


def members_of(field: Field) -> list[int]:
    """The values of an enumeration or of single flags, in rising order; none for a plain number."""
    if issubclass(field.python, IntEnum | IntFlag):
        return sorted(int(member) for member in field.python)
    return []


def _lowest(field: Field, _: int) -> Value:
    if isinstance(field.wire, Raw):
        return bytes(field.wire.size)
    if isinstance(field.wire, Tail):
        return bytes(field.wire.item * field.wire.least)
    if issubclass(field.python, IntFlag):
        return 0
    return (members_of(field) or [field.wire.low])[0]


def _highest(field: Field, _: int) -> Value:
    if isinstance(field.wire, Raw):
        return b"\xff" * field.wire.size
    if isinstance(field.wire, Tail):
        return b"\xff" * (field.wire.item * field.wire.most)
    if issubclass(field.python, IntFlag):
        return sum(members_of(field))
    return (members_of(field) or [field.wire.high])[-1]


def _pattern(field: Field, index: int) -> Value:
    count = bytes((index * 16 + step) % 256 for step in range(1, 256))
    if isinstance(field.wire, Raw):
        return count[: field.wire.size]
    if isinstance(field.wire, Tail):
        return count[: field.wire.item * max(field.wire.least, 1)]
    members = members_of(field)
    if issubclass(field.python, IntFlag):
        return sum(members[::2])
    if members:
        return members[index % len(members)]
    value = int.from_bytes(count[: struct.calcsize(field.wire.code)], "little")
    return field.wire.low + value % (field.wire.high - field.wire.low + 1)


def bad_ones(cls: type[Packed]) -> list[Bad]:
    """Too short, too long, a broken tail; each number just outside its range; each word that does not exist."""
    lowest, *others = good_ones(cls)
    highest = others[0] if others else lowest
    long = highest.payload + b"\0" * _item(cls)
    bad = [Bad("too long", long, WrongLength, WrongLength.reason)]
    if cls.size[0]:
        bad.append(Bad("too short", lowest.payload[:-1], WrongLength, WrongLength.reason))
        bad.append(Bad("nothing", b"", WrongLength, WrongLength.reason))
    if _item(cls) > 1:
        bad.append(Bad("broken tail", lowest.payload + b"\0", WrongLength, WrongLength.reason))
    for field in cls.fields:
        for name, value, error, reason, limit in _bad_values(cls, field):
            payload = pack(cls, {**lowest.values, field.name: value})
            bad.append(Bad(f"{field.name} {name}", payload, error, reason, limit))
    return bad


def _item(cls: type[Packed]) -> int:
    last = cls.fields[-1].wire if cls.fields else None
    return last.item if isinstance(last, Tail) else 1


def _bad_values(cls: type[Packed], field: Field) -> Iterator[tuple[str, int, type[ProtocolError], Reason, int]]:
    wire = field.wire
    if not isinstance(wire, Wire):
        return
    width = WIDTHS[wire.code]
    if issubclass(field.python, IntFlag):
        unknown = [1 << bit for bit in range(width.high.bit_length()) if not sum(members_of(field)) >> bit & 1]
        if cls.strict_bits and unknown:
            yield "unknown bit", unknown[0], ReservedBits, ReservedBits.reason, 0
    elif members := members_of(field):
        reason = wire.over or UnknownCodeword.reason
        flipped = members[0] ^ 1 if members[0] ^ 1 not in members else members[0] ^ 0x80
        for name, value in (("zero", 0), ("all ones", width.high), ("one bit flipped", flipped)):
            if value not in members:
                yield name, value, UnknownCodeword, reason, 0
    else:
        if wire.low > width.low:
            under = wire.under or OutOfRange.reason
            yield "under its range", wire.low - 1, OutOfRange, under, wire.low if wire.under else 0
        if wire.high < width.high:
            over = wire.over or OutOfRange.reason
            yield "over its range", wire.high + 1, OutOfRange, over, wire.high if wire.over else 0
