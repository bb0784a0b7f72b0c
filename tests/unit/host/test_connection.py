"""Replies by id, notifications by number, and an end that everybody is told of."""

import asyncio
import gc
from typing import Any

import pytest

from dermalink.connection import REPLY_WITHIN_S, Connection
from dermalink.errors import (
    HostRefusal,
    LinkClosed,
    LinkError,
    LinkLost,
    PenRefusal,
    PenRestarted,
    Timeout,
    UnexpectedReply,
)
from dermalink.links.stream import StreamLink
from dermalink.notifications import Subscription
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.envelope import REQUEST_ID_MAX
from dermalink_protocol.messages.identity import GetCartridge, GetLastCommand, GetStatus, StateChanged, Status
from dermalink_protocol.messages.records import GetHistory, HistoryRecord
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import EndPass, PassEnded, PausePass, RenewLease, RunSelfTest
from dermalink_protocol.schema import Notification, Request
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST, ScriptedPen, a_connection


@in_virtual_time
async def test_a_reply_belongs_to_its_question() -> None:
    async with a_connection() as (connection, _):
        status, cartridge = await asyncio.gather(connection.request(GetStatus()), connection.request(GetCartridge()))
        assert status.state is State.IDLE
        assert cartridge.needles == 12


@pytest.mark.sr("SR-CMD-2", side="host")
@in_virtual_time
async def test_replies_out_of_order_reach_their_own_questions() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(GetStatus)
        asked = [asyncio.ensure_future(connection.request(GetStatus())) for _ in range(20)]
        await asyncio.sleep(0.01)
        for request_id in sorted(pen.ids, reverse=True):
            pen.send(request_id, Status(**pen.status | {"punctures": request_id}, tick_ms=pen.tick))
        assert [status.punctures for status in await asyncio.gather(*asked)] == list(pen.ids)


@pytest.mark.sr("SR-CMD-2", side="host")
@in_virtual_time
async def test_a_late_reply_is_counted_and_never_taken_for_the_next_ones() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(GetStatus)
        with pytest.raises(Timeout):
            await connection.request(GetStatus())
        late = pen.ids[-1]
        asked = asyncio.ensure_future(connection.request(GetStatus()))
        await asyncio.sleep(0.01)
        pen.send(late, Status(**pen.status | {"punctures": 1}, tick_ms=pen.tick))
        await asyncio.sleep(0.01)
        assert not asked.done()
        pen.send(pen.ids[-1], Status(**pen.status | {"punctures": 2}, tick_ms=pen.tick))
        assert (await asked).punctures == 2
        assert connection.counters.late_replies == 1


@pytest.mark.sr("SR-CMD-2", side="host")
@in_virtual_time
async def test_an_id_that_was_never_answered_is_never_used_again() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(GetLastCommand)
        with pytest.raises(Timeout):
            await connection.request(GetLastCommand())
        unanswered = pen.ids[-1]
        connection._last_id = unanswered - 1
        await connection.request(GetStatus())
        assert pen.ids[-1] == unanswered + 1


@in_virtual_time
async def test_a_second_reply_to_one_question_is_counted() -> None:
    async with a_connection() as (connection, pen):
        await connection.request(GetStatus())
        pen.send(pen.ids[-1], Status(**pen.status, tick_ms=pen.tick))
        await asyncio.sleep(0.01)
        assert connection.counters.late_replies == 1


@in_virtual_time
async def test_a_refusal_says_reason_rule_limit_and_advice() -> None:
    async with a_connection() as (connection, pen):
        pen.refuse(GetStatus, Reason.DEPTH_OVER_ZONE_CAP, 250)
        with pytest.raises(PenRefusal) as caught:
            await connection.request(GetStatus())
        assert (caught.value.reason, caught.value.value, caught.value.rule) == (
            Reason.DEPTH_OVER_ZONE_CAP,
            250,
            "SR-DEPTH-3",
        )
        assert "250 µm" in str(caught.value)
        assert caught.value.advice


@in_virtual_time
async def test_another_message_is_no_reply() -> None:
    async with a_connection() as (connection, pen):
        pen.on(GetStatus, lambda _: pen.behave(GetLastCommand()))
        with pytest.raises(UnexpectedReply):
            await connection.request(GetStatus())


@pytest.mark.sr("SR-CMD-2", side="host")
@pytest.mark.parametrize(
    ("request_", "other", "reply"),
    [
        (PausePass(session_id=1), EndPass(session_id=1), None),
        (GetHistory(number=1), GetHistory(number=2), HistoryRecord(number=1, record=b"x")),
    ],
    ids=["command", "records"],
)
@in_virtual_time
async def test_one_procedure_at_a_time(request_: Request[Any], other: Request[Any], reply: Any) -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(type(request_))
        first = asyncio.ensure_future(connection.request(request_))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(connection.request(other))
        await asyncio.sleep(0.1)
        assert list(pen.seen) == [request_]
        pen.send(pen.ids[0], reply or pen.behave(request_))
        await first
        await asyncio.sleep(0.01)
        assert list(pen.seen) == [request_, other]
        if not second.done():
            pen.send(pen.ids[1], reply)
        await second


