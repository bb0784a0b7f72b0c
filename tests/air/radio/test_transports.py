"""Controllers by name: found in this process, served to hosts elsewhere, and typed errors for what is not there."""

import asyncio
import contextlib
import errno
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from bumble import hci
from bumble.device import Device
from bumble.transport.common import TransportInitError

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.air import PERFECT
from dermalink_simulator.radio import corrections, listening, transports
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.bleak_options import read_options
from dermalink_simulator.radio.corrections import make_device, static_address, switch_on
from dermalink_simulator.radio.errors import (
    BadRadioSpec,
    BeyondThisMachine,
    BumbleMissing,
    NoSuchRadio,
    RadioError,
    RadioGone,
)
from dermalink_simulator.radio.served import Served
from dermalink_simulator.radio.spaces import find_air, published_air
from dermalink_simulator.radio.transports import open_controller, serve_controllers
from tests.air.radio.rig import PEN_ADDRESS, advertise, bare, initiate, linked
from tests.support.running import in_real_time, in_virtual_time

RESET = bytes(hci.HCI_Reset_Command())
WAIT_S = 10.0


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not what():  # noqa: ASYNC110 (what is waited for is in another place each time)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def served(air: Air, spec: str = "tcp-server:127.0.0.1:0") -> AsyncIterator[tuple[Served, str, int]]:
    async with serve_controllers(spec, air) as all_of_it:
        host, port = all_of_it.reach.removeprefix("tcp-client:").rsplit(":", 1)
        yield all_of_it, host, int(port)


@contextlib.asynccontextmanager
async def host_on(spec: str, name: str) -> AsyncIterator[Device]:
    async with open_controller(spec) as (source, sink):
        device = make_device(name, static_address(name), source, sink)
        await switch_on(device)
        yield device


# In this process


@in_virtual_time
async def test_an_air_of_this_process_is_found_by_its_name() -> None:
    air = Air()
    with published_air("room", air):
        advertise(bare("pen", air, PEN_ADDRESS))
        async with host_on("air:room", "host") as host:
            connection = await host.connect(PEN_ADDRESS, timeout=5.0)
            assert connection.peer_address == PEN_ADDRESS
            assert len(air.members) == 2
        assert len(air.members) == 1
    with pytest.raises(NoSuchRadio, match="airs of this process: none"):
        find_air("room")
    air.close()


@pytest.mark.asyncio
async def test_a_name_is_given_once_and_can_be_read() -> None:
    air = Air()
    with published_air("one", air):
        with pytest.raises(BadRadioSpec, match="another one has that name"), published_air("one", Air()):
            pass
        assert find_air("one") is air
        with pytest.raises(NoSuchRadio, match="airs of this process: one"):
            find_air("two")
    for wrong in ("", " ", "a\n", "x" * 65):
        with pytest.raises(BadRadioSpec), published_air(wrong, air):
            pass


@in_virtual_time
async def test_an_air_that_closes_is_a_transport_that_is_lost() -> None:
    air = Air()
    with published_air("room", air):
        async with host_on("air:room", "host") as host:
            lost: list[None] = []
            host.on(Device.EVENT_FLUSH, lambda: lost.append(None))
            air.close()
            await asyncio.sleep(1)
            assert lost == [None]


# What is no radio, or is not there


@pytest.mark.parametrize(
    "spec", ["", "nothing", "nothing:1", "tcp-server:127.0.0.1:0", "vhci", "pty:x", "ws-server:_:1"]
)
def test_what_leads_to_no_controller_is_refused(spec: str) -> None:
    async def run() -> None:
        with pytest.raises(BadRadioSpec) as wrong:
            async with open_controller(spec):
                pass
        assert isinstance(wrong.value, RadioError)
        assert isinstance(wrong.value, DermalinkError)
        assert wrong.value.limit
        assert wrong.value.advice

    in_real_time(run)()


@pytest.mark.parametrize(
    "spec", ["tcp-client:127.0.0.1:1", "tcp-client:nowhere:1", "serial:/nowhere", "file:/nowhere", "usb:ffff:ffff"]
)
def test_a_controller_that_is_not_there_is_an_error_that_says_so(spec: str) -> None:
    async def run() -> None:
        with pytest.raises(NoSuchRadio) as wrong:
            async with open_controller(spec):
                pass
        assert wrong.value.limit

    in_real_time(run)()


@pytest.mark.parametrize("kind", ["a file that holds data", "a folder"])
def test_a_file_that_is_no_device_is_said_in_words_and_never_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "radio"
    path.touch() if kind.startswith("a file") else path.mkdir()

    async def run() -> None:
        with pytest.raises(NoSuchRadio, match=f"{path} is {kind}, no device. Name a device") as wrong:
            async with open_controller(f"file:{path}"):
                pass
        assert "Pipe" not in str(wrong.value)

    in_real_time(run)()


