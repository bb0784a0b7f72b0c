"""The store: transactions of one deciding write, power cuts at every operation, and stores that can't be believed."""

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history import check_chain, origin
from dermalink_protocol.history_entries import FaultCleared, HeadUsed, SessionAdoptedEntry
from dermalink_simulator.firmware.flash_layout import (
    FACTORY_A,
    FACTORY_B,
    FACTORY_NEW,
    FORMAT,
    HISTORY,
    LAYOUTS,
    LEDGER,
    OWNER_A,
    OWNER_B,
    SETUP_A,
    SETUP_B,
    STATE_A,
    STATE_B,
    FactoryRecord,
    SetupRecord,
    StateRecord,
    factory_flash,
    pack,
    unpack,
)
from dermalink_simulator.firmware.flash_store import FlashStore, Transaction
from dermalink_simulator.firmware.owner_record import OwnerRecord
from dermalink_simulator.seam import FLASH_BYTES
from tests.unit.firmware.flash_chip import FACTORY, Chip, PowerCut

HEAD = {"head_tag_id": b"HEAD0001", "head_sessions": 1, "head_session_id": 1}


def begun(number: int) -> Transaction:
    """What the begin of a pass writes, as transaction `number`."""
    used = HeadUsed(session_id=1, tag_id=b"HEAD0001", sessions_used=1)
    changes = HEAD | {"wait_s": number, "head_strokes": 10 * number}
    return Transaction(number, changes, (used, SessionAdoptedEntry(session_id=number)), to_ledger=True)


def sound(store: FlashStore) -> bool:
    return store.trouble is Reason.NONE and not check_chain(store.history.records, origin(store.factory.serial_number))


def test_every_slot_has_room_for_its_record() -> None:
    assert LAYOUTS[FactoryRecord].size <= FACTORY_A.slot_bytes - 4
    assert LAYOUTS[StateRecord].size <= STATE_A.slot_bytes - 4
    assert LAYOUTS[SetupRecord].size <= SETUP_A.slot_bytes - 4
    assert LAYOUTS[OwnerRecord].size <= OWNER_A[0].slot_bytes - 4
    regions = sorted((FACTORY_A, SETUP_A, FACTORY_B, SETUP_B, STATE_A, STATE_B, LEDGER, HISTORY, *OWNER_A, *OWNER_B))
    for region, after in zip(regions, [*regions[1:], None], strict=True):
        assert region.address(region.slots) <= (after.start if after else FLASH_BYTES)


@pytest.mark.sr("SR-RST-2", side="pen")
def test_a_factory_new_pen_is_marked_so_and_may_work() -> None:
    store = Chip().boot()
    assert sound(store)
    assert (store.record.sequence, store.record.boot_count, len(store.ledger)) == (1, 0, 0)
    assert store.factory.serial_number == b"DL-TEST".ljust(16, b"\0")


@pytest.mark.parametrize("serial", ["", "x" * 17])
def test_a_serial_number_has_to_fit(serial: str) -> None:
    with pytest.raises(ValueError, match="1 to 16"):
        factory_flash(serial)


@pytest.mark.sr("SR-RST-2", side="pen")
@pytest.mark.parametrize(
    "cells",
    [
        b"\xff" * FLASH_BYTES,
        b"\0" * FLASH_BYTES,
        FACTORY[:0x2000] + b"\xff" * (FLASH_BYTES - 0x2000),
        b"\xff" * 0x2000 + FACTORY[0x2000:],
        FACTORY[:0x2000] + b"\0" * 0x20000 + FACTORY[0x22000:],
    ],
    ids=["blank", "dead", "no state", "no identity", "state overwritten"],
)
def test_a_blank_or_unreadable_store_is_not_an_empty_one(cells: bytes) -> None:
    store = Chip(cells).boot()
    assert store.trouble is Reason.STORE_UNREADABLE
    store.submit(Transaction(1, {}))
    assert store.next() is None


