"""`dermalink-sim serve` as a process: it says when it is ready, keeps what it was told, and ends without a trace."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.messages.identity import Capability, GetStatus, Hello, HelloReply
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.schema import Message
from dermalink_simulator.card import card_of
from dermalink_simulator.cli.exit_codes import ExitCode
from dermalink_simulator.control.client import ControlClient, NobodyThereError, RefusedByControlError
from dermalink_simulator.doors.address import parse_address

SIMULATOR = (sys.executable, "-m", "dermalink_simulator.cli.start")
WITHIN_S = 60.0  # a second on an idle machine
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither pseudo-terminals nor SIGTERM")


class Served:
    """A running simulator."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process, self.ready = process, ready

    def control(self) -> ControlClient:
        return ControlClient(*parse_address(self.ready["control"]), within_s=WITHIN_S)

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, out, err


@contextlib.contextmanager
def serve(*options: str) -> Iterator[Served]:
    command = [*SIMULATOR, "serve", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=WITHIN_S)[1]
        yield Served(process, json.loads(line))
    finally:
        process.kill()
        process.communicate(timeout=WITHIN_S)


def refused(*words: str) -> tuple[int, str]:
    """Exit code and error text of a command that can't do what it was asked."""
    ended = subprocess.run([*SIMULATOR, *words], capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def ask(stream: socket.socket, message: Message) -> Message:
    channel = message.channel or Channel.STATUS
    stream.sendall(encode_frame(channel, encode_envelope(Envelope(channel, 1, message))))
    decoder = FrameDecoder()
    while True:
        received = stream.recv(4_096)
        assert received, f"the pen hung up before it answered {message!r}"
        for event in decoder.feed(received):
            if isinstance(event, Frame):
                envelope = decode_envelope(event.channel, event.body)
                if envelope.request_id == 1:
                    return envelope.message


def hello(url: str) -> HelloReply:
    with socket.create_connection(parse_address(url.removeprefix("tcp:")), WITHIN_S) as stream:
        reply = ask(stream, Hello(protocol_version=1, host_nonce=1))
        assert isinstance(reply, HelloReply)
        return reply


@pytest.mark.parametrize("keeps", [False, True])
def test_it_says_in_words_how_to_connect_and_what_to_type(keeps: bool, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "pen")] if keeps else []
    command = [*SIMULATOR, "serve", "--tcp", ":0", "--control", ":0", "--seed", "5", *state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(6)]
        process.terminate()
    assert lines[0] == "Simulated pen DL-SIM-00000005 is ready (profile nominal, seed 5)."
    assert lines[1].startswith("connect   dermalink info --pen tcp:127.0.0.1:")
    assert lines[2].startswith("control   dermalink-sim control --at 127.0.0.1:")
    assert lines[3].startswith("state" if keeps else "journal   it keeps no state")
    assert ("--journal FILE" in lines[3]) is not keeps
    card = card_of(5)
    assert lines[4] == f"card      setup code {card.code.printed}, QR code {card.text}"
    assert lines[5].startswith("end       Ctrl-C")


def test_it_answers_as_the_pen_that_it_says_it_is() -> None:
    with serve("--tcp", ":0", "--seed", "42") as served:
        reply = hello(served.ready["urls"][0])
        assert reply.serial_number.rstrip(b"\0").decode() == served.ready["serial_number"] == "DL-SIM-00000042"
        card = card_of(42)
        assert (served.ready["setup_code"], served.ready["card"]) == (card.code.printed, card.text)


@POSIX
def test_both_doors_lead_to_one_pen(tmp_path: Path) -> None:
    with serve("--tcp", ":0", "--pty", str(tmp_path / "pen"), "--control", ":0") as served:
        assert served.ready["urls"][1] == f"serial:{tmp_path / 'pen'}"
        terminal = os.open(tmp_path / "pen", os.O_RDWR | os.O_NOCTTY)
        first = hello(served.ready["urls"][0])
        request = Envelope(Channel.STATUS, 1, Hello(protocol_version=1, host_nonce=1))
        os.write(terminal, encode_frame(Channel.STATUS, encode_envelope(request)))
        decoder, found = FrameDecoder(), list[Frame]()
        while not found:
            found = [event for event in decoder.feed(os.read(terminal, 4_096)) if isinstance(event, Frame)]
        second = decode_envelope(found[0].channel, found[0].body).message
        assert isinstance(second, HelloReply)
        assert (second.boot_id, second.serial_number) == (first.boot_id, first.serial_number)
        os.close(terminal)
        assert served.end(signal.SIGTERM)[0] == ExitCode.DONE
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_in_good_order_when_told(number: int, tmp_path: Path) -> None:
    with serve("--pty", str(tmp_path / "pen"), "--tcp", ":0", "--control", ":0") as served:
        address = parse_address(served.ready["urls"][0].removeprefix("tcp:"))
        with socket.create_connection(address, WITHIN_S) as stream, served.control() as control:
            control.do("truth")
            code, out, err = served.end(number)
            assert (code, err) == (ExitCode.DONE, "")
            assert json.loads(out)["event"] == "ending"
            with contextlib.suppress(ConnectionError):
                assert stream.recv(1) == b""
            with pytest.raises(NobodyThereError):
                control.do("truth")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, WITHIN_S)


