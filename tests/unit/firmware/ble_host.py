"""A host at a GATT port of a simulated pen: segments by hand, whole messages out."""

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.messages.identity import Hello
from dermalink_protocol.messages.therapy import OpenSession
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import Joined, Reassembler, Segmenter
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind

ALL = tuple(Channel)
HELLO = Hello(protocol_version=1, host_nonce=7)


class BleHost:
    """One connection; `subscribe` names the channels that are on from the start."""

    def __init__(
        self, pen: SimulatedPen | None = None, subscribe: tuple[Channel, ...] = ALL, att_mtu: int | None = None
    ) -> None:
        if pen is None:
            pen = SimulatedPen(seed=1)
            pen.advance(1_000)
        self.pen = pen
        self.port = pen.connect(PortKind.GATT)
        self.att_mtu = 23 if att_mtu is None else att_mtu
        if att_mtu is not None:
            self.port.agree_mtu(att_mtu)
        for channel in subscribe:
            self.port.subscribe(channel, on=True)
        self._request_id = 0
        self._segmenters = {channel: Segmenter() for channel in Channel}
        self._reassemblers = {channel: Reassembler() for channel in Channel}

    @property
    def firmware(self) -> PenFirmware:
        assert isinstance(self.pen.firmware, PenFirmware)
        return self.pen.firmware

    @property
    def inside(self) -> GattPort:
        """The port as the firmware keeps it."""
        port = self.firmware._pen.ports[self.port.number]
        assert isinstance(port, GattPort)
        return port

    def values(self, message: Message, channel: Channel | None = None) -> list[bytes]:
        """The values in which a message is written."""
        channel = channel if channel is not None else message.channel
        assert channel is not None
        self._request_id += 1
        body = encode_envelope(Envelope(channel, self._request_id, message))
        return [bytes([channel]) + segment for segment in self._segmenters[channel].cut(body, self.att_mtu)]

    def say(self, message: Message) -> None:
        """Write a message; nothing of it may be refused."""
        for value in self.values(message):
            assert self.port.refusal(value) == 0
            self.port.write(value)

    def first(self, message: Message) -> int:
        """What the write of a message's first segment would be refused with now."""
        return self.port.refusal(self.values(message)[0])

    def heard(self) -> list[Message]:
        """The messages that came since the last call."""
        messages = []
        while value := self.port.read():
            message = self.joins(value)
            if message is not None:
                messages.append(message)
        return messages

    def joins(self, value: bytes) -> Message | None:
        """The message that a value completes."""
        channel = Channel(value[0])
        for event in self._reassemblers[channel].feed(value[1:]):
            if isinstance(event, Joined):
                return decode_envelope(channel, event.body).message
        return None

    def open_session(self) -> OpenSession:
        """What opens a session now."""
        boot_id = self.firmware._pen.boot_id
        fields = {"lease_ms": 1_000, "record_number": 0, "record_hash": bytes(32)}
        header = {"command_id": 1, "ttl_ms": 500, "seen_tick_ms": self.firmware._pen.tick_ms}
        return OpenSession(**header, boot_id=boot_id, **fields)  # type: ignore[arg-type]
