"""Where hosts may come to: an address or a path of this machine, and words for what is in the way there."""

import asyncio
import errno
import ipaddress
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dermalink_simulator.radio.errors import BeyondThisMachine, NoSuchRadio
from dermalink_simulator.radio.specs import split_address

VHCI: Final = "/dev/vhci"
# Why the system lets nobody listen at an address, and what to do.
IN_THE_WAY: Final = {
    errno.EADDRINUSE: ("another program listens there", "Choose another port, or port 0 for any free one"),
    errno.EACCES: ("this user may not listen there", "Choose a port from 1024 on"),
    errno.EADDRNOTAVAIL: ("this machine has no such address", "Choose 127.0.0.1"),
}
BY_TCP: Final = "Use tcp-server:127.0.0.1:7323, and tcp-client:127.0.0.1:7323 on the host's side"


def must_be_here(address: str) -> tuple[str, int]:
    """Host and port of a well-formed address on this machine; raises `BeyondThisMachine` for any other."""
    host, port = split_address(address)
    host = "127.0.0.1" if host in ("", "localhost") else host
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere
        here = False
    if not here:
        raise BeyondThisMachine(
            f"Listening on {address} was refused",
            limit="other machines may reach that address, and nobody asks them who they are",
            advice="Use 127.0.0.1; what may listen there if you mean it, is tcp-server with --beyond-this-machine",
        )
    return host, int(port)


async def listen_here(factory: Callable[[], asyncio.BaseProtocol], address: str) -> tuple[asyncio.Server, str]:
    """Listen on this machine only; raises `BeyondThisMachine` or `NoSuchRadio`."""
    host, number = must_be_here(address)
    try:
        server = await asyncio.get_running_loop().create_server(factory, host, number)
    except OSError as error:
        why, advice = IN_THE_WAY.get(error.errno or 0, (str(error), "Choose another address"))
        raise NoSuchRadio(f"Listening on {address} failed", limit=why, advice=advice) from error
    return server, real_address(server)


async def must_be_free(address: str) -> str:
    """The same address in numbers, where somebody else may listen a moment later; raises as `listen_here` does."""
    host, number = must_be_here(address)
    if number:
        server, _ = await listen_here(asyncio.Protocol, address)
        server.close()
        await server.wait_closed()
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def real_address(server: asyncio.Server) -> str:
    """Where it listens, also where the system chose the port."""
    name = server.sockets[0].getsockname()
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def must_have_room(path: str) -> None:
    """Raise `NoSuchRadio` unless a link to a pseudo-terminal can be made at `path`."""
    refused = f"The radio 'pty:{path}' can't be opened"
    if sys.platform == "win32":
        raise NoSuchRadio(refused, limit="Windows has no pseudo-terminals", advice=BY_TCP)
    folder = Path(path).absolute().parent
    if os.path.lexists(path):
        advice = "Choose another path, or remove it if no other simulator serves it"
        raise NoSuchRadio(refused, limit="something lies there already", advice=advice)
    if not folder.is_dir():
        raise NoSuchRadio(refused, limit=f"there is no folder {folder}", advice="Make it, or choose another path")
    if not os.access(folder, os.W_OK | os.X_OK):
        limit = f"this user may not write in {folder}"
        raise NoSuchRadio(refused, limit=limit, advice="Choose another path, as in pty:/tmp/radio")


def must_have_vhci(path: str) -> None:
    """Say what is missing for an adapter of this system's own; raises `NoSuchRadio`."""
    refused = "The radio 'vhci' can't be opened"
    system: str = sys.platform
    if not system.startswith("linux"):
        raise NoSuchRadio(refused, limit="virtual adapters are Linux's alone", advice=BY_TCP)
    if not Path(path).exists():
        raise NoSuchRadio(
            refused,
            limit=f"there is no {path}: the kernel's module hci_vhci is not loaded",
            advice="Run: sudo modprobe hci_vhci. A container sees it only when it was given the device",
        )
    try:
        with Path(path).open("r+b", buffering=0):
            pass
    except OSError as error:
        raise NoSuchRadio(
            refused,
            limit=f"{path}: {error.strerror}",
            advice=f"It belongs to root: run as root, or: sudo setfacl -m u:$USER:rw {path}",
        ) from error
