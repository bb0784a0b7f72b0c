"""Controllers by name: those that a host of ours uses, and those that we serve to hosts elsewhere.

`air:NAME` is an air of this process; whatever else leads to a controller is Bumble's own way there (`usb:0`,
`hci-socket:0`, `serial:PATH`, `tcp-client:HOST:PORT`, `android-netsim`). `tcp-server:HOST:PORT`, `vhci`, `pty:PATH`
and `ws-server:HOST:PORT` have hosts come to us; only the first gives each of them a controller of its own. Opening and
closing are bounded, and leave nothing behind.
"""

import asyncio
import contextlib
import importlib.util
import ipaddress
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dermalink_simulator.radio.errors import BadRadioSpec, BumbleMissing, NoSuchRadio, RadioGone
from dermalink_simulator.radio.spaces import find_air

if TYPE_CHECKING:
    from bumble.transport.common import Transport, TransportSink, TransportSource

    from dermalink_simulator.radio.air import Air
    from dermalink_simulator.radio.controller import CorrectedController

OPEN_S: Final = 10.0
CLOSE_S: Final = 2.0
# Bumble's transports at whose far end is a controller, and those at which hosts arrive.
TO_CONTROLLERS: Final = (
    "tcp-client", "usb", "pyusb", "hci-socket", "serial", "android-netsim", "android-emulator", "ws-client", "udp",
    "unix", "unix-client", "file",
)  # fmt: skip
TO_HOSTS: Final = ("tcp-server", "vhci", "pty", "ws-server")
CLIENTS_MAX: Final = 16
# One client's bytes between two looks at everybody else, so that a flood delays no Stop: two full data packets.
READ_BYTES: Final = 512
# What a client that does not read may leave lying here: HCI knows no way to make a controller wait.
UNREAD_BYTES: Final = 1 << 18
VHCI: Final = "/dev/vhci"

_numbers = itertools.count(1)


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


class Served:
    """Controllers that are being served; `reach` is what a host elsewhere gives `open_controller`, if it can."""

    def __init__(self, reach: str = "") -> None:
        self.reach = reach
        self.controllers: list[CorrectedController] = []
        self.turned_away = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def gone(self, spec: str) -> None:
        """The way to the hosts broke: `lost` says so."""
        if not self.lost.done():
            self.lost.set_exception(RadioGone(f"The radio {spec!r} is gone", limit="the system closed it"))
            self.lost.exception()  # seen, also where nobody waits for it


@asynccontextmanager
async def open_controller(spec: str) -> AsyncIterator[HciPair]:
    """The controller that `spec` names, while this lasts; raises `BadRadioSpec`, `NoSuchRadio` or `BumbleMissing`."""
    must_have_bumble()
    scheme, _, rest = spec.partition(":")
    if scheme == "air":
        async with _in_air(rest) as pair:
            yield pair
        return
    if scheme in TO_HOSTS:
        raise BadRadioSpec(
            f"The radio {spec!r} was refused",
            limit=f"{scheme} waits for hosts, and this side is one",
            advice="Serve a pen there; a host uses tcp-client:HOST:PORT, usb:0 or another controller",
        )
    if scheme not in TO_CONTROLLERS:
        raise _unknown(spec, ("air", *TO_CONTROLLERS))
    transport = await _open(spec)
    try:
        yield HciPair(transport.source, transport.sink)
    finally:
        await _close(transport)


@asynccontextmanager
async def serve_controllers(spec: str, air: "Air", *, listen: Listen | None = None) -> AsyncIterator[Served]:
    """Controllers in `air` for hosts that come to `spec`, while this lasts.

    `listen` decides where may be listened; without it that is this machine only. Raises as `open_controller` does.
    """
    must_have_bumble()
    scheme, _, rest = spec.partition(":")
    if scheme == "tcp-server":
        async with _tcp_server(rest, air, listen or listen_here) as served:
            yield served
    elif scheme in TO_HOSTS:
        if scheme == "vhci":
            _must_have_vhci(rest or VHCI)
        elif scheme == "ws-server":
            must_be_here(rest)
        async with _one_controller(spec, air) as served:
            yield served
    else:
        raise _unknown(spec, TO_HOSTS)


