"""The store: every change that has to outlive a loss of power, as transactions of one deciding write each.

A transaction is a new `StateRecord`. The write of its first copy decides: before it, nothing has happened; after it,
all has, since the record brings the history records and the ledger's record with it, and a boot writes out what power
kept from being written. It is reported as done once all of it is on the flash. A new owner is written before the record
that names him; until that is, what is urgent goes first, and he is written again after it. Another bond of the owner's
is written while there is nothing else to write, and counts once one copy has it.
"""

from collections import deque
from enum import IntEnum
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history_entries import Entry, SymptomEntry
from dermalink_simulator.firmware.calibration import NO_CALIBRATION, CalibrationRecord
from dermalink_simulator.firmware.flash_layout import (
    CALIBRATION_A,
    CALIBRATION_B,
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
    OWNER_A,
    SETUP_A,
    SETUP_B,
    STATE_A,
    STATE_B,
    FactoryRecord,
    HeadRecord,
    SetupRecord,
    StateRecord,
    pack,
    sector_of,
    unpack,
)
from dermalink_simulator.firmware.history_store import HistoryStore, slot_of
from dermalink_simulator.firmware.ledger import Ledger
from dermalink_simulator.firmware.owner_record import NO_OWNER, OwnerRecord
from dermalink_simulator.firmware.owner_slots import OwnerSlots
from dermalink_simulator.firmware.state_ring import StateRing
from dermalink_simulator.seam import FlashOp

TRIES: Final = 3  # a write that failed is tried again in the next slot (assumption)
LEDGER_RECORDS_MAX: Final = 2  # of one transaction: the head before, and the one that it is about
HISTORY_BYTES: Final = len(FACTORY_NEW.history)
UNKNOWN_PEN: Final = FactoryRecord(0, 0, bytes(16), 0, 0, 0, 0, 0, 0, b"")


class Transaction(NamedTuple):
    """What is to change: fields of the `StateRecord`, history entries, and whether the head goes into the ledger now.

    `token` is given back when it is done. `own` names the changes that this transaction is about; the others only say
    how things stood when it was made. An `urgent` one (a fault, a symptom) is written before all that are not. `owner`
    is the new owner whom `changes` name, if they do.
    """

    token: int
    changes: dict[str, Any]
    entries: tuple[Entry, ...] = ()
    to_ledger: bool = False
    own: frozenset[str] = frozenset()
    urgent: bool = False
    owner: OwnerRecord | None = None


class Step(IntEnum):
    """The kinds of write that a transaction is made of."""

    STATE_A = 0
    STATE_B = 1
    HISTORY = 2
    LEDGER = 3
    ERASE = 4
    OWNER_A = 5
    OWNER_B = 6
    WIPE = 7
    MEND_A = 8  # the owner's record as it is now, where a copy has another one or none
    MEND_B = 9


OWNER_STEPS: Final = (Step.OWNER_A, Step.OWNER_B)
MEND_STEPS: Final = (Step.MEND_A, Step.MEND_B)


class Work(NamedTuple):
    """One write: what kind, and the slot's bytes."""

    step: Step
    data: bytes

    def __repr__(self) -> str:  # an owner's slot holds the pen's private key
        return f"Work({self.step.name}, {len(self.data)} bytes not shown)"


