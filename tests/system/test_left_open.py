"""A pen that was left in disorder, and the commands that put it right: an open session, a lost clock, a fault."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.errors import LinkError
from dermalink.sync import SyncPen
from dermalink_protocol.codewords import State
from dermalink_simulator.control.client import ControlClient

pytestmark = pytest.mark.alone

PLAN = 'plan = 1\nrate_hz = 100\nspeed_mm_s = 40\n[[zone]]\nname = "nose"\ndirections = ["vertical"]\ndepth_um = 250\n'
DOORS = ("--tcp", "127.0.0.1:0", "--control", "127.0.0.1:0")
LOOKS_MAX = 50
WITHIN_S = 20
TRIES = 5


class Desk:
    """A served pen with its control channel, and the commands of a person at a computer."""

    def __init__(self, folder: Path, url: str, control: ControlClient) -> None:
        self.folder, self.url, self.control = folder, url, control
        self.plan = folder / "plan.toml"
        self.plan.write_text(PLAN, encoding="utf-8")
        self.journal = folder / "journal.jsonl"

    def run(self, *words: str, journal: str = "journal.jsonl") -> Result:
        """One command about this pen."""
        options = ["--pen", self.url, "--journal", str(self.folder / journal)]
        result = CliRunner().invoke(app, [*words, *options], prog_name="dermalink", input="")
        assert "Traceback" not in result.output
        return result

    def said(self, *words: str) -> dict[str, Any]:
        """The same, which has to go well, with `--json`."""
        result = self.run(*words, "--json")
        assert result.exit_code == ExitCode.DONE, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def rested(self, *states: State) -> None:
        """Wait until the pen is in one of these states."""
        for left in reversed(range(TRIES)):
            try:
                with SyncPen.connect(self.url, inspect_only=True) as pen:
                    pen.run(lambda one: one.wait_for(*states, within_s=WITHIN_S))
            except LinkError:  # it starts anew just now
                if not left:
                    raise
            else:
                return

    def host(self) -> "subprocess.Popen[str]":
        """Another host with a session of its own that waits for its person."""
        words = (sys.executable, "-m", "dermalink.cli.start", "session", "run", str(self.plan), "--json")
        doors = ("--pen", self.url, "--journal", str(self.journal))
        host = subprocess.Popen((*words, *doors), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert host.stdout is not None
        for line in host.stdout:
            if json.loads(line)["event"] == "ready_asked":
                break
        return host


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Desk]:
    """A simulated pen in a process of its own."""
    folder.mkdir(exist_ok=True)
    words = (sys.executable, "-m", "dermalink_simulator.cli.start", "serve", "--json", *DOORS)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        ready = json.loads(simulator.stdout.readline())
        host, _, port = ready["control"].rpartition(":")
        with ControlClient(host, int(port)) as control:
            made = Desk(folder, ready["urls"][0], control)
            made.rested(State.IDLE)
            yield made
        simulator.terminate()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The pen of a test."""
    with served(tmp_path) as made:
        yield made


@pytest.mark.sr("SR-SES-1", side="host")
def test_a_session_that_a_killed_host_left_open_is_closed_and_one_that_is_run_elsewhere_is_not(desk: Desk) -> None:
    with desk.host() as host:
        try:
            for words in (("session", "close"), ("session", "run", str(desk.plan))):
                result = desk.run(*words, journal="another.jsonl")
                assert result.exit_code == ExitCode.REFUSED
                assert "another host runs the session that is open in the pen" in result.stderr
        finally:
            host.kill()
    desk.rested(State.OPEN)
    refused = desk.run("session", "run", str(desk.plan))
    assert refused.exit_code == ExitCode.REFUSED
    assert "nobody runs it" in refused.stderr
    assert "`dermalink session close`" in refused.stderr
    assert desk.said("session", "close")["closed"] is True
    desk.rested(State.IDLE)
    again = desk.run("session", "close")
    assert again.exit_code == ExitCode.DONE
    assert "No session is open" in again.stdout
    assert "session_opened" in desk.run("session", "run", str(desk.plan), "--json").stdout


