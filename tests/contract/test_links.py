"""What every link keeps to, whatever carries it: one suite over all of them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from dermalink.errors import LinkClosed, LinkError, LinkLost
from dermalink.links.link import Link
from dermalink_protocol.channels import Channel
from dermalink_protocol.framing import FRAME_OVERHEAD, Frame, FrameDecoder, encode_frame
from dermalink_protocol.limits import HOST_STOP_WITHIN_MS, MESSAGE_BYTES_MAX
from tests.contract.far_ends import CLOGGABLE, MAKERS, STREAMS, FarEnd, Maker, sim
from tests.support.running import in_real_time

each_link = pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
each_stream = pytest.mark.parametrize("maker", STREAMS, ids=lambda maker: maker.__name__)
each_that_clogs = pytest.mark.parametrize("maker", CLOGGABLE, ids=lambda maker: maker.__name__)

BODIES = [bytes(4), b"\x00\xff" * 20, bytes(range(1, 245)), b"\x01" * MESSAGE_BYTES_MAX]
LONG = b"\x55" * MESSAGE_BYTES_MAX
STOP = b"stop"
BOUND_S = 5.0  # a test that waits longer than this hangs


async def frames_at(far: FarEnd, number: int) -> list[Frame]:
    """The next `number` frames that the link has sent; anything else at the far end fails."""
    decoder = FrameDecoder()
    found: list[Frame] = []
    async with asyncio.timeout(BOUND_S):
        while len(found) < number:
            for event in decoder.feed(await far.read(1)):
                assert isinstance(event, Frame), event
                found.append(event)
    return found


@contextlib.asynccontextmanager
async def clogged(far: FarEnd) -> AsyncIterator[tuple[int, "asyncio.Future[None]"]]:
    """A link that takes nothing more: how many frames it took, and the sender that waits."""
    if clog := getattr(far, "clog", None):
        clog()
    taken = 0
    while True:
        sender = asyncio.ensure_future(far.link.send(Channel.STATUS, LONG))
        done, _ = await asyncio.wait([sender], timeout=0.05)
        if not done:
            break
        sender.result()
        taken += 1
    try:
        yield taken, sender
    finally:
        sender.cancel()
        await asyncio.wait([sender])


@each_link
@in_real_time
async def test_messages_go_whole_both_ways(maker: Maker) -> None:
    async with maker() as far:
        for body in BODIES:
            await far.link.send(Channel.COMMAND, body)
        assert [frame.body for frame in await frames_at(far, len(BODIES))] == BODIES
        await far.send(b"".join(encode_frame(Channel.STATUS, body) for body in BODIES))
        async with asyncio.timeout(BOUND_S):
            assert [await far.link.receive() for _ in BODIES] == [(Channel.STATUS, body) for body in BODIES]
        assert far.link.counters.frames_sent == far.link.counters.frames_received == len(BODIES)


@each_stream
@in_real_time
async def test_text_and_noise_between_frames_are_handed_on_and_cost_nothing(maker: Maker) -> None:
    async with maker() as far:
        heard: list[bytes] = []
        far.link.tap.on_noise = heard.append
        await far.send(
            b"boot 1.2\r\n" + encode_frame(Channel.STATUS, STOP) + b"\x07\x80noise" + encode_frame(Channel.STOP, STOP)
        )
        async with asyncio.timeout(BOUND_S):
            assert await far.link.receive() == (Channel.STATUS, STOP)
            assert await far.link.receive() == (Channel.STOP, STOP)
        assert b"".join(heard) == b"boot 1.2\r\n\x07\x80noise"
        assert far.link.counters.broken_frames == 1


@each_link
@in_real_time
async def test_two_senders_never_mix(maker: Maker) -> None:
    async with maker() as far:
        reading = asyncio.ensure_future(frames_at(far, 100))
        senders = [far.link.send(Channel.STATUS, bytes([number]) * 200) for number in range(100)]
        async with asyncio.timeout(BOUND_S):
            await asyncio.gather(*senders)
        assert sorted(frame.body for frame in await reading) == [bytes([number]) * 200 for number in range(100)]


@each_link
@in_real_time
async def test_a_receive_that_is_cancelled_loses_nothing(maker: Maker) -> None:
    async with maker() as far:
        frame = encode_frame(Channel.STATUS, LONG)
        await far.send(frame[:100])
        receiving = asyncio.ensure_future(far.link.receive())
        await asyncio.sleep(0.02)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        await far.send(frame[100:])
        async with asyncio.timeout(BOUND_S):
            assert await far.link.receive() == (Channel.STATUS, LONG)


@each_link
@in_real_time
async def test_it_has_one_receiver_at_a_time(maker: Maker) -> None:
    async with maker() as far:
        receiving = asyncio.ensure_future(far.link.receive())
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="one reader"):
            await far.link.receive()
        receiving.cancel()
        await asyncio.wait([receiving])


@each_link
@in_real_time
async def test_close_is_idempotent_and_final(maker: Maker) -> None:
    async with maker() as far:
        receiving = asyncio.ensure_future(far.link.receive())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(BOUND_S):
            await asyncio.gather(far.link.close(), far.link.close())
            await far.link.close()
        with pytest.raises(LinkClosed):
            await receiving
        with pytest.raises(LinkClosed):
            await far.link.receive()
        with pytest.raises(LinkClosed):
            await far.link.send(Channel.STATUS, STOP)
        with pytest.raises(LinkClosed):
            far.link.send_now(Channel.STOP, STOP)


@each_link
@in_real_time
async def test_what_was_sent_just_before_close_gets_out(maker: Maker) -> None:
    async with maker() as far:
        far.link.send_now(Channel.STOP, STOP)
        reading = asyncio.ensure_future(frames_at(far, 1))
        await far.link.close()
        assert await reading == [Frame(Channel.STOP, STOP)]


@each_link
@in_real_time
async def test_a_far_end_that_dies_is_a_typed_error_for_all(maker: Maker) -> None:
    async with maker() as far:
        await far.send(encode_frame(Channel.STATUS, STOP))
        async with asyncio.timeout(BOUND_S):
            assert await far.link.receive() == (Channel.STATUS, STOP)
        receiving = asyncio.ensure_future(far.link.receive())
        await asyncio.sleep(0.01)
        await far.die()
        async with asyncio.timeout(BOUND_S):
            with pytest.raises(LinkLost):
                await receiving
            with pytest.raises(LinkLost):
                await send_until_refused(far.link)
            with pytest.raises(LinkLost):
                far.link.send_now(Channel.STOP, STOP)
            await far.link.close()


async def send_until_refused(link: Link) -> None:
    """A system may take a little more after the far end's death."""
    while True:
        await link.send(Channel.STATUS, STOP)


