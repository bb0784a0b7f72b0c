"""Finding pens by asking, and connecting again."""

import asyncio
from typing import Any

import pytest

import dermalink.discovery
from dermalink.discovery import discover, serial_urls
from dermalink.errors import CannotOpen, IncompatiblePen, LinkLost, NoSuchPort, PortBusy, Timeout
from dermalink.links.stream import StreamLink
from dermalink.pen import Pen
from dermalink.reconnect import FIRST_S, LONGEST_S, Backoff, Reconnector
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.identity import Hello, HelloReply
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_real_time, in_virtual_time
from tests.unit.host.scripted_pen import SERIAL, ScriptedPen, connect_to


class Ports:
    """Ports by URL: each a scripted pen, or the error that opening gives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pens: dict[str, ScriptedPen | Exception | None] = {}
        monkeypatch.setattr(dermalink.discovery, "open_link", self.open)

    async def open(self, url: str) -> StreamLink:
        there = self.pens[url]
        if isinstance(there, Exception):
            raise there
        if there is None:
            await asyncio.Event().wait()
        assert isinstance(there, ScriptedPen)
        return StreamLink(there.pipe, url)


def silent() -> ScriptedPen:
    pen = ScriptedPen(MemoryPipe())
    pen.silent_to(Hello)
    return pen


def old() -> ScriptedPen:
    pen = ScriptedPen(MemoryPipe())
    pen.hello["protocol_version"] = 9
    return pen


@in_virtual_time
async def test_every_port_is_asked_at_once_and_a_broken_one_stops_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Ports(monkeypatch)
    ports.pens = {
        "serial:A": ScriptedPen(MemoryPipe()),
        "serial:B": PortBusy("held"),
        "serial:C": None,
        "serial:D": silent(),
        "serial:E": ScriptedPen(MemoryPipe()),
        "serial:F": old(),
    }
    found = await discover(ports.pens)
    assert asyncio.get_running_loop().time() <= 2.5
    assert [(pen.url, pen.hello.serial_number[:11]) for pen in found.pens] == [
        ("serial:A", SERIAL.encode()),
        ("serial:E", SERIAL.encode()),
    ]
    assert [(other.url, type(other.why)) for other in found.others] == [
        ("serial:B", PortBusy),
        ("serial:C", CannotOpen),
        ("serial:D", Timeout),
        ("serial:F", IncompatiblePen),
    ]
    assert all(pen.pipe.closes == 1 for pen in ports.pens.values() if isinstance(pen, ScriptedPen))


@in_virtual_time
async def test_asking_changes_nothing_in_a_pen(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Ports(monkeypatch)
    pen = ScriptedPen(MemoryPipe())
    ports.pens = {"serial:A": pen}
    await discover(["serial:A", "serial:A"])
    assert [type(each) for each in pen.seen] == [Hello]


@in_real_time
async def test_the_systems_ports_are_listed() -> None:
    assert all(url.startswith("serial:") for url in await serial_urls())


# Connecting again


class Coming:
    """A pen that is there at some tries; each try and each close is noted."""

    def __init__(self, *tries: Exception | None) -> None:
        self.tries = list(tries)
        self.at: list[float] = []
        self.closed = 0

    async def connect(self) -> "Coming":
        self.at.append(asyncio.get_running_loop().time())
        error = self.tries.pop(0) if self.tries else None
        if error is not None:
            raise error
        return self

    async def close(self) -> None:
        self.closed += 1


def test_pauses_double_up_to_a_longest() -> None:
    backoff = Backoff()
    pauses = [backoff.next_s() for _ in range(9)]
    assert pauses[0] == FIRST_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S
    backoff.reset()
    assert backoff.next_s() == FIRST_S


@in_virtual_time
async def test_an_absent_pen_is_tried_again_with_growing_pauses() -> None:
    coming = Coming(*[NoSuchPort("gone")] * 7)
    told: list[float] = []
    async for connected in Reconnector(coming.connect, on_failure=lambda _, pause: told.append(pause)):
        assert connected is coming
        break
    assert told == [0.25, 0.5, 1, 2, 4, 8, 8]
    assert [later - earlier for earlier, later in zip(coming.at, coming.at[1:], strict=False)] == told


@in_virtual_time
async def test_each_turn_is_a_new_connection_and_the_old_one_is_closed() -> None:
    coming = Coming()
    turns = 0
    async for _ in Reconnector(coming.connect):
        assert coming.closed == turns
        turns += 1
        if turns == 3:
            break
        await asyncio.sleep(60)
    await asyncio.sleep(0)
    assert len(coming.at) == 3


async def first(reconnector: Reconnector[Coming]) -> Coming:
    """What it connects to first."""
    async for connected in reconnector:
        return connected
    raise AssertionError("it ended without an error")


@in_virtual_time
async def test_it_gives_up_when_told_to_and_at_once_on_what_waiting_does_not_mend() -> None:
    coming = Coming(*[LinkLost("gone")] * 9)
    with pytest.raises(LinkLost):
        await first(Reconnector(coming.connect, tries=3))
    assert len(coming.at) == 3
    refused = Coming(IncompatiblePen("too new"))
    with pytest.raises(IncompatiblePen):
        await first(Reconnector(refused.connect))


@in_virtual_time
async def test_a_connection_that_breaks_at_once_is_not_hammered() -> None:
    coming = Coming()
    async for _ in Reconnector(coming.connect):
        if len(coming.at) == 6:
            break
    assert coming.at[-1] >= 0.25 + 0.5 + 1 + 2 + 4


@pytest.mark.sr("SR-STOP-5", side="host")
@in_virtual_time
async def test_connecting_again_resumes_nothing() -> None:
    scripts: list[ScriptedPen] = []

    async def connect() -> Pen:
        scripts.append(ScriptedPen(MemoryPipe()))
        return await connect_to(scripts[-1])

    async for pen in Reconnector(connect):
        scripts[-1].pipe.cut()
        await pen.connection.wait_ended()
        if len(scripts) == 4:
            break
    sent: list[Any] = [each for script in scripts for each in script.seen]
    assert not [each for each in sent if isinstance(each, therapy.TherapyCommand | therapy.RenewLease)]
    assert not [each for each in sent if isinstance(each, HelloReply)]
