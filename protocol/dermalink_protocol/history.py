"""The pen's history: records that hang together by hashes, read and checked by whoever holds them.

A record is number u32, kind u16, owner u32, run time u32, UTC u32, the entry, a blind of 16 bytes, the previous
record's hash, its own hash. Numbers start at 1 and go up by 1; the first record hangs on `origin`. `owner` is the
number of the owner whose it is, 0 before there was one. `run_s` is time that the pen's clock really ran; `utc_s` is a
label (0: the clock was lost) and orders nothing. The commitment is SHA-256 over kind, owner, both times, entry and
blind, and the own hash SHA-256 over number, commitment and previous hash.

A hidden record is number u32, kind u16 of 0, the commitment, the previous record's hash, its own hash: so an earlier
owner's records are told (SR-OWN-1). The chain is checked over both alike. An entry has few values, and whoever sees a
hash of it alone could try them all; the blind is what he can't try, and stands in the whole record only.

A hash chain without a key finds accidents and cuts; against a forger each side keeps the other's last number and hash.
"""

import struct
from collections.abc import Iterable
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from dermalink_protocol.errors import BrokenRecord, OutOfRange, UnknownCodeword
from dermalink_protocol.history_entries import BLIND_BYTES, FRAME_BYTES, HASH_BYTES, Entry
from dermalink_protocol.limits import RECORD_BYTES_MAX

_HEAD: Final = struct.Struct("<IHIII")
_HIDDEN_HEAD: Final = struct.Struct("<IH")
_NUMBER: Final = struct.Struct("<I")
HIDDEN: Final = 0
"""What stands for a hidden record's kind; no kind has this number."""
RECORD_BYTES_MIN: Final = FRAME_BYTES
HIDDEN_BYTES: Final = _HIDDEN_HEAD.size + 3 * HASH_BYTES
NUMBER_MAX: Final = 0xFFFF_FFFF


class Anchor(NamedTuple):
    """A record's number and hash: what the other side keeps, and what the next record hangs on."""

    number: int
    hash: bytes


class Record(NamedTuple):
    """A sound record, its entry still packed: a newer pen's kinds can be checked without being understood."""

    number: int
    kind: int
    owner: int
    run_s: int
    utc_s: int
    payload: bytes
    blind: bytes
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


class HiddenRecord(NamedTuple):
    """A sound record that is an earlier owner's: its place in the chain, and nothing of what it tells (SR-OWN-1)."""

    number: int
    commitment: bytes
    previous: bytes
    hash: bytes

    @property
    def anchor(self) -> Anchor:
        """What the next record hangs on."""
        return Anchor(self.number, self.hash)


def origin(serial_number: bytes) -> Anchor:
    """What the first record of the pen with this serial number hangs on, so that no chain passes for another pen's."""
    return Anchor(0, sha256(b"dermalink history 1" + serial_number).digest())


def encode_record(
    last: Anchor, entry: Entry, *, owner: int, run_s: int, utc_s: int, blind: bytes
) -> tuple[bytes, Anchor]:
    """The record of `entry` that follows `last`, and what the next one hangs on; raises `OutOfRange` past the end.

    `blind` is `BLIND_BYTES` that nobody can guess; another for each record.
    """
    number = last.number + 1
    if number > NUMBER_MAX:
        raise OutOfRange("another record was refused", rule="SR-RST-2", limit=f"numbers end at {NUMBER_MAX}")
    if len(blind) != BLIND_BYTES:
        raise OutOfRange("a record was refused", rule="SR-OWN-1", limit=f"a blind has {BLIND_BYTES} bytes")
    told = _HEAD.pack(number, entry.kind, owner, run_s, utc_s) + entry.encode() + blind
    own = _own_hash(number, _commitment(told), last.hash)
    return told + last.hash + own, Anchor(number, own)


def decode_record(data: bytes) -> Record:
    """The whole record in `data`; raises `BrokenRecord` when it is hidden, and as `read_record`."""
    record = read_record(data)
    if isinstance(record, HiddenRecord):
        limit = "it is an earlier owner's, and told as hashes only"
        raise BrokenRecord(f"record {record.number} can't be read", rule="SR-OWN-1", limit=limit)
    return record


def read_record(data: bytes) -> Record | HiddenRecord:
    """The record in `data`, whole or hidden; raises `BrokenRecord` for a wrong length or hash."""
    if not RECORD_BYTES_MIN <= len(data) <= RECORD_BYTES_MAX:
        limit = f"a record has {RECORD_BYTES_MIN} to {RECORD_BYTES_MAX} bytes"
        raise BrokenRecord(f"{len(data)} bytes are no record", rule="SR-LOG-1", limit=limit)
    number, kind = _HIDDEN_HEAD.unpack_from(data)
    told, previous, own = data[: -2 * HASH_BYTES], data[-2 * HASH_BYTES : -HASH_BYTES], data[-HASH_BYTES:]
    hidden = kind == HIDDEN and len(data) == HIDDEN_BYTES
    commitment = told[_HIDDEN_HEAD.size :] if hidden else _commitment(told)
    if (kind == HIDDEN and not hidden) or _own_hash(number, commitment, previous) != own:
        raise BrokenRecord(f"record {number} was altered", rule="SR-LOG-1", limit="its hash does not match")
    if hidden:
        return HiddenRecord(number, commitment, previous, own)
    _, _, owner, run_s, utc_s = _HEAD.unpack_from(told)
    payload, blind = told[_HEAD.size : -BLIND_BYTES], told[-BLIND_BYTES:]
    return Record(number, kind, owner, run_s, utc_s, payload, blind, previous, own)


def hide(record: Record) -> bytes:
    """The same record, hidden: it verifies as the whole one does, and tells nothing."""
    told = _HEAD.pack(*record[:5]) + record.payload + record.blind
    return _HIDDEN_HEAD.pack(record.number, HIDDEN) + _commitment(told) + record.previous + record.hash


def _commitment(told: bytes) -> bytes:
    """Of what a whole record tells, its number at the front left out."""
    return sha256(told[_NUMBER.size :]).digest()


def _own_hash(number: int, commitment: bytes, previous: bytes) -> bytes:
    return sha256(_NUMBER.pack(number) + commitment + previous).digest()


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
    """All that is wrong with `records`, whole or hidden, which should follow `after` without a break; else empty.

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
            record = read_record(data)
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


def _link_damage(record: Record | HiddenRecord, last: Anchor, *, hash_known: bool) -> list[Damage]:
    due = last.number + 1
    if record.number < due:
        return [Damage(Flaw.REPEATED, record.number, record.number)]
    if record.number > due:
        return [Damage(Flaw.GAP, due, record.number - 1)]
    if hash_known and record.previous != last.hash:
        return [Damage(Flaw.UNCHAINED, record.number, record.number)]
    return []
