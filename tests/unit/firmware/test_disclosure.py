"""What a new owner is told of an earlier one's: hashes that hang together, what binds him, and nothing else."""

import struct
from itertools import product

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.history import Anchor, HiddenRecord, Record, check_chain, decode_record, origin, read_record
from dermalink_protocol.history_entries import (
    HeadSeated,
    OwnerPairedEntry,
    SessionClosedEntry,
    SymptomEntry,
)
from dermalink_protocol.pairing.owner_keys import OwnerKeys
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware.core import feed
from dermalink_simulator.firmware.disclosure import told
from dermalink_simulator.firmware.flash_layout import CRC_BYTES, HISTORY, HISTORY_LENGTH, factory_flash, seal
from dermalink_simulator.firmware.identity import FIRMWARE_VERSION
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.profile import profile_named
from dermalink_simulator.therapy.events import Event, EventKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import ON_PAIRING, PairedClient, PairingHost, hold, press
from tests.support.raw_pen import RawClient
from tests.support.sealed_client import inside
from tests.unit.firmware.pens_to_pair import owned_pen

RELEASE_OWNER, OWNER_RELEASED = 0x391B, 0xE692
PAIN, BLEEDING = 1, 2
KEYS = bytes(32), b"\1" + bytes(31)
CLEARS = (Reason.WATCHDOG, Reason.FLASH_FAILED)


def first_owner(pen: SimulatedPen, host: PairingHost) -> PairedClient:
    """Connected, and going on with the ids where the last command left them."""
    client = PairedClient(pen, host.private, host.keys)
    client.connect()
    client.command_id = 1 + struct.unpack_from("<I", client.ask(raw.ON_STATUS, raw.GET_LAST).payload, 8)[0]
    return client


def next_owner(pen: SimulatedPen, name: str = "next") -> PairedClient:
    """Ten seconds of the button, and the code."""
    hold(pen)
    host = PairingHost(pen, name)
    host.pair()
    return first_owner(pen, host)


def session(client: RawClient, *, symptom: int = 0) -> None:
    """A session with a pass in it, closed."""
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    client.pen.hand.lift()
    if symptom:
        client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([symptom]))
    client.live(500)
    client.ask(raw.ON_COMMAND, raw.CLOSE, client.session_id.to_bytes(4, "little") + bytes(36))
    client.pen.advance(2_000)


def used_pen(symptom: int = 0) -> tuple[SimulatedPen, PairedClient]:
    """A pen whose owner has had a session, and he."""
    pen, host = owned_pen()
    client = first_owner(pen, host)
    session(client, symptom=symptom)
    return pen, client


def faulted_pen(reason: Reason = Reason.WATCHDOG) -> SimulatedPen:
    """A pen with a fault in the session of an owner who is gone, its time over."""
    pen, host = owned_pen()
    client = first_owner(pen, host)
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(reason)))
    client.port.close()
    pen.hand.lift()
    pen.advance(1_000)
    pen.advance(inside(pen).state.session_left_ms)
    assert (inside(pen).state.state, inside(pen).state.session_left_ms) == (State.FAULT, 0)
    assert inside(pen).state.session_id
    return pen


def read_all(client: RawClient) -> list[bytes]:
    """The whole history, as it is told."""
    state = client.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE)
    assert state.opcode == raw.HISTORY_STATE, Reason(state.reason)
    last = struct.unpack_from("<I", state.payload, 4)[0]
    asked = (client.ask(raw.ON_RECORDS, raw.GET_HISTORY, struct.pack("<I", n)) for n in range(1, last + 1))
    return [got.payload[4:] for got in asked]


def flash_records(pen: SimulatedPen) -> list[Record]:
    return [decode_record(record) for record in inside(pen).store.history.records]


# Records


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_record_is_told_whole_to_its_owner_and_where_it_is_nobodys_and_to_no_other() -> None:
    pen, _ = used_pen()
    whole = inside(pen).store.history.records
    mine = next(record for record in whole if decode_record(record).owner == 1)
    nobodys = next(record for record in whole if decode_record(record).owner == 0)
    for record, owner in product((mine, nobodys), range(4)):
        seen = read_record(told(record, owner))
        assert isinstance(seen, HiddenRecord) is (record is mine and owner != 1)
        assert seen.anchor == decode_record(record).anchor


