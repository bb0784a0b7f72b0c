"""A stranger's script: plain bleak and the Bumble backend, nothing of our host, at the door of a simulated pen.

It reads what any Bluetooth browser reads, then tries what it should not. Each is refused with the right ATT error,
the pen stays well, and Stop works throughout.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakGATTProtocolError
from bumble import att

from dermalink_protocol.channels import CHANNEL_RULES, SERVICE_UUID, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.messages.identity import GetStatus, Hello, HelloReply, Status
from dermalink_protocol.messages.stop import Stop, Stopped
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import FIRST, LAST, Joined, Reassembler, Segmenter
from dermalink_simulator.radio.backends import backends
from tests.support.running import in_real_time

WITHIN_S = 60.0  # a second on an idle machine
ANSWER_S = 10.0  # milliseconds on an idle machine
SERIAL = "DL-SIM-00000000"
WRITE_NOT_PERMITTED = 0x03
READ_NOT_PERMITTED = 0x02
REQUEST_NOT_SUPPORTED = 0x06
INVALID_LENGTH = 0x0D
VALUE_NOT_ALLOWED = 0x13
COUNTER = 0x82
NOT_SUBSCRIBED = 0xFD
IN_PROGRESS = 0xFE
OUT_OF_RANGE = 0xFF
WHOLE = FIRST | LAST
CONTROL_POINTS = (Channel.PAIRING, Channel.STATUS, Channel.COMMAND, Channel.RECORDS)


def uuid_of(channel: Channel) -> str:
    return str(CHANNEL_RULES[channel].uuid)


def short(number: int) -> str:
    return f"0000{number:04x}-0000-1000-8000-00805f9b34fb"


class ServedPen:
    """A `dermalink-sim serve --ble` of its own, and how a stranger reaches it."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, errors.read_text()
        self.process, self.errors = process, errors
        self.radio: str = json.loads(line)["radio"]

    def is_well(self) -> bool:
        """It runs, and has complained of nothing."""
        return self.process.poll() is None and not self.errors.read_text()


@pytest.fixture
def pen(tmp_path: Path) -> Iterator[ServedPen]:
    errors = tmp_path / "errors.txt"
    command = [sys.executable, "-m", "dermalink_simulator.cli.start", "serve", "--json"]
    command += ["--ble", "tcp-server:127.0.0.1:0", "--air", "perfect"]
    with errors.open("w") as into:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=into, text=True)
    try:
        yield ServedPen(process, errors)
    finally:
        process.kill()
        process.communicate(timeout=WITHIN_S)


@contextlib.asynccontextmanager
async def browser(pen: ServedPen, options: str = "") -> AsyncIterator[BleakClient]:
    """Scan, and connect to the pen that was found."""
    scheme, _, rest = pen.radio.partition(":")
    client, scanner = backends(f"{scheme}:{options}{rest}")
    device = await BleakScanner.find_device_by_filter(
        lambda _, ad: str(SERVICE_UUID) in ad.service_uuids and ad.local_name is not None,
        timeout=WITHIN_S,
        backend=scanner,
    )
    assert device is not None
    assert device.name == f"Dermalink {SERIAL}"
    async with BleakClient(device, backend=client, timeout=WITHIN_S) as connected:
        yield connected


class Talk:
    """The words of one channel: a message out in segments, the answer in."""

    def __init__(self, client: BleakClient, channel: Channel) -> None:
        self._client, self._channel = client, channel
        self._segmenter, self._reassembler = Segmenter(), Reassembler()
        self._heard: asyncio.Queue[Envelope] = asyncio.Queue()
        self._number = 0

    async def subscribe(self) -> None:
        await self._client.start_notify(uuid_of(self._channel), self._hear)

    def _hear(self, _: BleakGATTCharacteristic, value: bytearray) -> None:
        for event in self._reassembler.feed(bytes(value)):
            assert isinstance(event, Joined)
            self._heard.put_nowait(decode_envelope(self._channel, event.body))

    async def say(self, message: Message, *, response: bool) -> int:
        self._number += 1
        body = encode_envelope(Envelope(self._channel, self._number, message))
        for segment in self._segmenter.cut(body, self._client.mtu_size):
            await self._client.write_gatt_char(uuid_of(self._channel), segment, response=response)
        return self._number

    async def ask(self, message: Message, *, response: bool = True) -> Message:
        number = await self.say(message, response=response)
        async with asyncio.timeout(ANSWER_S):
            while True:
                envelope = await self._heard.get()
                if envelope.request_id == number:
                    return envelope.message


async def refused(work: Any) -> int:
    """The ATT error of what is refused."""
    with pytest.raises(BleakGATTProtocolError) as error:
        await work
    return int(error.value.code)


async def write(client: BleakClient, channel: Channel, value: bytes) -> None:
    await client.write_gatt_char(uuid_of(channel), value, response=True)


