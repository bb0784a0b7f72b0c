"""Stop, a press, a lapsed lease, a lost link: the drive is cut and the needles are in, in time, at any phase."""

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.limits import CUT_WITHIN_MS, LIFT_RETRACT_MS, WATCHDOG_MS
from dermalink_protocol.messages import stop
from dermalink_protocol.zones import Symptom
from tests.fault.running_pen import AT_REST, IN_US, LEASE_US, PHASES_MS, Running
from tests.support.raw_host import RawHost

pytestmark = pytest.mark.parametrize("phase_ms", PHASES_MS)
CUT_US = CUT_WITHIN_MS * 1_000


def assert_stopped_in_time(running: Running, extra_us: int = 0) -> None:
    assert 0 <= running.cut_after_us() <= CUT_US + extra_us
    assert 0 < running.in_after_us() <= IN_US + extra_us
    running.pen.advance(200)
    assert not running.pen.needles_out
    assert not running.pen.motor_turns


@pytest.mark.sr("SR-STOP-7", "SR-STOP-4", "SR-STOP-2", side="pen")
def test_stop_from_its_owner(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    request = running.host.stop()
    running.host.run(200)
    assert isinstance(running.host.replies.get(request), stop.Stopped)
    assert_stopped_in_time(running)


@pytest.mark.sr("SR-STOP-7", "SR-STOP-4", side="pen")
def test_stop_from_a_stranger_who_never_said_hello(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    RawHost(running.pen).stop()
    running.host.run(200)
    assert_stopped_in_time(running)


@pytest.mark.sr("SR-STOP-4", "SR-SYM-1", side="pen")
def test_a_reported_symptom(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.host.send(stop.ReportSymptom(symptom=Symptom.PAIN))
    running.host.run(200)
    assert_stopped_in_time(running)


@pytest.mark.sr("SR-STOP-6", "SR-STOP-7", side="pen")
def test_a_press_of_the_button(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.button.press()
    running.host.run(200)
    assert_stopped_in_time(running)


@pytest.mark.sr("SR-STOP-6", side="pen")
def test_a_press_with_the_main_loop_hung_and_no_host(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.faults.inject("main_loop", "hung")
    running.pen.button.press()
    running.pen.advance(40)
    assert running.cut_after_us() <= CUT_US
    assert running.in_after_us() <= IN_US


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_a_host_that_falls_silent(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.host.renew()
    running.mark()
    running.pen.advance(1_000)
    assert_stopped_in_time(running, extra_us=LEASE_US)
    assert running.state() is State.PAUSED


@pytest.mark.sr("SR-STOP-1", side="pen", twin=True)
def test_a_host_that_renews_keeps_the_needles_out(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.host.run(2_000)
    assert running.pen.needles_out


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_renewals_held_back_buy_nothing(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.faults.inject("link", "delay", running.host.port.number, ms=600, way=1)
    running.host.run(2_000)
    assert_stopped_in_time(running, extra_us=LEASE_US)


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_a_renewal_that_quotes_an_old_tick_buys_nothing(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    old = running.host.tick_ms
    for _ in range(100):
        running.host.tick_ms = old
        running.host.renew()
        running.pen.advance(20)
        running.host.listen()
    assert_stopped_in_time(running, extra_us=LEASE_US)


@pytest.mark.sr("SR-STOP-5", "SR-SES-1", side="pen")
@pytest.mark.parametrize("how", ["closed", "cut"])
def test_a_link_that_is_gone(how: str, phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    if how == "closed":
        running.host.port.close()
    else:
        running.pen.faults.inject("link", "cut", running.host.port.number)
    running.pen.advance(200)
    assert_stopped_in_time(running)
    again = RawHost(running.pen)
    again.hello()
    running.pen.button.press()
    again.run(2_000)
    assert running.pen.skin.punctures - running.punctures <= 12 * 2
    assert not running.pen.needles_out


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_a_hung_main_loop(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.faults.inject("main_loop", "hung")
    running.pen.advance(400)
    assert running.cut_after_us() <= WATCHDOG_MS * 1_000 + CUT_US
    assert running.in_after_us() <= WATCHDOG_MS * 1_000 + IN_US
    running.pen.hand.lift()
    running.pen.advance(3_000)
    assert running.state() in AT_REST
    assert not running.pen.needles_out


@pytest.mark.sr("SR-STOP-3", side="pen")
def test_a_timer_interrupt_that_no_longer_comes(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.faults.inject("monitor", "hung")
    running.host.run(400)
    assert running.cut_after_us() <= WATCHDOG_MS * 1_000
    assert running.in_after_us() <= WATCHDOG_MS * 1_000 + IN_US
    assert not running.pen.needles_out


@pytest.mark.sr("SR-STOP-6", side="pen")
def test_a_pen_that_is_lifted(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.hand.lift()
    running.host.run(1_000)
    assert running.in_after_us() <= LIFT_RETRACT_MS * 1_000
    running.pen.hand.go_on()
    running.host.run(200)
    assert running.pen.needles_out


@pytest.mark.sr("SR-CART-3", side="pen")
def test_a_head_that_is_pulled(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    head = running.pen.cartridge.pull()
    running.host.run(100)
    assert running.in_after_us() <= IN_US
    assert not running.pen.motor_turns
    assert head is not None
    running.pen.cartridge.fit(head)
    running.host.run(500)
    assert not running.pen.needles_out


@pytest.mark.sr("SR-PWR-1", side="pen")
def test_power_that_goes_away(phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    running.pen.power.cut()
    running.pen.advance(100)
    assert_stopped_in_time(running)
    running.pen.power.restore()
    running.pen.hand.lift()
    running.pen.advance(5_000)
    assert not running.pen.needles_out
    assert running.state() is State.IDLE
