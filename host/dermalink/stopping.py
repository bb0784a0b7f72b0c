"""Stop, and the proof that it worked: no longer armed, needles in and motor off, both measured (SR-STOP-2).

On a sealed link Stop and its answer go in the clear, so that the answer says nothing of the pen, nor that Stop came to
it. What is newer than Stop is then known by a status that was asked for under seal once Stop was out: whoever holds
records back can make neither that answer nor one that looks newer. Where that shows a pen in which Stop has something
to end, Stop goes once more, under seal; what settles is a state in which Stop, heard or not, has nothing to end.
"""

import asyncio
from typing import Final, NamedTuple, cast

from dermalink.connection import Connection
from dermalink.errors import LinkError, StopFailed, StopNotConfirmed, Timeout
from dermalink.links.link import RECEIVED, Link
from dermalink.motion import MOVING, says_moving
from dermalink.ticks import elapsed_ms
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import decode_envelope
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.messages.identity import GetStatus, StateChanged, Status, StatusFlag
from dermalink_protocol.messages.stop import Stop, Stopped

CONFIRM_WITHIN_S: Final = 1.0  # by a cable; the pen has 50 ms, and a link adds what it says itself
REFUSED_AGAIN_S: Final = 0.05  # a pen that refuses Stop is asked again soon, and not in a tight circle
POLL_S: Final = 0.01
NOT_STOPPED: Final = (*MOVING, State.STOPPING, State.STOP_FAILED)  # whatever was measured meanwhile
TO_BE_STOPPED: Final = (*MOVING, State.BOOT, State.SELF_TEST, State.PREPARED, State.WAITING, State.PAUSED)
"""Where Stop has something to end, or a self-test follows: who has heard it is in none of these but by a later word."""


class StopReport(NamedTuple):
    """A confirmed Stop: how long from the call until the pen answered, and until it had measured everything in.

    `pen_ms` is the pen's own time between those two, and on a sealed link from the first status that was asked for
    after Stop; the others are this computer's. `status` is what proved it.
    """

    answered_ms: float
    confirmed_ms: float
    pen_ms: int
    status: Status | StateChanged


def is_stopped(news: Status | StateChanged) -> bool:
    """Whether this says stopped: as measured, and in a state that moves nothing."""
    measured = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF
    at_rest = news.flags & measured == measured and StatusFlag.ARMED not in news.flags
    return at_rest and news.state not in NOT_STOPPED


def settles(news: Status | StateChanged, heard_ms: int | None) -> bool:
    """Whether this ends the waiting, well or badly; `heard_ms` is the tick of an answer to Stop that is believed.

    A pen that records either writes down a start, and spins up by itself, or an end: that is known of one alone that
    had heard Stop by then.
    """
    if news.state is State.STOP_FAILED:
        return True
    if not is_stopped(news) or news.state in TO_BE_STOPPED:
        return False
    return news.state is not State.RECORDING or (heard_ms is not None and elapsed_ms(heard_ms, news.tick_ms) > 0)


def confirm_within_s(link: Link) -> float:
    """How long Stop and its proof may take on this link; then the person is advised what to do instead."""
    return CONFIRM_WITHIN_S + link.late_s


