"""`dermalink symptom` that is called off: what is not written down is said to be so."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.pen import Pen


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
