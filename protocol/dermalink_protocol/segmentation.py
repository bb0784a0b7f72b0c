"""Messages in segments, for BLE: every message goes through at any ATT_MTU from 23 to 517.

A segment is one header byte and a part of the message. Header: bit 7 first, bit 6 last, bits 0 to 5 a sequence that
goes on by one with each segment of a characteristic and direction, also from one message to the next. So a lost,
doubled or swapped segment is seen, and costs the messages that it belonged to. One value's attribute header takes 3
bytes of the ATT_MTU (Bluetooth Core, Vol 3, Part F, 3.4), and the longest value is 512 bytes (3.2.9).
"""

from typing import Final, NamedTuple

from dermalink_protocol.errors import FrameError, FrameTooLong, SegmentError
from dermalink_protocol.limits import MESSAGE_BYTES_MAX

ATT_MTU_MIN: Final = 23
ATT_MTU_MAX: Final = 517
ATT_HEADER_BYTES: Final = 3
VALUE_BYTES_MAX: Final = 512

FIRST: Final = 0x80
LAST: Final = 0x40
SEQUENCE_MASK: Final = 0x3F


def segment_bytes(att_mtu: int) -> int:
    """Bytes of a message that a segment holds; raises `SegmentError` for an ATT_MTU that can't be."""
    if not ATT_MTU_MIN <= att_mtu <= ATT_MTU_MAX:
        raise SegmentError(f"ATT_MTU {att_mtu} was refused", limit=f"it is {ATT_MTU_MIN} to {ATT_MTU_MAX}")
    return min(att_mtu - ATT_HEADER_BYTES, VALUE_BYTES_MAX) - 1


class Segmenter:
    """Cuts the messages of one characteristic and direction; the ATT_MTU may change between messages."""

    __slots__ = ("_sequence",)

    def __init__(self) -> None:
        self._sequence = 0

    def cut(self, body: bytes, att_mtu: int) -> list[bytes]:
        """The segments of `body`, in order; raises `FrameTooLong` or `SegmentError` and then has used no number."""
        if len(body) > MESSAGE_BYTES_MAX:
            limit = f"a message has at most {MESSAGE_BYTES_MAX}"
            raise FrameTooLong(f"{len(body)} bytes were not sent", limit=limit)
        size = segment_bytes(att_mtu)
        parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        segments = []
        for index, part in enumerate(parts):
            header = self._sequence
            header |= FIRST if index == 0 else 0
            header |= LAST if index == len(parts) - 1 else 0
            segments.append(bytes([header]) + part)
            self._sequence = (self._sequence + 1) & SEQUENCE_MASK
        return segments


class Joined(NamedTuple):
    """A whole message."""

    body: bytes


class BadSegment(NamedTuple):
    """Why a segment did not fit, or what it showed to be missing; the segment as it came."""

    error: FrameError
    raw: bytes


class Reassembler:
    """Joins the segments of one characteristic and direction; holds at most one message back.

    A segment that repeats the one before it is dropped: some stacks deliver each twice after a reconnect.
    """

    __slots__ = ("_before", "_held", "_next")

    def __init__(self) -> None:
        self._held: bytes | None = None
        self._before = b""
        self._next: int | None = None

    def feed(self, segment: bytes) -> list[Joined | BadSegment]:
        """What `segment` completes, after what it shows to be wrong; a first segment always begins anew."""
        if not segment:
            return [BadSegment(SegmentError("an empty segment was refused", limit="it has no header"), segment)]
        if segment == self._before:
            return [BadSegment(SegmentError("a segment was refused", limit="it came twice"), segment)]
        header, part = segment[0], segment[1:]
        fault = self._fault(header)
        events: list[Joined | BadSegment] = [] if fault is None else [BadSegment(fault, segment)]
        self._before, self._next = segment, (header + 1) & SEQUENCE_MASK
        if header & FIRST:
            self._held = b""
        elif fault is not None:
            self._held = None
        if self._held is None:
            return events
        self._held += part
        if len(self._held) > MESSAGE_BYTES_MAX:
            self._held = None
            limit = f"a message has at most {MESSAGE_BYTES_MAX} bytes"
            events.append(BadSegment(FrameTooLong("a segment was refused", limit=limit), segment))
        elif header & LAST:
            events.append(Joined(self._held))
            self._held = None
        return events

    def _fault(self, header: int) -> SegmentError | None:
        number = header & SEQUENCE_MASK
        if self._next is not None and number != self._next:
            return SegmentError("segments are missing", limit=f"number {number} came, due was {self._next}")
        if header & FIRST and self._held is not None:
            return SegmentError("a message was cut off", limit="another began before its last segment")
        if not header & FIRST and self._held is None:
            return SegmentError("a segment was refused", limit="its message's first segment is missing")
        return None