@pytest.mark.sr("SR-OWN-1", "SR-LOG-1", side="pen")
@pytest.mark.parametrize("released", [False, True])
def test_the_next_owner_is_told_hashes_of_the_one_before_and_his_own_whole(*, released: bool) -> None:
    pen, client = used_pen(symptom=PAIN)
    kept = client.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE).payload
    known = Anchor(struct.unpack_from("<I", kept, 4)[0], kept[8:40])
    if released:
        assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
        pen.power.cut()
        pen.power.restore()
        pen.advance(1_000)
        press(pen)
        host = PairingHost(pen, "next")
        host.pair()
        following = first_owner(pen, host)
    else:
        following = next_owner(pen)
    records = read_all(following)
    serial = inside(pen).store.factory.serial_number
    assert check_chain(records, origin(serial), [known, inside(pen).store.history.anchor]) == []
    for data, on_flash in zip(records, flash_records(pen), strict=False):
        seen = read_record(data)
        assert isinstance(seen, HiddenRecord) is (on_flash.owner == 1), on_flash.entry()
        assert seen.anchor == on_flash.anchor
    hidden = [record for record in flash_records(pen) if record.owner == 1]
    assert len({record.kind for record in hidden}) >= 8
    heard = b"".join(records)
    assert not any(record.blind in heard for record in hidden)
    assert len({record.blind for record in flash_records(pen)}) == len(flash_records(pen))
    mine = [read_record(data) for data in records]
    first = next(each for each in mine if isinstance(each, Record) and each.owner == 2).entry()
    assert isinstance(first, OwnerPairedEntry)
    assert (first.owner_number, first.firmware_version, first.calibration_id) == (2, FIRMWARE_VERSION, 1)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_an_owner_is_told_his_own_whole_and_what_was_nobodys() -> None:
    pen, client = used_pen()
    assert read_all(client) == inside(pen).store.history.records


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_who_has_the_pen_again_is_another_owner_and_knows_his_records_by_their_hashes() -> None:
    pen, client = used_pen()
    before = [decode_record(data).anchor for data in read_all(client)]
    again = next_owner(pen, "host")
    records = read_all(again)
    assert check_chain(records, origin(inside(pen).store.factory.serial_number), before) == []
    hidden = [read_record(data) for data in records[: len(before)] if isinstance(read_record(data), HiddenRecord)]
    assert len(hidden) == sum(record.owner == 1 for record in flash_records(pen)) > 5


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_blinds_come_from_the_pens_own_key_and_outlive_its_power() -> None:
    made, pens = [], [SimulatedPen(flash=bytearray(factory_flash("DL-1", history_key=key))) for key in KEYS]
    for pen in pens:
        pen.advance(1_000)
        made.append(flash_records(pen)[0])
        pen.power.cut()
        pen.power.restore()
        pen.advance(1_000)
        records = flash_records(pen)
        assert records[0] == made[-1]
        assert len({record.blind for record in records}) == len(records)
    assert made[0].payload[:1] == made[1].payload[:1]
    assert made[0].blind != made[1].blind
    assert str(KEYS[1]) not in repr(inside(pens[1]).store.factory)


@pytest.mark.sr("SR-OWN-1", "SR-TRACE-1", side="pen")
def test_the_new_owners_records_name_the_head_that_sat_there_before_him() -> None:
    pen, _ = used_pen()
    head = pen.cartridge.head
    assert head is not None
    assert head.tag is not None
    following = next_owner(pen)
    pen.advance(1_000)
    mine = [read_record(data) for data in read_all(following)]
    seated = [each.entry() for each in mine if isinstance(each, Record) and each.kind == HeadSeated.kind]
    of_his = [each for each in seated if isinstance(each, HeadSeated) and each.tag_id == head.tag.tag_id]
    assert [(each.lot, each.sterile_until_s) for each in of_his][-1:] == [(head.tag.lot, head.tag.sterile_until_s)]
    assert mine[-1].number >= 1
    assert any(isinstance(each, Record) and each.owner == 2 and each.kind == HeadSeated.kind for each in mine), (
        "in his own time"
    )