@in_real_time
async def test_opening_ends_within_its_time() -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bumble.transport.open_transport", never)
        patched.setattr(transports, "OPEN_S", 0.05)
        with pytest.raises(NoSuchRadio, match="did not answer within"):
            async with open_controller("usb:0"):
                pass


class USBErrorAccess(Exception):
    """As libusb's binding calls it."""


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("hci-socket:1", OSError(errno.EBUSY, "x"), "hci1 is held by bluetoothd, or is up. Run: sudo systemctl stop"),
        ("hci-socket:0", OSError(errno.EPERM, "x"), "CAP_NET_ADMIN"),
        (
            "hci-socket:0",
            Exception("Bluetooth HCI sockets not supported on this platform"),
            "serve a pen by tcp-server",
        ),
        ("usb:0", USBErrorAccess("-3"), "this user may not open that USB device"),
        ("usb:0", TransportInitError("device not found"), "there is no such USB device"),
        ("android-netsim", ImportError("No module named 'grpc'"), "it needs grpcio. Run: pip install"),
        ("serial:/x", OSError(errno.ENOENT, "port [Errno 2]"), "; No such file or directory. Is it plugged in"),
        ("tcp-client:x:1", socket.gaierror(-2, "no such name"), "; no such name. Is it plugged in"),
        ("file:/x", ValueError("for pipes only."), "; for pipes only. Is it plugged in"),
        ("udp::0,x:1", ZeroDivisionError(), "; ZeroDivisionError. Is it plugged in"),
    ],
)
def test_why_it_was_not_opened_is_said_in_words_on_either_side(spec: str, error: Exception, says: str) -> None:
    async def broken(_: str) -> None:
        raise error

    async def run() -> None:
        with pytest.raises(NoSuchRadio) as caught:
            async with open_controller(spec):
                pass
        assert says in str(caught.value)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bumble.transport.open_transport", broken)
        in_real_time(run)()


def test_bumbles_log_is_on_nobodys_screen_who_did_not_ask_for_it() -> None:
    script = (
        "import logging, dermalink_simulator.radio.transports\n"
        "logging.getLogger('bumble.transport.serial').warning('could not assert DTR')"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize("spec", ["", "usb:0", "air:x", "ws-client:ws://127.0.0.1:1", "tcp-client:127.0.0.1:1"])
def test_what_no_host_comes_to_is_refused(spec: str) -> None:
    async def run() -> None:
        with pytest.raises(BadRadioSpec, match="tcp-server"):
            async with serve_controllers(spec, Air()):
                pass

    in_real_time(run)()


@pytest.mark.parametrize("kind", ["tcp-server", "ws-server"])
@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:0", "_:0", "[::]:0", "example.com:0"])
def test_only_this_machine_is_listened_on(kind: str, address: str) -> None:
    async def run() -> None:
        with pytest.raises(BeyondThisMachine, match="other machines"):
            async with serve_controllers(f"{kind}:{address}", Air()):
                pass

    in_real_time(run)()


@pytest.mark.parametrize("kind", ["tcp-server", "ws-server"])
def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(kind: str) -> None:
    async def run() -> None:
        async with served(Air()) as (_, host, port):
            before = asyncio.all_tasks()
            with pytest.raises(NoSuchRadio, match="another program listens there"):
                async with serve_controllers(f"{kind}:{host}:{port}", Air()):
                    pass
            assert asyncio.all_tasks() == before

    in_real_time(run)()


@pytest.mark.parametrize(
    ("spec", "reach"),
    [
        ("tcp-server:localhost:0", "tcp-client:127.0.0.1:"),
        ("tcp-server::0", "tcp-client:127.0.0.1:"),
        ("tcp-server:[::1]:0", "tcp-client:[::1]:"),
        ("ws-server:127.0.0.1:0", "ws-client:ws://127.0.0.1:"),
        ("ws-server:localhost:0", "ws-client:ws://127.0.0.1:"),
        ("ws-server:[::1]:0", "ws-client:ws://[::1]:"),
    ],
)
def test_what_a_host_is_told_leads_to_the_port_that_the_system_chose(spec: str, reach: str) -> None:
    async def run() -> None:
        air = Air(PERFECT)
        pen = bare("pen", air, PEN_ADDRESS)
        async with serve_controllers(spec, air) as all_of_it:
            assert all_of_it.reach.startswith(reach)
            advertise(pen, interval=32)
            async with host_on(read_options(all_of_it.reach).transport, "host") as host:
                await host.connect(PEN_ADDRESS, timeout=WAIT_S)
        air.close()

    if "::1" in spec:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    in_real_time(run)()


@pytest.mark.skipif(sys.platform == "win32", reason="no PTY there")
def test_a_link_to_a_terminal_is_made_only_where_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")

    async def run() -> None:
        for path, why in [("mine", "lies there already"), ("nowhere/radio", "no folder")]:
            with pytest.raises(NoSuchRadio, match=why):
                async with serve_controllers(f"pty:{tmp_path / path}", Air()):
                    pass

    in_real_time(run)()
    assert (tmp_path / "mine").read_text() == "kept"


def test_on_windows_there_are_no_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NoSuchRadio, match="Windows has no pseudo-terminals"):
        listening.must_have_room("radio")


