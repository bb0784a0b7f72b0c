"""How a message is declared: a class of annotated fields, from which its codec is generated at import.

A declaration says wire type, range and enumeration of each field, and of the message its opcode, channel, reply,
since-version and effect on exposure. Anything wrong with it is a `DeclarationError` when its module is imported.
A message is an immutable tuple inside, so that `struct` packs and unpacks it in one call.
"""

import struct
from collections.abc import Callable
from enum import Enum, IntEnum, IntFlag
from functools import cache, reduce
from operator import itemgetter, or_
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    NamedTuple,
    NoReturn,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_type_hints,
)

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.errors import DeclarationError, OutOfRange, ReservedBits, UnknownCodeword, WrongLength
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.wire import Raw, Tail, Wire

ENVELOPE_BYTES: Final = 4
COMMAND_HEADER: Final = ("command_id", "ttl_ms", "seen_tick_ms")


class Effect(Enum):
    """What a message does to exposure; gate, journal and replay rules are derived from it."""

    NONE = "none"
    KEEPS_ALIVE = "keeps alive"
    REDUCES = "reduces"
    RAISES = "raises"


class Field(NamedTuple):
    """One field as declared: its name, Python type and wire form."""

    name: str
    python: type
    wire: Wire | Raw | Tail


class _SlottedMeta(type):
    """Gives every message class empty `__slots__`, so that an instance holds its fields and nothing else."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **props: Any) -> Any:
        body.setdefault("__slots__", ())
        return super().__new__(mcs, name, bases, body, **props)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Message(tuple[Any, ...], metaclass=_SlottedMeta):
    """Base of everything that crosses the wire; equal only to a message of the same class."""

    opcode: ClassVar[Opcode]
    channel: ClassVar[Channel | None]
    effect: ClassVar[Effect]
    since: ClassVar[int]
    fields: ClassVar[tuple[Field, ...]]
    size: ClassVar[tuple[int, int]]
    by_opcode: ClassVar[dict[int, type["Message"]]] = {}
    _decode: ClassVar[Callable[[bytes], Any]]

    def __init_subclass__(
        cls,
        *,
        opcode: Opcode | None = None,
        channel: Channel | None = None,
        effect: Effect = Effect.NONE,
        since: int = 1,
    ) -> None:
        super().__init_subclass__()
        if opcode is None:
            return
        if opcode in Message.by_opcode:
            raise DeclarationError(f"{cls.__name__}: {opcode.name} is taken")
        cls.opcode, cls.channel, cls.effect, cls.since = opcode, channel, effect, since
        cls.fields = _fields_of(cls)
        _check_declaration(cls)
        _generate(cls)
        Message.by_opcode[opcode] = cls

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The message in `payload`; raises a `ProtocolError` for anything that is not exactly one."""
        return cast(Self, cls._decode(payload))

    def encode(self) -> bytes:
        """The payload: fields packed little-endian, with no opcode (that is the envelope's)."""
        raise DeclarationError(f"{type(self).__name__} is not a declared message")

    def as_dict(self) -> dict[str, Any]:
        """Field names to values, in wire order."""
        return {field.name: value for field, value in zip(self.fields, self, strict=True)}

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
        return type(self)._decode, (self.encode(),)


class Reply(Message):
    """What a pen answers to a request that it grants."""


class Notification(Message):
    """What a pen says unasked; numbered, so that one delivered twice or lost is seen."""

    sequence: int


R = TypeVar("R", bound=Reply)


class Request(Message, Generic[R]):
    """What a host asks; the type argument is the class of the reply."""

    reply: ClassVar[type[Reply]]

    def __init_subclass__(cls, *, opcode: Opcode | None = None, **props: Any) -> None:
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, Reply):
                    cls.reply = argument
        if opcode is not None and "reply" not in cls.__dict__:
            raise DeclarationError(f"{cls.__name__} names no reply")
        super().__init_subclass__(opcode=opcode, **props)


