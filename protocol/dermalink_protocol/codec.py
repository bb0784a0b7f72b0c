"""Packed records: a class of annotated fields, from which constructor and codec are written when the class is made.

An instance is an immutable tuple of plain integers and bytes, so that `struct` packs and unpacks it in one call;
enumerations are looked up when a field is read. The quick way through a decoder only asks whether everything is in
order. What is not goes a second, slow way, that finds the first field at fault and words the refusal.
"""

import inspect
import struct
from collections.abc import Callable
from enum import Enum, IntEnum, IntFlag
from functools import cache, reduce
from operator import itemgetter, or_
from typing import (
    Any,
    ClassVar,
    NamedTuple,
    NoReturn,
    Self,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from dermalink_protocol.errors import (
    DeclarationError,
    OutOfRange,
    ProtocolError,
    ReservedBits,
    UnknownCodeword,
    WrongLength,
)
from dermalink_protocol.reasons import rule_of
from dermalink_protocol.wire import WIDTHS, Raw, Tail, Wire


class Field(NamedTuple):
    """One field as declared: its name, Python type and wire form."""

    name: str
    python: type
    wire: Wire | Raw | Tail


class _SlottedMeta(type):
    """Gives every packed class empty `__slots__`, so that an instance holds its fields and nothing else."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **props: Any) -> Any:
        body.setdefault("__slots__", ())
        return super().__new__(mcs, name, bases, body, **props)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Packed(tuple[Any, ...], metaclass=_SlottedMeta):
    """Base of everything with declared fields; equal only to a record of the same class."""

    fields: ClassVar[tuple[Field, ...]]
    size: ClassVar[tuple[int, int]]
    strict_bits: ClassVar[bool] = False
    """Whether unknown flag bits are refused (commands) or ignored (what a newer pen says of itself)."""

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The record in `payload`; raises a `ProtocolError` for anything that is not exactly one."""
        raise DeclarationError(f"{cls.__name__} is not declared, so it can't read {len(payload)} bytes")

    def encode(self) -> bytes:
        """The fields, packed little-endian."""
        raise DeclarationError(f"{type(self).__name__} is not declared")

    def as_dict(self) -> dict[str, Any]:
        """Field names to values, in wire order."""
        return {field.name: getattr(self, field.name) for field in self.fields}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and tuple.__eq__(self, cast("tuple[Any, ...]", other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self), tuple(self)))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> Any:
        return _decoded, (type(self), self.encode())


def _decoded(cls: type[Packed], payload: bytes) -> Packed:
    return cls.decode(payload)


def declare(cls: type[Packed]) -> None:
    """Read the annotations of `cls` and give it constructor, properties and codec.

    Raises `DeclarationError` for a field without exactly one wire type, or one that its Python type can't fill.
    """
    cls.fields = _fields_of(cls)
    taken = _taken_names(cls)
    for field in cls.fields:
        if field.name.startswith("_") or field.name in taken:
            raise DeclarationError(f"{cls.__name__}.{field.name} is a name that every record has already")
        _check_field(cls, field, last=field is cls.fields[-1])
    _generate(cls)


def _fields_of(cls: type[Packed]) -> tuple[Field, ...]:
    found = []
    own = inspect.get_annotations(cls)
    for name, hint in get_type_hints(cls, include_extras=True).items():
        wires = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Wire | Raw | Tail)]
        if len(wires) == 1:
            found.append(Field(name, get_args(hint)[0], wires[0]))
        elif name in own:
            raise DeclarationError(f"{cls.__name__}.{name} needs one wire type, has {len(wires)}")
    return tuple(found)


def _check_field(cls: type[Packed], field: Field, *, last: bool) -> None:
    where = f"{cls.__name__}.{field.name}"
    if isinstance(field.wire, Wire):
        if not issubclass(field.python, int) or issubclass(field.python, bool):
            raise DeclarationError(f"{where} is on the wire as an integer, so it is one in Python")
        if issubclass(field.python, IntFlag) and field.wire.low < 0:
            raise DeclarationError(f"{where} holds flags, so it has no sign")
        if issubclass(field.python, IntEnum | IntFlag):
            for member in field.python:
                if not field.wire.low <= member <= field.wire.high:
                    raise DeclarationError(f"{where}: {member!r} does not fit")
    elif field.python is not bytes:
        raise DeclarationError(f"{where} is raw on the wire, so it is bytes in Python")
    elif isinstance(field.wire, Tail) and not last:
        raise DeclarationError(f"{where} is a tail and not the last field")


def _taken_names(cls: type[Packed]) -> set[str]:
    """What every record of this class has besides its fields."""
    hints: list[tuple[str, Any]] = [hint for base in cls.__mro__ for hint in inspect.get_annotations(base).items()]
    return {*dir(Packed), *(name for name, hint in hints if cast(Any, get_origin(hint)) is ClassVar)}


