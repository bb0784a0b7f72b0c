"""`tcp:HOST:PORT`: a pen, simulated or behind a bridge, on a TCP port."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

from dermalink.errors import BadUrl, CannotOpen, LinkLost, NoSuchPort
from dermalink.links.link import BytePipe
from dermalink.links.reading import Inbox

FLUSH_WITHIN_S: Final = 0.25  # a Stop just written gets out; measured on a healthy loopback: under 1 ms
PORT_MAX: Final = 65_535


def split_address(rest: str) -> tuple[str, int]:
    """Host and port of what stands behind `tcp:`; brackets hold an IPv6 address. Raises `BadUrl`."""
    host, colon, port = rest.removeprefix("//").rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or (":" in bare) is not host.startswith("["):
        raise BadUrl(f"tcp:{rest} was refused", limit="it names no host and port", advice="Write tcp:127.0.0.1:7321")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= PORT_MAX):
        raise BadUrl(f"tcp:{rest} was refused", limit=f"a port is 1 to {PORT_MAX}", advice="Write tcp:127.0.0.1:7321")
    return bare, int(port)


async def open_pipe(rest: str) -> BytePipe:
    """Connect; raises `BadUrl`, `NoSuchPort` or `CannotOpen`."""
    host, port = split_address(rest)
    loop = asyncio.get_running_loop()
    try:
        _, pipe = await loop.create_connection(TcpPipe, host, port)
    except ConnectionRefusedError:
        raise NoSuchPort(
            f"tcp:{rest} cannot be opened",
            limit="nobody listens there",
            advice="Start the pen, or `dermalink-sim serve --tcp`",
        ) from None
    except socket.gaierror:
        raise NoSuchPort(
            f"tcp:{rest} cannot be opened", limit=f"no host is called {host}", advice="Check the name"
        ) from None
    except OSError as error:
        raise CannotOpen(
            f"tcp:{rest} cannot be opened", limit=str(error), advice="Check host, port and network"
        ) from None
    return pipe


class TcpPipe(asyncio.Protocol):
    """A `BytePipe` on an asyncio transport."""

    def __init__(self) -> None:
        self._inbox = Inbox()
        self._transport: asyncio.Transport | None = None
        self._clear = asyncio.Event()
        self._clear.set()
        self._gone = asyncio.Event()
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn Nagle's delay off: a lease waits for no second frame. A full buffer is told at its first byte."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Only enqueue."""
        self._inbox.feed(data)
        if self._inbox.full and self._transport is not None:
            self._held = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """The far end sends no more; to a pen's host it is gone."""
        self._inbox.end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio calls it so)
        """Wake all who wait."""
        self._inbox.end()
        self._gone.set()
        self._clear.set()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._clear.clear()

    def resume_writing(self) -> None:
        """All that was written is in the system's hands."""
        self._clear.set()

    @property
    def clogged(self) -> bool:
        """See `BytePipe.clogged`."""
        return not self._clear.is_set()

    def write(self, data: bytes) -> None:
        """See `BytePipe.write`."""
        if self._transport is None or self._inbox.ended or self._transport.is_closing():
            raise LinkLost("The TCP connection is gone", advice="Check that the pen is on, then connect again")
        self._transport.write(data)

    async def drain(self) -> None:
        """See `BytePipe.drain`."""
        if not self._clear.is_set():
            await self._clear.wait()
        if self._gone.is_set():
            raise LinkLost("The TCP connection is gone", advice="Check that the pen is on, then connect again")

    async def read(self) -> bytes:
        """See `BytePipe.read`."""
        data = await self._inbox.read()
        self._read_again()
        return data

    def _read_again(self) -> None:
        if self._held and self._transport is not None and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """See `BytePipe.push_to`."""
        self._inbox.push_to(data, end)
        self._read_again()

    async def close(self) -> None:
        """See `BytePipe.close`: what was written has `FLUSH_WITHIN_S` to get out."""
        if self._transport is None:
            return
        self._transport.close()
        self._inbox.end()
        try:
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()
            await self._gone.wait()
