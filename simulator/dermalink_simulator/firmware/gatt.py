"""A port of characteristics: each value is a channel's number and a segment of a message."""

from dermalink_protocol.channels import Channel
from dermalink_protocol.errors import UnknownChannel
from dermalink_protocol.segmentation import ATT_MTU_MIN, Joined, Reassembler, Segmenter
from dermalink_simulator.firmware.ports import Arrived, Broken


class GattCodec:
    """Segments of each channel, both ways, for the smallest ATT_MTU, so that they fit whatever was agreed."""

    def __init__(self) -> None:
        self._reassemblers = {channel: Reassembler() for channel in Channel}
        self._segmenters = {channel: Segmenter() for channel in Channel}

    def decode(self, data: bytes) -> list[Arrived | Broken]:
        """The message that a value completes, if it does."""
        try:
            channel = Channel(data[0])
        except (IndexError, ValueError):
            return [Broken(UnknownChannel("a value was refused", limit="it begins with a channel's number"))]
        events = self._reassemblers[channel].feed(data[1:])
        return [Arrived(channel, e.body) if isinstance(e, Joined) else Broken(e.error) for e in events]

    def encode(self, channel: Channel, body: bytes) -> list[bytes]:
        """The values in which a message goes out."""
        return [bytes([channel]) + segment for segment in self._segmenters[channel].cut(body, ATT_MTU_MIN)]
