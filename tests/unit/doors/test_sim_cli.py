"""The commands of `dermalink-sim`: every one has help, the faults and words come from their vocabularies."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from dermalink_simulator.cli.app import CODES, app
from dermalink_simulator.cli.exit_codes import ExitCode
from dermalink_simulator.control.words import VOCABULARY
from dermalink_simulator.faults.words import VOCABULARY as FAULTS
from dermalink_simulator.profile import PROFILES


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize("command", ["", *app.lazy])
def test_everything_has_help_with_an_example_where_it_needs_one(command: str) -> None:
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_help_lists_every_exit_code() -> None:
    output = invoke("--help").output
    for code in ExitCode:
        assert f"{code.value:>3}  {code.meaning[:40]}" in output


def test_every_word_of_the_control_channel_is_a_command() -> None:
    for word in VOCABULARY:
        room, _, name = word.name.rpartition(".")
        path = [name] if room in ("", "button", "cartridge") else [room, name]
        result = invoke("control", "--at", ":1", *(part.replace("_", "-") for part in path), "--help")
        assert result.exit_code == 0, word
        assert word.says.split(";")[0].rstrip(".") in " ".join(result.output.split()), word


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--seed", "-1"], "-1"),
        (["serve", "--speed", "0"], "0"),
        (["serve", "--clock", "runs"], "runs"),
        (["explode"], "explode"),
        (["control", "press"], "--at"),
        (["control", "--at", ":1", "hand", "sweep"], "Missing argument"),
        (["control", "--at", ":1", "hand", "sweep", "eyelids"], "eyelids"),
        (["control", "--at", ":1", "fault", "inject", "button", "stuck", "um=x"], "um=x"),
        (["control", "--at", ":1", "clock", "advance", "-5"], "-5"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(words: list[str], said: str) -> None:
    result = invoke(*words)
    assert result.exit_code == ExitCode.USAGE, result.output
    assert said in result.output


def test_faults_and_profiles_are_listed_whole_in_words_and_in_json() -> None:
    text = invoke("faults").output
    records = [json.loads(line) for line in invoke("faults", "--json").output.splitlines()]
    assert [(record["unit"], record["kind"]) for record in records] == [(word.unit, word.kind) for word in FAULTS]
    assert all(f"{word.unit} {word.kind}: {word.says}" in text for word in FAULTS)
    profiles = [json.loads(line)["name"] for line in invoke("profiles", "--json").output.splitlines()]
    assert profiles == list(PROFILES)
    assert all(name in invoke("profiles").output for name in PROFILES)


def test_nobody_there_is_a_sentence_and_a_code() -> None:
    result = invoke("control", "--at", "127.0.0.1:1", "press")
    assert result.exit_code == ExitCode.NOBODY
    assert "dermalink-sim serve --control" in result.output


def test_every_error_with_a_code_exists() -> None:
    from dermalink_protocol.errors import DermalinkError

    for module in (
        "doors.errors",
        "control.server",
        "control.client",
        "making",
        "radio.errors",
        "runner",
        "state_folder",
    ):
        __import__(f"dermalink_simulator.{module}")

    def names(kind: type[DermalinkError]) -> set[str]:
        found = {kind.__name__}
        for below in kind.__subclasses__():
            found |= names(below)
        return found

    assert set(CODES) <= names(DermalinkError)


def test_an_output_that_nobody_reads_any_more_is_no_failure() -> None:
    code = "input(); from dermalink_simulator.cli.start import main; raise SystemExit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "faults", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout is not None
        listing.stdout.close()
        assert listing.stdin is not None
        listing.stdin.write(b"\n")
        listing.stdin.close()
        assert listing.stderr is not None
        said = listing.stderr.read()
        assert listing.wait(20) == ExitCode.DONE
    assert said == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts(shell: str) -> None:
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert "dermalink-sim" in result.output or "dermalink_sim" in result.output


def test_the_version_is_said_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys; sys.argv = ['dermalink-sim', '--version']; from dermalink_simulator.cli.start import main; main();"
        "heavy = {'click', 'asyncio', 'importlib.metadata'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {sys.path!r}; {code}"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("dermalink-sim 0.")