@each_that_clogs
@in_real_time
async def test_a_clogged_sender_is_woken_by_the_far_end_s_death(maker: Maker) -> None:
    async with maker() as far, clogged(far) as (_, sender):
        await far.die()
        async with asyncio.timeout(BOUND_S):
            with contextlib.suppress(LinkError):
                while True:
                    await far.link.receive()
            await asyncio.wait([sender])  # a dying system may still have taken it
            assert isinstance(sender.exception(), LinkError | None)


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@each_that_clogs
@in_real_time
async def test_stop_goes_before_all_that_waits_on_a_clogged_link(maker: Maker) -> None:
    async with maker() as far, clogged(far) as (taken, sender):
        waiting = [asyncio.ensure_future(far.link.send(Channel.STATUS, LONG)) for _ in range(50)]
        await asyncio.sleep(0)
        began = time.perf_counter()
        far.link.send_now(Channel.STOP, STOP)
        assert (time.perf_counter() - began) * 1000 < HOST_STOP_WITHIN_MS
        # What the system had taken, the one frame that was going out, and then Stop: no other was let before it.
        whole = (taken + 1) * (FRAME_OVERHEAD + len(LONG))
        decoder = FrameDecoder()
        reading = asyncio.ensure_future(far.read(whole + FRAME_OVERHEAD + len(STOP)))
        async with asyncio.timeout(BOUND_S):
            events = decoder.feed(await reading)
        assert all(isinstance(event, Frame) for event in events)
        assert events[-1] == Frame(Channel.STOP, STOP)
        assert [event for event in events[:-1] if event == Frame(Channel.STOP, STOP)] == []
        for each in waiting:
            each.cancel()
        await asyncio.wait([sender, *waiting])


@each_that_clogs
@in_real_time
async def test_a_send_that_is_cancelled_on_a_clogged_link_spoils_no_frame(maker: Maker) -> None:
    async with maker() as far, clogged(far) as (taken, sender):
        waiting = asyncio.ensure_future(far.link.send(Channel.STATUS, b"not in turn"))
        await asyncio.sleep(0)
        sender.cancel()
        waiting.cancel()
        await asyncio.wait([sender, waiting])
        reading = asyncio.ensure_future(frames_at_bulk(far, taken + 2))
        async with asyncio.timeout(BOUND_S):
            await far.link.send(Channel.STATUS, b"after")
            frames = await reading
        assert [frame.body for frame in frames] == [LONG] * (taken + 1) + [b"after"]


