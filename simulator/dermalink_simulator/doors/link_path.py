"""A path that a simulator keeps for itself: a symlink, changed in one step, with a lock that dies with its holder.

`PATH.lock` is held (flock) for as long as the simulator lives and says where the link leads, so that the next one
knows a link left by one that was killed from a link of somebody else's.
"""

import contextlib
import os
import sys
from pathlib import Path

from dermalink_simulator.doors.errors import PathTakenError


class LinkPath:
    """A taken path; `release` gives it back. POSIX only."""

    def __init__(self, path: Path, lock: int) -> None:
        """Made by `take`."""
        self.path = path
        self._lock = lock
        self._target = ""

    @classmethod
    def take(cls, path: Path) -> "LinkPath":
        """Take `path`; raises `PathTakenError` if it isn't free, or isn't ours to take."""
        if sys.platform == "win32":
            raise NotImplementedError
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would follow the very link)
        lock = _lock(absolute.with_name(f"{absolute.name}.lock"), absolute)
        taken = cls(absolute, lock)
        try:
            taken._check_replaceable(os.pread(lock, 4_096, 0).decode(errors="replace"))
        except BaseException:
            taken.release()
            raise
        return taken

    def point_to(self, target: str) -> None:
        """Make the path a link to `target`, in one step."""
        if sys.platform == "win32":
            raise NotImplementedError
        os.pwrite(self._lock, target.encode(), 0)
        os.ftruncate(self._lock, len(target.encode()))
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            new.symlink_to(target)
            new.replace(self.path)
        except OSError as error:
            raise _in_the_way(self.path, error.strerror or str(error)) from error
        self._target = target

    def release(self) -> None:
        """Take the link away if it is still ours, and the lock; may be called twice."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            if self._target and os.readlink(self.path) == self._target:  # noqa: PTH115 (text as it stands)
                self.path.unlink()
        with contextlib.suppress(OSError):
            self.path.with_name(f"{self.path.name}.lock").unlink()
        os.close(self._lock)
        self._lock = -1

    def _check_replaceable(self, last_target: str) -> None:
        if not os.path.lexists(self.path):
            return
        if not self.path.is_symlink():
            raise _in_the_way(self.path, "something that is no link lies there")
        target = os.readlink(self.path)  # noqa: PTH115 (text as it stands)
        if self.path.exists() and target != last_target:
            raise _in_the_way(self.path, f"a link to {target}, made by somebody else, lies there")


def _lock(lock_path: Path, path: Path) -> int:
    """The lock's descriptor; the file may be unlinked by its last holder between opening and locking."""
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl

    while True:
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _in_the_way(path, error.strerror or str(error)) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino == os.stat(lock_path).st_ino:  # noqa: PTH116 (beside fstat)
                return lock
        except BlockingIOError:
            os.close(lock)
            raise _in_the_way(path, "another simulator serves it") from None
        except FileNotFoundError:
            pass
        os.close(lock)


def _in_the_way(path: Path, why: str) -> PathTakenError:
    return PathTakenError(f"The link {path} was not made", limit=why, advice="Choose another path for --pty")
