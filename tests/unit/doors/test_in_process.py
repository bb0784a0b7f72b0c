"""A pen in the host's own process: a pipe of bytes, found by its URL."""

import asyncio

import pytest

from dermalink_simulator.in_process import UNREAD_BYTES, BadSimUrlError, InProcessPipe, open_pipe, published
from dermalink_simulator.runner import PenRunner
from tests.unit.doors.echo_pen import EchoPen

pytestmark = pytest.mark.asyncio


async def test_bytes_go_both_ways_and_the_end_is_said_once() -> None:
    pen, ended = EchoPen(), []
    runner = PenRunner(pen)
    pipe = InProcessPipe(runner, lambda: ended.append(True))
    pipe.write(b"hello")
    await pipe.drain()
    assert await pipe.read() == b"hello"
    await pipe.close()
    await pipe.close()
    assert (await pipe.read(), ended, pen.ports[0].ends) == (b"", [True], 1)
    runner.stop()


async def test_a_waiting_reader_is_woken_by_bytes_and_by_the_end() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    pipe = InProcessPipe(runner, lambda: None)
    reading = asyncio.create_task(pipe.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await pipe.read()
    pipe.write(b"x")
    assert await reading == b"x"
    reading = asyncio.create_task(pipe.read())
    await asyncio.sleep(0)
    await pipe.close()
    assert await reading == b""
    runner.stop()


async def test_when_the_pen_goes_what_it_said_can_still_be_read_and_nothing_be_written() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    pipe = InProcessPipe(runner, lambda: None)
    pipe.write(b"last words")
    runner.act(pen.ports[0].vanish)
    assert await pipe.read() == b"last words"
    assert await pipe.read() == b""
    with pytest.raises(ConnectionError):
        pipe.write(b"x")
    with pytest.raises(ConnectionError):
        await pipe.drain()
    await pipe.close()
    runner.stop()


async def test_a_host_that_does_not_read_clogs_its_own_link_only() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    slow, quick = InProcessPipe(runner, lambda: None), InProcessPipe(runner, lambda: None)
    for _ in range(100):
        slow.write(bytes(250))
    assert pen.clogged(0)
    assert len(slow._unread) <= UNREAD_BYTES + 250
    quick.write(b"and I?")
    assert await quick.read() == b"and I?"
    received = 0
    while received < 100 * 250 - pen.ports[0].dropped:
        received += len(await slow.read())
    assert not pen.clogged(0)
    await slow.close()
    await quick.close()
    runner.stop()


async def test_a_published_pen_is_found_by_its_name_as_long_as_it_is_published() -> None:
    runner = PenRunner(EchoPen())
    with published("left", runner) as url:
        with pytest.raises(ValueError, match="no free name"), published("left", runner):
            pass
        assert url == "sim:left"
        first, second = await open_pipe(url), await open_pipe(url)
        first.write(b"1")
        second.write(b"2")
        assert (await first.read(), await second.read()) == (b"1", b"2")
        await first.close()
        await second.close()
    with pytest.raises(BadSimUrlError, match="no simulated pen of that name"):
        await open_pipe(url)
    runner.stop()


@pytest.mark.parametrize(
    "url",
    ["tcp:x", "sim:nobody", "sim:name?seed=1", "sim:?seed=x", "sim:?seed=-1", "sim:?colour=red", "sim:?seed"],
)
async def test_what_names_no_pen_is_refused(url: str) -> None:
    with pytest.raises(BadSimUrlError):
        await open_pipe(url)
