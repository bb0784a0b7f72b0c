"""Frames on a stream of bytes: the link behind `serial:`, `tcp:` and `sim:`."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn

from dermalink.errors import LinkClosed, LinkError, LinkLost
from dermalink.links.link import RECEIVED, SENT, BytePipe, LinkCounters, Tap
from dermalink_protocol.channels import Channel
from dermalink_protocol.framing import BrokenFrame, Event, Frame, FrameDecoder, encode_frame

# What may stand before a Stop: the rest of one longest frame, or as many short ones; 45 ms at 115 200 baud.
GATHER_BYTES: Final = 512
STOP_AGAIN_S: Final = 0.1  # a frame may be corrupted, and a reply takes a few ms on a cable


class StreamLink:
    """A `Link` on a `BytePipe`.

    At most `GATHER_BYTES` are between this object and the system; other senders wait for their turn. So a Stop that
    goes past them has that much before it at most, and never cuts a frame in two. Short messages that may be gathered
    go out together at the end of the loop's turn.
    """

    def __init__(self, pipe: BytePipe, url: str) -> None:
        """`pipe` is owned from here on and closed with the link."""
        self.counters = LinkCounters()
        self.tap = Tap()
        self._pipe = pipe
        self._url = url
        self._decoder = FrameDecoder()
        self._arrived: deque[tuple[Channel, bytes]] = deque()
        self._deliver: Callable[[Channel, bytes], None] = self._keep
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._gathered = bytearray()
        self._closed = asyncio.Event()

    @property
    def url(self) -> str:
        """The URL that it was opened by."""
        return self._url

    @property
    def kind(self) -> str:
        """The URL's scheme."""
        return self._url.partition(":")[0]

    @property
    def promised_serial(self) -> str:
        """A stream promises no pen."""
        return ""

    @property
    def stop_again_s(self) -> float:
        """Soon: whatever was lost, nobody else sends it again."""
        return STOP_AGAIN_S

    @property
    def late_s(self) -> float:
        """Nothing: it is the cable."""
        return 0.0

    async def send(self, channel: Channel, body: bytes) -> None:
        """Hand one message to the system, in turn; see `Link.send`."""
        frame = encode_frame(channel, body)
        async with self._turn:
            if self._pipe.clogged:
                await self._pipe.drain()
            self._flush()
            self._pipe_write(frame)
            self._note_sent(channel, body, frame)
            if self._pipe.clogged:
                await self._pipe.drain()

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        """Hand one message on if it has not to wait; see `Link.try_send`."""
        if self._closed.is_set():
            self._refuse_closed()
        if self._turn.locked() or self._pipe.clogged:
            return False
        frame = encode_frame(channel, body)
        if len(self._gathered) + len(frame) > GATHER_BYTES or (self._gathered and not gather):
            self._flush()
            if self._is_clogged():
                return False
        if gather:
            if not self._gathered:
                self._loop.call_soon(self._end_of_turn)
            self._gathered += frame
        else:
            self._pipe_write(frame)
        self._note_sent(channel, body, frame)
        return True

    def send_now(self, channel: Channel, body: bytes) -> None:
        """Hand one message on before all that waits; see `Link.send_now`."""
        frame = encode_frame(channel, body)
        self._pipe_write(frame)
        self._note_sent(channel, body, frame)

    async def read_status(self) -> bytes | None:
        """None: on a stream all is said in turn."""
        return None

    async def secure(self, *, pairs: bool) -> None:
        """Nothing: a stream has no Bluetooth to encrypt it."""

    async def forget_bond(self) -> bool:
        """There is none."""
        await self.close()
        return False

    def _is_clogged(self) -> bool:
        return self._pipe.clogged

    def _pipe_write(self, data: bytes | bytearray) -> None:
        if self._closed.is_set():
            self._refuse_closed()
        self._pipe.write(bytes(data))

    def _flush(self) -> None:
        if self._gathered:
            gathered = bytes(self._gathered)
            self._gathered.clear()
            self._pipe_write(gathered)

    def _end_of_turn(self) -> None:
        with contextlib.suppress(LinkError):  # who receives is told that the link is gone
            self._flush()

    def _note_sent(self, channel: Channel, body: bytes, frame: bytes) -> None:
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
                raise self._end()
            self._take_bytes(data)
        return self._arrived.popleft()

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        """Hand on what comes, as it comes; see `Link.deliver_to`."""
        self._deliver = take
        while self._arrived:
            take(*self._arrived.popleft())

        def ended() -> None:
            self._take(self._decoder.flush())
            end(self._end())

        self._pipe.push_to(self._take_bytes, ended)

    def _end(self) -> LinkError:
        """Why nothing more comes."""
        if self._closed.is_set():
            return LinkClosed(f"The connection to {self._url} was closed here", advice="Connect again")
        return LinkLost(f"The connection to {self._url} is gone", advice="Check power and cable, then connect again")

    def _take_bytes(self, data: bytes) -> None:
        self.counters.bytes_received += len(data)
        if self.tap.on_bytes is not None:
            self.tap.on_bytes(RECEIVED, data)
        self._take(self._decoder.feed(data))

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Frame):
                self.counters.frames_received += 1
                if self.tap.on_frame is not None:
                    self.tap.on_frame(RECEIVED, event.channel, event.body)
                self._deliver(event.channel, event.body)
                continue
            if isinstance(event, BrokenFrame):
                self.counters.broken_frames += 1
            self.counters.noise_bytes += len(event.raw)
            if self.tap.on_noise is not None:
                self.tap.on_noise(event.raw)

    def _keep(self, channel: Channel, body: bytes) -> None:
        self._arrived.append((channel, body))

    async def close(self) -> None:
        """Let go of the pipe; see `Link.close`."""
        if not self._closed.is_set():
            self._end_of_turn()
        self._closed.set()
        await self._pipe.close()

    def _refuse_closed(self) -> NoReturn:
        raise self._end()
