"""The PTY door: a path that stays, a pair for each host, and nothing left when it closes."""

import asyncio
import errno
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dermalink_simulator.doors.errors import NotOnThisSystemError, PathTakenError
from dermalink_simulator.doors.pty import PtyDoor
from dermalink_simulator.runner import PenRunner
from tests.unit.doors.echo_pen import EchoPen, until

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import fcntl
import termios

pytestmark = pytest.mark.asyncio


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "pen"
    assert list(tmp_path.iterdir()) == [], "the door left files behind"


def open_host(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


async def read(host: int, wanted: int) -> bytes:
    data = b""
    async with asyncio.timeout(2):
        while len(data) < wanted:
            try:
                data += os.read(host, wanted - len(data))
            except BlockingIOError:
                await asyncio.sleep(0)
    return data


async def until_closed(pen: EchoPen, number: int) -> None:
    await until(lambda: len(pen.ports) > number and pen.ports[number].closed)


def is_exclusive(descriptor: int) -> bool:
    tiocgexcl = 0x80045440  # Linux, asm-generic/ioctls.h
    (flag,) = struct.unpack("i", fcntl.ioctl(descriptor, tiocgexcl, bytes(4)))
    return bool(flag)


def leads_to(path: Path) -> str:
    return str(path.readlink())


def leave_lock(path: Path, target: str) -> None:
    path.with_name(f"{path.name}.lock").write_text(target)


def is_hung_up(host: int) -> bool:
    try:
        return os.read(host, 1) == b""
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno == errno.EIO


def replace_by_link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


async def test_bytes_go_through_raw(terminal: Path) -> None:
    runner = PenRunner(EchoPen())
    door = await PtyDoor.open(runner, terminal)
    assert door.url == f"serial:{terminal}"
    everything = bytes(range(256))
    host = open_host(terminal)
    os.write(host, everything)
    assert await read(host, 256) == everything
    os.close(host)
    await door.close()
    await door.close()
    runner.stop()


async def test_a_host_that_closes_is_a_lost_link_and_the_path_serves_the_next(terminal: Path) -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await PtyDoor.open(runner, terminal)
    for number in range(3):
        host = open_host(terminal)
        os.write(host, b"host %d" % number)
        assert await read(host, 6) == b"host %d" % number
        os.close(host)
        await until_closed(pen, number)
    assert len(pen.ports) == 3
    await door.close()
    runner.stop()


async def test_nothing_of_one_host_reaches_the_next(terminal: Path) -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await PtyDoor.open(runner, terminal)
    host = open_host(terminal)
    os.write(host, b"never read")
    await until(lambda: pen.heard)
    os.close(host)
    await until_closed(pen, 0)
    host = open_host(terminal)
    with pytest.raises(BlockingIOError):
        os.read(host, 100)
    os.write(host, b"x")
    assert await read(host, 1) == b"x"
    os.close(host)
    await until_closed(pen, 1)
    await door.close()
    runner.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether a terminal is exclusive")
async def test_an_exclusive_host_that_died_locks_nobody_out(terminal: Path) -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await PtyDoor.open(runner, terminal)
    host = open_host(terminal)
    fcntl.ioctl(host, termios.TIOCEXCL)
    assert is_exclusive(host)
    os.write(host, b"x")
    await read(host, 1)
    os.close(host)
    await until_closed(pen, 0)
    host = open_host(terminal)
    assert not is_exclusive(host)  # root gets in all the same, so the flag itself is looked at
    os.close(host)
    await door.close()
    runner.stop()


async def test_a_host_that_does_not_read_costs_bounded_memory(terminal: Path) -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await PtyDoor.open(runner, terminal)
    host = open_host(terminal)
    os.write(host, b"x")
    assert await read(host, 1) == b"x"
    block = bytes(range(1, 251))
    port = pen.ports[0]
    for _ in range(1_000):
        runner.act(lambda: port.say(block))
    assert pen.clogged(0)
    assert port.dropped > 0
    assert len(door._unsent) <= len(block)
    left = 1_000 * len(block) - port.dropped
    assert await read(host, left) == block * (left // len(block))
    await until(lambda: not pen.clogged(0))
    os.write(host, b"and now?")
    assert await read(host, 8) == b"and now?"
    os.close(host)
    await until_closed(pen, 0)
    await door.close()
    runner.stop()


async def test_when_the_pen_hangs_up_the_host_sees_it_and_the_path_lives_on(terminal: Path) -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await PtyDoor.open(runner, terminal)
    host = open_host(terminal)
    os.write(host, b"x")
    await read(host, 1)
    runner.act(pen.ports[0].vanish)
    assert is_hung_up(host)
    os.close(host)
    host = open_host(terminal)
    os.write(host, b"again")
    assert await read(host, 5) == b"again"
    os.close(host)
    await until_closed(pen, 1)
    await door.close()
    runner.stop()


async def test_a_pen_that_is_off_answers_nobody(terminal: Path) -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await PtyDoor.open(runner, terminal)
    pen.off = True
    host = open_host(terminal)
    os.write(host, b"x")
    await until(lambda: is_hung_up(host))
    os.close(host)
    pen.off = False
    host = open_host(terminal)
    os.write(host, b"x")
    assert await read(host, 1) == b"x"
    os.close(host)
    await until_closed(pen, 0)
    await door.close()
    runner.stop()


async def test_two_simulators_do_not_share_a_path(terminal: Path) -> None:
    runner = PenRunner(EchoPen())
    door = await PtyDoor.open(runner, terminal)
    before = leads_to(terminal)
    with pytest.raises(PathTakenError, match="another simulator serves it"):
        await PtyDoor.open(runner, terminal)
    assert leads_to(terminal) == before
    await door.close()
    runner.stop()


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "diary"
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["diary"]


async def test_what_is_no_link_is_never_replaced(diary: Path) -> None:
    runner = PenRunner(EchoPen())
    with pytest.raises(PathTakenError, match="no link"):
        await PtyDoor.open(runner, diary)
    runner.stop()


async def test_a_link_of_somebody_elses_is_never_replaced(tmp_path: Path) -> None:
    runner = PenRunner(EchoPen())
    path = tmp_path / "link"
    replace_by_link(path, "/dev/null")
    with pytest.raises(PathTakenError, match="somebody else"):
        await PtyDoor.open(runner, path)
    assert leads_to(path) == "/dev/null"
    runner.stop()


async def test_a_dangling_link_is_replaced(terminal: Path) -> None:
    runner = PenRunner(EchoPen())
    replace_by_link(terminal, "/dev/pts/no-such")
    door = await PtyDoor.open(runner, terminal)
    assert leads_to(terminal) != "/dev/pts/no-such"
    await door.close()
    runner.stop()


async def test_the_link_of_a_killed_simulator_is_replaced_even_if_its_terminal_lives_again(
    terminal: Path,
) -> None:
    runner = PenRunner(EchoPen())
    replace_by_link(terminal, "/dev/null")
    leave_lock(terminal, "/dev/null")
    door = await PtyDoor.open(runner, terminal)
    assert leads_to(terminal) != "/dev/null"
    await door.close()
    runner.stop()


async def test_a_link_that_somebody_moved_is_left_alone_at_the_end(tmp_path: Path) -> None:
    runner = PenRunner(EchoPen())
    path = tmp_path / "pen"
    door = await PtyDoor.open(runner, path)
    replace_by_link(path, "/dev/null")
    await door.close()
    assert leads_to(path) == "/dev/null"
    runner.stop()


async def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    runner = PenRunner(EchoPen())
    with pytest.raises(PathTakenError, match="No such file"):
        await PtyDoor.open(runner, tmp_path / "nowhere" / "pen")
    runner.stop()


async def test_windows_is_told_what_to_use_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = PenRunner(EchoPen())
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NotOnThisSystemError, match="--tcp"):
        await PtyDoor.open(runner, tmp_path / "pen")
    monkeypatch.undo()
    runner.stop()
