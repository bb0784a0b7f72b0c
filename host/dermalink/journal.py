"""The port to the host's journal: what `Pen` writes ahead through, whatever keeps it."""

import hashlib
import json
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from dermalink.records import Record

NO_HASH: Final = "0" * 64


class Entry(NamedTuple):
    """A record as it stands in the journal: numbers start at 1, `digest` covers all that stands before it."""

    number: int
    record: Record
    digest: str


class Journal(Protocol):
    """Append-only, numbered, hash-chained; what `append` has returned is lost to no kill and no power cut."""

    async def append(self, record: Record) -> Entry:
        """Keep `record`; on return it is kept. Raises `JournalError`, and then it may or may not be."""

    def entries(self) -> Sequence[Entry]:
        """All that is kept, in order."""

    async def close(self) -> None:
        """Let go of it; may be called again."""


def encode_entry(number: int, record: Record, previous: str) -> tuple[str, str]:
    """One line of JSON with its number and digest, and the digest; `previous` is the digest before it."""
    body = json.dumps(record.as_dict(), separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(f"{previous}{number}{body}".encode()).hexdigest()
    return f'{{"digest":"{digest}","number":{number},"record":{body}}}', digest


class MemoryJournal:
    """A journal that lives as long as its object: for a look, a demo, a test."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    async def append(self, record: Record) -> Entry:
        """See `Journal.append`."""
        number = len(self._entries) + 1
        _, digest = encode_entry(number, record, self._entries[-1].digest if self._entries else NO_HASH)
        self._entries.append(Entry(number, record, digest))
        return self._entries[-1]

    def entries(self) -> Sequence[Entry]:
        """See `Journal.entries`."""
        return tuple(self._entries)

    async def close(self) -> None:
        """See `Journal.close`."""
