"""A URL in, a link out."""

import asyncio
from collections.abc import Callable
from typing import Final

from dermalink.errors import BadUrl, CannotOpen
from dermalink.links.link import BytePipe, Link
from dermalink.links.stream import StreamLink

OPEN_WITHIN_S: Final = 10.0  # a name server that does not answer takes 5 s (resolv.conf's default), and is asked twice
BUILT_IN: Final = ("ble", "serial", "tcp")


def known_schemes() -> tuple[str, ...]:
    """Every scheme that `open_link` takes here."""
    from dermalink.links.in_process import schemes

    return tuple(sorted({*BUILT_IN, *schemes()}))


async def open_link(
    url: str,
    *,
    within_s: float | None = None,
    stop_first: bool = False,
    on_stop: Callable[[str], object] = lambda _address: None,
) -> Link:
    """Open the link that `url` names, within `within_s` or what its scheme takes at most.

    `serial:` with a port or any URL of pyserial (`serial:/dev/ttyACM0`, `serial:COM3?baud=9600`,
    `serial:socket://host:port`), `tcp:HOST:PORT`, `ble:` with a pen's name, serial number or address
    (`ble:DP1-00042?radio=tcp-client:127.0.0.1:7322`), or `sim:`. Raises `BadUrl` or `CannotOpen` (with what is wrong
    as a kind under it).

    With `stop_first` the pen is told Stop as soon as anything can be said to it, where setting the link up takes
    longer than that; `on_stop` is told when it was handed to the system, and for which address, whatever becomes
    of the link then. Nobody hears its answer: send Stop again on the link, and see it confirmed.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or not scheme:
        raise _unknown(url)
    bound_s = within_s if within_s is not None else _bound_s(scheme, stop_first=stop_first)
    try:
        async with asyncio.timeout(bound_s):
            return await _open(url, scheme, rest, stop_first, on_stop)
    except TimeoutError:
        raise CannotOpen(
            f"{url} cannot be opened",
            limit=f"it was not open after {bound_s:g} s",
            advice="Check that the far end is on",
        ) from None


def _bound_s(scheme: str, *, stop_first: bool) -> float | None:
    if scheme == "ble":
        from dermalink.links import ble_tries

        return None if stop_first else ble_tries.OPEN_WITHIN_S  # a Stop by air bounds itself, by how many are heard
    return OPEN_WITHIN_S


async def _open(url: str, scheme: str, rest: str, stop_first: bool, on_stop: Callable[[str], object]) -> Link:
    if scheme == "ble":
        from dermalink.links import ble

        return await ble.open_link(url, rest, stop_first=stop_first, on_stop=on_stop)
    return StreamLink(await _open_pipe(url, scheme, rest), url)


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
