"""`dermalink-sim campaign` as a person meets it: what it prints and writes, Ctrl-C, going on, and its exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import tasks
from dermalink_simulator.campaign import many
from dermalink_simulator.cli.app import app
from dermalink_simulator.cli.commands import campaign as command

PROGRAM = str(tasks.SCRIPTS / f"dermalink-sim{tasks.EXE}")
AT_MOST_S = 120
FOUND = 2  # a seed that finds out that the lease is off


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["campaign", "--jobs", "1", "--into", str(folder), *words])


def test_a_sound_pen_breaks_nothing(tmp_path: Path) -> None:
    result = run(tmp_path / "new", "--seeds", "4:7")
    assert result.exit_code == 0
    assert result.stdout.endswith("Nothing was broken.\n")
    assert json.loads((tmp_path / "new" / "tally.json").read_text())["done"] == [[4, 7]]


def test_what_breaks_is_written_down_and_breaks_again(tmp_path: Path) -> None:
    result = run(tmp_path, "--seeds", f"{FOUND}:{FOUND + 1}", "--without", "lease", "--json")
    assert result.exit_code == 7
    failure, end = map(json.loads, result.stdout.splitlines())
    assert (failure["invariant"], failure["rule"], end["broken"]) == ("lease", "SR-STOP-1", 1)
    script = tmp_path / f"seed-{FOUND}.json"
    assert script.with_suffix(".trace").read_text().startswith("dermalink-trace 1 ")
    again = CliRunner().invoke(app, ["campaign", "--replay", str(script)])
    assert again.exit_code == 7
    assert again.stdout.splitlines()[0].split() == ["1", "start"]
    script.write_text(script.read_text().replace('["lease"]', "[]"))
    assert CliRunner().invoke(app, ["campaign", "--replay", str(script)]).exit_code == 0


def test_ctrl_c_keeps_what_was_done_and_resume_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = many.outcomes

    def interrupted(seeds: Iterator[int], *given: Any, **named: Any) -> Iterator[Any]:
        yield from sound(iter([next(seeds)]), *given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "outcomes", interrupted)
    result = run(tmp_path, "--seeds", "4:7")
    assert result.exit_code == 130
    assert "--resume" in result.stderr
    assert json.loads((tmp_path / "tally.json").read_text())["done"] == [[4, 5]]
    monkeypatch.setattr(command, "outcomes", sound)
    result = run(tmp_path, "--resume")
    assert result.exit_code == 0
    assert result.stdout.startswith("3 seeds, ")


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    words = ("--seeds", "4:9", "--coverage")
    assert run(tmp_path / "one", *words).exit_code == 0
    command_line = [PROGRAM, "campaign", *words, "--jobs", "2", "--into", str(tmp_path / "two")]
    subprocess.run(command_line, check=True, timeout=AT_MOST_S, capture_output=True)
    one, two = (json.loads((tmp_path / name / "tally.json").read_text()) for name in ("one", "two"))
    assert {**one, "worked_s": 0} == {**two, "worked_s": 0}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a group of processes")
def test_a_real_ctrl_c_ends_all_processes_in_order(tmp_path: Path) -> None:
    command_line = [PROGRAM, "campaign", "--seeds", "0:100000", "--without", "button-stop", "--jobs", "2", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command_line, stdout=pipe, stderr=pipe, cwd=tmp_path, start_new_session=True) as program:
        assert program.stdout is not None
        assert b"SR-STOP-6" in program.stdout.readline()
        os.killpg(program.pid, signal.SIGINT)
        _, said = program.communicate(timeout=AT_MOST_S)
    assert program.returncode == 130
    assert b"--resume" in said
    assert b"Traceback" not in said
    assert json.loads((tmp_path / "campaign" / "tally.json").read_text())["failures"]


def test_coverage_names_what_was_never_reached(tmp_path: Path) -> None:
    assert run(tmp_path, "--seeds", "4:6", "--coverage").exit_code == 0
    page = (tmp_path / "coverage.md").read_text()
    assert "`air` (" in page
    assert "Never on while the table was told of anything: `link loss`" in page
    assert "Never taken:" in page


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--seeds", "5"), 2),
        (("--seeds", "5:5"), 2),
        (("--seeds", "0:1", "--without", "luck"), 2),
        (("--seeds", "0:1", "--resume"), 2),
        (("--replay", "none.json"), 5),
        (("--resume",), 4),
    ],
)
def test_what_cannot_be_done_has_its_code(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    result = run(tmp_path, *words)
    assert result.exit_code == code
    assert "Traceback" not in result.output
