"""Hosts in other processes: each that connects gets a fresh controller in the air, which leaves with it."""

import asyncio
from typing import TYPE_CHECKING, Final

from bumble import core, hci
from bumble.transport.common import PacketParser

from dermalink_simulator.radio.corrections import make_controller
from dermalink_simulator.radio.served import Served

if TYPE_CHECKING:
    from dermalink_simulator.radio.air import Air
    from dermalink_simulator.radio.controller import CorrectedController

CLIENTS_MAX: Final = 16
# One client's bytes between two looks at everybody else, so that a flood delays no Stop: two full data packets.
READ_BYTES: Final = 512
# What a client that does not read may leave lying here: HCI knows no way to make a controller wait.
UNREAD_BYTES: Final = 1 << 18
FROM_HOSTS: Final = (hci.HCI_COMMAND_PACKET, hci.HCI_ACL_DATA_PACKET)


class TcpClients:
    """All hosts that came to one TCP port."""

    def __init__(self, air: "Air", served: Served) -> None:
        self.air = air
        self.served = served
        self.came = 0
        self.here: set[_Client] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def make(self) -> asyncio.BaseProtocol:
        """What a new connection is given."""
        return _Client(self)

    def let_in(self, client: "_Client") -> "CorrectedController | None":
        """A controller for a new client, or None when there are too many."""
        self.here.add(client)
        self._empty.clear()
        if len(self.here) > CLIENTS_MAX:
            self.served.turned_away += 1
            return None
        self.came += 1
        controller = make_controller(f"client {self.came}", self.air)
        self.served.controllers.append(controller)
        return controller

    def let_out(self, client: "_Client", controller: "CorrectedController | None") -> None:
        """A client is gone, and its controller with it."""
        if controller is not None:
            controller.leave()
            self.served.controllers.remove(controller)
        self.here.discard(client)
        if not self.here:
            self._empty.set()

    async def close(self) -> None:
        """Hang up on everybody, and wait until they are gone; the caller bounds it."""
        for client in list(self.here):
            client.hang_up()
        await self._empty.wait()


class _Client(asyncio.BufferedProtocol):
    """One host: packets in go to its controller, packets out to the socket. What is no packet ends it."""

    def __init__(self, clients: TcpClients) -> None:
        self._clients = clients
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._parser = PacketParser(self)
        self._transport: asyncio.Transport | None = None
        self._controller: CorrectedController | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A host is there (asyncio sets TCP_NODELAY)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._controller = self._clients.let_in(self)
        if self._controller is None:
            transport.abort()
        else:
            self._controller.set_packet_sink(_ToSocket(transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` have come."""
        try:
            self._parser.feed_data(bytes(self._buffer[:nbytes]))
        except core.BaseBumbleError:
            self.hang_up()

    def on_packet(self, packet: bytes) -> None:
        """A whole packet; a controller takes only commands and data, and nothing after what it can't understand."""
        if self._controller is None or self._transport is None or self._transport.is_closing():
            return
        if packet[0] not in FROM_HOSTS:
            self.hang_up()
            return
        try:
            self._controller.on_packet(packet)
        except Exception:  # noqa: BLE001 (Bumble's parser raises whatever a short packet makes it raise)
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The host is gone."""
        del exc
        self._clients.let_out(self, self._controller)
        self._controller = None

    def hang_up(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class _ToSocket:
    """A controller's packets on their way to its host."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def on_packet(self, packet: bytes) -> None:
        """Send, unless the host has stopped reading: then it is as good as gone."""
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            self._transport.abort()
            return
        self._transport.write(packet)
