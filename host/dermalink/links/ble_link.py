"""A link over BLE: whole messages on a pen's characteristics, in segments."""

import asyncio
import contextlib
import copy
from collections import deque
from collections.abc import Callable
from typing import Final

from dermalink.errors import LinkClosed, LinkError, LinkLost, NotSecured
from dermalink.links.ble_client import PenClient
from dermalink.links.ble_platform import AGAIN, lost_error
from dermalink.links.ble_writer import Writer
from dermalink.links.link import RECEIVED, SENT, LinkCounters, Tap
from dermalink_protocol.channels import CHANNEL_RULES, Channel
from dermalink_protocol.errors import FrameTooLong
from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.segmentation import Joined, Reassembler

# The link layer repeats what is lost, and the writer what a stack dropped. What is left is a pen that lost its answer.
STOP_AGAIN_S: Final = 1.0
# Measured with the simulated pen in a pass, nothing lost: at most 0.8 s at a connection interval of 100 ms and ATT_MTU
# 247, 1.2 s at ATT_MTU 23, where a status is read in three parts; 1.4 s there at 30 ms and 90 ms of delay each way. The
# longest lease besides: later than that nobody need wait to be told to lift the pen off.
LATE_S: Final = 1.0
CLOSE_WAITS_S: Final = 2.7  # for a disconnect, which takes BlueZ 2-3 s; with `OUT_WITHIN_S` within 3 s in all


