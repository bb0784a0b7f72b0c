"""One connection to one pen: requests and their replies, matched by id; notifications, handed to who listens.

It is used once. What reconnects is another object (`reconnect`), and what decides whether a command may go is the
gate: of what raises exposure or keeps it alive, only that goes through which `admit` knows.
"""

import asyncio
import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from dermalink.errors import (
    HostRefusal,
    LinkClosed,
    LinkError,
    LinkLost,
    PenRestarted,
    Timeout,
    UnexpectedReply,
)
from dermalink.exchange import Exchange
from dermalink.links.link import RECEIVED, SENT, Link
from dermalink.margin.margin import LinkMargin
from dermalink.motion import says_moving
from dermalink.notifications import QUEUE_DEFAULT, N, SequenceFilter, Sink, Subscription
from dermalink.refusals import not_admitted, refusal_of
from dermalink.ticks import WRAP, elapsed_ms, newer
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.envelope import REQUEST_ID_MAX, UNASKED, Envelope, decode_envelope, encode_envelope
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.messages.identity import HelloReply, StateChanged, Status
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import Applied, Done, LeaseRenewed, RenewLease
from dermalink_protocol.samples import SAMPLE_BYTES, SAMPLE_MS
from dermalink_protocol.schema import Effect, Message, Notification, R, Reply, Request

# By a cable; the longest lease. A link adds what it may be late by: at the end of a pass over slow air a reply waits
# behind five others and changes of state, at two connection events each 1.2 s at 100 ms, while renewals do well.
REPLY_WITHIN_S: Final = 1.0
CLOSE_WITHIN_S: Final = 3.0  # a clean disconnect takes 2-3 s on BlueZ; a stream needs milliseconds
TELLS_NOW: Final = (HelloReply, Status, LeaseRenewed)  # replies whose tick is the moment of answering
NEEDS_ADMISSION: Final = (Effect.RAISES, Effect.KEEPS_ALIVE)
PROCEDURE_CHANNELS: Final = (Channel.PAIRING, Channel.COMMAND, Channel.RECORDS)


@dataclass(slots=True)
class ConnectionCounters:
    """What happened on a connection since it began."""

    requests: int = 0
    replies: int = 0
    late_replies: int = 0  # answers to nothing that is asked any more: given up, answered before, or never asked
    undecodable: int = 0
    notifications: int = 0


def _nobody(_: Request[Any]) -> bool:
    return False


