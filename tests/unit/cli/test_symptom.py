"""`dermalink symptom` that is called off, or can't be told under seal: what was not done is said to be so."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from dermalink.cli.app import app
from dermalink.cli.connecting import NotAPen, SeveralPens
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.failures import code_for
from dermalink.cli.stopping import StopResult, Tell
from dermalink.errors import CannotOpen, HandshakeFailed, HostError, Timeout
from dermalink.journal_file import default_path
from dermalink.ownership.errors import KeyringLocked
from dermalink.pen import Pen
from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import Capability


@pytest.fixture(autouse=True)
def with_ctrl_c() -> Iterator[None]:
    """As in a terminal: a shell that starts something in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_before_the_pen_has_answered_says_that_nothing_was_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(_url: str, **_: Any) -> Pen:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.Event().wait()
        raise AssertionError("it was interrupted")

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(Pen, "connect", connect)
    result = CliRunner().invoke(app, ["symptom", "pain", "--pen", "ble:DP-1"])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == (
        "Interrupted: pain may be with the pen or not, and is NOT written down here. If it is so, say it again."
        " Lift the pen straight off the skin.\n"
    )
    assert [*tmp_path.iterdir()] == []


@pytest.mark.sr("SR-STOP-4", "SR-SYM-1", side="host")
@pytest.mark.parametrize(
    "why",
    [
        HandshakeFailed("Who answers is not the pen"),
        KeyringLocked("The keyring is locked"),
        Timeout("No answer"),
        RecursionError("a key file that nobody foresaw"),
    ],
)
def test_a_symptom_that_cannot_be_told_under_seal_stops_the_pen_all_the_same(
    why: HostError | RecursionError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str | None] = []

    async def connect(_url: str, **_: Any) -> Pen:
        raise why

    async def stop_pens(pen: str | None, tell: Tell) -> list[StopResult]:
        stopped.append(pen)
        tell(StopResult("ble:DP-1", ExitCode.DONE, "stopped"))
        return []

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(Pen, "connect", connect)
    monkeypatch.setattr("dermalink.cli.stopping.stop_pens", stop_pens)
    result = CliRunner().invoke(app, ["symptom", "pain", "--pen", "ble:DP-1"])
    assert stopped == ["ble:DP-1"]
    failed = code_for(NotAPen("")) if isinstance(why, Timeout) else code_for(why) if isinstance(why, HostError) else 1
    assert result.exit_code == failed != ExitCode.DONE
    assert result.stderr.splitlines()[:2] == [
        "ble:DP-1: stopped",
        "Written down here; the pen is told when it is back. Lift it off the skin.",
    ]
    (journal,) = tmp_path.rglob("*.jsonl")
    assert '"told":false' in journal.read_text(encoding="utf-8")


@pytest.mark.sr("SR-STOP-4", "SR-SYM-1", side="host")
def test_a_symptom_is_written_down_though_the_stop_before_it_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(Pen, "connect", fail)
    monkeypatch.setattr("dermalink.cli.stopping.stop_pens", fail)
    result = CliRunner().invoke(app, ["symptom", "pain", "--pen", "ble:DP-1"])
    assert result.exit_code == ExitCode.UNEXPECTED
    assert "Traceback" not in result.output
    assert len([*tmp_path.rglob("*.jsonl")]) == 1
    assert "Written down here" in result.stderr


def test_where_nothing_is_no_stop_is_tried_and_the_symptom_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(_url: str, **_: Any) -> Pen:
        raise CannotOpen("There is no such port")

    async def stop_pens(*_: Any) -> Any:
        raise AssertionError("a Stop was tried")

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(Pen, "connect", connect)
    monkeypatch.setattr("dermalink.cli.stopping.stop_pens", stop_pens)
    result = CliRunner().invoke(app, ["symptom", "pain", "--pen", "ble:DP-1"])
    assert result.exit_code == code_for(CannotOpen(""))
    assert "mistake" not in result.stderr
    assert len([*tmp_path.rglob("*.jsonl")]) == 1


