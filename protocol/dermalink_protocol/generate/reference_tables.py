"""The reference of the contract's tables: limits and zones, channels and what carries them, reasons, code words."""

import inspect
import itertools
from collections.abc import Iterator

from dermalink_protocol import advertising, channels, limits
from dermalink_protocol.channels import ATT_ERROR_USES, CHANNEL_RULES, READABLES, SERVICE_UUID, Gatt
from dermalink_protocol.codewords import NEVER_VALID, WORD_SETS, Reason, distance
from dermalink_protocol.framing import FRAME_OVERHEAD, STUFFED_MAX
from dermalink_protocol.generate.markdown import code, page, table, thousands, unit_of
from dermalink_protocol.limits import MESSAGE_BYTES_MAX, ZONE_RULES, Limit
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import ATT_MTU_MAX, ATT_MTU_MIN
from dermalink_protocol.wording import WORDING
from dermalink_protocol.zones import NO_ZONES, Direction, Head, Symptom

SERVICE_NAMES = {
    channels.DEVICE_INFORMATION: f"Device Information, {code(f'{channels.DEVICE_INFORMATION:#06x}')}",
    channels.BATTERY_SERVICE: f"Battery, {code(f'{channels.BATTERY_SERVICE:#06x}')}",
    channels.CURRENT_TIME_SERVICE: f"Current Time, {code(f'{channels.CURRENT_TIME_SERVICE:#06x}')}",
}


def limits_page() -> str:
    """docs/reference/limits.md."""
    intro = """Every number of the contract. An *assumption* is a number that nobody publishes for this kind of device;
a maker may replace it with a measured one, stricter only."""
    parts = [intro]
    for title, names in _groups_of_limits():
        rows = []
        for name in names:
            limit = getattr(limits, name)
            rows.append((code(name), thousands(limit), unit_of(name), limit.rule, limit.source))
        parts += [f"## {title}", table(("limit", "value", "unit", "rule", "source"), rows)]
    return page("Limits", *parts, *_zones())


def _groups_of_limits() -> Iterator[tuple[str, list[str]]]:
    """The limits under the headings that they stand under in their module."""
    title, names = "", list[str]()
    for line in inspect.getsource(limits).splitlines():
        if line.startswith("# "):
            if names:
                yield title, names
            title, names = line[2:], []
        name = line.split(":")[0]
        if isinstance(getattr(limits, name, None), Limit):
            names.append(name)
    yield title, names


def _zones() -> Iterator[str]:
    yield "## Zone"
    rows = []
    for zone, rule in ZONE_RULES.items():
        heads = ", ".join(head.name.lower() for head in rule.heads)
        name = zone.name.lower().replace("_", " ")
        rows.append(
            (int(zone), name, rule.cap_um, thousands(rule.area_mm2), heads, thousands(limits.pass_budget(zone)))
        )
    yield table(("number", "zone", "cap in µm", "area in mm²", "heads", "punctures a pass"), rows)
    yield "These are no zones:"
    yield "\n".join(f"- {name}: {advice}" for name, advice in NO_ZONES.items())
    for kind in (Direction, Head, Symptom):
        yield f"## {kind.__name__}"
        yield table(("number", "name"), ((int(member), member.name.lower()) for member in kind))


def channels_page() -> str:
    """docs/reference/channels.md."""
    rows = []
    for channel, rule in CHANNEL_RULES.items():
        gatt = ", ".join(way.name.lower().replace("_", " ") for way in Gatt if way in rule.gatt and way.name)
        carries = sum(message.channel is channel for message in Message.by_opcode.values())
        ways = (_yes(rule.clear), _yes(rule.encrypted))
        rows.append((int(channel), channel.name.lower(), code(rule.uuid), gatt, *ways, carries))
    heads = ("number", "channel", "characteristic", "GATT", "in the clear", "encrypted link", "messages")
    errors = (
        (code(f"{int(error):#04x}"), error.name.lower().replace("_", " "), use) for error, use in ATT_ERROR_USES.items()
    )
    values = ((SERVICE_NAMES[each.service], code(f"{each.uuid16:#06x}"), each.name, each.value) for each in READABLES)
    return page(
        "Channels, frames, segments",
        "A channel is a characteristic over BLE, and the first byte of a frame on a byte stream.",
        f"The service is {code(SERVICE_UUID)}.",
        table(heads, rows),
        _encrypted(),
        "## Frames on a byte stream",
        _frames(),
        "## Segments over BLE",
        _segments(),
        "## Errors at the attribute level",
        _refusals(),
        table(("code", "meaning", "what is refused with it"), errors),
        "## Values that anybody may read",
        _readable(),
        table(("service", "characteristic", "name", "value"), values),
        "## Advertising",
        _advertising(),
        table(("field", "type", "where", "holds"), _advertised()),
    )


def _yes(whether: bool) -> str:
    return "yes" if whether else "no"