@pytest.mark.sr("SR-INT-2", side="host")
def test_a_lost_clock_is_shown_and_set_after_a_press(desk: Desk) -> None:
    shown = desk.said("clock")
    assert shown["valid"] is True
    # Not the computer's, which one day is past the calibration of every pen that this program makes.
    moment = datetime.fromtimestamp(shown["utc_s"] + 3_600, UTC).isoformat()
    desk.control.do("clock.lose")
    asked = (desk.said("clock")["valid"] for _ in range(LOOKS_MAX))
    assert not all(asked)  # the pen's main loop looks at its clock up to 10 ms later
    lost = desk.run("clock")
    assert lost.exit_code == ExitCode.DONE
    assert "dermalink clock --set now" in lost.stdout
    refused = desk.run("session", "run", str(desk.plan))
    assert refused.exit_code == ExitCode.REFUSED
    assert "`dermalink clock --set now`" in refused.stderr
    unpressed = desk.run("clock", "--set", moment)
    assert unpressed.exit_code == ExitCode.REFUSED
    assert "Press the pen's button shortly, and run this again" in unpressed.stderr
    desk.control.do("button.press")
    past = desk.run("clock", "--set", "2001-01-01T12:00:00")
    assert past.exit_code == ExitCode.REFUSED
    assert "before what the pen has already recorded" in past.stderr
    # Each with a journal of its own, as one that has seen the computer's clock takes no date before it; and until the
    # press has ended, which alone speaks for it.
    words = ("clock", "--set", moment, "--json")
    results = (desk.run(*words, journal=f"{look}.jsonl") for look in range(LOOKS_MAX))
    found = json.loads(next(each for each in results if each.exit_code == ExitCode.DONE).stdout)
    assert (found["valid"], found["was_set"]) == (True, True)
    assert abs(found["utc_s"] - shown["utc_s"] - 3_600) < WITHIN_S


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "", "99999999999999"])
def test_what_is_no_moment_is_a_usage_error(moment: str) -> None:
    assert CliRunner().invoke(app, ["clock", "--set", moment, "--pen", "sim:"]).exit_code == ExitCode.USAGE


@pytest.mark.sr("SR-INT-1", "SR-LOG-1", side="host")
def test_what_the_journal_of_another_trial_bars_names_a_journal_of_its_own(desk: Desk) -> None:
    run = ("session", "run", str(desk.plan))
    assert desk.run(*run).exit_code == ExitCode.STOPPED  # nobody is there; the pen's last record is written down
    begun_anew = desk.folder / "another"
    with served(begun_anew) as another:
        another.journal.write_bytes(desk.journal.read_bytes())
        broken = another.run(*run)
    assert broken.exit_code == ExitCode.REFUSED
    assert "SR-LOG-1" in broken.stderr
    assert "`--journal FILE`" in broken.stderr


@pytest.mark.sr("SR-RST-3", side="host")
def test_a_fault_is_acknowledged_by_its_name_tested_and_cleared_by_a_press(desk: Desk) -> None:
    assert "no fault is latched" in desk.run("acknowledge", "watchdog").stderr
    assert desk.run("acknowledge", "hunger").exit_code == ExitCode.USAGE
    desk.control.do("fault.inject", unit="button", kind="stuck")
    for word in ("power.cut", "power.restore"):
        desk.control.do(word)
    desk.rested(State.FAULT)
    desk.control.do("fault.clear")
    for words in (("session", "run", str(desk.plan)), ("acknowledge", "watchdog")):
        refused = desk.run(*words)
        assert refused.exit_code == ExitCode.REFUSED
        assert "`dermalink acknowledge button_stuck`" in refused.stderr
    found = desk.said("acknowledge", "button-stuck")
    assert (found["self_test"], found["press_needed"]) == ("passed", True)
    desk.control.do("button.press")
    desk.rested(State.IDLE)
