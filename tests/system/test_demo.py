"""The demo, whole, as `make demo` runs it: in its time, without colour in a pipe, and leaving nothing behind."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dermalink.cli.exit_codes import ExitCode

WITHIN_S = 90
DEMO = (sys.executable, "-m", "dermalink.cli.start", "demo")


@pytest.mark.alone
@pytest.mark.sr("SR-STOP-1", "SR-DEPTH-1", "SR-DEPTH-2", "SR-PASS-1", "SR-CART-1", side="pen")
def test_the_demo_shows_what_it_promises_in_time(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    began = time.monotonic()
    done = subprocess.run(
        DEMO, capture_output=True, text=True, encoding="utf-8", env=environment, check=False, timeout=2 * WITHIN_S
    )
    took_s = time.monotonic() - began
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert took_s <= WITHIN_S
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "!!" not in done.stdout
    short = done.stdout.partition("In short")[2]
    assert short.count("  ok  ") == 10
    for loss in ("The link cut", "The link silent", "A host killed", "The air cut"):
        assert re.search(rf"{loss} in the middle of a pass: needles in after \d+ ms", " ".join(short.split()))
    assert "All of it as it should be." in short
    assert list(tmp_path.iterdir()) == []  # no journal, no state, no socket


@pytest.mark.alone
@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_a_demo_that_is_told_to_end_ends_its_simulated_pen(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Session 0" in line:
                break
        process.terminate()
        process.stdout.read()
        assert process.wait(timeout=20) == ExitCode.TERMINATED
    for comm in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(tmp_path) not in comm.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    assert list(tmp_path.iterdir()) == []
