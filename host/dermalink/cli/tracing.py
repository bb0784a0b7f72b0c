"""`-v`: what goes over the link, as lines on stderr: messages, then frames, then bytes."""

import sys
import time
from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import Any, Final

from dermalink.connection import Connection
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.envelope import UNASKED, Envelope

MESSAGES: Final = 1
FRAMES: Final = 2
BYTES: Final = 3
WHOLE_BYTES: Final = 16  # raw bytes up to this many are shown whole as hex, longer ones (telemetry) by their length

Say = Callable[[str], None]


def trace(connection: Connection, verbosity: int, say: Say | None = None) -> None:
    """Show the connection's traffic from now on; `say` takes a line, by default to stderr."""
    tell = say or _stderr_since_now()
    if verbosity >= MESSAGES:
        connection.on_message = lambda way, envelope: tell(f"{way} {message_line(envelope)}")
        connection.link.tap.on_noise = lambda data: tell(f"<- text between frames: {data!r}")
        connection.link.tap.on_dropped = lambda kind, channel, body: tell(f"<- {dropped_line(kind, channel, body)}")
    if verbosity >= FRAMES:
        connection.link.tap.on_frame = lambda way, channel, body: tell(f"{way}   {frame_line(channel, body)}")
    if verbosity >= BYTES:
        connection.link.tap.on_bytes = lambda way, data: tell(f"{way}     {data.hex(' ')}")


def message_line(envelope: Envelope) -> str:
    """One message with its fields, by name."""
    asked = "" if envelope.request_id == UNASKED else f" #{envelope.request_id}"
    fields = ", ".join(f"{name}={_value(value)}" for name, value in envelope.message.as_dict().items())
    return f"{type(envelope.message).__name__}{asked} {fields}".rstrip()


def dropped_line(kind: str, channel: Channel, body: bytes) -> str:
    """What a sealed link did not believe, and why."""
    return f"dropped, {kind.replace('_', ' ')}: {frame_line(channel, body)}"


def frame_line(channel: Channel, body: bytes) -> str:
    """One frame: channel, opcode, length."""
    opcode = int.from_bytes(body[:2], "little")
    name = Opcode(opcode).name if opcode in set(Opcode) else f"{opcode:#06x}"
    return f"{channel.name.lower()} {name} {len(body)} bytes"


def _value(value: Any) -> str:
    if isinstance(value, IntFlag):
        return "|".join(flag.name or "?" for flag in value) or "0"
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, bytes):
        return value.hex() if len(value) <= WHOLE_BYTES else f"<{len(value)} bytes>"
    return str(value)


def _stderr_since_now() -> Say:
    began = time.monotonic()

    def tell(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:8.3f} {line}\n")

    return tell
