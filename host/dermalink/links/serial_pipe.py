"""What both ways to a serial port have in common: what came in, what waits to get out, and the end."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final

from dermalink.errors import LinkLost
from dermalink.links.background import in_thread
from dermalink.links.link import BytePipe
from dermalink.links.reading import Inbox
from dermalink.links.serial_port import close_port

FLUSH_WITHIN_S: Final = 0.25  # a Stop just written gets out
CLOSE_WITHIN_S: Final = 1.0  # pyserial's socket:// and rfc2217:// sleep 0.3 s in close(); a tty may drain for 30 s


class SerialPipe(BytePipe):
    """A `BytePipe` on an open port; how bytes get in and out is the subclass's."""

    def __init__(self, port: Any, loop: asyncio.AbstractEventLoop) -> None:
        """`port` is owned from here on."""
        self._port = port
        self._loop = loop
        self._inbox = Inbox()
        self._waiting = bytearray()
        self._clear = asyncio.Event()
        self._clear.set()
        self._closing: asyncio.Task[None] | None = None

    @abstractmethod
    def _lose(self) -> None:
        """The far end is gone, or the port is let go of: wake all who wait."""

    @abstractmethod
    def _fetch_again(self) -> None:
        """There is room for more."""

    def _end_port(self) -> None:
        """Called in a thread, once nothing here uses the port any more."""
        close_port(self._port)

    @staticmethod
    def _lost() -> LinkLost:
        return LinkLost("The serial port is gone", advice="Check cable and power, then connect again")

    @property
    def clogged(self) -> bool:
        """See `BytePipe.clogged`."""
        return not self._clear.is_set()

    async def drain(self) -> None:
        """See `BytePipe.drain`."""
        if not self._clear.is_set():
            await self._clear.wait()
        if self._inbox.ended:
            raise self._lost()

    async def read(self) -> bytes:
        """See `BytePipe.read`."""
        data = await self._inbox.read()
        self._fetch_again()
        return data

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """See `BytePipe.push_to`."""
        self._inbox.push_to(data, end)
        self._fetch_again()

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
                await in_thread(self._end_port, "close serial port")
        except TimeoutError:  # still draining: the thread goes on alone
            return
