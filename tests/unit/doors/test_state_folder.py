"""A state folder keeps a pen's flash through kill -9, belongs to one simulator, and refuses what it does not know."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest

from dermalink_simulator.seam import FLASH_BYTES
from dermalink_simulator.state_folder import FORMAT, Identity, StateError, StateFolder

PEN = Identity("nominal", 7)
BOTH = ("profile", "seed")
IMAGE = bytes(range(256)) * (FLASH_BYTES // 256)


def open_folder(path: Path, wanted: Identity = PEN, given: Container[str] = BOTH) -> StateFolder:
    return StateFolder.open(path, wanted, given, lambda _: IMAGE)


def test_a_new_pen_is_as_from_the_factory_and_what_is_written_is_there_next_time(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "pen")
    assert folder.flash[:] == IMAGE
    assert folder.clock is None
    folder.flash[4_096:4_100] = b"head"
    folder.note_clock(1_800_000_000, 86_400)
    folder.write("head", {"number": 3})
    folder.close()
    folder.close()
    folder = open_folder(tmp_path / "pen", Identity("loose", 0), given=())
    assert folder.identity == PEN
    assert folder.flash[4_096:4_100] == b"head"
    assert (folder.read("head"), folder.read("nothing")) == ({"number": 3}, None)
    assert folder.clock is not None
    assert folder.clock[:2] == (1_800_000_000, 86_400)
    assert 0 <= folder.clock.ago_s < 60
    folder.close()


def test_a_folder_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    open_folder(tmp_path).close()
    (tmp_path / "pen.json").unlink()
    (tmp_path / "flash.bin").write_bytes(b"half")
    folder = open_folder(tmp_path)
    assert folder.flash[:] == IMAGE
    folder.close()


WRITE_AND_WAIT = r"""
import sys
from pathlib import Path
from dermalink_simulator.state_folder import Identity, StateFolder
folder = StateFolder.open(Path(sys.argv[1]), Identity("nominal", 7), (), lambda _: b"\xff" * 1589248)
folder.flash[0:5] = b"ledge"
folder.note_clock(1_700_000_123, 9)
print("written", flush=True)
sys.stdin.read()
"""


def test_what_was_written_survives_kill_9_and_the_lock_does_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "pen")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        with pytest.raises(StateError, match="another simulator uses it"):
            open_folder(tmp_path / "pen")
        child.kill()
    folder = open_folder(tmp_path / "pen")
    assert folder.flash[0:5] == b"ledge"
    assert folder.clock is not None
    assert folder.clock[:2] == (1_700_000_123, 9)
    folder.close()


@pytest.mark.parametrize(("name", "value"), [("profile", "product"), ("seed", 8)])
def test_another_pen_than_the_folders_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    open_folder(tmp_path).close()
    with pytest.raises(StateError, match=f"it holds a pen with {name}"):
        open_folder(tmp_path, PEN._replace(**{name: value}))
    open_folder(tmp_path).close()


@pytest.mark.parametrize("version", [FORMAT - 1, FORMAT + 1, str(FORMAT), None])
def test_another_format_is_refused_and_left_as_it_is(tmp_path: Path, version: object) -> None:
    open_folder(tmp_path).close()
    text = json.dumps(PEN._asdict() | {"format": version})
    (tmp_path / "pen.json").write_text(text)
    with pytest.raises(StateError, match=f"this version reads {FORMAT}"):
        open_folder(tmp_path)
    assert (tmp_path / "pen.json").read_text() == text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", f'{{"format": {FORMAT}, "seed": true, "profile": "nominal"}}', '{"seed": "\xff"}'],
)
def test_a_damaged_folder_is_said(tmp_path: Path, text: str) -> None:
    open_folder(tmp_path).close()
    (tmp_path / "pen.json").write_text(text, encoding="latin-1")
    with pytest.raises(StateError, match="damaged"):
        open_folder(tmp_path)


def test_a_cut_flash_is_said(tmp_path: Path) -> None:
    open_folder(tmp_path).close()
    os.truncate(tmp_path / "flash.bin", FLASH_BYTES - 1)
    with pytest.raises(StateError, match=r"flash\.bin has not"):
        open_folder(tmp_path)


def test_somebody_elses_folder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StateError, match="other things and no pen"):
        open_folder(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"Choose another folder"):
        open_folder(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="a file has no such bits there")
@pytest.mark.parametrize("how", ["new", "empty before", "widened since", "cut short and wide"])
def test_the_pens_private_key_is_this_users_alone(how: str, tmp_path: Path) -> None:
    path = tmp_path / "parent" / "pen"
    before = os.umask(0)
    try:
        if how == "empty before":
            path.mkdir(parents=True)
        elif how != "new":
            open_folder(path).close()
            for each in (path, *path.iterdir()):
                each.chmod(0o777)
        if how == "cut short and wide":
            (path / "pen.json").unlink()
            (path / "flash.new").write_bytes(b"half")
        folder = open_folder(path)
        folder.write("head", {"number": 3})
        (path / "letter.txt").touch(0o644)
        folder.close()
        folder = open_folder(path)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (path, *path.iterdir())}
        folder.close()
    finally:
        os.umask(before)
    assert modes.pop("letter.txt") == 0o644
    assert modes == {"pen": 0o700} | dict.fromkeys(("lock", "flash.bin", "clock.bin", "pen.json", "head.json"), 0o600)


@pytest.mark.skipif(sys.platform == "win32", reason="a file has no such bits there")
def test_somebody_elses_folder_is_not_narrowed(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for each in (tmp_path, tmp_path / "letter.txt"):
        each.chmod(0o755)
    with pytest.raises(StateError):
        open_folder(tmp_path)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path, tmp_path / "letter.txt")} == {0o755}