async def frames_at_bulk(far: FarEnd, number: int) -> list[Frame]:
    """`number` frames, all but the last of them `LONG`."""
    size = (number - 1) * (FRAME_OVERHEAD + len(LONG)) + FRAME_OVERHEAD + len(b"after")
    events = FrameDecoder().feed(await far.read(size))
    frames = [event for event in events if isinstance(event, Frame)]
    assert len(frames) == len(events)
    return frames


@each_that_clogs
@in_real_time
async def test_a_clogged_link_closes_in_bounded_time(maker: Maker) -> None:
    async with maker() as far, clogged(far) as (_, sender):
        began = time.monotonic()
        await close_and_check(far.link)
        assert time.monotonic() - began < 2.0
        with pytest.raises(LinkError):
            await sender


async def close_and_check(link: Link) -> None:
    async with asyncio.timeout(BOUND_S):
        await link.close()
    with pytest.raises(LinkClosed):
        link.send_now(Channel.STOP, STOP)


@each_link
@in_real_time
async def test_messages_are_delivered_as_they_come_and_the_end_once(maker: Maker) -> None:
    async with maker() as far:
        taken: asyncio.Queue[tuple[Channel, bytes]] = asyncio.Queue()
        ends: asyncio.Queue[LinkError] = asyncio.Queue()
        await far.send(encode_frame(Channel.STATUS, b"before"))
        await asyncio.sleep(0.02)
        far.link.deliver_to(lambda channel, body: taken.put_nowait((channel, body)), ends.put_nowait)
        await far.send(b"text" + encode_frame(Channel.STOP, STOP) + encode_frame(Channel.STATUS, LONG))
        async with asyncio.timeout(BOUND_S):
            assert await taken.get() == (Channel.STATUS, b"before")
            assert await taken.get() == (Channel.STOP, STOP)
            assert await taken.get() == (Channel.STATUS, LONG)
            assert ends.empty()
            await far.die()
            assert type(await ends.get()) is LinkLost
        await far.link.close()
        assert ends.empty()


@each_link
@in_real_time
async def test_the_end_that_close_makes_is_told_as_that(maker: Maker) -> None:
    async with maker() as far:
        ends: list[LinkError] = []
        far.link.deliver_to(lambda _channel, _body: None, ends.append)
        await far.link.close()
        assert [type(error) for error in ends] == [LinkClosed]


@each_link
@in_real_time
async def test_what_need_not_wait_is_sent_at_once_and_in_order(maker: Maker) -> None:
    async with maker() as far:
        bodies = [bytes([number]) * (number % 200 + 4) for number in range(60)]
        reading = asyncio.ensure_future(frames_at(far, len(bodies)))
        for number, body in enumerate(bodies):
            if not far.link.try_send(Channel.STATUS, body, gather=number % 7 != 0):
                await far.link.send(Channel.STATUS, body)
        assert [frame.body for frame in await reading] == bodies
    for gather in (False, True):
        with pytest.raises(LinkClosed):
            far.link.try_send(Channel.STATUS, b"closed", gather=gather)


@each_that_clogs
@in_real_time
async def test_what_must_wait_is_told_so(maker: Maker) -> None:
    async with maker() as far, clogged(far) as (taken, sender):
        assert not far.link.try_send(Channel.STATUS, b"after")
        sender.cancel()
        await asyncio.wait([sender])
        reading = asyncio.ensure_future(frames_at_bulk(far, taken + 2))
        async with asyncio.timeout(BOUND_S):
            await far.link.send(Channel.STATUS, b"after")
            assert (await reading)[-1].body == b"after"


@pytest.mark.sr("SR-STOP-4", side="host")
@each_link
@in_real_time
async def test_stop_goes_before_what_was_gathered(maker: Maker) -> None:
    async with maker() as far:
        assert far.link.try_send(Channel.STATUS, b"gathered", gather=True)
        assert far.link.try_send(Channel.STATUS, b"as well", gather=True)
        far.link.send_now(Channel.STOP, STOP)
        frames = await frames_at(far, 3)
        assert [frame.body for frame in frames] == [STOP, b"gathered", b"as well"]


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@in_real_time
async def test_nothing_ever_waits_on_a_link_in_the_same_process() -> None:
    async with sim() as far:
        await far.send(encode_frame(Channel.STATUS, LONG) * 50)  # more than a host may leave unread
        for _ in range(1_000):
            assert far.link.try_send(Channel.STATUS, LONG)
        far.link.send_now(Channel.STOP, STOP)
        heard = far.heard()
        assert heard.endswith(encode_frame(Channel.STOP, STOP))
        assert len(heard) == 1_000 * (FRAME_OVERHEAD + len(LONG)) + FRAME_OVERHEAD + len(STOP)
