"""The owner in the flash: power cuts at every operation of pairing, hand-over and release, bad writes, urgent ones."""

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history import check_chain, origin
from dermalink_protocol.history_entries import OwnerPairedEntry, OwnerReleasedEntry
from dermalink_simulator.firmware.flash_layout import OWNER_A, OWNER_B, SetupRecord, factory_flash, pack
from dermalink_simulator.firmware.flash_store import TRIES, FlashStore, Transaction
from dermalink_simulator.firmware.owner_record import NO_BOND, NO_OWNER, OwnerRecord
from tests.unit.firmware.flash_chip import Chip, PowerCut

OWN = frozenset({"owners", "owned", "wrong_codes"})
URGENT = 90


def owner(number: int) -> OwnerRecord:
    return OwnerRecord(number, *(bytes([number, at]) * 16 for at in range(3)))


def paired(number: int) -> Transaction:
    """What the end of the pairing of owner `number` writes."""
    entry = OwnerPairedEntry(
        owner_number=number,
        host_key_hash=bytes(8),
        before=int(number > 1),
        wrong_codes=1,
        firmware_version=0x100,
        calibration_id=1,
    )
    changes = {"owners": number, "owned": 1, "wrong_codes": 0}
    return Transaction(number, changes, (entry,), own=OWN, owner=owner(number))


def released(number: int) -> Transaction:
    """What the release of owner `number` writes."""
    return Transaction(10 + number, {"owned": 0}, (OwnerReleasedEntry(owner_number=number),), own=OWN)


# An owner, a hand-over, a release, a new owner; with who it is after each.
LIFE = ((paired(1), 1), (paired(2), 2), (released(2), 0), (paired(3), 3))


def sound(store: FlashStore) -> bool:
    return store.trouble is Reason.NONE and not check_chain(store.history.records, origin(store.factory.serial_number))


def live(chip: Chip) -> tuple[list[int], bool]:
    """Everything in `LIFE`, one after the other; who had been confirmed, and whether power stayed."""
    store, confirmed = chip.boot(), [0]
    try:
        for transaction, who in LIFE:
            assert store.submit(transaction)
            assert chip.write_out(store) == [(transaction.token, True)]
            confirmed.append(who)
            assert store.owner == (owner(who) if who else NO_OWNER)
    except PowerCut:
        return confirmed, False
    return confirmed, True


def operations() -> int:
    chip = Chip()
    assert live(chip)[1]
    return chip.operations


OPERATIONS = operations()


def check(chip: Chip, confirmed: list[int]) -> None:
    """The owner is the one who was confirmed, or the next, whole; history and owner tell the same."""
    store = chip.boot()
    assert store.trouble is Reason.NONE
    ahead = [0, 1, 2, 0, 3][len(confirmed) - 1 : len(confirmed) + 1]
    assert store.owner.number in ahead
    assert store.owner == (owner(store.owner.number) if store.owner.owned else NO_OWNER)
    before = store.owner
    chip.write_out(store)
    again = chip.boot()
    for each in (store, again):
        assert sound(each)
        assert each.owner == before
        happened = {0: {0: 0, 3: 3}.get(each.record.owners, 0), 1: 1, 2: 2, 3: 4}[before.number]
        if before == NO_OWNER and each.record.owners == 2:
            happened = 3
        assert len(each.history.records) == each.record.history_number == happened


def test_a_life_has_operations_that_can_be_cut() -> None:
    assert OPERATIONS > 20


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("share", [0, 1, 128, 255, 256])
@pytest.mark.parametrize("cut_at", range(1, OPERATIONS + 1))
def test_power_cut_at_any_operation_leaves_the_old_owner_or_the_new_one_whole(cut_at: int, share: int) -> None:
    chip = Chip()
    chip.cut_at, chip.share = cut_at, share
    confirmed, finished = live(chip)
    assert not finished or cut_at > OPERATIONS
    chip.cut_at = None
    check(chip, confirmed)


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("second", range(1, 9))
@pytest.mark.parametrize("first", range(1, OPERATIONS + 1))
def test_a_second_cut_in_the_recovery_changes_nothing(first: int, second: int) -> None:
    chip = Chip()
    chip.cut_at = first
    confirmed, _ = live(chip)
    chip.operations, chip.cut_at = 0, second
    store = chip.boot()
    store.submit(Transaction(0, {"boot_count": 1}))
    try:
        chip.write_out(store)
    except PowerCut:
        chip.cut_at = None
    check(chip, confirmed)


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("cut_at", range(1, OPERATIONS + 1))
def test_after_any_cut_a_new_owner_can_be_paired(cut_at: int) -> None:
    chip = Chip()
    chip.cut_at = cut_at
    live(chip)
    chip.cut_at = None
    store = chip.boot()
    number = store.record.owners + 1
    store.submit(paired(number))
    assert chip.write_out(store) == [(number, True)]
    assert chip.boot().owner == owner(number)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_nothing_of_an_earlier_owner_stays_in_the_flash() -> None:
    chip = Chip()
    live(chip)
    for gone in (owner(1), owner(2)):
        assert gone.pen_private not in chip.cells
        assert gone.host_public not in chip.cells
    assert bytes(chip.cells).count(owner(3).pen_private) == 2