class FlashStore:
    """What the flash holds, and the transactions on their way to it.

    `trouble` is NONE, or why the store can't be believed: then nothing is written, and there is no therapy. `counted`
    is whether the number of this start (`boot_count`) is on the flash. `calibration` is None
    where the newest is not sound.
    """

    def __init__(self) -> None:
        self.factory = UNKNOWN_PEN
        self.setup: SetupRecord | None = None
        self.calibration: CalibrationRecord | None = NO_CALIBRATION
        self.record = FACTORY_NEW
        self.owner = NO_OWNER
        self.history = HistoryStore()
        self.ledger = Ledger()
        self.trouble = Reason.NONE
        self.counted = False
        self._starts = 0  # before this one
        self._rings = (StateRing(STATE_A), StateRing(STATE_B))
        self._owners = OwnerSlots()
        self._bonded: OwnerRecord | None = None  # the owner with the bond that is to be written
        self._queue: deque[Transaction] = deque()
        self._now: Transaction | None = None
        self._before = FACTORY_NEW
        self._decided = False
        self._works: deque[Work] = deque()
        self._taken: Work | None = None
        self._quiet = False
        self._tries = 0

    # Reading

    def load(self, flash: bytes) -> None:
        """Read a flash image; sets `trouble`. What a loss of power kept from being written is queued."""
        self.trouble = self._load(flash)
        self._starts = self.record.boot_count

    def _load(self, flash: bytes) -> Reason:
        factory = next(filter(None, (unpack(FactoryRecord, r.slot(flash, 0)) for r in (FACTORY_A, FACTORY_B))), None)
        if factory is None or factory.magic != MAGIC_FACTORY or factory.format != FORMAT:
            return Reason.STORE_UNREADABLE
        self.factory = factory
        self.setup = next(filter(None, (unpack(SetupRecord, r.slot(flash, 0)) for r in (SETUP_A, SETUP_B))), None)
        self.calibration = _newest_calibration(flash)
        newest = [self._load_ring(ring, flash) for ring in self._rings]
        found = max(filter(None, newest), key=lambda record: record.sequence, default=None)
        if found is None or found.magic != MAGIC_STATE or found.format != FORMAT:
            return Reason.STORE_UNREADABLE
        self.record = found
        owner = self._owners.load(flash, owner_number(found))
        if owner is None:
            return Reason.STORE_UNREADABLE  # an owner who can't be read is not none
        self.owner = owner
        sound = self.history.load(flash, factory.serial_number, factory.history_key)
        ledger_sound = self.ledger.load(flash, found.ledger_slots, found.ledger_records)
        if not sound:
            return Reason.HISTORY_BROKEN
        if not ledger_sound:
            return Reason.STORE_UNREADABLE
        return self._redo()

    def _load_ring(self, ring: StateRing, flash: bytes) -> StateRecord | None:
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

    def keep_bond(self, bond: bytes) -> None:
        """Write down this bond with the owner, in place of the one before; one that is kept already is not written."""
        if self.owner.owned and self.owner.bond != bond:
            self._bonded = self.owner._replace(bond=bond)
            self._quiet = False

    def _put_first(self, urgent: Transaction) -> None:
        """Before all that is not urgent; what waits must not take back afterwards what this one says."""
        waiting = [each._replace(changes=_caught_up(each, urgent.changes)) for each in self._queue]
        before = [each for each in waiting if each.urgent]
        after = [each for each in waiting if not each.urgent]
        self._queue = deque([*before, urgent, *after])

    @property
    def calibration_id(self) -> int:
        """That of the calibration; 0 where none can be read."""
        return self.calibration.calibration_id if self.calibration is not None else 0

    @property
    def earliest_s(self) -> int:
        """The latest of manufacture, calibration and the last sound time: no clock of this pen is before it."""
        calibration_s = self.calibration.made_s if self.calibration is not None else 0
        return max(self.factory.made_s, calibration_s, self.record.clock_s)

    @property
    def newest(self) -> StateRecord:
        """How things stand once all that waits is written."""
        record = self.record
        for waiting in self._queue:
            record = record._replace(**waiting.changes)
        return record

    @property
    def busy(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._queue or self._works or self._now is not None)

    def next(self) -> FlashOp | None:
        """The next operation, taken; None while one is under way, where there is none, and of a store in trouble."""
        if self._quiet or self._taken is not None or self.trouble is not Reason.NONE:
            return None
        if self._works and self._works[0].step in OWNER_STEPS and self._queue and self._queue[0].urgent:
            self._put_back()
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
        if work.step in OWNER_STEPS:
            return self._write_owner(work)
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
        if work.step is Step.WIPE:
            return None  # the write that it made room for may have failed before it, and goes on being counted
        self._tries = 0
        if work.step is Step.ERASE or work.step in MEND_STEPS:
            return None
        self._works.popleft()
        return None if self._works else self._end(ok=True)

    def _begin(self, transaction: Transaction) -> None:
        history, old = self.history, self.record
        fields = old._replace(**transaction.changes)
        if fields.session_id != old.session_id:
            fields = fields._replace(session_owner=fields.owners)
        anchor, records = history.anchor, []
        for entry in transaction.entries:
            owner, utc_s = record_owner(entry, fields), 0 if fields.clock_trouble else fields.clock_s
            record, anchor = history.encode(entry, anchor, owner, fields.run_s, utc_s)
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
        self._now, self._before, self._decided = transaction, old, False
        if transaction.owner is not None:
            slot = pack(transaction.owner, OWNER_A[0].slot_bytes)
            self._works += (Work(Step.OWNER_A, slot), Work(Step.OWNER_B, slot))
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
            if ok:
                self._decide()
        elif work.step in OWNER_STEPS:
            now = self._now.owner if ok and self._now is not None else None
            self._owners.used(OWNER_STEPS.index(work.step), self.record.owners, now)
        elif work.step in MEND_STEPS:
            record = unpack(OwnerRecord, work.data) if ok else None
            self._owners.used(MEND_STEPS.index(work.step), self.owner.number, record)
            self.owner = record or self.owner
        elif work.step is Step.WIPE:
            if ok:
                self._owners.erased(*work.data)
        elif work.step is Step.HISTORY:
            self.history.slots += 1
            if ok:
                self.history.add(work.data)
        elif work.step is Step.LEDGER:
            self.ledger.slots += 1
            head = unpack(HeadRecord, work.data)
            if ok and head is not None:
                self.ledger.records += 1
                self.ledger.landed(head)
        elif ok:
            self._rings[work.data[0]].erased()

    def _end(self, *, ok: bool) -> tuple[int, bool] | None:
        self._works.clear()
        self._tries = 0
        now, self._now = self._now, None
        if now is None and not ok and not self._queue:
            self._quiet = True  # what can't be erased ahead stays until there is something to write
        if now is not None and not self._decided:
            before = self._before  # whom no record on the flash names, the next one must not name either
            self.record = self.record._replace(owners=before.owners, owned=before.owned)
        return (now.token, ok) if now is not None else None

    def _erase(self, ring: StateRing) -> FlashOp:
        self._taken = Work(Step.ERASE, bytes([self._rings.index(ring)]))
        return FlashOp(sector_of(ring.region.address(ring.next)), b"")

    def _decide(self) -> None:
        """The newest record is on the flash: whom it names is the owner."""
        if self._now is None or self._decided:
            return
        self._decided = True
        self.counted = self.record.boot_count != self._starts
        if not self.record.owned:
            self.owner, self._bonded = NO_OWNER, None
        elif self._now.owner is not None:
            self.owner, self._bonded = self._now.owner, None

    def _write_owner(self, work: Work) -> FlashOp:
        copy, number = OWNER_STEPS.index(work.step), self.record.owners
        if not self._owners.is_blank(copy, number):
            return self._wipe(copy, number & 1)
        self._taken = work
        return FlashOp(self._owners.region(copy, number).address(0), work.data)

    def _put_back(self) -> None:
        """What is urgent goes before a new owner whom no record names yet; he is written anew after it."""
        assert self._now is not None
        urgent = [each for each in self._queue if each.urgent]
        later = self._now
        for each in urgent:
            later = later._replace(changes=_caught_up(later, each.changes))
        self._queue = deque([*urgent, later, *(each for each in self._queue if not each.urgent)])
        self._works.clear()
        self._now, self.record, self._tries = None, self._before, 0

    def _wipe(self, copy: int, odd: int) -> FlashOp:
        self._taken = Work(Step.WIPE, bytes([copy, odd]))
        return FlashOp(sector_of(self._owners.region(copy, odd).address(0)), b"")

    def _mend(self, copy: int, record: OwnerRecord) -> FlashOp:
        if not self._owners.is_blank(copy, record.number):
            return self._wipe(copy, record.number & 1)
        region = self._owners.region(copy, record.number)
        self._taken = Work(MEND_STEPS[copy], pack(record, region.slot_bytes))
        return FlashOp(region.address(0), self._taken.data)

    def _erase_ahead(self) -> FlashOp | None:
        """While there is nothing else to do, so that no transaction has to wait for it."""
        for ring in self._rings:
            if ring.needs_erase():
                return self._erase(ring)
        stale = self._owners.stale(owner_number(self.record))
        if stale is not None:
            return self._wipe(*stale)
        wanted = self._bonded or self.owner
        behind = self._owners.behind(wanted, self.owner) if wanted.owned else None
        if behind is not None:
            return self._mend(behind, wanted)
        self._quiet = True
        return None


