"""The runner keeps a pen at the loop's present, by timers, and tells everybody when the pen breaks."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.identity import Hello
from dermalink_protocol.segmentation import FIRST, LAST
from dermalink_simulator.hardware.port import GATT_VALUES_MAX
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenFailedError, PenRunner
from dermalink_simulator.seam import PortKind
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.unit.doors.echo_pen import EchoPen

HELLO_BODY = encode_envelope(Envelope(Channel.STATUS, 1, Hello(protocol_version=1, host_nonce=7)))
HELLO_VALUE = bytes([Channel.STATUS, FIRST | LAST]) + HELLO_BODY


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


def test_a_gatt_link_gets_one_value_a_call_in_order_and_a_stream_all_at_once() -> None:
    async def main() -> None:
        pen = SimulatedPen(seed=1)
        runner = PenRunner(pen)
        await asyncio.sleep(1)
        values: list[bytes] = []
        link = runner.connect(values.append, nothing, kind=PortKind.GATT)
        link.subscribe(Channel.STATUS, on=True)
        link.feed(HELLO_VALUE)
        link.feed(HELLO_VALUE)
        assert link.refusal(HELLO_VALUE) == 0
        assert link.refusal(b"\x04") == 0x03
        assert [value[0] for value in values] == [Channel.STATUS] * len(values)
        assert [value[1] & 0x3F for value in values] == list(range(len(values)))
        assert len(values) > GATT_VALUES_MAX
        values.clear()
        link.agree_mtu(247)
        link.feed(HELLO_VALUE)
        assert len(values) == 1
        link.close()
        link.feed(HELLO_VALUE)
        assert (link.refusal(b"\x04"), len(values)) == (0, 1)
        runner.stop()

    in_virtual_time(main)


def test_a_host_that_clogs_its_link_amid_a_message_gets_no_more_than_lay_at_the_link() -> None:
    async def main() -> None:
        pen = SimulatedPen(seed=1)
        runner = PenRunner(pen)
        await asyncio.sleep(1)
        values: list[bytes] = []

        def take(value: bytes) -> None:
            values.append(value)
            if len(values) == 1:
                link.clog(clogged=True)

        link = runner.connect(take, nothing, kind=PortKind.GATT)
        link.subscribe(Channel.STATUS, on=True)
        link.feed(HELLO_VALUE)
        link.feed(HELLO_VALUE)
        assert len(values) == GATT_VALUES_MAX
        await asyncio.sleep(5)
        assert len(values) == GATT_VALUES_MAX
        link.clog(clogged=False)
        assert [value[1] & 0x3F for value in values] == list(range(len(values)))
        assert len(values) > GATT_VALUES_MAX
        runner.stop()

    in_virtual_time(main)


def test_what_a_host_does_while_it_is_handed_a_value_comes_after_it() -> None:
    async def main() -> None:
        pen = EchoPen()
        runner = PenRunner(pen)
        heard: list[bytes] = []

        def take(value: bytes) -> None:
            heard.append(value)
            if len(heard) < 4:
                link.feed(b"%d" % len(heard))
            heard.append(b"end of " + value)

        link = runner.connect(take, nothing, kind=PortKind.GATT)
        link.feed(b"0")
        runner.stop()
        assert pen.kinds == [PortKind.GATT]
        assert heard[:4] == [b"0", b"end of 0", b"1", b"end of 1"]
        assert pen.ports[0].told == [("handed on", 1)] * (len(heard) // 2)

    in_virtual_time(main)


def test_a_pen_that_dies_while_it_is_heard_hangs_up_once_after_its_last_words() -> None:
    async def main() -> None:
        pen = EchoPen()
        runner = PenRunner(pen)
        heard: list[bytes] = []

        def take(value: bytes) -> None:
            heard.append(value)
            if not pen.ports[0].closed:
                link.feed(b"last")
                runner.act(pen.ports[0].vanish)

        link = runner.connect(take, lambda: heard.append(b"gone"), kind=PortKind.GATT)
        link.feed(b"first")
        await asyncio.sleep(1)
        assert heard == [b"first", b"last", b"gone"]
        runner.stop()

    in_virtual_time(main)


def test_values_are_read_at_the_present_and_not_without_power() -> None:
    async def main() -> None:
        pen = SimulatedPen(seed=7)
        runner = PenRunner(pen)
        await asyncio.sleep(3.5)
        assert runner.read_gatt(0x2A25) == b"DL-SIM-00000007"
        assert pen.now_ms == 3_500
        runner.act(pen.power.cut)
        with pytest.raises(DermalinkError, match="no power"):
            runner.read_gatt(0x2A25)
        assert not runner.stopped
        runner.stop()

    in_virtual_time(main)


def test_what_is_said_of_a_link_goes_through_until_it_is_closed() -> None:
    async def main() -> None:
        pen = EchoPen()
        runner = PenRunner(pen)
        link = runner.connect(lambda _: None, nothing, kind=PortKind.GATT)
        link.agree_mtu(185)
        link.subscribe(6, on=True)
        assert (link.refusal(b"no"), link.refusal(b"yes")) == (0x82, 0)
        link.close()
        link.agree_mtu(23)
        link.subscribe(6, on=False)
        assert link.refusal(b"no") == 0
        assert pen.ports[0].told == [("mtu", 185), ("subscribe", 13)]
        runner.stop()

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
