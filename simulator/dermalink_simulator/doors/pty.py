"""The pen on a pseudo-terminal, behind a symlink whose path stays: a serial port as far as any program can tell.

Each host gets a pair of its own. The pen's end keeps the host's end open until the first byte comes, since a pair
that nobody holds open reports a hang-up for ever; then it lets go, so that the host's closing is seen as a hang-up.
After it the link leads to a fresh pair, with nothing left over: neither unread bytes nor the last host's exclusive
lock (TIOCEXCL outlives the host that set it for as long as the pair exists).
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.doors.errors import DoorError, NotOnThisSystemError
from dermalink_simulator.doors.link_path import LinkPath
from dermalink_simulator.runner import PenRunner, RunningPort

# One host's bytes between two looks at everybody else (SR-SEC-5).
READ_BYTES: Final = 4_096


class PtyDoor:
    """A pseudo-terminal in front of a running pen, at a path that stays the same from host to host."""

    def __init__(self, runner: PenRunner, link: LinkPath) -> None:
        """Made by `open`."""
        self._runner, self._link = runner, link
        self._loop = asyncio.get_running_loop()
        self._master = self._slave = -1
        self._port: RunningPort | None = None
        self._unsent = bytearray()
        self._closed = False

    @classmethod
    async def open(cls, runner: PenRunner, path: Path) -> "PtyDoor":
        """Make the pair and the link; raises a `DoorError` that says what is in the way.

        Must be called on the loop that serves; Windows has no pseudo-terminals (`NotOnThisSystemError`).
        """
        if sys.platform == "win32":
            raise NotOnThisSystemError(
                "A pseudo-terminal was refused", limit="Windows has none", advice="Use --tcp 127.0.0.1:7321"
            )
        door = cls(runner, LinkPath.take(path))
        try:
            door._fresh_pair()
        except BaseException:
            await door.close()
            raise
        return door

    @property
    def path(self) -> Path:
        """The link; absolute."""
        return self._link.path

    @property
    def url(self) -> str:
        """How a host on this machine reaches the door."""
        return f"serial:{self._link.path}"

    async def close(self) -> None:
        """Hang up and take the link away; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._let_go()
        self._link.release()

    def _fresh_pair(self) -> None:
        """A new pair behind the link; whoever held the old one is hung up."""
        if sys.platform == "win32":
            raise NotImplementedError
        import tty

        try:
            master, slave = os.openpty()
        except OSError as error:
            raise DoorError(
                "No pseudo-terminal could be made", limit=str(error), advice="Close terminals, or use --tcp"
            ) from error
        os.set_blocking(master, False)
        tty.setraw(slave)
        try:
            self._link.point_to(os.ttyname(slave))
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        self._let_go()
        self._master, self._slave = master, slave
        self._loop.add_reader(master, self._readable)

    def _let_go(self) -> None:
        """Close the present pair and its link to the pen."""
        if self._port is not None:
            port, self._port = self._port, None
            port.close()
        self._unsent.clear()
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
        for descriptor in (self._slave, self._master):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._slave = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: the host closed its end (Linux); elsewhere that is an empty read
            data = b""
        if not data:
            self._hung_up()
            return
        if self._port is None:
            os.close(self._slave)
            self._slave = -1
            try:
                self._port = self._runner.connect(self._send, self._hung_up, door="pty")
            except DermalinkError:  # the pen takes no link: it is off, or in a storm of them
                self._hung_up()
                return
        self._port.feed(data)

    def _hung_up(self) -> None:
        if self._closed:
            return
        try:
            self._fresh_pair()
        except DoorError as error:
            self._let_go()  # else the dead pair would report its hang-up for ever
            self._runner.fail(error)

    def _send(self, data: bytes) -> None:
        """Bytes of the pen; when the host's end is full the pen is told, and keeps or drops by its own rules."""
        if self._unsent:
            self._unsent += data
            return
        sent = self._write(data)
        if sent < len(data) and self._port is not None:
            self._unsent += data[sent:]
            self._loop.add_writer(self._master, self._writable)
            self._port.clog(clogged=True)

    def _write(self, data: bytes | bytearray) -> int:
        """How many bytes the terminal took; a hang-up is left to the reader."""
        with contextlib.suppress(OSError):
            return os.write(self._master, data)
        return 0

    def _writable(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if not self._unsent and self._port is not None:
            self._loop.remove_writer(self._master)
            self._port.clog(clogged=False)