def altered(flash: bytes, number: int) -> bytearray:
    """A flash whose record of that number was altered by somebody who knows checksums, and not the hash."""
    cells = bytearray(flash)
    slot = HISTORY.slot(flash, number - 1)
    body = bytearray(slot[:-CRC_BYTES])
    body[HISTORY_LENGTH.size + 6] ^= 3  # whose it is
    cells[HISTORY.address(number - 1) : HISTORY.address(number)] = seal(bytes(body), HISTORY.slot_bytes)
    return cells


@pytest.mark.sr("SR-OWN-1", "SR-LOG-1", side="pen")
def test_a_record_that_was_altered_is_told_to_nobody_and_the_others_as_ever() -> None:
    pen, _ = used_pen()
    following = next_owner(pen)
    pen.advance(2_000)
    number = next(record.number for record in flash_records(pen) if record.owner == 1)
    later = profile_named("nominal")._replace(utc_s=pen.clock.utc_s + 1, ran_s=pen.clock.ran_s + 1)
    spoilt = SimulatedPen(later, seed=3, flash=altered(pen.flash_image(), number))
    spoilt.advance(2_000)
    keys = OwnerKeys(public_key(following.host), following.pen_public, following.binding)
    client = PairedClient(spoilt, following.host, keys)
    client.connect()
    answers = [client.ask(raw.ON_RECORDS, raw.GET_HISTORY, struct.pack("<I", n)) for n in (number, number + 1)]
    assert answers[0].reason == Reason.HISTORY_BROKEN
    assert isinstance(read_record(answers[1].payload[4:]), HiddenRecord)


# What else could tell of it


def volatile(pen: Inside) -> tuple[object, ...]:
    return pen.pass_peak_um, pen.pass_punctures, pen.remembered, pen.symptoms.noted


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("released", [False, True])
def test_no_status_and_no_last_command_tells_of_the_session_before(*, released: bool) -> None:
    pen, client = used_pen()
    before = client.status()
    assert before["peak"] > 0
    assert before["punctures"] > 0
    assert before["reason"] not in (0, Reason.NONE)
    last = struct.unpack("<IIIHI", client.ask(raw.ON_STATUS, raw.GET_LAST).payload)
    assert last[1] > 0
    assert client.open().reason == Reason.INTERVAL_NOT_OVER
    assert inside(pen).last_refusal[0] == raw.OPEN
    following: RawClient
    if released:
        assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
        following = RawClient(pen)
        following.hello()
    else:
        following = next_owner(pen)
    after = following.status()
    assert (after["peak"], after["punctures"], after["left"], after["depth"], after["zone"]) == (0, 0, 0, 0, 0)
    assert after["reason"] == Reason.NONE
    told_last = struct.unpack("<IIIHI", following.ask(raw.ON_STATUS, raw.GET_LAST).payload)
    assert told_last == (last[0], 0, last[2], 0, 0)
    assert volatile(inside(pen)) == (0, 0, {}, set())
    assert inside(pen).last_refusal == (0, Reason.NONE)
    following.command_id = last[2] + 1
    following.notes.clear()
    assert following.ask(raw.ON_COMMAND, raw.SELF_TEST, following.header()).reason == 0
    pen.advance(3_000)
    following.pump()
    changes = [struct.unpack_from("<HH", got.payload, 6) for got in following.notes if got.opcode == raw.STATE_CHANGED]
    assert {reason for _, reason in changes} == {Reason.NONE}


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_the_first_owner_may_ask_for_what_he_did_before_he_paired() -> None:
    client = raw.raw_pen(seed=3)
    session(client)
    before = client.ask(raw.ON_STATUS, raw.GET_LAST).payload
    press(client.pen)
    host = PairingHost(client.pen)
    host.pair()
    assert first_owner(client.pen, host).ask(raw.ON_STATUS, raw.GET_LAST).payload == before


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", side="pen")
def test_what_binds_the_new_owner_he_hears_as_it_stands_and_not_why() -> None:
    pen, _ = used_pen(symptom=BLEEDING)
    known = inside(pen)
    waits = known.state.wait_s, known.state.symptom_s
    following = next_owner(pen)
    status = following.status()
    assert status["wait"] >= max(waits) - 30 > 0
    assert status["reason"] not in (Reason.SYMPTOM_PAIN, Reason.SYMPTOM_BLEEDING, Reason.SYMPTOM_RASH)
    refused = following.open()
    assert refused.refusal is not None
    assert refused.reason == Reason.SYMPTOM_LOCK
    assert refused.refusal[2] >= waits[1] - 30
    flags = struct.unpack_from("<H", following.ask(raw.ON_STATUS, raw.GET_CARTRIDGE).payload)[0]
    assert flags & 8, "used in the ledger"


