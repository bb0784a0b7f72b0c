"""Records for every message: bodies as they cross the wire, and bodies that must be refused, with the exact answer."""

import struct
from collections.abc import Iterator
from typing import Any

from dermalink_protocol import messages  # noqa: F401  (every message is known once it is imported)
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.generate.examples import Bad, Good, Value, bad_ones, good_ones, pack
from dermalink_protocol.limits import DEPTH_CAP_UM, DEPTH_MIN_UM, MESSAGE_BYTES_MAX
from dermalink_protocol.messages.therapy import Prepare
from dermalink_protocol.schema import Message, Notification

Line = dict[str, Any]
REQUEST_IDS = {"lowest": 1, "highest": 0xFFFF, "pattern": 0x1234, "empty": 0x1234}
DEPTHS_THAT_ARE_NONE = (0, 1, 199, 501, 510, 750, 1_000, 5_000, 0x7FFF, 0x8000, 0xFFFF)


def message_lines() -> Iterator[Line]:
    """Good and bad records of every message, in the order of declaration."""
    for cls in Message.by_opcode.values():
        for good in good_ones(cls):
            yield _good(cls, good)
        for bad in bad_ones(cls):
            yield _bad(cls.__name__, _channel(cls), bad._replace(payload=_body(cls.opcode, 7, bad.payload)))
        if cls.channel is not None:
            yield from _on_wrong_channel(cls)
    yield from _no_message()
    yield from _raw_depths()


def _channel(cls: type[Message]) -> Channel:
    return cls.channel or Channel.COMMAND


def _body(opcode: int, request_id: int, payload: bytes) -> bytes:
    return struct.pack("<HH", opcode, request_id) + payload


def plain(values: dict[str, Value]) -> dict[str, int | str]:
    """Values as JSON has them: bytes in hexadecimal."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def _good(cls: type[Message], good: Good) -> Line:
    request_id = 0 if issubclass(cls, Notification) else REQUEST_IDS[good.name]
    return {
        "good": f"{cls.__name__}: {good.name}",
        "message": cls.__name__,
        "channel": _channel(cls).name,
        "request_id": request_id,
        "fields": plain(good.values),
        "body": _body(cls.opcode, request_id, good.payload).hex(),
    }


def _bad(message: str, channel: Channel, bad: Bad) -> Line:
    return {
        "bad": f"{message}: {bad.name}",
        "message": message,
        "channel": channel.name,
        "body": bad.payload.hex(),
        "error": bad.error.__name__,
        "reason": bad.reason.name,
        "limit": bad.limit,
    }


def _refused(name: str, channel: Channel, body: bytes, error: str, reason: Reason) -> Line:
    return {
        "bad": name,
        "message": "",
        "channel": channel.name,
        "body": body.hex(),
        "error": error,
        "reason": reason.name,
        "limit": 0,
    }


def _on_wrong_channel(cls: type[Message]) -> Iterator[Line]:
    body = _body(cls.opcode, 7, good_ones(cls)[0].payload)
    for channel in Channel:
        if channel is not cls.channel:
            name = f"{cls.__name__}: on channel {channel.name}"
            yield {**_refused(name, channel, body, "WrongChannel", Reason.WRONG_CHANNEL), "message": cls.__name__}


def _no_message() -> Iterator[Line]:
    for size in range(4):
        yield _refused(f"body of {size} bytes", Channel.STATUS, bytes(size), "WrongLength", Reason.WRONG_LENGTH)
    for opcode in (0, 0xFFFF, *(Opcode.STOP ^ 1 << bit for bit in range(16))):
        body = _body(opcode, 7, b"")
        yield _refused(f"opcode {opcode:#06x}", Channel.STOP, body, "UnknownOpcode", Reason.UNKNOWN_OPCODE)
    body = _body(Opcode.TELEMETRY, 0, bytes(MESSAGE_BYTES_MAX - 3))
    yield _refused("body over the longest", Channel.TELEMETRY, body, "FrameTooLong", Reason.TOO_LONG)


def _raw_depths() -> Iterator[Line]:
    """Depths that no needle may be set to, as a client would send them that does not use the host library."""
    values = good_ones(Prepare)[0].values
    for depth in DEPTHS_THAT_ARE_NONE:
        body = _body(Prepare.opcode, 7, pack(Prepare, {**values, "depth_um": depth}))
        under = depth < DEPTH_MIN_UM
        yield {
            "bad": f"Prepare: raw depth {depth}",
            "message": "Prepare",
            "channel": Channel.COMMAND.name,
            "body": body.hex(),
            "error": "OutOfRange",
            "reason": (Reason.DEPTH_UNDER_MIN if under else Reason.DEPTH_OVER_CAP).name,
            "limit": int(DEPTH_MIN_UM if under else DEPTH_CAP_UM),
        }
