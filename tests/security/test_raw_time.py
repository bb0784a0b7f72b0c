"""Sessions, waits and clocks: closed and opened again, moved, lost, with power cut."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history import Anchor, check_chain, decode_record, origin
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.flash_layout import HISTORY
from dermalink_simulator.firmware.flash_store import FlashStore
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen

DAY_S = 86_400


def worked() -> RawClient:
    """A pen after a session that touched skin."""
    client = raw_pen()
    client.open()
    client.run_pass()
    client.ask(raw.ON_COMMAND, raw.END, struct.pack("<I", client.session_id))
    client.pen.hand.lift()
    client.live(300)
    client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", client.session_id, 0, raw.NO_HASH))
    return client


def freshly_tested(client: RawClient) -> RawClient:
    """The same pen after a fresh self-test."""
    client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header())
    client.pen.advance(1_500)
    return client


def rebooted(client: RawClient) -> RawClient:
    """The same pen after its power was cut and restored."""
    client.pen.power.cut()
    client.pen.power.restore()
    client.pen.advance(2_000)
    booted = RawClient(client.pen)
    booted.hello()
    return booted


def later(client: RawClient, seconds: int) -> RawClient:
    """The same pen after so much time, switched on again."""
    client.pen.clock.advance(seconds)
    client.pen.advance(3_000)
    after = RawClient(client.pen)
    after.hello()
    return after


def set_clock(client: RawClient, utc_s: int) -> raw.Got:
    return client.ask(raw.ON_COMMAND, raw.SET_CLOCK, client.header() + struct.pack("<I", utc_s))


@pytest.mark.sr("SR-INT-1", side="pen")
def test_no_second_session_within_14_days() -> None:
    client = freshly_tested(worked())
    assert client.open().reason == Reason.INTERVAL_NOT_OVER
    client = later(client, 13 * DAY_S)
    assert client.open().reason == Reason.INTERVAL_NOT_OVER
    assert later(client, DAY_S).open().opcode == raw.OPENED


@pytest.mark.sr("SR-INT-1", side="pen", twin=True)
def test_without_the_wait_the_next_session_opens_at_once() -> None:
    client = raw_pen("wait")
    client.open()
    client.run_pass()
    client.ask(raw.ON_STOP, raw.STOP)
    client.live(300)
    client.pen.hand.lift()
    client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", client.session_id, 0, raw.NO_HASH))
    freshly_tested(client)
    assert client.open().opcode == raw.OPENED


@pytest.mark.sr("SR-INT-1", "SR-RST-1", side="pen")
def test_the_wait_outlives_power_and_runs_while_the_pen_is_off() -> None:
    client = rebooted(worked())
    assert client.open().reason == Reason.INTERVAL_NOT_OVER
    client.pen.power.cut()
    client.pen.clock.advance(14 * DAY_S)
    client.pen.power.restore()
    client.pen.advance(2_000)
    booted = RawClient(client.pen)
    booted.hello()
    assert booted.open().opcode == raw.OPENED


@pytest.mark.sr("SR-INT-2", side="pen")
@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_a_clock_moved_forward_shortens_nothing(off: bool) -> None:
    client = worked()
    if off:
        client.pen.power.cut()
    client.pen.clock.set(client.pen.clock.utc_s + 20 * DAY_S)
    if off:
        client.pen.power.restore()
        client.pen.advance(2_000)
        client = RawClient(client.pen)
        client.hello()
    else:
        client.pen.advance(3_000)
    wait = client.status()["wait"]
    assert wait > 14 * DAY_S - 60
    assert freshly_tested(client).open().reason == Reason.INTERVAL_NOT_OVER


@pytest.mark.sr("SR-INT-2", side="pen")
def test_setting_the_clock_within_a_day_is_taken_and_shortens_nothing() -> None:
    client = worked()
    before, utc_s = client.status()["wait"], client.pen.clock.utc_s
    got = set_clock(client, utc_s + DAY_S - 10)
    assert got.opcode == raw.CLOCK_SET
    client.pen.advance(2_000)
    assert client.pen.clock.utc_s >= utc_s + DAY_S - 10
    assert before - 5 <= client.status()["wait"] <= before
    booted = rebooted(client)
    assert before - 10 <= booted.status()["wait"] <= before


@pytest.mark.sr("SR-INT-2", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("off", [False, True], ids=["on", "switched off between"])
def test_many_steps_without_a_press_lead_no_further_than_a_day(off: bool) -> None:
    client = raw_pen()
    utc_s = client.pen.clock.utc_s
    assert set_clock(client, utc_s + DAY_S // 2).opcode == raw.CLOCK_SET
    assert set_clock(client, utc_s + DAY_S - 600).opcode == raw.CLOCK_SET
    if off:
        client = rebooted(client)
    assert set_clock(client, utc_s + DAY_S + 3_600).reason == Reason.CLOCK_JUMP_NEEDS_PRESS
    client.pen.button.press()
    client.pen.advance(200)
    assert set_clock(client, utc_s + DAY_S + 3_600).opcode == raw.CLOCK_SET
    client = rebooted(client) if off else client
    client.pen.clock.advance(DAY_S + 60)
    client.pen.advance(3_000)
    client = rebooted(client)
    assert set_clock(client, client.pen.clock.utc_s + 600).opcode == raw.CLOCK_SET


@pytest.mark.sr("SR-INT-2", "SR-SEC-5", side="pen")
def test_a_flood_of_clock_settings_fills_no_history() -> None:
    client = raw_pen()
    taken = 0
    for _ in range(40):
        taken += set_clock(client, client.pen.clock.utc_s + 2).opcode == raw.CLOCK_SET
    assert 0 < taken <= 8
    firmware = client.pen.firmware
    assert isinstance(firmware, PenFirmware)
    records = len(firmware._pen.store.history.records)
    for _ in range(10):
        assert set_clock(client, client.pen.clock.utc_s).opcode == raw.CLOCK_SET
    assert len(firmware._pen.store.history.records) == records


def store_of(client: RawClient) -> FlashStore:
    firmware = client.pen.firmware
    assert isinstance(firmware, PenFirmware)
    return firmware._pen.store


@pytest.mark.sr("SR-SYM-1", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("in_session", [False, True], ids=["no session", "in a session"])
def test_a_flood_of_symptoms_locks_and_fills_no_history(in_session: bool) -> None:
    client = raw_pen()
    if in_session:
        client.open()
    before = len(store_of(client).history.records)
    for kind in range(600):
        got = client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([1 + kind % 3]))
        assert got.opcode == raw.SYMPTOM_REPORTED
    client.pen.advance(70_000)
    assert client.ask(raw.ON_STOP, raw.SYMPTOM, b"\1").opcode == raw.SYMPTOM_REPORTED
    assert len(store_of(client).history.records) - before <= 4
    assert store_of(client).record.lock_s > 28 * DAY_S - 5
    assert rebooted(client).open().reason == Reason.SYMPTOM_LOCK


@pytest.mark.sr("SR-SEC-5", "SR-LOG-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize("free_slots", [256, 40, 2, 0], ids=lambda free: f"{free} free")
def test_a_full_history_starts_nothing_is_no_fault_and_keeps_a_lock_all_the_same(free_slots: int) -> None:
    client = raw_pen()
    store_of(client).history.slots = HISTORY.slots - free_slots
    assert freshly_tested(client).open().reason == Reason.HISTORY_FULL
    set_clock(client, client.pen.clock.utc_s + 60)
    for kind in b"\1\2\3":
        assert client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([kind])).opcode == raw.SYMPTOM_REPORTED
    client.pen.advance(1_000)
    assert store_of(client).history.free_slots == free_slots
    assert client.status()["state"] == raw.IDLE
    assert store_of(client).record.lock_s > 28 * DAY_S - 60
    assert rebooted(client).open().reason == Reason.SYMPTOM_LOCK


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_jump_of_more_than_a_day_needs_the_button() -> None:
    client = raw_pen()
    utc_s = client.pen.clock.utc_s
    assert set_clock(client, utc_s + DAY_S + 60).reason == Reason.CLOCK_JUMP_NEEDS_PRESS
    client.pen.button.press()
    client.pen.advance(200)
    assert set_clock(client, utc_s + DAY_S + 60).opcode == raw.CLOCK_SET


@pytest.mark.sr("SR-INT-2", side="pen")
@pytest.mark.parametrize("utc_s", [0, 1, 1_700_000_000])
def test_a_date_before_the_last_sound_record_is_refused(utc_s: int) -> None:
    client = raw_pen()
    client.pen.button.press()
    client.pen.advance(200)
    assert set_clock(client, utc_s).reason == Reason.CLOCK_BEFORE_RECORD


@pytest.mark.sr("SR-INT-2", side="pen")
@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_a_lost_clock_starts_the_wait_again_and_opens_nothing_until_it_is_set(off: bool) -> None:
    client = worked()
    client = later(client, 10 * DAY_S)
    assert client.status()["wait"] < 5 * DAY_S
    utc_s = client.pen.clock.utc_s
    if off:
        client.pen.power.cut()
    client.pen.clock.lose()
    if off:
        client.pen.power.restore()
        client.pen.advance(1_000)
        client = RawClient(client.pen)
        client.hello()
    client.pen.advance(3_000)
    assert client.status()["wait"] > 14 * DAY_S - 60
    assert freshly_tested(client).open().reason == Reason.CLOCK_LOST
    client.pen.button.press()
    client.pen.advance(200)
    assert set_clock(client, utc_s + 60).opcode == raw.CLOCK_SET
    assert client.open().reason == Reason.INTERVAL_NOT_OVER


@pytest.mark.sr("SR-INT-1", side="pen")
@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_a_clock_that_moved_back_locks_until_it_is_set_past_the_last_record(off: bool) -> None:
    client = raw_pen()
    utc_s = client.pen.clock.utc_s
    if off:
        client.pen.power.cut()
    client.pen.clock.set(utc_s - 3_600)
    if off:
        client.pen.power.restore()
        client.pen.advance(1_000)
        client = RawClient(client.pen)
        client.hello()
    client.pen.advance(3_000)
    assert client.open().reason == Reason.CLOCK_BACK
    booted = rebooted(client)
    assert booted.open().reason == Reason.CLOCK_BACK
    assert set_clock(booted, utc_s - 60).reason == Reason.CLOCK_BEFORE_RECORD
    assert set_clock(booted, utc_s + 60).opcode == raw.CLOCK_SET
    assert booted.open().opcode == raw.OPENED


@pytest.mark.sr("SR-SES-1", side="pen")
def test_a_session_ends_with_its_hour_and_cannot_be_opened_again() -> None:
    client = raw_pen()
    client.open()
    first = client.session_id
    client.pen.advance(3_600_000 + 1_000)
    assert client.status()["session"] == 0
    got = client.ask(raw.ON_COMMAND, raw.ADOPT, client.header() + struct.pack("<IH", first, 500))
    assert got.opcode == raw.REFUSED


@pytest.mark.sr("SR-SES-1", side="pen")
def test_power_ends_a_session_for_good() -> None:
    client = raw_pen()
    client.open()
    first = client.session_id
    booted = rebooted(client)
    assert booted.status()["session"] == 0
    got = booted.ask(raw.ON_COMMAND, raw.ADOPT, booted.header() + struct.pack("<IH", first, 500))
    assert got.opcode == raw.REFUSED
    booted.open()
    assert booted.session_id == first + 1


@pytest.mark.sr("SR-SES-1", side="pen")
def test_a_session_of_another_boot_is_not_opened() -> None:
    client = raw_pen()
    client.boot_id += 1
    assert client.open().reason == Reason.WRONG_BOOT


@pytest.mark.sr("SR-POST-1", side="pen")
def test_a_second_session_wants_a_self_test_first() -> None:
    client = raw_pen()
    client.open()
    client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", client.session_id, 0, raw.NO_HASH))
    assert client.open().reason == Reason.SELF_TEST_DUE
    assert freshly_tested(client).open().opcode == raw.OPENED


@pytest.mark.sr("SR-LOG-1", "SR-INT-2", side="pen")
def test_the_history_tells_the_evening_and_hangs_together() -> None:
    client = worked()
    client.pen.clock.set(client.pen.clock.utc_s + 500)
    client.pen.advance(2_000)
    state = client.ask(raw.ON_RECORDS, raw.GET_HISTORY_STATE).payload
    last = struct.unpack_from("<I", state, 4)[0]
    records = [
        client.ask(raw.ON_RECORDS, raw.GET_HISTORY, struct.pack("<I", number)).payload[4:]
        for number in range(1, last + 1)
    ]
    serial = client.hello().payload[6:22]
    assert check_chain(records, origin(serial), [Anchor(last, state[8:40])]) == []
    told = [type(decode_record(record).entry()).__name__ for record in records]
    wanted = ["PoweredUp", "HeadSeated", "SelfTested", "SessionOpenedEntry", "HeadUsed", "PassBegunEntry"]
    wanted += ["PassEndedEntry", "StoppedEntry", "SessionClosedEntry", "ClockSetEntry"]
    assert set(wanted) <= set(told)
    assert told.index("HeadUsed") < told.index("PassBegunEntry") < told.index("PassEndedEntry")
    got = client.ask(raw.ON_RECORDS, raw.GET_HISTORY, struct.pack("<I", last + 9))
    assert got.refusal == (raw.GET_HISTORY, Reason.OUT_OF_RANGE, last)
