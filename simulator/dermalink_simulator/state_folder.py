"""`--state DIR`: what a simulated pen keeps from run to run.

The flash is the file itself, mapped into memory: a cell that the chip model changes is in the file at once, so
whatever the firmware was told is written survives kill -9 of the simulator (a power cut of the computer may take the
last seconds along). The clock is mapped as well. `pen.json` says whose flash it is and in which format.

The flash holds the pen's private key: the files are 0600 in a folder of 0700, and what an older version left wider is
narrowed when it is opened. Windows has no such bits.
"""

import json
import mmap
import os
import stat
import struct
import sys
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, Final, NamedTuple

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.seam import FLASH_BYTES

FORMAT: Final = 3
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SUFFIXES: Final = (".bin", ".json", ".new")
_NAMES: Final = frozenset({"lock", "flash.bin", "flash.new", "clock.bin", "clock.new", "pen.new"})  # before `pen.json`
# When last noted, in seconds: the pen's clock in UTC, how long that clock ran, the wall's clock in UTC.
_CLOCK: Final = struct.Struct("<QQQ")


class StateError(DermalinkError):
    """The folder for a pen's state can't be used; the message says why and what to do."""


class Identity(NamedTuple):
    """Whose flash it is."""

    profile: str
    seed: int


class NotedClock(NamedTuple):
    """What was last noted of the pen's clock: UTC seconds that it showed, seconds that it ran, how long ago that is."""

    utc_s: int
    ran_s: int
    ago_s: int


class StateFolder:
    """An open folder, held by this process alone until `close`."""

    def __init__(self, path: Path, lock: int, identity: Identity) -> None:
        """Made by `open`."""
        self.path, self.identity = path, identity
        self._lock = lock
        self.flash = _map(path / "flash.bin", FLASH_BYTES)
        try:
            self._clock = _map(path / "clock.bin", _CLOCK.size)
        except BaseException:
            self.flash.close()
            raise

    @classmethod
    def open(
        cls, path: Path, wanted: Identity, given: Container[str], factory: Callable[[Identity], bytes]
    ) -> "StateFolder":
        """Open the folder, or make it for the pen `wanted`, with the flash that `factory` gives.

        A folder that was made must be `wanted`'s in those fields that are `given`; raises `StateError`.
        """
        lock = -1
        try:
            path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
            _hold(lock, path)
            known = _read_identity(path) or _make(path, wanted, factory)
            _check_same(path, known, wanted, given)
            _narrow(path)
            return cls(path, lock, known)
        except BaseException as error:
            if lock >= 0:
                os.close(lock)
            if isinstance(error, OSError):
                why = error.strerror or str(error)
                raise _refused(path, why, "Choose another folder for --state") from error
            raise

    @property
    def clock(self) -> NotedClock | None:
        """What was last noted of the pen's clock; None for a pen that never ran."""
        utc_s, ran_s, wall_s = _CLOCK.unpack(self._clock[:])
        return NotedClock(utc_s, ran_s, max(0, int(time.time()) - wall_s)) if wall_s else None

    def note_clock(self, utc_s: int, ran_s: int) -> None:
        """The pen's clock shows `utc_s` now (0: it was lost), and has run for `ran_s`."""
        self._clock[:] = _CLOCK.pack(utc_s, ran_s, int(time.time()))

    def read(self, name: str) -> dict[str, Any] | None:
        """A small record of the folder's, or None; raises `StateError` when it is damaged."""
        return _read_json(self.path / f"{name}.json")

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Replace a small record, whole or not at all."""
        _write_json(self.path / f"{name}.json", record)

    def close(self) -> None:
        """Let the folder go; may be called twice."""
        if self._lock < 0:
            return
        self.flash.flush()
        for mapped in (self.flash, self._clock):
            mapped.close()
        os.close(self._lock)
        self._lock = -1


def _check_same(path: Path, known: Identity, wanted: Identity, given: Container[str]) -> None:
    for name, is_ in known._asdict().items():
        if name in given and getattr(wanted, name) != is_:
            why = f"it holds a pen with {name} {is_!r}, not {getattr(wanted, name)!r}"
            raise _refused(path, why, f"Leave --{name} away, or use another folder")


def _make(path: Path, identity: Identity, factory: Callable[[Identity], bytes]) -> Identity:
    """A new pen's folder; one that holds other things is not ours to fill. `pen.json` comes last, as the sign."""
    if any(entry.name not in _NAMES for entry in path.iterdir()):
        (path / "lock").unlink()
        raise _refused(path, "it holds other things and no pen", "Choose an empty folder for --state")
    _narrow(path)
    _write_whole(path / "flash.bin", factory(identity))
    _write_whole(path / "clock.bin", bytes(_CLOCK.size))
    _write_json(path / "pen.json", {"format": FORMAT, **identity._asdict()})
    return identity


def _narrow(path: Path) -> None:
    """A pen's folder, and what was written into it here, become this user's alone."""
    if sys.platform == "win32":
        return
    path.chmod(FOLDER_MODE)
    for each in path.iterdir():
        mode = each.lstat().st_mode
        if (each.name == "lock" or each.suffix in _SUFFIXES) and stat.S_ISREG(mode) and mode & _OTHERS:
            each.chmod(FILE_MODE)


def _read_identity(path: Path) -> Identity | None:
    known = _read_json(path / "pen.json")
    if known is None:
        return None
    if known.get("format") != FORMAT:
        raise _refused(
            path,
            f"its format is {known.get('format')!r}, and this version reads {FORMAT}",
            "Use the version of Dermalink that made it, or another folder",
        )
    profile, seed = known.get("profile"), known.get("seed")
    if not isinstance(profile, str) or type(seed) is not int:
        raise _refused(path, "pen.json is damaged (profile or seed is missing)", "Use another folder")
    return Identity(profile, seed)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _refused(path.parent, f"{path.name} is damaged ({error})", "Use another folder") from error
    if not isinstance(record, dict):
        raise _refused(path.parent, f"{path.name} is damaged (it holds no object)", "Use another folder")
    return record


def _write_json(path: Path, record: dict[str, Any]) -> None:
    _write_whole(path, (json.dumps(record, indent=2) + "\n").encode())


def _write_whole(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(new, "xb", opener=lambda name, flags: os.open(name, flags, FILE_MODE)) as file:
        file.write(data)
    new.replace(path)


def _map(path: Path, size: int) -> mmap.mmap:
    """A file of exactly `size` bytes as memory."""
    if not path.exists() or path.stat().st_size != size:
        raise _refused(path.parent, f"{path.name} has not {size} bytes", "Use another folder")
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), size)


def _hold(lock: int, path: Path) -> None:
    """Hold the lock until the descriptor closes, which the system does for whoever is killed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _refused(path, "another simulator uses it", "End that one, or use another folder") from error


def _refused(path: Path, why: str, advice: str) -> StateError:
    return StateError(f"The state folder {path} was refused", limit=why, advice=advice)
