"""Sealed over the air: each ATT_MTU, a symptom that a Stop cuts in two, and what the seal costs there."""

import asyncio

import pytest

from dermalink.pen import Pen
from dermalink.stopping import is_stopped
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.zones import Direction, Symptom, Zone
from tests.air.host.on_air import on_air
from tests.air.host.test_ble_stop_slow_air import PHASE_S, Air, in_a_pass
from tests.support.running import in_virtual_time
from tests.system.test_stop_in_between import Between
from tests.unit.host.simulated import MOVING, keep_on, ready

STARTED_S = 1.5  # its self-test at power-up is over
MOMENTS = 12


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_stop_that_comes_between_the_segments_of_a_sealed_symptom_costs_neither() -> None:
    for moment in range(MOMENTS):
        async with on_air(options="mtu=23,interval=30") as desk:
            await asyncio.sleep(STARTED_S)
            desk.give_owner()
            async with await desk.connect() as pen:
                telling = asyncio.ensure_future(pen.report_symptom(Symptom.PAIN))
                await asyncio.sleep(moment * 0.008)
                assert (await pen.stop()).status.state is State.IDLE
                assert (await telling).state is State.IDLE
                assert pen.connection.error is None
                assert pen.connection.link.counters.unsealed() == {}


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("att_mtu", [23, 185, 517])
@in_virtual_time
async def test_a_whole_pass_under_seal_at_each_att_mtu(att_mtu: int) -> None:
    async with on_air(options=f"mtu={att_mtu}") as desk:
        await asyncio.sleep(STARTED_S)
        desk.give_owner()
        async with await desk.connect() as pen:
            lease = await ready(pen)
            desk.do(lambda sim: sim.button.press())
            await keep_on(pen, lease, lambda status: status.state in MOVING)
            desk.do(lambda sim: sim.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
            over = await keep_on(pen, lease, lambda status: status.state not in (*MOVING, State.STOPPING))
            assert (over.state, over.reason) == (State.OPEN, Reason.BUDGET_REACHED)
            assert lease.lowest_margin_ms is not None
            assert lease.lowest_margin_ms > LEASE_DEFAULT_MS // 4
            await pen.close_session()
            counters = pen.connection.link.counters
            assert (counters.broken_frames, counters.repeated, counters.unsealed()) == (0, 0, {})


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize(("air", "within_ms"), [(Air(30), 500), (Air(100), 1_900)], ids=str)
@in_virtual_time
async def test_in_a_pass_a_stop_is_proved_under_seal_each_time(air: Air, within_ms: int) -> None:
    for number in range(MOMENTS):
        async with on_air(options="mtu=185") as desk:
            await asyncio.sleep(STARTED_S)
            desk.give_owner()
            async with in_a_pass(desk) as pen:
                air.begin(desk)
                await asyncio.sleep(0.05 + PHASE_S * number)
                report = await pen.stop()
                assert is_stopped(report.status)
                assert report.confirmed_ms <= within_ms


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", "SR-SEC-1", side="host")
@pytest.mark.parametrize(("air", "within_ms"), [(Air(30), 800), (Air(60), 1_900)], ids=str)
@in_virtual_time
async def test_in_a_pass_a_stop_that_somebody_withholds_and_answers_goes_under_seal_and_is_proved(
    air: Air, within_ms: int
) -> None:
    for number in range(MOMENTS):
        async with on_air(options="mtu=185") as desk:
            await asyncio.sleep(STARTED_S)
            desk.give_owner()
            async with in_a_pass(desk) as pen:
                between = Between.get_in(pen, desk)
                air.begin(desk)
                await asyncio.sleep(0.05 + PHASE_S * number)
                report = await pen.stop()
                assert between.swallowed
                assert report.status.state in (State.RECORDING, State.OPEN)
                assert report.confirmed_ms <= within_ms


async def _round_trip_s(pen: Pen) -> float:
    """The mean of some, each begun at another moment between two connection events."""
    loop = asyncio.get_running_loop()
    took = 0.0
    for number in range(20):
        await asyncio.sleep(0.2 + number * 0.0037)
        began = loop.time()
        await pen.status()
        took += loop.time() - began
    return took / 20


@pytest.mark.parametrize("att_mtu", [185, 247, 517])
@in_virtual_time
async def test_from_an_att_mtu_of_185_on_a_sealed_question_takes_no_longer_on_the_air(att_mtu: int) -> None:
    async with on_air(options=f"mtu={att_mtu}") as desk:
        await asyncio.sleep(STARTED_S)
        async with await desk.connect() as pen:
            clear_s = await _round_trip_s(pen)
        desk.give_owner()
        async with await desk.connect() as pen:
            assert pen.sealed
            assert await _round_trip_s(pen) <= 1.05 * clear_s
