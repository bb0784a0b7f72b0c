"""Every example of the documentation does what its page says: Python runs, commands run and print what is shown.

Where a page names a port or a door, a simulated pen of the page's own stands behind it. What can't be run here is
listed with its reason, and its words are still understood by the program that they are for. A first line `# name.toml`
or `# name.py` makes the block a file; a `text` block right behind a Python block is what that prints.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

import tasks
from dermalink import SyncPen
from dermalink.cli.app import app as dermalink
from dermalink.plan.load import plan_from_bytes
from dermalink_protocol.codewords import State
from dermalink_simulator.cli.app import app as dermalink_sim
from tests.support.doc_pages import Block, Command, blocks_of, commands_of, matches

DOCS = tasks.ROOT / "docs"
GENERATED = {DOCS / "traceability.md", *DOCS.glob("reference/*.md")}
ELSEWHERE = {DOCS / "command-line.md"}  # test_command_line_page.py runs it, and holds its tables against the code
OUTSIDE = [tasks.ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/vectors/README.md")]
PAGES = [*OUTSIDE, *sorted(set(DOCS.glob("*.md")) - GENERATED - ELSEWHERE)]
AT_MOST_S = 60

DIRECTIVES: Final = ("{toctree}", "{include}", "{eval-rst}", "{warning}", "{note}")
# Examples of files that other programs read: shown, and held to nothing here.
SHOWN: Final = ("text", "yaml")

# Beginnings of commands that are not run, and why. The longest that fits counts; "" means run it after all.
NOT_RUN: Final = {
    "make ": "takes minutes; the name of the task is checked",
    "python tasks.py": "takes minutes; the name of the task is checked",
    ". .venv/bin/activate": "is about the reader's own shell",
    "pip install 'dermalink[test]'": "test_clean_install.py installs the wheel with this extra",
    "pytest --pen": "wants tests of the reader's own",
    "python -m pytest": "wants tests of the reader's own",
    "dermalink scan": "asks every serial port of this machine",
    "dermalink scan --ble --radio": "",
    "dermalink doctor": "asks every serial port of this machine",
    "dermalink doctor --pen": "",
    "dermalink clock --set now": "wants the pen's button held; test_left_open.py holds it",
    "dermalink acknowledge": "wants a pen with a fault; test_left_open.py makes one",
    "dermalink session run plan.toml": "takes minutes and a person at the keys; test_session.py runs sessions",
    "dermalink session run nose.toml --pen 'ble:": "holds a lease over the air, as test_demo.py does alone",
    "dermalink-sim serve --ble vhci": "wants a kernel with virtual adapters",
    "dermalink-sim serve --ble usb:0": "wants a dongle",
    "dermalink info --pen ble:DL-SIM-00000000": "wants an adapter",
    "dermalink doctor --pen ble:DL-00000007": "wants an adapter and a board",
    "sudo ": "changes the reader's system, by their own password",
    "dermalink -v monitor": "goes on until Ctrl-C; test_command_line.py runs it for a while",
}
# Python that is only read, by its first line, and why.
ONLY_COMPILED: Final = {
    "@pytest.mark.sr(": "shows how a mark is written, on a test without a body",
    "# test_my_pen.py": "test_clean_install.py runs it, from the wheel",
}

PROGRAMS: Final = {"dermalink": dermalink, "dermalink-sim": dermalink_sim}


def why_not(words: str) -> str:
    """Why a command is not run; empty if it is."""
    fitting = [begin for begin in NOT_RUN if words.startswith(begin)]
    return NOT_RUN[max(fitting, key=len)] if fitting else ""


class Desk:
    """One reader with one page: a folder, an environment of their own, and pens behind the doors that it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exit_code = 0
        self._ends = ExitStack()
        self._doors: dict[str, str] = {}
        home = folder / "home"
        home.mkdir()
        homes = dict.fromkeys(("HOME", "USERPROFILE", "XDG_DATA_HOME", "LOCALAPPDATA", "APPDATA"), str(home))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "DERMALINK", "COV"))}
        path = f"{tasks.SCRIPTS}{os.pathsep}{kept.get('PATH', '')}"
        self._env = {**kept, **homes, "PATH": path, "PYTHONUTF8": "1", "COLUMNS": "100"}

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    # Pens

    def serve(self, words: list[str]) -> None:
        """Start the simulated pen that a page starts, behind doors that are free, and know them by the page's names."""
        words, said = list(words), dict[str, str]()
        free = {"--pty": str(self.folder / f"pen{len(self._doors)}"), "--ble": "tcp-server:127.0.0.1:0"}
        for option in ("--tcp", "--pty", "--control", "--ble"):
            if option in words:
                at = words.index(option) + 1
                said[option] = words[at].removeprefix("tcp-server:")
                words[at] = free.get(option, "127.0.0.1:0")
        command = [str(tasks.SCRIPTS / f"dermalink-sim{tasks.EXE}"), *words[1:], "--json"]
        pipe = subprocess.PIPE
        served = subprocess.Popen(command, stdout=pipe, text=True, cwd=self.folder, env=self._env)
        self._ends.enter_context(served)
        self._ends.callback(served.terminate)
        assert served.stdout is not None
        ready = json.loads(served.stdout.readline())
        found = {url.partition(":")[0]: url.partition(":")[2] for url in ready["urls"]}
        for option, name in said.items():
            real = {
                "--tcp": found.get("tcp"),
                "--pty": found.get("serial"),
                "--control": ready["control"],
                "--ble": ready["radio"].removeprefix("tcp-client:"),
            }[option]
            assert real, f"no {option} in {ready}"
            self._doors[name.removeprefix("127.0.0.1") if option != "--pty" else name] = real
        with SyncPen.connect(ready["urls"][0], inspect_only=True) as pen:
            pen.run(lambda one: one.wait_for(State.IDLE, within_s=AT_MOST_S))

    def with_real_doors(self, text: str) -> str:
        """The page's doors replaced by real ones; a pen is started for those that the page takes for granted."""
        if "/dev/ttyACM0" in text and "/dev/ttyACM0" not in self._doors:
            self.serve(["dermalink-sim", "serve", "--pty", "/dev/ttyACM0", "--person"])
        if "tcp:127.0.0.1:7321" in text and ":7321" not in self._doors:
            self.serve(["dermalink-sim", "serve", "--tcp", "127.0.0.1:7321", "--person"])
        for name, real in self._doors.items():
            before = r"(?<![\w.])(?:127\.0\.0\.1)?" if name.startswith(":") else ""
            text = re.sub(before + re.escape(name) + r"\b", real, text)
        return text

    def with_shown_doors(self, text: str) -> str:
        """The other way round, for what was printed."""
        for name, real in self._doors.items():
            text = text.replace(real, f"127.0.0.1{name}" if name.startswith(":") else name)
        return text

    # Doing what the page says

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """What a program printed, on both of its streams; its exit code is kept."""
        ended = subprocess.run(
            words,
            cwd=cwd or self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=AT_MOST_S,
            check=False,
        )
        self.exit_code = ended.returncode
        return self.with_shown_doors(ended.stdout)

    def command(self, command: Command, where: str, *, more: bool) -> None:
        """One command of a console block; `more` is whether the next one asks for the exit code."""
        words = command.words
        if words == "echo $?":
            assert command.prints == (str(self.exit_code),), f"{where}: the exit code was {self.exit_code}"
            return
        if why_not(words):
            understood(words, where)
            return
        first = shlex.split(words)
        if first[:2] == ["dermalink-sim", "serve"]:
            self.serve(first)
            return
        assert first[0] in (*PROGRAMS, "grep"), f"{where}: `{words}` is neither run nor in NOT_RUN"
        cwd = tasks.ROOT if first[0] == "grep" else None
        printed = self.run(*shlex.split(self.with_real_doors(words)), cwd=cwd)
        assert more or self.exit_code == 0, f"{where}: `{words}` ended with {self.exit_code}:\n{printed}"
        assert not command.prints or matches(command.prints, printed), f"{where}: `{words}` printed\n{printed}"

    def python(self, block: Block, printed_as: Block | None) -> None:
        """A Python block: its tests by pytest, anything else as a script."""
        text = self.with_real_doors(block.text)
        tests = re.search(r"^(?:async )?def test_", text, re.MULTILINE) is not None
        path = self.folder / (block.file_name or f"{'test_' if tests else ''}example_{block.line}.py")
        path.write_text(text, encoding="utf-8")
        # A reader needs no plugin for asyncio, and the one of this project's own tests wants to be configured.
        by = ("-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider") if tests else ()
        printed = self.run(sys.executable, "-W", "error", *by, path.name)
        assert self.exit_code == 0, f"{block.place}: ended with {self.exit_code}:\n{printed}"
        if printed_as is not None:
            said = tuple(printed_as.text.splitlines())
            assert matches(said, printed), f"{block.place}: printed\n{printed}"


