"""The board calls any firmware on time, carries out what it orders, and lets an order run out by itself."""

import pytest

from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.hardware.board import PenOffError
from dermalink_simulator.hardware.port import PortClosedError
from dermalink_simulator.seam import PowerCause
from tests.unit.hardware.rig import Rig


def test_idle_time_jumps_from_wake_to_wake() -> None:
    rig = Rig()
    rig.pen.advance(10_000)
    assert rig.firmware.calls == [("guard", 1_000), ("tick", 1_000)] * 10


def test_the_guard_comes_every_5_ms_and_the_main_loop_every_10_while_the_drive_is_on() -> None:
    rig = Rig()
    rig.say("o100,250", 20)
    rig.firmware.calls.clear()
    rig.pen.advance(1_000)
    assert [call for call in rig.firmware.calls if call[0] == "guard"] == [("guard", 5)] * 200
    assert [call for call in rig.firmware.calls if call[0] == "tick"] == [("tick", 10)] * 100


def test_a_firmware_that_asks_for_10_ms_gets_them_with_the_drive_off() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.advance(1_000)
    assert rig.firmware.calls[-3:] == [("guard", 5), ("guard", 5), ("tick", 10)]


def test_a_sleeping_firmware_is_told_of_the_time_before_it_gets_bytes() -> None:
    rig = Rig()
    rig.pen.advance(1_500)
    rig.say("?")
    assert rig.port.read() == b"1500\n"


@pytest.mark.sr("SR-CART-3", side="pen")
def test_a_wake_up_is_not_lost_to_bytes_that_are_served_before_it() -> None:
    rig = Rig()
    rig.pen.advance(2_000)
    rig.pen.cartridge.pull()
    rig.say("?", 10)
    assert not rig.firmware.ticks[-1].head_present
    assert len(rig.firmware.ticks) == 3


@pytest.mark.sr("SR-CART-3", side="pen")
def test_a_head_pulled_and_refitted_reads_as_gone_once_however_late_the_main_loop_comes() -> None:
    rig = Rig()
    rig.awake()
    rig.pen.advance(100)
    rig.pen.faults.inject("main_loop", "hung")
    rig.pen.cartridge.fit("glide")
    rig.pen.advance(200)
    rig.firmware.ticks.clear()
    rig.pen.faults.clear()
    rig.pen.advance(100)
    assert [tick.head_present for tick in rig.firmware.ticks][:3] == [0, 1, 1]


@pytest.mark.sr("SR-SEC-5", side="pen")
def test_of_many_connections_one_that_never_spoke_gives_way_or_the_longest_silent_and_the_owners_never() -> None:
    rig = Rig()
    rig.firmware.kept = rig.port.number
    others = []
    for _ in range(7):
        rig.pen.advance(20)
        others.append(rig.pen.connect())
    rig.pen.advance(20)
    others[0].write(b"?")
    newest = rig.pen.connect()
    assert [port.closed for port in others] == [False, True, *[False] * 5]
    assert newest.number == others[1].number
    for _ in range(40):
        rig.pen.advance(20)
        newest = rig.pen.connect()
    assert not rig.port.closed
    assert not newest.closed
    assert [port.closed for port in others] == [False, *[True] * 6]
    speakers = []
    for _ in range(7):
        rig.pen.advance(20)
        speakers.append(rig.pen.connect())
        speakers[-1].write(b"?")
    assert others[0].closed
    assert not rig.port.closed
    assert not any(port.closed for port in speakers)


def test_bytes_are_handled_at_the_moment_at_which_they_are_written() -> None:
    rig = Rig()
    rig.run_at(250)
    at = rig.pen.now_ms
    rig.say("s", 100)
    last = rig.pen.skin.needles_out[-1]
    assert last.until_us is not None
    assert at * 1_000 < last.until_us <= (at + 15) * 1_000


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_an_order_runs_out_when_the_guard_hangs_though_the_main_loop_repeats_it() -> None:
    rig = Rig()
    rig.run_at(250)
    at = rig.pen.now_ms
    rig.pen.faults.inject("monitor", "hung")
    rig.pen.advance(500)
    assert not rig.out()
    assert rig.pen.skin.last_in_us is not None
    assert rig.pen.skin.last_in_us <= (at + 50 + 15) * 1_000
    assert rig.firmware.calls[-1] == ("tick", 10)


