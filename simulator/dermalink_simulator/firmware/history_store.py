"""The pen's history in its flash: append-only, chained, read back whole at every boot (SR-LOG-1, SR-RST-2)."""

import struct
from collections import Counter
from hmac import digest
from typing import Final

from dermalink_protocol.codewords import RecordKind
from dermalink_protocol.errors import BrokenRecord
from dermalink_protocol.history import Anchor, Record, check_chain, decode_record, encode_record, origin
from dermalink_protocol.history_entries import BLIND_BYTES, Entry
from dermalink_simulator.firmware.flash_layout import HISTORY, HISTORY_LENGTH, is_sound, seal

# What a session with all its passes can come to, and what closing it needs: kept free for records about therapy.
RESERVE_SLOTS: Final = 256
# Owners' comings and goings, and bars for wrong codes, have so many slots of their own, and never more (SR-SEC-3).
OWNER_SLOTS: Final = 256
OWNER_KINDS: Final = (RecordKind.OWNER_PAIRED, RecordKind.OWNER_RELEASED, RecordKind.PAIRING_BARRED)
# Counts of refusals, which anybody can cause, one an hour at most: never more of them, so that a stranger who asks for
# months takes no session's room (SR-SEC-3). What is refused after that is counted, and told no more.
REFUSED_SLOTS: Final = 512
# Windows with wrong codes and no bar, which each need a press; the next bar tells of what finds no room (SR-SEC-3).
TRIES_SLOTS: Final = 128
# Starts, self-tests and heads seen, which anybody with a finger on the switch can cause, take so many slots and never
# more; of those the last 256 are kept for what is news (a watchdog's start, a self-test that ended as the last one told
# of did not). After that they are counted (`untold`), and a session that touches skin tells of them in one record.
START_SLOTS: Final = 1_024
NEWS_SLOTS: Final = 256
START_KINDS: Final = (RecordKind.POWERED_UP, RecordKind.SELF_TESTED, RecordKind.HEAD_SEATED)

_BLINDED: Final = struct.Struct("<IHIII")
_KIND_AT: Final = 4  # behind the record's number, see `dermalink_protocol.history`


class HistoryStore:
    """The records, the newest one's anchor, and the next free slot.

    Slots that were torn by a loss of power are passed over: a record counts by its number and hash, not by its place.
    """

    __slots__ = ("_key", "anchor", "first_hole", "kinds", "records", "slots")

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.anchor = Anchor(0, bytes(32))
        self._key = b""
        self.slots = 0
        self.kinds: Counter[int] = Counter()
        self.first_hole = 0

    def load(self, flash: bytes, serial_number: bytes, key: bytes) -> bool:
        """Read all records; False when the chain is broken. What can be read is kept either way.

        `key` makes the blinds of the records that will be written.
        """
        self._key = key
        first = self.anchor = origin(serial_number)
        slot = 0
        while slot < HISTORY.slots:
            data = HISTORY.slot(flash, slot)
            slot += 1
            if is_sound(data):
                length = HISTORY_LENGTH.unpack_from(data)[0]
                self.records.append(data[HISTORY_LENGTH.size : HISTORY_LENGTH.size + length])
                self.kinds[_kind(self.records[-1])] += 1
            elif data == b"\xff" * HISTORY.slot_bytes:
                slot -= 1
                break
        self.slots = slot
        damages = check_chain(self.records, first)
        if damages:
            self.first_hole = damages[0].first or 1
        if self.records:
            try:
                self.anchor = decode_record(self.records[-1]).anchor
            except BrokenRecord:
                self.first_hole = self.first_hole or len(self.records)
        return not damages

    def encode(self, entry: Entry, after: Anchor, owner: int, run_s: int, utc_s: int) -> tuple[bytes, Anchor]:
        """The record of `entry` that follows `after`, and its anchor.

        Its blind is HMAC-SHA256 with the pen's own key over all that it tells: no chance is needed, which there is none
        of yet when a start is written down, and two records never have the same blind.
        """
        blinded = _BLINDED.pack(after.number, entry.kind, owner, run_s, utc_s) + entry.encode() + after.hash
        blind = digest(self._key, blinded, "sha256")[:BLIND_BYTES]
        return encode_record(after, entry, owner=owner, run_s=run_s, utc_s=utc_s, blind=blind)

    def add(self, record: bytes) -> None:
        """Take a record that is on the flash now."""
        self.records.append(record)
        self.kinds[_kind(record)] += 1
        self.anchor = decode_record(record).anchor

    def find(self, number: int) -> bytes | None:
        """The record with this number, or None."""
        return self.records[number - 1] if 1 <= number <= len(self.records) else None

    @property
    def free_slots(self) -> int:
        """How many more records there is room for."""
        return HISTORY.slots - self.slots

    @property
    def has_room(self) -> bool:
        """Whether a session can be written down whole, and the owners' own room is left."""
        return self.free_slots > RESERVE_SLOTS + max(0, OWNER_SLOTS - self.owner_records)

    @property
    def owner_records(self) -> int:
        """How many records there are about owners and bars."""
        return sum(self.kinds[kind] for kind in OWNER_KINDS)

    @property
    def has_refusal_room(self) -> bool:
        """Whether refusals may have one more record."""
        return self.has_room and self.kinds[RecordKind.REFUSED_COUNT] < REFUSED_SLOTS

    @property
    def has_tries_room(self) -> bool:
        """Whether one more window with wrong codes may have a record."""
        return self.has_room and self.kinds[RecordKind.WRONG_CODES] < TRIES_SLOTS

    def has_start_room(self, *, news: bool = False) -> bool:
        """Whether one more start, self-test or head seen may have a record of its own."""
        most = START_SLOTS if news else START_SLOTS - NEWS_SLOTS
        return self.has_room and sum(self.kinds[kind] for kind in START_KINDS) < most

    def newest(self, kind: RecordKind) -> Record | None:
        """The newest record of a kind that can be read, or None."""
        if not self.kinds[kind]:
            return None
        try:
            return next((decode_record(each) for each in reversed(self.records) if _kind(each) == kind), None)
        except BrokenRecord:
            return None

    @property
    def has_owner_room(self) -> bool:
        """Whether there is room for one more record about owners, without taking a session's."""
        return self.owner_records < OWNER_SLOTS and self.free_slots > RESERVE_SLOTS


def _kind(record: bytes) -> int:
    return int.from_bytes(record[_KIND_AT : _KIND_AT + 2], "little")


def slot_of(record: bytes) -> bytes:
    """The slot that holds a record."""
    return seal(HISTORY_LENGTH.pack(len(record)) + record, HISTORY.slot_bytes)
