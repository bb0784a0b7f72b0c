"""URLs: what each leads to, and what a person is told of one that leads nowhere."""

import errno
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import serial

from dermalink.errors import BadUrl, CannotOpen, LinkError, NoSuchPort, PortBusy, PortForbidden
from dermalink.links import in_process
from dermalink.links.open import known_schemes, open_link
from dermalink.links.serial import split_options
from dermalink.links.tcp import split_address
from tests.support.running import in_real_time, in_virtual_time


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("", BadUrl, "known are"),
        ("nonsense", BadUrl, "tcp:"),
        ("usb:1", BadUrl, "serial:"),
        ("/dev/ttyACM0", BadUrl, "Did you mean serial:/dev/ttyACM0"),
        ("COM3", BadUrl, "Did you mean serial:COM3"),
        (":", BadUrl, "known are"),
        ("ble:", BadUrl, "names no pen"),
        ("ble:pen?radio=carrier-pigeon:1", BadUrl, "carrier-pigeon"),
        ("tcp:", BadUrl, "host and port"),
        ("tcp:localhost", BadUrl, "host and port"),
        ("tcp:localhost:", BadUrl, "1 to 65535"),
        ("tcp:localhost:0", BadUrl, "1 to 65535"),
        ("tcp:localhost:65536", BadUrl, "1 to 65535"),
        ("tcp:localhost:http", BadUrl, "1 to 65535"),
        ("tcp:::1:80", BadUrl, "host and port"),
        ("serial:", BadUrl, "no port"),
        ("serial:/dev/x?baud=fast", BadUrl, "baud"),
        ("serial:/dev/x?baud=0", BadUrl, "baud"),
        ("serial:/dev/x?parity=even", BadUrl, "baud"),
        ("serial:carrier-pigeon://x", BadUrl, "carrier-pigeon"),
        ("serial:/dev/no-such-port", NoSuchPort, "nothing is there"),
        ("sim:no-such-pen", BadUrl, "no-such-pen"),
    ],
)
@in_real_time
async def test_a_url_that_leads_nowhere_says_why_and_what_to_do(url: str, kind: type[LinkError], says: str) -> None:
    with pytest.raises(kind) as caught:
        await open_link(url)
    assert says in str(caught.value)


def test_the_schemes_that_there_are() -> None:
    assert set(known_schemes()) >= {"ble", "serial", "tcp", "sim"}


@pytest.mark.parametrize(
    ("rest", "address"),
    [
        ("127.0.0.1:7321", ("127.0.0.1", 7321)),
        ("//127.0.0.1:7321", ("127.0.0.1", 7321)),
        ("pen.local:1", ("pen.local", 1)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_tcp_addresses(rest: str, address: tuple[str, int]) -> None:
    assert split_address(rest) == address


@pytest.mark.parametrize(
    ("rest", "port"),
    [
        ("/dev/ttyACM0", ("/dev/ttyACM0", 115_200)),
        ("COM3?baud=9600", ("COM3", 9_600)),
        ("socket://h:1?logging=debug", ("socket://h:1?logging=debug", 115_200)),
    ],
)
def test_serial_options(rest: str, port: tuple[str, int]) -> None:
    assert split_options(rest) == port


@in_real_time
async def test_nobody_listening_is_said() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(NoSuchPort, match="nobody listens"):
        await open_link(f"tcp:127.0.0.1:{port}")
    with pytest.raises(NoSuchPort):
        await open_link(f"serial:socket://127.0.0.1:{port}")


@in_real_time
async def test_a_host_without_a_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NoSuchPort, match="no host is called nowhere"):
        await open_link("tcp:nowhere:1")


class Failing:
    """A serial port that cannot be opened."""

    dtr = rts = True

    def __init__(self, error: Exception) -> None:
        self._error = error

    def open(self) -> None:
        assert not self.dtr
        assert not self.rts
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (serial.SerialException(errno.EACCES, "could not open port: Permission denied"), PortForbidden),
        (serial.SerialException(errno.EAGAIN, "Could not exclusively lock port"), PortBusy),
        (serial.SerialException(errno.EBUSY, "could not open port"), PortBusy),
        (
            serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)"),
            PortBusy,
        ),
        (
            serial.SerialException("could not open port 'COM9': FileNotFoundError(2, 'no such file', None, 2)"),
            NoSuchPort,
        ),
        (serial.SerialException(errno.ENOENT, "could not open port"), NoSuchPort),
        (OSError(errno.ENXIO, "No such device or address"), NoSuchPort),
        (serial.SerialException("Cannot configure port, something went wrong"), CannotOpen),
    ],
)
@in_real_time
async def test_each_reason_why_a_port_does_not_open(
    error: Exception, kind: type[CannotOpen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: Failing(error))
    with pytest.raises(CannotOpen) as caught:
        await open_link("serial:/dev/any")
    assert type(caught.value) is kind
    assert caught.value.advice


@in_real_time
async def test_opening_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    let_go = threading.Event()
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: let_go.wait(5))
    with pytest.raises(CannotOpen, match="not open after"):
        await open_link("serial:/dev/slow", within_s=0.1)
    let_go.set()