@in_virtual_time
async def test_a_renewal_does_not_wait_behind_a_procedure() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(PausePass)
        pausing = asyncio.ensure_future(connection.request(PausePass(session_id=1)))
        await asyncio.sleep(0)
        assert (await connection.request(RenewLease(session_id=1, seen_tick_ms=1))).lease_left_ms == 500
        with pytest.raises(Timeout):
            await pausing


@in_virtual_time
async def test_the_wait_for_ones_turn_is_bounded_too() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(PausePass)
        began = asyncio.get_running_loop().time()
        outcomes = await asyncio.gather(
            *(connection.request(PausePass(session_id=1)) for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(outcome, Timeout) for outcome in outcomes)
        assert asyncio.get_running_loop().time() - began == pytest.approx(REPLY_WITHIN_S)


@pytest.mark.sr("SR-DEPTH-8", side="host")
@in_virtual_time
async def test_what_raises_exposure_does_not_go_unchecked() -> None:
    async with a_connection() as (connection, pen):
        command = RunSelfTest(command_id=1, ttl_ms=500, seen_tick_ms=1)
        with pytest.raises(HostRefusal):
            await connection.request(command)
        with pytest.raises(HostRefusal):
            connection.request_now(command)
        assert not pen.seen


# Its end


def _cut(_: Connection, pen: ScriptedPen) -> None:
    pen.pipe.cut()


def _close(connection: Connection, _: ScriptedPen) -> None:
    asyncio.ensure_future(connection.close())  # noqa: RUF006  (the fixture closes once more, and waits)


@pytest.mark.parametrize(("end", "error"), [(_cut, LinkLost), (_close, LinkClosed)])
@in_virtual_time
async def test_every_waiter_gets_the_end_as_a_typed_error(end: Any, error: type[LinkError]) -> None:
    async with a_connection() as (connection, pen):
        for kind in (GetStatus, PausePass, EndPass):
            pen.silent_to(kind)
        notes = connection.subscribe(Telemetry)
        waiting: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(connection.request(GetStatus(), within_s=100)),
            asyncio.ensure_future(connection.request(PausePass(session_id=1), within_s=100)),
            asyncio.ensure_future(connection.request(EndPass(session_id=1), within_s=100)),
            asyncio.ensure_future(notes.next()),
        ]
        await asyncio.sleep(0.01)
        end(connection, pen)
        done, pending = await asyncio.wait(waiting, timeout=1)
        assert not pending
        assert {type(each.exception()) for each in done} == {error}
        assert type(await connection.wait_ended()) is error
        with pytest.raises(error):
            await connection.request(GetStatus())
        with pytest.raises(error):
            connection.request_now(Stop())
        with pytest.raises(error):
            await connection.subscribe(Telemetry).next()


@in_virtual_time
async def test_a_clogged_link_is_a_timeout_and_its_end_still_bounded() -> None:
    async with a_connection() as (connection, pen):
        pen.pipe.clog()
        with pytest.raises(Timeout):
            await connection.request(GetStatus())
        began = asyncio.get_running_loop().time()
        await asyncio.gather(connection.close(), connection.close())
        assert asyncio.get_running_loop().time() - began < 4


@in_virtual_time
async def test_a_link_that_never_closes_does_not_hold_the_end_up() -> None:
    class Stuck(StreamLink):
        async def close(self) -> None:
            await asyncio.Event().wait()

    connection = Connection(Stuck(MemoryPipe(), "memory:"))
    connection.start()
    await connection.close()
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)


@in_virtual_time
async def test_a_cancelled_request_leaves_the_connection_sound() -> None:
    async with a_connection() as (connection, pen):
        pen.silent_to(PausePass)
        pausing = asyncio.ensure_future(connection.request(PausePass(session_id=1)))
        await asyncio.sleep(0.01)
        pausing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pausing
        assert type(await connection.request(EndPass(session_id=1))) is PassEnded