@POSIX
def test_a_killed_simulator_is_in_nobodys_way_afterwards(tmp_path: Path) -> None:
    options = ("--pty", str(tmp_path / "pen"), "--state", str(tmp_path / "state"), "--control", ":0")
    with serve(*options) as served, served.control() as control:
        control.do("cartridge.fit", head="stamp")
        tag = control.do("truth")["head"]
        served.end(signal.SIGKILL)
    with serve(*options) as served, served.control() as control:
        assert control.do("truth")["head"] == tag
        assert served.end(signal.SIGTERM)[0] == ExitCode.DONE
    assert {entry.name for entry in tmp_path.iterdir()} == {"state"}


def test_two_processes_share_neither_port_nor_state(tmp_path: Path) -> None:
    with serve("--tcp", ":0", "--control", ":0", "--state", str(tmp_path / "pen")) as served:
        taken = served.ready["urls"][0].removeprefix("tcp:")
        code, said = refused("serve", "--tcp", taken)
        assert (code, "another program listens there" in said) == (ExitCode.DOOR, True)
        code, said = refused("serve", "--tcp", ":0", "--control", served.ready["control"])
        assert (code, "another program listens there" in said) == (ExitCode.DOOR, True)
        code, said = refused("serve", "--tcp", ":0", "--state", str(tmp_path / "pen"))
        assert (code, "another simulator uses it" in said) == (ExitCode.STATE, True)


