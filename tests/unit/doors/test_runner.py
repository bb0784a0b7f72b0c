"""The runner keeps a pen at the loop's present, by timers, and tells everybody when the pen breaks."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.runner import PenFailedError, PenRunner
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.unit.doors.echo_pen import EchoPen


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(whole())


def nothing() -> None:
    pass


def test_the_pen_wakes_when_it_asked_to_and_never_between() -> None:
    async def main() -> None:
        pen = EchoPen(beat_ms=7)
        runner = PenRunner(pen)
        await asyncio.sleep(1)
        runner.stop()
        assert pen.beats == list(range(7, 1_001, 7))

    in_virtual_time(main)


def test_bytes_reach_the_pen_at_the_millisecond_at_which_they_came() -> None:
    async def main() -> None:
        pen, said = EchoPen(), bytearray()
        runner = PenRunner(pen)
        link = runner.connect(said.extend, nothing)
        await asyncio.sleep(0.1234)
        link.feed(b"one")
        await asyncio.sleep(5)
        link.feed(b"two")
        runner.stop()
        assert pen.heard == [(123, b"one"), (5_123, b"two")]
        assert said == b"onetwo"

    in_virtual_time(main)


def test_fifty_times_as_fast() -> None:
    async def main() -> None:
        pen = EchoPen(beat_ms=100)
        runner = PenRunner(pen, speed=50)
        await asyncio.sleep(1)
        runner.stop()
        assert len(pen.beats) == 500

    in_virtual_time(main)


@pytest.mark.parametrize("speed", [0, -1, 101])
def test_an_absurd_speed_is_refused(speed: int) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="1 to 100"):
            PenRunner(EchoPen(), speed=speed)

    in_virtual_time(main)


def test_moving_the_pens_clock_keeps_both_clocks_together_afterwards() -> None:
    async def main() -> None:
        pen = EchoPen()
        runner = PenRunner(pen)
        await asyncio.sleep(1)
        runner.act(lambda: pen.advance(14 * 86_400_000))
        await asyncio.sleep(1)
        runner.act(nothing)
        runner.stop()
        assert pen.now_ms == 14 * 86_400_000 + 2_000

    in_virtual_time(main)


def test_a_closed_link_hears_and_says_nothing() -> None:
    async def main() -> None:
        pen, said = EchoPen(beat_ms=10), bytearray()
        runner = PenRunner(pen)
        link = runner.connect(said.extend, nothing)
        link.close()
        link.close()
        link.feed(b"lost")
        await asyncio.sleep(1)
        runner.stop()
        assert (pen.heard, bytes(said), pen.ports[0].ends) == ([], b"", 1)

    in_virtual_time(main)


def test_a_pen_that_breaks_says_so_to_everybody_once_and_stands_still() -> None:
    async def main() -> None:
        pen, hung_up = EchoPen(beat_ms=10), []
        runner = PenRunner(pen)
        link = runner.connect(lambda _: None, lambda: hung_up.append(True))
        link.feed(b"break")
        with pytest.raises(PenFailedError, match=r"broke at 0 ms.*RuntimeError: a planted mistake"):
            await runner.failed
        await asyncio.sleep(1)
        assert (pen.beats, hung_up) == ([], [True])

    in_virtual_time(main)


def test_a_testers_mistake_comes_back_and_a_broken_pen_is_broken() -> None:
    async def main() -> None:
        pen = EchoPen(beat_ms=10)
        runner = PenRunner(pen)

        def refuse() -> None:
            raise DermalinkError("no such head")

        with pytest.raises(DermalinkError, match="no such head"):
            runner.act(refuse)
        await asyncio.sleep(0.01)
        assert pen.beats == [10]
        with pytest.raises(PenFailedError, match="ZeroDivisionError"):
            runner.act(lambda: 1 // 0)
        assert isinstance(runner.failed.exception(), PenFailedError)

    in_virtual_time(main)


def test_what_the_pen_does_about_time_is_noted() -> None:
    async def main() -> None:
        pen, noted = EchoPen(beat_ms=250), []
        runner = PenRunner(pen)
        runner.after.append(lambda: noted.append(pen.now_ms))
        await asyncio.sleep(1)
        runner.stop()
        assert noted == [250, 500, 750, 1_000]

    in_virtual_time(main)


def test_a_pen_that_breaks_by_itself_is_reported_too() -> None:
    class Broken(EchoPen):
        def advance(self, ms: int) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        runner = PenRunner(Broken(beat_ms=10))
        with pytest.raises(PenFailedError, match="ZeroDivisionError"):
            await runner.failed

    in_virtual_time(main)


@pytest.mark.asyncio
async def test_in_real_time_the_pen_follows_the_wall() -> None:
    pen = EchoPen(beat_ms=5)
    runner = PenRunner(pen)
    started = asyncio.get_running_loop().time()
    await asyncio.sleep(0.05)
    runner.act(nothing)
    passed_ms = (asyncio.get_running_loop().time() - started) * 1_000
    runner.stop()
    assert passed_ms - 2 <= pen.now_ms <= passed_ms + 2
    assert pen.beats == list(range(5, pen.now_ms + 1, 5))
