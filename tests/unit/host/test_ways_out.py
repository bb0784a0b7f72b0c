"""The signals that end a program send Stop first, and then unwind."""

import asyncio
import os
import signal
import sys
from typing import Any

import pytest

from dermalink.pen import Pen
from dermalink.ways_out import stop_on_signals
from tests.support.running import in_real_time
from tests.unit.host.scripted_pen import ScriptedPen, a_pen

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to oneself there")


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@in_real_time
async def test_stop_goes_before_anything_is_unwound(number: int) -> None:
    order: list[str] = []
    async with a_pen() as (pen, far):
        from dermalink_protocol.messages.stop import Stop

        def stopped(request: Any) -> Any:
            order.append("stop")
            return far.behave(request)

        far.on(Stop, stopped)

        async def session() -> None:
            async with stop_on_signals(pen):
                try:
                    await asyncio.sleep(30)
                finally:
                    order.append("unwound")

        running = asyncio.ensure_future(session())
        await asyncio.sleep(0.01)
        os.kill(os.getpid(), number)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert order == ["stop", "unwound"]


@in_real_time
async def test_a_second_signal_stops_again_and_a_lost_link_is_no_matter() -> None:
    async with a_pen() as (pen, far):

        async def stubborn() -> None:
            async with stop_on_signals(pen):
                for _ in range(2):
                    try:
                        await asyncio.sleep(30)
                    except asyncio.CancelledError:
                        if far.stops() == 2:
                            raise

        running = asyncio.ensure_future(stubborn())
        for _ in range(2):
            await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait([running])
        assert running.cancelled()
        assert far.stops() == 2
        await lost(pen, far)


async def lost(pen: Pen, far: ScriptedPen) -> None:
    far.pipe.cut()
    await pen.connection.wait_ended()

    async def inside() -> None:
        async with stop_on_signals(pen):
            await asyncio.sleep(30)

    running = asyncio.ensure_future(inside())
    await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait([running])
    assert running.cancelled()


@in_real_time
async def test_outside_the_signals_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with a_pen() as (pen, _):
        async with stop_on_signals(pen):
            assert signal.getsignal(signal.SIGTERM) is not before
        assert signal.getsignal(signal.SIGTERM) == before