def _fields_of(cls: type[Message]) -> tuple[Field, ...]:
    found = []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        wires = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Wire | Raw | Tail)]
        if len(wires) == 1:
            found.append(Field(name, get_args(hint)[0], wires[0]))
        elif name in cls.__dict__.get("__annotations__", {}):
            raise DeclarationError(f"{cls.__name__}.{name} needs one wire type, has {len(wires)}")
    return tuple(found)


def _check_declaration(cls: type[Message]) -> None:
    names = tuple(field.name for field in cls.fields)
    for field in cls.fields:
        _check_field(cls, field, last=field.name == names[-1])
    has_header = names[: len(COMMAND_HEADER)] == COMMAND_HEADER
    if (cls.effect is Effect.RAISES) is not has_header:
        raise DeclarationError(f"{cls.__name__}: exactly what raises exposure starts with {COMMAND_HEADER}")
    if cls.effect is Effect.REDUCES and "ttl_ms" in names:
        raise DeclarationError(f"{cls.__name__} reduces exposure, so it has no time to live")
    if issubclass(cls, Notification) and names[:1] != ("sequence",):
        raise DeclarationError(f"{cls.__name__} is a notification and starts with its sequence")
    if issubclass(cls, Request) and cls.reply.channel not in (None, cls.channel):
        raise DeclarationError(f"{cls.__name__} and its reply are on different channels")


def _check_field(cls: type[Message], field: Field, *, last: bool) -> None:
    where = f"{cls.__name__}.{field.name}"
    if isinstance(field.wire, Wire):
        if not issubclass(field.python, int) or issubclass(field.python, bool):
            raise DeclarationError(f"{where} is on the wire as an integer, so it is one in Python")
        if issubclass(field.python, IntEnum):
            for member in field.python:
                if not field.wire.low <= member <= field.wire.high:
                    raise DeclarationError(f"{where}: {member!r} does not fit")
    elif field.python is not bytes:
        raise DeclarationError(f"{where} is raw on the wire, so it is bytes in Python")
    elif isinstance(field.wire, Tail) and not last:
        raise DeclarationError(f"{where} is a tail and not the last field")


def _bad_length(cls: type[Message], got: int) -> NoReturn:
    low, high = cls.size
    wanted = f"{low}" if low == high else f"{low} to {high}"
    raise WrongLength(
        f"{cls.__name__} with {got} bytes was refused", rule="SR-CMD-2", limit=f"it has {wanted} bytes"
    )


@cache
def known_bits(flags: type[IntFlag]) -> int:
    """All bits that have a name."""
    return reduce(or_, (int(flag) for flag in flags), 0)


def _integer(cls: type[Message], field: Field, value: object) -> int:
    """`value` if the field may hold it; raises `OutOfRange`, `UnknownCodeword` or `ReservedBits`."""
    where = f"{cls.__name__}.{field.name}"
    wire = cast(Wire, field.wire)
    if isinstance(value, bool) or not isinstance(value, int):
        raise OutOfRange(f"{where} = {value!r} was refused", limit="only whole numbers are taken")
    if not wire.low <= value <= wire.high:
        rule = "SR-DEPTH-1" if field.name == "depth_um" else ""
        limit = f"allowed is {wire.low} to {wire.high}"
        raise OutOfRange(f"{where} = {int(value)} was refused", rule=rule, limit=limit)
    if issubclass(field.python, IntFlag):
        known = known_bits(field.python)
        if value & ~known:
            if issubclass(cls, Request):
                raise ReservedBits(f"{where} = {int(value):#x} was refused", limit=f"known bits are {known:#x}")
            value &= known
        return field.python(value)
    if issubclass(field.python, IntEnum):
        try:
            return field.python(value)
        except ValueError:
            raise UnknownCodeword(
                f"{where} = {int(value):#x} was refused", limit=f"it is no {field.python.__name__}"
            ) from None
    return int(value)


