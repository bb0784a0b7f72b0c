"""A pen's owner who speaks raw frames, or raw values of characteristics, under seal; and whoever has no keys.

What goes into a record is packed by hand, as in `raw_pen`, so that whatever the codec refuses can be said under seal.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from zlib import crc32

from dermalink_protocol.channels import Channel
from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated, Session
from dermalink_protocol.sealing.keys import public_key
from dermalink_protocol.sealing.records import Opened
from dermalink_protocol.segmentation import Joined, Reassembler, Segmenter
from dermalink_simulator.firmware.effects import UNTRACKED
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.flash_store import Transaction
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.owner_record import OwnerRecord
from dermalink_simulator.firmware.ports import Port
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support.raw_pen import Got, RawClient, frame, unstuff

SEALED, OPEN_CHANNEL, CHANNEL_OPENED, GET_OWNER, PAIR_STEP = 0x681F, 0xBD63, 0xFED9, 0xE1D1, 0x064D
ON_PAIRING = 1


def chance(name: str) -> bytes:
    """32 bytes that stand for chance."""
    return sha256(f"owner of a simulated pen: {name}".encode()).digest()


HOST, PEN, BINDING = chance("host"), chance("pen"), chance("binding")
OWNER = OwnerRecord(1, public_key(HOST), PEN, BINDING)


def inside(pen: SimulatedPen) -> Inside:
    """What a pen's firmware remembers."""
    assert isinstance(pen.firmware, PenFirmware)
    return pen.firmware._pen


