"""The demo, whole, as `make demo` runs it: in its time, without colour in a pipe, and leaving nothing behind."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink.ownership.store import KEYS_VARIABLE
from dermalink_simulator.radio.bond_file import ENVIRONMENT, FILE
from dermalink_simulator.radio.corrections import static_address

WITHIN_S = 90
DEMO = (sys.executable, "-m", "dermalink.cli.start", "demo")


SIMULATED = "DL-SIM-00000000"  # the demo's pen, of which a person may have keys already


def a_person_with_keys(folder: Path) -> Path:
    """The keys of a person, those of a simulated pen among them, which nobody could read: whoever asked would fail."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    (keys / f"{SIMULATED.encode().hex()}.pen.json").touch(mode=0o600)
    return keys


@pytest.mark.alone
@pytest.mark.sr("SR-STOP-1", "SR-DEPTH-1", "SR-DEPTH-2", "SR-PASS-1", "SR-CART-1", side="pen")
def test_the_demo_shows_what_it_promises_in_time(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = a_person_with_keys(tmp_path_factory.mktemp("person"))
    environment = {
        **os.environ,
        KEYS_VARIABLE: str(keys),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        ENVIRONMENT: str(keys.parent),
    }
    bonds = keys.parent / FILE  # with a pen of the same address, of another day
    bonds.write_text(json.dumps({str(static_address(f"pen/{SIMULATED}")): "0f" * 16}), encoding="utf-8")
    kept = bonds.read_bytes()
    began = time.monotonic()
    done = subprocess.run(
        DEMO, capture_output=True, text=True, encoding="utf-8", env=environment, check=False, timeout=2 * WITHIN_S
    )
    took_s = time.monotonic() - began
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert took_s <= WITHIN_S
    assert done.stderr == ""
    assert bonds.read_bytes() == kept
    assert "\x1b" not in done.stdout
    assert "!!" not in done.stdout
    short = done.stdout.partition("In short")[2]
    assert short.count("  ok  ") == 13
    in_one = " ".join(done.stdout.split())
    assert f"The pen {SIMULATED} is paired with this computer." in in_one
    assert re.search(r"a code of 9 digits, \d{3}-\d{3}-\d{3}, and a press", in_one)
    assert "ok A session as its owner, under seal: 2 passes" in in_one
    assert f"a session for a stranger: The pen {SIMULATED} has an owner, and this computer has no keys of it" in in_one
    assert re.search(
        r"ok A stranger's Stop in the middle of the owner's pass: needles measured in \d+ ms later", in_one
    )
    assert re.search(r"said hello after \d+\.\d s, and all is under seal", in_one)
    for loss in ("The link cut", "The link silent", "A host killed", "The air cut"):
        assert re.search(rf"{loss} in the middle of a pass: needles in after \d+ ms", " ".join(short.split()))
    assert "All of it as it should be." in short
    assert list(tmp_path.iterdir()) == []  # no journal, no state, no keys, no socket
    assert [(each.name, each.stat().st_size) for each in keys.iterdir()] == [
        (f"{SIMULATED.encode().hex()}.pen.json", 0)
    ]


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