pytestmark_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no PTYs there")


@pytest.fixture
def terminal() -> Iterator[str]:
    import os
    import pty

    controller, terminal = pty.openpty()
    try:
        yield os.ttyname(terminal)
    finally:
        os.close(controller)
        os.close(terminal)


@pytestmark_posix
@in_real_time
async def test_a_port_is_ours_alone_against_those_who_ask_and_those_who_do_not(terminal: str) -> None:
    import os

    link = await open_link(f"serial:{terminal}")
    with pytest.raises(PortBusy) as caught:
        await open_link(f"serial:{terminal}")
    assert "another program" in str(caught.value)
    if os.geteuid() != 0:  # root may open it all the same
        with pytest.raises(OSError, match="busy"):
            os.close(os.open(terminal, os.O_RDWR | os.O_NOCTTY))
    await link.close()
    again = await open_link(f"serial:{terminal}")
    await again.close()


@pytestmark_posix
@in_real_time
async def test_what_pyserial_wraps_goes_by_its_wrapper(terminal: str, capfd: pytest.CaptureFixture[str]) -> None:
    from dermalink_protocol.channels import Channel

    link = await open_link(f"serial:spy://{terminal}")
    await link.send(Channel.STATUS, b"seen by the spy")
    await link.close()
    assert "seen" in capfd.readouterr().err


@in_real_time
async def test_a_port_without_a_descriptor_works_by_threads() -> None:
    from dermalink_protocol.channels import Channel

    link = await open_link("serial:loop://")
    await link.send(Channel.STATUS, b"round and back")
    assert await link.receive() == (Channel.STATUS, b"round and back")
    await link.close()


# Links that other packages bring


def bring(monkeypatch: pytest.MonkeyPatch, opener: Any) -> None:
    entry = EntryPoint("odd", "tests.unit.host.test_open:opener", in_process.GROUP)
    monkeypatch.setattr(in_process, "entry_points", lambda **_: [entry])
    monkeypatch.setattr(EntryPoint, "load", lambda _: opener)


@pytest.mark.parametrize(
    ("error", "kind"), [(ValueError("no such option"), BadUrl), (ConnectionRefusedError("busy"), CannotOpen)]
)
@in_virtual_time
async def test_a_foreign_opener_fails_in_our_words(
    error: Exception, kind: type[LinkError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opener(_: str) -> Any:
        raise error

    bring(monkeypatch, opener)
    with pytest.raises(kind, match=str(error)):
        await open_link("odd:?x=1")


@in_virtual_time
async def test_a_foreign_opener_that_is_not_installed_whole_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Any) -> Any:
        raise ModuleNotFoundError("bumble")

    bring(monkeypatch, None)
    monkeypatch.setattr(EntryPoint, "load", missing)
    with pytest.raises(CannotOpen, match="Install the package"):
        await open_link("odd:")