@dataclass
class SealedClient(RawClient):
    """One connection of the owner; what it sends is sealed from `open_channel` on, unless it is `said` in the clear.

    Over BLE its link is encrypted with `link_key`, empty for one that is not.
    """

    att_mtu: int = 247
    link_key: bytes = b"owner's link key"
    host: bytes = HOST
    binding: bytes = BINDING
    session: Session | None = None
    hello_body: bytes = b""
    reply_body: bytes = b""
    opened: list[Got] = field(default_factory=list)
    in_clear: list[Got] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.values_heard = 0
        self._handshakes = 0
        self._cut = {channel: Segmenter() for channel in Channel}
        self._joined = {channel: Reassembler() for channel in Channel}
        if self.kind is PortKind.GATT:
            self.port.agree_mtu(self.att_mtu)
            if self.link_key:
                self.port.encrypted(self.link_key)
            for channel in Channel:
                self.port.subscribe(channel, on=True)

    @property
    def inside(self) -> Port:
        """This connection as the pen keeps it."""
        return inside(self.pen).ports[self.port.number]

    # Out

    def send(self, channel: int, opcode: int, payload: bytes = b"") -> int:
        """Send one request, sealed if there is a channel; returns its id."""
        request_id, body = self.body(opcode, payload)
        self.put(channel, body if self.session is None else self.sealed(channel, body))
        return request_id

    def say(self, channel: int, opcode: int, payload: bytes = b"") -> Got:
        """Send one request in the clear, whatever there is, and wait."""
        request_id, body = self.body(opcode, payload)
        self.put(channel, body)
        return self.reply(request_id)

    def body(self, opcode: int, payload: bytes = b"") -> tuple[int, bytes]:
        """A request's id, and it with its envelope."""
        request_id, self.next_request = self.next_request, self.next_request % 0xFFFF + 1
        return request_id, struct.pack("<HH", opcode, request_id) + payload

    def sealed(self, channel: int, body: bytes) -> bytes:
        """A body under seal, as the body that carries it."""
        assert self.session is not None
        return struct.pack("<HH", SEALED, 0) + self.session.sealer.seal(Channel(channel), body)

    def put(self, channel: int, body: bytes, *, thrown: bool = False) -> None:
        """Send a body as it is; none of its values may be refused, unless it is only thrown at the pen."""
        if self.kind is PortKind.STREAM:
            opcode, request_id = struct.unpack_from("<HH", body)
            data = frame(channel, opcode, request_id, body[4:])
            self.sent.append(data)
            self.port.write(data)
            return
        for segment in self._cut[Channel(channel)].cut(body, self.att_mtu):
            value = bytes([channel]) + segment
            self.sent.append(value)
            assert thrown or self.port.refusal(value) == 0
            self.port.write(value)

    # In

    def pump(self) -> None:
        """Take what the pen sent, and open what is sealed; all of it opens, and opens once."""
        for channel, body in self._bodies():
            opcode, request_id = struct.unpack_from("<HH", body)
            if opcode != SEALED:
                got = Got(channel, opcode, request_id, body[4:])
                self.in_clear.append(got)
                self._take(got)
                continue
            assert self.session is not None
            assert request_id == 0
            opened = self.session.opener.open(Channel(channel), body[4:])
            assert isinstance(opened, Opened), opened
            opcode, request_id = struct.unpack_from("<HH", opened.body)
            got = Got(channel, opcode, request_id, opened.body[4:])
            self.opened.append(got)
            self._take(got)

    def _bodies(self) -> list[tuple[int, bytes]]:
        if self.kind is PortKind.GATT:
            found = []
            while value := self.port.read():
                self.values_heard += 1
                events = self._joined[Channel(value[0])].feed(value[1:])
                found += [(value[0], event.body) for event in events if isinstance(event, Joined)]
            return found
        self._rest += self.port.read()
        *runs, self._rest = self._rest.split(b"\0")
        plain = [unstuff(run) for run in filter(None, runs)]
        assert all(crc32(each[:-4]) == struct.unpack("<I", each[-4:])[0] for each in plain)
        return [(each[0], each[1:-4]) for each in plain]

    # What an owner does

    def hello(self) -> Got:
        """Say hello, in the clear; a channel that there was is over."""
        self.session = None
        request_id, self.hello_body = self.body(raw.HELLO, struct.pack("<HI", 1, 7))
        self.put(raw.ON_STATUS, self.hello_body)
        got = self.reply(request_id)
        self.reply_body = struct.pack("<HH", got.opcode, got.request_id) + got.payload
        self.boot_id = struct.unpack_from("<I", got.payload, 22)[0]
        return got

    def handshake(self) -> HostHandshake:
        """The host's side of a handshake for the last hello; each has an ephemeral key of its own."""
        self._handshakes += 1
        ephemeral = chance(f"ephemeral {self.port.number} {inside(self.pen).tick_ms} {self._handshakes}")
        keys = Keys(self.host, public_key(PEN), ephemeral)
        return HostHandshake(keys, Negotiated(self.hello_body, self.reply_body, self.binding))

    def open_channel(self) -> Got:
        """The handshake; everything after it is sealed."""
        handshake = self.handshake()
        got = self.say(ON_PAIRING, OPEN_CHANNEL, handshake.begin())
        if got.opcode == CHANNEL_OPENED:
            self.session = handshake.finish(got.payload)
        return got

    def connect(self) -> "SealedClient":
        """Hello, handshake, and the first word under seal."""
        self.hello()
        assert self.open_channel().opcode == CHANNEL_OPENED
        self.status()
        return self


def owned_pen(*disabled: str, seed: int = 0, trace: Callable[[str], None] | None = None) -> SimulatedPen:
    """A pen that has tested itself and has an owner, in its flash as well.

    Safeguards by name are off; `trace` gets the core's events.
    """
    make = lambda: PenFirmware(disabled=frozenset(disabled), trace=trace)  # noqa: E731
    pen = SimulatedPen(seed=seed, firmware=make)
    pen.advance(1_000)
    firmware = inside(pen)
    firmware.owner = OWNER
    written = {"owners": OWNER.number, "owned": 1}
    assert firmware.store.submit(Transaction(UNTRACKED, written, own=frozenset(written), owner=OWNER))
    pen.advance(1_000)
    return pen


def owner_of(pen: SimulatedPen, kind: PortKind = PortKind.STREAM, att_mtu: int = 247) -> SealedClient:
    """The owner, connected."""
    return SealedClient(pen, kind, att_mtu=att_mtu).connect()
