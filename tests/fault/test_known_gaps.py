"""What a fault still breaks, alone or with a hand that helps, each as a test that fails as long as nobody mended it.

None of them takes a needle past 500 µm. Whoever mends one finds its test passing, and has to move it to where it is
proved.
"""

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.limits import INTERVAL_S
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from tests.fault.running_pen import IN_US, Running
from tests.persistence.evening import Afterwards, Evening
from tests.support.raw_host import OtherAnswerError, RawHost


def gap(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, raises=(AssertionError, pytest.fail.Exception), reason=reason)


@gap("a pen has one sensor of travel, and one that drifts looks like a hand that moves")
def test_a_travel_sensor_that_drifts_hides_dwelling() -> None:
    running = Running()
    running.pen.faults.inject("travel", "drifting")
    running.pen.hand.stay()
    running.host.run(2_000)
    assert not running.pen.needles_out


@gap("bytes wait for the main loop, and the watchdog lets one be late by 50 ms")
def test_a_main_loop_that_is_late_has_stop_wait() -> None:
    late_us = []
    for phase_ms in range(0, 40, 7):
        running = Running(phase_ms=phase_ms)
        running.pen.faults.inject("main_loop", "slow", ms=40)
        running.host.run(300)
        running.mark()
        running.host.stop()
        running.pen.advance(500)
        late_us.append(running.in_after_us())
    assert max(late_us) <= IN_US


@gap("the pen has one clock: that it runs fast shows to nobody while it is off")
def test_a_clock_that_runs_fast_shortens_the_wait() -> None:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.to_running(Zone.NOSE, Direction.VERTICAL)
    pen.hand.lift()
    pen.power.cut()
    pen.faults.inject("clock", "drift", ppm=200_000)
    pen.clock.advance(INTERVAL_S * 9 // 10)
    pen.power.restore()
    pen.advance(3_000)
    again = RawHost(pen)
    again.hello()
    with pytest.raises(OtherAnswerError):
        again.open()


@gap("a flash that calls done what it has not written is believed")
def test_a_flash_that_reorders_forgets_what_was_acknowledged() -> None:
    for seed in range(12):
        evening = Evening(seed=seed, cached=8)
        evening.pen.power.cut()
        afterwards = Afterwards(evening)
        afterwards.power_back()
        if RawHost(afterwards.pen).status().state is not State.LOCKED:
            afterwards.check()
