"""Heads: used, swapped, lying, unreadable; passes and budgets; whatever a client sends."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.hardware.cartridge import glide_head
from tests.support import raw_pen as raw
from tests.support.raw_pen import RawClient, raw_pen

DAY_S = 86_400


def close(client: RawClient) -> raw.Got:
    return client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", client.session_id, 0, raw.NO_HASH))


def end(client: RawClient) -> None:
    client.ask(raw.ON_COMMAND, raw.END, struct.pack("<I", client.session_id))
    client.pen.hand.lift()
    client.live(300)


def after_the_wait(client: RawClient) -> RawClient:
    """The same pen, 15 days later."""
    client.pen.clock.advance(15 * DAY_S)
    client.pen.advance(3_000)
    later = RawClient(client.pen)
    later.hello()
    return later


@pytest.mark.sr("SR-CART-1", "SR-CART-2", side="pen")
def test_a_head_that_worked_is_used_for_good_and_in_every_later_session() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    end(client)
    close(client)
    client = after_the_wait(client)
    assert client.open().opcode == raw.OPENED
    assert client.prepare().reason == Reason.CARTRIDGE_USED


@pytest.mark.sr("SR-CART-1", side="pen")
def test_pulled_and_refitted_in_its_session_it_is_not_used() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    end(client)
    head = client.pen.cartridge.pull()
    client.live(1_000)
    assert client.prepare(direction=raw.HORIZONTAL).reason == Reason.CARTRIDGE_ABSENT
    assert head is not None
    client.pen.cartridge.fit(head)
    client.live(1_000)
    assert client.prepare(direction=raw.HORIZONTAL).opcode == raw.PREPARED


@pytest.mark.sr("SR-CART-3", "SR-PASS-1", side="pen")
@pytest.mark.parametrize("swap", [False, True], ids=["pulled", "swapped"])
def test_a_head_that_goes_while_running_stops_it_and_the_pass_stays_made(swap: bool) -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.pen.cartridge.pull()
    client.pen.advance(20)
    if swap:
        client.pen.cartridge.fit("glide")
    client.pen.advance(100)
    assert not client.pen.motor_turns
    client.pen.cartridge.fit("glide")
    client.live(1_000)
    assert client.prepare().reason == Reason.PASS_ALREADY_MADE
    assert client.prepare(direction=raw.HORIZONTAL).opcode == raw.PREPARED


def wait_for_the_press(client: RawClient) -> None:
    got = client.prepare()
    got = client.begin(struct.unpack_from("<H", got.payload, 10)[0])
    assert got.opcode == raw.BEGUN


@pytest.mark.sr("SR-CART-3", "SR-CART-1", side="pen")
@pytest.mark.parametrize("gone_ms", [3, 40, 200])
def test_a_head_changed_in_a_moment_is_noticed_however_often_a_host_asks(gone_ms: int) -> None:
    client = raw_pen()
    client.open()
    wait_for_the_press(client)
    client.status()
    client.pen.cartridge.pull()
    client.send(raw.ON_STATUS, raw.GET_STATUS)  # served before the main loop has run: the wake-up must not be lost
    client.pen.advance(gone_ms)
    client.pen.cartridge.fit(glide_head(77))
    client.send(raw.ON_STATUS, raw.GET_STATUS)
    client.press()
    client.pen.hand.sweep(raw.NOSE, raw.VERTICAL)  # type: ignore[arg-type]
    client.live(1_000)
    assert client.status()["state"] == raw.OPEN_STATE
    assert not client.pen.skin.strokes


@pytest.mark.sr("SR-CART-5", "SR-CART-1", side="pen")
@pytest.mark.parametrize("resumed", [False, True], ids=["begun", "resumed"])
def test_a_press_starts_nothing_with_a_head_whose_tag_was_not_read_since(resumed: bool) -> None:
    client = raw_pen()
    client.open()
    if resumed:
        client.run_pass()
        client.ask(raw.ON_COMMAND, raw.PAUSE, struct.pack("<I", client.session_id))
        client.live(200)
        assert client.resume().opcode == raw.RESUMED
    else:
        wait_for_the_press(client)
    client.pen.advance(50)  # what was asked for at the word has been read
    client.renew()
    client.pen._board.mechanism.seat.fit(glide_head(77))  # a switch that sticks: nothing says that the head changed
    client.press()
    for _ in range(50):
        client.pen.advance(2)
        assert not client.pen.motor_turns
    client.live(1_000)
    assert client.status()["state"] == raw.OPEN_STATE
    assert not client.pen.motor_turns


@pytest.mark.sr("SR-STOP-6", side="pen")
def test_a_second_press_while_the_tag_is_read_takes_the_first_back() -> None:
    client = raw_pen()
    client.open()
    wait_for_the_press(client)
    firmware = client.pen.firmware
    assert isinstance(firmware, PenFirmware)
    client.pen.advance(50)
    firmware._pen.pressed = firmware._pen.press_waits = True  # no finger presses twice within 8 ms
    client.live(500)
    assert client.status()["state"] == raw.WAITING


@pytest.mark.sr("SR-CART-1", side="pen")
@pytest.mark.parametrize("operation", range(1, 8))
@pytest.mark.parametrize("tear", [0, 1, 2])
def test_power_cut_between_press_and_stroke_never_leaves_a_stroke_without_its_record(operation: int, tear: int) -> None:
    client = raw_pen()
    client.open()
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    client.begin(frame_id)
    client.pen.faults.inject("flash", "power_cut", operation=operation, tear=tear)
    client.press()
    client.pen.hand.sweep(5, 1, speed_mm_s=40)  # type: ignore[arg-type]
    client.pen.advance(1_000)
    client.pen.power.cut()
    punctures = client.pen.skin.punctures
    client.pen.faults.clear()
    client.pen.power.restore()
    client.pen.hand.lift()
    client.pen.advance(2_000)
    booted = RawClient(client.pen)
    booted.hello()
    status = booted.status()
    assert status["session"] == 0
    if punctures:
        assert status["wait"] > 13 * DAY_S
        booted = after_the_wait(booted)
        booted.open()
        assert booted.prepare().reason == Reason.CARTRIDGE_USED


@pytest.mark.sr("SR-CART-1", side="pen", twin=True)
def test_without_the_write_before_the_stroke_a_head_that_worked_is_fresh_again() -> None:
    client = raw_pen("ledger-before-stroke")
    client.open()
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    client.begin(frame_id)
    client.press()
    client.pen.hand.sweep(5, 1, speed_mm_s=40)  # type: ignore[arg-type]
    client.live(1_000)
    client.pen.power.cut()
    assert client.pen.skin.punctures
    client.pen.power.restore()
    client.pen.hand.lift()
    client.pen.advance(2_000)
    booted = RawClient(client.pen)
    booted.hello()
    assert booted.open().opcode == raw.OPENED
    assert booted.prepare().opcode == raw.PREPARED


@pytest.mark.sr("SR-CART-1", side="pen")
def test_a_flash_that_fails_before_the_first_stroke_means_no_stroke() -> None:
    client = raw_pen()
    client.open()
    frame_id = struct.unpack_from("<H", client.prepare().payload, 10)[0]
    client.begin(frame_id)
    client.pen.faults.inject("flash", "write_failure", operations=500)
    client.press()
    client.pen.hand.sweep(5, 1, speed_mm_s=40)  # type: ignore[arg-type]
    client.pen.advance(2_000)
    assert client.pen.skin.punctures == 0
    assert client.status()["state"] in (raw.FAULT, raw.LOCKED)


@pytest.mark.sr("SR-DEPTH-2", side="pen")
@pytest.mark.parametrize(
    ("change", "reason", "limit"),
    [
        ({"protrusion_um": 1_000}, Reason.CARTRIDGE_OVER_CAP, 500),
        ({"protrusion_um": 501}, Reason.CARTRIDGE_OVER_CAP, 500),
        ({"protrusion_um": 240}, Reason.DEPTH_OVER_CARTRIDGE, 240),
        ({"needles": 17}, Reason.CARTRIDGE_OVER_NEEDLES, 16),
        ({"maker": 99}, Reason.CARTRIDGE_UNKNOWN_MAKER, 0),
        ({"sterile_until_s": 1_000}, Reason.CARTRIDGE_EXPIRED, 0),
        ({"head": 0}, Reason.CARTRIDGE_UNREADABLE, 0),
    ],
)
def test_each_bad_head_is_refused_for_its_own_reason(change: dict[str, int], reason: int, limit: int) -> None:
    client = raw_pen()
    client.open()
    client.pen.cartridge.pull()
    client.live(200)
    client.pen.cartridge.fit(glide_head(9, **change))
    client.live(1_000)
    got = client.prepare(depth=250)
    assert got.refusal == (raw.PREPARE, reason, limit)


@pytest.mark.sr("SR-CART-2", side="pen")
def test_a_head_that_cannot_be_read_is_refused() -> None:
    client = raw_pen()
    client.open()
    client.pen.cartridge.pull()
    client.live(200)
    client.pen.cartridge.fit("blank")
    client.live(1_000)
    assert client.prepare().reason == Reason.CARTRIDGE_UNREADABLE


@pytest.mark.sr("SR-PASS-1", side="pen")
def test_a_zone_takes_one_pass_of_each_direction_and_no_fourth() -> None:
    client = raw_pen()
    client.open()
    for direction in (raw.VERTICAL, raw.HORIZONTAL, raw.DIAGONAL):
        client.run_pass(direction=direction)
        end(client)
    reasons = {direction: client.prepare(direction=direction).reason for direction in (1, 2, 4)}
    assert set(reasons.values()) <= {Reason.PASS_ALREADY_MADE, Reason.ZONE_FULL}


@pytest.mark.sr("SR-PASS-3", side="pen")
def test_a_pass_ends_at_its_budget_and_never_makes_more() -> None:
    client = raw_pen()
    client.open()
    client.start_pass(rate=130)
    client.pen.hand.sweep(5, 1, speed_mm_s=40)  # type: ignore[arg-type]
    client.live(12_000)
    assert client.status()["reason"] == Reason.BUDGET_REACHED
    assert 11_900 <= client.pen.skin.punctures_in(5) <= 12_000 + 4 * 12  # type: ignore[arg-type]


@pytest.mark.sr("SR-PASS-2", side="pen")
def test_a_pass_goes_on_five_times_and_no_more() -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    session = struct.pack("<I", client.session_id)
    for _ in range(5):
        client.ask(raw.ON_COMMAND, raw.PAUSE, session)
        client.live(200)
        assert client.resume().opcode == raw.RESUMED
        client.press()
        client.live(600)
    client.ask(raw.ON_COMMAND, raw.PAUSE, session)
    client.live(200)
    assert client.resume().reason == Reason.RESUMES_USED_UP
