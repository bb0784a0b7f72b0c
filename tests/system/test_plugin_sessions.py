"""Our own use of the plugin that we ship: sessions, waits, heads and several hosts on one pen, in virtual time."""

import asyncio
from collections.abc import Callable

import pytest

from dermalink import SyncPen
from dermalink.errors import LinkError
from dermalink.journal import MemoryJournal
from dermalink.outcome import Applied
from dermalink.pen import Pen
from dermalink.session.outcome import Ending
from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.pytest_plugin import Bench, SessionRun, SimulatedPenDesk

DAYS_14 = 14 * 86_400
NOSE = """
plan = 1
rate_hz = 100
speed_mm_s = 40
[[zone]]
name = "nose"
directions = ["vertical"]
depth = "0.25 mm"
"""

RunSession = Callable[[str], SessionRun]
ConnectPen = Callable[[], SyncPen]


def test_time_passes_only_when_somebody_lets_it(pen: SyncPen, simulated_pen: SimulatedPenDesk) -> None:
    before = simulated_pen.now_ms
    assert simulated_pen.now_ms == before
    simulated_pen.advance(2.5)
    assert simulated_pen.now_ms == before + 2_500
    assert pen.status().tick_ms >= before + 2_500


async def open_session(host: Pen) -> State:
    await host.look()
    outcome = await host.apply(host.gate.open_session())
    assert isinstance(outcome, Applied)
    return (await host.look()).status.state


async def stop_from_another_door(url: str) -> tuple[State, State]:
    """What a second host sees before and after its Stop."""
    async with await Pen.connect(url, journal=MemoryJournal(), inspect_only=True) as second:
        before = (await second.status()).state
        await second.stop()
        return before, (await second.status()).state


def test_a_second_host_sees_the_state_and_may_stop(
    pen: SyncPen, simulated_pen: SimulatedPenDesk, virtual_time: Bench
) -> None:
    assert pen.run(open_session) is State.OPEN
    before, after = virtual_time.run(stop_from_another_door(simulated_pen.url))
    assert (before, after) == (State.OPEN, State.OPEN)
    assert pen.status().session_id


@pytest.mark.second_session
@pytest.mark.sr("SR-INT-1", "SR-INT-2", side="pen")
def test_a_wait_is_shortened_by_running_time_alone(
    pen: SyncPen, simulated_pen: SimulatedPenDesk, run_session: RunSession, connect_pen: ConnectPen
) -> None:
    assert run_session(NOSE).summary.ending is Ending.DONE
    waits = pen.status().wait_s
    assert DAYS_14 - 60 < waits <= DAYS_14
    simulated_pen.clock.set(simulated_pen.clock.utc_s + 3_600)
    simulated_pen.advance(5)
    assert pen.status().wait_s >= waits - 10
    simulated_pen.clock.advance(DAYS_14)
    assert connect_pen().status().wait_s == 0


@pytest.mark.sr("SR-CART-1", side="pen")
def test_a_used_head_is_still_used_a_fortnight_later_and_a_fresh_one_is_not(
    pen: SyncPen, simulated_pen: SimulatedPenDesk, run_session: RunSession, connect_pen: ConnectPen
) -> None:
    assert run_session(NOSE).summary.ending is Ending.DONE
    used = simulated_pen.cartridge.pull()
    assert used is not None
    simulated_pen.clock.advance(DAYS_14)
    simulated_pen.cartridge.fit(used)
    again = connect_pen()
    assert again.look().cartridge.reason is Reason.CARTRIDGE_USED
    simulated_pen.swap_head("glide")
    assert again.look().cartridge.reason is Reason.NONE


def test_after_a_loss_of_power_the_next_connection_finds_the_pen_at_rest(
    pen: SyncPen, simulated_pen: SimulatedPenDesk, connect_pen: ConnectPen
) -> None:
    simulated_pen.power.cut()
    with pytest.raises(LinkError):
        pen.status()
    with pytest.raises(LinkError):
        connect_pen()
    simulated_pen.power.restore()
    assert connect_pen().status().state is State.IDLE


@pytest.mark.simulated_pen(head="long")
@pytest.mark.sr("SR-DEPTH-2", side="pen")
def test_a_head_that_reaches_too_far_is_refused_for_therapy(pen: SyncPen) -> None:
    assert pen.look().cartridge.reason is Reason.CARTRIDGE_OVER_CAP


def test_the_bench_runs_coroutines_in_virtual_time(virtual_time: Bench) -> None:
    virtual_time.run(asyncio.sleep(3_600))
    assert virtual_time.now == 3_600
