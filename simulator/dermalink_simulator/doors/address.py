"""`HOST:PORT` as people type it, and what may be listened on: this machine only, unless told otherwise."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from dermalink_simulator.doors.errors import AddressRefusedError, AddressTakenError
from dermalink_simulator.radio.listening import IN_THE_WAY
from dermalink_simulator.radio.specs import PORT_DIGITS, PORT_MAX

BACKLOG: Final = 16


class Address(NamedTuple):
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`HOST:PORT`, `[IPv6]:PORT` or `:PORT` (this machine); anything else is an `AddressRefusedError`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
    number = port.isascii() and port.isdecimal() and len(port) <= PORT_DIGITS
    known = bool(colon) and number and int(port) <= PORT_MAX
    if not known or (":" in host and not _is_ip(host)):
        raise AddressRefusedError(
            f"{text!r} is no address",
            limit=f"HOST:PORT with a port from 0 to {PORT_MAX}",
            advice="For example 127.0.0.1:7321",
        )
    return Address(host or "127.0.0.1", int(port))


async def listen(
    factory: Callable[[], asyncio.BaseProtocol], address: Address, *, beyond_this_machine: bool = False
) -> tuple[asyncio.Server, Address]:
    """A server on the first address that `address` stands for, and where it really listens.

    Raises `AddressRefusedError` for an address that other machines reach unless `beyond_this_machine`, and
    `AddressTakenError` when the system says no.
    """
    host = await _resolve(address.host)
    if not (beyond_this_machine or ipaddress.ip_address(host.partition("%")[0]).is_loopback):
        raise AddressRefusedError(
            f"Listening on {address} was refused",
            limit="other machines reach that address, and nobody asks them who they are",
            advice="Use 127.0.0.1, or say that you mean it with --beyond-this-machine",
        )
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(factory, host, address.port, backlog=BACKLOG)
    except OSError as error:
        why, advice = IN_THE_WAY.get(error.errno or 0, (str(error), "Choose another address"))
        raise AddressTakenError(f"Listening on {address} failed", limit=why, advice=advice) from error
    name = server.sockets[0].getsockname()
    return server, Address(name[0], name[1])


async def _resolve(host: str) -> str:
    """One numeric address: with port 0, two would get two different ports."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise AddressRefusedError(
            f"{host!r} is the name of no machine", limit=str(error), advice="Use 127.0.0.1"
        ) from error
    four = [entry for entry in found if entry[0] == socket.AF_INET]
    return str((four or found)[0][4][0])


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
