"""The pen's history: records that hang together by hashes, read and checked by whoever holds them.

A record is number u32, kind u16, run time u32, UTC u32, the entry, the previous record's hash, its own hash: SHA-256
over all that stands before it. Numbers start at 1 and go up by 1; the first record hangs on `origin`. `run_s` is
time that the pen's clock really ran; `utc_s` is a label (0: the clock was lost) and orders nothing. A hash chain
without a key finds accidents and cuts; against a forger each side keeps the other's last number and hash.
"""

import struct
from collections.abc import Iterable
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from dermalink_protocol.errors import BrokenRecord, OutOfRange, UnknownCodeword
from dermalink_protocol.history_entries import Entry
from dermalink_protocol.limits import RECORD_BYTES_MAX

HASH_BYTES: Final = 32
_HEAD: Final = struct.Struct("<IHII")
RECORD_BYTES_MIN: Final = _HEAD.size + 2 * HASH_BYTES
NUMBER_MAX: Final = 0xFFFF_FFFF


class Anchor(NamedTuple):
    """A record's number and hash: what the other side keeps, and what the next record hangs on."""

    number: int
    hash: bytes


class Record(NamedTuple):
    """A sound record, its entry still packed: a newer pen's kinds can be checked without being understood."""

    number: int
    kind: int
    run_s: int
    utc_s: int
    payload: bytes
    previous: bytes
    hash: bytes

    @property
    def anchor(self) -> Anchor:
        """What the next record hangs on."""
        return Anchor(self.number, self.hash)

    def entry(self) -> Entry:
        """What the record tells; raises `UnknownCodeword` for a kind not known here, else as `Entry.decode`."""
        known = Entry.by_kind.get(self.kind)
        if known is None:
            raise UnknownCodeword(f"record {self.number} of kind {self.kind:#06x} can't be read", limit="it is no kind")
        return known.decode(self.payload)


def origin(serial_number: bytes) -> Anchor:
    """What the first record of the pen with this serial number hangs on, so that no chain passes for another pen's."""
    return Anchor(0, sha256(b"dermalink history 1" + serial_number).digest())


def encode_record(last: Anchor, entry: Entry, *, run_s: int, utc_s: int) -> tuple[bytes, Anchor]:
    """The record of `entry` that follows `last`, and what the next one hangs on; raises `OutOfRange` past the end."""
    number = last.number + 1
    if number > NUMBER_MAX:
        raise OutOfRange("another record was refused", rule="SR-RST-2", limit=f"numbers end at {NUMBER_MAX}")
    hashed = _HEAD.pack(number, entry.kind, run_s, utc_s) + entry.encode() + last.hash
    own = sha256(hashed).digest()
    return hashed + own, Anchor(number, own)


def decode_record(data: bytes) -> Record:
    """The record in `data`; raises `BrokenRecord` when its length can't be or its own hash does not match."""
    if not RECORD_BYTES_MIN <= len(data) <= RECORD_BYTES_MAX:
        limit = f"a record has {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX} bytes"
        raise BrokenRecord(f"{len(data)} bytes are no record", rule="SR-LOG-1", limit=limit)
    hashed, own = data[:-HASH_BYTES], data[-HASH_BYTES:]
    number, kind, run_s, utc_s = _HEAD.unpack_from(hashed)
    if sha256(hashed).digest() != own:
        raise BrokenRecord(f"record {number} was altered", rule="SR-LOG-1", limit="its hash does not match")
    return Record(number, kind, run_s, utc_s, hashed[_HEAD.size : -HASH_BYTES], hashed[-HASH_BYTES:], own)


class Flaw(Enum):
    """What can be wrong with a chain of records (SR-LOG-1)."""

    ALTERED = "altered"
    GAP = "missing"
    REPEATED = "out of order"
    UNCHAINED = "does not follow the one before it"
    CUT = "missing from the end"
    REPLACED = "not the one that was known"


class Damage(NamedTuple):
    """One flaw, and the records from `first` to `last` that it is about (0: not known)."""

    flaw: Flaw
    first: int
    last: int

    def __str__(self) -> str:
        which = f"record {self.first}" if self.first == self.last else f"records {self.first} to {self.last}"
        return f"{which if self.first else 'a record'}: {self.flaw.value}"


def check_chain(records: Iterable[bytes], after: Anchor, known: Iterable[Anchor] = ()) -> list[Damage]:
    """All that is wrong with `records`, which should follow `after` without a break; empty when nothing is.

    `known` are records whose number and hash somebody else has kept: they must be there, and be the same. So a cut
    at a record's end and an old copy put back are found.
    """
    damages: list[Damage] = []
    expected = {anchor.number: anchor.hash for anchor in known}
    if expected.get(after.number, after.hash) != after.hash:
        damages.append(Damage(Flaw.REPLACED, after.number, after.number))
    last = after
    hash_known = True  # False after an altered record: what follows can't be held against its hash
    for data in records:
        try:
            record = decode_record(data)
        except BrokenRecord:
            last, hash_known = Anchor(last.number + 1, b""), False
            damages.append(Damage(Flaw.ALTERED, last.number, last.number))
            continue
        damages += _link_damage(record, last, hash_known=hash_known)
        if expected.get(record.number, record.hash) != record.hash:
            damages.append(Damage(Flaw.REPLACED, record.number, record.number))
        last, hash_known = record.anchor, True
    furthest = max(expected, default=0)
    if furthest > last.number:
        damages.append(Damage(Flaw.CUT, last.number + 1, furthest))
    return damages


def _link_damage(record: Record, last: Anchor, *, hash_known: bool) -> list[Damage]:
    due = last.number + 1
    if record.number < due:
        return [Damage(Flaw.REPEATED, record.number, record.number)]
    if record.number > due:
        return [Damage(Flaw.GAP, due, record.number - 1)]
    if hash_known and record.previous != last.hash:
        return [Damage(Flaw.UNCHAINED, record.number, record.number)]
    return []
