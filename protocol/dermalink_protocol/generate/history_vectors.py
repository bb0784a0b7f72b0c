"""Records of the history: every kind of entry in one chain, whole and hidden; what is none; chains with a flaw."""

import struct
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from dermalink_protocol.codewords import Reason
from dermalink_protocol.generate.examples import bad_ones, good_ones
from dermalink_protocol.generate.message_vectors import plain
from dermalink_protocol.history_entries import FRAME_BYTES, Entry
from dermalink_protocol.limits import RECORD_BYTES_MAX

Line = dict[str, Any]
SERIAL_NUMBER = b"DL-000123".ljust(16, b"\0")
ORIGIN = sha256(b"dermalink history 1" + SERIAL_NUMBER).digest()


def record(number: int, kind: int, payload: bytes, previous: bytes) -> bytes:
    """A record by the book; owner, times and blind follow from its number."""
    blind = sha256(b"blind" + number.to_bytes(4, "little")).digest()[:16]
    told = struct.pack("<HIII", kind, number % 3, number * 10, 1_790_000_000 + number * 10) + payload + blind
    return struct.pack("<I", number) + told + previous + _own_hash(number, sha256(told).digest(), previous)


def hidden(whole: bytes) -> bytes:
    """A whole record as another owner is told it, by the book."""
    return whole[:4] + bytes(2) + sha256(whole[4:-64]).digest() + whole[-64:]


def _own_hash(number: int, commitment: bytes, previous: bytes) -> bytes:
    return sha256(struct.pack("<I", number) + commitment + previous).digest()


def _chain() -> Iterator[tuple[type[Entry], str, dict[str, Any], bytes]]:
    number, previous = 0, ORIGIN
    for cls in Entry.by_kind.values():
        for good in good_ones(cls):
            number += 1
            made = record(number, cls.kind, good.payload, previous)
            previous = made[-32:]
            yield cls, good.name, plain(good.values), made


def history_lines() -> Iterator[Line]:
    """All records of the history, good and bad, and chains with the flaws that must be found in them."""
    made = []
    for cls, name, fields, data in _chain():
        made.append(data)
        yield {
            "good": f"{cls.__name__}: {name}",
            "entry": cls.__name__,
            "serial_number": SERIAL_NUMBER.hex(),
            "fields": fields,
            "record": data.hex(),
            "hidden": hidden(data).hex(),
        }
    for cls in Entry.by_kind.values():
        for bad in bad_ones(cls):
            if len(bad.payload) + FRAME_BYTES <= RECORD_BYTES_MAX:
                data = record(1, cls.kind, bad.payload, ORIGIN)
                yield _bad_record(f"{cls.__name__}: {bad.name}", cls.__name__, data, bad.error.__name__, bad.reason)
    yield from _no_records(made[0])
    yield from _chains(made[:6])


def _bad_record(name: str, entry: str, data: bytes, error: str, reason: Reason) -> Line:
    return {"bad": name, "entry": entry, "record": data.hex(), "error": error, "reason": reason.name}


def _no_records(sound: bytes) -> Iterator[Line]:
    broken = "BrokenRecord", Reason.HISTORY_BROKEN
    for name, data in {
        "nothing": b"",
        "cut by one byte": sound[:-1],
        "one byte more": sound + b"\0",
        "erased": b"\xff" * len(sound),
        "cleared": bytes(len(sound)),
        "shorter than any": sound[: FRAME_BYTES - 1],
        "longer than any": sound + bytes(RECORD_BYTES_MAX + 1 - len(sound)),
    }.items():
        yield _bad_record(f"record: {name}", "", data, *broken)
    ends = len(sound) - 80, len(sound) - 64, len(sound) - 32, len(sound) - 1
    for at in (0, 4, 6, 10, 14, 18, *ends):  # one in each part
        yield _bad_record(f"record: byte {at} flipped", "", _flipped(sound, at), *broken)
    told = hidden(sound)
    yield _bad_record("hidden: nothing in it can be read", "", told, *broken)
    yield _bad_record("hidden: cut by one byte", "", told[:-1], *broken)
    yield _bad_record("hidden: one byte more", "", told + b"\0", *broken)
    yield _bad_record("hidden: a kind", "", told[:4] + sound[4:6] + told[6:], *broken)
    for at in (0, 4, 6, 38, 70):
        yield _bad_record(f"hidden: byte {at} flipped", "", _flipped(told, at), *broken)
    unknown = record(1, 0x1234, b"", ORIGIN)
    yield _bad_record("record: unknown kind", "", unknown, "UnknownCodeword", Reason.UNKNOWN_CODEWORD)


def _flipped(data: bytes, at: int) -> bytes:
    return bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])


def _chains(made: list[bytes]) -> Iterator[Line]:
    flipped = _flipped(made[2], 20)
    earlier = [hidden(data) for data in made[:3]]
    other = record(3, *_kind_and_payload(made[3]), made[1][-32:])
    unchained = record(3, *_kind_and_payload(made[2]), bytes(32))
    known = [[number, made[number - 1][-32:].hex()] for number in (3, 6)]
    cases: dict[str, tuple[list[bytes], list[list[Any]]]] = {
        "sound": (made, []),
        "one missing": (made[:2] + made[3:], [["GAP", 3, 3]]),
        "two missing": (made[:1] + made[3:], [["GAP", 2, 3]]),
        "the first missing": (made[1:], [["GAP", 1, 1]]),
        "a flipped byte": ([*made[:2], flipped, *made[3:]], [["ALTERED", 3, 3]]),
        "cut within a record": ([*made[:5], made[5][:40]], [["ALTERED", 6, 6]]),
        "cut at a record's end": (made[:4], [["CUT", 5, 6]]),
        "nothing left": ([], [["CUT", 1, 6]]),
        "one put in place of another": (
            [*made[:2], other, *made[3:]],
            [["REPLACED", 3, 3], ["UNCHAINED", 4, 4]],
        ),
        "one that hangs on nothing": (
            [*made[:2], unchained, *made[3:]],
            [["UNCHAINED", 3, 3], ["REPLACED", 3, 3], ["UNCHAINED", 4, 4]],
        ),
        "one twice": (made[:3] + made[2:], [["REPEATED", 3, 3]]),
        "two swapped": (
            [made[0], made[2], made[1], *made[3:]],
            [["GAP", 2, 2], ["REPEATED", 2, 2], ["GAP", 3, 3]],
        ),
        "an earlier owner's hidden": (earlier + made[3:], []),
        "one of the hidden missing": ([earlier[0], earlier[2], *made[3:]], [["GAP", 2, 2]]),
        "a flipped byte in one of the hidden": (
            [earlier[0], _flipped(earlier[1], 6), earlier[2], *made[3:]],
            [["ALTERED", 2, 2]],
        ),
        "another in place of one of the hidden": (
            [*earlier[:2], hidden(other), *made[3:]],
            [["REPLACED", 3, 3], ["UNCHAINED", 4, 4]],
        ),
    }
    for name, (records, damages) in cases.items():
        yield {
            "bad" if damages else "good": f"chain: {name}",
            "serial_number": SERIAL_NUMBER.hex(),
            "known": known,
            "records": [data.hex() for data in records],
            "damages": damages,
        }


def _kind_and_payload(data: bytes) -> tuple[int, bytes]:
    return int.from_bytes(data[4:6], "little"), data[18:-80]