class BleLink:
    """A `Link` on one bleak client; made before the client is set up, so that it misses nothing that comes."""

    def __init__(self, client: PenClient, url: str, promised_serial: str) -> None:
        """`client` is owned from here on."""
        self.counters = LinkCounters()
        self.tap = Tap()
        self._client = client
        self._url = url
        self._promised = promised_serial
        self._writer = Writer(client, note=self._note_sent, fail=self._lose)
        self._reassemblers = {channel: Reassembler() for channel in Channel}
        self._newest = dict.fromkeys(Channel, b"")
        self._arrived: deque[tuple[Channel, bytes]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._deliver: Callable[[Channel, bytes], None] = self._keep
        self._tell_end: Callable[[LinkError], None] | None = None
        self._over: LinkError | None = None
        self._closing: asyncio.Task[None] | None = None
        self._secured = False
        client.on_value = self._take_value
        client.on_gone = self._hung_up

    @property
    def url(self) -> str:
        """The URL that it was opened by."""
        return self._url

    @property
    def kind(self) -> str:
        """The URL's scheme."""
        return "ble"

    @property
    def promised_serial(self) -> str:
        """The serial number that the pen advertised, or "" when it was heard without one."""
        return self._promised

    @property
    def stop_again_s(self) -> float:
        """Late: more copies only keep the air from what proves it; see `Link.stop_again_s`."""
        return STOP_AGAIN_S

    @property
    def late_s(self) -> float:
        """What slow air takes; see `Link.late_s`."""
        return LATE_S

    # Out

    async def send(self, channel: Channel, body: bytes) -> None:
        """Write one message in turn; see `Link.send`."""
        self._refuse(channel, body)
        await self._writer.send(channel, body)

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        """Write one message if none waits before it, or with `gather` only a few; see `Link.try_send`."""
        self._refuse(channel, body)
        if not self._writer.has_room(gather=gather):
            return False
        self._writer.hand(channel, body)
        return True

    def send_now(self, channel: Channel, body: bytes) -> None:
        """Write one message past all that waits; see `Link.send_now`."""
        self._refuse(channel, body)
        self._writer.send_now(channel, body)

    async def read_status(self) -> bytes | None:
        """Read the status characteristic, which waits for no indication; see `Link.read_status`."""
        return None if self._over is not None else await self._writer.read(Channel.STATUS)

    def _note_sent(self, channel: Channel, body: bytes, values: list[bytes]) -> None:
        self.counters.frames_sent += 1
        self.counters.bytes_sent += sum(map(len, values))
        if self.tap.on_frame is not None:
            self.tap.on_frame(SENT, channel, body)
        if self.tap.on_bytes is not None:
            for value in values:
                self.tap.on_bytes(SENT, value)

    # In

    def _take_value(self, channel: Channel, value: bytes) -> None:
        """Lost, late and repeated segments are counted, and cost the messages that they belonged to."""
        if self._over is not None:
            return
        self.counters.bytes_received += len(value)
        if self.tap.on_bytes is not None:
            self.tap.on_bytes(RECEIVED, value)
        if value and value == self._newest[channel]:
            self.counters.repeated += 1
            return
        self._newest[channel] = value
        for event in self._reassemblers[channel].feed(value):
            if isinstance(event, Joined):
                self.counters.frames_received += 1
                self._writer.heard(channel, event.body)
                if self.tap.on_frame is not None:
                    self.tap.on_frame(RECEIVED, channel, event.body)
                self._deliver(channel, event.body)
            else:
                self.counters.broken_frames += 1

    def _keep(self, channel: Channel, body: bytes) -> None:
        self._arrived.append((channel, body))
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> tuple[Channel, bytes]:
        """The next message; see `Link.receive`."""
        while not self._arrived:
            if self._over is not None:
                raise copy.copy(self._over)
            if self._waiter is not None:
                raise RuntimeError("a link has one reader at a time")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._arrived.popleft()

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        """Hand on what comes, as it comes; see `Link.deliver_to`."""
        self._deliver = take
        while self._arrived:
            take(*self._arrived.popleft())
        if self._over is not None:
            end(copy.copy(self._over))
        else:
            self._tell_end = end

    async def secure(self, *, pairs: bool) -> None:
        """Subscribe to the channels that may want an encrypted link; see `Link.secure`."""
        if self._over is not None:
            raise copy.copy(self._over)
        if not self._secured:
            await self._client.secure(pairs=pairs)
            self._secured = True

    async def forget_bond(self) -> bool:
        """See `Link.forget_bond`."""
        await self.close()
        return await self._client.forget_bond()

    # The end

    def _hung_up(self) -> None:
        limit = "the pen hung up, is out of reach, or has no power"
        self._lose(LinkLost(f"The connection to {self._url} is gone", limit=limit, advice=AGAIN))

    def _lose(self, why: BaseException) -> None:
        """The link is lost, once for all; what was the client is let go of at once, whoever closes this when."""
        if self._over is None:
            self._end(lost_error(why, self._url))
            self._client.let_go()

    def _end(self, error: LinkError) -> None:
        self._over = error
        self._writer.stop(error)
        self._tell()

    def _tell(self) -> None:
        self._wake()
        end, self._tell_end = self._tell_end, None
        if end is not None and self._over is not None:
            end(copy.copy(self._over))

    async def close(self) -> None:
        """Disconnect, in bounded time, and never before a Stop got its chance; see `Link.close`."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        closed = LinkClosed(f"The connection to {self._url} was closed here", advice="Connect again")
        lost = self._over is not None
        self._over = closed
        self._tell()
        if not lost:
            await self._writer.finish(closed)
        with contextlib.suppress(TimeoutError):
            await self._client.disconnect(CLOSE_WAITS_S)

    def _refuse(self, channel: Channel, body: bytes) -> None:
        if self._over is not None:
            raise copy.copy(self._over)
        if not self._secured and CHANNEL_RULES[channel].encrypted:
            raise NotSecured(
                f"Nothing was sent on the channel {channel.name.lower()} of {self._url}",
                rule="SR-SEC-1",
                limit="over Bluetooth it takes an encrypted link, which a stranger's or one that only looks is not",
                advice="Connect as the pen's owner, or call `secure()` of a `Pen` that only looks",
            )
        if len(body) > MESSAGE_BYTES_MAX:
            limit = f"a message has at most {MESSAGE_BYTES_MAX}"
            raise FrameTooLong(f"{len(body)} bytes were not sent", limit=limit)
