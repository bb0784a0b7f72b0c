"""What goes out over BLE: Stop past everything, refusals and silence at ATT level."""

import asyncio

import pytest
from bleak.exc import BleakError

from dermalink.errors import LinkError, LinkLost
from dermalink.links.ble_writer import (
    COPY_AFTER_MAX_S,
    COPY_AFTER_S,
    REFUSED_FOR_S,
    RETRY_AFTER_S,
    RETRY_FOR_S,
    WRITE_WITHIN_S,
)
from dermalink_protocol.channels import AttError, Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.stop import ReportSymptom, Stop, Stopped, SymptomReported
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import ATT_MTU_MIN, FIRST, SEQUENCE_MASK, segment_bytes
from dermalink_protocol.zones import Symptom
from tests.air.host.fake_bleak import FOREVER, Peripheral
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
@pytest.mark.parametrize("code", [AttError.COUNTER, AttError.IN_PROGRESS])
@in_virtual_time
async def test_a_copy_of_stop_that_is_refused_goes_again_until_it_is_taken_and_ends_no_link(code: AttError) -> None:
    async with bench() as at:
        refused = _refusing(at.device, code)
        at.link.send_now(Channel.STOP, STOP)
        await asyncio.sleep(4 * COPY_AFTER_S)
        assert len(refused) >= 3
        at.device.refuse = lambda _channel, _value: 0
        await asyncio.sleep(4 * COPY_AFTER_S)
        assert at.device.written == [(Channel.STOP, b"\xc0stop", True)]
        assert at.link.try_send(Channel.STATUS, b"it lives")


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("before_s", [0.1, -0.15], ids=["its-copy", "itself"])
@in_virtual_time
async def test_a_message_whose_segments_a_stop_goes_between_is_sent_anew_as_a_whole(before_s: float) -> None:
    async with bench() as at:
        at.device.write_s = 0.1
        long = bytes(range(2 * segment_bytes(ATT_MTU_MIN)))
        urgent = [(max(0.0, -before_s), STOP), (max(0.0, before_s), long)]
        for wait_s, body in sorted(urgent):
            asyncio.get_running_loop().call_later(wait_s, at.link.send_now, Channel.STOP, body)
        await asyncio.sleep(1.5)
        assert at.device.messages.count((Channel.STOP, long)) == 1
        assert at.device.messages.count((Channel.STOP, STOP)) >= 1
        assert at.link.try_send(Channel.STATUS, b"it lives")


def _refusing(device: Peripheral, code: AttError) -> list[bytes]:
    """Refuse all that comes from now on; what did."""
    refused: list[bytes] = []

    def refuse(_: Channel, value: bytes) -> int:
        refused.append(value)
        return int(code)

    device.refuse = refuse
    return refused


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_refused_copy_of_a_stop_that_was_answered_is_not_sent_again() -> None:
    async with bench() as at:
        at.link.send_now(Channel.STOP, _stop(1))
        await asyncio.sleep(0.01)
        at.device.write_s = 0.1
        refused = _refusing(at.device, AttError.COUNTER)
        await asyncio.sleep(1.5 * COPY_AFTER_S)
        at.computer.say(at.device, Channel.STOP, _stopped(1))
        await asyncio.sleep(REFUSED_FOR_S + 1)
        assert len(refused) == 1
        assert at.link.try_send(Channel.STATUS, b"it lives")


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_pen_that_goes_on_refusing_stop_is_a_lost_link_and_said_to_be_one() -> None:
    async with bench() as at:
        _refusing(at.device, AttError.COUNTER)
        loop = asyncio.get_running_loop()
        began = loop.time()
        at.link.send_now(Channel.STOP, STOP)
        with pytest.raises(LinkLost, match="0x82"):
            await at.link.receive()
        assert REFUSED_FOR_S <= loop.time() - began <= REFUSED_FOR_S + 3 * COPY_AFTER_S


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("answers", [0, 1, 2])
@in_virtual_time
async def test_a_stop_of_which_nothing_is_heard_is_sent_once_more_with_an_answer(answers: int) -> None:
    async with bench() as at:
        for number in range(1, 3):
            at.link.send_now(Channel.STOP, _stop(number))
            await asyncio.sleep(0.01)
        for number in range(1, answers + 1):
            at.computer.say(at.device, Channel.STOP, _stopped(number))
        at.computer.say(at.device, Channel.STATUS, b"that says nothing of it")
        await asyncio.sleep(2 * COPY_AFTER_S)
        copies = [value for _, value, response in at.device.written if response]
        assert copies == ([] if answers == 2 else [b"\xc1" + _stop(2)])


def _stop(request_id: int) -> bytes:
    return encode_envelope(Envelope(Channel.STOP, request_id, Stop()))


