"""`dermalink session run` as a process of its own, against a simulated pen as another, in real time."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink_protocol.limits import HOST_STOP_WITHIN_MS, IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_simulator.control.client import ControlClient

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals, and no signals to send"),
]

SIMULATOR = (sys.executable, "-m", "dermalink_simulator.cli.start", "serve", "--json", "--control", "127.0.0.1:0")
HOST = (sys.executable, "-m", "dermalink.cli.start", "session", "run")
PLAN = 'plan = 1\nrate_hz = 100\nspeed_mm_s = 40\n[[zone]]\nname = "nose"\ndirections = ["vertical"]\ndepth_um = 250\n'
ENDS_WITHIN_S = 20
HANGS_AFTER_S = 60
LIFTED_MS = 600  # after 300 ms in the air the pen forgets the spot that it was on


class World:
    """A pen, its control channel, and the host that works with it."""

    def __init__(self, folder: Path, url: str, control: ControlClient) -> None:
        self.folder, self.url, self.control = folder, url, control
        self.host: subprocess.Popen[str] | None = None
        self.said: list[dict[str, Any]] = []

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """Start a session that prints JSON; words go in by its stdin."""
        plan = self.folder / "plan.toml"
        plan.write_text(PLAN, encoding="utf-8")
        journal = str(self.folder / "journal.jsonl")
        words = (*HOST, str(plan), "--pen", self.url, "--journal", journal, "--json", *options)
        self.host = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.watchdog = threading.Timer(HANGS_AFTER_S, self.host.kill)
        self.watchdog.start()
        return self.host

    def say(self, line: str) -> None:
        """A word of the person's."""
        assert self.host is not None
        assert self.host.stdin is not None
        self.host.stdin.write(line + "\n")
        self.host.stdin.flush()

    def until(self, event: str, **values: Any) -> dict[str, Any]:
        """Play the person until this event."""
        assert self.host is not None
        assert self.host.stdout is not None
        for line in self.host.stdout:
            said: dict[str, Any] = json.loads(line)
            self.said.append(said)
            self.react(said)
            if said["event"] == event and all(said[name] >= value for name, value in values.items()):
                return said
        pytest.fail(f"no {event}: {self.said[-3:]} {self.host.stderr.read() if self.host.stderr else ''}")

    def react(self, said: dict[str, Any]) -> None:
        """What the person does: press, glide, lift."""
        assert "error" not in said, said
        if said["event"] == "press_asked":
            self.control.do("button.press")
        elif said["event"] == "pass_started":
            self.control.do("hand.sweep", zone="nose", direction="vertical", speed_mm_s=40)
        elif said["event"] == "pass_over" or (said["event"] == "progress" and said["coverage_percent"] >= 95):
            self.control.do("hand.lift")
        elif said["event"] == "pass_paused":
            self.control.do("hand.lift")
            if said["reason"] != "host_pause":  # by a busy machine; the word pause is the test's own
                self.say("resume")

    def rest(self) -> int:
        """Play the person to the end; the host's exit code."""
        assert self.host is not None
        assert self.host.stdout is not None
        for line in self.host.stdout:
            self.said.append(json.loads(line))
            self.react(self.said[-1])
        return self.host.wait(ENDS_WITHIN_S)

    def last(self, event: str) -> dict[str, Any]:
        """The last event of this name."""
        return [said for said in self.said if said["event"] == event][-1]

    def let_pass(self, milliseconds: int) -> None:
        """Let so much of the pen's time pass."""
        until_ms = self.truth()["now_ms"] + milliseconds
        while self.truth()["now_ms"] < until_ms:
            pass

    def truth(self) -> dict[str, Any]:
        """What is so, whatever pen and host say."""
        return self.control.do("truth")

    def in_after_ms(self, moment_ms: int) -> float:
        """How long after `moment_ms` of the pen's time the needles were in for good."""
        truth = self.truth()
        assert not truth["needles_out"]
        return float(truth["last_in_us"] / 1_000 - moment_ms)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A simulated pen in a process, on a serial port, or on TCP where a test asks for it."""
    on_tcp = getattr(request, "param", "pty") == "tcp"
    door = ("--tcp", "127.0.0.1:0") if on_tcp else ("--pty", str(tmp_path / "pen"))
    with subprocess.Popen((*SIMULATOR, *door), stdout=subprocess.PIPE, text=True, encoding="utf-8") as simulator:
        assert simulator.stdout is not None
        ready = json.loads(simulator.stdout.readline())
        host, _, port = ready["control"].rpartition(":")
        with ControlClient(host, int(port)) as control:
            made = World(tmp_path, ready["urls"][0], control)
            try:
                yield made
            finally:
                if made.host is not None:
                    made.watchdog.cancel()
                    made.host.kill()
                    made.host.communicate()
        simulator.terminate()


@pytest.mark.parametrize("world", ["pty", "tcp"], indirect=True)
def test_a_session_led_by_lines_pauses_goes_on_and_is_done(world: World) -> None:
    world.start()
    world.until("ready_asked")
    world.say("go")
    world.until("progress", coverage_percent=30)
    world.say("pause")
    world.until("pass_paused")
    world.let_pass(LIFTED_MS)
    world.say("resume")
    world.until("press_asked")
    assert world.rest() == ExitCode.DONE
    over = world.last("session_over")
    assert (over["completed"], over["passes_made"]) == (True, 1)
    assert over["lowest_lease_margin_ms"] > 0
    assert 0 < world.truth()["deepest_um"] <= 250


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", "SR-STOP-7", side="host")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal_in_the_middle_of_a_pass_takes_the_needles_in_first(
    world: World, number: signal.Signals, code: ExitCode
) -> None:
    host = world.start("--no-ask")
    world.until("progress", coverage_percent=25)
    moment_ms = world.truth()["now_ms"]
    host.send_signal(number)
    assert world.rest() == code
    assert world.last("stop_confirmed")["confirmed"] is True
    assert world.in_after_ms(moment_ms) <= HOST_STOP_WITHIN_MS + IN_WITHIN_MS
    assert world.last("session_over")["closed"] is True


@pytest.mark.sr("SR-STOP-4", side="host")
def test_when_whoever_reads_the_output_goes_away_the_needles_go_in(world: World) -> None:
    host = world.start("--no-ask")
    world.until("progress", coverage_percent=25)
    moment_ms = world.truth()["now_ms"]
    assert host.stdout is not None
    host.stdout.close()
    assert host.wait(ENDS_WITHIN_S) == ExitCode.OUTPUT_GONE
    assert world.in_after_ms(moment_ms) <= LEASE_DEFAULT_MS + IN_WITHIN_MS


def test_a_pen_that_is_switched_off_in_the_middle_is_waited_for_until_told_otherwise(world: World) -> None:
    host = world.start("--no-ask")
    world.until("progress", coverage_percent=25)
    world.control.do("power.cut")
    gone = world.until("link_gone")
    assert gone["trying_again"] is True
    host.send_signal(signal.SIGINT)
    assert world.rest() == ExitCode.NOT_CONFIRMED
    assert world.last("stop_confirmed")["confirmed"] is False
    assert world.truth()["needles_out"] is False


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_a_host_that_stands_still_loses_the_lease(world: World) -> None:
    host = world.start("--no-ask")
    world.until("progress", coverage_percent=25)
    moment_ms = world.truth()["now_ms"]
    os.kill(host.pid, signal.SIGSTOP)
    try:
        while world.truth()["needles_out"] or world.truth()["motor_turns"]:
            assert world.truth()["now_ms"] < moment_ms + 2_000
        assert world.in_after_ms(moment_ms) <= LEASE_DEFAULT_MS + IN_WITHIN_MS
    finally:
        os.kill(host.pid, signal.SIGCONT)
    paused = world.until("pass_paused")  # and it knows that it was paused, and goes on with nothing by itself
    assert paused["reason"] == "lease_lapsed"
    host.send_signal(signal.SIGINT)
    assert world.rest() == ExitCode.INTERRUPTED