@pytest.mark.sr("SR-OWN-1", "SR-RST-2", side="pen")
def test_one_sound_copy_is_enough_and_an_owner_who_cannot_be_read_is_not_none() -> None:
    chip = Chip()
    store = chip.boot()
    store.submit(paired(1))
    chip.write_out(store)
    for copies, trouble in ((OWNER_A[1:], Reason.NONE), (OWNER_B[1:], Reason.STORE_UNREADABLE)):
        chip.cells[copies[0].start + 5] ^= 1
        assert chip.boot().trouble is trouble


def test_a_state_that_names_another_owner_than_the_slot_holds_is_not_believed() -> None:
    chip = Chip()
    store = chip.boot()
    store.submit(paired(1))
    chip.write_out(store)
    for copy in (OWNER_A, OWNER_B):
        slot = copy[1]
        chip.cells[slot.start : slot.start + slot.slot_bytes] = pack(owner(3), slot.slot_bytes)
    assert chip.boot().trouble is Reason.STORE_UNREADABLE


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_an_owner_who_can_not_be_written_is_none_and_no_later_record_names_him() -> None:
    chip = Chip()
    store = chip.boot()
    chip.failing = set(range(1, 40))
    store.submit(paired(1))
    assert chip.write_out(store) == [(1, False)]
    chip.failing = set()
    store.submit(Transaction(2, {"boot_count": 1}))
    assert chip.write_out(store) == [(2, True)]
    again = chip.boot()
    assert again.trouble is Reason.NONE
    assert store.owner == again.owner == NO_OWNER
    store.submit(paired(1))
    assert chip.write_out(store) == [(1, True)]
    assert chip.boot().owner == owner(1)


def test_a_write_of_an_owner_that_fails_is_tried_again_on_an_erased_slot() -> None:
    chip = Chip()
    store = chip.boot()
    chip.failing = {1, 5}
    store.submit(paired(1))
    assert chip.write_out(store) == [(1, True)]
    assert chip.boot().owner == owner(1)


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("after", range(5))
def test_what_is_urgent_waits_for_one_operation_of_a_pairing_at_most_until_that_is_decided(after: int) -> None:
    chip = Chip()
    store = chip.boot()
    store.submit(paired(1))
    for _ in range(after):
        op = store.next()
        assert op is not None
        store.done(chip.do(op))
    store.submit(Transaction(URGENT, {"lock_s": 7, "wrong_codes": 3}, urgent=True))
    order = chip.write_out(store)
    decided_first = after >= 2  # then it is as any other: its deciding write comes next
    assert order == ([(1, True), (URGENT, True)] if decided_first else [(URGENT, True), (1, True)])
    again = chip.boot()
    assert sound(again)
    assert again.owner == owner(1)
    assert again.record.lock_s == 7


def test_what_the_maker_wrote_instead_of_the_code_is_read_from_either_copy() -> None:
    setup = SetupRecord.of(1_000, b"salt" * 4, bytes(range(97)))
    chip = Chip(factory_flash("DL-TEST", setup=setup))
    assert chip.boot().setup == setup
    assert repr(setup) == "SetupRecord(not shown)"
    chip.cells[0x000100] ^= 1
    assert chip.boot().setup == setup
    chip.cells[0x001100] ^= 1
    assert chip.boot().setup is None
    assert Chip().boot().setup is None


def test_no_key_stands_in_the_repr_of_a_write() -> None:
    chip = Chip()
    store = chip.boot()
    assert store.submit(paired(1))
    operation = store.next()
    assert operation is not None
    for shown in (operation, store._works, store._taken, store._now, owner(1)._replace(bond=BOND)):
        assert "not shown" in repr(shown)
        assert repr(owner(1).pen_private)[2:-1] not in repr(shown)
        assert repr(BOND)[2:-1] not in repr(shown)


# Bluetooth's own bond, a part of its owner's record

BOND, OTHER_BOND = b"bond" * 4, b"next" * 4


