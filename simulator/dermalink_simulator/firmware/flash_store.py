"""The store: every change that has to outlive a loss of power, as transactions of one deciding write each.

A transaction is a new `StateRecord`. The write of its first copy decides: before it, nothing has happened; after it,
all has, since the record brings the history records and the ledger's record with it, and a boot writes out what power
kept from being written. It is reported as done once all of it is on the flash.
"""

from collections import deque
from enum import IntEnum
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history_entries import Entry
from dermalink_simulator.firmware.flash_layout import (
    FACTORY_A,
    FACTORY_B,
    FACTORY_NEW,
    FORMAT,
    HISTORY,
    HISTORY_ENTRIES_MAX,
    HISTORY_LENGTH,
    LEDGER,
    MAGIC_FACTORY,
    MAGIC_STATE,
    STATE_A,
    STATE_B,
    FactoryRecord,
    HeadRecord,
    Region,
    StateRecord,
    pack,
    sector_of,
    unpack,
)
from dermalink_simulator.firmware.history_store import HistoryStore, slot_of
from dermalink_simulator.firmware.ledger import Ledger
from dermalink_simulator.seam import SECTOR_BYTES, FlashOp

TRIES: Final = 3  # a write that failed is tried again in the next slot (assumption)
LEDGER_RECORDS_MAX: Final = 2  # of one transaction: the head before, and the one that it is about
HISTORY_BYTES: Final = len(FACTORY_NEW.history)
UNKNOWN_PEN: Final = FactoryRecord(0, 0, bytes(16), 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Transaction(NamedTuple):
    """What is to change: fields of the `StateRecord`, history entries, and whether the head goes into the ledger now.

    `token` is given back when it is done. `own` names the changes that this transaction is about; the others only say
    how things stood when it was made. An `urgent` one (a fault, a symptom) is written before all that are not.
    """

    token: int
    changes: dict[str, Any]
    entries: tuple[Entry, ...] = ()
    to_ledger: bool = False
    own: frozenset[str] = frozenset()
    urgent: bool = False


class Step(IntEnum):
    """The kinds of write that a transaction is made of."""

    STATE_A = 0
    STATE_B = 1
    HISTORY = 2
    LEDGER = 3
    ERASE = 4


class Work(NamedTuple):
    """One write: what kind, and the slot's bytes."""

    step: Step
    data: bytes


class _Ring:
    """One copy of the state records: where the next one goes, and which slots are blank."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.next = 0
        self.blank = bytearray(region.slots)
        self.per_sector = SECTOR_BYTES // region.slot_bytes

    def needs_erase(self) -> bool:
        """Whether the next slot begins a sector that is not blank; moves past slots that were torn."""
        while self.next % self.per_sector and not self.blank[self.next]:
            self.next = (self.next + 1) % self.region.slots
        if self.next % self.per_sector:
            return False
        return not all(self.blank[self.next : self.next + self.per_sector])

    def erased(self) -> None:
        self.blank[self.next : self.next + self.per_sector] = b"\1" * self.per_sector

    def used(self) -> None:
        self.blank[self.next] = 0
        self.next = (self.next + 1) % self.region.slots


class FlashStore:
    """What the flash holds, and the transactions on their way to it.

    `trouble` is NONE, or why the store can't be believed: then nothing is written, and there is no therapy.
    """

    def __init__(self) -> None:
        self.factory = UNKNOWN_PEN
        self.record = FACTORY_NEW
        self.history = HistoryStore()
        self.ledger = Ledger()
        self.trouble = Reason.NONE
        self._rings = (_Ring(STATE_A), _Ring(STATE_B))
        self._queue: deque[Transaction] = deque()
        self._now: Transaction | None = None
        self._works: deque[Work] = deque()
        self._taken: Work | None = None
        self._quiet = False
        self._tries = 0

    # Reading

    def load(self, flash: bytes) -> None:
        """Read a flash image; sets `trouble`. What a loss of power kept from being written is queued."""
        self.trouble = self._load(flash)

    def _load(self, flash: bytes) -> Reason:
        factory = next(filter(None, (unpack(FactoryRecord, r.slot(flash, 0)) for r in (FACTORY_A, FACTORY_B))), None)
        if factory is None or factory.magic != MAGIC_FACTORY or factory.format > FORMAT:
            return Reason.STORE_UNREADABLE
        self.factory = factory
        newest = [self._load_ring(ring, flash) for ring in self._rings]
        found = max(filter(None, newest), key=lambda record: record.sequence, default=None)
        if found is None or found.magic != MAGIC_STATE or found.format > FORMAT:
            return Reason.STORE_UNREADABLE
        self.record = found
        sound = self.history.load(flash, factory.serial_number)
        ledger_sound = self.ledger.load(flash, found.ledger_slots, found.ledger_records)
        if not sound:
            return Reason.HISTORY_BROKEN
        if not ledger_sound:
            return Reason.STORE_UNREADABLE
        return self._redo()

    def _load_ring(self, ring: _Ring, flash: bytes) -> StateRecord | None:
        region, best, at = ring.region, None, -1
        for slot in range(region.slots):
            if region.is_blank(flash, slot):
                ring.blank[slot] = 1
                continue
            record = unpack(StateRecord, region.slot(flash, slot))
            if record is not None and (best is None or record.sequence > best.sequence):
                best, at = record, slot
        ring.next = (at + 1) % region.slots
        return best

    def _redo(self) -> Reason:
        """Queue the rest of the newest transaction; HISTORY_BROKEN when history and state do not fit together."""
        record, history = self.record, self.history
        missing = [r for r in split_history(record.history) if int.from_bytes(r[:4], "little") > history.anchor.number]
        if history.anchor.number + len(missing) != record.history_number:
            return Reason.HISTORY_BROKEN
        if not missing and record.history_number and history.anchor.hash != record.history_hash:
            return Reason.HISTORY_BROKEN
        self._works.extend(Work(Step.HISTORY, each) for each in missing)
        head = head_of(record)
        if head.sessions and self.ledger.find(head.tag_id) != head:
            self.ledger.hold(head)
        return Reason.NONE

    # Writing

    def submit(self, transaction: Transaction) -> bool:
        """Queue a transaction; False where it can't be written.

        They are written in this order, one at a time, urgent ones first.
        """
        if self.trouble is not Reason.NONE:
            return False
        ahead = TRIES * (len(self._queue) + 2)
        if transaction.entries and self.history.free_slots < ahead * HISTORY_ENTRIES_MAX:
            return False
        if self.ledger.free_slots < ahead * LEDGER_RECORDS_MAX:
            return False
        if transaction.urgent:
            self._put_first(transaction)
        else:
            self._queue.append(transaction)
        self._quiet = False
        return True

    def _put_first(self, urgent: Transaction) -> None:
        """Before all that is not urgent; what waits must not take back afterwards what this one says."""
        waiting = [each._replace(changes=_caught_up(each, urgent.changes)) for each in self._queue]
        before = [each for each in waiting if each.urgent]
        after = [each for each in waiting if not each.urgent]
        self._queue = deque([*before, urgent, *after])

    @property
    def busy(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._queue or self._works or self._now is not None)

    def next(self) -> FlashOp | None:
        """The next operation, taken; None while one is under way, where there is none, and of a store in trouble."""
        if self._quiet or self._taken is not None or self.trouble is not Reason.NONE:
            return None
        if not self._works:
            if self._queue:
                self._begin(self._queue.popleft())
            else:
                return self._erase_ahead()
        work = self._works[0]
        if work.step in (Step.STATE_A, Step.STATE_B):
            ring = self._rings[work.step]
            if ring.needs_erase():
                return self._erase(ring)
            self._taken = work
            return FlashOp(ring.region.address(ring.next), work.data)
        self._taken = work
        region, slot = (HISTORY, self.history.slots) if work.step is Step.HISTORY else (LEDGER, self.ledger.slots)
        return FlashOp(region.address(slot), slot_of(work.data) if work.step is Step.HISTORY else work.data)

    def done(self, ok: bool) -> tuple[int, bool] | None:
        """The operation ended; gives back a transaction's token, and whether all of it is on the flash."""
        work, self._taken = self._taken, None
        if work is None:
            return None
        self._settle(work, ok=ok)
        if not ok:
            self._tries += 1
            return self._end(ok=False) if self._tries >= TRIES else None
        self._tries = 0
        if work.step is Step.ERASE:
            return None
        self._works.popleft()
        return None if self._works else self._end(ok=True)

    def _begin(self, transaction: Transaction) -> None:
        history, old = self.history, self.record
        fields = old._replace(**transaction.changes)
        anchor, records = history.anchor, []
        for entry in transaction.entries:
            record, anchor = history.encode(entry, anchor, fields.run_s, 0 if fields.clock_trouble else fields.clock_s)
            records.append(record)
        self.record = fields._replace(
            sequence=old.sequence + 1,
            ledger_slots=self.ledger.slots,
            ledger_records=self.ledger.records,
            history_number=anchor.number,
            history_hash=anchor.hash,
            history=join_history(records),
        )
        state = pack(self.record, STATE_A.slot_bytes)
        self._now = transaction
        for tag_id in sorted(self.ledger.unwritten - {self.record.head_tag_id}):
            # Only a state record had it, and this one has another head in its place (SR-CART-4).
            self._works.append(Work(Step.LEDGER, pack(self.ledger.find(tag_id), LEDGER.slot_bytes)))
        self._works += (Work(Step.STATE_A, state), Work(Step.STATE_B, state))
        self._works += (Work(Step.HISTORY, record) for record in records)
        head = head_of(self.record)
        if head.sessions:
            self.ledger.hold(head)
            if transaction.to_ledger:
                self._works.append(Work(Step.LEDGER, pack(head, LEDGER.slot_bytes)))

    def _settle(self, work: Work, *, ok: bool) -> None:
        """A slot was used up, for good or for nothing; a sector was erased."""
        if work.step in (Step.STATE_A, Step.STATE_B):
            self._rings[work.step].used()
        elif work.step is Step.HISTORY:
            self.history.slots += 1
            if ok:
                self.history.add(work.data)
        elif work.step is Step.LEDGER:
            self.ledger.slots += 1
            record = unpack(HeadRecord, work.data)
            if ok and record is not None:
                self.ledger.records += 1
                self.ledger.landed(record)
        elif ok:
            self._rings[work.data[0]].erased()

    def _end(self, *, ok: bool) -> tuple[int, bool] | None:
        self._works.clear()
        self._tries = 0
        now, self._now = self._now, None
        return (now.token, ok) if now is not None else None

    def _erase(self, ring: _Ring) -> FlashOp:
        self._taken = Work(Step.ERASE, bytes([self._rings.index(ring)]))
        return FlashOp(sector_of(ring.region.address(ring.next)), b"")

    def _erase_ahead(self) -> FlashOp | None:
        """While there is nothing else to do, so that no transaction has to wait for it."""
        for ring in self._rings:
            if ring.needs_erase():
                return self._erase(ring)
        self._quiet = True
        return None


def _caught_up(waiting: Transaction, newer: dict[str, Any]) -> dict[str, Any]:
    """The changes of a transaction that waits, with how things stand now; what it is about stays its own."""
    return waiting.changes | {name: value for name, value in newer.items() if name not in waiting.own}


def head_of(record: StateRecord) -> HeadRecord:
    """The head last worked with, as a state record has it."""
    return HeadRecord(
        record.head_tag_id, record.head_sessions, record.head_strokes, record.head_motor_s, record.head_session_id
    )


def join_history(records: list[bytes]) -> bytes:
    """History records, each with its length, as a state record brings them along."""
    joined = b"".join(HISTORY_LENGTH.pack(len(record)) + record for record in records)
    return joined.ljust(HISTORY_BYTES, b"\0")


def split_history(joined: bytes) -> list[bytes]:
    """The history records that a state record brought along."""
    records, at = [], 0
    while at + HISTORY_LENGTH.size <= len(joined):
        length = HISTORY_LENGTH.unpack_from(joined, at)[0]
        at += HISTORY_LENGTH.size
        if not length:
            break
        records.append(joined[at : at + length])
        at += length
    return records