@in_real_time
async def test_a_socket_for_datagrams_is_closed_at_once() -> None:
    loop = asyncio.get_running_loop()
    async with open_controller("udp:127.0.0.1:0,127.0.0.1:9"):
        began = loop.time()
    assert loop.time() - began < transports.CLOSE_S / 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="said by its own sentence elsewhere")
def test_without_the_kernels_module_it_says_what_to_load(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(NoSuchRadio, match="modprobe hci_vhci"):
            async with serve_controllers(f"vhci:{tmp_path / 'vhci'}", Air()):
                pass
        (tmp_path / "vhci").mkdir()  # cannot be opened, whoever asks
        with pytest.raises(NoSuchRadio, match="run as root"):
            async with serve_controllers(f"vhci:{tmp_path / 'vhci'}", Air()):
                pass

    in_real_time(run)()


def test_elsewhere_than_on_linux_there_are_no_virtual_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NoSuchRadio, match="Linux's alone"):
        listening.must_have_vhci("/dev/vhci")


def test_without_bumble_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BumbleMissing, match=r'pip install "dermalink\[simulator\]"'):
        transports.must_have_bumble()


def test_neither_the_command_line_nor_the_specifications_bring_bumble_in() -> None:
    script = (
        "import sys, dermalink_simulator.cli.start, dermalink_simulator.cli.app, dermalink_simulator.faults\n"
        "import dermalink_simulator.pen, dermalink_simulator.radio.transports, dermalink_simulator.radio.spaces\n"
        "sys.exit('bumble' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


# Hosts in other processes


@in_real_time
async def test_each_client_has_a_controller_of_its_own_and_finds_the_pen() -> None:
    air = Air()
    pen = bare("pen", air, PEN_ADDRESS)
    async with served(air) as (all_of_it, _, _):
        advertise(pen, interval=32)
        async with host_on(all_of_it.reach, "first") as first, host_on(all_of_it.reach, "second") as second:
            assert len(all_of_it.controllers) == 2
            await first.connect(PEN_ADDRESS, timeout=WAIT_S)
            pen.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
            connection = await second.connect(PEN_ADDRESS, timeout=WAIT_S)
            connection.send_l2cap_pdu(4, b"x" * 400)
            await until(lambda: sum(map(len, pen.received)) == 404)
            assert len(pen.connected) == 2
        await until(lambda: sorted(pen.ended) == [0x08, 0x08])
        assert all_of_it.controllers == []
    air.close()


@in_real_time
async def test_a_client_that_dies_ends_its_links_and_the_next_one_finds_the_pen() -> None:
    air = Air()
    pen = bare("pen", air, PEN_ADDRESS)
    async with served(air) as (all_of_it, _, _):
        for number in range(10):
            advertise(pen, interval=32)
            async with host_on(all_of_it.reach, f"host {number}") as host:
                await host.connect(PEN_ADDRESS, timeout=WAIT_S)
                stream = host.host.hci_sink.transport  # type: ignore[union-attr]
                stream.abort()
            await until(lambda expected=number + 1: len(pen.ended) == expected)  # type: ignore[misc]
    assert pen.ended == [0x08] * 10
    assert air.members == [pen.controller]
    air.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00",
        b"GET / HTTP/1.0\r\n\r\n",
        bytes(hci.HCI_Reset_Command()) + b"\xff",
        b"\x04\x0e\x00",  # an event, which no host sends
        b"\x01\x03\x0c\x00\x02\x00\x00\x00\x00",  # a data packet without data
        b"\x01\x0d\x20\x02\x00\x00",  # a command that is cut short
    ],
)
def test_garbage_ends_the_client_that_sends_it_and_nobody_else(garbage: bytes) -> None:
    async def run() -> None:
        air = Air()
        async with served(air) as (all_of_it, host, port), host_on(all_of_it.reach, "sound") as sound:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(garbage)
            async with asyncio.timeout(WAIT_S):
                with contextlib.suppress(ConnectionError):
                    while await reader.read(1_000):
                        pass
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            await until(lambda: len(all_of_it.controllers) == 1)
            await sound.send_sync_command(hci.HCI_Read_BD_ADDR_Command())
        air.close()

    in_real_time(run)()


