"""A serial port that the event loop cannot watch (`loop://`, `rfc2217://`, `spy://`, Windows): two threads do."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final

from serial import SerialException

from dermalink.links.serial_pipe import CLOSE_WITHIN_S, SerialPipe

READ_TIMEOUT_S: Final = 0.05  # how long a port that knows no `cancel_read` keeps its thread after `close`
READ_BYTES: Final = 4_096
GONE: Final = (OSError, SerialException, TypeError, AttributeError)  # the last two are pyserial's own after a close


class ThreadPipe(SerialPipe):
    """A `BytePipe` on an open port; its callbacks into the loop only enqueue."""

    def __init__(self, port: Any, loop: asyncio.AbstractEventLoop) -> None:
        """`port` is owned from here on."""
        super().__init__(port, loop)
        self._over = threading.Event()
        self._work = threading.Condition()
        self._room = threading.Event()
        self._room.set()
        port.timeout = READ_TIMEOUT_S
        port.write_timeout = None
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
            except GONE:
                self._call(self._lose)
                return
            if data:
                self._call(self._arrived, data)

    def _arrived(self, data: bytes) -> None:
        self._inbox.feed(data)
        if self._inbox.full:
            self._room.clear()

    def _fetch_again(self) -> None:
        self._room.set()

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
        except GONE:
            self._call(self._lose)
            return None
        return len(data) if written is None else int(written)

    def _cleared(self) -> None:
        if not self._waiting:
            self._clear.set()

    def _lose(self) -> None:
        self._over.set()
        with self._work:
            self._work.notify_all()
        self._inbox.end()
        self._clear.set()

    def write(self, data: bytes) -> None:
        """See `BytePipe.write`."""
        if self._inbox.ended:
            raise self._lost()
        with self._work:
            self._waiting += data
            self._clear.clear()
            self._work.notify_all()

    def _end_port(self) -> None:
        for cancel in ("cancel_read", "cancel_write"):
            with contextlib.suppress(OSError, SerialException, AttributeError):
                getattr(self._port, cancel)()
        for thread in self._threads:
            thread.join(CLOSE_WITHIN_S)
        super()._end_port()