def must_have_bumble() -> None:
    """Raise `BumbleMissing` where it is not installed."""
    if importlib.util.find_spec("bumble") is None:
        raise BumbleMissing


def _unknown(spec: str, known: tuple[str, ...]) -> BadRadioSpec:
    return BadRadioSpec(
        f"The radio {spec!r} was refused",
        limit=f"it should begin with one of {', '.join(known)}",
        advice="For example tcp-client:127.0.0.1:7323 or usb:0",
    )


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
            return await open_transport(spec)
    except TransportSpecError as error:
        raise BadRadioSpec(f"The radio {spec!r} was refused", limit=str(error)) from error
    except TimeoutError as error:
        raise NoSuchRadio(
            f"The radio {spec!r} can't be opened", limit=f"it did not answer within {OPEN_S:g} s"
        ) from error
    except Exception as error:
        raise NoSuchRadio(
            f"The radio {spec!r} can't be opened",
            limit=str(error) or type(error).__name__,
            advice="Is it plugged in or being served, and may this user open it?",
        ) from error


async def _close(transport: "Transport") -> None:
    with contextlib.suppress(Exception):  # what is left of a transport that broke
        async with asyncio.timeout(CLOSE_S):
            await transport.close()
            await _close_server(transport)
            stream = getattr(transport.sink, "transport", None)
            if isinstance(stream, asyncio.Transport) and stream.get_extra_info("socket") is not None:
                await transport.source.terminated  # the socket is closed once asyncio has said so


async def _close_server(transport: "Transport") -> None:
    """Stop the WebSocket server, which Bumble leaves listening."""
    server = getattr(transport, "server", None)
    if server is not None:
        server.close()
        await server.wait_closed()


# Hosts come to us


def must_be_here(address: str) -> tuple[str, int]:
    """Host and port of an address on this machine; raises `BadRadioSpec` for any other."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]") or ("127.0.0.1" if colon else "")
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
        number = int(port)
    except ValueError as error:
        raise BadRadioSpec(
            f"{address!r} is no address", limit="HOST:PORT with a port from 0 to 65535", advice="Use 127.0.0.1:7323"
        ) from error
    if not here:
        raise BadRadioSpec(
            f"Listening on {address} was refused",
            limit="other machines reach that address, and nobody asks them who they are",
            advice="Use 127.0.0.1",
        )
    return "127.0.0.1" if host == "localhost" else host, number


async def listen_here(factory: Callable[[], asyncio.BaseProtocol], address: str) -> tuple[asyncio.Server, str]:
    """Listen on this machine only."""
    host, number = must_be_here(address)
    try:
        server = await asyncio.get_running_loop().create_server(factory, host, number)
    except (OSError, OverflowError) as error:
        raise NoSuchRadio(f"Listening on {address} failed", limit=str(error), advice="Choose another port") from error
    name = server.sockets[0].getsockname()
    return server, f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


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

    served = Served()
    transport = await _open(spec)
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


def _must_have_vhci(path: str) -> None:
    """Say what is missing for an adapter of this system's own."""
    system: str = sys.platform
    if not system.startswith("linux"):
        raise NoSuchRadio(
            "The radio 'vhci' can't be opened",
            limit="virtual adapters are Linux's alone",
            advice="Use tcp-server:127.0.0.1:7323, and tcp-client:127.0.0.1:7323 on the host's side",
        )
    if not Path(path).exists():
        raise NoSuchRadio(
            "The radio 'vhci' can't be opened",
            limit=f"there is no {path}: the kernel's module hci_vhci is not loaded",
            advice="Run: sudo modprobe hci_vhci. A container sees it only when it was given the device",
        )
    try:
        with Path(path).open("r+b", buffering=0):
            pass
    except OSError as error:
        raise NoSuchRadio(
            "The radio 'vhci' can't be opened",
            limit=f"{path}: {error.strerror}",
            advice=f"It belongs to root: run as root, or: sudo setfacl -m u:$USER:rw {path}",
        ) from error
