"""What goes out over BLE: Stop past everything, refusals and silence at ATT level."""

import asyncio

import pytest
from bleak.exc import BleakError

from dermalink.errors import LinkLost
from dermalink.links.ble_writer import COPY_AFTER_S, RETRY_AFTER_S, RETRY_FOR_S, WRITE_WITHIN_S
from dermalink_protocol.channels import AttError, Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.messages.stop import ReportSymptom, Stop
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import ATT_MTU_MIN, FIRST, SEQUENCE_MASK, segment_bytes
from dermalink_protocol.zones import Symptom
from tests.air.host.fake_bleak import FOREVER
from tests.air.host.rig import bench
from tests.support.running import in_virtual_time

LONG = b"\x55" * MESSAGE_BYTES_MAX
STOP = b"stop"
SLOW_S = 1.0  # a write that takes so long to be answered


# Stop


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@in_virtual_time
async def test_stop_goes_past_a_write_that_is_not_answered_and_all_that_waits() -> None:
    async with bench() as at:
        at.device.write_s = SLOW_S
        waiting = [asyncio.ensure_future(at.link.send(Channel.COMMAND, LONG)) for _ in range(50)]
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        at.link.send_now(Channel.STOP, STOP)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert at.device.messages == [(Channel.STOP, STOP)]
        assert asyncio.get_running_loop().time() == began
        assert at.device.written[-1][2] is False
        await asyncio.sleep(1.95 * SLOW_S)
        assert at.device.written[-1] == (Channel.STOP, b"\xc0stop", True)  # its answered copy, before all that waits
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_stop_that_the_stack_drops_is_sent_again_with_an_answer() -> None:
    async with bench() as at:
        at.device.without_response_error = BleakError("the queue is full")
        at.link.send_now(Channel.STOP, STOP)
        await asyncio.sleep(0.1)
        assert at.device.written == [(Channel.STOP, b"\xc0stop", True)]
        assert at.link.try_send(Channel.STATUS, b"it lives")


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_copy_of_stop_that_is_refused_ends_no_link() -> None:
    async with bench() as at:
        at.link.send_now(Channel.STOP, STOP)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused: list[Channel] = []

        def refuse(channel: Channel, _: bytes) -> int:
            refused.append(channel)
            return AttError.COUNTER

        at.device.refuse = refuse
        await asyncio.sleep(2 * COPY_AFTER_S)
        assert refused == [Channel.STOP]
        at.device.refuse = lambda _channel, _value: 0
        assert at.link.try_send(Channel.STATUS, b"it lives")


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("answers", [0, 1, 2])
@in_virtual_time
async def test_a_stop_of_which_nothing_is_heard_is_sent_once_more_with_an_answer(answers: int) -> None:
    async with bench() as at:
        for number in range(2):
            at.link.send_now(Channel.STOP, bytes([number]))
            await asyncio.sleep(0.01)
        for number in range(answers):
            at.computer.say(at.device, Channel.STOP, b"stopped" + bytes([number]))
        at.computer.say(at.device, Channel.STATUS, b"that says nothing of it")
        await asyncio.sleep(2 * COPY_AFTER_S)
        copies = [value for _, value, response in at.device.written if response]
        assert copies == ([] if answers == 2 else [b"\xc1\1"])


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_close_sends_the_copy_that_is_due_and_does_not_wait_for_its_time() -> None:
    async with bench() as at:
        at.link.send_now(Channel.STOP, STOP)
        await at.link.close()
        assert [response for _, _, response in at.device.written] == [False, True]


@in_virtual_time
async def test_of_two_stops_each_goes_at_once_and_the_newest_is_answered() -> None:
    async with bench() as at:
        at.device.write_s = SLOW_S
        sending = asyncio.ensure_future(at.link.send(Channel.STATUS, b"slow"))
        await asyncio.sleep(0.1)
        at.link.send_now(Channel.STOP, b"1")
        at.link.send_now(Channel.STOP, b"2")
        await asyncio.sleep(0.1)
        assert [body for _, body in at.device.messages] == [b"1", b"2"]
        await sending
        await asyncio.sleep(2 * SLOW_S)
        answered = [value for channel, value, response in at.device.written if response and channel is Channel.STOP]
        assert answered == [b"\xc12"]


@in_virtual_time
async def test_what_may_not_go_without_response_goes_first_in_the_queue() -> None:
    async with bench() as at:
        at.device.write_s = SLOW_S
        sending = [asyncio.ensure_future(at.link.send(Channel.COMMAND, bytes([number]))) for number in range(3)]
        await asyncio.sleep(0.1)
        at.link.send_now(Channel.COMMAND, b"pause")
        await asyncio.gather(*sending)
        assert [body for _, body in at.device.messages] == [b"\0", b"pause", b"\1", b"\2"]
        assert {response for _, _, response in at.device.written} == {True}


def test_whatever_goes_by_the_stop_channel_fits_one_segment_at_the_smallest_mtu() -> None:
    requests: list[Message] = [Stop(), *(ReportSymptom(symptom=symptom) for symptom in Symptom)]
    for request in requests:
        assert len(encode_envelope(Envelope(Channel.STOP, 1, request))) <= segment_bytes(ATT_MTU_MIN)


# Refusals and silence