def _stopped(request_id: int) -> bytes:
    return encode_envelope(Envelope(Channel.STOP, request_id, Stopped(tick_ms=7, state=State.IDLE)))


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize(
    "said",
    [
        _stopped(0xFFFF),
        encode_envelope(Envelope(Channel.STOP, 1, SymptomReported(tick_ms=7, state=State.IDLE))),
        encode_envelope(Envelope(Channel.STOP, 1, Refused(refused_opcode=Opcode.STOP, reason=Reason.BUSY, limit=0))),
        _stopped(1) + b"!",
        b"stopped",
    ],
    ids=["of_another", "to_a_symptom", "refused", "undecodable", "nothing"],
)
@in_virtual_time
async def test_what_is_no_answer_to_this_very_stop_takes_its_copy_away_from_nobody(said: bytes) -> None:
    async with bench() as at:
        at.link.send_now(Channel.STOP, _stop(1))
        await asyncio.sleep(0.01)
        at.computer.say(at.device, Channel.STOP, said)
        await asyncio.sleep(2 * COPY_AFTER_S)
        assert [value for _, value, response in at.device.written if response] == [b"\xc0" + _stop(1)]


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_symptom_that_was_heard_takes_no_copy_of_a_stop_away() -> None:
    async with bench() as at:
        at.link.send_now(Channel.STOP, _stop(1))
        at.link.send_now(Channel.STOP, encode_envelope(Envelope(Channel.STOP, 2, ReportSymptom(symptom=Symptom.PAIN))))
        await asyncio.sleep(0.01)
        heard = encode_envelope(Envelope(Channel.STOP, 2, SymptomReported(tick_ms=7, state=State.IDLE)))
        at.computer.say(at.device, Channel.STOP, heard)
        await asyncio.sleep(2 * COPY_AFTER_S)
        assert [value for _, value, response in at.device.written if response] == [b"\xc0" + _stop(1)]


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize(("took_s", "after_s"), [(0.01, COPY_AFTER_S), (0.2, 0.4), (3.0, COPY_AFTER_MAX_S)])
@in_virtual_time
async def test_the_copy_waits_as_long_as_an_answer_takes_on_this_link_and_no_longer_than_a_default_lease(
    took_s: float, after_s: float
) -> None:
    async with bench() as at:
        at.device.write_s = took_s
        await at.link.send(Channel.STATUS, b"so slow is this link")
        at.device.write_s = 0
        at.link.send_now(Channel.STOP, _stop(1))
        await asyncio.sleep(after_s - 0.01)
        assert [response for channel, _, response in at.device.written if channel is Channel.STOP] == [False]
        await asyncio.sleep(0.02)
        assert [response for channel, _, response in at.device.written if channel is Channel.STOP] == [False, True]


# What is read


@in_virtual_time
async def test_a_status_is_read_past_all_that_waits_to_be_written_and_after_a_copy_of_stop() -> None:
    async with bench() as at:
        at.device.status = b"status"
        at.device.write_s = SLOW_S
        waiting = [asyncio.ensure_future(at.link.send(Channel.COMMAND, b"wait")) for _ in range(5)]
        at.link.send_now(Channel.STOP, STOP)
        await asyncio.sleep(2 * COPY_AFTER_S)
        began = asyncio.get_running_loop().time()
        assert await at.link.read_status() == b"status"
        assert at.device.read[0] - began < 2 * SLOW_S  # the write that was under way, and the copy
        assert [channel for channel, _, response in at.device.written if response] == [Channel.COMMAND, Channel.STOP]
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)


@in_virtual_time
async def test_a_read_that_is_given_up_ends_before_the_next_request_begins() -> None:
    async with bench() as at:
        at.device.read_s = SLOW_S
        reading = asyncio.ensure_future(at.link.read_status())
        await asyncio.sleep(0.1)
        reading.cancel()
        began = asyncio.get_running_loop().time()
        await at.link.send(Channel.STATUS, b"next")
        assert asyncio.get_running_loop().time() - began >= SLOW_S - 0.1


@in_virtual_time
async def test_a_read_that_is_refused_or_waits_at_the_end_of_the_link_is_none_and_loses_no_link() -> None:
    async with bench() as at:
        assert await at.link.read_status() is None
        assert at.link.try_send(Channel.STATUS, b"it lives")
        at.device.write_s = FOREVER
        sending = asyncio.ensure_future(at.link.send(Channel.COMMAND, b"stuck"))
        await asyncio.sleep(0.1)
        reading = asyncio.ensure_future(at.link.read_status())
        await asyncio.sleep(0.1)
        await at.link.close()
        assert await reading is None
        assert await at.link.read_status() is None
        with pytest.raises(LinkError):
            await sending


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
