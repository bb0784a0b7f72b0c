"""Start-up: `dermalink --version` as it is installed, against a Python that does nothing."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks.measure import Missing, Row, row


def rows() -> Iterator[Row]:
    """The installed commands' `--version` and `--help` against `python -I -c pass`."""
    bare = [sys.executable, "-I", "-c", "pass"]
    for name in ("dermalink", "dermalink-sim"):
        command = shutil.which(name, path=sysconfig.get_path("scripts"))
        if command is None:
            raise Missing(f"{name} is not installed beside {Path(sys.executable).name}")
        for option, aim in (("--version", "≤ 2"), ("--help", "")):
            ours = partial(silent, [command, option])
            yield row(f"{name} {option}", ours, "python -I -c pass", partial(silent, bare), aim, "ms")


def silent(words: list[str]) -> None:
    """Run a command to its end, its output read and dropped."""
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
