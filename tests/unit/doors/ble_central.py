"""A central that speaks raw ATT to a pen: it holds to no rule that a test doesn't want it to hold to."""

import asyncio
import contextlib
import itertools
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from bumble import att, hci
from bumble.core import PhysicalTransport
from bumble.device import Connection, ConnectionParametersPreferences, Device, DeviceConfiguration

from dermalink_protocol.channels import CHANNEL_RULES, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.limits import LEASE_DEFAULT_MS, PROTOCOL_VERSION, TTL_MAX_MS
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import ATT_MTU_MIN, BadSegment, Joined, Reassembler, Segmenter
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.controller import CorrectedController
from dermalink_simulator.radio.corrections import make_controller, make_device, static_address
from dermalink_simulator.radio.spaces import find_air
from dermalink_simulator.runner import PenRunner

M = TypeVar("M", bound=Message)

ANSWER_S = 10.0
CHARACTERISTIC = 0x2803
CONFIGURATION = 0x2902
DESCRIPTION = 0x2901
INDICATED = tuple(channel for channel in Channel if channel is not Channel.TELEMETRY)


class Refused(Exception):
    """An ATT error response."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ATT error 0x{code:02X}")
        self.code = code


class RawCentral:
    """One host. `said` are the messages that came unasked, `replies` those that were asked for, by request id."""

    def __init__(self, device: Device, controller: CorrectedController | None) -> None:
        self.device, self.controller = device, controller
        self.connection: Connection | None = None
        self.ended: int | None = None
        self.mtu = ATT_MTU_MIN
        self.confirms = True
        self.indications = 0
        self.unconfirmed = 0
        self.values: deque[tuple[int, bytes]] = deque()
        self.said: list[Message] = []
        self.replies: dict[int, Message] = {}
        self.broken: list[BadSegment] = []
        self.handles: dict[int | UUID, int] = {}
        self.cccds: dict[int, int] = {}
        self.words: dict[int, int] = {}
        self.properties: dict[int, int] = {}
        self.tick_ms = self.session_id = self.boot_id = 0
        self._command_id = 0
        self._numbers = itertools.count(1)
        self._responses: asyncio.Queue[bytes] = asyncio.Queue()
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._segmenters = {channel: Segmenter() for channel in Channel}
        self._reassemblers = {channel: Reassembler() for channel in Channel}
        device.l2cap_channel_manager.register_fixed_channel(att.ATT_CID, self._pdu)

    # The link

    async def connect(self, address: hci.Address, mtu: int = 0, *, interval_ms: float = 30.0) -> "RawCentral":
        wanted = ConnectionParametersPreferences(supervision_timeout=2_000)
        wanted.connection_interval_min = wanted.connection_interval_max = interval_ms
        async with asyncio.timeout(20):
            self.connection = await self.device.connect(
                address, PhysicalTransport.LE, connection_parameters_preferences={hci.Phy.LE_1M: wanted}
            )
        self.connection.on(self.connection.EVENT_DISCONNECTION, self._over)
        if mtu:
            await self.exchange_mtu(mtu)
        await self.discover()
        return self

    async def exchange_mtu(self, mtu: int) -> int:
        response = await self.request(struct.pack("<BH", att.Opcode.ATT_EXCHANGE_MTU_REQUEST, mtu))
        self.mtu = min(mtu, int.from_bytes(response[1:3], "little"))
        return self.mtu

    async def disconnect(self) -> None:
        if self.connection is not None and self.ended is None:
            async with asyncio.timeout(ANSWER_S):
                await self.connection.disconnect()

    def die(self) -> None:
        """The host and its controller are gone, as when a process is killed."""
        self.ended = 0
        if self.controller is not None:
            self.controller.leave()

    async def until_ended(self, within_s: float = 60.0) -> int:
        async with asyncio.timeout(within_s):
            while self.ended is None:
                await self._wait()
        return self.ended

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _over(self, reason: int) -> None:
        self.ended = reason
        self._responses.put_nowait(b"")
        self._news.set()

    # Raw ATT

    def send(self, pdu: bytes) -> None:
        assert self.connection is not None
        self.device.send_l2cap_pdu(self.connection.handle, att.ATT_CID, pdu)

    async def request(self, pdu: bytes) -> bytes:
        """Send a request and wait for its response; an error response is raised."""
        async with self._turn:
            self.send(pdu)
            return await self.response()

    async def all_at_once(self, *pdus: bytes) -> list[bytes]:
        """Requests without waiting in between, which ATT forbids; the responses that come within a second."""
        responses: list[bytes] = []
        async with self._turn:
            for pdu in pdus:
                self.send(pdu)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while len(responses) < len(pdus):
                        responses.append(await self._responses.get())
        return responses

    async def response(self) -> bytes:
        async with asyncio.timeout(ANSWER_S):
            response = await self._responses.get()
        if not response:
            raise ConnectionError("the link is gone")
        if response[0] == att.Opcode.ATT_ERROR_RESPONSE:
            raise Refused(response[4])
        return response

    async def write(self, handle: int, value: bytes) -> None:
        response = await self.request(struct.pack("<BH", att.Opcode.ATT_WRITE_REQUEST, handle) + value)
        assert response == bytes([att.Opcode.ATT_WRITE_RESPONSE])

    def write_without_response(self, handle: int, value: bytes) -> None:
        self.send(struct.pack("<BH", att.Opcode.ATT_WRITE_COMMAND, handle) + value)

    async def read(self, what: int | UUID) -> bytes:
        """A whole value, with as many requests as it takes."""
        handle = self.handles[what]
        value = (await self.request(struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, handle)))[1:]
        part = value
        while len(part) == self.mtu - 1:
            request = struct.pack("<BHH", att.Opcode.ATT_READ_BLOB_REQUEST, handle, len(value))
            part = (await self.request(request))[1:]
            value += part
        return value

    async def discover(self) -> None:
        """Handles of all characteristics by UUID, and of their descriptors."""
        start = 1
        while start:
            request = struct.pack("<BHHH", att.Opcode.ATT_READ_BY_TYPE_REQUEST, start, 0xFFFF, CHARACTERISTIC)
            start = 0
            try:
                response = await self.request(request)
            except Refused as error:
                if error.code != att.ErrorCode.ATTRIBUTE_NOT_FOUND:
                    raise
                break
            size = response[1]
            for at in range(2, len(response), size):
                declared, properties, handle = struct.unpack_from("<HBH", response, at)
                self.properties[handle] = properties
                start = declared + 1
                uuid = response[at + 5 : at + size]
                key = int.from_bytes(uuid, "little") if len(uuid) == 2 else UUID(bytes=uuid[::-1])
                self.handles[key] = handle
        await self._discover_descriptors()

    async def _discover_descriptors(self) -> None:
        start, owner = 1, 0
        values = set(self.handles.values())
        while True:
            request = struct.pack("<BHH", att.Opcode.ATT_FIND_INFORMATION_REQUEST, start, 0xFFFF)
            try:
                response = await self.request(request)
            except Refused:
                return
            size = 4 if response[1] == 1 else 18
            for at in range(2, len(response), size):
                (handle,) = struct.unpack_from("<H", response, at)
                owner = handle if handle in values else owner
                kind = int.from_bytes(response[at + 2 : at + size], "little")
                if kind == CONFIGURATION:
                    self.cccds[owner] = handle
                if kind == DESCRIPTION:
                    self.words[owner] = handle
                start = handle + 1

    def handle(self, channel: Channel) -> int:
        return self.handles[CHANNEL_RULES[channel].uuid]

    async def subscribe(self, *channels: Channel) -> None:
        for channel in channels:
            bits = 1 if channel is Channel.TELEMETRY else 2
            await self.write(self.cccds[self.handle(channel)], struct.pack("<H", bits))

    def _pdu(self, _: int, pdu: bytes) -> None:
        op_code = pdu[0]
        if op_code == att.Opcode.ATT_HANDLE_VALUE_INDICATION:
            self.indications += 1
            self._value(pdu)
            self.unconfirmed += 1
            if self.confirms:
                self.confirm()
        elif op_code == att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION:
            self._value(pdu)
        else:
            self._responses.put_nowait(pdu)
        self._news.set()

    def confirm(self) -> None:
        self.unconfirmed -= 1
        self.send(bytes([att.Opcode.ATT_HANDLE_VALUE_CONFIRMATION]))

    def _value(self, pdu: bytes) -> None:
        handle = int.from_bytes(pdu[1:3], "little")
        channel = next((one for one in Channel if self.handles.get(CHANNEL_RULES[one].uuid) == handle), None)
        if channel is None:
            self.values.append((handle, pdu[3:]))
            return
        assert len(pdu) <= self.mtu
        for event in self._reassemblers[channel].feed(pdu[3:]):
            if isinstance(event, Joined):
                envelope = decode_envelope(channel, event.body)
                self.tick_ms = max(self.tick_ms, getattr(envelope.message, "tick_ms", 0))
                if envelope.request_id:
                    self.replies[envelope.request_id] = envelope.message
                else:
                    self.said.append(envelope.message)
            else:
                self.broken.append(event)

    # Messages

    def segments(
        self, message: Message, request_id: int, channel: Channel | None = None
    ) -> tuple[Channel, list[bytes]]:
        if channel is None:
            channel = message.channel if message.channel is not None else Channel.COMMAND
        body = encode_envelope(Envelope(channel, request_id, message))
        return channel, self._segmenters[channel].cut(body, self.mtu)

    async def send_message(self, message: Message) -> int:
        number = next(self._numbers)
        channel, segments = self.segments(message, number)
        for segment in segments:
            await self.write(self.handle(channel), segment)
        return number

    def stop_now(self) -> int:
        """Stop, without response and without waiting for anything."""
        number = next(self._numbers)
        channel, segments = self.segments(stop.Stop(), number)
        for segment in segments:
            self.write_without_response(self.handle(channel), segment)
        return number

    async def answer_to(self, number: int, within_s: float = ANSWER_S) -> Message:
        async with asyncio.timeout(within_s):
            while number not in self.replies:
                assert self.ended is None, f"the link ended: {self.ended}"
                await self._wait()
        return self.replies.pop(number)

    async def ask(self, message: Message) -> Message:
        return await self.answer_to(await self.send_message(message))

    async def expect(self, wanted: type[M], message: Message) -> M:
        answer = await self.ask(message)
        assert isinstance(answer, wanted), f"{answer!r} to {message!r}"
        return answer

    def command(self, kind: type[M], **fields: Any) -> M:
        self._command_id += 1
        header = {"command_id": self._command_id, "ttl_ms": int(TTL_MAX_MS), "seen_tick_ms": self.tick_ms}
        return kind(**{**header, **fields})

    async def hello(self) -> identity.HelloReply:
        reply = await self.expect(
            identity.HelloReply, identity.Hello(protocol_version=int(PROTOCOL_VERSION), host_nonce=1)
        )
        self.boot_id = reply.boot_id
        last = await self.expect(identity.LastCommand, identity.GetLastCommand())
        self._command_id = last.command_id
        return reply

    async def status(self) -> identity.Status:
        return await self.expect(identity.Status, identity.GetStatus())

    async def wait_for(self, *states: State, within_s: float = 20.0) -> identity.Status:
        """Poll, with the lease renewed, until the pen stands in one of these states."""
        async with asyncio.timeout(within_s):
            while True:
                status = await self.status()
                if status.state in states:
                    return status
                await asyncio.sleep(0.05)

    async def renew(self) -> None:
        await self.send_message(therapy.RenewLease(session_id=self.session_id, seen_tick_ms=self.tick_ms))

    @asynccontextmanager
    async def renewing(self, every_s: float = 0.1) -> AsyncIterator[None]:
        """Keep the lease alive meanwhile."""

        async def renew() -> None:
            while self.ended is None:
                with contextlib.suppress(Refused, ConnectionError):
                    await self.renew()
                await asyncio.sleep(every_s)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def open(self) -> int:
        opened = await self.expect(
            therapy.SessionOpened,
            self.command(
                therapy.OpenSession,
                boot_id=self.boot_id,
                lease_ms=int(LEASE_DEFAULT_MS),
                record_number=0,
                record_hash=bytes(32),
            ),
        )
        self.session_id = opened.session_id
        return opened.session_id

    async def to_running(self, runner: PenRunner) -> None:
        """From a pen that has just been switched on to needles in skin, with a hand that sweeps."""
        await self.to_waiting(runner)
        async with self.renewing():
            await self.press(runner)

    async def to_waiting(self, runner: PenRunner) -> None:
        """To a pass that waits for the press."""
        pen = runner.pen
        assert isinstance(pen, SimulatedPen)
        await self.hello()
        await self.wait_for(State.IDLE)
        await self.open()
        head = pen.cartridge.head
        assert head is not None
        assert head.tag is not None
        prepared = await self.expect(
            therapy.Prepared,
            self.command(
                therapy.Prepare,
                session_id=self.session_id,
                zone=Zone.NOSE,
                direction=Direction.VERTICAL,
                depth_um=250,
                rate_hz=60,
                speed_mm_s=20,
                tag_id=head.tag.tag_id,
            ),
        )
        begin = self.command(therapy.BeginPass, session_id=self.session_id, frame_id=prepared.frame_id)
        await self.expect(therapy.PassBegun, begin)

    async def press(self, runner: PenRunner) -> None:
        """Press, and touch down when the pen is armed."""
        pen = runner.pen
        assert isinstance(pen, SimulatedPen)
        await self.renew()
        runner.act(pen.button.press)
        await self.wait_for(State.ARMED)
        runner.act(lambda: pen.hand.sweep(Zone.NOSE, Direction.VERTICAL, speed_mm_s=20))
        await self.wait_for(State.RUNNING)


class Bench(NamedTuple):
    """A pen behind its BLE door, on an air of this process."""

    pen: SimulatedPen
    runner: PenRunner
    door: BleDoor
    air: Air
    address: hci.Address

    @property
    def now_ms(self) -> int:
        """The pen's own time, now."""
        return self.runner.act(lambda: self.pen.now_ms)

    @asynccontextmanager
    async def host(self, number: int = 1, mtu: int = 247, **options: float) -> AsyncIterator[RawCentral]:
        """A connected central."""
        async with central_on(self.air, number) as central:
            yield await central.connect(self.address, mtu, **options)

    async def at_rest(self) -> None:
        """Until its self-test is over."""
        async with asyncio.timeout(20):
            while self.runner.act(lambda: self.pen.motor_turns) or self.now_ms < 500:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def bench(air: str = "perfect", seed: int = 7, made: SimulatedPen | None = None) -> AsyncIterator[Bench]:
    """A pen that has just been switched on, or the one that was `made` of that seed."""
    runner = PenRunner(made or SimulatedPen(seed=seed))
    name = f"bench {seed}"
    door = await BleDoor.open(runner, f"air:{name}", serial_number=serial_number(seed), seed=seed, air=air)
    pen = runner.pen
    assert isinstance(pen, SimulatedPen)
    try:
        yield Bench(pen, runner, door, find_air(name), static_address(f"pen/{serial_number(seed)}"))
    finally:
        await door.close()
        runner.stop()


def central_device(source: Any, sink: Any, number: int) -> Device:
    """A device as central, on any controller."""
    address = hci.Address(f"C0:00:00:00:00:{number:02X}", hci.Address.RANDOM_DEVICE_ADDRESS)
    return make_device(f"host {number}", address, source, sink, config=DeviceConfiguration(classic_enabled=False))


@asynccontextmanager
async def central_on(air: Air, number: int = 1) -> AsyncIterator[RawCentral]:
    """A central with a controller of its own on that air."""
    controller = make_controller(f"host {number}", air, number)
    device = central_device(controller, controller, number)
    async with asyncio.timeout(ANSWER_S):
        await device.power_on()
    central = RawCentral(device, controller)
    try:
        yield central
    finally:
        await central.disconnect()
        controller.leave()
