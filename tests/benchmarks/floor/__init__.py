"""What C needs for the same work: the floors, compiled on this machine when they are wanted."""

import atexit
import functools
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Missing

SOURCES = Path(__file__).parent


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dermalink-floor-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def build(name: str, *, library: bool = False) -> Path:
    """`NAME.c` of this folder as a program or a shared library; raises `Missing` where there is no compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise Missing("no C compiler")
    made = _folder() / (name + (str(sysconfig.get_config_var("SHLIB_SUFFIX") or ".so") if library else ""))
    how = ["-shared", "-fPIC"] if library else []
    subprocess.run([compiler, "-O2", *how, "-o", made, SOURCES / f"{name}.c"], check=True)
    return made
