"""What has come in and waits for its one reader; the receiving half of every pipe of ours."""

import asyncio
from collections.abc import Callable
from typing import Final

# A telemetry stream is 1 kB/s and a reply 250 B, so this is minutes of not being read.
BACKLOG_BYTES: Final = 262_144


class Inbox:
    """Chunks of bytes, fed by callbacks and read by one coroutine; b"" once the far end is gone and all is read."""

    __slots__ = ("_chunks", "_data", "_end", "_ended", "_size", "_waiter")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._data: Callable[[bytes], None] | None = None
        self._end: Callable[[], None] | None = None

    @property
    def full(self) -> bool:
        """Whether more should not be fetched until somebody reads."""
        return self._size >= BACKLOG_BYTES

    @property
    def ended(self) -> bool:
        """Whether the far end is gone."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """More has come."""
        if self._ended:
            return
        if self._data is not None:
            self._data(data)
        else:
            self._chunks.append(data)
            self._size += len(data)
            self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        if not self._ended:
            self._ended = True
            self._wake()
            if self._end is not None:
                self._end()

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """From now on call `data` with what comes, as it comes, and `end` once; nobody reads any more."""
        self._data, self._end = data, end
        chunks, self._chunks, self._size = self._chunks, [], 0
        for chunk in chunks:
            data(chunk)
        if self._ended:
            end()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """All that has come, as one piece; waits for the first byte."""
        while not self._chunks:
            if self._ended:
                return b""
            if self._waiter is not None:
                raise RuntimeError("a link has one reader at a time")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        return data
