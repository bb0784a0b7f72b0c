"""The reference of what has fields: messages, the telemetry sample, the entries of the history."""

import inspect
import struct
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from types import ModuleType

from dermalink_protocol import history, history_entries
from dermalink_protocol.codec import Field, Packed
from dermalink_protocol.generate.markdown import code, page, paragraphs, table, thousands, type_of, unit_of
from dermalink_protocol.history import Flaw
from dermalink_protocol.history_entries import Entry
from dermalink_protocol.limits import TELEMETRY_BATCH, TELEMETRY_HZ, TELEMETRY_IDLE_MS
from dermalink_protocol.messages import identity, later, owner, records, refusal, sealed, stop, telemetry, therapy
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import SAMPLE_BYTES, SAMPLE_FIELDS, SAMPLE_MS
from dermalink_protocol.schema import COMMAND_HEADER, Effect, Message, Notification, Reply, Request
from dermalink_protocol.wire import WIDTHS, Raw, Tail, Wire

GROUPS: dict[str, ModuleType] = {
    "Identity and state": identity,
    "Therapy": therapy,
    "Stop": stop,
    "Telemetry": telemetry,
    "Records": records,
    "Refusal": refusal,
    "Owner": owner,
    "Sealed": sealed,
    "Declared, not yet built": later,
}


# Where the pages say what an enumeration holds; one that stands on the page itself is not listed.
PLACES = {
    "dermalink_protocol.codewords": "codewords.md#{}",
    "dermalink_protocol.zones": "limits.md#{}",
    "dermalink_protocol.messages.identity": "messages.md#{}",
}


def messages() -> str:
    """docs/reference/messages.md."""
    intro = f"""Every message is packed, little-endian, without padding; the unit is in the field's name. A body is the
opcode (u16), the request id (u16; 0 in what is said unasked), then the fields. Too few or too many bytes are refused,
and so is every value outside its range, with the reason that the table names.

What raises exposure starts with {", ".join(code(name) for name in COMMAND_HEADER)}: an id that only grows, how long
the command is good for, and the newest tick of the pen that the host has seen. Unknown flag bits are refused in what
a host asks and ignored in what a pen says."""
    parts = [intro, table(("message", "opcode", "channel", "answered by", "effect on exposure"), _overview())]
    for title, module in GROUPS.items():
        declared = [cls for cls in Message.by_opcode.values() if cls.__module__ == module.__name__]
        parts += [f"## {title}", paragraphs(module.__doc__), *(_message(cls) for cls in declared)]
        parts += [_enumeration(kind) for kind in _enumerations(module)]
    return page("Messages", *parts)


def _overview() -> Iterator[tuple[str, ...]]:
    for cls in Message.by_opcode.values():
        yield _link(cls), code(f"{cls.opcode:#06x}"), _channel(cls), _answer(cls), cls.effect.value


def _link(cls: type[Packed]) -> str:
    return f"[{cls.__name__}](#{cls.__name__.lower()})"


def _channel(cls: type[Message]) -> str:
    return cls.channel.name.lower() if cls.channel is not None else "any"


def _answer(cls: type[Message]) -> str:
    return _link(cls.reply) if issubclass(cls, Request) else "-"


def _message(cls: type[Message]) -> str:
    way = "host to pen" if issubclass(cls, Request) else "pen to host" if issubclass(cls, Reply) else "both ways"
    if issubclass(cls, Notification):
        way = "pen to host, unasked"
    size = f"{cls.size[0]}" if cls.size[0] == cls.size[1] else f"{cls.size[0]} to {cls.size[1]}"
    effect = "" if cls.effect is Effect.NONE else f" · effect on exposure: **{cls.effect.value}**"
    reply = f" · answered by {_answer(cls)}" if issubclass(cls, Request) else ""
    facts = f"{code(f'{cls.opcode:#06x}')} · {way} · channel {_channel(cls)}{reply}{effect} · since {cls.since}"
    return "\n\n".join(
        [f"### {cls.__name__}", f"{facts} · {size} bytes of fields", paragraphs(cls.__doc__), _fields(cls)]
    )


def _fields(cls: type[Packed]) -> str:
    if not cls.fields:
        return "No fields."
    rows, offset = [], 0
    for field in cls.fields:
        rows.append(
            (offset, code(field.name), type_of(field.wire), unit_of(field.name), _range(field), _refusal(field))
        )
        offset += _size(field.wire)
    return table(("at", "field", "type", "unit", "allowed", "else"), rows)