@in_real_time
async def test_a_packet_in_pieces_is_a_packet() -> None:
    air = Air()
    async with served(air) as (_, host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for byte in RESET:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)
        async with asyncio.timeout(WAIT_S):
            assert await reader.readexactly(7) == b"\x04\x0e\x04\x01\x03\x0c\x00"
        writer.close()
        await writer.wait_closed()
    air.close()


@in_real_time
async def test_a_client_that_never_reads_is_let_go() -> None:
    air = Air()
    asked = bytes(hci.HCI_Read_Local_Supported_Commands_Command())
    loop = asyncio.get_running_loop()
    async with served(air) as (all_of_it, host, port):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            await loop.sock_connect(client, (host, port))
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(WAIT_S):
                    while True:
                        await loop.sock_sendall(client, asked * 100)
            await until(lambda: not all_of_it.controllers)
    air.close()


@in_real_time
async def test_more_clients_than_there_is_room_for_are_turned_away() -> None:
    air = Air()
    async with served(air) as (all_of_it, host, port):
        streams = [await asyncio.open_connection(host, port) for _ in range(16 + 1)]
        await until(lambda: all_of_it.turned_away == 1)
        assert len(all_of_it.controllers) == 16
        for _, writer in streams:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    air.close()


@in_real_time
async def test_closing_hangs_up_on_everybody_and_a_host_is_told() -> None:
    air = Air()
    async with contextlib.AsyncExitStack() as stack:
        all_of_it, _, _ = await stack.enter_async_context(served(air))
        async with host_on(all_of_it.reach, "host") as host:
            lost: list[None] = []
            host.on(Device.EVENT_FLUSH, lambda: lost.append(None))
            await stack.aclose()
            await until(lambda: bool(lost))
    assert air.members == []
    air.close()


@in_real_time
async def test_a_far_end_that_takes_the_connection_and_never_answers_is_an_error_within_its_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(corrections, "POWER_ON_S", 0.1)
        with pytest.raises(RadioGone, match="did not answer"):
            async with host_on(f"tcp-client:127.0.0.1:{port}", "host"):
                pass
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="no PTY there")
def test_a_host_at_the_far_end_of_a_pty_finds_the_pen(tmp_path: Path) -> None:
    async def run() -> None:
        air, path = Air(PERFECT), tmp_path / "radio"
        pen = bare("pen", air, PEN_ADDRESS)
        async with serve_controllers(f"pty:{path}", air):
            advertise(pen, interval=32)
            async with host_on(f"serial:{path}", "host") as host:
                await host.connect(PEN_ADDRESS, timeout=WAIT_S)
            async with host_on(f"serial:{path}", "next") as host:  # whose reset ends the link of the one before
                await until(lambda: pen.ended == [0x08])
                pen.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
                await host.connect(PEN_ADDRESS, timeout=WAIT_S)
        assert not path.exists()
        air.close()

    in_real_time(run)()


def test_a_host_at_the_far_end_of_a_websocket_finds_the_pen_and_nothing_listens_afterwards() -> None:
    async def run() -> None:
        air, port = Air(PERFECT), free_port()
        pen = bare("pen", air, PEN_ADDRESS)
        async with serve_controllers(f"ws-server:127.0.0.1:{port}", air):
            advertise(pen, interval=32)
            async with host_on(f"ws-client:ws://127.0.0.1:{port}", "host") as host:
                await host.connect(PEN_ADDRESS, timeout=WAIT_S)
        with pytest.raises(NoSuchRadio):
            async with open_controller(f"ws-client:ws://127.0.0.1:{port}"):
                pass
        air.close()

    in_real_time(run)()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@in_virtual_time
async def test_a_flood_of_advertisements_changes_no_link() -> None:
    pair = await linked()
    others = [bare(f"other {number}", pair.air, static_address(f"other {number}")) for number in range(20)]
    for other in others:
        advertise(other, interval=32)
    initiate(pair.host, static_address("nobody"))
    for number in range(100):
        pair.host.data(pair.to_pen, b"%d" % number)
        await asyncio.sleep(0.01)
    assert pair.pen.received == [b"%d" % number for number in range(100)]
    pair.air.close()