@in_real_time
async def test_what_a_browser_sees(pen: ServedPen) -> None:
    async with browser(pen) as client:
        services = {service.uuid for service in client.services}
        standard = {short(number) for number in (0x1800, 0x1801, 0x180A, 0x180F, 0x1805)}
        assert services == {str(SERVICE_UUID), *standard}
        texts = {
            number: (await client.read_gatt_char(short(number))).decode()
            for number in (0x2A29, 0x2A24, 0x2A25, 0x2A26, 0x2A27, 0x2A28)
        }
        assert all(texts.values())
        assert texts[0x2A25] == SERIAL
        assert (await client.read_gatt_char(short(0x2A00))).decode() == f"Dermalink {SERIAL}"
        (percent,) = await client.read_gatt_char(short(0x2A19))
        assert 0 <= percent <= 100
        now = await client.read_gatt_char(short(0x2A2B))
        assert len(now) == 10
        shown = dt.date(int.from_bytes(now[:2], "little"), now[2], now[3])
        assert shown.isoweekday() == now[7]
        assert now[4] < 24
        assert max(now[5], now[6]) < 60
        status = decode_envelope(Channel.STATUS, bytes(await client.read_gatt_char(uuid_of(Channel.STATUS)))).message
        assert isinstance(status, Status)
        for channel in Channel:
            characteristic = client.services.get_characteristic(UUID(uuid_of(channel)))
            assert characteristic is not None
            described = characteristic.get_descriptor("2901")
            assert described is not None
            assert await client.read_gatt_descriptor(described)
            assert characteristic.get_descriptor("2902") is not None
            if channel is not Channel.STATUS:
                assert await refused(client.read_gatt_char(characteristic)) == READ_NOT_PERMITTED
    assert pen.is_well()


async def tries_what_it_should_not(client: BleakClient) -> None:
    for number in (0x2A29, 0x2A25, 0x2A19, 0x2A2B, 0x2A00):
        assert await refused(client.write_gatt_char(short(number), b"x", response=True)) == WRITE_NOT_PERMITTED
    assert await refused(write(client, Channel.TELEMETRY, bytes([WHOLE]) + bytes(8))) == WRITE_NOT_PERMITTED
    for channel in CONTROL_POINTS:
        assert await refused(write(client, channel, bytes([WHOLE]) + bytes(8))) == NOT_SUBSCRIBED
    for channel in CONTROL_POINTS:
        await client.start_notify(uuid_of(channel), lambda _, __: None)
        assert await refused(write(client, channel, b"")) == OUT_OF_RANGE
        assert await refused(write(client, channel, bytes([WHOLE]))) == OUT_OF_RANGE
        assert await refused(write(client, channel, bytes([WHOLE, 1]))) == OUT_OF_RANGE
        assert await refused(write(client, channel, bytes([LAST]) + bytes(8))) == COUNTER
        assert await refused(write(client, channel, bytes([0x05]) + bytes(8))) == COUNTER
        await client.stop_notify(uuid_of(channel))
        assert await refused(write(client, channel, bytes([WHOLE]) + bytes(8))) == NOT_SUBSCRIBED


async def configures_badly(client: BleakClient) -> None:
    """Below bleak, which itself lets nobody write to a CCCD."""
    write_descriptor = client._backend.write_gatt_descriptor
    for channel in Channel:
        characteristic = client.services.get_characteristic(UUID(uuid_of(channel)))
        assert characteristic is not None
        configuration, words = characteristic.get_descriptor("2902"), characteristic.get_descriptor("2901")
        assert configuration is not None
        assert words is not None
        assert await refused(client.write_gatt_descriptor(words, b"mine")) == WRITE_NOT_PERMITTED
        wrong = b"\x02\x00" if channel is Channel.TELEMETRY else b"\x01\x00"
        for value in (wrong, b"\x03\x00", b"\x04\x00", b"\x00\x01", b"\xff\xff"):
            assert await refused(write_descriptor(configuration, value)) == VALUE_NOT_ALLOWED
        for value in (b"", b"\x01", b"\x01\x00\x00"):
            assert await refused(write_descriptor(configuration, value)) == INVALID_LENGTH
        assert await client.read_gatt_descriptor(configuration) == b"\x00\x00"


async def is_still_served(client: BleakClient) -> None:
    """Hello and the state, as from the first word."""
    talk = Talk(client, Channel.STATUS)
    await talk.subscribe()
    hello = await talk.ask(Hello(protocol_version=1, host_nonce=7))
    assert isinstance(hello, HelloReply)
    status = await talk.ask(GetStatus())
    assert isinstance(status, Status)
    assert status.state in (State.SELF_TEST, State.IDLE)
    await client.stop_notify(uuid_of(Channel.STATUS))


@pytest.mark.parametrize("options", ["", "[mtu=23]"])
@in_real_time
async def test_what_is_not_a_strangers_to_write_is_refused(pen: ServedPen, options: str) -> None:
    async with browser(pen, options) as client:
        await tries_what_it_should_not(client)
        await configures_badly(client)
        await is_still_served(client)
    async with browser(pen, options) as client:
        await is_still_served(client)
    assert pen.is_well()