@pytest.mark.sr("SR-RST-2", side="pen")
@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1])
def test_another_format_is_not_read_as_this_one(other: int) -> None:
    cells = bytearray(FACTORY)
    of_another = pack(FACTORY_NEW._replace(format=other, sequence=9), STATE_A.slot_bytes)
    cells[STATE_A.address(1) : STATE_A.address(2)] = of_another
    assert Chip(bytes(cells)).boot().trouble is Reason.STORE_UNREADABLE


def test_transactions_are_all_there_after_many_times_round_the_ring() -> None:
    chip = Chip()
    store = chip.boot()
    for number in range(1, 400):
        store.submit(begun(number))
        assert chip.write_out(store) == [(number, True)]
    again = chip.boot()
    assert sound(again)
    assert again.record == store.record
    assert again.history.records == store.history.records
    assert again.ledger.find(b"HEAD0001").strokes == 3_990


@pytest.mark.sr("SR-LOG-1", "SR-CART-1", "SR-PASS-3", side="pen")
@pytest.mark.parametrize("share", [0, 1, 128, 255, 256])
@pytest.mark.parametrize("cut_at", range(1, 30))
def test_power_cut_at_any_operation_leaves_all_or_nothing_and_nothing_confirmed_is_lost(
    cut_at: int, share: int
) -> None:
    chip = Chip()
    store = chip.boot()
    chip.cut_at, chip.share = cut_at, share
    confirmed = 0
    try:
        for number in range(1, 9):
            store.submit(begun(number))
            for token, ok in chip.write_out(store):
                assert ok
                confirmed = token
    except PowerCut:
        pass
    chip.cut_at = None
    again = chip.boot()
    assert again.trouble is Reason.NONE
    chip.write_out(again)
    for booted in (again, chip.boot()):
        assert sound(booted)
        number = booted.record.wait_s
        assert confirmed <= number <= confirmed + 1
        assert booted.record.history_number == len(booted.history.records) == 2 * number
        assert booted.ledger.find(b"HEAD0001").strokes == 10 * number


@pytest.mark.sr("SR-SYM-1", "SR-RST-1", side="pen")
def test_what_is_urgent_is_written_before_all_that_waits_and_stays_so() -> None:
    chip = Chip()
    store = chip.boot()
    for number in range(1, 9):
        how_it_stood = {"wait_s": number, "lock_s": 0, "fault": int(Reason.NONE), "session_id": 1}
        store.submit(Transaction(number, how_it_stood, own=frozenset({"wait_s"})))
    for token in (10, 11):
        how_it_stands = {"wait_s": 99, "lock_s": token, "fault": int(Reason.WATCHDOG), "session_id": 2}
        store.submit(Transaction(token, how_it_stands, urgent=True))
    written: list[int] = []
    while len(written) < 10:
        op = store.next()
        assert op is not None
        ended = store.done(chip.do(op))
        if ended is not None:
            written.append(ended[0])
            record = chip.boot().record
            assert (record.lock_s, record.fault, record.session_id) == (11, Reason.WATCHDOG, 2)
    assert written == [10, 11, *range(1, 9)]
    assert chip.boot().record.wait_s == 8


@pytest.mark.sr("SR-LOG-1", side="pen")
@pytest.mark.parametrize("first", range(1, 12))
@pytest.mark.parametrize("second", [1, 2, 3, 4])
def test_a_second_cut_in_the_recovery_changes_nothing(first: int, second: int) -> None:
    chip = Chip()
    store = chip.boot()
    chip.cut_at = first
    for number in range(1, 9):
        store.submit(begun(number))
    with pytest.raises(PowerCut):
        chip.write_out(store)
    chip.operations, chip.cut_at = 0, second
    again = chip.boot()
    again.submit(Transaction(0, {"boot_count": 1}, (FaultCleared(fault=Reason.WATCHDOG),)))
    try:
        chip.write_out(again)
    except PowerCut:
        chip.cut_at = None
        again = chip.boot()
        assert again.trouble is Reason.NONE
        chip.write_out(again)
    assert sound(chip.boot())


