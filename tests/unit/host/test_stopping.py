"""What proves a Stop, and what does not: over a scripted far end."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dermalink.errors import StopFailed, StopNotConfirmed
from dermalink.stopping import NOT_STOPPED, REFUSED_AGAIN_S, TO_BE_STOPPED, is_stopped, settles
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.messages.identity import GetStatus, StateChanged, Status, StatusFlag
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.stop import Stop, Stopped
from dermalink_simulator.therapy.events import EventKind
from dermalink_simulator.therapy.table import TABLE
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST, ScriptedPen, a_pen

LATER_S = 0.03  # the needles need so long


def _running(far: ScriptedPen) -> None:
    """Stop takes hold, and the answer to every question is still under way when it is all over."""
    far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.STOPPING))
    far.silent_to(GetStatus)


def _say(far: ScriptedPen, *, state: State = State.OPEN, flags: StatusFlag = AT_REST, of_ms: int = 0) -> None:
    far.notify(StateChanged, tick_ms=far.tick + of_ms, state=state, reason=Reason.NONE, flags=flags)


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_what_the_pen_says_unasked_proves_it_as_well_as_an_answer() -> None:
    async with a_pen() as (pen, far):
        _running(far)
        asyncio.get_running_loop().call_later(LATER_S, _say, far)
        report = await pen.stop()
        assert isinstance(report.status, StateChanged)
        assert is_stopped(report.status)
        assert report.confirmed_ms == pytest.approx(LATER_S * 1_000)
        assert report.pen_ms == pytest.approx(LATER_S * 1_000, abs=1)
        assert pen.connection.on_state == []


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_an_answer_to_somebody_else_in_this_program_proves_it() -> None:
    async with a_pen() as (pen, far):
        far.silent_to(GetStatus)
        ids_before = len(far.ids)
        other = asyncio.ensure_future(pen.status())
        await asyncio.sleep(0)
        (asked,) = list(far.ids)[ids_before:]
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.STOPPING))
        status: Callable[[], Status] = lambda: Status(**far.status, tick_ms=far.tick)  # noqa: E731
        asyncio.get_running_loop().call_later(LATER_S, lambda: far.send(asked, status()))
        report = await pen.stop()
        assert report.status == await other


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize(
    "said",
    [
        {"of_ms": -1_000},
        {"of_ms": -30},  # the very millisecond of Stop's own answer
        {"state": State.STOPPING},
        {"state": State.RUNNING},
        {"flags": AT_REST & ~StatusFlag.NEEDLES_IN},
        {"flags": AT_REST & ~StatusFlag.MOTOR_OFF},
        {"flags": AT_REST | StatusFlag.ARMED},
    ],
    ids=str,
)
@in_virtual_time
async def test_what_is_older_than_the_answer_or_not_measured_proves_nothing(said: dict[str, Any]) -> None:
    async with a_pen() as (pen, far):
        _running(far)
        asyncio.get_running_loop().call_later(LATER_S, lambda: _say(far, **said))
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        assert pen.connection.on_state == []


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_what_came_before_stops_own_answer_counts_when_it_is_newer() -> None:
    async with a_pen() as (pen, far):
        far.silent_to(GetStatus)

        def answer(_: Stop) -> Stopped:
            _say(far, of_ms=5)  # it overtook
            return Stopped(tick_ms=far.tick, state=State.STOPPING)

        far.on(Stop, answer)
        assert (await pen.stop()).pen_ms == 5


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_a_pen_that_says_that_it_moves_after_it_stopped_is_believed_only_when_it_is_asked() -> None:
    async with a_pen() as (pen, far):
        _running(far)
        loop = asyncio.get_running_loop()
        loop.call_later(LATER_S, lambda: _say(far, state=State.RUNNING))
        loop.call_later(2 * LATER_S, _say, far)
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        far.scripts.clear()
        loop.call_later(0, lambda: _say(far, state=State.RUNNING))
        assert isinstance((await pen.stop()).status, Status)


@pytest.mark.sr("SR-STOP-8", side="host")
@in_virtual_time
async def test_a_stop_that_failed_is_said_as_soon_as_the_pen_says_it() -> None:
    async with a_pen() as (pen, far):
        _running(far)
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(LATER_S, lambda: _say(far, state=State.STOP_FAILED, flags=StatusFlag.MOTOR_OFF))
        with pytest.raises(StopFailed):
            await pen.stop()
        assert loop.time() - began == pytest.approx(LATER_S)


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_stop_that_the_pen_refuses_is_sent_again_at_once_and_in_no_tight_circle() -> None:
    async with a_pen() as (pen, far):
        refused = Refused(refused_opcode=Opcode.STOP, reason=Reason.BUSY, limit=0)
        far.on(Stop, lambda _: refused)
        stopping = asyncio.ensure_future(pen.stop())
        await asyncio.sleep(5.5 * REFUSED_AGAIN_S)
        assert far.stops() == 6
        far.scripts.clear()
        await stopping


@pytest.mark.sr("SR-STOP-2", side="host")
def test_where_stop_changes_anything_in_the_pen_nothing_settles_that_may_be_from_before_it() -> None:
    """By the pen's own table: what is at rest in any other state is so whether it heard Stop or not."""
    rows = [row for row in TABLE if EventKind.STOP in row.events]
    changed = {State(state) for row in rows if row.then is not None or row.blocks for state in row.states}
    starts_by_itself = {State.BOOT}  # a self-test follows
    assert {*TO_BE_STOPPED, State.STOPPING, State.RECORDING} == changed | starts_by_itself
    for state in State:
        status = Status(**ScriptedPen(MemoryPipe()).status | {"state": state}, tick_ms=1_000)
        ends_it = state is State.STOP_FAILED or state not in (*NOT_STOPPED, *TO_BE_STOPPED)
        assert settles(status, None) is (ends_it and state is not State.RECORDING), state
        assert settles(status, 999) is ends_it, state
        assert settles(status, 1_000) is settles(status, None), state  # of the same millisecond: it may be from before


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", side="host")
@pytest.mark.parametrize("state", [State.SELF_TEST, State.PREPARED, State.PAUSED, State.RUNNING])
@in_virtual_time
async def test_a_pen_that_says_stopped_and_stands_where_it_would_not_is_told_again(state: State) -> None:
    async with a_pen() as (pen, far):
        far.status |= {"state": state}
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.IDLE))
        asyncio.get_running_loop().call_later(0.2, far.scripts.clear)
        assert (await pen.stop()).status.state is State.IDLE
        assert 2 <= far.stops() <= 25
