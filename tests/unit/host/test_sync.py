"""The synchronous face: the same pen without `await`, also inside a running loop."""

import _thread
import asyncio
import gc
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dermalink.errors import HostRefusal, LinkClosed, NoSuchPort, PenRefusal, Timeout
from dermalink.journal import MemoryJournal
from dermalink.outcome import Applied
from dermalink.pen import Pen
from dermalink.sync import LoopThread, SyncPen
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.therapy import SelfTestStarted
from tests.support.memory_pipe import MemoryPipe
from tests.unit.host.scripted_pen import ScriptedPen


class Served:
    """A scripted pen behind a TCP port, in a loop and thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.hung_up = threading.Event()
        self.port = 0
        self._thread.start()
        assert self._ready.wait(5)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self.pipe = MemoryPipe()
        self.pen = ScriptedPen(self.pipe)
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pipe.feed = writer.write  # type: ignore[method-assign]
        while data := await reader.read(65_536):
            self.pipe.write(data)
        writer.close()
        self.hung_up.set()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"tcp:127.0.0.1:{self.port}"


@pytest.fixture
def served() -> Iterator[Served]:
    far = Served()
    try:
        yield far
    finally:
        far.end()


@contextmanager
def connected(served: Served) -> Iterator[SyncPen]:
    with SyncPen.connect(served.url, journal=MemoryJournal()) as pen:
        yield pen


def test_the_same_calls_without_await(served: Served) -> None:
    with connected(served) as pen:
        assert pen.hello.depth_cap_um == 500
        assert pen.serial_number == "DP-SCRIPTED"
        assert pen.request(GetStatus()).state is State.IDLE
        assert pen.status().state is State.IDLE
        assert pen.look().cartridge.needles == 12
        outcome = pen.apply(pen.gate.run_self_test())
        assert isinstance(outcome, Applied)
        assert type(outcome.reply) is SelfTestStarted
        assert pen.settle() == {}
        assert len(pen.samples()) == 0
        before = pen.margin()
        assert before.relation is not None
        pen.status()
        assert pen.margin().round_trips.count == before.round_trips.count + 1
        assert pen.stop().status.state is State.IDLE
        assert pen.run(lambda each: each.last_command()).applied_opcode == Opcode.SELF_TEST


def test_errors_come_out_as_they_are(served: Served) -> None:
    with connected(served) as pen:
        with pytest.raises(HostRefusal):
            pen.gate.open_session()
        served.pen.refuse(GetStatus, Reason.BUSY)
        with pytest.raises(PenRefusal):
            pen.status()
        served.pen.silent_to(GetStatus)
        with pytest.raises(Timeout):
            pen.request(GetStatus(), within_s=0.05)


def test_it_works_inside_a_running_loop(served: Served) -> None:
    async def notebook() -> State:
        with connected(served) as pen:
            return pen.status().state

    assert asyncio.run(notebook()) is State.IDLE


def test_a_pen_that_is_not_there_leaves_no_thread() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(NoSuchPort):
        SyncPen.connect(f"tcp:127.0.0.1:{port}", journal=MemoryJournal())


def test_what_takes_a_bond_over_the_air_is_asked_of_the_same_pen(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def secure(pen: Pen) -> None:
        asked.append(pen.serial_number)

    monkeypatch.setattr(Pen, "secure", secure)
    with connected(served) as pen:
        pen.secure()
        assert asked == [pen.serial_number]


def test_closed_is_closed(served: Served) -> None:
    with connected(served) as pen:
        pen.close()
        pen.close()
        with pytest.raises(LinkClosed):
            pen.status()


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """As in a terminal: a shell that starts something in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_during_a_call_sends_stop(served: Served) -> None:
    with connected(served) as pen:
        served.pen.silent_to(GetStatus)
        interrupt = threading.Timer(0.2, _thread.interrupt_main)
        interrupt.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            pen.request(GetStatus(), within_s=30)
        assert time.monotonic() - began < 5
        interrupt.join()
        served.pen.scripts.clear()
        pen.status()
        assert served.pen.stops() == 1


@pytest.mark.sr("SR-STOP-4", side="host")
def test_what_ctrl_c_leaves_behind_is_ended_before_the_loop_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connect that is interrupted has a link to end, which takes some turns of the loop."""
    begun, ended = threading.Event(), threading.Event()

    async def connect() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            ended.set()

    def interrupted(*_: object) -> None:
        assert begun.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr("dermalink.sync.wait_for", interrupted)
    thread = LoopThread()
    with pytest.raises(KeyboardInterrupt):
        thread.call(connect())
    thread.end()
    assert ended.is_set()


def test_a_pen_that_is_forgotten_is_stopped_and_closed(served: Served) -> None:
    pen = SyncPen.connect(served.url, journal=MemoryJournal())
    pen.look()
    pen.apply(pen.gate.open_session())
    del pen
    gc.collect()
    assert served.hung_up.wait(5)
    assert served.pen.stops() == 1


SCRIPT = """
import sys
from dermalink.journal import MemoryJournal
from dermalink.sync import LoopThread, SyncPen
pen = SyncPen.connect(sys.argv[1], journal=MemoryJournal())
pen.look()
pen.apply(pen.gate.open_session())
"""


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "1 / 0"])
def test_a_script_that_ends_with_the_pen_open_stops_it(served: Served, ending: str) -> None:
    subprocess.run(
        [sys.executable, "-c", SCRIPT + ending, served.url], check=False, timeout=20, stderr=subprocess.DEVNULL
    )
    assert served.hung_up.wait(5)
    assert served.pen.stops() == 1
