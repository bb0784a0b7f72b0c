"""An owned pen behind its real doors: a stranger writes what he likes to the serial port, the socket, the radio.

He says every command in the clear, as its owner would, and plays a whole session of the owner's back.
"""

import asyncio
import os
import struct
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.refusal import Refused as RefusedMessage
from dermalink_protocol.segmentation import Segmenter
from dermalink_simulator.doors.address import Address
from dermalink_simulator.doors.pty import PtyDoor
from dermalink_simulator.doors.tcp import TcpDoor
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from tests.security.test_raw_strangers import CORNER, REQUESTS, STOPS, would_be_granted
from tests.support import raw_pen as raw
from tests.support.owned import give_owner
from tests.support.raw_pen import frame, unstuff
from tests.support.running import in_real_time, in_virtual_time
from tests.support.sealed_client import SealedClient, inside, owned_pen, owner_of
from tests.unit.doors.ble_central import RawCentral, Refused, bench

DOORS: Final = ["tcp", *([] if sys.platform == "win32" else ["pty"])]
COMMANDS: Final = [each for each in REQUESTS if int(each.opcode) not in STOPS | CORNER]


def evening() -> SealedClient:
    """The owner of a pen like the one behind the door, in a pass; all that he said stands in `sent`."""
    owner = owner_of(owned_pen())
    owner.open()
    owner.run_pass()
    assert owner.pen.motor_turns
    return owner


class Wire(Protocol):
    """The stranger's end of a line."""

    async def write(self, data: bytes) -> None:
        """Send it all."""

    async def read(self) -> bytes:
        """What the pen sends next."""


class Socket:
    """A connection by TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def read(self) -> bytes:
        return await self._reader.read(4_096)


class Terminal:
    """A serial port."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                await asyncio.sleep(0)

    async def read(self) -> bytes:
        while True:
            try:
                return os.read(self._descriptor, 4_096)
            except BlockingIOError:
                await asyncio.sleep(0)


@asynccontextmanager
async def line(door: str, folder: Path) -> AsyncIterator[tuple[SimulatedPen, PenRunner, Wire]]:
    """An owned pen behind a door, and a stranger's line to it."""
    pen = SimulatedPen()
    runner = PenRunner(pen)
    runner.act(lambda: give_owner(pen))
    if door == "tcp":
        tcp = await TcpDoor.open(runner, Address("127.0.0.1", 0))
        host, _, port = tcp.url.removeprefix("tcp:").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield pen, runner, Socket(reader, writer)
        finally:
            writer.close()
            await tcp.close()
            runner.stop()
        return
    pty = await PtyDoor.open(runner, folder / "pen")
    descriptor = os.open(folder / "pen", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield pen, runner, Terminal(descriptor)
    finally:
        os.close(descriptor)
        await pty.close()
        runner.stop()


async def until_answered(wire: Wire, number: int) -> dict[int, tuple[int, bytes]]:
    """Opcode and fields of all that is answered up to the request of that number; nothing is said unasked."""
    told: dict[int, tuple[int, bytes]] = {}
    rest = b""
    while number not in told:
        *runs, rest = (rest + await wire.read()).split(b"\0")
        for plain in map(unstuff, filter(None, runs)):
            opcode, request_id = struct.unpack_from("<HH", plain, 1)
            assert request_id, hex(opcode)
            told[request_id] = opcode, plain[5:-4]
    return told


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", "SR-STOP-4", side="pen")
@pytest.mark.parametrize("door", DOORS)
@in_real_time
async def test_by_serial_port_and_socket_a_stranger_gets_refusals_and_stop(door: str, tmp_path: Path) -> None:
    owner = evening()
    async with line(door, tmp_path) as (pen, runner, wire):
        for number, request in enumerate(COMMANDS, 1):
            channel = int(request.channel or Channel.COMMAND)
            await wire.write(frame(channel, int(request.opcode), number, would_be_granted(owner, request)))
        told = await until_answered(wire, len(COMMANDS))
        for number, request in enumerate(COMMANDS, 1):
            assert struct.unpack("<HHi", told[number][1]) == (int(request.opcode), Reason.NOT_AUTHENTICATED, 0)
        await wire.write(b"".join(owner.sent[2:]))  # without what comes before the seal
        runner.act(pen.button.press)
        await wire.write(frame(raw.ON_STOP, raw.STOP, 900))
        told = await until_answered(wire, 900)
        assert told[900][0] == raw.STOPPED
        assert not runner.act(lambda: pen.motor_turns or pen.skin.punctures)
        port = next(iter(inside(pen).ports.values()))
        assert runner.act(lambda: (inside(pen).state.session_id, port.seal.number)) == (0, 0)
        assert port.dropped > 10


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", "SR-STOP-4", side="pen")
@in_virtual_time
async def test_by_radio_a_stranger_gets_refusals_and_stop() -> None:
    owner = evening()
    async with bench("perfect") as pen:
        pen.runner.act(lambda: give_owner(pen.pen))
        await asyncio.sleep(1)
        async with pen.host(mtu=247) as stranger:
            for channel in Channel:
                await tried(stranger.subscribe(channel))
            segmenters = {channel: Segmenter() for channel in Channel}
            refused = 0
            for number, request in enumerate(COMMANDS, 1):
                channel = Channel(request.channel or Channel.COMMAND)
                body = struct.pack("<HH", int(request.opcode), number) + would_be_granted(owner, request)
                taken = [
                    await tried(stranger.write(stranger.handle(channel), segment))
                    for segment in segmenters[channel].cut(body, stranger.mtu)
                ]
                await asyncio.sleep(0.1)
                reply = stranger.replies.get(number)
                assert reply is None or isinstance(reply, RefusedMessage), reply
                refused += reply is not None or not all(taken)
            assert refused == len(COMMANDS)
            await replayed(stranger, owner)
            pen.runner.act(pen.pen.button.press)
            await asyncio.sleep(1)
            assert not pen.runner.act(lambda: pen.pen.motor_turns or pen.pen.skin.punctures)
            stranger.stop_now()
            await asyncio.sleep(0.2)
            assert pen.runner.act(lambda: inside(pen.pen).state.session_id) == 0


async def tried(work: Awaitable[None]) -> bool:
    """Whether it was taken."""
    try:
        await work
    except Refused:
        return False
    return True


async def replayed(stranger: RawCentral, owner: SealedClient) -> None:
    """All that the owner said, as he said it, on the characteristics."""
    segmenters = {channel: Segmenter() for channel in Channel}
    for data in owner.sent:
        for run in filter(None, data.split(b"\0")):
            plain = unstuff(run)
            channel = Channel(plain[0])
            for segment in segmenters[channel].cut(plain[1:-4], stranger.mtu):
                stranger.write_without_response(stranger.handle(channel), segment)
                await tried(stranger.write(stranger.handle(channel), segment))
