"""Records for frames on a byte stream and segments on a characteristic: good ones, spoilt ones, and whole streams.

Frames and segments are put together here anew, byte by byte, so that the vectors hold the codec and do not follow it.
"""

from collections.abc import Iterator
from typing import Any
from zlib import crc32

from dermalink_protocol.channels import Channel
from dermalink_protocol.limits import MESSAGE_BYTES_MAX

Line = dict[str, Any]
COUNT = bytes(range(256)) * 2
BODIES = {
    "empty": b"",
    "a zero": b"\0",
    "no zero": b"\x01" * 100,
    "longest, all zeros": bytes(MESSAGE_BYTES_MAX),
    "longest, no zero": b"\xff" * MESSAGE_BYTES_MAX,
    "counting": COUNT[:MESSAGE_BYTES_MAX],
    "zeros at both ends": b"\0\0ab\0\0",
}
BOOT_TEXT = b"\r\nboot: pen firmware 1.2.3\r\nready\r\n"
LONGEST_RUN = MESSAGE_BYTES_MAX + 6


def stuffed(plain: bytes) -> bytes:
    """Byte stuffing by the book: each zero is replaced by the distance to the next."""
    out, at = bytearray(b"\0"), 0
    for byte in plain:
        if byte:
            out.append(byte)
        else:
            out[at] = len(out) - at
            at = len(out)
            out.append(0)
    out[at] = len(out) - at
    return bytes(out)


def checked(plain: bytes) -> bytes:
    """`plain` and its checksum."""
    return plain + crc32(plain).to_bytes(4, "little")


def frame(channel: int, body: bytes) -> bytes:
    """A frame by the book."""
    return b"\0" + stuffed(checked(bytes([channel]) + body)) + b"\0"


def frame_lines() -> Iterator[Line]:
    """Frames, and streams with what must come out of them."""
    for index, (name, body) in enumerate(BODIES.items()):
        channel = list(Channel)[index % len(Channel)]
        made = frame(channel, body)
        yield {"good": f"frame: {name}", "channel": channel.name, "body": body.hex(), "frame": made.hex()}
    for name, stream, events in (*_quiet_streams(), *_spoilt_streams(), *_overlong_streams()):
        yield {"bad" if _is_bad(events) else "good": f"stream: {name}", "stream": stream.hex(), "events": events}


def _is_bad(events: list[list[str]]) -> bool:
    return any(event[0] == "broken" for event in events)


def _framed(body: bytes) -> list[str]:
    return ["frame", Channel.STATUS.name, body.hex()]


def _noise(raw: bytes) -> list[str]:
    return ["noise", raw.hex()]


def _broken(raw: bytes, error: str, reason: str) -> list[str]:
    return ["broken", error, reason, raw.hex()]


ONE, TWO = frame(Channel.STATUS, b"one\0"), frame(Channel.STATUS, b"two\0")
BOTH = [_framed(b"one\0"), _framed(b"two\0")]


def _quiet_streams() -> Iterator[tuple[str, bytes, list[list[str]]]]:
    yield "two frames", ONE + TWO, BOTH
    yield "one delimiter between two frames", ONE + TWO[1:], BOTH
    yield "idle zeros", bytes(50) + ONE + bytes(50), BOTH[:1]
    yield "boot text before the first frame", BOOT_TEXT + ONE, [_noise(BOOT_TEXT), *BOTH[:1]]
    yield "text between frames", ONE + BOOT_TEXT + TWO, [BOTH[0], _noise(BOOT_TEXT), BOTH[1]]
    yield "a frame cut off, not ended yet", ONE + TWO[:-3], BOTH[:1]


