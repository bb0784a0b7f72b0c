"""Frames on a stream of bytes: the link behind `serial:`, `tcp:` and `sim:`."""

import asyncio
from collections import deque
from typing import NoReturn

from dermalink.errors import LinkClosed, LinkLost
from dermalink.links.link import RECEIVED, SENT, BytePipe, LinkCounters, Tap
from dermalink_protocol.channels import Channel
from dermalink_protocol.framing import BrokenFrame, Event, Frame, FrameDecoder, encode_frame


class StreamLink:
    """A `Link` on a `BytePipe`.

    At most one message at a time is between this object and the system; the others wait for the lock. So a Stop that
    goes past the lock has at most the rest of one frame before it, and never cuts one in two.
    """

    def __init__(self, pipe: BytePipe, url: str) -> None:
        """`pipe` is owned from here on and closed with the link."""
        self.counters = LinkCounters()
        self.tap = Tap()
        self._pipe = pipe
        self._url = url
        self._decoder = FrameDecoder()
        self._arrived: deque[tuple[Channel, bytes]] = deque()
        self._turn = asyncio.Lock()
        self._draining = False
        self._closed = asyncio.Event()

    @property
    def url(self) -> str:
        """The URL that it was opened by."""
        return self._url

    @property
    def kind(self) -> str:
        """The URL's scheme."""
        return self._url.partition(":")[0]

    async def send(self, channel: Channel, body: bytes) -> None:
        """Hand one message to the system, in turn; see `Link.send`."""
        frame = encode_frame(channel, body)
        async with self._turn:
            if self._draining:  # an earlier sender was cancelled while its frame was going out
                await self._pipe.drain()
            self._write(channel, body, frame)
            self._draining = True
            await self._pipe.drain()
            self._draining = False

    def send_now(self, channel: Channel, body: bytes) -> None:
        """Hand one message on before all that waits; see `Link.send_now`."""
        self._write(channel, body, encode_frame(channel, body))

    def _write(self, channel: Channel, body: bytes, frame: bytes) -> None:
        if self._closed.is_set():
            self._refuse_closed()
        self._pipe.write(frame)
        self.counters.frames_sent += 1
        self.counters.bytes_sent += len(frame)
        if self.tap.on_frame is not None:
            self.tap.on_frame(SENT, channel, body)
        if self.tap.on_bytes is not None:
            self.tap.on_bytes(SENT, frame)

    async def receive(self) -> tuple[Channel, bytes]:
        """The next message; see `Link.receive`."""
        while not self._arrived:
            if self._closed.is_set():
                self._refuse_closed()
            data = await self._pipe.read()
            if not data:
                self._take(self._decoder.flush())
                if self._closed.is_set():
                    self._refuse_closed()
                raise LinkLost(
                    f"The connection to {self._url} is gone", advice="Check power and cable, then connect again"
                )
            self.counters.bytes_received += len(data)
            if self.tap.on_bytes is not None:
                self.tap.on_bytes(RECEIVED, data)
            self._take(self._decoder.feed(data))
        return self._arrived.popleft()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Frame):
                self.counters.frames_received += 1
                self._arrived.append((event.channel, event.body))
                if self.tap.on_frame is not None:
                    self.tap.on_frame(RECEIVED, event.channel, event.body)
                continue
            if isinstance(event, BrokenFrame):
                self.counters.broken_frames += 1
            self.counters.noise_bytes += len(event.raw)
            if self.tap.on_noise is not None:
                self.tap.on_noise(event.raw)

    async def close(self) -> None:
        """Let go of the pipe; see `Link.close`."""
        self._closed.set()
        await self._pipe.close()

    def _refuse_closed(self) -> NoReturn:
        raise LinkClosed(f"The connection to {self._url} was closed here", advice="Connect again")