def understood(words: str, where: str) -> None:
    """A command that is not run is still one: its program knows the task, the command and its options."""
    parts = shlex.split(words)
    if parts[0] == "make" or parts[:2] == ["python", "tasks.py"]:
        task = parts[1:2] if parts[0] == "make" else parts[2:3]
        assert not task or task[0] in tasks.TASKS, f"{where}: there is no task {task[0]}"
    elif parts[0] in PROGRAMS:
        program: click.Command = PROGRAMS[parts[0]]
        result = CliRunner().invoke(program, [*parts[1:], "--help"])
        assert result.exit_code == 0, f"{where}: `{words}` is not understood:\n{result.output}"


def follow(page: Path, folder: Path) -> None:
    """Do all that a page says, in its order; raises AssertionError at the first thing that is not so."""
    blocks = blocks_of(page)
    with Desk(folder) as desk:
        for block, behind in zip_longest(blocks, blocks[1:]):
            if block.language == "python":
                if any(block.text.startswith(begin) for begin in ONLY_COMPILED):
                    compile(block.text, block.place, "exec")
                else:
                    desk.python(block, behind if behind and behind.follows and behind.language == "text" else None)
            elif block.language == "console":
                commands = commands_of(block)
                for command, after in zip_longest(commands, commands[1:]):
                    where = f"{page.name}:{command.line}"
                    desk.command(command, where, more=after is not None and after.words == "echo $?")
            elif block.language == "toml":
                if "plan" in tomllib.loads(block.text):
                    plan_from_bytes(block.text.encode(), block.place)
                if block.file_name:
                    (folder / block.file_name).write_text(block.text, encoding="utf-8")
            elif block.language == "json":
                json.loads(block.text)
            else:
                known = block.language in SHOWN or block.language.startswith(DIRECTIVES)
                assert known, f"{block.place}: nobody knows how to run a block of {block.language or 'no language'!r}"


