"""The command line's frame: help, exit codes, errors as sentences, and no command that silently does nothing."""

import inspect
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dermalink.cli import app as application
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode, table
from dermalink.cli.failures import mistake
from dermalink.cli.lazy import Command, Lazy, LazyGroup
from dermalink.cli.running import asynchronous
from dermalink_protocol.version import __version__


def commands(group: LazyGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, LazyGroup):
            yield from commands(command, (*path, name))


ALL = dict(commands(app))


def test_version_is_answered_before_anything_is_imported() -> None:
    code = (
        "import sys; before = set(sys.modules); sys.argv = ['dermalink', '--version']; from dermalink.cli import start;"
        "code = start.main(); new = set(sys.modules) - before\n"
        "print(sorted(name for name in new if not name.startswith('dermalink')), code)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"dermalink {__version__}\n[] 0\n"


def test_help_imports_no_commands_module() -> None:
    code = (
        "import sys; from dermalink.cli.app import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pydantic', 'rich', 'serial', 'asyncio'} | {m for m in sys.modules if '.commands.' in m}\n"
        "print('found', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "found []"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_and_its_line_in_the_group_is_its_own(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="dermalink")
    assert result.exit_code == 0
    assert f"Usage: dermalink {' '.join(path)}" in result.output
    assert max(map(len, result.output.splitlines())) <= 100
    assert (ALL[path].help or "").strip()
    assert ALL[path].epilog, "an example belongs below the options"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_no_command_is_a_coroutine_that_nobody_runs(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert isinstance(command, Command | LazyGroup)
    assert not inspect.iscoroutinefunction(command.callback)


def test_a_coroutine_is_refused_as_a_command_and_runs_with_the_decorator() -> None:
    async def five() -> int:
        return 5

    with pytest.raises(TypeError, match="@asynchronous"):
        Command("five", callback=five)
    # The twin: click's own command takes it, calls it, and says that all went well.
    result = CliRunner().invoke(click.Command("five", callback=five), standalone_mode=False)
    assert result.exit_code == 0
    assert inspect.iscoroutine(result.return_value)
    result.return_value.close()
    assert CliRunner().invoke(Command("five", callback=asynchronous(five))).exit_code == 5


def test_the_exit_codes_stand_in_the_help() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    for line in table().splitlines():
        assert line.strip() in output
    assert len({code.value for code in ExitCode}) == len(ExitCode)


def test_a_mistake_of_ours_is_a_sentence_and_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import platformdirs

    def broken() -> None:
        raise ZeroDivisionError("a secret of the code")

    monkeypatch.setattr(platformdirs, "user_log_path", lambda _: tmp_path)
    monkeypatch.setattr(app, "lazy", {"broken": Lazy(f"{__name__}:broken_command", "")})
    monkeypatch.setattr(sys.modules[__name__], "broken_command", Command("broken", callback=broken), raising=False)
    result = CliRunner().invoke(app, ["broken"])
    assert result.exit_code == ExitCode.UNEXPECTED
    assert "Traceback" not in result.output
    assert "a secret" not in result.output
    (written,) = tmp_path.iterdir()
    assert str(written) in result.output
    assert "ZeroDivisionError: a secret of the code" in written.read_text(encoding="utf-8")


CODE = "123-456-789"
QR = "DERMALINK:1:123456789:DL-00000007"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["pair", "--code", CODE, "--pen", "ble:DP-1"], ["pair", "--code", "(not shown)", "--pen", "ble:DP-1"]),
        (["pair", f"--code={CODE}", "-v"], ["pair", "--code=(not shown)", "-v"]),
        (["-v", "pair", "--qr", QR], ["-v", "pair", "--qr", "(not shown)"]),
        (["pair", f"--qr={QR}", "--json"], ["pair", "--qr=(not shown)", "--json"]),
        (["pair", "--co", CODE, f"--q={QR}"], ["pair", "--co", "(not shown)", "--q=(not shown)"]),
        (["pair", "--code", "--qr", QR], ["pair", "--code", "--qr", "(not shown)"]),
        (["pair", "--code"], ["pair", "--code"]),
        (["info", "--", "--pen=tcp:127.0.0.1:1"], ["info", "--", "--pen=tcp:127.0.0.1:1"]),
    ],
)
def test_what_a_person_is_asked_to_send_is_his_alone_and_has_no_setup_code(
    words: list[str], shown: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_log_path", lambda _: tmp_path)
    monkeypatch.setattr(sys, "argv", ["dermalink", *words])
    before = os.umask(0)
    try:
        paths = [mistake(ZeroDivisionError())[1] for _ in range(2)]
    finally:
        os.umask(before)
    assert sorted(paths) == sorted(str(each) for each in tmp_path.iterdir())
    assert len(paths) == 2
    for written in tmp_path.iterdir():
        text = written.read_text(encoding="utf-8")
        assert text.splitlines()[1] == str(shown)
        assert CODE not in text
        assert QR not in text
        assert sys.platform == "win32" or stat.S_IMODE(written.stat().st_mode) == 0o600


def test_an_unknown_command_and_an_unknown_option_are_usage_errors() -> None:
    for words in (["fly"], ["--fly"], ["session", "fly"], ["completion", "tcsh"]):
        assert CliRunner().invoke(app, words).exit_code == ExitCode.USAGE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    assert "_DERMALINK_COMPLETE" in result.output


def test_completion_knows_the_commands() -> None:
    from click.shell_completion import ShellComplete

    words = [item.value for item in ShellComplete(app, {}, "dermalink", "_DERMALINK_COMPLETE").get_completions([], "")]
    assert words == list(application.COMMANDS)


def test_errors_end_in_their_own_exit_codes() -> None:
    from dermalink import errors
    from dermalink.cli.failures import code_for
    from dermalink.plan.errors import PlanError
    from dermalink_protocol.codewords import Reason
    from dermalink_protocol.errors import DermalinkError

    assert code_for(PlanError("p")) is ExitCode.PLAN
    assert code_for(errors.BadUrl("x")) is ExitCode.USAGE
    assert code_for(errors.PortBusy("x")) is ExitCode.NO_PEN
    for absent in (
        errors.NoBluetooth,
        errors.BluetoothOff,
        errors.BluetoothForbidden,
        errors.NoRadio,
        errors.NoSuchPen,
    ):
        assert code_for(absent("x")) is ExitCode.NO_PEN
    assert code_for(errors.SeveralPens("x", pens=("ble:a", "ble:b"))) is ExitCode.NO_PEN
    assert code_for(errors.WrongPen("x")) is ExitCode.REFUSED
    assert code_for(errors.PenRestarted("x")) is ExitCode.LINK_LOST
    assert code_for(errors.Timeout("x")) is ExitCode.LINK_LOST
    assert code_for(errors.PenRefusal("x", Reason.BUSY)) is ExitCode.REFUSED
    assert code_for(errors.StopFailed("x")) is ExitCode.NOT_CONFIRMED
    assert code_for(DermalinkError("x")) is ExitCode.REFUSED


def test_with_json_an_error_is_an_object_as_well(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["session", "check", str(tmp_path / "none.toml"), "--json"])
    assert result.exit_code == ExitCode.PLAN
    said = json.loads(result.stdout)
    assert said["error"] == "PlanError"
    assert said["exit_code"] == ExitCode.PLAN
    assert "no such file" in said["problems"][0]["sentence"]
    assert "no such file" in result.stderr
