"""A serial port as a descriptor that the event loop reads and writes."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from dermalink.errors import LinkLost
from dermalink.links.background import in_thread
from dermalink.links.link import BytePipe
from dermalink.links.reading import Inbox
from dermalink.links.serial import CLOSE_WITHIN_S, close_port

READ_BYTES: Final = 65_536
FLUSH_WITHIN_S: Final = 0.25  # a Stop just written gets out


class DescriptorPipe(BytePipe):
    """A `BytePipe` on an open port with a descriptor."""

    def __init__(self, port: Any, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        """`port` is owned from here on."""
        self._port = port
        self._fd = descriptor
        self._loop = loop
        self._inbox = Inbox()
        self._waiting = bytearray()
        self._clear = asyncio.Event()
        self._clear.set()
        self._closing: asyncio.Task[None] | None = None
        os.set_blocking(descriptor, False)
        self._reading = True
        loop.add_reader(descriptor, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO after a hang-up, ENXIO after unplugging, ECONNRESET of a socket
            self._lose()
            return
        if not data:
            self._lose()
            return
        self._inbox.feed(data)
        if self._inbox.full:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def _lose(self) -> None:
        """The far end is gone: let go of the loop's watch, and wake all who wait."""
        self._stop_reading()
        if self._waiting:
            self._loop.remove_writer(self._fd)
            self._waiting.clear()
        self._inbox.end()
        self._clear.set()

    @staticmethod
    def _lost() -> LinkLost:
        return LinkLost("The serial port is gone", advice="Check cable and power, then connect again")

    @property
    def clogged(self) -> bool:
        """See `BytePipe.clogged`."""
        return not self._clear.is_set()

    def write(self, data: bytes) -> None:
        """See `BytePipe.write`."""
        if self._inbox.ended:
            raise self._lost()
        if self._waiting:
            self._waiting += data
            return
        written = self._try_write(data)
        if written < len(data):
            self._waiting += data[written:]
            self._clear.clear()
            self._loop.add_writer(self._fd, self._writable)

    def _try_write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._lose()
            raise self._lost() from None

    def _writable(self) -> None:
        try:
            del self._waiting[: self._try_write(self._waiting)]
        except LinkLost:
            return
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            self._clear.set()

    async def drain(self) -> None:
        """See `BytePipe.drain`."""
        if not self._clear.is_set():
            await self._clear.wait()
        if self._inbox.ended:
            raise self._lost()

    async def read(self) -> bytes:
        """See `BytePipe.read`."""
        data = await self._inbox.read()
        self._read_again()
        return data

    def _read_again(self) -> None:
        if not self._reading and not self._inbox.ended:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """See `BytePipe.push_to`."""
        self._inbox.push_to(data, end)
        self._read_again()

    async def close(self) -> None:
        """See `BytePipe.close`; the port itself is closed in a thread, which may take longer than we wait."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await self._clear.wait()
        except TimeoutError:
            pass
        self._lose()
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await in_thread(lambda: close_port(self._port), "close serial port")
        except TimeoutError:  # still draining: the thread goes on alone
            return
