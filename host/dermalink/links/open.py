"""A URL in, a link out."""

import asyncio
from typing import Final

from dermalink.errors import BadUrl, CannotOpen, LinkNotBuilt
from dermalink.links.link import BytePipe, Link
from dermalink.links.stream import StreamLink

OPEN_WITHIN_S: Final = 10.0  # a name server that does not answer takes 5 s (resolv.conf's default), and is asked twice
BUILT_IN: Final = ("serial", "tcp")
NOT_BUILT: Final = {"ble": "Bluetooth comes with the next version; use the pen's USB cable (serial:) until then"}


def known_schemes() -> tuple[str, ...]:
    """Every scheme that `open_link` takes here."""
    from dermalink.links.in_process import schemes

    return tuple(sorted({*BUILT_IN, *schemes()}))


async def open_link(url: str, *, within_s: float = OPEN_WITHIN_S) -> Link:
    """Open the link that `url` names.

    `serial:` with a port or any URL of pyserial (`serial:/dev/ttyACM0`, `serial:COM3?baud=9600`,
    `serial:socket://host:port`), `tcp:HOST:PORT`, or `sim:`. Raises `BadUrl`, `LinkNotBuilt`, `CannotOpen` (with
    `NoSuchPort`, `PortBusy` and `PortForbidden` under it).
    """
    scheme, colon, rest = url.partition(":")
    if not colon or not scheme:
        raise _unknown(url)
    if scheme in NOT_BUILT:
        raise LinkNotBuilt(f"{url} cannot be opened", limit=f"{scheme}: is not built yet", advice=NOT_BUILT[scheme])
    try:
        async with asyncio.timeout(within_s):
            return StreamLink(await _open_pipe(url, scheme, rest), url)
    except TimeoutError:
        raise CannotOpen(
            f"{url} cannot be opened",
            limit=f"it was not open after {within_s:g} s",
            advice="Check that the far end is on",
        ) from None


async def _open_pipe(url: str, scheme: str, rest: str) -> BytePipe:
    if scheme == "serial":
        from dermalink.links import serial

        return await serial.open_pipe(rest)
    if scheme == "tcp":
        from dermalink.links import tcp

        return await tcp.open_pipe(rest)
    from dermalink.links import in_process

    if scheme not in in_process.schemes():
        raise _unknown(url)
    return await in_process.open_pipe(url, scheme)


def _unknown(url: str) -> BadUrl:
    known = ", ".join(f"{scheme}:" for scheme in known_schemes())
    port = url.startswith("/dev/") or url.upper().startswith("COM")
    advice = f"Did you mean serial:{url}?" if port else "For example serial:/dev/ttyACM0 or tcp:127.0.0.1:7321"
    return BadUrl(f"{url!r} names no link", limit=f"known are {known}", advice=advice)