async def a_message_without_end(client: BleakClient) -> None:
    for number in range(1_000):
        first = 0 if number else FIRST
        await write(client, Channel.STATUS, bytes([number & 0x3F | first]) + bytes(19))


@in_real_time
async def test_what_is_too_long_is_refused_at_every_length(pen: ServedPen) -> None:
    async with browser(pen, "[mtu=23]") as client:
        # bleak sends in parts what doesn't fit into one write; the pen's messages come in segments, so it takes none.
        assert await refused(write(client, Channel.STOP, bytes([WHOLE]) + bytes(20))) == REQUEST_NOT_SUPPORTED
        # Below bleak: one packet longer than was agreed.
        link: Any = client._backend
        stop = client.services.get_characteristic(UUID(uuid_of(Channel.STOP)))
        assert stop is not None
        for size in (21, 100, 300, 512):
            request = att.ATT_Write_Request(attribute_handle=stop.handle, attribute_value=bytes(size))
            answer = await link._link.att.send_request(request)
            assert answer.error_code == INVALID_LENGTH
        await client.start_notify(uuid_of(Channel.STATUS), lambda _, __: None)
        assert await refused(a_message_without_end(client)) == OUT_OF_RANGE
        await client.stop_notify(uuid_of(Channel.STATUS))
        await is_still_served(client)
    assert pen.is_well()


@in_real_time
async def test_writes_without_response_to_control_points_change_nothing(pen: ServedPen) -> None:
    async with browser(pen) as client:
        status = Talk(client, Channel.STATUS)
        await status.subscribe()
        first = await status.ask(GetStatus())
        for channel in (*CONTROL_POINTS, Channel.TELEMETRY):
            for value in (b"", bytes([WHOLE]) + bytes(8), bytes([FIRST | 9]) + bytes(300), b"\xff" * 500):
                await client.write_gatt_char(uuid_of(channel), value, response=False)
        second = await status.ask(GetStatus())  # its sequence goes on where it was
        assert isinstance(first, Status)
        assert isinstance(second, Status)
        assert (first.state, first.session_id) == (second.state, second.session_id)
    assert pen.is_well()


@in_real_time
async def test_garbage_is_answered_or_refused_and_the_next_word_is_understood(pen: ServedPen) -> None:
    async with browser(pen) as client:
        status = Talk(client, Channel.STATUS)
        await status.subscribe()
        codes: set[int] = set()
        cases = itertools.product((2, 6, 7, 8, 40, 200, 500), (0x00, 0x55, 0xFF))
        for number, (size, filling) in enumerate(cases):
            whole = bytes([WHOLE | number & 0x3F]) + bytes([filling]) * size
            for channel, value in ((Channel.STATUS, whole), (Channel.STOP, bytes([filling]) * size)):
                try:
                    await write(client, channel, value)
                except BleakGATTProtocolError as error:
                    codes.add(int(error.code))
        assert codes <= {COUNTER, IN_PROGRESS, OUT_OF_RANGE}
        assert {COUNTER, OUT_OF_RANGE} <= codes
        assert client.is_connected
    async with browser(pen) as client:
        await is_still_served(client)
    assert pen.is_well()


@pytest.mark.sr("SR-STOP-4", side="pen")
@pytest.mark.parametrize("response", [True, False])
@in_real_time
async def test_stop_is_taken_from_anybody_with_and_without_response(pen: ServedPen, response: bool) -> None:
    async with browser(pen) as client:
        # Unsubscribed, and a half-said message and a late answer before it: nothing holds Stop up.
        for channel in CONTROL_POINTS:
            await client.start_notify(uuid_of(channel), lambda _, __: None)
            await write(client, channel, bytes([FIRST]) + bytes(10))
        stop = Talk(client, Channel.STOP)
        await stop.say(Stop(), response=response)
        await stop.subscribe()
        stopped = await stop.ask(Stop(), response=response)
        assert isinstance(stopped, Stopped)
        async with browser(pen, "[host=another]") as other:
            second = Talk(other, Channel.STOP)
            await second.subscribe()
            assert isinstance(await second.ask(Stop(), response=response), Stopped)
        assert isinstance(await stop.ask(Stop(), response=not response), Stopped)
    assert pen.is_well()


@in_real_time
async def test_a_stranger_that_dies_without_a_word_is_no_hindrance_to_the_next(pen: ServedPen) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from bleak import BleakClient, BleakScanner\n"
        "from dermalink_simulator.radio.backends import backends\n"
        "async def main():\n"
        "    client, scanner = backends(sys.argv[1])\n"
        "    device = await BleakScanner.find_device_by_name(sys.argv[2], timeout=60, backend=scanner)\n"
        "    await BleakClient(device, backend=client).connect()\n"
        "    os._exit(7)\n"
        "asyncio.run(main())\n"
    )
    for _ in range(3):
        died = await asyncio.create_subprocess_exec(sys.executable, "-c", script, pen.radio, f"Dermalink {SERIAL}")
        assert await died.wait() == 7
    async with browser(pen) as client:
        await is_still_served(client)
    assert pen.is_well()
