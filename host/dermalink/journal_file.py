"""The journal as a file of JSON lines: append-only, numbered, hash-chained, each line on the disk before it counts.

A line that a power cut tore is the last one and has no end; it was never acknowledged, and is cut off when the file is
opened. Anything else that does not hold together is said, and nothing is written after it (SR-LOG-1).
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from dermalink.errors import JournalBroken, JournalBusy, JournalError
from dermalink.journal import NO_HASH, Entry, encode_entry
from dermalink.on_disk import sync_folder
from dermalink.records import Record, record_from

APP: Final = "dermalink"


def default_path(*, simulated: bool) -> Path:
    """Where a person's journal lies; what a simulated pen did is kept apart from what touched skin."""
    from platformdirs import user_data_path

    return user_data_path(APP, appauthor=False) / ("journal-simulated.jsonl" if simulated else "journal.jsonl")


class FileJournal:
    """A journal in one file, which one program at a time holds; see `Journal`."""

    def __init__(self, path: Path) -> None:
        """Open `path`, made where it is missing; raises `JournalBusy`, `JournalBroken`, or another `JournalError`."""
        self._path = path
        self._broken = ""
        try:
            fresh = not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] | None = path.open("r+b" if not fresh else "x+b")
        except OSError as error:
            raise _cannot(path, error) from error
        try:
            _lock(self._file, path)
            if fresh:
                sync_folder(path.parent)
            self._entries, sound = _read(self._file.read(), path)
            if self._file.seek(0, os.SEEK_END) != sound:
                self._file.truncate(sound)
                self._file.seek(sound)
                os.fsync(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def entries(self) -> Sequence[Entry]:
        """See `Journal.entries`."""
        return self._entries

    async def append(self, record: Record) -> Entry:
        """See `Journal.append`. The disk is waited for in a thread, so that a Stop is not."""
        return await asyncio.get_running_loop().run_in_executor(None, self.append_now, record)

    def append_now(self, record: Record) -> Entry:
        """Keep `record`, waiting for the disk; for one thread at a time."""
        if self._file is None or self._broken:
            raise JournalError(
                f"Nothing can be written to {self._path}", limit=self._broken or "it is closed", rule="SR-UNC-1"
            )
        number = len(self._entries) + 1
        line, digest = encode_entry(number, record, self._entries[-1].digest if self._entries else NO_HASH)
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._broken = f"an earlier record could not be written ({error})"
            raise _cannot(self._path, error) from error
        entry = Entry(number, record, digest)
        self._entries.append(entry)
        return entry

    async def close(self) -> None:
        """See `Journal.close`."""
        self.close_now()

    def close_now(self) -> None:
        """Let go of the file; may be called again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(data: bytes, path: Path) -> tuple[list[Entry], int]:
    """The entries in `data`, and how many bytes of it are sound; raises `JournalBroken`."""
    entries: list[Entry] = []
    *lines, torn = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        entries.append(_entry(line, number, entries[-1].digest if entries else NO_HASH, path))
    return entries, len(data) - len(torn)


def _entry(line: bytes, number: int, previous: str, path: Path) -> Entry:
    try:
        found: Any = json.loads(line)
        record = record_from(found["record"])
        again, digest = encode_entry(number, record, previous)
    except (ValueError, KeyError, TypeError, AttributeError, JournalBroken) as error:
        raise _broken_at(path, number, "it can't be read") from error
    if again.encode() != line:
        raise _broken_at(path, number, "it was altered, or one before it is missing")
    return Entry(number, record, digest)


def _broken_at(path: Path, number: int, why: str) -> JournalBroken:
    return JournalBroken(
        f"The journal {path} does not hold together",
        limit=f"record {number}: {why}",
        rule="SR-LOG-1",
        advice="Keep the file as it is, and put back the newest sound copy of it",
    )


def _cannot(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"The journal {path} cannot be written",
        limit=error.strerror or str(error),
        rule="SR-UNC-1",
        advice="Make room there, or give another place with --journal",
    )


def _lock(file: IO[bytes], path: Path) -> None:
    """Hold the file for this program alone; the lock goes with the process, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0x7FFF_0000)  # past every record: the lock is on bytes that nobody reads
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise JournalBusy(
            f"The journal {path} is held by another program", advice="End the other session first, or use --journal"
        ) from error
