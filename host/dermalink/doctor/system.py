"""Checks of this computer: Python, packages, the byte stuffing's speed, folders, terminal."""

import locale
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from dermalink.doctor.findings import Finding, error, ok, warning
from dermalink.journal_file import default_path
from dermalink_protocol.version import __version__

PYTHON_OLDEST: Final = (3, 11)
PYTHON_TESTED_BELOW: Final = (3, 14)


def check_system() -> Iterator[Finding]:
    """All checks that need no pen and no port."""
    yield ok("dermalink", __version__)
    yield check_python(sys.version_info[:3])
    yield ok("system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield from check_packages()
    yield check_cobs()
    yield check_folder("journal", default_path(simulated=False).parent)
    yield check_terminal()


def check_python(found: tuple[int, ...]) -> Finding:
    """Whether this Python is one that the project is tested with."""
    said = ".".join(map(str, found)) + f" ({sys.executable})"
    if found < PYTHON_OLDEST:
        return error("Python", said, "Install Python 3.11, 3.12 or 3.13 and set Dermalink up with it.")
    if found >= PYTHON_TESTED_BELOW:
        return warning("Python", said, "Tested with 3.11 to 3.13; if something is odd, try one of them.")
    return ok("Python", said)


def check_packages() -> Iterator[Finding]:
    """Each package that the lean install brings."""
    try:
        needed = requires("dermalink") or []
    except PackageNotFoundError:
        yield error(
            "packages", "dermalink itself is not installed", "Run `python tasks.py setup`, or install the wheel."
        )
        return
    found, missing = [], []
    for line in needed:
        if "extra ==" in line:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        advice = f"Install them: python -m pip install {' '.join(missing)}"
        yield error("packages", f"missing: {', '.join(missing)}", advice)
    yield ok("packages", ", ".join(found))


def check_cobs() -> Finding:
    """Whether frames are stuffed in C or in Python."""
    from cobs import cobs

    if getattr(cobs, "_using_extension", False):
        return ok("COBS", "C extension")
    advice = (
        "It works, at 16 to 76 us a frame instead of under 1. Where there is a C compiler:"
        " python -m pip install --force-reinstall --no-cache-dir --no-deps cobs"
    )
    return warning("COBS", "Python fallback", advice)


def check_folder(name: str, folder: Path) -> Finding:
    """Whether the host can keep what it must remember; makes nothing."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return ok(f"{name} folder", f"{folder}" + ("" if there == folder else " (will be made)"))
    return error(f"{name} folder", f"{folder} can't be written", f"Give yourself the right to write in {there}.")


def check_terminal() -> Finding:
    """Whether the live display has what it needs; without it plain lines are printed."""
    encoding = (getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)).lower()
    said = f"{encoding}, {'a terminal' if sys.stdout.isatty() else 'not a terminal'}"
    if "utf" not in encoding:
        return warning("terminal", said, "Set PYTHONUTF8=1 to see units and bars as they are meant.")
    return ok("terminal", said)
