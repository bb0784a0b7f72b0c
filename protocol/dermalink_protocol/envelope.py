"""The envelope around a message: channel, opcode and request id; the message itself knows none of it."""

import struct
from typing import Final, NamedTuple

from dermalink_protocol import messages  # noqa: F401  (every message is known once it is imported)
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.errors import FrameTooLong, OutOfRange, UnknownOpcode, WrongChannel, WrongLength
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.schema import ENVELOPE_BYTES, Message

UNASKED: Final = 0
REQUEST_ID_MAX: Final = 0xFFFF
_HEADER: Final = struct.Struct("<HH")
SEALED_HEADER: Final = _HEADER.pack(Opcode.SEALED, UNASKED)
"""The envelope of `Sealed`, whose payload is the record as it is."""


class Envelope(NamedTuple):
    """One message under way; `request_id` is 1 to 65535, or `UNASKED` for a notification."""

    channel: Channel
    request_id: int
    message: Message


def encode_envelope(envelope: Envelope) -> bytes:
    """The body that a frame or a characteristic carries: opcode u16, request id u16, payload."""
    message = envelope.message
    if message.channel not in (None, envelope.channel):
        raise WrongChannel(f"{type(message).__name__} was not sent", limit=f"its channel is {message.channel!r}")
    if not UNASKED <= envelope.request_id <= REQUEST_ID_MAX:
        limit = f"allowed is {UNASKED} to {REQUEST_ID_MAX}"
        raise OutOfRange(f"request id {envelope.request_id} was refused", limit=limit)
    return _HEADER.pack(message.opcode, envelope.request_id) + message.encode()


def decode_envelope(channel: Channel, body: bytes) -> Envelope:
    """The envelope in `body`; raises a `ProtocolError` for anything that is not exactly one message."""
    if len(body) < ENVELOPE_BYTES:
        raise WrongLength(f"{len(body)} bytes were refused", limit=f"a message has at least {ENVELOPE_BYTES}")
    if len(body) > MESSAGE_BYTES_MAX:
        raise FrameTooLong(f"{len(body)} bytes were refused", limit=f"a message has at most {MESSAGE_BYTES_MAX}")
    opcode, request_id = _HEADER.unpack_from(body)
    kind = Message.by_opcode.get(opcode)
    if kind is None:
        raise UnknownOpcode(f"opcode {opcode:#06x} was refused", limit="it is none of this contract's")
    if kind.channel not in (None, channel):
        raise WrongChannel(f"{kind.__name__} on {channel!r} was refused", limit=f"its channel is {kind.channel!r}")
    return Envelope(channel, request_id, kind.decode(body[ENVELOPE_BYTES:]))


def peek_request_id(body: bytes) -> int:
    """The request id of a body that may hold no message, so that a refusal can name what it answers; else 0."""
    return _HEADER.unpack_from(body)[1] if len(body) >= ENVELOPE_BYTES else UNASKED


def peek_opcode(body: bytes) -> int:
    """The opcode of a body that may hold no message; 0 where it is too short."""
    return int.from_bytes(body[:2], "little") if len(body) >= 2 else 0