def bonded_chip() -> Chip:
    """A pen with an owner and a bond."""
    chip = Chip()
    store = chip.boot()
    assert store.submit(paired(1))
    chip.write_out(store)
    store.keep_bond(BOND)
    chip.write_out(store)
    assert store.owner == chip.boot().owner == owner(1)._replace(bond=BOND)
    chip.operations = 0
    return chip


def bond_anew(chip: Chip) -> bool:
    """Keep another bond; whether power stayed."""
    store = chip.boot()
    store.keep_bond(OTHER_BOND)
    try:
        chip.write_out(store)
    except PowerCut:
        return False
    return True


def bond_operations() -> int:
    chip = bonded_chip()
    assert bond_anew(chip)
    return chip.operations


BOND_OPERATIONS = bond_operations()


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("share", [0, 1, 128, 255, 256])
@pytest.mark.parametrize("cut_at", range(1, BOND_OPERATIONS + 1))
def test_power_cut_at_any_operation_of_a_bond_leaves_the_old_one_or_the_new_one_and_its_owner(
    cut_at: int, share: int
) -> None:
    chip = bonded_chip()
    chip.cut_at, chip.share = cut_at, share
    assert not bond_anew(chip)
    chip.cut_at = None
    store = chip.boot()
    assert sound(store)
    assert store.owner in (owner(1)._replace(bond=BOND), owner(1)._replace(bond=OTHER_BOND))
    before = store.owner
    chip.write_out(store)
    assert store.owner == chip.boot().owner == before
    assert bytes(chip.cells).count(before.bond) == 2  # both copies again
    assert bond_anew(chip)
    assert chip.boot().owner == owner(1)._replace(bond=OTHER_BOND)
    assert bytes(chip.cells).count(BOND) == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("second", range(1, 6))
@pytest.mark.parametrize("first", range(1, BOND_OPERATIONS + 1))
def test_a_second_cut_in_the_mending_of_a_bond_loses_no_owner(first: int, second: int) -> None:
    chip = bonded_chip()
    chip.cut_at = first
    bond_anew(chip)
    chip.operations, chip.cut_at = 0, second
    bond_anew(chip)
    chip.cut_at = None
    store = chip.boot()
    assert store.owner in (owner(1)._replace(bond=BOND), owner(1)._replace(bond=OTHER_BOND))


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("transaction", [paired(2), released(1)])
def test_a_bond_goes_with_its_owner(transaction: Transaction) -> None:
    chip = bonded_chip()
    store = chip.boot()
    store.keep_bond(OTHER_BOND)  # whether it was written by then or not
    store.submit(transaction)
    chip.write_out(store)
    assert store.owner.bond == chip.boot().owner.bond == NO_BOND
    assert bytes(chip.cells).count(BOND) == bytes(chip.cells).count(OTHER_BOND) == 0


def test_a_bond_that_is_kept_already_is_not_written_again_and_one_without_an_owner_never() -> None:
    chip = bonded_chip()
    store = chip.boot()
    store.keep_bond(BOND)
    chip.write_out(store)
    assert chip.operations == 0
    blank = Chip()
    store = blank.boot()
    store.keep_bond(BOND)
    blank.write_out(store)
    assert blank.operations == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_bond_that_can_not_be_written_leaves_the_old_one_and_its_owner() -> None:
    chip = bonded_chip()
    chip.failing = set(range(1, 40))
    assert bond_anew(chip)
    chip.failing = set()
    assert chip.boot().owner == owner(1)._replace(bond=BOND)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_where_one_copy_alone_is_sound_the_other_one_is_written_first() -> None:
    chip = bonded_chip()
    chip.cells[OWNER_B[1].start + 5] ^= 1
    store = chip.boot()
    store.keep_bond(OTHER_BOND)
    operation = store.next()
    assert operation is not None
    assert operation.address == OWNER_B[1].start


def test_what_comes_while_a_bond_fails_to_be_written_is_written_all_the_same() -> None:
    chip = bonded_chip()
    store = chip.boot()
    store.keep_bond(OTHER_BOND)
    for tried in range(TRIES):
        assert store.next() is not None
        if tried == TRIES - 1:
            store.submit(Transaction(URGENT, {"lock_s": 7}, urgent=True))
        store.done(False)
    assert chip.write_out(store) == [(URGENT, True)]


def test_a_record_from_before_there_were_bonds_has_none() -> None:
    chip = Chip()
    store = chip.boot()
    store.submit(paired(1))
    chip.write_out(store)
    for copy in (OWNER_A, OWNER_B):
        slot = copy[1].slot(bytes(chip.cells), 0)
        assert slot[100:124] == b"\xff" * 24  # where such a record was blank
