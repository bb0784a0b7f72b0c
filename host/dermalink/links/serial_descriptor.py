"""A serial port as a descriptor that the event loop reads and writes."""

import asyncio
import os
import sys
from typing import Any, Final

from dermalink.errors import LinkLost
from dermalink.links.serial_pipe import SerialPipe

READ_BYTES: Final = 65_536


class DescriptorPipe(SerialPipe):
    """A `BytePipe` on an open port with a descriptor."""

    def __init__(self, port: Any, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        """`port` is owned from here on."""
        super().__init__(port, loop)
        self._fd = descriptor
        if sys.platform != "win32":  # ports there have no descriptor
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

    def _fetch_again(self) -> None:
        if not self._reading and not self._inbox.ended:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def _lose(self) -> None:
        self._stop_reading()
        if self._waiting:
            self._loop.remove_writer(self._fd)
            self._waiting.clear()
        self._inbox.end()
        self._clear.set()

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
