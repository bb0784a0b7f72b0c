"""A far end over BLE: a pen's door on an air in this process, reached by bleak, with its port in the test's hand.

What a test sends and reads are frames, as on any other link; here each is put into segments, or made of them again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count

from dermalink.links.link import Link
from dermalink.links.open import open_link
from dermalink_protocol.channels import SOFTWARE_REVISION, Channel
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_protocol.segmentation import ATT_MTU_MIN, FIRST, Joined, Reassembler, Segmenter
from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.seam import PortKind

SERIAL = "DP1-00001"

_numbers = count()


class RawGattPort:
    """The pen's end of a `ble:` link, without a pen: frames in the test's hand."""

    is_owner = False

    def __init__(self) -> None:
        self.on_output: Callable[[bytes], None] | None = None
        self.on_hang_up: Callable[[], None] | None = None
        self.closed = False
        self.heard = bytearray()
        self.att_mtu = ATT_MTU_MIN
        self._came = asyncio.Event()
        self._reassemblers = {channel: Reassembler() for channel in Channel}
        self._segmenters = {channel: Segmenter() for channel in Channel}

    def write(self, data: bytes) -> None:
        channel, segment = Channel(data[0]), data[1:]
        if segment[0] & FIRST:
            self._reassemblers[channel] = Reassembler()
        for event in self._reassemblers[channel].feed(segment):
            assert isinstance(event, Joined), event
            self.heard += encode_frame(channel, event.body)
            self._came.set()

    async def more(self) -> None:
        self._came.clear()
        await self._came.wait()

    def say(self, frame: Frame) -> None:
        assert self.on_output is not None
        for segment in self._segmenters[frame.channel].cut(frame.body, self.att_mtu):
            self.on_output(bytes([frame.channel]) + segment)

    def hang_up(self) -> None:
        assert self.on_hang_up is not None
        self.closed = True
        self.on_hang_up()

    def clog(self, *, clogged: bool) -> None:
        """What the test sends is sent all the same."""

    def refusal(self, value: bytes) -> int:
        return 0

    def agree_mtu(self, att_mtu: int) -> None:
        self.att_mtu = att_mtu

    def subscribe(self, channel: int, *, on: bool) -> int:
        """The host subscribes to all before it says anything."""
        return 0

    def bonding(self, *, begins: bool) -> bool:
        """It makes no bonds."""
        return False

    def encrypted(self, key: bytes) -> None:
        """It needs no encryption."""

    def bond_key(self) -> bytes:
        """It keeps none."""
        return b""

    def handed_on(self) -> None:
        """The test sends when it likes."""

    def close(self) -> None:
        self.closed = True


class RawGattPen:
    """A `RunnablePen` that does nothing by itself and has one port."""

    now_ms = 0

    def __init__(self) -> None:
        self.port = RawGattPort()

    def advance(self, ms: int) -> None:
        self.now_ms += ms

    def next_wake_ms(self) -> int:
        return 1_000

    def connect(self, kind: PortKind = PortKind.STREAM) -> RawGattPort:
        assert kind is PortKind.GATT
        return self.port

    def read_gatt(self, uuid16: int) -> bytes:
        return str(int(PROTOCOL_VERSION)).encode() if uuid16 == SOFTWARE_REVISION else b""


class BleEnd:
    """A far end that is a characteristic's other side."""

    def __init__(self, link: Link, runner: PenRunner, port: RawGattPort) -> None:
        self.link = link
        self._runner, self._port = runner, port
        self._decoder = FrameDecoder()

    async def send(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):  # text between frames has no way here
                self._runner.act(partial(self._port.say, event))

    async def read(self, size: int) -> bytes:
        while len(self._port.heard) < size:
            await self._port.more()
        got = bytes(self._port.heard[:size])
        del self._port.heard[:size]
        return got

    async def die(self) -> None:
        self._runner.act(self._port.hang_up)


@contextlib.asynccontextmanager
async def ble() -> AsyncIterator[BleEnd]:
    """A `ble:` link over bleak and a whole Bluetooth stack; it clogs only with a radio's silence."""
    pen = RawGattPen()
    runner = PenRunner(pen)
    name = f"far_end{next(_numbers)}"
    try:
        door = await BleDoor.open(runner, f"air:{name}", serial_number=SERIAL, seed=1, air="perfect")
        try:
            link = await open_link(f"{door.url}?radio=air:{name}")
            try:
                await link.secure(pairs=False)
                yield BleEnd(link, runner, pen.port)
            finally:
                await link.close()
        finally:
            await door.close()
    finally:
        runner.stop()
