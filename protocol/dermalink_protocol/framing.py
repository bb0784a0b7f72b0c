"""Frames on a byte stream (serial, TCP): 0x00, COBS(channel u8, body, CRC-32 u32 little-endian), 0x00.

The delimiter stands before and after each frame. The one before costs a byte a frame, and buys that text or noise
after a silence never touches the frame that follows, and that a spoilt delimiter costs one frame and not two.
Overhead is `FRAME_OVERHEAD` bytes a frame, whatever its bytes are. The checksum is for noise, not for attackers.
"""

import struct
from typing import Final, NamedTuple
from zlib import crc32

from dermalink_protocol.channels import Channel
from dermalink_protocol.errors import (
    BadCobs,
    BadCrc,
    FrameError,
    FrameTooLong,
    FrameTooShort,
    UnknownChannel,
)
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.stuffing import FastStuffingError, fast_stuff, fast_unstuff

DELIMITER: Final = b"\0"
FRAME_OVERHEAD: Final = 8  # two delimiters, one byte of stuffing, channel, CRC-32
STUFFED_MIN: Final = 6
STUFFED_MAX: Final = MESSAGE_BYTES_MAX + 6

_CRC: Final = struct.Struct("<I")
_CHANNELS: Final = {int(channel): channel for channel in Channel}
_CHANNEL_BYTES: Final = {channel: bytes([channel]) for channel in Channel}
_TEXT: Final = bytes([*b"\t\n\v\f\r\x1b", *range(0x20, 0x7F)])


class Frame(NamedTuple):
    """A sound frame; whether its body is a message is for `dermalink_protocol.envelope` to say."""

    channel: Channel
    body: bytes


class BrokenFrame(NamedTuple):
    """What stood between two delimiters and is no frame: what kind of error it is, and the bytes as they came."""

    kind: type[FrameError]
    raw: bytes

    @property
    def error(self) -> FrameError:
        """The error in words; made when it is asked for, since a flood of broken frames comes cheap to its sender."""
        return self.kind(f"{len(self.raw)} bytes were refused", limit=WORDS[self.kind])


class Noise(NamedTuple):
    """Bytes that never were a frame: the text that a device prints, the rest of an overlong run."""

    raw: bytes


WORDS: Final[dict[type[FrameError], str]] = {
    FrameTooShort: f"a frame has at least {STUFFED_MIN}",
    FrameTooLong: f"a frame has at most {STUFFED_MAX}",
    BadCobs: "their byte stuffing is broken",
    BadCrc: "their checksum does not match",
    UnknownChannel: "they are for a channel that does not exist",
}

Event = Frame | BrokenFrame | Noise


def encode_frame(channel: Channel, body: bytes) -> bytes:
    """The frame around `body`; raises `FrameTooLong` over `MESSAGE_BYTES_MAX` bytes."""
    if len(body) > MESSAGE_BYTES_MAX:
        raise FrameTooLong(f"{len(body)} bytes were not sent", limit=f"a frame carries {MESSAGE_BYTES_MAX} at most")
    plain = _CHANNEL_BYTES[channel] + body
    return DELIMITER + fast_stuff(plain + _CRC.pack(crc32(plain))) + DELIMITER


def decode_stuffed(stuffed: bytes) -> Frame | BrokenFrame | Noise:
    """What it is that stood between two delimiters."""
    size = len(stuffed)
    if size < STUFFED_MIN:
        return _no_frame(FrameTooShort, stuffed)
    if size > STUFFED_MAX:
        return _no_frame(FrameTooLong, stuffed)
    try:
        plain = fast_unstuff(stuffed)
    except FastStuffingError:
        return _no_frame(BadCobs, stuffed)
    if crc32(plain[:-4]) != _CRC.unpack_from(plain, size - 5)[0]:
        return _no_frame(BadCrc, stuffed)
    channel = _CHANNELS.get(plain[0])
    return Frame(channel, plain[1:-4]) if channel is not None else _no_frame(UnknownChannel, stuffed)


def _no_frame(kind: type[FrameError], raw: bytes) -> BrokenFrame | Noise:
    """Printed text is noise; everything else counts as a frame that was spoilt on its way."""
    return BrokenFrame(kind, raw) if raw.translate(None, _TEXT) else Noise(raw)


class FrameDecoder:
    """Bytes in, as they come; frames, broken frames and noise out. Holds at most `STUFFED_MAX` bytes back."""

    __slots__ = ("_held", "_overlong", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._overlong = False

    def feed(self, data: bytes) -> list[Event]:
        """All that `data` completes, in order; how the bytes were cut into calls makes no difference."""
        *ended, rest = data.split(DELIMITER)
        events: list[Event] = []
        for piece in ended:
            run = self._join(piece) if self._held else piece
            if run:
                self._end_run(run, events)
            self._overlong = False
        if rest:
            self._held.append(rest)
            self._size += len(rest)
            if self._size > STUFFED_MAX:
                self._keep(self._cut(self._join(b""), events))
        return events

    def flush(self) -> list[Event]:
        """What is held back, given up as noise: the stream is at its end, or nothing more came for long."""
        held = self._join(b"")
        self._overlong = False
        return [Noise(held)] if held else []

    def _join(self, piece: bytes) -> bytes:
        self._held.append(piece)
        joined = b"".join(self._held)
        self._held.clear()
        self._size = 0
        return joined

    def _keep(self, piece: bytes) -> None:
        self._held.append(piece)
        self._size = len(piece)

    def _end_run(self, run: bytes, events: list[Event]) -> None:
        run = self._cut(run, events)
        events.append(Noise(run) if self._overlong else decode_stuffed(run))

    def _cut(self, run: bytes, events: list[Event]) -> bytes:
        """Hand on the front of an overlong run in pieces of `STUFFED_MAX`; only the first counts as a broken frame."""
        start = 0
        while len(run) - start > STUFFED_MAX:
            piece = run[start : start + STUFFED_MAX]
            start += STUFFED_MAX
            events.append(Noise(piece) if self._overlong else _no_frame(FrameTooLong, piece))
            self._overlong = True
        return run[start:]
