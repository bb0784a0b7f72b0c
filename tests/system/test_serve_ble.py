"""`dermalink-sim serve --ble` as a process, and hosts in other processes that are the radio's other end."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dermalink_protocol.advertising import read_advertised
from dermalink_protocol.channels import READABLES, SERIAL_NUMBER, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.messages import identity, stop
from dermalink_simulator.cli.exit_codes import ExitCode
from dermalink_simulator.doors.ble_radio import COMMAND_S
from dermalink_simulator.pen import serial_number
from dermalink_simulator.radio.corrections import static_address
from dermalink_simulator.radio.transports import open_controller
from tests.support.running import in_real_time
from tests.system.test_serve import POSIX, SIMULATOR, WITHIN_S, Served, refused, serve
from tests.unit.doors.ble_central import RawCentral, central_device

ROOM = ("--ble", "tcp-server:127.0.0.1:0")
RADIO = (*ROOM, "--air", "perfect")
ADDRESS = static_address(f"pen/{serial_number(0)}")
SOON_S = 20.0  # under a second on an idle machine


@asynccontextmanager
async def central(served: Served, number: int = 1) -> AsyncIterator[RawCentral]:
    """A host with a radio of its own, not yet connected."""
    async with open_controller(served.ready["radio"]) as pair:
        device = central_device(pair.source, pair.sink, number)
        await device.power_on()
        host = RawCentral(device, None)
        try:
            yield host
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await host.disconnect()


def test_it_says_how_to_be_reached_in_json_and_in_words() -> None:
    with serve(*RADIO, "--tcp", "127.0.0.1:0") as served:
        tcp, ble = served.ready["urls"]
        assert tcp.startswith("tcp:127.0.0.1:")
        assert served.ready["radio"].startswith("tcp-client:127.0.0.1:")
        assert ble == f"ble:{serial_number(0)}?radio={served.ready['radio']}"
    command = [*SIMULATOR, "serve", *RADIO]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
    assert f"'ble:{serial_number(0)}?radio=tcp-client:127.0.0.1:" in lines[1]
    assert "export DERMALINK_RADIO=tcp-client:127.0.0.1:" in lines[2]


@in_real_time
async def test_a_host_in_another_process_finds_reads_asks_and_stops_it() -> None:
    with serve(*RADIO, "--control", "127.0.0.1:0") as served:
        async with central(served) as host:
            heard: list[bytes] = []
            host.device.host.on("advertising_report", lambda report: heard.append(report.data))
            await host.device.start_scanning(active=True)
            async with asyncio.timeout(SOON_S):
                while len(set(heard)) < 2:  # noqa: ASYNC110 (it belongs to another process)
                    await asyncio.sleep(0.05)
            await host.device.stop_scanning()
            assert {read_advertised(*data).serial_number for data in ([one] for one in heard)} == {"", serial_number(0)}
            await host.connect(ADDRESS, 247)
            for one in READABLES:
                assert await host.read(one.uuid16)
            await host.subscribe(*Channel)
            reply = await host.hello()
            assert reply.serial_number.rstrip(b"\0").decode() == serial_number(0)
            await host.wait_for(State.IDLE, within_s=SOON_S)
            assert isinstance(await host.answer_to(host.stop_now()), stop.Stopped)
            with served.control() as control:
                assert control.do("truth")["needles_out"] is False


@in_real_time
async def test_a_host_that_dies_ends_its_link_and_the_next_one_finds_the_pen() -> None:
    with serve(*ROOM) as served:
        for number in (1, 1):
            async with open_controller(served.ready["radio"]) as pair:
                device = central_device(pair.source, pair.sink, number)
                await device.power_on()
                host = RawCentral(device, None)
                await host.connect(ADDRESS, 247)
                assert await host.read(SERIAL_NUMBER) == serial_number(0).encode()
                # Killed: its socket goes, and nothing is said over the air.
        async with central(served) as host:
            await host.connect(ADDRESS, 247)
            assert await host.read(SERIAL_NUMBER) == serial_number(0).encode()


@in_real_time
async def test_power_is_cut_and_restored_behind_the_radio() -> None:
    with serve(*RADIO, "--control", "127.0.0.1:0") as served, served.control() as control:
        async with central(served) as host:
            await host.connect(ADDRESS, 247)
            control.do("power.cut")
            await host.until_ended(SOON_S)
        control.do("power.restore")
        async with central(served, 2) as host:
            await host.connect(ADDRESS, 247)
            await host.subscribe(*Channel)
            assert isinstance(await host.ask(identity.GetStatus()), identity.Status)


@pytest.mark.sr("SR-STOP-4", side="pen")
@in_real_time
async def test_two_hosts_at_once_and_either_can_stop() -> None:
    with serve(*RADIO) as served:
        async with central(served, 1) as one, central(served, 2) as other:
            await one.connect(ADDRESS, 185)
            await other.connect(ADDRESS, 23)
            for host in (one, other):
                await host.subscribe(*Channel)
                await host.hello()
            for host in (other, one):
                assert isinstance(await host.answer_to(host.stop_now()), stop.Stopped)


@POSIX
@in_real_time
async def test_it_ends_as_told_with_a_host_connected() -> None:
    import signal

    with serve(*RADIO) as served:
        async with central(served) as host:
            await host.connect(ADDRESS, 247)
            started = time.monotonic()
            code, out, err = await asyncio.to_thread(served.end, signal.SIGTERM)
            assert (code, err) == (ExitCode.DONE, "")
            assert json.loads(out.splitlines()[-1])["event"] == "ending"
            assert time.monotonic() - started < WITHIN_S / 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ble", "tcp-server:0.0.0.0:0"), "--beyond-this-machine"),
        (("--ble", "ws-server:0.0.0.0:0", "--beyond-this-machine"), "what may listen there if you mean it"),
        (("--ble", "tcp-client:127.0.0.1:1"), "can't be opened; Connection refused. Is it plugged in"),
        (("--ble", "hci-socket:99"), "not opened"),
    ],
)
def test_a_radio_that_can_not_be_is_a_sentence_and_a_code(words: tuple[str, ...], said: str) -> None:
    code, err = refused("serve", *words)
    assert (code, said in err) == (ExitCode.DOOR, True), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ble", "radio"), "tcp-server:HOST:PORT"),
        (("--ble", ""), "it is empty"),
        (("--ble", "tcp-server:127.0.0.1"), "'127.0.0.1' has no port"),
        (("--ble", "ws-server:127.0.0.1:abc"), "'abc' is no port"),
        (("--ble", "usb:[mtu=23]0"), "'mtu' is an option of a host's radio, and here there is driver alone"),
        (("--ble", "usb:first"), "'first' is neither a number nor"),
        (("--ble", "air:bench"), "hosts in the same process, and here are none"),
        (("--ble", "usb:0", "--air", "room"), "Leave --air away"),
        (("--ble", "tcp-server::0", "--air", "vacuum"), "there are perfect, room"),
    ],
)
def test_a_slip_of_the_keyboard_is_one_of_usage(words: tuple[str, ...], said: str) -> None:
    code, err = refused("serve", *words)
    assert (code, said in err) == (ExitCode.USAGE, True), err
    assert "Is it plugged in" not in err


@pytest.mark.parametrize("kind", ["tcp-server", "ws-server"])
def test_the_port_that_the_system_chose_is_said_and_one_that_is_taken_as_well(kind: str) -> None:
    with serve("--ble", f"{kind}:127.0.0.1:0") as served:
        host, _, port = served.ready["radio"].rpartition(":")
        assert int(port) > 0
        assert served.ready["urls"] == [f"ble:{serial_number(0)}?radio={host}:{port}"]
        code, err = refused("serve", "--ble", f"{kind}:127.0.0.1:{port}")
        assert (code, "another program listens there" in err) == (ExitCode.DOOR, True), err


@POSIX
def test_it_ends_as_told_while_its_radio_is_still_being_opened() -> None:
    import signal

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(WITHIN_S)
        spec = f"tcp-client:127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen([*SIMULATOR, "serve", "--ble", spec], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            controller, _ = silent.accept()
            with controller:
                assert controller.recv(1)  # it is reset, and waits for an answer, for 5 s
                started = time.monotonic()
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=WITHIN_S)
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, err) == (ExitCode.DONE, b"")
    assert out.decode().splitlines() == ["dermalink-sim: ending, as told"]
    assert time.monotonic() - started < COMMAND_S / 2


def test_an_air_without_a_radio_is_no_command_line() -> None:
    code, err = refused("serve", "--air", "room")
    assert (code, "--ble" in err) == (ExitCode.USAGE, True)


def test_without_bumble_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['bumble'] = None\n"
    script += "import importlib.util as u; find = u.find_spec\n"
    script += "u.find_spec = lambda name, *rest: None if name == 'bumble' else find(name, *rest)\n"
    script += "from dermalink_simulator.cli.start import main\n"
    script += "sys.argv = ['dermalink-sim', 'serve', '--ble', 'tcp-server:127.0.0.1:0']\nraise SystemExit(main())"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == ExitCode.DOOR
    assert 'pip install "dermalink[simulator]"' in ended.stderr
    assert "Traceback" not in ended.stderr