def _newest_calibration(flash: bytes) -> CalibrationRecord | None:
    """What is in the last slot written of the two copies; None where neither is sound, whatever lies before it."""
    copies = (CALIBRATION_A, CALIBRATION_B)
    written = [slot for region in copies for slot in range(region.slots) if not region.is_blank(flash, slot)]
    if not written:
        return NO_CALIBRATION
    return next(filter(None, (unpack(CalibrationRecord, r.slot(flash, max(written))) for r in copies)), None)


def _caught_up(waiting: Transaction, newer: dict[str, Any]) -> dict[str, Any]:
    """The changes of a transaction that waits, with how things stand now; what it is about stays its own."""
    return waiting.changes | {name: value for name, value in newer.items() if name not in waiting.own}


def owner_number(record: StateRecord) -> int:
    """The number of the owner whom a state record names, 0 for none."""
    return record.owners if record.owned else 0


def record_owner(entry: Entry, record: StateRecord) -> int:
    """Whose a history record is (SR-OWN-1): his who opened the session that it tells of, else the newest owner's.

    So what ends an earlier owner's session only now is his as well. A symptom is his who has the pen when it is said.
    """
    session_id = 0 if isinstance(entry, SymptomEntry) else getattr(entry, "session_id", 0)
    return record.session_owner if session_id and session_id == record.session_id else record.owners


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
