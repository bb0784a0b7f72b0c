"""The TCP door: one port of the pen for each client, no delay, bounded, and nothing left when it closes."""

import asyncio
import contextlib
import socket

import pytest

from dermalink_simulator.doors.address import Address, parse_address
from dermalink_simulator.doors.errors import AddressRefusedError, AddressTakenError
from dermalink_simulator.doors.tcp import CLIENTS_MAX, UNREAD_BYTES, TcpDoor
from dermalink_simulator.runner import PenRunner
from tests.unit.doors.echo_pen import EchoPen, until

pytestmark = pytest.mark.asyncio
ANY_PORT = Address("127.0.0.1", 0)


async def let_go(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_port_0_is_answered_with_a_real_one_and_the_url_says_it() -> None:
    runner = PenRunner(EchoPen())
    door = await TcpDoor.open(runner, ANY_PORT)
    assert door.address.port > 0
    assert door.url == f"tcp:127.0.0.1:{door.address.port}"
    await door.close()
    await door.close()
    runner.stop()


async def test_several_clients_have_each_a_port_of_the_pen() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, ANY_PORT)
    clients = [await asyncio.open_connection(*door.address) for _ in range(3)]
    for number, (_, writer) in enumerate(clients):
        writer.write(b"client %d" % number)
    for number, (reader, _) in enumerate(clients):
        assert await reader.readexactly(8) == b"client %d" % number
    assert len(pen.ports) == 3
    await let_go(clients[1][1])
    await until(lambda: pen.ports[1].closed)
    assert [port.ends for port in pen.ports] == [0, 1, 0]
    await door.close()
    assert [port.ends for port in pen.ports] == [1, 1, 1]
    for number in (0, 2):
        await let_go_of_a_dead_one(*clients[number])
    runner.stop()


async def let_go_of_a_dead_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The far end hung up: reading says so, and closing is free."""
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_more_clients_than_the_door_takes_are_turned_away_and_the_others_served() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, ANY_PORT)
    clients = [await asyncio.open_connection(*door.address) for _ in range(CLIENTS_MAX)]
    one_more = await asyncio.open_connection(*door.address)
    await let_go_of_a_dead_one(*one_more)
    assert door.turned_away == 1
    clients[0][1].write(b"still here")
    assert await clients[0][0].readexactly(10) == b"still here"
    await let_go(clients[0][1])
    await until(lambda: pen.ports[0].ends)
    late = await asyncio.open_connection(*door.address)
    late[1].write(b"x")
    assert await late[0].readexactly(1) == b"x"
    await door.close()
    for client in (*clients[1:], late):
        await let_go_of_a_dead_one(*client)
    runner.stop()


@pytest.mark.sr("SR-SEC-5", side="pen")
async def test_a_flood_on_other_clients_gets_in_by_a_few_frames_before_a_stop() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, ANY_PORT)
    sockets = [socket.create_connection(door.address) for _ in range(7)]
    await until(lambda: len(door._clients) == 7)
    for each in sockets[:6]:
        each.setblocking(False)
        each.send(b"f" * 16_384)
    sockets[6].send(b"stop")
    await until(lambda: any(data == b"stop" for _, data in pen.heard))
    before = [data for _, data in pen.heard[: [data for _, data in pen.heard].index(b"stop")]]
    assert sum(map(len, before)) <= 2_000
    for each in sockets:
        each.close()
    await door.close()
    runner.stop()


async def test_small_writes_go_out_at_once() -> None:
    runner = PenRunner(EchoPen())
    door = await TcpDoor.open(runner, ANY_PORT)
    _, writer = await asyncio.open_connection(*door.address)
    await asyncio.sleep(0.01)
    (client,) = door._clients
    assert client._transport is not None
    sock = client._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await let_go(writer)
    await door.close()
    runner.stop()


async def test_a_client_that_does_not_read_costs_bounded_memory_and_holds_up_nobody() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, ANY_PORT)
    slow_reader, slow = await asyncio.open_connection(*door.address)
    slow.write(b"first")
    await slow_reader.readexactly(5)
    slow.transport.pause_reading()  # type: ignore[attr-defined]
    quick_reader, quick = await asyncio.open_connection(*door.address)
    quick.write(b"ready")
    assert await quick_reader.readexactly(5) == b"ready"
    block = bytes(1_000)
    for _ in range(20_000):
        runner.act(lambda: pen.ports[0].say(block))
    port = pen.ports[0]
    assert pen.clogged(0)
    assert port.dropped > 0
    (client,) = (client for client in door._clients if client._port is not None and client._port._port is port)
    assert client._transport is not None
    assert client._transport.get_write_buffer_size() <= UNREAD_BYTES + len(block)
    quick.write(b"and I?")
    assert await quick_reader.readexactly(6) == b"and I?"
    slow.transport.resume_reading()  # type: ignore[attr-defined]
    left = 20_000 * len(block) - port.dropped
    async with asyncio.timeout(5):
        assert len(await slow_reader.readexactly(left)) == left
    assert not pen.clogged(0)
    await let_go(quick)
    slow.transport.abort()
    await door.close()
    await asyncio.gather(slow.wait_closed(), return_exceptions=True)
    runner.stop()


async def test_when_the_pen_hangs_up_the_client_sees_it() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, ANY_PORT)
    reader, writer = await asyncio.open_connection(*door.address)
    writer.write(b"x")
    await reader.readexactly(1)
    runner.act(pen.ports[0].vanish)
    await let_go_of_a_dead_one(reader, writer)
    assert pen.ports[0].ends == 1
    await door.close()
    runner.stop()


async def test_a_pen_that_is_off_answers_nobody() -> None:
    pen = EchoPen()
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, ANY_PORT)
    pen.off = True
    await let_go_of_a_dead_one(*await asyncio.open_connection(*door.address))
    pen.off = False
    reader, writer = await asyncio.open_connection(*door.address)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    await let_go(writer)
    await door.close()
    runner.stop()


async def test_a_port_in_use_is_said() -> None:
    runner = PenRunner(EchoPen())
    door = await TcpDoor.open(runner, ANY_PORT)
    with pytest.raises(AddressTakenError, match="another program listens there") as raised:
        await TcpDoor.open(runner, door.address)
    assert str(door.address) in str(raised.value)
    await door.close()
    runner.stop()


@pytest.mark.parametrize("text", ["0.0.0.0:0", "[::]:0"])
async def test_other_machines_are_let_in_only_when_that_is_said(text: str) -> None:
    runner = PenRunner(EchoPen())
    with pytest.raises(AddressRefusedError, match="--beyond-this-machine"):
        await TcpDoor.open(runner, parse_address(text))
    runner.stop()


async def test_a_machine_that_does_not_exist_is_said() -> None:
    runner = PenRunner(EchoPen())
    with pytest.raises(AddressRefusedError, match="name of no machine"):
        await TcpDoor.open(runner, Address("no such machine.invalid", 0))
    runner.stop()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7321", Address("127.0.0.1", 7321)),
        (":0", Address("127.0.0.1", 0)),
        ("localhost:65535", Address("localhost", 65_535)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
async def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7321",
        "localhost",
        "localhost:",
        "host:65536",
        "host:-1",
        "host:²",
        "a:b:1",
        "::1:80x",
        "host:1.0",
    ],
)
async def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefusedError, match="HOST:PORT"):
        parse_address(text)
