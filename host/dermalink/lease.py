"""The run lease, earned: a renewal goes only when something new was heard of the pen since the last one (SR-STOP-1).

There is no timer in here. Whoever runs the session calls `renew` from its loop, having taken telemetry in and drawn its
display; when that loop hangs, the lease lapses and the pen retracts by itself. While the pen waits for a press it sends
telemetry once a second only, which is too seldom for a lease: then a status, asked for by the loop, earns it as well.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from dermalink.connection import Connection
from dermalink.errors import NoTelemetry, Timeout
from dermalink.ticks import elapsed_ms, newer
from dermalink_protocol.messages.identity import Status, StatusFlag
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import LeaseRenewed, RenewLease

UNDER_WAY_MAX: Final = 2  # renewals without an answer; more would only queue up behind a link that stands still


def _nobody(_: RenewLease) -> None:
    return


class Lease:
    """One session's lease of `lease_ms`. `margin_ms` is how much was left of it when the last renewal took hold."""

    def __init__(
        self, connection: Connection, session_id: int, lease_ms: int, *, vouch: Callable[[RenewLease], None] = _nobody
    ) -> None:
        """For the session that was opened with `lease_ms`, on the connection that owns it.

        `vouch` is told of each renewal that was earned, so that the connection lets it go out.
        """
        self.lease_ms: Final = lease_ms
        self.margin_ms: int | None = None
        self.lowest_margin_ms: int | None = None
        self.renewals = 0
        self.round_trip_s: float | None = None
        self._connection = connection
        self._vouch = vouch
        self._session_id = session_id
        self._earned_tick: int | None = None
        self._spent_tick: int | None = None
        self._held_from: int | None = None
        self._under_way: set[asyncio.Future[LeaseRenewed]] = set()
        self._failure: BaseException | None = None

    def earn(self, news: Telemetry | Status) -> None:
        """The session's loop has taken this in, and is alive."""
        armed = isinstance(news, Status) and StatusFlag.ARMED in news.flags
        if not armed:  # while needles may be out, only telemetry does: it is what is watched
            self._earned_tick = newer(self._earned_tick, news.tick_ms)

    @property
    def earned(self) -> bool:
        """Whether there was news that no renewal was spent on."""
        if self._earned_tick is None:
            return False
        return self._spent_tick is None or elapsed_ms(self._spent_tick, self._earned_tick) > 0

    async def renew(self) -> None:
        """Send one renewal; its answer is noted when it comes. Raises `NoTelemetry` when it was not earned.

        Raises `PenRefusal` or `Timeout` when an earlier one was refused or got no answer, and `LinkError`.
        """
        if self._failure is not None:
            raise self._failure
        if not self.earned:
            raise NoTelemetry(
                "The lease was not renewed", rule="SR-STOP-1", limit="nothing new came since the last time"
            )
        if len(self._under_way) >= UNDER_WAY_MAX:
            return
        seen = self._connection.newest_tick
        if seen is None:
            raise NoTelemetry("The lease was not renewed", rule="SR-STOP-1", limit="the pen's clock is not known")
        self._spent_tick = self._earned_tick
        request = RenewLease(session_id=self._session_id, seen_tick_ms=seen)
        self._vouch(request)
        loop = asyncio.get_running_loop()
        sent_s = loop.time()
        task = asyncio.ensure_future(self._connection.request(request, within_s=self.lease_ms / 1_000))
        self._under_way.add(task)
        task.add_done_callback(lambda done: self._answered(done, seen, loop.time() - sent_s))
        await asyncio.sleep(0)  # it goes out now, not after whatever the loop does next

    def _answered(self, task: "asyncio.Future[LeaseRenewed]", seen: int, took_s: float) -> None:
        self._under_way.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Timeout):  # one lost reply is no end: the lease itself says whether it was in time
            return
        if error is not None:
            self._failure = error
            return
        reply = task.result()
        if self._held_from is not None:
            left = self.lease_ms - elapsed_ms(self._held_from, reply.tick_ms)
            self.margin_ms = left
            self.lowest_margin_ms = left if self.lowest_margin_ms is None else min(self.lowest_margin_ms, left)
            self._connection.margin.renewed(left, self.lease_ms)
        self._held_from = newer(self._held_from, seen)
        self.renewals += 1
        self.round_trip_s = took_s

    async def held(self, within_s: float) -> bool:
        """Whether a renewal has taken hold by now, waiting so long at most for those that are under way."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=within_s)
        return self.renewals > 0

    def rest(self) -> None:
        """Nothing runs for now, so what is not renewed meanwhile is no near miss."""
        self._held_from = None

    async def close(self) -> None:
        """Let go of renewals that are under way; may be called again."""
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(set(self._under_way))
