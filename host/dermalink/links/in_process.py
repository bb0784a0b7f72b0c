"""Pipes that another package brings (`sim:`, a simulated pen in this process), found by entry point.

The group is `dermalink.links`; an entry's name is the scheme, its value a coroutine function that takes the URL and
gives an object with the methods of `BytePipe`. It knows nothing of this package, so its errors are put into ours here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from dermalink.errors import BadUrl, CannotOpen, LinkLost
from dermalink.links.link import BytePipe
from dermalink_protocol.errors import DermalinkError

GROUP: Final = "dermalink.links"


def schemes() -> tuple[str, ...]:
    """The schemes that installed packages bring."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


async def open_pipe(url: str, scheme: str) -> BytePipe:
    """Open `url` by the package that brings its scheme; raises `BadUrl` or `CannotOpen`."""
    found = list(entry_points(group=GROUP, name=scheme))
    if not found:
        raise BadUrl(f"{url} was refused", limit=f"no package brings the scheme {scheme}:")
    opener = _load(url, found[0])
    try:
        return ForeignPipe(await opener(url), url)
    except DermalinkError as error:  # it has its own words
        kind = BadUrl if isinstance(error, ValueError) else CannotOpen
        raise kind(error.refused, rule=error.rule, limit=error.limit, advice=error.advice) from error
    except ValueError as error:
        raise BadUrl(f"{url} was refused", limit=str(error)) from error
    except OSError as error:
        raise CannotOpen(f"{url} cannot be opened", limit=str(error)) from error


def _load(url: str, entry: EntryPoint) -> Callable[[str], Awaitable[BytePipe]]:
    try:
        opener: Callable[[str], Awaitable[BytePipe]] = entry.load()
    except (ImportError, AttributeError) as error:
        advice = "Install the package that brings it anew"
        raise CannotOpen(f"{url} cannot be opened", limit=f"{entry.value} cannot be loaded", advice=advice) from error
    return opener


class ForeignPipe:
    """A `BytePipe` whose maker raises the standard library's errors."""

    def __init__(self, pipe: BytePipe, url: str) -> None:
        """`pipe` is owned from here on."""
        self._pipe = pipe
        self._url = url
        self._pump: asyncio.Task[None] | None = None

    def _lost(self) -> LinkLost:
        return LinkLost(f"The connection to {self._url} is gone", advice="Connect again")

    @property
    def clogged(self) -> bool:
        """A pipe of another maker says nothing of it, and takes what is written."""
        return False

    def write(self, data: bytes) -> None:
        """See `BytePipe.write`."""
        try:
            self._pipe.write(data)
        except (OSError, EOFError) as error:
            raise self._lost() from error

    async def drain(self) -> None:
        """See `BytePipe.drain`."""
        try:
            await self._pipe.drain()
        except (OSError, EOFError) as error:
            raise self._lost() from error

    async def read(self) -> bytes:
        """See `BytePipe.read`."""
        try:
            return await self._pipe.read()
        except (OSError, EOFError):
            return b""

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """See `BytePipe.push_to`; whoever made the pipe has only `read`, so a task reads on."""

        async def pump() -> None:
            while chunk := await self.read():
                data(chunk)

        self._pump = asyncio.ensure_future(pump())
        self._pump.add_done_callback(lambda _: end())  # also when it was cancelled before it began

    async def close(self) -> None:
        """See `BytePipe.close`."""
        await self._pipe.close()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
