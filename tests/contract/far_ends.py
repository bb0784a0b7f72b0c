"""For each kind of link: how to open one, with the far end in the test's hand, and how to clog it."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from dermalink.links.link import Link
from dermalink.links.open import open_link
from dermalink.links.serial_port import open_port
from dermalink.links.serial_threads import ThreadPipe
from dermalink.links.stream import StreamLink
from dermalink_simulator.in_process import published
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.seam import PortKind
from tests.contract.ble_far_end import ble
from tests.support.memory_pipe import MemoryPipe


class FarEnd(Protocol):
    """What a test does at the other end."""

    link: Link

    async def send(self, data: bytes) -> None:
        """Send bytes to the link."""

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes that the link has sent."""

    async def die(self) -> None:
        """Be gone, as a pen whose cable is pulled."""


Maker = Callable[[], AbstractAsyncContextManager[FarEnd]]


class SocketEnd:
    """A far end that is a connected socket."""

    def __init__(self, link: Link, far: socket.socket) -> None:
        self.link = link
        self._far = far
        far.setblocking(False)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._far, data)

    async def read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            got += await asyncio.get_running_loop().sock_recv(self._far, size - len(got))
        return got

    async def die(self) -> None:
        self._far.close()


def _shrink(link: Link) -> None:
    """Make the system's send buffer small, so that a clogged link is clogged soon; it may hold megabytes."""
    pipe: Any = link._pipe  # type: ignore[attr-defined]
    ours = pipe._transport.get_extra_info("socket") if link.kind == "tcp" else pipe._port._socket
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)


@contextlib.asynccontextmanager
async def _socket_pair(url: Callable[[int], str]) -> AsyncIterator[FarEnd]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        listener.setblocking(False)
        accepting = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listener))
        link = await open_link(url(listener.getsockname()[1]))
        _shrink(link)
        far, _ = await accepting
        with far:
            try:
                yield SocketEnd(link, far)
            finally:
                await link.close()


def tcp() -> AbstractAsyncContextManager[FarEnd]:
    return _socket_pair(lambda port: f"tcp:127.0.0.1:{port}")


def serial_socket() -> AbstractAsyncContextManager[FarEnd]:
    return _socket_pair(lambda port: f"serial:socket://127.0.0.1:{port}")


class PtyEnd:
    """A far end that is a PTY's controlling side."""

    def __init__(self, link: Link, controller: int) -> None:
        self.link = link
        self._controller = controller
        os.set_blocking(controller, False)

    async def send(self, data: bytes) -> None:
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._controller, data) :]
            await asyncio.sleep(0)

    async def read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            try:
                got += os.read(self._controller, size - len(got))
            except BlockingIOError:
                await asyncio.sleep(0.001)
        return got

    async def die(self) -> None:
        os.close(self._controller)
        self._controller = -1

    def tidy(self) -> None:
        if self._controller >= 0:
            os.close(self._controller)


@contextlib.asynccontextmanager
async def _pty(opening: Callable[[str], Awaitable[Link]]) -> AsyncIterator[FarEnd]:
    import pty
    import tty

    controller, terminal = pty.openpty()
    tty.setraw(terminal)
    try:
        link = await opening(os.ttyname(terminal))
    finally:
        os.close(terminal)
    end = PtyEnd(link, controller)
    try:
        yield end
    finally:
        end.tidy()
        await link.close()


def serial_pty() -> AbstractAsyncContextManager[FarEnd]:
    return _pty(lambda name: open_link(f"serial:{name}"))


def serial_pty_threads() -> AbstractAsyncContextManager[FarEnd]:
    """The same port by threads, as on Windows and for pyserial's URLs without a descriptor."""

    async def opening(name: str) -> Link:
        return StreamLink(ThreadPipe(open_port(name, 115_200), asyncio.get_running_loop()), f"serial:{name}")

    return _pty(opening)


