"""The history's records and chains against their golden records."""

import pytest

from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.history import (
    Anchor,
    HiddenRecord,
    Record,
    check_chain,
    decode_record,
    encode_record,
    hide,
    origin,
    read_record,
)
from dermalink_protocol.history_entries import Entry
from tests.vectors.golden import Line, bad, built, good, load, name_of

LINES = load("history.jsonl")
BY_NAME = {cls.__name__: cls for cls in Entry.by_kind.values()}


def read(line: Line) -> Record:
    return decode_record(bytes.fromhex(line["record"]))


def test_every_kind_of_entry_has_a_good_and_a_bad_record() -> None:
    for lines in (good(LINES, "entry"), bad(LINES, "entry")):
        assert {line["entry"] for line in lines} >= set(BY_NAME)


@pytest.mark.parametrize("line", good(LINES, "entry"), ids=name_of)
def test_good_records_both_ways(line: Line) -> None:
    record = read(line)
    entry = built(BY_NAME[line["entry"]], line["fields"])
    assert isinstance(entry, Entry)
    assert record.entry() == entry
    before = Anchor(record.number - 1, record.previous)
    again, anchor = encode_record(
        before, entry, owner=record.owner, run_s=record.run_s, utc_s=record.utc_s, blind=record.blind
    )
    assert again.hex() == line["record"]
    assert anchor == record.anchor


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("line", good(LINES, "entry"), ids=name_of)
def test_good_records_hidden(line: Line) -> None:
    record = read(line)
    assert hide(record).hex() == line["hidden"]
    hidden = read_record(bytes.fromhex(line["hidden"]))
    assert isinstance(hidden, HiddenRecord)
    assert (hidden.anchor, hidden.previous) == (record.anchor, record.previous)


def test_the_good_records_are_one_chain() -> None:
    lines = good(LINES, "entry")
    records = [bytes.fromhex(line["record"]) for line in lines]
    start = origin(bytes.fromhex(lines[0]["serial_number"]))
    assert check_chain(records, start, [read(lines[-1]).anchor]) == []


@pytest.mark.sr("SR-LOG-1")
@pytest.mark.parametrize("line", bad(LINES, "entry"), ids=name_of)
def test_bad_records_get_their_exact_answer(line: Line) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(line).entry()
    assert (type(caught.value).__name__, caught.value.reason.name) == (line["error"], line["reason"])


@pytest.mark.sr("SR-LOG-1")
@pytest.mark.parametrize("line", [line for line in LINES if "records" in line], ids=name_of)
def test_flaws_of_a_chain_are_found_and_named(line: Line) -> None:
    records = [bytes.fromhex(data) for data in line["records"]]
    known = [Anchor(number, bytes.fromhex(data)) for number, data in line["known"]]
    damages = check_chain(records, origin(bytes.fromhex(line["serial_number"])), known)
    assert [[damage.flaw.name, damage.first, damage.last] for damage in damages] == line["damages"]
