"""A pipe of bytes in memory, with a far end for the test; it can be clogged, cut, and read one chunk at a time."""

import asyncio
from collections.abc import Callable

from dermalink.errors import LinkLost
from dermalink.links.link import BytePipe
from dermalink.links.reading import Inbox


class MemoryPipe(BytePipe):
    """A `BytePipe`; `far` is what was written and has got out, in chunks."""

    def __init__(self) -> None:
        self._inbox = Inbox()
        self._held: list[bytes] = []
        self._clear = asyncio.Event()
        self._clear.set()
        self._clogged = False
        self.far: list[bytes] = []
        self.on_written: Callable[[bytes], None] = lambda _data: None
        self._written = asyncio.Event()
        self.closes = 0

    # The test's end

    def feed(self, data: bytes) -> None:
        """The far end sends."""
        self._inbox.feed(data)

    def cut(self) -> None:
        """The far end is gone."""
        self._inbox.end()
        self._clear.set()

    def clog(self) -> None:
        """The system takes nothing more."""
        self._clogged = True

    def unclog(self) -> None:
        """It takes all that waited."""
        self._clogged = False
        held, self._held = self._held, []
        for data in held:
            self._get_out(data)
        self._clear.set()

    @property
    def held(self) -> list[bytes]:
        """What was written and did not get out, in chunks."""
        return list(self._held)

    async def written(self) -> None:
        """Wait for more to get out."""
        self._written.clear()
        await self._written.wait()

    def _get_out(self, data: bytes) -> None:
        self.far.append(data)
        self._written.set()
        self.on_written(data)

    # The link's end

    @property
    def clogged(self) -> bool:
        """See `BytePipe.clogged`."""
        return not self._clear.is_set()

    def write(self, data: bytes) -> None:
        """See `BytePipe.write`."""
        if self._inbox.ended:
            raise LinkLost("the memory pipe was cut")
        if self._clogged:
            self._held.append(data)
            self._clear.clear()
        else:
            self._get_out(data)

    async def drain(self) -> None:
        """See `BytePipe.drain`."""
        await self._clear.wait()
        if self._inbox.ended:
            raise LinkLost("the memory pipe was cut")

    async def read(self) -> bytes:
        """See `BytePipe.read`."""
        return await self._inbox.read()

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """See `BytePipe.push_to`."""
        self._inbox.push_to(data, end)

    async def close(self) -> None:
        """See `BytePipe.close`."""
        self.closes += 1
        self.cut()