@in_virtual_time
async def test_a_pen_that_was_restarted_is_another_connection() -> None:
    async with a_connection() as (connection, pen):
        await asyncio.sleep(5)
        await connection.request(GetStatus())
        pen.restart()
        with pytest.raises(PenRestarted):
            await connection.request(GetStatus())
        with pytest.raises(PenRestarted):
            await connection.request(GetLastCommand())


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@pytest.mark.parametrize("moving", [True, False])
@in_virtual_time
async def test_stop_goes_out_before_a_connection_is_given_up_that_may_move_needles(moving: bool) -> None:
    async with a_connection() as (connection, pen):
        pen.status["state"] = State.RUNNING if moving else State.IDLE
        await asyncio.sleep(5)
        await connection.request(GetStatus())
        assert connection.says_moving is moving
        pen.on(GetStatus, lambda _: Status(**pen.status, tick_ms=pen.tick - 3_000))
        with pytest.raises(PenRestarted):
            await connection.request(GetStatus())
        await asyncio.sleep(0.1)
        assert sum(isinstance(each, Stop) for each in pen.seen) == int(moving)


@in_virtual_time
async def test_a_tick_that_wraps_is_no_restart() -> None:
    async with a_connection() as (connection, pen):
        pen.on(GetStatus, lambda _: Status(**pen.status, tick_ms=(pen.tick + 0xFFFF_FFFF - 1_500) & 0xFFFF_FFFF))
        for _ in range(10):
            await connection.request(GetStatus())
            await asyncio.sleep(0.1)
        assert connection.newest_tick is not None
        assert connection.newest_tick < 2_000


# Noise and misbehaviour


@in_virtual_time
async def test_frames_that_are_no_message_are_counted_and_hurt_nothing() -> None:
    async with a_connection() as (connection, pen):
        from dermalink_protocol.framing import encode_frame

        pen.pipe.feed(encode_frame(Channel.STATUS, b"\x12\x34\x56"))
        pen.pipe.feed(encode_frame(Channel.STATUS, b"\x12\x34\x00\x00\x99"))
        pen.pipe.feed(b"boot text\r\n\x00\x01\x02\x80\x00")
        assert (await connection.request(GetStatus())).state is State.IDLE
        assert connection.counters.undecodable == 2
        assert connection.link.counters.broken_frames == 1


@in_virtual_time
async def test_a_reply_that_nobody_asked_for_and_a_request_from_the_pen_are_counted() -> None:
    async with a_connection() as (connection, pen):
        pen.send(0, Status(**pen.status, tick_ms=1))
        pen.send(9, GetStatus())
        await asyncio.sleep(0.01)
        assert connection.counters.late_replies == 2
        assert (await connection.request(GetStatus())).state is State.IDLE


# Notifications


@in_virtual_time
async def test_doubled_notifications_are_dropped_and_missing_ones_counted() -> None:
    async with a_connection() as (connection, pen):
        notes = connection.subscribe(StateChanged)
        for sequence in (0, 0, 1, 2, 2, 2, 1, 5, 5, 65_535, 6):
            pen.notify(StateChanged, sequence=sequence, tick_ms=5, state=State.OPEN, reason=Reason.NONE, flags=AT_REST)
        await asyncio.sleep(0.01)
        assert [note.sequence for note in notes.take_waiting()] == [0, 1, 2, 5, 6]
        seen = connection.sequence(StateChanged)
        assert (seen.gaps, seen.missing, seen.duplicates) == (1, 2, 6)


@in_virtual_time
async def test_numbers_wrap_and_a_pen_that_counts_anew_is_believed_in_the_end() -> None:
    async with a_connection() as (connection, pen):
        notes = connection.subscribe(Telemetry, size=1_000)
        for sequence in (65_534, 65_535, 0, 1):
            pen.notify(Telemetry, sequence=sequence, tick_ms=5, samples=bytes(8))
        for sequence in range(60_000, 60_100):
            pen.notify(Telemetry, sequence=sequence, tick_ms=5, samples=bytes(8))
        await asyncio.sleep(0.01)
        taken = [note.sequence for note in notes.take_waiting()]
        assert taken[:4] == [65_534, 65_535, 0, 1]
        assert taken[4:] == list(range(60_063, 60_100))


@in_virtual_time
async def test_a_slow_listener_loses_the_oldest_and_is_told_how_many() -> None:
    async with a_connection() as (connection, pen):
        slow, quick = connection.subscribe(Telemetry, size=3), connection.subscribe(Telemetry)
        for _ in range(10):
            pen.telemetry(100)
        await asyncio.sleep(0.01)
        assert [note.sequence for note in slow.take_waiting()] == [7, 8, 9]
        assert (slow.dropped, quick.dropped, len(quick.take_waiting())) == (7, 0, 10)