@pytest.mark.skipif(sys.platform == "win32", reason="the pages name serial ports that Windows can't simulate")
@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(tasks.ROOT).as_posix()) for page in PAGES])
def test_every_example_of_the_page_works(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path)


WRONG = {
    "a block of no language": "```\nls\n```\n",
    "a block of an unknown language": "```perl\nprint 1\n```\n",
    "a command of nobody's": "```console\n$ rm -rf nothing\n```\n",
    "an option that does not exist": "```console\n$ dermalink scan --fast\n```\n",
    "a command that does not exist": "```console\n$ dermalink doctor-all\n```\n",
    "a task that does not exist": "```console\n$ make tea\n```\n",
    "output that is not so": "```console\n$ dermalink --version\ndermalink 99\n```\n",
    "an exit code that is not so": "```console\n$ dermalink --nothing\n$ echo $?\n0\n```\n",
    "an error that is not shown": "```console\n$ dermalink session check none.toml\n```\n",
    "Python that fails": "```python\nimport nothing_of_this_name\n```\n",
    "Python that prints something else": "```python\nprint(1)\n```\n\n```text\n2\n```\n",
    "a test that fails": "```python\ndef test_it():\n    assert False\n```\n",
    "a plan that is refused": '```toml\nplan = 1\n[[zone]]\nname = "eyelids"\ndirections = ["vertical"]\n```\n',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_example_is_found(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=r".") as found:
        follow(page, tmp_path)
    assert "page.md" in str(found.value)


def test_nothing_is_excused_that_no_page_shows() -> None:
    shown = [command.words for page in PAGES for block in blocks_of(page) if block.language == "console"
             for command in commands_of(block)]  # fmt: skip
    for begin in NOT_RUN:
        assert any(words.startswith(begin) for words in shown), f"no page shows `{begin}`"
    python = [block.text for page in PAGES for block in blocks_of(page) if block.language == "python"]
    for begin in ONLY_COMPILED:
        assert any(text.startswith(begin) for text in python), f"no page shows `{begin}`"


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_of_pages_that_sphinx_does_not_read_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), f"{page.name}: there is no {target}"


def test_headings_of_troubleshooting_are_texts_that_the_code_says() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    folders = [tasks.ROOT / name for name in ("protocol", "host", "simulator", "tasks.py")]
    files = [path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob("*.py"))]
    # As it is said: pieces of a string over several lines joined, placeholders left out.
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in files))
    headings = re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert len(headings) > 30
    for heading in headings:
        for piece in re.split(r"…|; |: ", heading):
            words = piece.strip(" .,")
            assert words in code, f"`{words}` of the heading `{heading}` is said nowhere"


def texts_of(command: click.Command, words: str) -> list[tuple[str, str]]:
    """The help of a command and of all below it, with the words that lead there."""
    texts = [(words, f"{command.help or ''}\n{command.epilog or ''}")]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            texts += texts_of(below, f"{words} {name}")
    return texts


def test_every_example_in_a_help_is_understood() -> None:
    found = [
        (words, example)
        for name, program in PROGRAMS.items()
        for words, text in texts_of(program, name)
        for example in re.findall(
            r"^ *(?:[A-Z_]+=\S+ )?(dermalink(?:-sim)? .*?)(?:  .*| [|>] .*)?$", text, re.MULTILINE
        )
    ]
    assert len(found) > 30
    for words, example in found:
        understood(example, f"{words} --help")
