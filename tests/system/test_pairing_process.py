"""`dermalink pair`, `pens` and `unpair` as processes, against a simulated pen as another, by PTY, TCP and Bluetooth."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink_simulator.control.client import ControlClient
from dermalink_simulator.radio.bond_file import ENVIRONMENT as BONDS
from dermalink_simulator.radio.bond_file import FILE, read

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")

SIMULATOR = (sys.executable, "-m", "dermalink_simulator.cli.start", "serve", "--json", "--control", "127.0.0.1:0")
HOST = (sys.executable, "-m", "dermalink.cli.start")
HANGS_AFTER_S = 60
PRESS = "Press the pen's button once"
HOLD = "hold its button for 10 s"
PLAN = 'plan = 1\nrate_hz = 100\nspeed_mm_s = 40\n[[zone]]\nname = "nose"\ndirections = ["vertical"]\ndepth_um = 250\n'


class World:
    """A pen with its card and its control channel, and computers with keys of their own."""

    def __init__(self, folder: Path, ready: dict[str, Any], control: ControlClient) -> None:
        self.folder, self.control = folder, control
        self.url, self.code, self.serial = ready["urls"][0], ready["setup_code"], ready["serial_number"]

    def start(self, computer: str, *words: str) -> "subprocess.Popen[str]":
        """A command on one of the computers; `--pen` is named for those that take it."""
        named = () if words[0] == "pens" or "--forget" in words else ("--pen", self.url)
        bonds = self.folder / f"radio of {computer}"
        bonds.mkdir(exist_ok=True)
        env = os.environ | {
            "DERMALINK_KEYS": str(self.folder / computer), "XDG_DATA_HOME": str(self.folder), BONDS: str(bonds)
        }  # fmt: skip
        return subprocess.Popen(
            (*HOST, *words, *named),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=env,
        )  # fmt: skip

    def run(self, computer: str, *words: str, typed: str = "") -> tuple[int, str, str]:
        """A command to its end; exit code, stdout and stderr."""
        process = self.start(computer, *words)
        out, err = process.communicate(typed, HANGS_AFTER_S)
        assert "Traceback" not in err
        return process.returncode, out, err

    def pair(self, computer: str, told: str, word: str = "button.press") -> tuple[int, dict[str, Any]]:
        """Pair, and do what the command says once it says it."""
        process = self.start(computer, "pair", "--json")
        watchdog = threading.Timer(HANGS_AFTER_S, process.kill)
        watchdog.start()
        try:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(self.code + "\n")
            process.stdin.close()
            process.stdin = None
            for line in process.stderr:
                if told in line:
                    self.control.do(word)
            out, _ = process.communicate()
        finally:
            watchdog.cancel()
        return process.returncode, json.loads(out)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A simulated pen in a process: on a serial port, on TCP if a test asks for it, or as it comes out of the box."""
    asked = getattr(request, "param", "pty")
    doors = {"pty": ["--pty", str(tmp_path / "pen")], "ble": ["--ble", "tcp-server:127.0.0.1:0", "--air", "perfect"]}
    door = doors.get(asked, ["--tcp", "127.0.0.1:0"])
    door += ["--profile", "boxed", "--person"] if asked == "boxed" else []
    with subprocess.Popen((*SIMULATOR, *door), stdout=subprocess.PIPE, text=True, encoding="utf-8") as simulator:
        assert simulator.stdout is not None
        ready = json.loads(simulator.stdout.readline())
        host, _, port = ready["control"].rpartition(":")
        with ControlClient(host, int(port)) as control, contextlib.ExitStack() as ends:
            ends.callback(simulator.terminate)
            yield World(tmp_path, ready, control)


