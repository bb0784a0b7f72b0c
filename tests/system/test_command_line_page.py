"""docs/command-line.md says what is so: its examples are run, its tables are held against the code."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dermalink.cli import app as application
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.keys import KEYS, LINES
from dermalink.session import events
from dermalink.session.words import Word

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_what_a_block_shows_is_what_comes(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    output = ""
    for line in block.splitlines():
        if line.startswith("$ dermalink "):
            result = CliRunner().invoke(app, shlex.split(line.removeprefix("$ dermalink ")), prog_name="dermalink")
            assert result.exit_code == 0, result.output
            output = result.output
        else:
            assert line in output


def test_the_exit_codes_are_all_there_in_their_own_words() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.partition("## Exit codes")[2], re.MULTILINE)
    assert rows == [(str(code.value), code.meaning) for code in sorted(ExitCode)]


def test_every_command_has_its_row() -> None:
    rows = re.findall(r"^\| `dermalink ([a-z ]+)", PAGE, re.MULTILINE)
    named = [" ".join(word for word in row.split() if word.islower()) for row in rows]
    context = click.Context(app)
    for name in application.COMMANDS:
        command = app.get_command(context, name)
        paths = (
            [f"session {sub}" for sub in command.list_commands(context)] if isinstance(command, click.Group) else [name]
        )
        for path in paths:
            assert any(each == path or each.startswith(f"{path} ") for each in named), path


def test_every_key_and_every_line_is_named() -> None:
    section = PAGE.partition("## While a session runs")[2].partition("Ctrl-C")[0]
    for line in LINES:
        assert not line or f"`{line}`" in section
    for key, word in KEYS.items():
        if key.isalnum() and word is not Word.GONE:
            assert f"`{key}`" in section


def test_every_event_is_named() -> None:
    section = PAGE.partition("## For scripts")[2].partition("##")[0]
    for kind in vars(events).values():
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind not in (events.Event, events.PassPlan):
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
            assert f"`{name}`" in section
