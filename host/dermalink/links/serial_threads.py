"""A serial port that the event loop cannot watch (`loop://`, `rfc2217://`, `spy://`, Windows): two threads do."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final

from serial import SerialException

from dermalink.errors import LinkLost
from dermalink.links.background import in_thread
from dermalink.links.link import BytePipe
from dermalink.links.reading import Inbox
from dermalink.links.serial import CLOSE_WITHIN_S, close_port

READ_TIMEOUT_S: Final = 0.05  # how long a port that knows no `cancel_read` keeps its thread after `close`
READ_BYTES: Final = 4_096
FLUSH_WITHIN_S: Final = 0.25  # a Stop just written gets out


class ThreadPipe(BytePipe):
    """A `BytePipe` on an open port; its callbacks into the loop only enqueue."""

    def __init__(self, port: Any, loop: asyncio.AbstractEventLoop) -> None:
        """`port` is owned from here on."""
        self._port = port
        self._loop = loop
        self._inbox = Inbox()
        self._clear = asyncio.Event()
        self._clear.set()
        self._closing: asyncio.Task[None] | None = None
        self._over = threading.Event()
        self._waiting = bytearray()
        self._work = threading.Condition()
        self._room = threading.Event()
        self._room.set()
        port.timeout = READ_TIMEOUT_S
        self._threads = [
            threading.Thread(target=self._read_on, name="serial reader", daemon=True),
            threading.Thread(target=self._write_on, name="serial writer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _read_on(self) -> None:
        while not self._over.is_set():
            if not self._room.wait(READ_TIMEOUT_S):
                continue
            try:
                data = self._port.read(1)
                if data:
                    data += self._port.read(min(self._port.in_waiting, READ_BYTES))
            except (OSError, SerialException, TypeError, AttributeError):  # pyserial's own after a close or hang-up
                self._call(self._lose)
                return
            if data:
                self._call(self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        self._inbox.feed(data)
        if self._inbox.full:
            self._room.clear()

    def _write_on(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._over.is_set())
                if self._over.is_set():
                    return
                data = bytes(self._waiting)
            written = self._write_some(data)
            if written is None:
                return
            with self._work:
                del self._waiting[:written]
                if not self._waiting:
                    self._call(self._cleared)

    def _write_some(self, data: bytes) -> int | None:
        """How much of `data` the port took; None when it is gone."""
        try:
            written = self._port.write(data)
        except (OSError, SerialException, TypeError, AttributeError):
            self._call(self._lose)
            return None
        return len(data) if written is None else int(written)

    def _cleared(self) -> None:
        if not self._waiting:
            self._clear.set()

    def _lose(self) -> None:
        """The port is gone, or let go of: end both threads, and wake all who wait."""
        self._over.set()
        with self._work:
            self._work.notify_all()
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
        with self._work:
            self._waiting += data
            self._clear.clear()
            self._work.notify_all()

    async def drain(self) -> None:
        """See `BytePipe.drain`."""
        if not self._clear.is_set():
            await self._clear.wait()
        if self._inbox.ended:
            raise self._lost()

    async def read(self) -> bytes:
        """See `BytePipe.read`."""
        data = await self._inbox.read()
        self._room.set()
        return data

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """See `BytePipe.push_to`."""
        self._inbox.push_to(data, end)
        self._room.set()

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
                await in_thread(self._end, "close serial port")
        except TimeoutError:  # still draining: the thread goes on alone
            return

    def _end(self) -> None:
        for cancel in ("cancel_read", "cancel_write"):
            with contextlib.suppress(OSError, SerialException, AttributeError):
                getattr(self._port, cancel)()
        for thread in self._threads:
            thread.join(CLOSE_WITHIN_S)
        close_port(self._port)
