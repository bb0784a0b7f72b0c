"""Virtual time jumps, keeps its order, waits for threads, and says when nothing can ever come."""

import asyncio
import time

import pytest

from dermalink_simulator.virtual_time import NothingToWaitForError, VirtualTimeLoop


def test_a_day_passes_at_once_and_exactly() -> None:
    started = time.monotonic()
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        runner.run(asyncio.sleep(14 * 86_400))
        assert loop.time() == 14 * 86_400
    assert time.monotonic() - started < 1


def test_no_tick_is_lost_to_rounding() -> None:
    ticks: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(1, 90_001):
            woken = loop.create_future()
            loop.call_at(number * 0.01, woken.set_result, None)
            await woken
            ticks.append(loop.time())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert len(ticks) == 90_000
    assert all(abs(at - number * 0.01) < 1e-9 for number, at in enumerate(ticks, 1))


def test_timers_fire_in_order_of_their_time() -> None:
    order: list[str] = []

    async def note(after_s: float, name: str) -> None:
        await asyncio.sleep(after_s)
        order.append(name)

    async def main() -> None:
        await asyncio.gather(note(3, "c"), note(1, "a"), note(2, "b"))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert order == ["a", "b", "c"]


def test_time_does_not_run_away_under_a_thread() -> None:
    async def main() -> float:
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.02)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(main()) == 0.0


def test_a_time_out_still_fires() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        assert asyncio.get_running_loop().time() == 5

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_bytes_in_flight_come_before_the_jump() -> None:
    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(0.001):
            writer.write(b"ping\n")
            assert await reader.readline() == b"ping\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_a_wait_that_can_never_end_is_said_with_who_waits() -> None:
    async def forgotten() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualTimeLoop()
    task = loop.create_task(forgotten(), name="forgotten one")
    try:
        with pytest.raises(NothingToWaitForError, match=r"nothing is scheduled.*forgotten one"):
            loop.run_until_complete(task)
    finally:
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()
