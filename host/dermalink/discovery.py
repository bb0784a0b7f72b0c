"""Pens on serial ports, found by asking each port for hello, and never by its name."""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from dermalink.connecting import say_hello
from dermalink.connection import Connection
from dermalink.errors import CannotOpen
from dermalink.links.background import in_thread
from dermalink.links.open import open_link
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.identity import HelloReply

ASK_WITHIN_S: Final = 2.0  # opening, two hellos with boot text between them, closing
LIST_WITHIN_S: Final = 3.0
AT_ONCE: Final = 16


class FoundPen(NamedTuple):
    """A pen that answered, and the URL that leads to it."""

    url: str
    hello: HelloReply


class Silent(NamedTuple):
    """A port that is there and gave no pen, with the reason."""

    url: str
    why: DermalinkError


class Discovery(NamedTuple):
    """Everything that was asked, in the order of the URLs."""

    pens: tuple[FoundPen, ...]
    others: tuple[Silent, ...]


async def serial_urls() -> tuple[str, ...]:
    """The serial ports that the system lists; none when listing takes too long, as a broken driver makes it."""
    from serial.tools.list_ports import comports

    try:
        async with asyncio.timeout(LIST_WITHIN_S):
            ports = await in_thread(lambda: list(comports()), "list serial ports")
    except TimeoutError:
        return ()
    return tuple(f"serial:{port.device}" for port in sorted(ports))


async def discover(urls: Iterable[str] | None = None, *, within_s: float = ASK_WITHIN_S) -> Discovery:
    """Ask all of `urls` at once, or all serial ports; one that is busy, broken or silent stops none of the others."""
    asked = tuple(dict.fromkeys(urls if urls is not None else await serial_urls()))
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask_in_turn(url: str) -> FoundPen | Silent:
        async with turns:
            return await _ask(url, within_s)

    answers = await asyncio.gather(*(ask_in_turn(url) for url in asked))
    return Discovery(
        tuple(answer for answer in answers if isinstance(answer, FoundPen)),
        tuple(answer for answer in answers if isinstance(answer, Silent)),
    )


async def _ask(url: str, within_s: float) -> FoundPen | Silent:
    try:
        async with asyncio.timeout(within_s):
            connection = Connection(await open_link(url))
            try:
                connection.start()
                return FoundPen(url, await say_hello(connection, times=2))
            finally:
                await connection.close()
    except DermalinkError as error:
        return Silent(url, error)
    except TimeoutError:
        return Silent(url, CannotOpen(f"{url} gave no answer", limit=f"waited {within_s:g} s"))
