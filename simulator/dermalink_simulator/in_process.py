"""`sim:` URLs: a simulated pen in the host's own process, as a pipe of bytes.

`sim:` makes a pen of its own, with options (`sim:?seed=7&profile=loose&head=stamp`), which lives as long as the pipe.
`sim:NAME` opens another link to a pen that was published under that name, as the pytest plugin does.
The host finds `open_pipe` by the entry point group `dermalink.links`, and imports nothing of the simulator.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import parse_qsl

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.runner import PenRunner, RunnablePen

# What a host that doesn't read may leave lying here; then the pen is told, and keeps or drops by its own rules.
UNREAD_BYTES: Final = 4_096

_published: dict[str, PenRunner] = {}


class BadSimUrlError(DermalinkError, ValueError):
    """A `sim:` URL that names no pen."""


class InProcessPipe:
    """A stream of bytes to and from a running pen; used by one reader at a time."""

    def __init__(self, runner: PenRunner, at_end: Callable[[], None]) -> None:
        """`at_end` is called once, when the pipe is closed."""
        self._at_end = at_end
        self._unread = bytearray()
        self._gone = False
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._clogged = False
        self._port = runner.connect(self._take, self._hung_up)

    def write(self, data: bytes) -> None:
        """Bytes for the pen, which has them before this returns; `ConnectionError` once the pen's side is gone."""
        if self._gone:
            raise ConnectionResetError("the simulated pen hung up")
        self._port.feed(data)

    async def drain(self) -> None:
        """Let the others run; nothing is ever under way here."""
        await asyncio.sleep(0)
        if self._gone and not self._closed:
            raise ConnectionResetError("the simulated pen hung up")

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" once the pen's side is gone, or the pipe is closed."""
        while not self._unread:
            if self._gone:
                return b""
            if self._waiter is not None:
                raise RuntimeError("a pipe has one reader at a time")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = bytes(self._unread)
        self._unread.clear()
        if self._clogged:
            self._clogged = False
            self._port.clog(clogged=False)
        return data

    async def close(self) -> None:
        """End the link, and the pen if it lived for this pipe only; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._end()
        self._at_end()

    def _take(self, data: bytes) -> None:
        self._unread += data
        self._wake()
        if len(self._unread) > UNREAD_BYTES and not self._clogged:
            self._clogged = True
            self._port.clog(clogged=True)

    def _hung_up(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self._gone:
            self._gone = True
            self._port.close()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@contextlib.contextmanager
def published(name: str, runner: PenRunner) -> Iterator[str]:
    """Let `sim:NAME` lead to this pen, on the runner's own loop; gives the URL."""
    if not name or "?" in name or name in _published:
        raise ValueError(f"{name!r} is no free name for a pen")
    _published[name] = runner
    try:
        yield f"sim:{name}"
    finally:
        del _published[name]


async def open_pipe(url: str) -> InProcessPipe:
    """Open a `sim:` URL; raises `BadSimUrlError` when it names no pen."""
    scheme, _, rest = url.partition(":")
    name, _, query = rest.partition("?")
    if scheme != "sim" or (name and query):
        raise BadSimUrlError(f"{url!r} was refused", limit="sim:, sim:?seed=1&profile=loose, or sim:NAME")
    if name:
        return _link_to(url, name)
    runner = PenRunner(_make(url, query))
    return InProcessPipe(runner, runner.stop)


def _make(url: str, query: str) -> RunnablePen:
    from dermalink_simulator.making import PROFILE_DEFAULT, PenOptionError, make_pen

    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise BadSimUrlError(f"{url!r} was refused", limit=str(error)) from error
    seed = options.pop("seed", "0")
    profile, head = options.pop("profile", PROFILE_DEFAULT), options.pop("head", None)
    if options:
        raise BadSimUrlError(f"{url!r} was refused", limit="its options are seed, profile and head")
    if not (seed.isascii() and seed.isdecimal()):
        raise BadSimUrlError(f"{url!r} was refused", limit="a seed is a whole number, 0 or more")
    try:
        return make_pen(profile, int(seed), head)
    except PenOptionError as error:
        raise BadSimUrlError(f"{url!r} was refused", limit=str(error)) from error


def _link_to(url: str, name: str) -> InProcessPipe:
    runner = _published.get(name)
    if runner is None:
        known = ", ".join(f"sim:{one}" for one in sorted(_published)) or "none"
        raise BadSimUrlError(
            f"{url!r} was refused",
            limit=f"no simulated pen of that name runs in this process (known: {known})",
        )
    return InProcessPipe(runner, lambda: None)