def test_a_write_that_fails_is_tried_again_in_the_next_slot() -> None:
    chip = Chip()
    store = chip.boot()
    chip.failing = {1, 3, 5}
    store.submit(begun(1))
    assert chip.write_out(store) == [(1, True)]
    again = chip.boot()
    assert sound(again)
    assert again.record.wait_s == 1


@pytest.mark.sr("SR-CART-1", side="pen")
def test_a_write_that_keeps_failing_is_reported_as_failed() -> None:
    chip = Chip()
    store = chip.boot()
    chip.failing = set(range(1, 4))
    store.submit(begun(1))
    assert chip.write_out(store) == [(1, False)]
    assert chip.boot().record.wait_s == 0


@pytest.mark.sr("SR-LOG-1", side="pen")
@pytest.mark.parametrize("slot", [0, 2, 3])
def test_a_flipped_byte_in_the_history_is_found(slot: int) -> None:
    chip = Chip()
    store = chip.boot()
    for number in range(1, 4):
        store.submit(begun(number))
        chip.write_out(store)
    chip.cells[HISTORY.address(slot) + 20] ^= 1
    booted = chip.boot()
    assert booted.trouble is Reason.HISTORY_BROKEN
    assert booted.history.first_hole


def test_the_newest_records_are_written_again_from_the_state_that_brought_them() -> None:
    chip = Chip()
    store = chip.boot()
    store.submit(begun(1))
    chip.write_out(store)
    for slot in (0, 1):
        chip.cells[HISTORY.address(slot) + 20] ^= 1
    again = chip.boot()
    chip.write_out(again)
    assert sound(again)
    assert chip.boot().history.records == store.history.records


@pytest.mark.sr("SR-LOG-1", side="pen")
def test_a_history_cut_at_a_records_end_is_found() -> None:
    chip = Chip()
    store = chip.boot()
    for number in range(1, 4):
        store.submit(begun(number))
        chip.write_out(store)
    start = HISTORY.address(2)
    chip.cells[start : HISTORY.address(6)] = b"\xff" * (HISTORY.address(6) - start)
    assert chip.boot().trouble is Reason.HISTORY_BROKEN


@pytest.mark.sr("SR-CART-1", "SR-RST-2", side="pen")
def test_a_head_lost_from_the_ledger_is_found() -> None:
    chip = Chip()
    store = chip.boot()
    for number in range(1, 4):
        store.submit(begun(number))
        chip.write_out(store)
    chip.cells[LEDGER.address(1) : LEDGER.address(2)] = b"\0" * LEDGER.slot_bytes
    assert chip.boot().trouble is Reason.STORE_UNREADABLE


def test_one_copy_of_the_state_is_enough() -> None:
    chip = Chip()
    store = chip.boot()
    store.submit(begun(1))
    chip.write_out(store)
    for region in (STATE_A, STATE_B):
        spoilt = Chip(bytes(chip.cells))
        spoilt.cells[region.address(1) + 9] ^= 4
        assert spoilt.boot().record == store.record


@pytest.mark.sr("SR-RST-2", side="pen")
def test_full_means_refused() -> None:
    store = Chip().boot()
    store.history.slots = HISTORY.slots - 3
    assert not store.submit(begun(1))
    store.history.slots, store.ledger.slots = 0, LEDGER.slots - 1
    assert not store.submit(begun(1))


def test_a_record_comes_back_as_it_was_written() -> None:
    record = FACTORY_NEW._replace(sequence=77, head_tag_id=b"abcdefgh", wait_s=1_209_600)
    slot = pack(record, STATE_A.slot_bytes)
    assert unpack(StateRecord, slot) == record
    assert unpack(StateRecord, slot[:-1] + b"\0") is None
