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
# One at a time: over BLE an answer takes two connection events, and at 100 ms those to ten renewals a second would
# queue up for longer than any lease. After a third of the lease it, or its answer, is taken for lost: two more fit in.
OVERDUE_PART: Final = 3


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
        self._next: tuple[int, float] | None = None  # asked for while one was under way: what it quotes, and since when
        self._under_way: dict[asyncio.Future[LeaseRenewed], float] = {}  # and when each went
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
        """Send one renewal, or let it go once the one under way is answered; its own answer is noted when it comes.

        What waits quotes what was seen by now, and goes soon or never. Raises `NoTelemetry` when it was not earned,
        `PenRefusal` or `Timeout` when an earlier one was refused or got no answer, and `LinkError`.
        """
        if self._failure is not None:
            raise self._failure
        if not self.earned:
            raise NoTelemetry(
                "The lease was not renewed", rule="SR-STOP-1", limit="nothing new came since the last time"
            )
        seen = self._connection.newest_tick
        if seen is None:
            raise NoTelemetry("The lease was not renewed", rule="SR-STOP-1", limit="the pen's clock is not known")
        self._spent_tick = self._earned_tick
        if self._must_wait():
            self._next = seen, asyncio.get_running_loop().time()
            return
        self._send(seen)
        await asyncio.sleep(0)  # it goes out now, not after whatever the loop does next

    def _send(self, seen: int) -> None:
        self._next = None
        request = RenewLease(session_id=self._session_id, seen_tick_ms=seen)
        self._vouch(request)
        loop = asyncio.get_running_loop()
        sent_s = loop.time()
        late_s = self._connection.link.late_s  # it may have been in time though its answer is not
        task = asyncio.ensure_future(self._connection.request(request, within_s=self.lease_ms / 1_000 + late_s))
        self._under_way[task] = sent_s
        task.add_done_callback(lambda done: self._answered(done, seen, loop.time() - sent_s))

    def _must_wait(self) -> bool:
        """Whether one is under way that may still arrive in time: another would only queue up behind it."""
        lease_s, now_s = self.lease_ms / 1_000, asyncio.get_running_loop().time()
        ages_s = [now_s - sent_s for sent_s in self._under_way.values() if now_s - sent_s < lease_s]
        return len(ages_s) >= UNDER_WAY_MAX or any(age_s < lease_s / OVERDUE_PART for age_s in ages_s)

    def _answered(self, task: "asyncio.Future[LeaseRenewed]", seen: int, took_s: float) -> None:
        self._under_way.pop(task, None)
        if task.cancelled():
            return
        self._note(task, seen, took_s)
        if self._next is None or self._failure is not None or self._must_wait():
            return
        asked_with, asked_s = self._next
        age_s = asyncio.get_running_loop().time() - asked_s
        if age_s < self.lease_ms / 1_000 / OVERDUE_PART:  # a loop that hung meanwhile gains this one renewal at most
            self._send(asked_with)

    def _note(self, task: "asyncio.Future[LeaseRenewed]", seen: int, took_s: float) -> None:
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
        self._held_from = self._next = None

    async def close(self) -> None:
        """Let go of renewals that are under way; may be called again."""
        self._next = None
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(set(self._under_way))