def test_what_cannot_be_served_is_a_sentence_and_a_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, unit, kind in (("fair", "button", "dead"), ("foul", "sea", "rough"), ("air", "air", "silence")):
        (tmp_path / name).write_text(f'faults = 1\n[[fault]]\nunit = "{unit}"\nkind = "{kind}"\n')
    cases: list[tuple[int, str, tuple[str, ...]]] = [
        (ExitCode.DOOR, "is no address", ("--tcp", "here")),
        (ExitCode.DOOR, "other machines", ("--tcp", "0.0.0.0:0")),
        (ExitCode.DOOR, "other machines", ("--tcp", ":0", "--control", "0.0.0.0:0")),
        (ExitCode.DOOR, "name of no machine", ("--tcp", "no.such.machine.invalid:1")),
        (ExitCode.DOOR, "SR-SEC-4", ("--tcp", ":0", "--control", ":0", "--profile", "product")),
        (ExitCode.DOOR, "SR-SEC-4", ("--tcp", ":0", "--person", "--profile", "product")),
        (ExitCode.DOOR, "SR-SEC-4", ("--tcp", ":0", "--faults", str(tmp_path / "fair"), "--profile", "product")),
        (ExitCode.REFUSED, "line 3, fault 1, unit: there is no unit 'sea'", ("--faults", str(tmp_path / "foul"))),
        (ExitCode.REFUSED, "on no air of ours", ("--tcp", ":0", "--faults", str(tmp_path / "air"))),
        (ExitCode.STATE, "was refused", ("--tcp", ":0", "--state", str(tmp_path / "file"))),
        (ExitCode.USAGE, "there are nominal", ("--tcp", ":0", "--profile", "best")),
        (ExitCode.USAGE, "there are glide", ("--tcp", ":0", "--head", "axe")),
    ]
    if sys.platform != "win32":
        cases += [
            (ExitCode.DOOR, "no link", ("--pty", str(tmp_path / "file"))),
            (ExitCode.DOOR, "No such file", ("--pty", str(tmp_path / "nowhere" / "pen"))),
        ]
    running = [
        subprocess.Popen([*SIMULATOR, "serve", *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _, _, options in cases
    ]
    for process, (code, words, options) in zip(running, cases, strict=True):
        _, said = process.communicate(timeout=3 * WITHIN_S)
        assert process.returncode == code, (options, said)
        assert words in said, (options, said)
        assert "Traceback" not in said


@pytest.mark.sr("SR-SEC-4", side="pen")
def test_a_product_has_no_tester_door_seen_from_outside() -> None:
    with serve("--tcp", ":0", "--profile", "product") as served:
        assert served.ready["control"] == ""
        reply = hello(served.ready["urls"][0])
        assert Capability.CONTROL_CHANNEL not in reply.capabilities
        address = parse_address(served.ready["urls"][0].removeprefix("tcp:"))
        with socket.create_connection(address, WITHIN_S) as stream:
            stream.sendall(b'{"id": 1, "do": "truth"}\n')
            assert isinstance(ask(stream, Hello(protocol_version=1, host_nonce=1)), HelloReply)


@pytest.mark.sr("SR-SEC-4", side="pen", twin=True)
def test_a_pen_for_tests_says_that_it_has_one() -> None:
    with serve("--tcp", ":0", "--control", ":0") as served:
        assert Capability.CONTROL_CHANNEL in hello(served.ready["urls"][0]).capabilities
        with served.control() as control:
            assert control.do("truth")["powered"] is True


def test_the_commands_work_the_pen_from_another_process() -> None:
    with serve("--tcp", ":0", "--control", ":0") as served:

        def control(*words: str) -> dict[str, Any]:
            command = [*SIMULATOR, "control", "--at", served.ready["control"], "--json", *words]
            said = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=True).stdout
            answer: dict[str, Any] = json.loads(said)
            return answer

        assert control("pull") == {"pulled": True}
        assert control("truth")["head_fitted"] is False
        assert control("fault", "inject", "depth_sensor", "offset", "um=-40")["fault"] == "depth_sensor offset um=-40"
        with served.control() as client, pytest.raises(RefusedByControlError, match="no cartridge is fitted"):
            client.do("fault.inject", unit="cartridge_stop", kind="broken")


def test_faults_of_a_file_are_on_when_it_is_ready(tmp_path: Path) -> None:
    now, later = '[[fault]]\nunit = "button"\nkind = "dead"\n', '[[fault]]\nunit = "motor"\nkind = "slow"\n'
    (tmp_path / "bench.toml").write_text(f"faults = 1\n{now}{later}after_ms = 600_000\n")
    with serve("--tcp", ":0", "--control", ":0", "--faults", str(tmp_path / "bench.toml")) as served:
        assert served.ready["faults"] == 2
        with served.control() as control:
            listed = control.do("fault.list")
    assert (listed["faults"], listed["missed"]) == (["button dead"], [])
    assert listed["waiting"] == ["motor slow percent=80 after_ms=600000"]


def test_a_watcher_is_told_of_links_that_come_and_go() -> None:
    with serve("--tcp", ":0", "--control", ":0") as served, served.control() as control:
        control.do("watch")
        hello(served.ready["urls"][0])
        seen: list[dict[str, Any]] = []
        for event in control.events(within_s=WITHIN_S):
            seen += [event] if event["event"] == "links" else []
            if len(seen) == 2:
                break
        assert [event["is"] for event in seen] == [{"tcp": 1}, {}]


@pytest.mark.alone
def test_the_pens_time_is_the_walls_also_while_nobody_asks() -> None:
    with serve("--tcp", ":0", "--control", ":0") as served, served.control() as control:
        before, started = control.do("truth")["now_ms"], time.monotonic()
        time.sleep(0.5)
        passed_ms = (time.monotonic() - started) * 1_000
        assert abs(control.do("truth")["now_ms"] - before - passed_ms) < 30


def median_ms(stream: socket.socket, message: Message, times: int = 40) -> float:
    """The median time of one exchange."""
    took = []
    for _ in range(times):
        started = time.monotonic()
        ask(stream, message)
        took.append((time.monotonic() - started) * 1_000)
    return sorted(took)[times // 2]


@pytest.mark.alone
@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
def test_floods_storms_and_hosts_that_do_not_read_delay_nobody_elses_stop() -> None:
    with serve("--tcp", ":0", "--control", ":0") as served, contextlib.ExitStack() as stack:
        address = parse_address(served.ready["urls"][0].removeprefix("tcp:"))
        victim = stack.enter_context(socket.create_connection(address, WITHIN_S))
        ask(victim, Hello(protocol_version=1, host_nonce=1))
        flooding = Event()
        status = encode_frame(Channel.STATUS, encode_envelope(Envelope(Channel.STATUS, 9, GetStatus())))

        def flood(data: bytes) -> None:
            with socket.create_connection(address, WITHIN_S) as stream:
                stream.settimeout(0.05)
                while not flooding.is_set():
                    with contextlib.suppress(OSError):  # too slow to take it, or hung up on
                        stream.sendall(data * 200)

        def storm() -> None:
            while not flooding.is_set():
                with contextlib.suppress(OSError):
                    socket.create_connection(address, WITHIN_S).close()
                time.sleep(0.001)

        threads = [Thread(target=flood, args=(status,)), Thread(target=flood, args=(b"\x55\xaa" * 10,))]
        threads += [Thread(target=storm)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.3)
            took = median_ms(victim, Stop())
        finally:
            flooding.set()
            for thread in threads:
                thread.join(WITHIN_S)
        assert took < 50, f"Stop took {took:.1f} ms under a flood"
        late = stack.enter_context(socket.create_connection(address, WITHIN_S))
        assert isinstance(ask(late, Hello(protocol_version=1, host_nonce=2)), HelloReply)
