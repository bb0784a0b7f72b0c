"""Controllers by name: those that a host of ours uses, and those that we serve to hosts elsewhere.

`air:NAME` is an air of this process; whatever else leads to a controller is Bumble's own way there (`usb:0`,
`hci-socket:0`, `serial:PATH`, `tcp-client:HOST:PORT`, `android-netsim`). `tcp-server:HOST:PORT`, `vhci`, `pty:PATH`
and `ws-server:HOST:PORT` have hosts come to us; only the first gives each of them a controller of its own. Opening and
closing are bounded, and leave nothing behind.
"""

import asyncio
import contextlib
import importlib.util
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dermalink_simulator.radio.dongles import must_be_a_device, not_opened
from dermalink_simulator.radio.errors import BadRadioSpec, BumbleMissing, NoSuchRadio
from dermalink_simulator.radio.listening import (
    VHCI,
    listen_here,
    must_be_free,
    must_have_room,
    must_have_vhci,
    real_address,
)
from dermalink_simulator.radio.served import Served
from dermalink_simulator.radio.spaces import find_air
from dermalink_simulator.radio.specs import AIR, FOR_HOSTS, TO_HOSTS, as_bumble_writes, check_spec, without_options

if TYPE_CHECKING:
    from bumble.transport.common import Transport, TransportSink, TransportSource

    from dermalink_simulator.radio.air import Air

OPEN_S: Final = 10.0
CLOSE_S: Final = 2.0

_numbers = itertools.count(1)

# What Bumble logs is for whoever debugs it and asks for it; what a person must know comes as an error.
logging.getLogger("bumble").addHandler(logging.NullHandler())


class HciPair(NamedTuple):
    """A controller: packets come from `source` and go to `sink`."""

    source: "TransportSource"
    sink: "TransportSink"


class Listen(Protocol):
    """How to listen on a TCP address: `HOST:PORT` in, the server and the real address out."""

    def __call__(
        self, factory: Callable[[], asyncio.BaseProtocol], address: str
    ) -> Awaitable[tuple[asyncio.Server, str]]:
        """Listen."""
        ...


@asynccontextmanager
async def open_controller(spec: str) -> AsyncIterator[HciPair]:
    """The controller that `spec` names, while this lasts; raises `BadRadioSpec`, `NoSuchRadio` or `BumbleMissing`."""
    check_spec(spec, FOR_HOSTS)
    must_have_bumble()
    kind, _, rest = spec.partition(":")
    if kind == AIR:
        async with _in_air(rest) as pair:
            yield pair
        return
    if kind == "file":
        must_be_a_device(without_options(rest))
    transport = await _open(spec)
    try:
        yield HciPair(transport.source, transport.sink)
    finally:
        await _close(transport)


@asynccontextmanager
async def serve_controllers(spec: str, air: "Air", *, listen: Listen | None = None) -> AsyncIterator[Served]:
    """Controllers in `air` for hosts that come to `spec`, while this lasts.

    `listen` decides where a tcp-server may listen; without it that is this machine only. Raises as `open_controller`
    does, or `BeyondThisMachine`.
    """
    check_spec(spec, TO_HOSTS)
    must_have_bumble()
    kind, _, rest = spec.partition(":")
    if kind == "tcp-server":
        async with _tcp_server(rest, air, listen or listen_here) as served:
            yield served
        return
    if kind == "vhci":
        must_have_vhci(rest or VHCI)
    elif kind == "pty":
        must_have_room(rest)
    else:
        spec = f"{kind}:{await must_be_free(rest)}"
    async with _one_controller(spec, air) as served:
        yield served


def must_have_bumble() -> None:
    """Raise `BumbleMissing` where it is not installed."""
    if importlib.util.find_spec("bumble") is None:
        raise BumbleMissing


@asynccontextmanager
async def _in_air(name: str) -> AsyncIterator[HciPair]:
    from dermalink_simulator.radio.corrections import make_controller

    air = find_air(name)
    controller = make_controller(f"host {next(_numbers)}", air)
    try:
        yield HciPair(controller, controller)  # it is both
    finally:
        controller.leave()


async def _open(spec: str) -> "Transport":
    from bumble.transport import open_transport
    from bumble.transport.common import TransportSpecError

    try:
        async with asyncio.timeout(OPEN_S):
            return await open_transport(as_bumble_writes(spec))
    except TransportSpecError as error:
        raise BadRadioSpec(f"The radio {spec!r} was refused", limit=str(error)) from error
    except TimeoutError as error:
        raise NoSuchRadio(
            f"The radio {spec!r} can't be opened", limit=f"it did not answer within {OPEN_S:g} s"
        ) from error
    except Exception as error:
        raise not_opened(spec, error) from error


async def _close(transport: "Transport") -> None:
    with contextlib.suppress(Exception):  # what is left of a transport that broke
        async with asyncio.timeout(CLOSE_S):
            await transport.close()
            await _close_server(transport)
            stream = getattr(transport.sink, "transport", None)
            socket = stream.get_extra_info("socket") if isinstance(stream, asyncio.BaseTransport) else None
            if socket is not None and socket.type == SOCK_STREAM:  # a source of datagrams is told of no end
                await transport.source.terminated  # the socket is closed once asyncio has said so


async def _close_server(transport: "Transport") -> None:
    """Stop the WebSocket server, which Bumble leaves listening."""
    server = getattr(transport, "server", None)
    if server is not None:
        server.close()
        await server.wait_closed()


# Hosts come to us


@asynccontextmanager
async def _tcp_server(address: str, air: "Air", listen: Listen) -> AsyncIterator[Served]:
    from dermalink_simulator.radio.tcp_clients import TcpClients

    served = Served()
    clients = TcpClients(air, served)
    server, real = await listen(clients.make, address)
    served.reach = f"tcp-client:{real}"
    try:
        yield served
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await clients.close()
                await server.wait_closed()


@asynccontextmanager
async def _one_controller(spec: str, air: "Air") -> AsyncIterator[Served]:
    """A single controller: an adapter of this system's own, the far end of a PTY, or of a WebSocket."""
    from dermalink_simulator.radio.corrections import make_controller

    transport = await _open(spec)
    served = Served(_reach(spec, transport))
    controller = make_controller(spec, air)
    served.controllers.append(controller)
    controller.set_packet_sink(transport.sink)
    transport.source.set_packet_sink(controller)
    transport.source.terminated.add_done_callback(lambda _: served.gone(spec))
    try:
        yield served
    finally:
        controller.leave()
        await _close(transport)


def _reach(spec: str, transport: "Transport") -> str:
    """What a host is to be told; nothing where it uses an adapter of the system's."""
    kind, _, rest = spec.partition(":")
    if kind == "pty":
        return f"serial:{rest}"
    server = getattr(transport, "server", None)
    return "" if server is None else f"ws-client:ws://{real_address(server)}"