def _encrypted() -> str:
    return """A channel that needs an encrypted link needs it over BLE alone, and on a pen alone that only an owner may
run (one that has an owner, or one built to be sold): a key of 128 bits from LE Secure Connections. It gives no right:
who may do what is decided under our own seal. On a link that is not encrypted a write there and subscribing are
refused, and nothing is sent on it, also where it was subscribed to before; to unsubscribe is always possible."""


def _frames() -> str:
    return f"""Over serial and TCP: `0x00`, the stuffed frame, `0x00`. Stuffing is COBS (consistent overhead byte
stuffing). A frame is the channel (u8), the body, and a CRC-32 (u32, little-endian, as zlib and Ethernet have it) over
channel and body. A body has {MESSAGE_BYTES_MAX} bytes at most, and what stands between two delimiters {STUFFED_MAX}; a
frame costs {FRAME_OVERHEAD} bytes beside its body.

The delimiter stands on both sides, so that boot text or noise after a silence never touches the frame that follows,
and a spoilt delimiter costs one frame and not two. A receiver takes any number of delimiters for one. What is not a
frame is handed on: printed text as noise, anything else as a broken frame with its reason, and neither touches the
next frame. The checksum is for noise, not for attackers."""


def _segments() -> str:
    return f"""Over BLE a message goes through at any ATT_MTU from {ATT_MTU_MIN} to {ATT_MTU_MAX}, in values of at most
ATT_MTU - 3 bytes. The first byte of a value is its header: bit 7 is set in a message's first segment, bit 6 in its
last, bits 0 to 5 count the segments of this characteristic and direction, modulo 64. In what a pen says, a segment with
the wrong number costs the message that it belongs to; one that repeats the segment before it is dropped. In what a host
writes, a first segment begins a message whatever its number, so that a message that was given up holds up none after
it; the write of any other that does not go on from the one before is refused, and changes nothing. The ATT_MTU is that
of the moment at which a message is cut: should it shrink, the message under way goes out again from its first
segment."""


def _refusals() -> str:
    return """Framing and authority are refused there; meaning is answered by a message. A refused write changes
nothing. A pen says nothing on a channel that is not subscribed to, and nothing unasked before hello, whatever is
subscribed to: some systems subscribe again by themselves after a drop, for a host that is not there yet. Stop is taken
all the same; its answer is then lost."""


def _readable() -> str:
    return f"""The status characteristic ({code(channels.CHANNEL_RULES[channels.Channel.STATUS].uuid)}) is read as the
body of a [Status](messages.md#status) with request id 0. Beside it stand the values of three standard services. Each is
what the pen knows at the moment of the read."""


def _advertising() -> str:
    example = advertising.device_name("DL-SIM-00000007")
    return f"""The name ends in the serial number ({code(example)}) and is the device's name after connecting as well.
It is a claim: who the pen is, is what it answers to hello. Each packet has {advertising.ADVERTISING_BYTES_MAX} bytes at
most."""


def _advertised() -> Iterator[tuple[str, ...]]:
    service = code(SERVICE_UUID)
    yield "flags", code(f"{advertising.FLAGS:#04x}"), "advertisement", "general discoverable, no classic Bluetooth"
    yield "services, 128 bits, complete", code(f"{advertising.COMPLETE_SERVICES_128:#04x}"), "advertisement", service
    name = f"{code(advertising.NAME_PREFIX.strip())}, a space, and the serial number"
    yield "name, complete", code(f"{advertising.COMPLETE_NAME:#04x}"), "scan response", name


def reasons_page() -> str:
    """docs/reference/reasons.md."""
    intro = """Why something was refused, paused, stopped or latched. With a refusal comes one number, the limit that
was met, in the unit given here; 0 is no number."""
    rows = []
    for reason in Reason:
        wording = WORDING[reason]
        number = wording.number.replace("{}", f"*n* {wording.unit.value}")
        rows.append((code(f"{reason:#06x}"), code(reason.name), wording.rule, wording.said, number, wording.advice))
    return page("Reasons", intro, table(("word", "name", "rule", "says", "number", "what to do"), rows))


def codewords_page() -> str:
    """docs/reference/codewords.md."""
    words = [word for each in WORD_SETS for word in each]
    nearest = min(distance(one, other) for one, other in itertools.combinations([*words, *NEVER_VALID], 2))
    never = " and ".join(code(f"{word:#06x}") for word in sorted(NEVER_VALID))
    intro = f"""Opcodes, states, reasons and kinds of records are 16-bit words. Any two of the {len(words)} differ in at
least {nearest} bits, also across the sets, so no three flipped bits make one of another; {never}, what dead or erased
memory reads as, are never valid. A word, once given, is never given another meaning."""
    parts = [intro]
    for each in WORD_SETS:
        rows = ((code(f"{word:#06x}"), code(word.name)) for word in each)
        parts += [f"## {each.__name__}", str(each.__doc__), table(("word", "name"), rows)]
    return page("Code words", *parts)
