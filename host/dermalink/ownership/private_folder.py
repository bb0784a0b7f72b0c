"""A folder of small files that nobody else can read: 0600 in 0700, each written whole or not at all.

A file or folder that others can read is refused, not mended in silence: what lay open may have been read. On Windows a
file has no such bits; there it has what the person's profile gives it, which is this person, the system and
administrators, and nothing here checks that.

What is removed is overwritten before. That helps on a plain disk; a file system that keeps old blocks, a flash disk and
a backup may have them still.
"""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

from dermalink.on_disk import sync_folder
from dermalink.ownership.errors import KeysBroken, KeysExposed, KeysForbidden

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
BYTES_MAX: Final = 4_096  # an entry with its keys has some 450

# No link is followed, and nobody waits for a pipe that was put in a file's place.
AS_IT_LIES: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
READ: Final = os.O_RDONLY | AS_IT_LIES
OVERWRITE: Final = os.O_RDWR | AS_IT_LIES  # for reading as well: a pipe that nobody reads could not be opened
WRITE_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class PrivateFolder:
    """See the module; made when the first file is written. Raises `KeysExposed`, `KeysForbidden`, `KeysBroken`."""

    def __init__(self, path: Path) -> None:
        """`path` need not be there."""
        self.path: Final = path

    def names(self, suffix: str) -> list[str]:
        """The names of the files with this suffix, without it; none where there is no folder."""
        try:
            return sorted(each.name.removesuffix(suffix) for each in self.path.iterdir() if each.name.endswith(suffix))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _forbidden(self.path, error) from error

    def read(self, name: str) -> bytes | None:
        """The file, None where there is none; of a longer one than is written here, `BYTES_MAX` + 1 bytes."""
        path = self.path / name
        try:
            descriptor = self._open(path, READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _forbidden(path, error) from error
        try:
            return os.read(descriptor, BYTES_MAX + 1)
        except OSError as error:
            raise _forbidden(path, error) from error
        finally:
            os.close(descriptor)

    def write(self, name: str, data: bytes) -> None:
        """Put `data` in the file's place, on the disk before this returns: after a cut there is the old or the new."""
        if len(data) > BYTES_MAX:
            raise KeysBroken(f"{self.path / name} was not written", limit=f"it would have {len(data)} bytes")
        path, fresh = self.path / name, self.path / f"{name}.new"
        try:
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _refuse_exposed(self.path.stat(), self.path)
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, WRITE_NEW, FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_folder(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise _forbidden(path, error) from error

    def remove(self, name: str) -> bool:
        """Overwrite the file and remove it, and what a write that was cut left; False where there was none.

        What `read` refuses as exposed, or as no file of this folder's, is left as it is.
        """
        path = self.path / name
        try:
            descriptor = self._open(path, OVERWRITE)
            try:
                _overwrite(descriptor)
            finally:
                os.close(descriptor)
            path.unlink()
            (self.path / f"{name}.new").unlink(missing_ok=True)
            sync_folder(self.path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _forbidden(path, error) from error
        return True

    def _open(self, path: Path, flags: int) -> int:
        """A descriptor of a file that is this user's alone, in a folder that is."""
        descriptor = os.open(path, flags)
        try:
            _refuse_exposed(os.fstat(descriptor), path)
            _refuse_exposed(self.path.stat(), self.path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _overwrite(descriptor: int) -> None:
    """With zeros, as far as anything was written here; what is no plain file keeps nothing."""
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        with os.fdopen(descriptor, "r+b", closefd=False) as file:
            file.write(bytes(min(found.st_size, BYTES_MAX)))
        os.fsync(descriptor)


def _refuse_exposed(found: os.stat_result, path: Path) -> None:
    if sys.platform == "win32":
        return
    if found.st_mode & OTHERS:
        mode = FOLDER_MODE if stat.S_ISDIR(found.st_mode) else FILE_MODE
        raise KeysExposed(
            f"{path} was refused: others on this computer can read it",
            limit=f"it has the mode {stat.S_IMODE(found.st_mode):04o}, and may have {mode:04o}",
            rule="SR-OWN-1",
            advice=f"If nobody else can have read it: chmod {mode:o} {path}. Else pair the pens anew",
        )
    if found.st_uid != os.getuid():
        raise KeysExposed(
            f"{path} was refused: it is another user's",
            limit=f"its owner is the user {found.st_uid}",
            rule="SR-OWN-1",
            advice="Run this as the user who paired the pen",
        )


def _forbidden(path: Path, error: OSError) -> KeysForbidden:
    return KeysForbidden(
        f"{path} can't be read or written",
        limit=error.strerror or str(error),
        rule="SR-OWN-1",
        advice="Make room there and let this user write it, or name another folder in DERMALINK_KEYS",
    )
