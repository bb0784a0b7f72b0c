"""What a pen says unasked, on its way to those who listen: numbered, without duplicates, in bounded queues."""

import asyncio
import copy
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, Generic, Protocol, TypeVar

from dermalink.errors import LinkError
from dermalink_protocol.schema import Notification

SEQUENCE_WRAP: Final = 1 << 16
SEQUENCE_HALF: Final = 1 << 15
RESYNC_AFTER: Final = 64  # a pen that began to count anew is believed after 6.4 s of its telemetry
QUEUE_DEFAULT: Final = 256  # 25 s of telemetry batches; a listener that is further behind shows the past

N = TypeVar("N", bound=Notification)


class SequenceFilter:
    """Sees by their numbers which notifications are new, doubled, or missing; one per kind."""

    __slots__ = ("_last", "_stale", "_stale_run", "duplicates", "gaps", "missing")

    def __init__(self) -> None:
        self.duplicates = self.gaps = self.missing = 0
        self._last: int | None = None
        self._stale = self._stale_run = 0

    def is_new(self, sequence: int) -> bool:
        """Whether this one has not been here, nor one after it; counts it either way."""
        ahead = 1 if self._last is None else (sequence - self._last) % SEQUENCE_WRAP
        if 1 <= ahead < SEQUENCE_HALF or self._begins_anew(sequence):
            if 1 < ahead < SEQUENCE_HALF:
                self.gaps += 1
                self.missing += ahead - 1
            self._last = sequence
            self._stale_run = 0
            return True
        self.duplicates += 1
        return False

    def _begins_anew(self, sequence: int) -> bool:
        follows = (sequence - self._stale) % SEQUENCE_WRAP == 1
        self._stale_run = self._stale_run + 1 if follows else 1
        self._stale = sequence
        return self._stale_run >= RESYNC_AFTER


class Sink(Protocol):
    """Who is handed notifications as they come; both calls only take note."""

    @property
    def kinds(self) -> tuple[type[Notification], ...]:
        """The classes that it takes; none is all."""

    def offer(self, notification: Any) -> None:
        """One has come."""

    def end(self, error: LinkError) -> None:
        """Nothing more will come."""


class Subscription(Generic[N]):
    """A bounded queue of notifications for one listener; the oldest goes when it is full, and `dropped` counts it."""

    def __init__(self, kinds: tuple[type[N], ...], size: int) -> None:
        """`kinds` are the classes that it takes, none for all; `size` is how many it holds."""
        self.kinds: Final = kinds
        self.dropped = 0
        self._queue: deque[N] = deque(maxlen=size)
        self._arrival: asyncio.Future[None] | None = None
        self._end: LinkError | None = None

    def offer(self, notification: N) -> None:
        """Only enqueue."""
        self.dropped += len(self._queue) == self._queue.maxlen
        self._queue.append(notification)
        self._wake()

    def end(self, error: LinkError) -> None:
        """Nothing more will come: whoever has read all gets `error`."""
        self._end = self._end or error
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def take_waiting(self) -> list[N]:
        """All that is here now, without waiting."""
        waiting = list(self._queue)
        self._queue.clear()
        return waiting

    async def next(self) -> N:
        """The next one, for one caller at a time; raises a `LinkError` when the connection is over and all is read."""
        while not self._queue:
            if self._end is not None:
                raise copy.copy(self._end)
            if self._arrival is not None:
                raise RuntimeError("a subscription has one reader at a time")
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        return self._queue.popleft()

    def __aiter__(self) -> AsyncIterator[N]:
        return self

    async def __anext__(self) -> N:
        return await self.next()
