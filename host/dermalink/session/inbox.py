"""Everything that a session's loop waits for, in one queue: what the pen says, and what the person says."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dermalink.errors import LinkError
from dermalink.session.words import SYMPTOMS, Word
from dermalink_protocol.messages.identity import StateChanged, Status
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.schema import Notification


class Ended(NamedTuple):
    """Somebody or something ended the session from outside its loop."""

    why: str


ENDING: Final = (Word.STOP, Word.GONE, *SYMPTOMS)

Item = Telemetry | StateChanged | Status | Word | LinkError | Ended


class Inbox:
    """The queue; also a sink of the pen's connection."""

    kinds: tuple[type[Notification], ...] = (Telemetry, StateChanged)

    def __init__(self) -> None:
        self._items: Final[asyncio.Queue[Item]] = asyncio.Queue()

    def offer(self, notification: Any) -> None:
        """The pen said something."""
        self._items.put_nowait(notification)

    def end(self, error: LinkError) -> None:
        """The link is gone."""
        self._items.put_nowait(error)

    def put(self, item: Item) -> None:
        """Anything else; never waits."""
        self._items.put_nowait(item)

    def clear_pen(self) -> None:
        """Forget what the pen said; what the person said stays."""
        self._keep(lambda item: isinstance(item, Word | Ended))

    def clear_words(self) -> None:
        """Forget what the person said, but for what ends the session."""
        self._keep(lambda item: not isinstance(item, Word) or item in ENDING)

    def _keep(self, wanted: Callable[[Item], bool]) -> None:
        for _ in range(self._items.qsize()):
            item = self._items.get_nowait()
            if wanted(item):
                self._items.put_nowait(item)

    def waiting(self) -> list[Item]:
        """All that is here now; it stays here."""
        items = [self._items.get_nowait() for _ in range(self._items.qsize())]
        for item in items:
            self._items.put_nowait(item)
        return items

    async def get(self, within_s: float) -> Item | None:
        """The next item; None when there was none in time."""
        try:
            return self._items.get_nowait()
        except asyncio.QueueEmpty:
            pass
        try:
            async with asyncio.timeout(within_s):
                return await self._items.get()
        except TimeoutError:
            return None