async def stop_and_confirm(connection: Connection, within_s: float | None = None) -> StopReport:
    """Send Stop until it is answered, and ask until all is measured in; None is as long as the link needs.

    What the pen says unasked, or to somebody else, proves it as well. Raises `StopFailed` or `StopNotConfirmed`, also
    when the link is lost: then the pen stops by its lease, unproved.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    bound_s = confirm_within_s(connection.link) if within_s is None else within_s
    heard = _Heard()
    connection.on_state.append(heard.take)
    try:
        async with asyncio.timeout(bound_s):
            if connection.sealed:
                after_ms, news = await _under_seal(connection, heard, bound_s)
            else:
                heard.stopped(await until_answered(connection), believed=True)
                after_ms = cast(int, heard.stopped_ms)
                news = await _until_in(connection, heard, after_ms, bound_s, None)
            answered = heard.answered.result()
            refuse_failed(news)
    except (TimeoutError, Timeout, LinkError) as error:
        raise not_confirmed(str(error) or f"waited {bound_s * 1000:.0f} ms") from error
    finally:
        connection.on_state.remove(heard.take)
    milliseconds = (answered - began) * 1000, (loop.time() - began) * 1000
    return StopReport(*milliseconds, elapsed_ms(after_ms, news.tick_ms), news)


def not_confirmed(limit: str) -> StopNotConfirmed:
    """That a Stop is out and nobody knows that it worked, why, and what a person can do."""
    return StopNotConfirmed(
        "Stop was sent and could not be confirmed",
        rule="SR-STOP-2",
        limit=limit,
        advice="Lift the pen straight off the skin; press its button",
    )


class _Heard:
    """What the pen said since Stop went out, whoever asked; what is newer than the first word after Stop settles it.

    One of the same millisecond may be from before, so it does not count here. A pen that says that it moves when it has
    answered to Stop contradicts itself: then nothing that it was not asked settles anything any more. `answered` is
    when Stop was answered first, by whomever, and `stopped_ms` the pen's tick in an answer that is believed.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[float] = loop.create_future()
        self.stopped_ms: int | None = None
        self._news: list[Status | StateChanged] = []
        self._after: int | None = None
        self._doubtful = False
        self._settled: asyncio.Future[Status | StateChanged] = loop.create_future()

    def stopped(self, answer: Stopped, *, believed: bool) -> None:
        """Stop was answered."""
        if believed:
            self.stopped_ms = answer.tick_ms
        if not self.answered.done():
            self.answered.set_result(asyncio.get_running_loop().time())

    def take_answer(self, stopping: "asyncio.Task[Stopped]", *, believed: bool) -> None:
        """A Stop that goes until it is answered is over; whoever cancelled it knows."""
        if stopping.cancelled():
            return
        error = stopping.exception()
        if error is None:
            self.stopped(stopping.result(), believed=believed)
        elif not self.answered.done():
            self.answered.set_exception(error)
            self.answered.exception()  # whoever waits is told; where nobody does any more, it is no news

    def take(self, news: Status | StateChanged) -> None:
        self._news.append(news)
        self._look()

    def settled_after(self, tick_ms: int) -> "asyncio.Future[Status | StateChanged]":
        """The first that says stopped, or stop failed, and was measured after this tick."""
        self._after = tick_ms
        self._look()
        return self._settled

    def _look(self) -> None:
        if self._after is None:
            return
        news, self._news = self._news, []
        for each in news:
            later_ms = elapsed_ms(self._after, each.tick_ms)
            self._doubtful = self._doubtful or (later_ms >= 0 and says_moving(each))
            settled = later_ms > 0 and settles(each, self.stopped_ms)
            if settled and not self._doubtful and not self._settled.done():
                self._settled.set_result(each)


async def until_answered(connection: Connection, *, under_seal: bool = False) -> Stopped:
    """Send Stop past all that waits, again and again, until it is answered; `under_seal` by the pen itself.

    Raises a `LinkError`.
    """
    answer: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()

    def take(asked: "asyncio.Future[Stopped]") -> None:
        if not (answer.done() or asked.cancelled() or asked.exception()):
            answer.set_result(asked.result())

    while True:
        asked = connection.request_now(Stop(), under_seal=under_seal)
        asked.add_done_callback(take)
        either = (answer, asked)
        await asyncio.wait(either, timeout=connection.link.stop_again_s, return_when=asyncio.FIRST_COMPLETED)
        if asked.done() and not answer.done():
            await asyncio.wait((answer,), timeout=REFUSED_AGAIN_S)
        if answer.done():
            return answer.result()


