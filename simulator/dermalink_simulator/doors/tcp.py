"""The pen on a TCP port: each client is a port of the pen, as a cable is to a pen with several sockets."""

import asyncio
import contextlib
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.doors.address import Address, listen
from dermalink_simulator.runner import PenRunner, RunningPort

CLIENTS_MAX: Final = 16  # more than the pen has ports: it hangs up on a silent one for a new one
# One client's bytes between two looks at everybody else, so that a flood delays no Stop (SR-SEC-5): five requests.
READ_BYTES: Final = 64
# What a client that doesn't read may leave lying here; then the pen is told, and keeps or drops by its own rules.
UNREAD_BYTES: Final = 4_096


class TcpDoor:
    """A listening TCP port in front of a running pen."""

    def __init__(self, runner: PenRunner) -> None:
        """Made by `open`."""
        self._runner = runner
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.address = Address("", 0)
        self.turned_away = 0

    @classmethod
    async def open(cls, runner: PenRunner, address: Address, *, beyond_this_machine: bool = False) -> "TcpDoor":
        """Listen; raises a `DoorError` that says what is in the way."""
        door = cls(runner)
        door._server, door.address = await listen(
            lambda: _Client(door), address, beyond_this_machine=beyond_this_machine
        )
        return door

    @property
    def url(self) -> str:
        """How a host on this machine reaches the door."""
        return f"tcp:{self.address}"

    async def close(self) -> None:
        """Hang up and stop listening; may be called twice."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for client in list(self._clients):
            client.hang_up()
        await server.wait_closed()
        await self._empty.wait()

    def let_in(self, client: "_Client") -> RunningPort | None:
        """A port of the pen for `client`, or None when the door is full or the pen takes no link (it is off)."""
        self._clients.add(client)
        self._empty.clear()
        if len(self._clients) <= CLIENTS_MAX:
            with contextlib.suppress(DermalinkError):
                return self._runner.connect(client.send, client.hang_up, door="tcp")
        self.turned_away += 1
        return None

    def let_out(self, client: "_Client") -> None:
        """The client is gone."""
        self._clients.discard(client)
        if not self._clients:
            self._empty.set()


class _Client(asyncio.BufferedProtocol):
    """One connection: bytes in go to the pen at once, bytes out to the socket."""

    def __init__(self, door: TcpDoor) -> None:
        self._door = door
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._transport: asyncio.Transport | None = None
        self._port: RunningPort | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there (asyncio sets TCP_NODELAY)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._port = self._door.let_in(self)
        if self._port is None:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` have come."""
        if self._port is not None:
            self._port.feed(bytes(self._buffer[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and with it the link."""
        del exc
        if self._port is not None:
            self._port.close()
        self._door.let_out(self)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        if self._port is not None:
            self._port.clog(clogged=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._port is not None:
            self._port.clog(clogged=False)

    def send(self, data: bytes) -> None:
        """Bytes of the pen."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def hang_up(self) -> None:
        """End the connection at once, whatever is still unread."""
        if self._transport is not None:
            self._transport.abort()