@cache
def known_bits(flags: type[IntFlag]) -> int:
    """All bits that have a name."""
    return reduce(or_, (int(flag) for flag in flags), 0)


def check_integer(cls: type[Packed], field: Field, value: object) -> int:
    """`value` if the field may hold it; raises `OutOfRange`, `UnknownCodeword` or `ReservedBits`."""
    wire = cast(Wire, field.wire)
    where = f"{cls.__name__}.{field.name}"
    if isinstance(value, bool) or not isinstance(value, int):
        rule = rule_of(wire.over)
        raise OutOfRange(f"{where} = {value!r} was refused", rule=rule, limit="only whole numbers are taken")
    if isinstance(value, Enum) and issubclass(field.python, Enum) and not isinstance(value, field.python):
        raise OutOfRange(f"{where} = {value!r} was refused", limit=f"it is no {field.python.__name__}")
    value = int(value)
    if issubclass(field.python, IntFlag):
        return _check_flags(cls, field, value)
    if issubclass(field.python, IntEnum):
        if value not in _members(field.python):
            limit = f"it is no {field.python.__name__}"
            reason = wire.over or UnknownCodeword.reason
            raise UnknownCodeword(f"{where} = {value:#x} was refused", rule=rule_of(reason), limit=limit, reason=reason)
        return value
    if not wire.low <= value <= wire.high:
        raise _out_of_range(where, wire, value)
    return value


def _out_of_range(where: str, wire: Wire, value: int) -> ProtocolError:
    reason, met = (wire.under, wire.low) if value < wire.low else (wire.over, wire.high)
    return OutOfRange(
        f"{where} = {value} was refused",
        rule=rule_of(reason),
        limit=f"allowed is {wire.low} to {wire.high}",
        reason=reason,
        limit_value=met if reason is not None else 0,
    )


def _check_flags(cls: type[Packed], field: Field, value: int) -> int:
    wire, known = cast(Wire, field.wire), known_bits(field.python)
    if not wire.low <= value <= wire.high or (cls.strict_bits and value & ~known):
        limit = f"known bits are {known:#x}"
        raise ReservedBits(f"{cls.__name__}.{field.name} = {value:#x} was refused", limit=limit)
    return value & known


def check_octets(cls: type[Packed], field: Field, value: object) -> bytes:
    """`value` if it is bytes of a length that the field may have; raises `WrongLength`."""
    form = field.wire
    fits = isinstance(value, bytes) and (
        len(value) == form.size
        if isinstance(form, Raw)
        else isinstance(form, Tail)
        and len(value) % form.item == 0
        and form.least <= len(value) // form.item <= form.most
    )
    if not fits:
        raise WrongLength(f"{cls.__name__}.{field.name} was refused", limit=f"it has to be bytes as {form}")
    return cast(bytes, value)


@cache
def _members(enumeration: type[IntEnum]) -> dict[int, IntEnum]:
    return {int(member): member for member in enumeration}


class _Flags(dict[int, IntFlag]):
    """Flag values to their members, made when first met: an `IntFlag` call costs as much as ten fields.

    A record holds known bits only, so there are few.
    """

    def __init__(self, flags: type[IntFlag]) -> None:
        super().__init__()
        self._flags = flags

    def __missing__(self, value: int) -> IntFlag:
        member = self[value] = self._flags(value)
        return member


def _reader(field: Field, index: int) -> property:
    """The property that reads a field: the number itself, or the enumeration's member for it."""
    doc = f"Field {index} of the record."
    if not isinstance(field.wire, Wire) or not issubclass(field.python, IntEnum | IntFlag):
        return property(itemgetter(index), doc=doc)
    members = _Flags(field.python) if issubclass(field.python, IntFlag) else _members(field.python)

    def read(self: tuple[int, ...]) -> IntEnum | IntFlag:
        return members[self[index]]

    return property(read, doc=doc)


def _generate(cls: type[Packed]) -> None:
    """Write the constructor, `encode` and `decode` as straight code from the fields."""
    fixed = [field for field in cls.fields if not isinstance(field.wire, Tail)]
    tail = next((field.wire for field in cls.fields if isinstance(field.wire, Tail)), None)
    codes = (f"{f.wire.size}s" if isinstance(f.wire, Raw) else cast(Wire, f.wire).code for f in fixed)
    layout = struct.Struct("<" + "".join(codes))
    form = tail or Tail(1, 0, 0)
    cls.size = layout.size + form.item * form.least, layout.size + form.item * form.most
    scope: dict[str, Any] = {
        "cls": cls,
        "new": tuple.__new__,
        "pack": layout.pack,
        "unpack": layout.unpack_from if tail else layout.unpack,
        "struct_error": struct.error,
        "integer": check_integer,
        "octets": check_octets,
        "slow": _slow_decoder(cls, layout),
    }
    lines = [*_constructor(cls, scope), *_decoder(cls, layout.size, tail, scope), *_encoder(tail)]
    exec("\n".join(lines), scope)  # noqa: S102 (names are Python identifiers, all else are numbers of ours)
    for index, field in enumerate(cls.fields):
        setattr(cls, field.name, _reader(field, index))
    for name in ("__new__", "encode", "decode"):
        made = scope[name]
        made.__qualname__, made.__module__ = f"{cls.__qualname__}.{name}", cls.__module__
        made.__doc__ = getattr(Packed, name).__doc__
        setattr(cls, name, staticmethod(made) if name == "decode" else made)  # no binding at each call


