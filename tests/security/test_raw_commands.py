"""Replayed, doubled, held back and reordered frames; the lease; the watchdog."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.hardware.board import Board
from dermalink_simulator.seam import DriveOrder, Sensors
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, frame, raw_pen


def in_within_ms(client: RawClient, ms: int) -> int:
    for waited in range(ms + 1):
        if not client.pen.needles_out:
            return waited
        client.pen.advance(1)
    raise AssertionError(f"the needles are still out after {ms} ms")


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_a_doubled_command_is_applied_once_and_answered_alike() -> None:
    client = raw_pen()
    opening = client.header() + struct.pack("<IHI32s", client.boot_id, 500, 0, raw.NO_HASH)
    first = client.ask(raw.ON_COMMAND, raw.OPEN, opening)
    again = client.ask(raw.ON_COMMAND, raw.OPEN, opening)
    assert first.opcode == again.opcode == raw.OPENED
    assert first.payload == again.payload


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_an_id_with_another_content_is_refused() -> None:
    client = raw_pen()
    client.open()
    client.prepare()
    client.command_id -= 1
    assert client.prepare(depth=200).reason == Reason.COMMAND_ID_REUSED


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_an_older_id_is_refused() -> None:
    client = raw_pen()
    client.command_id = 100
    client.open()
    client.command_id = 99
    assert client.prepare().reason == Reason.COMMAND_ID_NOT_NEWER


@pytest.mark.sr("SR-CMD-1", side="pen")
@pytest.mark.parametrize("command_id", [1_025, 0xFFFF_FFFF])
def test_nobody_uses_up_the_ids_of_all_who_come_after(command_id: int) -> None:
    client = raw_pen()
    stranger = RawClient(client.pen)
    stranger.hello()
    stranger.command_id = command_id
    assert stranger.ask(raw.ON_COMMAND, raw.SELF_TEST, stranger.header()).refusal == (
        raw.SELF_TEST,
        Reason.COMMAND_ID_TOO_FAR,
        1_024,
    )
    assert client.open().opcode == raw.OPENED


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_an_id_may_be_as_far_ahead_as_the_limit_says() -> None:
    client = raw_pen()
    client.command_id = 1_024
    assert client.open().opcode == raw.OPENED
    client.command_id = 2_048
    assert client.prepare().opcode == raw.PREPARED


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_a_late_command_is_refused_by_the_pens_own_ticks() -> None:
    client = raw_pen()
    client.open()
    header = client.header()
    client.pen.advance(510)
    fields = struct.pack("<IBBHBB8s", client.session_id, raw.NOSE, 1, 250, 100, 40, client.tag_id())
    got = client.ask(raw.ON_COMMAND, raw.PREPARE, header + fields)
    assert got.refusal == (raw.PREPARE, Reason.COMMAND_LATE, 500)


@pytest.mark.sr("SR-CMD-1", side="pen")
@pytest.mark.parametrize("ahead", [1, 500, 0x7FFF_FFFF])
def test_a_tick_that_is_still_to_come_is_refused(ahead: int) -> None:
    client = raw_pen()
    client.open()
    client.status()
    client.seen_tick += ahead
    header = struct.pack("<IHI", client.command_id, 500, client.seen_tick)
    fields = struct.pack("<IBBHBB8s", client.session_id, raw.NOSE, 1, 250, 100, 40, client.tag_id())
    assert client.ask(raw.ON_COMMAND, raw.PREPARE, header + fields).reason == Reason.COMMAND_FROM_FUTURE


@pytest.mark.sr("SR-CMD-1", "SR-STOP-5", side="pen")
def test_a_whole_session_replayed_moves_nothing() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.ask(raw.ON_STOP, raw.STOP)
    client.pen.advance(500)
    recorded, punctures = b"".join(client.sent), client.pen.skin.punctures
    for _ in range(3):
        client.port.write(recorded)
        client.pen.advance(100)
        client.pen.button.press()
        client.pen.advance(1_000)
    assert client.pen.skin.punctures == punctures
    assert not client.pen.motor_turns


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_each_frame_doubled_at_once_changes_nothing_of_a_pass() -> None:
    plain, doubled = raw_pen(), raw_pen()
    send = doubled.port.write
    doubled.port.write = lambda data: (send(data), send(data))[0]  # type: ignore[method-assign]
    for client in (plain, doubled):
        client.open()
        client.run_pass()
    ours, theirs = plain.status(), doubled.status()
    for name in ("state", "session", "zone", "depth", "left", "resumes"):
        assert ours[name] == theirs[name], name


@pytest.mark.sr("SR-CMD-1", side="pen", twin=True)
def test_without_the_duplicate_check_a_replay_prepares_a_frame() -> None:
    client = raw_pen("duplicate-check")
    client.open()
    client.prepare()
    client.ask(raw.ON_STOP, raw.STOP)
    client.pen.advance(2_000)
    client.port.write(client.sent[-3])
    client.pen.advance(100)
    replayed = [data for data in client.sent if struct.pack("<H", raw.PREPARE) in data]
    client.port.write(replayed[-1])
    client.pen.advance(100)
    assert client.status()["state"] == raw.PREPARED_STATE


@pytest.mark.sr("SR-CMD-2", side="pen")
def test_a_second_procedure_is_busy_until_the_first_is_written() -> None:
    client = raw_pen()
    client.status()
    opening = struct.pack("<IHIIHI32s", 1, 500, client.seen_tick, client.boot_id, 500, 0, raw.NO_HASH)
    preparing = struct.pack("<IHIIBBHBB8s", 2, 500, client.seen_tick, 1, raw.NOSE, 1, 250, 100, 40, b"H0000001")
    client.port.write(frame(raw.ON_COMMAND, raw.OPEN, 71, opening) + frame(raw.ON_COMMAND, raw.PREPARE, 72, preparing))
    assert client.reply(72).reason == Reason.BUSY
    assert client.reply(71).opcode == raw.OPENED


@pytest.mark.sr("SR-STOP-1", "SR-STOP-7", side="pen")
def test_a_host_that_falls_silent_loses_the_lease_and_the_needles_are_in() -> None:
    client = raw_pen()
    client.open(lease_ms=500)
    client.run_pass()
    client.renew()
    assert 450 <= in_within_ms(client, 600) <= 530
    client.pen.advance(100)
    status = client.status()
    assert (status["state"], status["reason"]) == (raw.PAUSED_STATE, Reason.LEASE_LAPSED)


@pytest.mark.sr("SR-STOP-1", side="pen", twin=True)
def test_without_the_lease_the_needles_stay_out() -> None:
    client = raw_pen("lease")
    client.open(lease_ms=500)
    client.run_pass()
    client.pen.advance(900)
    assert client.pen.needles_out


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_renewals_that_were_held_back_buy_nothing() -> None:
    client = raw_pen()
    client.open(lease_ms=500)
    client.run_pass()
    client.renew()
    old = struct.pack("<II", client.session_id, client.seen_tick)
    waited = 0
    while client.pen.needles_out and waited < 600:
        client.send(raw.ON_COMMAND, raw.RENEW, old)
        client.pen.advance(1)
        waited += 1
    assert waited <= 530


@pytest.mark.sr("SR-STOP-1", side="pen")
@pytest.mark.parametrize("ahead", [1, 1_000, 0x7FFF_0000])
def test_a_renewal_from_the_future_buys_nothing(ahead: int) -> None:
    client = raw_pen()
    client.open(lease_ms=500)
    client.run_pass()
    client.status()
    before = client.status()["lease"]
    got = client.ask(raw.ON_COMMAND, raw.RENEW, struct.pack("<II", client.session_id, client.seen_tick + ahead))
    assert got.opcode == raw.REFUSED
    assert client.status()["lease"] <= before


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_a_hung_main_loop_is_cut_by_the_watchdog_in_the_interrupt() -> None:
    client = raw_pen()
    client.open(lease_ms=1_000)
    client.run_pass()
    client.pen.faults.inject("main_loop", "hung")
    assert in_within_ms(client, 80) <= 75  # 50 ms of watchdog and 25 ms of retraction
    client.pen.faults.clear("main_loop")
    client.pen.advance(3_000)
    assert not client.pen.needles_out


@pytest.mark.sr("SR-STOP-3", side="pen", twin=True)
def test_without_the_watchdog_a_hung_main_loop_goes_on_until_the_lease_ends() -> None:
    client = raw_pen("watchdog")
    client.open(lease_ms=1_000)
    client.run_pass()
    client.pen.faults.inject("main_loop", "hung")
    client.pen.advance(150)
    assert client.pen.needles_out


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_bytes_that_come_in_do_not_keep_a_hung_main_loops_watchdog_wound() -> None:
    client = raw_pen()
    client.open(lease_ms=1_000)
    client.run_pass()
    firmware = client.pen.firmware
    assert firmware is not None
    sensors = Sensors(contact=1, head_present=1, motor_on=1)
    for _ in range(12):
        firmware.guard_tick(5, sensors)
        firmware.handle(client.port.number, frame(raw.ON_STATUS, raw.GET_STATUS, 1))
    assert firmware.drive() == DriveOrder()


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_an_interrupt_that_no_longer_comes_leaves_an_order_that_expires_by_itself() -> None:
    client = raw_pen()
    client.open(lease_ms=1_000)
    client.run_pass()
    client.pen.faults.inject("monitor", "hung")
    assert in_within_ms(client, 80) <= 75


@pytest.mark.sr("SR-STOP-5", side="pen")
def test_a_button_held_down_starts_nothing() -> None:
    client = raw_pen()
    client.open()
    client.pen.button.hold()
    client.pen.advance(100)
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    client.begin(frame_id)
    client.live(2_000)
    assert client.status()["state"] == raw.WAITING
    assert not client.pen.motor_turns


def press_then_word(client: RawClient, before_ms: int) -> None:
    client.open()
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    header = client.header()
    client.pen.advance(3)
    client.pen.button.press()
    client.pen.advance(before_ms)
    client.ask(raw.ON_COMMAND, raw.BEGIN, header + struct.pack("<IH", client.session_id, frame_id))
    client.renew()
    client.live(300)


@pytest.mark.sr("SR-STOP-5", side="pen")
@pytest.mark.parametrize("before_ms", range(12))
def test_a_press_before_the_hosts_word_is_not_fresh(before_ms: int) -> None:
    client = raw_pen()
    press_then_word(client, before_ms)
    assert client.status()["state"] == raw.WAITING
    assert not client.pen.motor_turns


@pytest.mark.sr("SR-STOP-5", side="pen", twin=True)
def test_a_pen_that_takes_bytes_without_a_look_at_its_button_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Board, "_line_changed", property(lambda _: False, lambda *_: None), raising=False)
    client = raw_pen()
    press_then_word(client, 0)
    assert client.pen.motor_turns


@pytest.mark.sr("SR-STOP-5", side="pen")
def test_a_press_that_comes_too_late_starts_nothing() -> None:
    client = raw_pen()
    client.open()
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    client.begin(frame_id)
    client.live(10_000)
    client.press()
    client.live(1_000)
    assert client.status()["state"] == raw.PREPARED_STATE
    assert not client.pen.motor_turns