def test_without_that_fault_the_same_order_keeps_the_needles_out() -> None:
    rig = Rig()
    rig.run_at(250)
    rig.pen.advance(500)
    assert rig.out()


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_a_hung_main_loop_is_reset_by_the_boards_watchdog() -> None:
    rig = Rig()
    rig.pen.faults.inject("main_loop", "hung")
    rig.pen.advance(3_000)
    assert [firmware.cause for firmware in rig.started] == [PowerCause.SWITCHED_ON, PowerCause.WATCHDOG]
    assert rig.port.closed
    assert rig.pen.faults.active == []


def test_bytes_to_a_hung_main_loop_wait() -> None:
    rig = Rig()
    rig.pen.faults.inject("main_loop", "hung")
    rig.say("?", 100)
    assert rig.port.read() == b""
    rig.pen.faults.clear("main_loop")
    rig.pen.advance(20)
    assert rig.port.read() != b""


def test_losing_power_retracts_and_ends_connections() -> None:
    rig = Rig()
    rig.run_at(250)
    gone = []
    rig.port.on_hang_up = lambda: gone.append(rig.pen.now_ms)
    at = rig.pen.now_ms
    rig.pen.power.cut()
    rig.pen.advance(1_000)
    assert gone == [at]
    assert rig.pen.skin.last_in_us is not None
    assert rig.pen.skin.last_in_us <= (at + 15) * 1_000
    with pytest.raises(PortClosedError):
        rig.port.write(b"?")
    with pytest.raises(PenOffError):
        rig.pen.connect()


def test_power_back_starts_a_fresh_firmware_from_the_flash() -> None:
    rig = Rig()
    rig.say("w0,0102", 100)
    rig.pen.power.cut()
    rig.pen.power.restore()
    rig.pen.power.restore()
    assert len(rig.started) == 2
    assert rig.firmware.cause is PowerCause.POWER_LOSS
    assert rig.firmware.flash[:3] == b"\x01\x02\xff"
    assert rig.started[0].seed != rig.started[1].seed


def test_the_tag_comes_when_it_is_asked_for() -> None:
    rig = Rig()
    rig.say("t", 20)
    head = rig.pen.cartridge.head
    assert head is not None
    assert rig.firmware.tags == [head.tag]
    rig.pen.cartridge.pull()
    rig.say("t", 20)
    assert rig.firmware.tags[1:] == [None]


def test_the_firmware_sets_the_clock() -> None:
    rig = Rig()
    rig.firmware.set_s = 1_800_000_000
    rig.pen.advance(2_000)
    assert rig.pen.clock.utc_s in (1_800_000_001, 1_800_000_002)


def test_a_press_and_a_change_of_head_wake_a_sleeping_firmware() -> None:
    rig = Rig()
    rig.pen.advance(1_005)
    rig.pen.button.press()
    rig.pen.advance(10)
    assert rig.firmware.ticks[-1].button == 1
    rig.pen.advance(1_000)
    assert rig.firmware.ticks[-1].button == 0
    rig.pen.cartridge.pull()
    rig.pen.advance(10)
    assert rig.firmware.ticks[-1].head_present == 0


def test_a_battery_under_its_floor_retracts_with_no_firmware_in_the_way() -> None:
    rig = Rig()
    rig.run_at(250)
    rig.pen.power.set_battery(0)
    rig.pen.advance(100)
    assert rig.firmware.order.target_um == 250
    assert not rig.out()


def test_ports_are_the_lowest_free_ones_and_outputs_do_not_mix() -> None:
    rig = Rig()
    second, third = rig.pen.connect(), rig.pen.connect()
    assert (rig.port.number, second.number, third.number) == (1, 2, 3)
    second.close()
    second.close()
    assert rig.pen.connect().number == 2
    third.write(b"?")
    assert third.read() == b"0\n"
    assert rig.port.read() == b""


def test_output_is_handed_over_where_somebody_wants_it() -> None:
    rig = Rig()
    got: list[bytes] = []
    rig.port.on_output = got.append
    rig.say("?")
    assert got == [b"0\n"]
    assert rig.port.read() == b""


def test_the_same_seed_and_calls_give_the_same_readings() -> None:
    def readings(seed: int) -> list[object]:
        rig = Rig(seed=seed)
        rig.pen.hand.sweep(Zone.CHIN, Direction.DIAGONAL)
        rig.run_at(300, ms=3_000)
        return [*rig.firmware.guards, *rig.firmware.ticks, rig.firmware.seed, *rig.pen.skin.between(0, 1 << 60)]

    assert readings(5) == readings(5)
    assert readings(5) != readings(6)