def _constructor(cls: type[Packed], scope: dict[str, Any]) -> list[str]:
    names = [field.name for field in cls.fields]
    lines = [f"def __new__(cls_, {'*, ' if names else ''}{', '.join(names)}):"]
    for index, field in enumerate(cls.fields):
        scope[f"field_{index}"] = field
        name, wire = field.name, field.wire
        if not isinstance(wire, Wire):
            lines.append(f"    {name} = octets(cls, field_{index}, {name})")
        elif issubclass(field.python, IntEnum):
            scope[f"enum_{index}"] = field.python
            lines.append(
                f"    {name} = int({name} if type({name}) is enum_{index} else integer(cls, field_{index}, {name}))"
            )
        elif issubclass(field.python, IntFlag):
            lines.append(f"    {name} = integer(cls, field_{index}, {name})")
        else:
            quick = f"type({name}) is int and {wire.low} <= {name} <= {wire.high}"
            lines.append(f"    {name} = {name} if {quick} else integer(cls, field_{index}, {name})")
    return [*lines, f"    return new(cls_, ({''.join(f'{name}, ' for name in names)}))"]


def _decoder(cls: type[Packed], size: int, tail: Tail | None, scope: dict[str, Any]) -> list[str]:
    lines = ["def decode(payload):"]
    conditions = []
    if tail is None:
        lines += ["    try:", "        values = unpack(payload)"]
        lines += ["    except struct_error:", "        return slow(payload)"]
    else:
        lines += [f"    if not {cls.size[0]} <= len(payload) <= {cls.size[1]}:", "        return slow(payload)"]
        lines.append(f"    values = (*unpack(payload), bytes(payload[{size}:]))")
        conditions += [f"not (len(payload) - {size}) % {tail.item}"] if tail.item > 1 else []
    for index, field in enumerate(cls.fields):
        conditions += _condition(field, index, scope)
    if conditions:
        lines += [f"    if {' and '.join(conditions)}:", "        return new(cls, values)", "    return slow(payload)"]
    else:
        lines.append("    return new(cls, values)")
    return lines


def _condition(field: Field, index: int, scope: dict[str, Any]) -> list[str]:
    """What has to hold of an unpacked value, as an expression; nothing where every value is allowed."""
    wire = field.wire
    if not isinstance(wire, Wire):
        return []
    if issubclass(field.python, IntFlag):
        unknown = WIDTHS[wire.code].high & ~known_bits(field.python)
        return [f"not values[{index}] & {unknown}"] if unknown else []
    if issubclass(field.python, IntEnum):
        scope[f"values_{index}"] = frozenset(_members(field.python))
        return [f"values[{index}] in values_{index}"]
    width = WIDTHS[wire.code]
    return [] if (wire.low, wire.high) == (width.low, width.high) else [f"{wire.low} <= values[{index}] <= {wire.high}"]


def _encoder(tail: Tail | None) -> list[str]:
    # A slice is a plain tuple, which a call takes as it is; unpacking the record itself costs a third more.
    return ["def encode(self):", "    return pack(*self[:-1]) + self[-1]" if tail else "    return pack(*self[:])"]


def _slow_decoder(cls: type[Packed], layout: struct.Struct) -> Callable[[bytes], Packed]:
    """The decoder that the quick one falls back on: checks length, then field by field, and says what is wrong."""

    def decode_slowly(payload: bytes) -> Packed:
        low, high = cls.size
        if not low <= len(payload) <= high:
            _refuse_length(cls, len(payload))
        values = [*layout.unpack_from(payload), bytes(payload[layout.size :])]
        checked = [
            check_integer(cls, field, value) if isinstance(field.wire, Wire) else check_octets(cls, field, value)
            for field, value in zip(cls.fields, values, strict=False)
        ]
        return tuple.__new__(cls, checked)

    return decode_slowly


def _refuse_length(cls: type[Packed], got: int) -> NoReturn:
    low, high = cls.size
    wanted = f"{low}" if low == high else f"{low} to {high}"
    raise WrongLength(f"{cls.__name__} with {got} bytes was refused", limit=f"it has {wanted} bytes")