async def _under_seal(connection: Connection, heard: _Heard, within_s: float) -> tuple[int, Status | StateChanged]:
    """Send Stop, and ask under seal until it is settled; the tick of the first status after Stop, and what settled it.

    Asking does not wait for Stop's answer, since each way takes its time on the air.
    """
    stopping = asyncio.ensure_future(until_answered(connection))
    stopping.add_done_callback(lambda stopped: heard.take_answer(stopped, believed=False))
    await asyncio.sleep(0)  # Stop is out
    proving = asyncio.ensure_future(_until_proved(connection, heard, within_s))
    try:
        await asyncio.wait((heard.answered, proving), return_when=asyncio.FIRST_EXCEPTION)
        for each in (heard.answered, proving):
            if each.done():
                each.result()
        return proving.result()
    finally:
        stopping.cancel()
        proving.cancel()
        await asyncio.wait((stopping, proving))


async def _until_proved(connection: Connection, heard: _Heard, within_s: float) -> tuple[int, Status | StateChanged]:
    first = await _until_status(connection)
    if settles(first, heard.stopped_ms):
        return first.tick_ms, first
    return first.tick_ms, await _until_in(connection, heard, first.tick_ms, within_s, first)


async def _until_status(connection: Connection) -> Status:
    """The first answer to one of several questions, each asked when the one before may be lost."""
    asked: list[asyncio.Task[Status]] = []
    try:
        while True:
            asked.append(asyncio.ensure_future(connection.request(GetStatus())))
            again_s = connection.link.stop_again_s
            done, _ = await asyncio.wait(asked, timeout=again_s, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                return each.result()
    finally:
        for each in asked:
            each.cancel()
        await asyncio.wait(asked)


async def _until_in(
    connection: Connection, heard: _Heard, after_ms: int, within_s: float, newest: Status | None
) -> Status | StateChanged:
    """Ask, and take what says it first: the answer, or what was on its way already."""
    settled = heard.settled_after(after_ms)
    asking = asyncio.ensure_future(_ask_until_settled(connection, heard, after_ms, within_s, newest))
    try:
        await asyncio.wait((settled, asking), return_when=asyncio.FIRST_COMPLETED)
        news = settled.result() if settled.done() else asking.result()
    finally:
        asking.cancel()
        await asyncio.wait((asking,))
    return news


def refuse_failed(news: Status | StateChanged) -> None:
    """Raise `StopFailed` where the pen says that the needles did not go in."""
    if news.state is State.STOP_FAILED:
        raise StopFailed(
            "The needles did not go in",
            rule="SR-STOP-8",
            advice="Lift the pen straight off the skin, and have it serviced",
        )


async def _ask_until_settled(
    connection: Connection, heard: _Heard, after_ms: int, within_s: float, newest: Status | None
) -> Status:
    """Ask on, and say Stop once more where it has something to end: under seal if there is one, one at a time."""
    again: asyncio.Task[Stopped] | None = None
    try:
        while True:
            if newest is None:
                newest = await _newest(connection, after_ms, within_s)
            if settles(newest, heard.stopped_ms):
                return newest
            unheard = newest.state is State.RECORDING and heard.stopped_ms is None
            if (unheard or newest.state in TO_BE_STOPPED) and (again is None or again.done()):
                again = asyncio.ensure_future(until_answered(connection, under_seal=connection.sealed))
                again.add_done_callback(lambda stopped: heard.take_answer(stopped, believed=True))
            newest = None
            await asyncio.sleep(POLL_S)
    finally:
        if again is not None:
            again.cancel()
            await asyncio.wait((again,))


async def _newest(connection: Connection, after_ms: int, within_s: float) -> Status:
    status = await _read_status(connection)
    if status is None or elapsed_ms(after_ms, status.tick_ms) <= 0:
        status = await connection.request(GetStatus(), within_s=within_s)
    return status


async def _read_status(connection: Connection) -> Status | None:
    """The status as the link reads it, where it can, past all that the pen has to say yet."""
    body = await connection.link.read_status()
    if body is None:
        return None
    try:
        envelope = decode_envelope(Channel.STATUS, body)
    except ProtocolError:
        return None
    if connection.on_message is not None:
        connection.on_message(RECEIVED, envelope)
    return envelope.message if isinstance(envelope.message, Status) else None