def _spoilt_streams() -> Iterator[tuple[str, bytes, list[list[str]]]]:
    inner = ONE[1:-1]
    flipped = bytes([*inner[:-1], inner[-1] ^ 1])
    cases = {
        "a flipped bit": (flipped, "BadCrc", "BAD_CRC"),
        "a run that is cut short": (inner[:-2], "BadCobs", "BAD_CRC"),
        "a run that points past the end": (b"\xfe" + inner[1:], "BadCobs", "BAD_CRC"),
        "too short": (b"\x01\x02\x80", "FrameTooShort", "WRONG_LENGTH"),
        "channel 0": (stuffed(checked(b"\0body")), "UnknownChannel", "WRONG_CHANNEL"),
        "channel 7": (stuffed(checked(b"\x07body")), "UnknownChannel", "WRONG_CHANNEL"),
        "channel 255": (stuffed(checked(b"\xffbody")), "UnknownChannel", "WRONG_CHANNEL"),
        "no checksum": (stuffed(b"\x02body"), "BadCrc", "BAD_CRC"),
        "checksum of the body alone": (stuffed(b"\x02" + checked(b"body")), "BadCrc", "BAD_CRC"),
        "noise": (b"\x80\xfe\x07\xff\xee\x99\x88", "BadCobs", "BAD_CRC"),
    }
    for name, (raw, error, reason) in cases.items():
        stream = b"\0" + raw + b"\0" + TWO
        yield f"{name}, then a frame", stream, [_broken(raw, error, reason), BOTH[1]]
    joined = inner + TWO[1:-1]
    both_lost = b"\0" + joined + b"\0" + ONE
    yield "both delimiters between two frames lost", both_lost, [_broken(joined, "BadCrc", "BAD_CRC"), BOTH[0]]
    noise = b"\x80\x81"
    spoilt = ONE[:-1] + noise + TWO
    yield "noise for a delimiter", spoilt, [_broken(inner + noise, "BadCobs", "BAD_CRC"), BOTH[1]]


def _overlong_streams() -> Iterator[tuple[str, bytes, list[list[str]]]]:
    longest, rest = b"\x80" * LONGEST_RUN, b"\x81" * 7
    first = _broken(longest, "FrameTooLong", "TOO_LONG")
    yield "a run over the longest", longest + rest + ONE, [first, _noise(rest), BOTH[0]]
    yield "a run of three times the longest", longest * 3 + ONE, [first, _noise(longest), _noise(longest), BOTH[0]]
    text = b"x" * LONGEST_RUN
    yield "text over the longest", text + b"yz" + ONE, [_noise(text), _noise(b"yz"), BOTH[0]]
    body = bytes([Channel.STATUS]) + COUNT[1 : MESSAGE_BYTES_MAX + 2]
    too_long = stuffed(checked(body))
    events = [_broken(too_long[:LONGEST_RUN], "FrameTooLong", "TOO_LONG"), _noise(too_long[LONGEST_RUN:]), BOTH[0]]
    yield "a sound frame with one byte too many", b"\0" + too_long + b"\0" + ONE, events


def segments(body: bytes, att_mtu: int, first_number: int) -> list[bytes]:
    """Segments by the book."""
    size = min(att_mtu - 3, 512) - 1
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    ends = {0: 0x80}
    ends[len(parts) - 1] = ends.get(len(parts) - 1, 0) | 0x40
    return [bytes([ends.get(i, 0) | (first_number + i) % 64]) + part for i, part in enumerate(parts)]


def segment_lines() -> Iterator[Line]:
    """Messages in segments, and runs of segments that lost or doubled some."""
    for name, body in BODIES.items():
        for att_mtu in (23, 24, 185, 247, 517):
            cut = [part.hex() for part in segments(body, att_mtu, 0)]
            yield {"good": f"ATT_MTU {att_mtu}: {name}", "att_mtu": att_mtu, "body": body.hex(), "segments": cut}
    body = COUNT[:50]
    one, two, three = segments(body, 23, 62)
    whole = ["joined", body.hex()]
    lost = ["bad", "SegmentError", "WRONG_LENGTH"]
    cases: dict[str, tuple[list[bytes], list[list[str]]]] = {
        "a middle one is missing": ([one, three], [lost]),
        "the first is missing": ([two, three], [lost, lost]),
        "the last is missing, another message follows": ([one, two, one, two, three], [lost, whole]),
        "the second comes twice": ([one, two, two, three], [lost, whole]),
        "the last comes twice": ([one, two, three, three], [whole, lost]),
        "two are swapped": ([one, three, two], [lost, lost]),
        "an empty one": ([one, b"", two, three], [lost, whole]),
        "more than any message": (
            [b"\x80" + bytes(200), b"\x01" + bytes(45), b"\x42"],
            [["bad", "FrameTooLong", "TOO_LONG"], lost],
        ),
        "a whole message is missing": (
            [*segments(b"a", 23, 0), *segments(b"c", 23, 2)],
            [["joined", "61"], lost, ["joined", "63"]],
        ),
    }
    for name, (parts, events) in cases.items():
        yield {"bad": f"segments: {name}", "segments": [part.hex() for part in parts], "events": events}
    for att_mtu in (-1, 0, 22, 518, 65_535):
        yield {"bad": f"ATT_MTU {att_mtu}", "att_mtu": att_mtu, "error": "SegmentError", "reason": "WRONG_LENGTH"}
