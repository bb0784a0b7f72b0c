"""Stop over BLE: from anybody, with or without response, past whatever waits, and in time by the simulated skin."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bumble import att

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.limits import CUT_WITHIN_MS, IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.messages.refusal import Refused as Answer
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.places import GRACE_MS
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, RawCentral, bench

EVENT_MS = 30  # the room's connection interval
ROOM_LATE_MS = 4 * EVENT_MS  # up to three events lost in a row


def assert_stopped_in_time(pen: Bench, since_ms: int, late_ms: int = 0) -> None:
    """The drive was cut and the needles in, after that moment and within the limits."""
    cut_us, in_us = pen.pen.drive_cut_us - since_ms * 1_000, pen.pen.skin.last_in_us
    assert 0 <= cut_us <= (CUT_WITHIN_MS + late_ms) * 1_000
    assert in_us is not None, "the needles are out"
    assert 0 < in_us - since_ms * 1_000 <= (IN_WITHIN_MS + late_ms) * 1_000
    assert not pen.pen.needles_out
    assert not pen.runner.act(lambda: pen.pen.motor_turns)


@asynccontextmanager
async def running(air: str = "perfect") -> AsyncIterator[tuple[Bench, RawCentral]]:
    """A pass, needles in skin, of a host that keeps its lease by itself."""
    async with bench(air) as pen, pen.host() as owner:
        await owner.subscribe(*Channel)
        await owner.to_running(pen.runner)
        async with owner.renewing():
            await asyncio.sleep(0.2)
            assert pen.runner.act(lambda: pen.pen.needles_out)
            yield pen, owner


async def stop_with_response(host: RawCentral) -> None:
    _, (segment,) = host.segments(stop.Stop(), 1)
    await host.write(host.handle(Channel.STOP), segment)


async def stop_without_response(host: RawCentral) -> None:
    host.stop_now()


WAYS = pytest.mark.parametrize("way", [stop_with_response, stop_without_response])


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="pen")
@WAYS
@pytest.mark.parametrize("air", ["perfect", "room"])
def test_stop_of_a_stranger_who_said_and_subscribed_nothing(way: object, air: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with running(air) as (pen, _), pen.host(2, mtu=0) as stranger:
            since = pen.now_ms
            await way(stranger)  # type: ignore[operator]
            await asyncio.sleep(0.4)
            assert_stopped_in_time(pen, since, 0 if air == "perfect" else ROOM_LATE_MS)

    test()


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="pen")
@pytest.mark.parametrize("op_code", [att.Opcode.ATT_WRITE_REQUEST, att.Opcode.ATT_WRITE_COMMAND])
@pytest.mark.parametrize("confirms", [True, False])
def test_stop_of_the_owner_with_indications_unconfirmed_and_requests_under_way(op_code: int, confirms: bool) -> None:
    @in_virtual_time
    async def test() -> None:
        async with running() as (pen, owner):
            owner.confirms = confirms
            await owner.send_message(identity.GetStatus())
            channel, (status,) = owner.segments(identity.GetStatus(), 900)
            _, (segment,) = owner.segments(stop.Stop(), 901)
            since = pen.now_ms
            responses = await owner.all_at_once(
                struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, owner.handle(Channel.STATUS)),
                struct.pack("<BH", att.Opcode.ATT_WRITE_REQUEST, owner.handle(channel)) + status,
                struct.pack("<BH", op_code, owner.handle(Channel.STOP)) + segment,
            )
            assert [one[0] for one in responses][:2] == [att.Opcode.ATT_READ_RESPONSE, att.Opcode.ATT_WRITE_RESPONSE]
            assert len(responses) == (3 if op_code == att.Opcode.ATT_WRITE_REQUEST else 2)
            await asyncio.sleep(0.2)
            assert owner.unconfirmed == (0 if confirms else 1), "one indication at a time"
            assert_stopped_in_time(pen, since)

    test()


@pytest.mark.sr("SR-STOP-4", side="pen")
@in_virtual_time
async def test_stop_behind_other_writes_cuts_the_drive_in_the_millisecond_in_which_it_arrives() -> None:
    async with running() as (pen, owner):
        channel, (segment,) = owner.segments(identity.GetStatus(), 900)
        write = struct.pack("<BH", att.Opcode.ATT_WRITE_REQUEST, owner.handle(channel)) + segment
        _, (stopping,) = owner.segments(stop.Stop(), 901)
        since = pen.now_ms
        stopping = struct.pack("<BH", att.Opcode.ATT_WRITE_COMMAND, owner.handle(Channel.STOP)) + stopping
        await owner.all_at_once(write, write, stopping)
        assert pen.pen.drive_cut_us - since * 1_000 < 1_000
        assert_stopped_in_time(pen, since)


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="pen")
@in_virtual_time
async def test_what_the_pen_says_of_stop_is_next_after_the_indication_under_way() -> None:
    async with running() as (pen, owner):
        owner.confirms = False
        await owner.send_message(identity.GetStatus())
        numbers = [await owner.send_message(identity.GetStatus()) for _ in range(4)]
        stopped = owner.stop_now()
        await asyncio.sleep(0.1)
        assert stopped not in owner.replies
        for _ in range(2):
            owner.confirm()
            await asyncio.sleep(0.05)
        assert isinstance(owner.replies[stopped], stop.Stopped)
        assert not set(numbers[1:]) & set(owner.replies)
        owner.confirms = True
        owner.confirm()
        await asyncio.sleep(1)
        assert set(numbers) <= set(owner.replies)
        assert owner.broken == []
        assert pen.door.links == 1


@pytest.mark.sr("SR-STOP-4", side="pen")
@pytest.mark.parametrize("op_code", [att.Opcode.ATT_WRITE_REQUEST, att.Opcode.ATT_WRITE_COMMAND])
def test_stop_is_taken_on_a_link_that_the_pen_is_ending(op_code: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with running("room") as (pen, _), pen.host(2, mtu=0) as stranger:
            _, (segment,) = stranger.segments(stop.Stop(), 1)
            link = list(pen.door._server.links.values())[-1]
            link.end(0x13)
            assert link.gone
            since = pen.now_ms
            stranger.send(struct.pack("<BH", op_code, stranger.handle(Channel.STOP)) + segment)
            await asyncio.sleep(0.4)
            assert stranger.ended is not None
            assert_stopped_in_time(pen, since, ROOM_LATE_MS)

    test()


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("air", ["perfect", "room"])
def test_stop_is_taken_of_a_host_that_has_given_way_to_others(air: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with running(air) as (pen, _), pen.host(2, mtu=0) as stranger:
            await asyncio.sleep(2 * GRACE_MS / 1_000)
            others = [pen.runner.connect(lambda _: None, lambda: None) for _ in range(7)]
            since = pen.now_ms
            stranger.stop_now()
            await asyncio.sleep(0.4)
            assert_stopped_in_time(pen, since, 0 if air == "perfect" else ROOM_LATE_MS)
            for other in others:
                other.close()

    test()


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@in_virtual_time
async def test_a_flood_of_one_delays_no_stop_of_another() -> None:
    async with running("room") as (pen, _), pen.host(2) as flooder, pen.host(3, mtu=0) as stranger:
        await flooder.subscribe(*Channel)
        read = struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, flooder.handle(Channel.STATUS))
        channel, (segment,) = flooder.segments(identity.GetStatus(), 900)
        write = struct.pack("<BH", att.Opcode.ATT_WRITE_REQUEST, flooder.handle(channel)) + segment
        for _ in range(5_000):
            flooder.send(read)
            flooder.send(write)
            flooder.send(b"\x52\xff\xff" + bytes(20))
        await asyncio.sleep(0.5)
        assert pen.runner.act(lambda: pen.pen.needles_out), "a flood is no reason to stop"
        since = pen.now_ms
        stranger.stop_now()
        await asyncio.sleep(0.4)
        assert_stopped_in_time(pen, since, ROOM_LATE_MS)


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@in_virtual_time
async def test_hosts_that_take_nothing_delay_no_stop_and_no_answer_of_another() -> None:
    async with running("room") as (pen, _), pen.host(2) as deaf, pen.host(3) as stranger:
        await deaf.subscribe(*Channel)
        await stranger.subscribe(*Channel)
        deaf.confirms = False
        for _ in range(20):
            await deaf.send_message(identity.GetStatus())
        since = pen.now_ms
        answer = await stranger.answer_to(stranger.stop_now(), within_s=0.5)
        assert isinstance(answer, stop.Stopped)
        await asyncio.sleep(0.2)
        assert_stopped_in_time(pen, since, ROOM_LATE_MS)
        assert isinstance(await stranger.ask(identity.GetStatus()), identity.Status)


class Cable:
    """A host on another door of the same pen: frames on a stream."""

    def __init__(self, pen: Bench) -> None:
        self.replies: dict[int, object] = {}
        self._decoder = FrameDecoder()
        self._port = pen.runner.connect(self._take, lambda: None)
        self._number = 0

    def _take(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):
                envelope = decode_envelope(event.channel, event.body)
                self.replies[envelope.request_id] = envelope.message

    async def ask(self, message: identity.Hello | identity.GetLastCommand | therapy.OpenSession) -> object:
        self._number += 1
        channel = message.channel or Channel.COMMAND
        self._port.feed(encode_frame(channel, encode_envelope(Envelope(channel, self._number, message))))
        async with asyncio.timeout(5):
            while self._number not in self.replies:  # noqa: ASYNC110 (virtual time)
                await asyncio.sleep(0.001)
        return self.replies[self._number]


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@in_virtual_time
async def test_a_session_of_one_door_is_refused_to_a_host_of_another_who_can_stop_it() -> None:
    async with running() as (pen, owner):
        cable = Cable(pen)
        reply = await cable.ask(identity.Hello(protocol_version=1, host_nonce=1))
        assert isinstance(reply, identity.HelloReply)
        opening = therapy.OpenSession(
            command_id=1,
            ttl_ms=500,
            seen_tick_ms=owner.tick_ms,
            boot_id=reply.boot_id,
            lease_ms=500,
            record_number=0,
            record_hash=bytes(32),
        )
        refused = await cable.ask(opening)
        assert isinstance(refused, Answer)
        assert pen.pen.needles_out
        since = pen.now_ms
        cable._port.feed(encode_frame(Channel.STOP, encode_envelope(Envelope(Channel.STOP, 9, stop.Stop()))))
        await asyncio.sleep(0.2)
        assert_stopped_in_time(pen, since)


@pytest.mark.sr("SR-STOP-1", side="pen")
@pytest.mark.parametrize("supervision_ms", [500, 30_000])
def test_a_central_that_dies_leaves_needles_in_when_the_lease_lapses(supervision_ms: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with running("room") as (pen, owner):
            pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=supervision_ms))
            await asyncio.sleep(0.3)
            since = pen.now_ms
            owner.die()
            await asyncio.sleep(LEASE_DEFAULT_MS / 1_000 + 0.4)
            assert_stopped_in_time(pen, since, LEASE_DEFAULT_MS)
            assert pen.door.links == (0 if supervision_ms == 500 else 1)
            await asyncio.sleep(supervision_ms / 1_000 + 1)
            assert pen.door.links == 0
            assert pen.door.advertising

    test()


@pytest.mark.sr("SR-STOP-1", side="pen")
@in_virtual_time
async def test_an_air_that_falls_silent_leaves_needles_in_when_the_lease_lapses() -> None:
    async with running("room") as (pen, _):
        since = pen.now_ms
        pen.runner.act(lambda: pen.pen.faults.inject("air", "silence"))
        await asyncio.sleep(LEASE_DEFAULT_MS / 1_000 + 0.4)
        assert_stopped_in_time(pen, since, LEASE_DEFAULT_MS)
        status = pen.runner.act(lambda: pen.pen.firmware)
        assert status is not None


@pytest.mark.sr("SR-STOP-1", side="pen", twin=True)
@in_virtual_time
async def test_a_host_that_renews_over_the_room_keeps_the_needles_out() -> None:
    async with running("room") as (pen, owner):
        before = pen.pen.skin.punctures
        await asyncio.sleep(2)
        assert pen.runner.act(lambda: pen.pen.skin.punctures) > before + 100
        assert (await owner.status()).state is State.RUNNING
        assert (await owner.status()).reason is Reason.NONE