@in_virtual_time
async def test_in_progress_is_tried_again_in_the_sender_s_own_time_and_holds_up_nobody() -> None:
    async with bench() as at:
        busy = True
        at.device.refuse = lambda channel, value: AttError.IN_PROGRESS if busy and value[1:6] == b"begin" else 0
        sending = asyncio.ensure_future(at.link.send(Channel.COMMAND, b"begin" * 20))
        await asyncio.sleep(RETRY_AFTER_S / 2)
        await at.link.send(Channel.COMMAND, b"renew")
        assert at.device.messages == [(Channel.COMMAND, b"renew")]
        await asyncio.sleep(3.0)
        assert not sending.done()
        busy = False
        await sending
        assert at.device.messages[-1] == (Channel.COMMAND, b"begin" * 20)
        assert at.link.counters.frames_sent == 2


@in_virtual_time
async def test_in_progress_given_up_by_its_sender_sends_nothing_and_breaks_no_sequence() -> None:
    async with bench() as at:
        busy = True
        at.device.refuse = lambda _channel, _value: AttError.IN_PROGRESS if busy else 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await at.link.send(Channel.COMMAND, b"given up")
        assert at.link.try_send(Channel.COMMAND, b"by nobody")
        await asyncio.sleep(RETRY_FOR_S + 1)
        busy = False
        await asyncio.sleep(1)
        await at.link.send(Channel.COMMAND, b"after")
        assert at.device.messages == [(Channel.COMMAND, b"after")]
        assert at.device.written[0][1] == b"\xc0after"  # the first number, for the pen has seen no other


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (AttError.CRC, "0x81: its checksum is wrong"),
        (AttError.COUNTER, "0x82: its segments do not follow"),
        (AttError.CCCD_IMPROPERLY_CONFIGURED, "0xFD: this host is not subscribed"),
        (AttError.OUT_OF_RANGE, "0xFF: it is out of range"),
        (0x03, "0x03: it may not be written"),
        (0x0D, "0x0D: the value's length"),
        (0x11, "0x11: insufficient resource"),
        (0x77, "0x77: unknown"),
    ],
)
@in_virtual_time
async def test_any_other_refusal_loses_the_link_with_its_code_in_words(code: int, words: str) -> None:
    async with bench() as at:
        at.device.refuse = lambda _channel, _value: int(code)
        with pytest.raises(LinkLost) as caught:
            await at.link.send(Channel.COMMAND, b"refused")
        assert words in str(caught.value)
        with pytest.raises(LinkLost, match="ATT error"):
            await at.link.receive()
        await asyncio.sleep(0.1)
        assert at.client.disconnects == 1  # without waiting for anybody's close


@pytest.mark.parametrize(
    "error", [BleakError("Service Discovery has not been performed yet"), OSError("gone"), EOFError(), AssertionError()]
)
@in_virtual_time
async def test_whatever_a_write_raises_is_a_lost_link(error: Exception) -> None:
    async with bench() as at:
        at.device.write_error = error
        with pytest.raises(LinkLost):
            await at.link.send(Channel.COMMAND, b"out")


@in_virtual_time
async def test_a_cancelled_error_that_nobody_asked_for_is_a_lost_link() -> None:
    async with bench() as at:
        at.device.write_error = asyncio.CancelledError()
        with pytest.raises(LinkLost):
            await at.link.send(Channel.COMMAND, b"out")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


@pytest.mark.sr("SR-STOP-5", side="host")
@in_virtual_time
async def test_a_write_that_is_never_answered_is_a_lost_link_in_bounded_time() -> None:
    async with bench() as at:
        at.device.write_s = FOREVER
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(LinkLost, match="not answered within 6 s"):
            await at.link.send(Channel.COMMAND, b"out")
        assert loop.time() - began == pytest.approx(WRITE_WITHIN_S)
        assert at.client.is_connected  # which is a lie


@in_virtual_time
async def test_in_progress_in_the_middle_of_a_message_is_a_lost_link_for_the_rest_may_not_be_tried_again() -> None:
    async with bench() as at:
        at.device.refuse = lambda _channel, value: 0 if value[0] & FIRST else AttError.IN_PROGRESS
        with pytest.raises(LinkLost, match="in progress"):
            await at.link.send(Channel.COMMAND, LONG)


@in_virtual_time
async def test_the_numbers_of_a_channel_s_segments_go_on_from_one_message_to_the_next() -> None:
    async with bench() as at:
        for body in (LONG, b"short", LONG * 1, b"x" * 100, b"y"):
            await at.link.send(Channel.COMMAND, body)
        for number in range(3):
            at.link.send_now(Channel.STOP, bytes([number]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for channel in (Channel.COMMAND, Channel.STOP):
            numbers = [value[0] & SEQUENCE_MASK for each, value, _ in at.device.written if each is channel]
            assert numbers == [number & SEQUENCE_MASK for number in range(len(numbers))]
            assert len(numbers) >= 3


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_stop_goes_before_what_was_handed_over_in_the_same_turn() -> None:
    async with bench() as at:
        at.device.write_s = 0
        assert at.link.try_send(Channel.STATUS, b"gathered", gather=True)
        assert at.link.try_send(Channel.STATUS, b"as well", gather=True)
        at.link.send_now(Channel.STOP, STOP)
        await asyncio.sleep(0.05)
        assert [body for _, body in at.device.messages] == [STOP, b"gathered", b"as well"]