class MemoryEnd:
    """A far end in memory."""

    def __init__(self, link: Link, pipe: MemoryPipe) -> None:
        self.link = link
        self._pipe = pipe

    async def send(self, data: bytes) -> None:
        self._pipe.feed(data)

    async def read(self, size: int) -> bytes:
        self._pipe.unclog()
        while sum(map(len, self._pipe.far)) < size:
            await self._pipe.written()
        got = b"".join(self._pipe.far)
        self._pipe.far[:] = [got[size:]]
        return got[:size]

    async def die(self) -> None:
        self._pipe.cut()

    def clog(self) -> None:
        self._pipe.clog()


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[FarEnd]:
    pipe = MemoryPipe()
    link = StreamLink(pipe, "memory:")
    try:
        yield MemoryEnd(link, pipe)
    finally:
        await link.close()


class RawPort:
    """The pen's end of a `sim:` link, without a pen: bytes in the test's hand."""

    is_owner = False

    def __init__(self) -> None:
        self.on_output: Callable[[bytes], None] | None = None
        self.on_hang_up: Callable[[], None] | None = None
        self.closed = False
        self.heard = bytearray()
        self._came = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.heard += data
        self._came.set()

    async def more(self) -> None:
        self._came.clear()
        await self._came.wait()

    def clog(self, *, clogged: bool) -> None:
        """The host reads slowly; what the test sends is sent all the same."""

    def refusal(self, value: bytes) -> int:
        return 0

    def agree_mtu(self, att_mtu: int) -> None:
        """Whatever was agreed."""

    def subscribe(self, channel: int, *, on: bool) -> int:
        """All is sent, subscribed or not."""
        return 0

    def bonding(self, *, begins: bool) -> bool:
        """It makes no bonds."""
        return False

    def encrypted(self, key: bytes) -> None:
        """It needs no encryption."""

    def bond_key(self) -> bytes:
        """It keeps none."""
        return b""

    def handed_on(self) -> None:
        """The test sends when it likes."""

    def close(self) -> None:
        self.closed = True

    def say(self, data: bytes) -> None:
        assert self.on_output is not None
        self.on_output(data)

    def hang_up(self) -> None:
        assert self.on_hang_up is not None
        self.closed = True
        self.on_hang_up()


class RawPen:
    """A `RunnablePen` that does nothing by itself and has one port."""

    now_ms = 0

    def __init__(self) -> None:
        self.port = RawPort()

    def advance(self, ms: int) -> None:
        self.now_ms += ms

    def next_wake_ms(self) -> int:
        return 1_000

    def connect(self, kind: PortKind = PortKind.STREAM) -> RawPort:
        return self.port

    def read_gatt(self, uuid16: int) -> bytes:
        return b""


class SimEnd:
    """A far end that is a running pen's port in this process."""

    def __init__(self, link: Link, runner: PenRunner, port: RawPort) -> None:
        self.link = link
        self._runner, self._port = runner, port

    def heard(self) -> bytes:
        """All that the pen has had so far, without waiting."""
        return bytes(self._port.heard)

    async def send(self, data: bytes) -> None:
        self._runner.act(lambda: self._port.say(data))

    async def read(self, size: int) -> bytes:
        while len(self._port.heard) < size:
            await self._port.more()
        got = bytes(self._port.heard[:size])
        del self._port.heard[:size]
        return got

    async def die(self) -> None:
        self._runner.act(self._port.hang_up)


@contextlib.asynccontextmanager
async def sim() -> AsyncIterator[SimEnd]:
    """A `sim:` link by its entry point and name; it never clogs, for the pen has all bytes before `write` returns."""
    pen = RawPen()
    runner = PenRunner(pen)
    try:
        with published("far_end", runner) as url:
            link = await open_link(url)
            try:
                yield SimEnd(link, runner, pen.port)
            finally:
                await link.close()
    finally:
        runner.stop()


CLOGGABLE: list[Maker] = [memory, tcp, serial_socket]
if sys.platform != "win32":
    CLOGGABLE += [serial_pty, serial_pty_threads]
STREAMS: list[Maker] = [*CLOGGABLE, sim]
MAKERS: list[Maker] = [*STREAMS, ble]