@pytest.mark.sr("SR-STOP-4", "SR-SYM-1", side="host")
def test_where_several_pens_answer_and_none_was_named_all_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str | None] = []

    async def two_answer(_say: Any) -> str:
        raise SeveralPens("2 pens answer: a, b", advice="Name it")

    async def stop_pens(pen: str | None, tell: Tell) -> list[StopResult]:
        stopped.append(pen)
        for url in ("serial:a", "serial:b"):
            tell(StopResult(url, ExitCode.DONE, "stopped"))
        return []

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("DERMALINK_PEN", raising=False)
    monkeypatch.setattr("dermalink.cli.connecting.the_one_pen", two_answer)
    monkeypatch.setattr("dermalink.cli.stopping.stop_pens", stop_pens)
    result = CliRunner().invoke(app, ["symptom", "pain"])
    assert stopped == [None]
    assert result.exit_code == code_for(SeveralPens(""))
    assert result.stderr.splitlines()[:3] == [
        "serial:a: stopped",
        "serial:b: stopped",
        "Written down here; the pen is told when it is back. Lift it off the skin.",
    ]
    assert len([*tmp_path.rglob("*.jsonl")]) == 1


class OnACable:
    """A pen that takes the report."""

    serial_number, sealed, owned, foreign = "DL-7", True, True, False

    def __init__(self, url: str) -> None:
        self.connection = self.link = self
        self.url = url
        self.hello = SimpleNamespace(capabilities=())

    async def __aenter__(self) -> "OnACable":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def report_symptom(self, _said: Any) -> Any:
        return SimpleNamespace(state=State.IDLE)


@pytest.mark.sr("SR-STOP-4", "SR-SYM-1", side="host")
@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    ("url", "named", "others"), [("serial:a", False, True), ("serial:a", True, False), ("ble:a", False, True)]
)
def test_where_one_on_a_cable_was_told_and_none_named_whatever_else_answers_is_stopped(
    url: str, named: bool, others: bool, as_json: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str | None] = []

    async def the_one(_say: Any) -> str:
        return url

    async def connect(wanted: str, **_: Any) -> OnACable:
        return OnACable(wanted)

    async def stop_pens(pen: str | None, tell: Tell) -> list[StopResult]:
        stopped.append(pen)
        tell(StopResult("ble:b", ExitCode.DONE, "stopped"))
        return []

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("DERMALINK_PEN", raising=False)
    monkeypatch.setattr("dermalink.cli.connecting.the_one_pen", the_one)
    monkeypatch.setattr(Pen, "connect", connect)
    monkeypatch.setattr("dermalink.cli.stopping.stop_pens", stop_pens)
    result = CliRunner().invoke(app, ["symptom", "pain", *(["--pen", url] if named else []), *as_json])
    assert result.exit_code == ExitCode.DONE, result.output
    assert stopped == ([None] if others else [])
    assert ("ble:b: stopped" in result.stderr) is others
    assert "DL-7" in result.stdout
    assert len([*tmp_path.rglob("*.jsonl")]) == 1


class Foreign(OnACable):
    """A pen in the clear that this computer has no keys of, and that says it is simulated."""

    sealed, owned, foreign = False, False, True

    def __init__(self, url: str, heard: list[str]) -> None:
        super().__init__(url)
        self.heard = heard
        self.hello = SimpleNamespace(capabilities=Capability.CONTROL_CHANNEL)

    def stop_now(self) -> None:
        self.heard.append("stop")

    async def report_symptom(self, said: Any) -> Any:
        self.heard.append("symptom")
        return await super().report_symptom(said)


@pytest.mark.sr("SR-STOP-4", "SR-SYM-1", "SR-DATA-1", side="host")
@pytest.mark.parametrize("named", [False, True])
def test_a_pen_that_is_none_of_ones_own_hears_no_symptom_unless_named_and_leads_none_away(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    async def the_one(_say: Any) -> str:
        return "ble:a"

    async def connect(wanted: str, **_: Any) -> Foreign:
        return Foreign(wanted, heard)

    async def stop_pens(pen: str | None, _tell: Tell) -> list[StopResult]:
        heard.append(f"stop {pen}")
        return []

    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("DERMALINK_PEN", raising=False)
    monkeypatch.setattr("dermalink.cli.connecting.the_one_pen", the_one)
    monkeypatch.setattr(Pen, "connect", connect)
    monkeypatch.setattr("dermalink.cli.stopping.stop_pens", stop_pens)
    result = CliRunner().invoke(app, ["symptom", "bleeding", *(["--pen", "ble:a"] if named else [])])
    assert heard == (["symptom"] if named else ["stop", "stop None"])
    assert (result.exit_code == ExitCode.DONE) is named
    assert named or "none of yours" in result.stderr
    (journal,) = tmp_path.rglob("*.jsonl")
    assert journal.name == default_path(simulated=False).name
    assert named or '"told":false' in journal.read_text(encoding="utf-8")
