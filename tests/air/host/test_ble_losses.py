"""A link that is lost in the middle of anything is an error of ours: no `CancelledError`, no hang, nothing left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dermalink.errors import CannotOpen, LinkError, LinkLost, StopNotConfirmed, Timeout
from dermalink.journal import MemoryJournal
from dermalink.links import ble_calls
from dermalink.links.ble_tries import OPEN_WITHIN_S
from dermalink.pen import Pen
from dermalink_protocol.errors import DermalinkError
from tests.air.host.on_air import on_air
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import Desk

GONE_WITHIN_S = 40.0  # the longest that anything may wait: an open's own bound, and what a hello waits after it
Cut = Callable[[Desk], None]


def power(desk: Desk) -> None:
    desk.do(lambda sim: sim.power.cut())


def silence(desk: Desk) -> None:
    desk.do(lambda sim: sim.faults.inject("air", "silence"))


async def ends_by_our_error(waiting: "asyncio.Future[Any]") -> DermalinkError | None:
    """Whatever it ends by is ours, in bounded time, and nobody is cancelled."""
    done, _ = await asyncio.wait([waiting], timeout=GONE_WITHIN_S)
    assert done, "it hangs"
    assert not waiting.cancelled()
    error = waiting.exception()
    assert error is None or isinstance(error, DermalinkError), repr(error)
    return error


@pytest.mark.parametrize("cut", [power, silence])
@in_virtual_time
async def test_at_any_moment_of_connecting(cut: Cut) -> None:
    for moment in range(0, 120, 6):
        async with on_air(options="interval=30") as desk:
            connecting = asyncio.ensure_future(Pen.connect(desk.url, journal=MemoryJournal()))
            asyncio.get_running_loop().call_later(moment / 20, cut, desk)
            error = await ends_by_our_error(connecting)
            if error is None:
                pen = connecting.result()
                assert isinstance(await asyncio.wait_for(pen.connection.wait_ended(), GONE_WITHIN_S), LinkLost)
                await pen.close()
            else:
                assert isinstance(error, LinkError | Timeout), repr(error)
    await asyncio.sleep(15)
    assert ble_calls.left() == 0


@pytest.mark.parametrize("cut", [power, silence])
@pytest.mark.parametrize(
    "ask",
    [
        lambda pen: pen.status(),
        lambda pen: pen.look(),
        lambda pen: pen.last_command(),
        lambda pen: pen.stop(),
        lambda pen: pen.close(),
    ],
    ids=["status", "look", "last_command", "stop", "close"],
)
@in_virtual_time
async def test_at_any_moment_of_asking(ask: Callable[[Pen], Awaitable[object]], cut: Cut) -> None:
    for moment in range(0, 20, 2):
        async with on_air(options="interval=30") as desk:
            pen = await desk.connect()
            asyncio.get_running_loop().call_later(moment / 100, cut, desk)
            error = await ends_by_our_error(asyncio.ensure_future(ask(pen)))
            assert error is None or isinstance(error, LinkError | Timeout | StopNotConfirmed), repr(error)
            await pen.close()


@in_virtual_time
async def test_a_radio_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(CannotOpen):
        await Pen.connect("ble:DP1-00001?radio=air:nowhere", journal=MemoryJournal())
    assert asyncio.get_running_loop().time() < OPEN_WITHIN_S