def _size(wire: Wire | Raw | Tail) -> int:
    if isinstance(wire, Wire):
        return struct.calcsize(f"<{wire.code}")
    return wire.size if isinstance(wire, Raw) else 0


def _range(field: Field) -> str:
    if issubclass(field.python, IntEnum | IntFlag):
        name = field.python.__name__
        place = PLACES.get(field.python.__module__, "#{}").format(name.lower())
        return f"[{name}]({place})"
    width = WIDTHS[field.wire.code] if isinstance(field.wire, Wire) else None
    if not isinstance(field.wire, Wire) or width == field.wire:
        return "any"
    return f"{thousands(field.wire.low)} to {thousands(field.wire.high)}"


def _refusal(field: Field) -> str:
    if not isinstance(field.wire, Wire) or field.wire.over is None:
        return ""
    names = dict.fromkeys(reason.name for reason in (field.wire.under, field.wire.over) if reason is not None)
    return " or ".join(code(name) for name in names)


def _enumerations(module: ModuleType) -> list[type[IntEnum | IntFlag]]:
    return [
        each
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, IntEnum | IntFlag) and each.__module__ == module.__name__
    ]


def _enumeration(kind: type[IntEnum | IntFlag]) -> str:
    rows = ((code(member.name), int(member)) for member in kind)
    return "\n\n".join([f"### {kind.__name__}", paragraphs(kind.__doc__), table(("name", "value"), rows)])


def telemetry_page() -> str:
    """docs/reference/telemetry.md."""
    rows, offset = [], 0
    for field in SAMPLE_FIELDS:
        rows.append((offset, code(field.name), type_of(field.wire), field.unit, field.meaning))
        offset += struct.calcsize(field.wire.code)
    intro = f"""While the pen is armed it measures {TELEMETRY_HZ} samples a second, {SAMPLE_MS} ms apart, and sends them
in batches of {TELEMETRY_BATCH}; otherwise it sends one sample every {TELEMETRY_IDLE_MS} ms. A batch starts with a
sequence number, by which one that was lost or delivered twice is seen, and the pen's tick of its first sample."""
    after = """The depth is a held peak: a sample a hundred times a second would miss the deepest point of a stroke, so
the sensor keeps it until it is read. `dermalink_protocol.samples.view_samples` makes a structured numpy array of a
batch without copying it."""
    batch = ["## A batch", paragraphs(Telemetry.__doc__), _fields(Telemetry)]
    heads = ("at", "field", "type", "unit", "meaning")
    return page("Telemetry", intro, *batch, f"## A sample\n\n{SAMPLE_BYTES} bytes.", table(heads, rows), after)


def history_page() -> str:
    """docs/reference/history.md."""
    parts, hash_bytes = ("part", "type", "meaning"), f"{history_entries.HASH_BYTES} bytes"
    number = ("number", "u32", "1 for the first record, and one more for each")
    links = [
        ("previous", hash_bytes, "hash of the record before; of the serial number in the first"),
        ("own", hash_bytes, "SHA-256 over number, commitment and previous"),
    ]
    layout = table(
        parts,
        [
            number,
            ("kind", "u16", "code word of the entry below"),
            ("owner", "u32", "number of the owner whose it is; 0 before there was one"),
            ("run time", "u32", "seconds that the pen's clock has really run"),
            ("UTC", "u32", "seconds since 1970 as a label; 0 when the clock was lost"),
            ("entry", f"0 to {history_entries.ENTRY_BYTES_MAX} bytes", "the fields of the entry"),
            ("blind", f"{history_entries.BLIND_BYTES} bytes", "what nobody can guess, another in each record"),
            *links,
        ],
    )
    commitment = ("commitment", hash_bytes, "SHA-256 over kind, owner, times, entry and blind")
    hidden = table(parts, [number, ("kind", "u16", f"{history.HIDDEN}"), commitment, *links])
    flaws = table(("flaw", "said as"), ((code(flaw.name), flaw.value) for flaw in Flaw))
    entries = []
    for cls in Entry.by_kind.values():
        facts = f"{code(f'{cls.kind:#06x}')} · `{cls.kind.name}` · {cls.size[1]} bytes"
        entries += [f"### {cls.__name__}", facts, paragraphs(cls.__doc__), _fields(cls)]
    kinds = [_enumeration(kind) for kind in _enumerations(history_entries)]
    doc = paragraphs(history.__doc__)
    forms = ["## A whole record", layout, f"## A hidden record\n\n{history.HIDDEN_BYTES} bytes.", hidden]
    return page("History", doc, *forms, "## Flaws", flaws, "## Entries", *entries, *kinds)
