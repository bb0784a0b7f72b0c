"""Journal and belief in step: what is written down is believed from that moment, whoever is cancelled meanwhile."""

import asyncio
from typing import Final

from dermalink.belief import Belief
from dermalink.journal import Entry, Journal
from dermalink.records import Record


class Keeper:
    """Writes records and folds them in; one at a time, in order."""

    def __init__(self, journal: Journal) -> None:
        """`journal` is owned from here on."""
        self.journal: Final = journal
        self.belief: Final = Belief(journal.entries())
        self._turn = asyncio.Lock()
        self._writing: set[asyncio.Task[Entry]] = set()

    @property
    def last(self) -> tuple[int, bytes]:
        """Number and digest of the last record; zeros for none."""
        entries = self.journal.entries()
        return (entries[-1].number, bytes.fromhex(entries[-1].digest)) if entries else (0, bytes(32))

    async def keep(self, record: Record) -> Entry:
        """Write `record` down; when the caller is cancelled, it is written and believed all the same."""
        task = asyncio.ensure_future(self._keep(record))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def _keep(self, record: Record) -> Entry:
        async with self._turn:
            entry = await self.journal.append(record)
            self.belief.take(entry)
            return entry

    async def close(self) -> None:
        """Finish what is being written, and let go of the journal."""
        if self._writing:
            await asyncio.wait(set(self._writing))
        await self.journal.close()