@pytest.mark.sr("SR-OWN-1")
def test_a_pen_is_made_somebodys_taken_over_and_given_up(world: World) -> None:
    code, said = world.pair("hers", PRESS)
    assert (code, said["result"], said["pen"]) == (ExitCode.DONE, "paired", world.serial)
    assert world.run("hers", "pens")[1].startswith(f"{world.serial}   paired ")
    assert world.run("hers", "info")[0] == ExitCode.DONE

    code, _, err = world.run("his", "clock", "--set", "now")
    assert code == ExitCode.REFUSED
    assert "has an owner, and this computer has no keys of it" in err
    assert world.run("his", "stop")[0] == ExitCode.DONE

    code, said = world.pair("his", HOLD, "button.hold")
    world.control.do("button.release")
    assert (code, said["result"]) == (ExitCode.DONE, "paired")
    code, _, err = world.run("hers", "info")
    assert code == ExitCode.REFUSED
    assert "refused this computer's keys" in err
    assert world.run("hers", "unpair", "--forget", world.serial)[0] == ExitCode.DONE

    code, out, _ = world.run("his", "unpair")
    assert (code, out.splitlines()[0]) == (
        ExitCode.DONE,
        f"Pen {world.serial} has no owner any more. The keys of pen {world.serial} are removed from this computer.",
    )
    assert world.run("his", "pens")[1] == ""
    assert not [each for each in (world.folder / "his").iterdir() if each.is_file()]


@pytest.mark.parametrize("world", ["tcp"], indirect=True)
def test_a_second_pairing_says_that_there_is_nothing_to_do(world: World) -> None:
    assert world.pair("hers", PRESS)[0] == ExitCode.DONE
    for typed in (world.code, "111-222-331"):  # the second is a code, and not this pen's
        code, out, _ = world.run("hers", "pair", typed=typed)
        assert code == ExitCode.DONE
        assert out.startswith(f"The pen {world.serial} is this computer's already. The code was not needed")
    assert json.loads(world.run("hers", "pair", "--json", typed=world.code)[1])["result"] == "already_paired"


@pytest.mark.alone
@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", "SR-SEC-2")
@pytest.mark.parametrize("world", ["boxed"], indirect=True)
def test_a_pen_out_of_its_box_is_run_by_nobody_and_then_by_who_paired_it_alone(world: World) -> None:
    plan = world.folder / "plan.toml"
    plan.write_text(PLAN, encoding="utf-8")
    session = "session", "run", str(plan), "--no-ask", "--lease", "1000"
    code, _, err = world.run("hers", *session)
    assert code == ExitCode.REFUSED
    assert "dermalink pair" in err
    assert world.run("hers", "stop")[0] == ExitCode.DONE
    assert world.control.do("truth")["deepest_um"] == 0

    code, said = world.pair("hers", PRESS)
    assert (code, said["result"]) == (ExitCode.DONE, "paired")
    code, _, err = world.run("hers", *session)
    assert code == ExitCode.DONE, err
    assert 0 < world.control.do("truth")["deepest_um"] <= 300

    code, _, err = world.run("his", *session)
    assert code == ExitCode.REFUSED
    assert "has an owner" in err


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", side="host")
@pytest.mark.parametrize("world", ["ble"], indirect=True)
def test_by_bluetooth_one_press_pairs_and_bonds_and_the_bond_is_there_for_the_next_command(world: World) -> None:
    kept = world.folder / "radio of hers" / FILE
    code, said = world.pair("hers", PRESS)
    assert (code, said["result"]) == (ExitCode.DONE, "paired")
    assert "unbonded" not in said
    bond = read(kept)
    assert len(bond) == 1

    code, _, err = world.run("hers", "monitor", "--seconds", "0.5")
    assert code == ExitCode.DONE, err
    assert read(kept) == bond
    assert "it holds: a session can be run over this link" in world.run("hers", "doctor")[1]

    world.control.do("clock.advance", seconds=61)
    kept.unlink()
    assert world.run("hers", "info")[0] == ExitCode.DONE  # which takes none
    code, _, err = world.run("hers", "monitor", "--seconds", "0.5")
    assert code == ExitCode.NO_PEN
    assert "press the pen's button once, with no session open; then the same again" in err
    world.control.do("button.press")
    assert world.run("hers", "monitor", "--seconds", "0.5")[0] == ExitCode.DONE

    for words in (("info",), ("stop",)):
        assert world.run("his", *words)[0] == ExitCode.DONE
    assert not (world.folder / "radio of his" / FILE).exists()
    code, out, _ = world.run("hers", "unpair")
    assert code == ExitCode.DONE
    assert "This computer's Bluetooth has forgotten it as well." in out
    assert read(kept) == {}
