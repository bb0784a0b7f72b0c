"""The same host against the simulated pen: what it believes, and what truly happened."""

import asyncio
import contextlib

import pytest

from dermalink.errors import CannotOpen, DepthAlarm, HostRefusal, PenRestarted
from dermalink.journal import MemoryJournal
from dermalink.outcome import Applied, Unknown, Verdict
from dermalink.pen import Pen
from dermalink.reconnect import Reconnector
from dermalink.records import Intended, PassOver, Settled
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.firmware import PenFirmware
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import MOVING, QUICK, Desk, a_desk, applied, keep_on, ready


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
        desk.do(lambda pen: pen.faults.inject("drive", "overshoot", um=200))
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


CRASHES = [
    (kind, opcode)
    for kind in ("crash_before", "crash_after")
    for opcode in (Opcode.OPEN_SESSION, Opcode.PREPARE, Opcode.BEGIN_PASS)
]


@pytest.mark.sr("SR-UNC-1", "SR-UNC-2", "SR-CMD-3", side="host")
@pytest.mark.parametrize(("kind", "opcode"), CRASHES, ids=lambda each: each if isinstance(each, str) else each.name)
@in_virtual_time
async def test_a_pen_that_crashes_at_a_command_is_believed_to_have_applied_it(kind: str, opcode: Opcode) -> None:
    journal = MemoryJournal()
    async with a_desk(seed=8) as desk:
        async with await desk.connect(journal=journal) as pen:
            desk.do(lambda sim: sim.faults.inject("firmware", kind, opcode=int(opcode)))
            unknown = await first_unknown(pen)
            assert unknown.command == opcode.name.title().replace("_", "")
            assert pen.unsettled
        asked = [entry.record for entry in journal.entries() if isinstance(entry.record, Intended)]
        assert [record.opcode for record in asked].count(opcode) == 1
        with pytest.raises(CannotOpen):
            await desk.connect(journal=journal)
        async for pen in Reconnector(lambda: desk.connect(journal=journal)):
            facts = await pen.look()
            settled = [entry.record for entry in journal.entries() if isinstance(entry.record, Settled)]
            assert settled[-1].verdict == Verdict.NEVER_KNOWN.value
            assert not facts.pen.unsettled
            began = opcode is Opcode.BEGIN_PASS
            assert (facts.tag in facts.belief.used_heads) is began
            assert (facts.belief.last_touch_utc_s > 0) is began
            assert desk.sim.skin.punctures == 0
            break
        await pen.close()


async def first_unknown(pen: Pen) -> Unknown:
    """Open, prepare, begin, until one has no answer."""
    for ask in (
        pen.gate.open_session,
        lambda: pen.gate.prepare(zone=Zone.NOSE, direction=Direction.VERTICAL, **QUICK),
        pen.gate.begin_pass,
    ):
        await pen.look()
        outcome = await pen.apply(ask())
        if isinstance(outcome, Unknown):
            return outcome
        assert isinstance(outcome, Applied)
    raise AssertionError("every command was answered")


@pytest.mark.sr("SR-UNC-1", "SR-CMD-1", side="host")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "permille"), [("loss", 1), ("corruption", 1), ("duplication", 100), ("reordering", 20)]
)
@in_virtual_time
async def test_over_a_bad_line_the_host_believes_at_least_what_is_true(kind: str, permille: int, seed: int) -> None:
    """Bytes lost, spoilt, doubled or held back: passes are tried, and the belief is held against the skin."""
    journal = MemoryJournal()
    async with a_desk(seed=seed) as desk:
        desk.do(lambda sim: sim.faults.inject("link", kind, permille=permille))
        for _ in range(6):
            with contextlib.suppress(DermalinkError, TimeoutError):
                async with await desk.connect(journal=journal) as pen:
                    await try_a_pass(pen, desk)
        desk.do(lambda sim: sim.faults.clear())
        async with await desk.connect(journal=journal) as pen:
            facts = await pen.look()
            if desk.sim.skin.punctures:
                head = desk.sim.cartridge.head
                assert head is not None
                assert facts.tag in facts.belief.used_heads
                assert facts.belief.last_touch_utc_s > 0
            if facts.pen.session_id:
                touched = {(zone, way) for zone in Zone for way in Direction if desk.sim.skin.punctures_in(zone, way)}
                assert touched <= facts.pen.passes
            assert desk.sim.skin.deepest_um <= 500
            assert not desk.sim.needles_out


async def try_a_pass(pen: Pen, desk: Desk) -> None:
    """As far as the line lets it."""
    facts = await pen.look()
    zone = Zone.NOSE
    if facts.status.session_id:
        zone = Zone.CHIN
        await applied(pen, lambda: pen.gate.adopt_session(facts.status.session_id))
        lease = pen.lease(facts.status.session_id)
        await applied(pen, lambda: pen.gate.prepare(zone=zone, direction=Direction.VERTICAL, **QUICK))
        await applied(pen, pen.gate.begin_pass)
    else:
        lease = await ready(pen)
    desk.do(lambda sim: sim.button.press())
    await keep_on(pen, lease, lambda status: status.state in MOVING, within_s=12)
    desk.do(lambda sim: sim.hand.sweep(zone, Direction.VERTICAL, speed_mm_s=40))
    await keep_on(pen, lease, lambda status: status.state not in MOVING, within_s=15)
