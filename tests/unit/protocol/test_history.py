"""The history's chain: whatever is done to it is found (SR-LOG-1)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.codewords import RecordKind
from dermalink_protocol.errors import BrokenRecord, OutOfRange, ProtocolError
from dermalink_protocol.generate.examples import good_ones
from dermalink_protocol.history import (
    HIDDEN_BYTES,
    NUMBER_MAX,
    RECORD_BYTES_MIN,
    Anchor,
    HiddenRecord,
    check_chain,
    decode_record,
    encode_record,
    hide,
    origin,
    read_record,
)
from dermalink_protocol.history_entries import BLIND_BYTES, ENTRY_BYTES_MAX, Entry, RefusedCount
from dermalink_protocol.limits import RECORD_BYTES_MAX
from tests.unit.protocol.strategies import records_of

START = origin(b"DL-1")
BLIND = bytes(range(BLIND_BYTES))
entries = st.sampled_from(list(Entry.by_kind.values())).flatmap(records_of)
times = st.integers(0, 0xFFFF_FFFF)


def blind(number: int) -> bytes:
    """What stands for chance."""
    return bytes([number & 0xFF]) * BLIND_BYTES


def chain(told: list[Entry]) -> tuple[list[bytes], Anchor]:
    records, last = [], START
    for entry in told:
        record, last = encode_record(last, entry, owner=1, run_s=last.number, utc_s=0, blind=blind(last.number))
        records.append(record)
    return records, last


POOL = [cls.decode(good.payload) for cls in Entry.by_kind.values() for good in good_ones(cls)]
chains = st.lists(st.sampled_from(POOL), min_size=2, max_size=6).map(chain)


def test_every_kind_has_its_entry_and_fits() -> None:
    assert set(Entry.by_kind) == set(RecordKind)
    assert RECORD_BYTES_MIN + ENTRY_BYTES_MAX == RECORD_BYTES_MAX


@given(entries, times, times, times)
def test_encode_then_decode_is_the_identity(entry: Entry, owner: int, run_s: int, utc_s: int) -> None:
    data, anchor = encode_record(START, entry, owner=owner, run_s=run_s, utc_s=utc_s, blind=BLIND)
    record = decode_record(data)
    assert (record.entry(), record.owner, record.run_s, record.utc_s) == (entry, owner, run_s, utc_s)
    assert (record.anchor, record.previous, record.blind) == (anchor, START.hash, BLIND)
    assert len(data) <= RECORD_BYTES_MAX


@given(st.binary(max_size=RECORD_BYTES_MAX + 1))
def test_any_bytes_give_a_record_or_a_typed_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_record(data).entry()


@pytest.mark.sr("SR-LOG-1")
@given(chains)
def test_a_sound_chain_has_no_flaw(made: tuple[list[bytes], Anchor]) -> None:
    records, last = made
    assert check_chain(records, START, [last]) == []
    middle = decode_record(records[0]).anchor
    assert check_chain(records[1:], middle, [last, middle]) == []


@pytest.mark.sr("SR-LOG-1")
@given(chains, st.data())
def test_any_flipped_bit_is_found(made: tuple[list[bytes], Anchor], data: st.DataObject) -> None:
    records, last = made
    hit = data.draw(st.integers(0, len(records) - 1))
    spoilt = bytearray(records[hit])
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    records = [*records[:hit], bytes(spoilt), *records[hit + 1 :]]
    assert check_chain(records, START, [last])


def drop(records: list[bytes], at: int) -> list[bytes]:
    return records[:at] + records[at + 1 :]


def double(records: list[bytes], at: int) -> list[bytes]:
    return [*records[: at + 1], *records[at:]]


def end_before(records: list[bytes], at: int) -> list[bytes]:
    return records[:at]


def cut_short(records: list[bytes], at: int) -> list[bytes]:
    return [*records[:at], records[at][:-1], *records[at + 1 :]]


def tell_anew(records: list[bytes], at: int) -> list[bytes]:
    """A sound record with other contents in the place of the old one."""
    before = decode_record(records[at - 1]).anchor if at else START
    entry = RefusedCount(refusals=7, opcode=7, reason=RefusedCount.decode(bytes([0, 0, 0, 0, 0, 0, 0x4D, 0xF6])).reason)
    anew = encode_record(before, entry, owner=1, run_s=99, utc_s=99, blind=BLIND)[0]
    return [*records[:at], anew, *records[at + 1 :]]


@pytest.mark.sr("SR-LOG-1")
@pytest.mark.parametrize("harm", [drop, double, end_before, cut_short, tell_anew])
@given(made=chains, data=st.data())
def test_any_harm_is_found(
    harm: Callable[[list[bytes], int], list[bytes]], made: tuple[list[bytes], Anchor], data: st.DataObject
) -> None:
    records, last = made
    harmed = harm(records, data.draw(st.integers(0, len(records) - 1)))
    assert check_chain(harmed, START, [last])


@pytest.mark.sr("SR-LOG-1")
@given(chains)
def test_another_pens_chain_is_no_chain_of_this_one(made: tuple[list[bytes], Anchor]) -> None:
    assert check_chain(made[0], origin(b"DL-2"))


@pytest.mark.sr("SR-LOG-1")
@given(chains)
def test_an_old_copy_put_back_is_found_by_what_the_other_side_keeps(made: tuple[list[bytes], Anchor]) -> None:
    records, last = made
    assert check_chain(records[:-1], START) == []
    (damage,) = check_chain(records[:-1], START, [last])
    assert str(damage) == f"record {last.number}: missing from the end"


def test_a_record_that_others_knew_is_held_against_the_start_too() -> None:
    assert check_chain([], START, [Anchor(0, bytes(32))])


def test_numbers_end_before_they_wrap() -> None:
    entry = RefusedCount.decode(bytes([0, 0, 0, 0, 0, 0, 0x4D, 0xF6]))
    _, last = encode_record(Anchor(0xFFFF_FFFE, bytes(32)), entry, owner=0, run_s=0, utc_s=0, blind=BLIND)
    assert last.number == NUMBER_MAX == 0xFFFF_FFFF
    with pytest.raises(OutOfRange):
        encode_record(last, entry, owner=0, run_s=0, utc_s=0, blind=BLIND)


# What an earlier owner's record is told as


def hidden(record: bytes) -> bytes:
    return hide(decode_record(record))


@pytest.mark.sr("SR-OWN-1", "SR-LOG-1", side="pen")
@given(chains, st.data())
def test_a_chain_verifies_whichever_of_its_records_are_hidden(
    made: tuple[list[bytes], Anchor], data: st.DataObject
) -> None:
    records, last = made
    hide_it = data.draw(st.lists(st.booleans(), min_size=len(records), max_size=len(records)))
    told = [hidden(record) if hides else record for record, hides in zip(records, hide_it, strict=True)]
    known = [decode_record(record).anchor for record in records]
    assert check_chain(told, START, known) == []
    assert [read_record(each).anchor for each in told] == known
    assert known[-1] == last


@pytest.mark.sr("SR-LOG-1")
@pytest.mark.parametrize("harm", [drop, double, end_before, cut_short, tell_anew])
@given(made=chains, data=st.data())
def test_any_harm_is_found_in_hidden_records_too(
    harm: Callable[[list[bytes], int], list[bytes]], made: tuple[list[bytes], Anchor], data: st.DataObject
) -> None:
    records, last = made
    at = data.draw(st.integers(0, len(records) - 1))
    if harm is tell_anew:
        told = [hidden(record) for record in harm(records, at)]
    else:
        told = harm([hidden(record) for record in records], at)
    assert check_chain(told, START, [last])


@pytest.mark.sr("SR-LOG-1")
@given(chains, st.data())
def test_any_flipped_bit_of_a_hidden_record_is_found(made: tuple[list[bytes], Anchor], data: st.DataObject) -> None:
    records, last = made
    told = [hidden(record) for record in records]
    hit = data.draw(st.integers(0, len(told) - 1))
    spoilt = bytearray(told[hit])
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert check_chain([*told[:hit], bytes(spoilt), *told[hit + 1 :]], START, [last])


@pytest.mark.sr("SR-OWN-1", side="pen")
@given(entries, times, times)
def test_a_hidden_record_holds_nothing_of_what_the_whole_one_tells(entry: Entry, run_s: int, utc_s: int) -> None:
    told = encode_record(START, entry, owner=1, run_s=run_s, utc_s=utc_s, blind=BLIND)[0]
    same = encode_record(START, entry, owner=1, run_s=run_s, utc_s=utc_s, blind=blind(7))[0]
    seen, other = read_record(hidden(told)), read_record(hidden(same))
    assert isinstance(seen, HiddenRecord)
    assert isinstance(other, HiddenRecord)
    assert len(hidden(told)) == HIDDEN_BYTES
    assert seen.commitment != other.commitment, "who tries contents needs the blind as well"
    assert BLIND not in hidden(told)
    with pytest.raises(BrokenRecord, match="earlier owner"):
        decode_record(hidden(told))


@pytest.mark.parametrize("size", [0, BLIND_BYTES - 1, BLIND_BYTES + 1])
def test_a_blind_has_its_length(size: int) -> None:
    with pytest.raises(OutOfRange):
        encode_record(START, POOL[0], owner=1, run_s=0, utc_s=0, blind=bytes(size))