@in_virtual_time
async def test_a_listener_gets_its_kinds_and_no_more_once_it_is_forgotten() -> None:
    async with a_connection() as (connection, pen):
        states = connection.subscribe(StateChanged)
        everything: Subscription[Notification] = connection.subscribe()
        pen.telemetry(100)
        pen.notify(StateChanged, tick_ms=5, state=State.OPEN, reason=Reason.NONE, flags=AT_REST)
        await asyncio.sleep(0.01)
        assert len(states.take_waiting()) == 1
        assert len(everything.take_waiting()) == 2
        connection.forget(states)
        connection.forget(states)
        pen.notify(StateChanged, tick_ms=5, state=State.OPEN, reason=Reason.NONE, flags=AT_REST)
        await asyncio.sleep(0.01)
        assert not states.take_waiting()


@in_virtual_time
async def test_what_came_before_the_end_is_read_before_the_end_is_told() -> None:
    async with a_connection() as (connection, pen):
        notes = connection.subscribe(Telemetry)
        pen.telemetry(100)
        pen.telemetry(200)
        await asyncio.sleep(0.01)
        pen.pipe.cut()
        await connection.wait_ended()
        read = []
        async for note in notes:
            read.append(note.sequence)
            if len(read) == 2:
                break
        assert read == [0, 1]
        with pytest.raises(LinkLost):
            await notes.next()


@in_virtual_time
async def test_the_newest_tick_is_the_newest_of_all_that_was_heard() -> None:
    async with a_connection() as (connection, pen):
        await connection.request(GetStatus())
        first = connection.newest_tick
        await asyncio.sleep(1)
        pen.telemetry(100)
        await asyncio.sleep(0.01)
        assert first is not None
        assert connection.newest_tick == first + 1_000
        pen.notify(Telemetry, tick_ms=3, samples=bytes(8))
        await asyncio.sleep(0.01)
        assert connection.newest_tick == first + 1_000


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_a_batch_tells_of_the_tick_of_its_last_sample_also_across_the_wrap() -> None:
    async with a_connection() as (connection, pen):
        for began, newest in ((5_000, 5_090), (0xFFFF_FFFF - 49, 40)):
            connection.newest_tick = began - 1_000
            pen.notify(Telemetry, tick_ms=began, samples=bytes(8 * 10))
            await asyncio.sleep(0.01)
            assert connection.newest_tick == newest


@in_virtual_time
async def test_an_id_is_never_zero() -> None:
    async with a_connection() as (connection, pen):
        connection._last_id = REQUEST_ID_MAX - 1
        await connection.request(GetStatus())
        await connection.request(GetStatus())
        assert list(pen.ids) == [REQUEST_ID_MAX, 1]


@in_virtual_time
async def test_a_pen_that_answers_nothing_any_more_ends_the_connection_before_ids_run_out() -> None:
    async with a_connection() as (connection, _):
        connection._given_up.update(range(1, REQUEST_ID_MAX + 1))
        with pytest.raises(LinkLost):
            await connection.request(GetStatus())
        assert isinstance(connection.error, LinkLost)


@in_virtual_time
async def test_a_watcher_that_fails_ends_the_connection_and_hangs_nobody() -> None:
    async with a_connection() as (connection, _):

        def fail(way: str, _envelope: object) -> None:
            if way == "<-":
                raise ZeroDivisionError

        connection.on_message = fail
        for _ in range(2):
            with pytest.raises(LinkLost, match="ZeroDivisionError"):
                await connection.request(GetStatus())


@in_virtual_time
async def test_messages_are_shown_both_ways_once_each() -> None:
    async with a_connection() as (connection, pen):
        shown: list[tuple[str, str]] = []
        connection.on_message = lambda way, envelope: shown.append((way, type(envelope.message).__name__))
        await connection.request(GetStatus())
        await connection.request_now(Stop())
        await connection.request(EndPass(session_id=1))
        asked, answered = ["GetStatus", "Stop", "EndPass"], ["Status", "Stopped", "PassEnded"]
        assert [name for way, name in shown if way == "->"] == asked
        assert [name for way, name in shown if way == "<-"] == answered
        assert connection.counters.requests == len(pen.seen) == 3


@in_virtual_time
async def test_whoever_asked_and_does_not_wait_leaves_no_error_behind_when_the_link_goes() -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    async with a_connection() as (connection, pen):
        pen.silent_to(GetStatus)
        connection.exchange(GetStatus())
        await connection.close()
    gc.collect()
    assert said == []


@in_virtual_time
async def test_an_answer_before_its_question_was_done_being_sent_leaves_nothing_to_log_when_that_is_given_up() -> None:
    async with a_connection() as (connection, pen):
        pen.pipe.clog()
        logged: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        exchange = connection.exchange(GetStatus())
        asking = asyncio.ensure_future(connection.run(exchange))
        await asyncio.sleep(0.01)
        exchange.future.set_exception(Timeout("it was refused"))
        asking.cancel()
        await asyncio.wait([asking])
        del exchange, asking
        gc.collect()
        await asyncio.sleep(0)
        assert not logged
