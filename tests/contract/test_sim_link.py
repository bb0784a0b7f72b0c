"""What the one contract suite (test_links.py) cannot ask of `sim:`: its far end here is a whole pen, which answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dermalink.errors import LinkClosed, LinkError, LinkLost
from dermalink.links.link import Link
from dermalink.links.open import open_link
from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.messages.identity import GetStatus, Status
from dermalink_protocol.messages.stop import Stop, Stopped
from dermalink_protocol.schema import Request
from dermalink_simulator.in_process import published
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from tests.support.running import in_virtual_time

STATUS = encode_envelope(Envelope(Channel.STATUS, 7, GetStatus()))


def asking(request: Request[Any], request_id: int) -> bytes:
    channel = request.channel
    assert channel is not None
    return encode_envelope(Envelope(channel, request_id, request))


@asynccontextmanager
async def a_link() -> AsyncIterator[tuple[Link, PenRunner]]:
    runner = PenRunner(SimulatedPen(seed=1))
    try:
        with published("contract", runner) as url:
            link = await open_link(url)
            try:
                yield link, runner
            finally:
                await link.close()
    finally:
        runner.stop()


async def answer(link: Link) -> Envelope:
    """The next message that answers a question."""
    while True:
        envelope = decode_envelope(*await link.receive())
        if envelope.request_id:
            return envelope


@in_virtual_time
async def test_a_question_is_answered() -> None:
    async with a_link() as (link, _):
        await link.send(Channel.STATUS, STATUS)
        assert isinstance((await answer(link)).message, Status)


@in_virtual_time
async def test_many_senders_never_mix_and_stop_is_among_them() -> None:
    async with a_link() as (link, _):
        numbers = range(1, 40)  # their answers are within what a host may leave unread
        sending = [asyncio.ensure_future(link.send(Channel.STATUS, asking(GetStatus(), each))) for each in numbers]
        link.send_now(Channel.STOP, asking(Stop(), 500))
        await asyncio.gather(*sending)
        answers = [await answer(link) for _ in range(40)]
        assert {each.request_id for each in answers} == {*numbers, 500}
        assert isinstance(answers[0].message, Stopped)


@in_virtual_time
async def test_a_receive_that_is_cancelled_loses_nothing() -> None:
    async with a_link() as (link, _):
        receiving = asyncio.ensure_future(link.receive())
        await asyncio.sleep(0)
        receiving.cancel()
        await asyncio.wait([receiving])
        await link.send(Channel.STATUS, STATUS)
        assert (await answer(link)).request_id == 7


@in_virtual_time
async def test_close_is_idempotent_and_final() -> None:
    async with a_link() as (link, _):
        receiving = asyncio.ensure_future(link.receive())
        await asyncio.sleep(0)
        await asyncio.gather(link.close(), link.close())
        with pytest.raises(LinkClosed):
            await receiving
        with pytest.raises(LinkClosed):
            await link.send(Channel.STATUS, STATUS)
        with pytest.raises(LinkClosed):
            link.send_now(Channel.STOP, STATUS)


@in_virtual_time
async def test_a_pen_that_loses_power_is_a_lost_link_for_all() -> None:
    async with a_link() as (link, runner):
        receiving = asyncio.ensure_future(answer(link))
        await asyncio.sleep(0.1)
        runner.act(runner.pen.power.cut)  # type: ignore[attr-defined]
        with pytest.raises(LinkLost):
            await receiving
        with pytest.raises(LinkLost):
            await link.send(Channel.STATUS, STATUS)
        with pytest.raises(LinkLost):
            link.send_now(Channel.STOP, STATUS)


@in_virtual_time
async def test_messages_are_delivered_as_they_come_and_the_end_once() -> None:
    async with a_link() as (link, runner):
        taken: list[int] = []
        ends: list[LinkError] = []
        link.deliver_to(lambda channel, body: taken.append(decode_envelope(channel, body).request_id), ends.append)
        assert link.try_send(Channel.STATUS, STATUS)
        await asyncio.sleep(0.1)
        assert 7 in taken
        runner.act(runner.pen.power.cut)  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)
        assert [type(error) for error in ends] == [LinkLost]


@in_virtual_time
async def test_a_host_that_does_not_read_holds_nothing_up_and_is_answered_once_it_reads() -> None:
    async with a_link() as (link, _):
        for number in range(1, 1_000):
            assert link.try_send(Channel.STATUS, asking(GetStatus(), number))
            if number % 100 == 0:
                await asyncio.sleep(0)
        link.send_now(Channel.STOP, asking(Stop(), 2_000))
        await asyncio.sleep(1)
        async with asyncio.timeout(10):
            while (await answer(link)).request_id < 20:
                pass
            link.send_now(Channel.STOP, asking(Stop(), 2_001))
            while (await answer(link)).request_id != 2_001:
                pass