class Connection:
    """See the module. Make it, `start` it, use it, `close` it."""

    def __init__(self, link: Link, *, admit: Callable[[Request[Any]], bool] = _nobody) -> None:
        """`link` is owned from here on.

        `admit` says, once for each, whether a request may go that raises exposure or keeps alive what runs.
        """
        self.link: Final = link
        self.counters: Final = ConnectionCounters()
        self.margin = LinkMargin()
        self.on_message: Callable[[str, Envelope], None] | None = None
        self.newest_tick: int | None = None
        self.sealed = False  # then all that comes is the pen's own, but for the bare answer to a Stop
        self.heard_s = 0.0  # of the loop's clock, when the newest message of the pen's was taken in
        self.says_moving = False  # by the newest status or change of state
        self.on_state: Final[list[Callable[[Status | StateChanged], None]]] = []  # told of each, whoever asked for it
        self._admit = admit
        self._pending: dict[int, Exchange[Any]] = {}
        self._given_up: set[int] = set()
        self._last_id = 0
        self._procedures = {channel: asyncio.Lock() for channel in PROCEDURE_CHANNELS}
        self._filters: dict[type[Notification], SequenceFilter] = {}
        self._sinks: list[Sink] = []
        self._timer: asyncio.TimerHandle | None = None
        self._moved = False  # whether something that needs the gate has gone out by this connection
        self._send_sealed_now: Callable[[Channel, bytes], None] | None = None
        self._over: LinkError | None = None
        self._ended = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    # Life

    def start(self) -> None:
        """Begin to listen; call it before the first request."""
        self.heard_s = asyncio.get_running_loop().time()
        self.link.deliver_to(self._take, self._end)

    def believe_from_now_on(self, tick_ms: int, send_sealed_now: Callable[[Channel, bytes], None]) -> None:
        """The link is sealed: believe nothing of before but the tick in hello, which is proved by now (SR-SEC-1).

        `send_sealed_now` is its `send_now` for what goes under seal, whatever it is.
        """
        self.sealed = True
        self._send_sealed_now = send_sealed_now
        self.margin = LinkMargin()
        self.newest_tick = tick_ms
        self.says_moving = False
        self._filters.clear()

    @property
    def error(self) -> LinkError | None:
        """Why the connection is over; None while it lives."""
        return self._over

    async def wait_ended(self) -> LinkError:
        """Wait until the connection is over, and return why."""
        await self._ended.wait()
        return cast(LinkError, self._over)

    async def close(self) -> None:
        """End it, in bounded time; may be called again, and while requests wait: each of them gets `LinkClosed`."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._end(LinkClosed(f"The connection to {self.link.url} was closed here", advice="Connect again"))
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self.link.close()
        except TimeoutError:  # whatever still holds it up, nobody here waits for it any more
            return

    def _end(self, error: LinkError) -> None:
        """Every waiter gets the reason; none is left hanging, and none is cancelled."""
        if self._over is not None:
            return
        self._over = error
        for exchange in self._pending.values():
            if not exchange.future.done():
                exchange.future.add_done_callback(self._read_error)  # whoever asked may have been cancelled meanwhile
                exchange.future.set_exception(copy.copy(error))
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
        for sink in self._sinks:
            sink.end(error)
        self._ended.set()

    def _give_up_link(self, error: LinkError) -> None:
        """End it for a reason that is not the link's own: Stop goes out first where something may move (SR-STOP-7)."""
        if self._over is None and (self._moved or self.says_moving):
            # No reply is waited for, so which id it has makes no difference.
            stop = encode_envelope(Envelope(Channel.STOP, self._last_id % REQUEST_ID_MAX + 1, Stop()))
            with contextlib.suppress(LinkError):
                self.link.send_now(Channel.STOP, stop)
        self._end(error)

    # Asking

    @property
    def reply_within_s(self) -> float:
        """How long a reply may take on this link."""
        return REPLY_WITHIN_S + self.link.late_s

    async def request(self, request: Request[R], *, within_s: float | None = None) -> R:
        """Ask, and wait for the reply to this very question, None as long as one may take on this link.

        Raises `PenRefusal`, `Timeout`, `UnexpectedReply`, a `LinkError`, or `HostRefusal` for what raises exposure or
        keeps it alive and was not admitted. A second procedure on a channel waits for the first (SR-CMD-2).
        """
        exchange = self.exchange(request)
        within_s = self.reply_within_s if within_s is None else within_s
        if request.channel is Channel.STATUS and self._send_at_once(exchange, within_s):
            try:
                return await exchange.future
            finally:
                self._give_up(exchange)
        return await self.run(exchange, within_s=within_s)

    def request_now(self, request: Request[R], *, under_seal: bool = False) -> "asyncio.Future[R]":
        """Send at once, past every queue and lock, and return where the reply will be (SR-STOP-4).

        Only for what reduces exposure. `under_seal` has Stop sealed as well, on a connection that is: then nobody can
        answer it but the pen that heard it. Raises a `LinkError` when nothing can be sent any more.
        """
        if request.effect is not Effect.REDUCES:
            raise HostRefusal(f"{type(request).__name__} was not sent past the queue", Reason.BUSY, rule="SR-STOP-4")
        send_now = self._send_sealed_now if under_seal else self.link.send_now
        if send_now is None:
            raise RuntimeError("nothing goes under seal before there is one")
        exchange = self.exchange(request)
        exchange.sent, exchange.sent_s = True, exchange.future.get_loop().time()
        try:
            send_now(self._channel(request), exchange.body)
        except LinkError:
            self._give_up(exchange)
            exchange.future.cancel()
            raise
        self._note_asked(exchange)
        return exchange.future

    @staticmethod
    def _read_error(future: "asyncio.Future[Any]") -> None:
        """Who waits is told; who let go in the same turn, or never waited for a Stop's reply, has nothing to log."""
        if not future.cancelled():
            future.exception()

    def exchange(self, request: Request[R]) -> Exchange[R]:
        """Give a request its id; `run` sends it. Raises as `request` does before anything is sent."""
        if self._over is not None:
            raise copy.copy(self._over)
        if request.effect in NEEDS_ADMISSION and not self._admit(request):
            raise not_admitted(request)
        self._moved = self._moved or request.effect in NEEDS_ADMISSION
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._read_error)
        exchange = Exchange(request, self._next_id(), future, self.newest_tick)
        self._pending[exchange.request_id] = exchange
        return exchange

    async def run(self, exchange: Exchange[R], *, within_s: float | None = None) -> R:
        """Send what `exchange` made ready, in its turn, and wait for its reply; raises as `request` does."""
        request = exchange.request
        within_s = self.reply_within_s if within_s is None else within_s
        lock = self._procedures.get(self._channel(request)) if request.effect is not Effect.KEEPS_ALIVE else None
        try:
            async with asyncio.timeout(within_s):
                if lock is None:
                    return await self._send_and_wait(exchange)
                async with lock:
                    return await self._send_and_wait(exchange)
        except TimeoutError:
            raise self._timeout(request, within_s) from None
        finally:
            self._give_up(exchange)

    def _timeout(self, request: Request[Any], within_s: float) -> Timeout:
        return Timeout(
            f"No answer to {type(request).__name__} from {self.link.url}",
            limit=f"waited {within_s * 1000:.0f} ms",
            advice="Check that the pen is on and near",
        )

    def _send_at_once(self, exchange: Exchange[Any], within_s: float) -> bool:
        """Send what has no turn to wait for, on a link that is clear; False when it has to wait after all."""
        exchange.sent_s = exchange.future.get_loop().time()
        try:
            several = len(self._pending) > 1
            if not self.link.try_send(Channel.STATUS, exchange.body, gather=several):
                return False
            exchange.sent = True
            self._note_asked(exchange)
        except BaseException:
            self._give_up(exchange)
            raise
        self._set_deadline(exchange, within_s)
        return True

    def _set_deadline(self, exchange: Exchange[Any], within_s: float) -> None:
        """One timer for all who wait: `asyncio.timeout` costs 6 µs a request, a timer each 4 µs, this 0.5 µs."""
        exchange.within_s = within_s
        exchange.deadline_s = due = exchange.sent_s + within_s
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = exchange.future.get_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        waiting = [each for each in self._pending.values() if each.deadline_s is not None and not each.future.done()]
        now = asyncio.get_running_loop().time()
        for exchange in waiting:
            if cast(float, exchange.deadline_s) <= now:
                exchange.future.set_exception(self._timeout(exchange.request, exchange.within_s))
        left = [cast(float, each.deadline_s) for each in waiting if not each.future.done()]
        if left:
            self._timer = asyncio.get_running_loop().call_at(min(left), self._expire)

    async def _send_and_wait(self, exchange: Exchange[R]) -> R:
        if self._over is not None:
            raise copy.copy(self._over)
        exchange.sent, exchange.sent_s = True, exchange.future.get_loop().time()
        self._note_asked(exchange)
        await self.link.send(self._channel(exchange.request), exchange.body)
        return await exchange.future

    def _give_up(self, exchange: Exchange[Any]) -> None:
        """An id that was never answered is not used again, so that a late reply can't be taken for another's."""
        if self._pending.pop(exchange.request_id, None) is not None and exchange.sent:
            self._given_up.add(exchange.request_id)
            self.margin.unanswered += 1

    def _next_id(self) -> int:
        for _ in range(REQUEST_ID_MAX):
            self._last_id = self._last_id % REQUEST_ID_MAX + 1
            if self._last_id not in self._pending and self._last_id not in self._given_up:
                return self._last_id
        error = LinkLost(
            "The pen leaves its questions unanswered", limit="no request id is left", advice="Connect again"
        )
        self._give_up_link(error)
        raise copy.copy(error)

    @staticmethod
    def _channel(request: Request[Any]) -> Channel:
        return cast(Channel, request.channel)

    def _note_asked(self, exchange: Exchange[Any]) -> None:
        self.counters.requests += 1
        if self.on_message is not None:
            request = exchange.request
            self.on_message(SENT, Envelope(self._channel(request), exchange.request_id, request))

    # Listening

    def subscribe(self, *kinds: type[N], size: int = QUEUE_DEFAULT) -> Subscription[N]:
        """A queue of its own for notifications of these kinds; let go of it with `forget`."""
        subscription = Subscription(kinds, size)
        self.listen(subscription)
        return subscription

    def listen(self, sink: Sink) -> None:
        """Hand `sink` what comes from now on."""
        if self._over is not None:
            sink.end(self._over)
        self._sinks.append(sink)

    def forget(self, sink: Sink) -> None:
        """Hand `sink` no more; may be called again."""
        if sink in self._sinks:
            self._sinks.remove(sink)

    def sequence(self, kind: type[Notification]) -> SequenceFilter:
        """What the numbers of this kind of notification told: duplicates, gaps, how many are missing."""
        return self._filters.setdefault(kind, SequenceFilter())

    def _take(self, channel: Channel, body: bytes) -> None:
        """Whatever goes wrong with a message, everybody who waits is told; none is left hanging."""
        try:
            self._sort(channel, body)
        except Exception as error:  # noqa: BLE001  (a mistake of ours, or of who watches messages)
            lost = LinkLost(f"The connection to {self.link.url} failed", limit=repr(error), advice="Connect again")
            lost.__cause__ = error
            self._give_up_link(lost)

    def _sort(self, channel: Channel, body: bytes) -> None:
        try:
            envelope = decode_envelope(channel, body)
        except ProtocolError:
            self.counters.undecodable += 1
            return
        self.heard_s = asyncio.get_running_loop().time()
        if self.on_message is not None:
            self.on_message(RECEIVED, envelope)
        if envelope.request_id == UNASKED:
            self._take_notification(envelope.message)
            return
        exchange = self._pending.pop(envelope.request_id, None)
        if exchange is None:
            self.counters.late_replies += 1
            return
        self._take_reply(exchange, envelope.message)

    def _take_reply(self, exchange: Exchange[Any], reply: Message) -> None:
        self.counters.replies += 1
        kind = type(exchange.request)
        if type(reply) is Status:
            self._note_state(reply)
        self._note_round_trip(exchange, reply)
        if type(reply) is kind.reply:
            if self._note_tick(exchange, reply) and not exchange.future.done():
                exchange.future.set_result(reply)
            return
        error: Exception
        if isinstance(reply, Refused) and reply.refused_opcode in (kind.opcode, 0):
            error = refusal_of(exchange.request, reply)
        else:
            error = UnexpectedReply(f"{kind.__name__} was answered by {type(reply).__name__}", rule="SR-CMD-2")
        if not exchange.future.done():
            exchange.future.set_exception(error)

    def _note_state(self, news: Status | StateChanged) -> None:
        self.says_moving = moving = says_moving(news)
        if moving or self.margin.moving:
            self.margin.told_state(news, moving)
        for told in tuple(self.on_state):
            told(news)

    def _note_round_trip(self, exchange: Exchange[Any], reply: Message) -> None:
        now_s = exchange.future.get_loop().time()
        tick = reply.tick_ms if isinstance(reply, TELLS_NOW) else None
        note = self.margin.renewal_answered if type(exchange.request) is RenewLease else self.margin.answered
        note(exchange.sent_s, now_s, tick)

    def _note_tick(self, exchange: Exchange[Any], reply: Reply) -> bool:
        """Keep the newest tick; False when the pen's clock is behind what it had said before it was asked."""
        if isinstance(reply, TELLS_NOW):
            asked_at = exchange.asked_at_tick
            if asked_at is not None and elapsed_ms(asked_at, reply.tick_ms) < 0:
                if not exchange.future.done():
                    exchange.future.set_exception(self._restarted())
                self._give_up_link(self._restarted())
                return False
        elif not isinstance(reply, Applied | Done):
            return True
        self.newest_tick = newer(self.newest_tick, reply.tick_ms)
        return True

    def _restarted(self) -> PenRestarted:
        return PenRestarted(
            f"The pen on {self.link.url} was restarted", advice="Connect again; a session ends with power"
        )

    def _take_notification(self, message: Message) -> None:
        if not isinstance(message, Notification):
            self.counters.late_replies += 1
            return
        kind = type(message)
        if not self.sequence(kind).is_new(message.sequence):
            return
        self.counters.notifications += 1
        tick = getattr(message, "tick_ms", None)
        if isinstance(message, StateChanged):
            self._note_state(message)
        elif isinstance(message, Telemetry):
            # The newest tick that it tells of is its last sample's: a lease that counted from the first had 90 ms less.
            tick = (message.tick_ms + (len(message.samples) // SAMPLE_BYTES - 1) * SAMPLE_MS) % WRAP
            self.margin.heard(asyncio.get_running_loop().time(), tick)
        if tick is not None:
            self.newest_tick = newer(self.newest_tick, tick)
        for sink in self._sinks:
            if not sink.kinds or kind in sink.kinds:
                sink.offer(message)
