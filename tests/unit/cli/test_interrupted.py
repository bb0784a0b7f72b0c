"""Ctrl-C while a command starts: silence and 130, whatever is being imported; and `stop` says that nothing was sent."""

import json
import subprocess
import sys

import pytest

from dermalink.cli import start
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lift import INTERRUPTED
from dermalink_simulator.cli import start as simulator_start
from dermalink_simulator.cli.exit_codes import ExitCode as SimulatorExitCode

# Ctrl-C comes when the module that argv[1] names is about to be imported, once; argv[2] is where the command begins.
PLANTED = """
import sys
from importlib import import_module

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == wanted and name not in came:
            came.append(name)
            raise KeyboardInterrupt
        return None

_, wanted, command, *words = sys.argv
came = []
main = import_module(command).main
sys.argv = ["command", *words]
for name in [name for name in sys.modules if name == wanted]:  # what a bare Python has imported already
    del sys.modules[name]
sys.meta_path.insert(0, CtrlC())
code = main()
assert came, f"{wanted} was never imported"
sys.exit(code)
"""


def interrupted_at(module: str, start: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own that gets Ctrl-C at this import."""
    program = [sys.executable, "-I", "-c", PLANTED, module, start, *words]
    return subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "module",
    [
        "dermalink.cli.app",
        "click",
        "click.core",
        "enum",
        "dermalink.cli.exit_codes",
        "dermalink.cli.commands.info",
        "asyncio",
        "dermalink.cli.connecting",
        "dermalink.pen",
    ],
)
def test_it_is_silent_and_ends_with_its_code(module: str) -> None:
    done = interrupted_at(module, "dermalink.cli.start", "info", "--pen", "sim:")
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")


@pytest.mark.parametrize(
    "module",
    [
        "dermalink_simulator.cli.app",
        "click",
        "dermalink_simulator.cli.exit_codes",
        "asyncio",
        "dermalink_simulator.cli.commands.serve",
        "dermalink_simulator.pen",
    ],
)
def test_the_simulator_is_silent_as_well(module: str) -> None:
    done = interrupted_at(module, "dermalink_simulator.cli.start", "serve", "--tcp", "127.0.0.1:0")
    assert (done.returncode, done.stdout, done.stderr) == (SimulatorExitCode.INTERRUPTED, "", "")


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize(
    "module", ["dermalink.cli.app", "click", "dermalink.cli.commands.stop", "asyncio", "dermalink.cli.stopping"]
)
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["text", "json"])
def test_stop_says_that_it_was_not_sent(module: str, words: tuple[str, ...]) -> None:
    done = interrupted_at(module, "dermalink.cli.start", "stop", *words)
    assert done.returncode == ExitCode.INTERRUPTED
    said = done.stdout or done.stderr
    assert len(said.splitlines()) == 1
    if words and done.stdout:
        found = json.loads(said)
        assert (found["sentence"], found["sent"], found["stopped"]) == (INTERRUPTED, False, False)
    else:
        assert said == f"{INTERRUPTED}\n"


def test_the_codes_that_cannot_be_imported_are_those_that_can() -> None:
    assert start.INTERRUPTED == ExitCode.INTERRUPTED
    assert simulator_start.INTERRUPTED == SimulatorExitCode.INTERRUPTED
