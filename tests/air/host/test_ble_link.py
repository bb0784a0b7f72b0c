"""A link over BLE keeps to what every link keeps to, in virtual time, over a stack that behaves as bleak's on BlueZ."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from dermalink.connection import CLOSE_WITHIN_S
from dermalink.errors import LinkClosed, LinkError, LinkLost, NotSecured
from dermalink.links.background import in_thread
from dermalink.links.ble_writer import GATHERED_MAX
from dermalink.links.link import RECEIVED, SENT
from dermalink_protocol.channels import CHANNEL_RULES, Channel, Gatt
from dermalink_protocol.errors import FrameTooLong
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral
from tests.air.host.rig import bench, opened
from tests.support.running import in_real_time, in_virtual_time

BODIES = [bytes(4), b"\x00\xff" * 20, bytes(range(1, 245)), b"\x01" * MESSAGE_BYTES_MAX]
LONG = b"\x55" * MESSAGE_BYTES_MAX
STOP = b"stop"
SLOW_S = 1.0  # a write that takes so long to be answered


@pytest.mark.parametrize("value_bytes", [20, 182, 244, 514])
@in_virtual_time
async def test_messages_go_whole_both_ways_at_each_mtu(value_bytes: int) -> None:
    device = Peripheral()
    device.value_bytes = value_bytes
    async with bench(device) as at:
        for body in BODIES:
            await at.link.send(Channel.COMMAND, body)
        assert at.device.messages == [(Channel.COMMAND, body) for body in BODIES]
        assert max(len(value) for _, value, _ in device.written) <= min(value_bytes, 512)
        for body in BODIES:
            at.computer.say(device, Channel.STATUS, body)
        assert [await at.link.receive() for _ in BODIES] == [(Channel.STATUS, body) for body in BODIES]
        assert at.link.counters.frames_sent == at.link.counters.frames_received == len(BODIES)
        assert at.link.counters.bytes_sent == sum(len(value) for _, value, _ in device.written)


@in_virtual_time
async def test_a_backend_that_does_not_know_its_size_gets_what_always_fits() -> None:
    device = Peripheral()
    async with bench(device) as at:
        for characteristic in at.client.services or ():
            for each in characteristic.characteristics:
                each._max_write_without_response_size = lambda: 1 // 0
        await at.link.send(Channel.COMMAND, LONG)
        assert device.messages == [(Channel.COMMAND, LONG)]
        assert max(len(value) for _, value, _ in device.written) == 20


@in_virtual_time
async def test_it_says_always_whether_an_answer_is_wanted_and_writes_in_turn() -> None:
    async with bench() as at:
        bodies = [bytes([number]) * 60 for number in range(30)]
        await asyncio.gather(*(at.link.send(Channel.STATUS, body) for body in bodies))
        assert [body for _, body in at.device.messages] == bodies
        assert {response for _, _, response in at.device.written} == {True}


@in_virtual_time
async def test_a_receive_that_is_cancelled_loses_nothing_and_there_is_one_receiver() -> None:
    async with bench() as at:
        values = at.device.cut(Channel.STATUS, LONG)
        for value in values[:3]:
            at.computer.notify(at.device, Channel.STATUS, value)
        receiving = asyncio.ensure_future(at.link.receive())
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="one reader"):
            await at.link.receive()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        for value in values[3:]:
            at.computer.notify(at.device, Channel.STATUS, value)
        assert await at.link.receive() == (Channel.STATUS, LONG)


@in_virtual_time
async def test_close_is_idempotent_final_and_disconnects_once() -> None:
    async with bench() as at:
        receiving = asyncio.ensure_future(at.link.receive())
        await asyncio.sleep(0)
        await asyncio.gather(at.link.close(), at.link.close())
        await at.link.close()
        assert at.client.disconnects == 1
        with pytest.raises(LinkClosed):
            await receiving
        with pytest.raises(LinkClosed):
            await at.link.receive()
        with pytest.raises(LinkClosed):
            await at.link.send(Channel.STATUS, STOP)
        for gather in (False, True):
            with pytest.raises(LinkClosed):
                at.link.try_send(Channel.STATUS, STOP, gather=gather)
        with pytest.raises(LinkClosed):
            at.link.send_now(Channel.STOP, STOP)


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_what_was_handed_over_just_before_close_gets_out() -> None:
    async with bench() as at:
        assert at.link.try_send(Channel.STATUS, b"handed")
        at.link.send_now(Channel.STOP, STOP)
        await at.link.close()
        assert (Channel.STOP, STOP) in at.device.messages
        assert (Channel.STATUS, b"handed") in at.device.messages


@in_virtual_time
async def test_a_device_that_is_gone_is_a_typed_error_for_all_once() -> None:
    async with bench() as at:
        at.computer.say(at.device, Channel.STATUS, b"before")
        at.device.write_s = SLOW_S
        sending = [asyncio.ensure_future(at.link.send(Channel.STATUS, bytes([number]))) for number in range(3)]
        await asyncio.sleep(0.1)
        at.computer.drop(at.device)
        for each in sending:
            with pytest.raises(LinkLost):
                await each
        assert await at.link.receive() == (Channel.STATUS, b"before")
        with pytest.raises(LinkLost, match="hung up"):
            await at.link.receive()
        with pytest.raises(LinkLost):
            at.link.send_now(Channel.STOP, STOP)
        with pytest.raises(LinkLost):
            at.link.try_send(Channel.STATUS, STOP)


@in_virtual_time
async def test_messages_are_delivered_as_they_come_and_the_end_once() -> None:
    async with bench() as at:
        taken: list[tuple[Channel, bytes]] = []
        ends: list[LinkError] = []
        at.computer.say(at.device, Channel.STATUS, b"before")
        at.link.deliver_to(lambda channel, body: taken.append((channel, body)), ends.append)
        at.computer.say(at.device, Channel.STOP, STOP)
        at.computer.say(at.device, Channel.STATUS, LONG)
        assert taken == [(Channel.STATUS, b"before"), (Channel.STOP, STOP), (Channel.STATUS, LONG)]
        assert not ends
        at.computer.drop(at.device)
        await at.link.close()
        assert [type(error) for error in ends] == [LinkLost]


@in_virtual_time
async def test_the_end_that_close_makes_is_told_as_that_also_to_who_comes_late() -> None:
    async with bench() as at:
        ends: list[LinkError] = []
        at.link.deliver_to(lambda _channel, _body: None, ends.append)
        await at.link.close()
        at.link.deliver_to(lambda _channel, _body: None, ends.append)
        assert [type(error) for error in ends] == [LinkClosed, LinkClosed]


@in_virtual_time
async def test_what_must_wait_is_told_so_and_a_cancelled_send_before_its_turn_sends_nothing() -> None:
    async with bench() as at:
        at.device.write_s = SLOW_S
        first = asyncio.ensure_future(at.link.send(Channel.COMMAND, b"first"))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(at.link.send(Channel.COMMAND, b"second"))
        third = asyncio.ensure_future(at.link.send(Channel.COMMAND, b"third"))
        await asyncio.sleep(0.1)
        assert not at.link.try_send(Channel.STATUS, b"not now")
        second.cancel()
        await first
        await third
        assert second.cancelled()
        assert [body for _, body in at.device.messages] == [b"first", b"third"]


@in_virtual_time
async def test_a_few_that_are_gathered_wait_and_no_more() -> None:
    async with bench() as at:
        at.device.write_s = SLOW_S
        taken = 0
        while at.link.try_send(Channel.STATUS, bytes([taken]), gather=True):
            taken += 1
        assert taken == GATHERED_MAX
        assert not at.link.try_send(Channel.STATUS, b"alone")
        await at.link.send(Channel.STATUS, bytes([taken]))
        assert [body for _, body in at.device.messages] == [bytes([number]) for number in range(taken + 1)]


@in_virtual_time
async def test_a_send_that_is_cancelled_in_its_turn_is_sent_whole_all_the_same() -> None:
    async with bench() as at:
        sending = asyncio.ensure_future(at.link.send(Channel.COMMAND, LONG))
        await asyncio.sleep(0.035)
        assert 0 < len(at.device.written) < len(at.device.cut(Channel.COMMAND, LONG))
        sending.cancel()
        await asyncio.wait([sending])
        await at.link.send(Channel.COMMAND, b"after")
        assert [body for _, body in at.device.messages] == [LONG, b"after"]


@in_virtual_time
async def test_nothing_too_long_is_taken_and_the_link_lives() -> None:
    async with bench() as at:
        too_long = bytes(MESSAGE_BYTES_MAX + 1)
        for refuse in (
            lambda: at.link.try_send(Channel.STATUS, too_long),
            lambda: at.link.send_now(Channel.STOP, too_long),
        ):
            with pytest.raises(FrameTooLong):
                refuse()
        with pytest.raises(FrameTooLong):
            await at.link.send(Channel.STATUS, too_long)
        await at.link.send(Channel.STATUS, b"fits")
        assert at.device.messages == [(Channel.STATUS, b"fits")]


@in_virtual_time
async def test_who_watches_sees_messages_and_values() -> None:
    async with bench() as at:
        frames: list[tuple[str, Channel, bytes]] = []
        values: list[tuple[str, bytes]] = []
        at.link.tap.on_frame = lambda way, channel, body: frames.append((way, channel, body))
        at.link.tap.on_bytes = lambda way, data: values.append((way, data))
        await at.link.send(Channel.STATUS, b"out")
        at.computer.say(at.device, Channel.STATUS, b"in")
        assert frames == [(SENT, Channel.STATUS, b"out"), (RECEIVED, Channel.STATUS, b"in")]
        assert values == [(SENT, b"\xc0out"), (RECEIVED, b"\xc0in")]


@pytest.mark.parametrize("channel", [Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS])
@in_virtual_time
async def test_a_stranger_s_link_touches_no_channel_that_wants_encryption_and_stands(channel: Channel) -> None:
    computer = Computer(Peripheral())
    link = await opened(computer)
    for send in (lambda: link.try_send(channel, b"x"), lambda: link.send_now(channel, b"x")):
        with pytest.raises(NotSecured, match=channel.name.lower()):
            send()
    with pytest.raises(NotSecured):
        await link.send(channel, b"x")
    await link.send(Channel.STATUS, b"x")
    link.send_now(Channel.STOP, STOP)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert {written for written, _, _ in computer.peripherals[0].written} == {Channel.STATUS, Channel.STOP}
    await link.secure(pairs=False)
    await link.send(Channel.COMMAND, b"x")
    await link.close()


# What comes in


@in_virtual_time
async def test_lost_late_and_repeated_segments_are_counted_and_harmless() -> None:
    async with bench() as at:
        first, second, third = at.device.cut(Channel.STATUS, b"A" * 50)
        whole = at.device.cut(Channel.STATUS, b"B" * 40)
        for value in (first, third, second, first, *whole, whole[-1], b""):
            at.computer.notify(at.device, Channel.STATUS, value)
        assert await at.link.receive() == (Channel.STATUS, b"B" * 40)
        assert at.link.counters.frames_received == 1
        assert at.link.counters.broken_frames >= 3
        assert at.link.counters.repeated == 1
        at.computer.say(at.device, Channel.STATUS, b"goes on")
        assert await at.link.receive() == (Channel.STATUS, b"goes on")


@in_virtual_time
async def test_channels_do_not_mix() -> None:
    async with bench() as at:
        of_status = at.device.cut(Channel.STATUS, b"S" * 60)
        of_records = at.device.cut(Channel.RECORDS, b"R" * 60)
        for pair in zip(of_status, of_records, strict=True):
            for channel, value in zip((Channel.STATUS, Channel.RECORDS), pair, strict=True):
                at.computer.notify(at.device, channel, value)
        got = {await at.link.receive(), await at.link.receive()}
        assert got == {(Channel.STATUS, b"S" * 60), (Channel.RECORDS, b"R" * 60)}


@in_real_time
async def test_bytes_and_ends_from_other_threads_are_taken_on_the_loop() -> None:
    async with bench() as at:
        threads: list[int] = []
        ends: asyncio.Queue[LinkError] = asyncio.Queue()
        got: asyncio.Queue[bytes] = asyncio.Queue()

        def take(_: Channel, body: bytes) -> None:
            threads.append(threading.get_ident())
            got.put_nowait(body)

        at.link.deliver_to(take, ends.put_nowait)
        await in_other_thread(lambda: at.computer.say(at.device, Channel.STATUS, LONG))
        async with asyncio.timeout(5):
            assert await got.get() == LONG
        assert set(threads) == {threading.get_ident()}
        at.computer.disconnect_s = 0
        await in_other_thread(lambda: at.computer.drop(at.device))
        async with asyncio.timeout(5):
            assert type(await ends.get()) is LinkLost


async def in_other_thread(call: Callable[[], None]) -> None:
    await in_thread(call, "as Windows calls back")


# Closing


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("disconnect_s", [0.0, 2.5, 3.5, FOREVER])
@in_virtual_time
async def test_close_is_bounded_whatever_the_disconnect_does_and_stop_does_not_wait_for_it(disconnect_s: float) -> None:
    async with bench() as at:
        at.computer.disconnect_s = disconnect_s
        loop = asyncio.get_running_loop()
        began = loop.time()
        at.link.send_now(Channel.STOP, STOP)
        await at.link.close()
        assert loop.time() - began <= CLOSE_WITHIN_S
        assert at.device.messages[0] == (Channel.STOP, STOP)
        assert at.client.disconnects == 1


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_close_waits_only_shortly_for_a_stop_that_hangs() -> None:
    async with bench() as at:
        at.device.write_s = FOREVER
        at.link.send_now(Channel.STOP, STOP)
        sending = asyncio.ensure_future(at.link.send(Channel.STATUS, b"waits"))
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await at.link.close()
        assert loop.time() - began <= CLOSE_WITHIN_S
        with pytest.raises(LinkClosed):
            await sending


@in_virtual_time
async def test_a_disconnect_that_fails_is_no_error_of_a_close() -> None:
    async with bench() as at:
        at.computer.disconnect_error = TimeoutError()
        await at.link.close()


@in_virtual_time
async def test_a_close_that_is_cancelled_goes_on_by_itself() -> None:
    async with bench() as at:
        closing = asyncio.ensure_future(at.link.close())
        await asyncio.sleep(0.1)
        closing.cancel()
        await asyncio.wait([closing])
        await asyncio.sleep(3)
        assert not at.client.up


def test_only_stop_has_no_business_with_queues() -> None:
    without = [channel for channel, rule in CHANNEL_RULES.items() if Gatt.WRITE_WITHOUT_RESPONSE in rule.gatt]
    assert without == [Channel.STOP]


@in_real_time
async def test_a_buffer_that_a_backend_uses_again_spoils_nothing() -> None:
    async with bench() as at:
        at.computer.disconnect_s = 0

        def call_back() -> None:
            for body in (b"first", b"other"):
                (value,) = at.device.cut(Channel.STATUS, body)
                buffer = bytearray(value)
                at.client.callbacks[Channel.STATUS](buffer)
                buffer[:] = bytes(len(buffer))

        await in_other_thread(call_back)
        async with asyncio.timeout(5):
            assert [await at.link.receive() for _ in range(2)] == [
                (Channel.STATUS, b"first"),
                (Channel.STATUS, b"other"),
            ]