@pytest.mark.sr("SR-OWN-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize("symptom", [PAIN, BLEEDING])
@pytest.mark.parametrize("in_session", [True, False])
def test_a_symptom_of_the_new_owners_is_told_also_where_the_old_one_had_the_same(
    symptom: int, *, in_session: bool
) -> None:
    pen, client = used_pen(symptom=symptom if in_session else 0)
    if not in_session:
        assert client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([symptom])).opcode == raw.SYMPTOM_REPORTED
    following = next_owner(pen)
    assert following.status()["reason"] == Reason.NONE
    assert following.ask(raw.ON_STOP, raw.SYMPTOM, bytes([symptom])).opcode == raw.SYMPTOM_REPORTED
    pen.advance(1_000)
    mine = [record for record in flash_records(pen) if record.owner == 2]
    assert SymptomEntry.kind in [record.kind for record in mine]
    assert following.status()["reason"] == Reason.NONE, "of neither"


# A session in a fault whose owner is gone


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize("reason", CLEARS)
def test_a_session_that_is_over_in_a_fault_hides_no_history_from_the_new_owner(reason: Reason) -> None:
    pen = faulted_pen(reason)
    following = next_owner(pen)
    assert following.status()["state"] == State.FAULT
    records = read_all(following)
    assert check_chain(records, origin(inside(pen).store.factory.serial_number)) == []
    assert isinstance(read_record(records[-1]), Record)


@pytest.mark.sr("SR-SES-1", side="pen")
def test_a_fault_in_a_session_that_has_time_left_tells_history_to_its_owners_connection_alone() -> None:
    pen, host = owned_pen()
    client, other = first_owner(pen, host), first_owner(pen, host)
    assert client.open().opcode == raw.OPENED
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.WATCHDOG)))
    pen.advance(100)
    assert client.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE).opcode == raw.HISTORY_STATE
    assert other.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE).reason == Reason.NOT_OWNER


@pytest.mark.sr("SR-OWN-1", "SR-RST-3", side="pen")
@pytest.mark.parametrize("by_power", [False, True])
def test_what_ends_an_earlier_owners_session_only_now_is_his_too_and_nobody_takes_it_over(*, by_power: bool) -> None:
    pen = faulted_pen()
    following = next_owner(pen)
    session_id = following.status()["session"]
    assert session_id
    taken = following.ask(raw.ON_COMMAND, raw.ADOPT, following.header() + struct.pack("<IH", session_id, 500))
    assert taken.reason == Reason.NOT_OWNER
    if by_power:
        pen.power.cut()
        pen.power.restore()
    else:
        fault = struct.pack("<H", int(Reason.WATCHDOG))
        assert following.ask(raw.ON_COMMAND, raw.ACKNOWLEDGE, following.header() + fault).reason == 0
        pen.advance(3_000)
        press(pen)
    pen.advance(3_000)
    assert inside(pen).state.session_id == 0
    (closed,) = [record for record in flash_records(pen) if record.kind == SessionClosedEntry.kind]
    entry = closed.entry()
    assert isinstance(entry, SessionClosedEntry)
    assert (entry.session_id, closed.owner, entry.touched) == (session_id, 1, 1)
    paired = next(record for record in flash_records(pen) if record.owner == 2)
    assert closed.number > paired.number


@pytest.mark.sr("SR-OWN-1", "SR-SYM-1", side="pen")
def test_a_symptom_that_the_new_owner_reports_over_an_old_session_is_his_record() -> None:
    pen = faulted_pen()
    following = next_owner(pen)
    assert following.ask(raw.ON_STOP, raw.SYMPTOM, bytes([PAIN])).opcode == raw.SYMPTOM_REPORTED
    pen.advance(1_000)
    (said,) = [record for record in flash_records(pen) if record.kind == SymptomEntry.kind]
    assert said.owner == 2
