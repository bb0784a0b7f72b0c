"""A host's process that is held up by chance: what comes to it, and what it sends, waits until it goes on."""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from dermalink.errors import LinkError
from dermalink.links.link import Link, LinkCounters, Tap
from dermalink_protocol.channels import Channel

# The host's loop is held up: by its display, by other processes, by a collection of garbage. Assumption, measured on no
# computer: ten times a second, for 5 ms on average and 20 ms at most, and for 50 ms once a minute.
HELD_UP_EVERY_S: Final = 0.1
HELD_UP_MEAN_S: Final = 0.005
HELD_UP_MAX_S: Final = 0.020
LONG_EVERY_S: Final = 60.0
LONG_S: Final = 0.050


class HoldUps:
    """When the host's process does nothing, by chance; asked in the order of time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._next_s = random.expovariate(1 / HELD_UP_EVERY_S)
        self._next_long_s = random.expovariate(1 / LONG_EVERY_S)
        self._busy_until_s = 0.0

    def free_at(self, now_s: float) -> float:
        """When what happens now is taken in: now, or when the process goes on."""
        while self._next_s <= now_s:
            lasts_s = min(self._random.expovariate(1 / HELD_UP_MEAN_S), HELD_UP_MAX_S)
            self._busy_until_s = max(self._busy_until_s, self._next_s + lasts_s)
            self._next_s += self._random.expovariate(1 / HELD_UP_EVERY_S)
        while self._next_long_s <= now_s:
            self._busy_until_s = max(self._busy_until_s, self._next_long_s + LONG_S)
            self._next_long_s += self._random.expovariate(1 / LONG_EVERY_S)
        return max(now_s, self._busy_until_s)


class HeldUpLink:
    """A `Link` as a process that is held up now and then sees it: what comes, and what it sends, waits until then."""

    def __init__(self, link: Link, hold_ups: HoldUps) -> None:
        self._link = link
        self._hold_ups = hold_ups
        self._loop = asyncio.get_running_loop()
        self._came: deque[tuple[Channel, bytes]] = deque()
        self._take: Callable[[Channel, bytes], None] = link_has_no_reader
        self.counters: LinkCounters = link.counters
        self.tap: Tap = link.tap

    @property
    def url(self) -> str:
        return self._link.url

    @property
    def kind(self) -> str:
        return self._link.kind

    @property
    def promised_serial(self) -> str:
        return self._link.promised_serial

    @property
    def stop_again_s(self) -> float:
        return self._link.stop_again_s

    @property
    def late_s(self) -> float:
        return self._link.late_s

    async def send(self, channel: Channel, body: bytes) -> None:
        """Once the process goes on."""
        now_s = self._loop.time()
        free_s = self._hold_ups.free_at(now_s)
        if free_s > now_s:
            await asyncio.sleep(free_s - now_s)
        await self._link.send(channel, body)

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        """Not while it is held up: then `send` waits."""
        now_s = self._loop.time()
        return self._hold_ups.free_at(now_s) <= now_s and self._link.try_send(channel, body, gather=gather)

    def send_now(self, channel: Channel, body: bytes) -> None:
        self._link.send_now(channel, body)

    async def read_status(self) -> bytes | None:
        return await self._link.read_status()

    async def secure(self, *, pairs: bool) -> None:
        await self._link.secure(pairs=pairs)

    async def forget_bond(self) -> bool:
        return await self._link.forget_bond()

    async def receive(self) -> tuple[Channel, bytes]:
        return await self._link.receive()

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        self._take = take
        self._link.deliver_to(self._arrived, end)

    def _arrived(self, channel: Channel, body: bytes) -> None:
        now_s = self._loop.time()
        free_s = self._hold_ups.free_at(now_s)
        if free_s <= now_s and not self._came:
            self._take(channel, body)
            return
        self._came.append((channel, body))
        if len(self._came) == 1:
            self._loop.call_at(free_s, self._hand_over)

    def _hand_over(self) -> None:
        while self._came:
            free_s = self._hold_ups.free_at(self._loop.time())
            if free_s > self._loop.time():  # held up again before it had taken all in
                self._loop.call_at(free_s, self._hand_over)
                return
            self._take(*self._came.popleft())

    async def close(self) -> None:
        await self._link.close()


def link_has_no_reader(_channel: Channel, _body: bytes) -> None:
    """Before `deliver_to`."""
    raise RuntimeError("nobody listens to this link")
