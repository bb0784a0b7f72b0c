"""What a command says that it is doing: at once, on stderr, in a terminal only, and not in the way of anything."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dermalink.cli import connecting, progress, stopping
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.errors import NoSuchPort
from dermalink.pen import Pen
from tests.support.running import in_virtual_time
from tests.unit.cli.test_finding import CABLE, OTHER, Room


class Terminal(io.StringIO):
    """A terminal of so many columns, as it looks after all that was written to it."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """Its lines; what was written over is gone."""
        lines = []
        for line in self.getvalue().split("\n"):
            cells = ""
            for text in line.split("\r"):
                cells = text + cells[len(text) :]
            lines.append(cells.rstrip())
        return lines


def in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Within a test, and no fixture: pytest puts its own stderr in place between the two."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("COLUMNS", "40")
    return made


def test_a_line_is_put_in_the_place_of_the_one_before_and_wiped_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_a_terminal(monkeypatch)
    with progress.progress("Looking for all the pens that are here") as doing:
        assert terminal.screen() == ["Looking for all the pens that are her …"]  # a line that wraps can't be wiped
        doing.say("Connecting")
        assert terminal.screen() == ["Connecting …"]
        with doing.aside():
            assert terminal.screen() == [""]
        assert terminal.screen() == ["Connecting …"]
    assert terminal.screen() == [""]
    with pytest.raises(ZeroDivisionError), progress.progress("Dividing"):
        raise ZeroDivisionError
    assert terminal.screen() == [""]


def test_with_verbose_each_line_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = in_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "verbosity", lambda: 1)
    with progress.progress("Looking") as doing:
        doing.say("Connecting")
    assert terminal.screen() == ["Looking …", "Connecting …", ""]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("monitor", "--seconds", "0.1", "--pen", "sim:"), "Connecting to sim:"),
        (("info", "--pen", "sim:"), "Connecting to sim:"),
        (("doctor", "--pen", "tcp:127.0.0.1:1"), "Checking this computer and tcp:127.0.0.1:1"),
        (("stop", "--pen", "sim:"), "Stopping sim:"),
        (("session", "close", "--pen", "sim:"), "Connecting to sim:"),
        (("scan", "sim:"), "Looking for pens"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_person_is_told_and_a_script_is_not(
    words: tuple[str, ...], says: str, as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words += ("--json",) if as_json else ()
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    piped = run(*words)
    assert piped.stderr == ""
    monkeypatch.setattr(progress, "in_terminal", lambda: True)
    watched = run(*words)
    assert watched.exit_code == (ExitCode.FINDINGS if words[0] == "doctor" else ExitCode.DONE)
    assert watched.stderr.startswith(f"{says} …\r")
    assert watched.stderr.endswith("\r")
    assert says not in watched.stdout
    if as_json:
        assert all(json.loads(line) for line in watched.stdout.splitlines())
    if words[0] == "stop":  # told, and nothing is waited for
        assert watched.stderr.count(says) == 1


def test_it_is_said_before_the_waiting_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def connect(url: str, **_: Any) -> Pen:
        seen.extend(terminal.screen())
        raise NoSuchPort(url)

    terminal = in_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(Pen, "connect", connect)
    for url in ("ble:DP-1", "tcp:127.0.0.1:1"):
        with pytest.raises(NoSuchPort):
            _connected(url)
    assert seen == ["Listening for ble:DP-1, and connecting …", "Connecting to tcp:127.0.0.1:1 …"]


@in_virtual_time
async def _connected(url: str) -> None:
    async with connecting.connected(url):
        pass


@in_virtual_time
async def test_without_a_name_each_way_of_looking_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    room, said = Room(monkeypatch), list[str]()
    room.nearby = (OTHER,)
    await connecting.the_one_pen(said.append)
    assert said == ["Asking every serial port for a pen", "No pen on a cable; listening for one on the air, 3 s"]


def test_what_became_of_a_stop_is_never_written_into_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch)
    room.pens, room.listen_s = (CABLE,), 0.01
    monkeypatch.setattr(progress, "in_terminal", lambda: True)

    async def stop_one(url: str, tell: Callable[[stopping.StopResult], object], *_: object) -> stopping.StopResult:
        result = stopping.StopResult(url, ExitCode.DONE, "stopped", 1.0)
        tell(result)
        return result

    monkeypatch.setattr(stopping, "stop_one", stop_one)
    result = run("stop")
    looking = "Looking for pens, and stopping each as it is found …"
    blank = "\r" + " " * len(looking) + "\r"
    assert result.stdout == f"{CABLE.url}: stopped\n"
    assert result.stderr == looking + blank + looking + blank
