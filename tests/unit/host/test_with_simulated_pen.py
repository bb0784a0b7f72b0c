"""The same host against the simulated pen: what it believes, and what truly happened."""

import asyncio

import pytest

from dermalink.errors import DepthAlarm, HostRefusal, PenRestarted
from dermalink.journal import MemoryJournal
from dermalink.outcome import Applied
from dermalink.records import PassOver
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.firmware import PenFirmware
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import MOVING, a_desk, applied, keep_on, ready


@in_virtual_time
async def test_a_whole_pass_from_open_to_close() -> None:
    journal = MemoryJournal()
    async with a_desk(seed=1) as desk, await desk.connect(journal=journal) as pen:
        lease = await ready(pen)
        desk.do(lambda pen: pen.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda pen: pen.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
        over = await keep_on(
            pen, lease, lambda status: status.state not in MOVING and status.state is not State.STOPPING
        )
        assert (over.state, over.reason) == (State.OPEN, Reason.BUDGET_REACHED)
        assert lease.lowest_margin_ms is not None
        assert lease.lowest_margin_ms > LEASE_DEFAULT_MS // 2
        await pen.close_session()
        assert 0 < desk.sim.skin.deepest_um <= 250
        assert len(pen.samples) > 500
        assert int(pen.samples.samples()["depth_um"].max()) <= 270
    passes = [entry.record for entry in journal.entries() if isinstance(entry.record, PassOver)]
    assert [each.touched for each in passes] == [True]


@pytest.mark.sr("SR-INT-1", "SR-CART-1", side="host")
@in_virtual_time
async def test_the_next_session_is_refused_by_the_journal_alone() -> None:
    journal = MemoryJournal()
    async with a_desk(seed=1) as desk:
        async with await desk.connect(journal=journal) as pen:
            lease = await ready(pen)
            desk.do(lambda pen: pen.button.press())
            await keep_on(pen, lease, lambda status: status.state in MOVING)
            desk.do(lambda pen: pen.hand.touch(Zone.NOSE))
            await keep_on(pen, lease, lambda status: status.punctures > 0)
            await pen.stop()
            await pen.close_session()
        head = desk.sim.cartridge.head
        assert head is not None
    async with a_desk(seed=2) as other:
        other.do(lambda pen: pen.cartridge.fit(head))
        other.do(lambda pen: pen.clock.advance(60))
        async with await other.connect(journal=journal) as pen:
            await pen.look()
            with pytest.raises(HostRefusal) as caught:
                pen.gate.open_session()
            assert caught.value.reason is Reason.INTERVAL_NOT_OVER
            other.do(lambda pen: pen.clock.advance(15 * 86_400))
        async with await other.connect(journal=journal) as pen:
            await applied(pen, pen.gate.open_session)
            await pen.look()
            with pytest.raises(HostRefusal) as caught:
                pen.gate.prepare(zone=Zone.NOSE, direction=Direction.VERTICAL, depth_um=250, rate_hz=100, speed_mm_s=40)
            assert caught.value.reason is Reason.CARTRIDGE_USED


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", side="host")
@in_virtual_time
async def test_stop_is_confirmed_by_what_the_pen_measured() -> None:
    async with a_desk(seed=3) as desk, await desk.connect() as pen:
        lease = await ready(pen)
        desk.do(lambda pen: pen.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda pen: pen.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
        await keep_on(pen, lease, lambda status: status.punctures > 100)
        report = await pen.stop()
        assert not desk.sim.needles_out
        await asyncio.sleep(0.3)
        assert not desk.sim.motor_turns
        assert report.pen_ms <= 2 * IN_WITHIN_MS


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_a_loop_that_hangs_earns_no_lease_and_the_needles_go_in() -> None:
    async with a_desk(seed=3) as desk, await desk.connect() as pen:
        lease = await ready(pen)
        desk.do(lambda pen: pen.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda pen: pen.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
        await keep_on(pen, lease, lambda status: status.punctures > 100)
        await asyncio.sleep(1)
        status = await pen.status()
        assert (status.state, status.reason) == (State.PAUSED, Reason.LEASE_LAPSED)
        assert not desk.sim.needles_out


@in_virtual_time
async def test_a_paused_pass_goes_on_as_the_same_pass() -> None:
    async with a_desk(seed=4) as desk, await desk.connect() as pen:
        lease = await ready(pen)
        desk.do(lambda pen: pen.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda pen: pen.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
        await keep_on(pen, lease, lambda status: status.punctures > 100)
        await pen.pause()
        facts = await pen.look()
        assert facts.status.state is State.PAUSED
        assert isinstance(await pen.apply(pen.gate.resume_pass()), Applied)
        lease.rest()
        desk.do(lambda pen: pen.button.press())
        await keep_on(pen, lease, lambda status: status.state is State.RUNNING)
        await pen.end_pass()
        facts = await pen.look()
        assert facts.pen.passes == {(Zone.NOSE, Direction.VERTICAL)}


@in_virtual_time
async def test_a_press_that_does_not_come_leaves_the_frame_prepared() -> None:
    async with a_desk(seed=4) as desk, await desk.connect() as pen:
        lease = await ready(pen)
        status = await keep_on(pen, lease, lambda status: status.state is not State.WAITING)
        assert (status.state, status.reason) == (State.PREPARED, Reason.PRESS_TIMEOUT)
        await applied(pen, pen.gate.begin_pass)


@in_virtual_time
async def test_power_lost_in_a_session_is_another_pen() -> None:
    journal = MemoryJournal()
    async with a_desk(seed=5) as desk:
        async with await desk.connect(journal=journal) as pen:
            await ready(pen)
            desk.do(lambda sim: sim.power.cut())
            desk.do(lambda sim: sim.power.restore())
            error = await pen.connection.wait_ended()
            assert not isinstance(error, PenRestarted)
        async with await desk.connect(journal=journal) as pen:
            facts = await pen.look()
            assert facts.pen.session_id == 0


@pytest.mark.sr("SR-DEPTH-5", side="host")
@in_virtual_time
async def test_the_host_stops_on_its_own_when_the_pens_monitor_is_blind() -> None:
    async with (
        a_desk(seed=6, firmware=lambda: PenFirmware(disabled=frozenset({"monitor"}))) as desk,
        await desk.connect() as pen,
    ):
        lease = await ready(pen)
        desk.do(lambda pen: pen.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda pen: pen.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=40))
        await keep_on(pen, lease, lambda status: status.punctures > 100)
        desk.do(lambda pen: pen.faults.inject("actuator", "overshoot", um=200))
        await keep_on(pen, lease, lambda status: status.state not in MOVING)
        assert isinstance(pen.alarm, DepthAlarm)
        assert not desk.sim.needles_out


@pytest.mark.sr("SR-LOG-1", "SR-RST-1", side="host")
@in_virtual_time
async def test_an_old_copy_of_a_pens_memory_put_back_is_found() -> None:
    journal = MemoryJournal()
    async with a_desk(seed=7) as desk:
        before = desk.sim.flash_image()
        async with await desk.connect(journal=journal) as pen:
            await applied(pen, pen.gate.open_session)
            await pen.close_session()
        async with await desk.connect(journal=journal) as pen:
            assert (await pen.look()).history_fault == ""
            after = desk.sim.flash_image()
    for flash, sound in ((after, True), (before, False)):
        async with a_desk(seed=7, flash=bytearray(flash)) as desk, await desk.connect(journal=journal) as pen:
            assert ((await pen.look()).history_fault == "") is sound