def _octets(cls: type[Message], field: Field, value: object) -> bytes:
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


def _generate(cls: type[Message]) -> None:
    """Write the constructor, `encode` and `_decode` as straight code (measured: 1.5 x the bare struct call)."""
    fixed = [field for field in cls.fields if not isinstance(field.wire, Tail)]
    tail = next((field for field in cls.fields if isinstance(field.wire, Tail)), None)
    codes = (f"{f.wire.size}s" if isinstance(f.wire, Raw) else cast(Wire, f.wire).code for f in fixed)
    layout = struct.Struct("<" + "".join(codes))
    form = cast(Tail, tail.wire) if tail else Tail(1, 0, 0)
    cls.size = layout.size + form.item * form.least, layout.size + form.item * form.most
    if cls.size[1] + ENVELOPE_BYTES > MESSAGE_BYTES_MAX:
        raise DeclarationError(f"{cls.__name__} can have {cls.size[1]} bytes, too many for {MESSAGE_BYTES_MAX}")
    scope: dict[str, Any] = {
        "cls": cls,
        "new": tuple.__new__,
        "pack": layout.pack,
        "unpack": layout.unpack_from,
        "integer": _integer,
        "octets": _octets,
        "bad_length": _bad_length,
    }
    names = [field.name for field in cls.fields]
    checks_new, checks_decode = [], []
    for index, field in enumerate(cls.fields):
        scope[f"field_{index}"] = field
        name, wire = field.name, field.wire
        check = "integer" if isinstance(wire, Wire) else "octets"
        slow = f"{name} = {check}(cls, field_{index}, {name})"
        checks_new.append(slow)
        if isinstance(wire, Wire):
            checks_decode += _decode_check(field, wire, index, slow, scope)
        elif isinstance(wire, Tail):
            checks_decode.append(slow)
    values = "(" + "".join(f"{name}, " for name in names) + ")"
    packed = ", ".join(f"self[{index}]" for index in range(len(fixed)))
    length = f"len(data) != {layout.size}" if tail is None else f"len(data) < {layout.size}"
    targets = "".join(f"{field.name}, " for field in fixed)
    lines = [f"def __new__(cls_, {'*, ' if names else ''}{', '.join(names)}):"]
    lines += [f"    {line}" for line in checks_new] + [f"    return new(cls_, {values})"]
    lines += ["def decode(data):", f"    if {length}:", "        bad_length(cls, len(data))"]
    if fixed:
        lines.append(f"    {targets}= unpack(data)")
    if tail is not None:
        lines.append(f"    {tail.name} = bytes(data[{layout.size}:])")
    lines += [f"    {line}" for line in checks_decode] + [f"    return new(cls, {values})"]
    lines += ["def encode(self):", f"    return pack({packed if tail or not names else '*self'})"]
    lines[-1] += f" + self[{len(names) - 1}]" if tail is not None else ""
    exec("\n".join(lines), scope)
    for index, name in enumerate(names):
        setattr(cls, name, property(itemgetter(index)))
    for name in ("__new__", "encode"):
        scope[name].__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, scope[name])
    cls._decode = staticmethod(scope["decode"])


def _decode_check(field: Field, wire: Wire, index: int, slow: str, scope: dict[str, Any]) -> list[str]:
    """The fast check of one unpacked integer; the slow one is only reached to word the refusal."""
    name = field.name
    if issubclass(field.python, IntFlag):
        return [slow]
    if issubclass(field.python, IntEnum):
        scope[f"member_{index}"] = {int(member): member for member in field.python}
        return [
            f"found = member_{index}.get({name})",
            f"if found is None: {slow}",
            f"{name} = found",
        ]
    whole = {"B": (0, 0xFF), "H": (0, 0xFFFF), "I": (0, 0xFFFF_FFFF)}.get(wire.code)
    if whole == (wire.low, wire.high):
        return []
    return [f"if not {wire.low} <= {name} <= {wire.high}: {slow}"]
