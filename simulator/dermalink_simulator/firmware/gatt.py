"""A port of characteristics: each value is a channel's number and a segment of a message."""

from collections import deque
from copy import copy
from typing import Final

from dermalink_protocol.channels import CHANNEL_RULES, Channel
from dermalink_protocol.envelope import UNASKED
from dermalink_protocol.errors import FrameError, UnknownChannel
from dermalink_protocol.schema import Message
from dermalink_protocol.segmentation import ATT_MTU_MAX, ATT_MTU_MIN, FIRST, BadSegment, Joined, Reassembler, Segmenter
from dermalink_simulator.firmware.ports import Arrived, Broken, Outgoing, Port
from dermalink_simulator.seam import PortKind


class GattCodec:
    """Segments of each channel, both ways; those that go out fit the ATT_MTU of the moment at which they are cut.

    From the host a first segment begins anew, whatever its number: a write is acknowledged, so a host knows what did
    not get through, and one that gave a message up must not be refused for ever after. So Stop in the clear, which fits
    one segment (sealed it is two at an ATT_MTU of 23), is never taken for a repetition or for one too many.
    """

    def __init__(self) -> None:
        self.att_mtu = ATT_MTU_MIN
        self._reassemblers = {channel: Reassembler() for channel in Channel}
        self._segmenters = {channel: Segmenter() for channel in Channel}

    def decode(self, data: bytes) -> list[Arrived | Broken]:
        """The message that a value completes, if it does."""
        try:
            channel = Channel(data[0])
        except (IndexError, ValueError):
            return [Broken(UnknownChannel("a value was refused", limit="it begins with a channel's number"))]
        segment = data[1:]
        reassembler = self._for(channel, segment)
        self._reassemblers[channel] = reassembler
        events = reassembler.feed(segment)
        return [Arrived(channel, e.body) if isinstance(e, Joined) else Broken(e.error) for e in events]

    def trial(self, channel: Channel, segment: bytes) -> tuple[FrameError | None, bytes | None]:
        """What would be wrong with a segment, and the message that it would complete; changes nothing."""
        wrong, body = None, None
        for event in copy(self._for(channel, segment)).feed(segment):
            if isinstance(event, BadSegment):
                wrong = event.error
            else:
                body = event.body
        return wrong, body

    def encode(self, channel: Channel, body: bytes) -> list[bytes]:
        """The values in which a message goes out."""
        return [bytes([channel]) + segment for segment in self._segmenters[channel].cut(body, self.att_mtu)]

    def _for(self, channel: Channel, segment: bytes) -> Reassembler:
        return Reassembler() if segment and segment[0] & FIRST else self._reassemblers[channel]


class GattPort(Port):
    """A connection over BLE: values in, and out those of the channels that are subscribed, one by one.

    What Stop answers overtakes a message that is under way: it is another characteristic, so nothing is torn by it.
    `key` is what Bluetooth has encrypted the link with, empty while it has not; `unproven_in` is the number of the
    window in which that key was made, while the owner has not been heard under it, 0 for none.
    """

    __slots__ = ("_gatt", "_muted", "_sending", "_stop_values", "_subscribed", "_values", "key", "unproven_in")

    def __init__(self, number: int) -> None:
        self._gatt = GattCodec()
        super().__init__(number, PortKind.GATT, self._gatt)
        self.key = b""
        self.unproven_in = 0
        self._subscribed: set[Channel] = set()
        self._muted = False
        self._sending: Outgoing | None = None
        self._values: deque[bytes] = deque()
        self._stop_values: deque[bytes] = deque()

    def trial(self, channel: Channel, segment: bytes) -> tuple[FrameError | None, bytes | None]:
        """What would be wrong with a segment, and the message that it would complete; changes nothing."""
        return self._gatt.trial(channel, segment)

    def subscribed(self, channel: Channel) -> bool:
        """Whether the host has asked to hear this channel, and may."""
        return channel in self._subscribed and not (self._muted and channel in _ENCRYPTED)

    def subscribe(self, channel: int, on: int) -> None:
        """Switch a channel; what waits on one that is switched off is lost. No channel of ours is none of ours."""
        if channel not in _CHANNELS:
            return
        switched = Channel(channel)
        if on:
            self._subscribed.add(switched)
            return
        self._subscribed.discard(switched)
        self._drop(switched)

    def mute(self, *, on: bool) -> None:
        """Say nothing, while `on`, on what has to be encrypted; what waits there is lost, what is subscribed stays."""
        if on and not self._muted:
            for channel in _ENCRYPTED:
                self._drop(channel)
        self._muted = on

    def _drop(self, switched: Channel) -> None:
        for queue in self._queues():
            kept = [envelope for envelope in queue if envelope.channel is not switched]
            for _ in range(len(queue) - len(kept)):
                self.lose()
            queue.clear()
            queue.extend(kept)
        if self._sending is not None and self._sending.channel is switched:
            self._sending = None
            self._values.clear()
            self.lose()
        if switched is Channel.STOP and self._stop_values:
            self._stop_values.clear()
            self.lose()

    def agree_mtu(self, att_mtu: int) -> None:
        """From now on segments fit this ATT_MTU; a message that was cut for a bigger one goes out again as a whole."""
        before, self._gatt.att_mtu = self._gatt.att_mtu, min(max(att_mtu, ATT_MTU_MIN), ATT_MTU_MAX)
        if self._gatt.att_mtu < before and self._sending is not None:
            again, self._sending = self._sending, None
            self._values.clear()
            self._queue_of(again).appendleft(again)

    def end_seal(self) -> None:
        """The sealed channel is over; what waited for its seal, or was under way, is lost."""
        super().end_seal()
        if self._sending is not None and self._sending.seal:
            self._sending = None
            self._values.clear()
            self.lose()

    def unanswered(self) -> list[Outgoing]:
        """The replies that the host does not have yet, apart from Stop's."""
        waiting = list(self._replies)
        if self._sending is not None and self._sending.request_id != UNASKED:
            waiting.append(self._sending)
        return waiting

    def reply(self, channel: Channel, request_id: int, message: Message, seal: int = 0) -> None:
        """Answer a request, if the host hears the channel."""
        if self.subscribed(channel):
            super().reply(channel, request_id, message, seal)
        else:
            self.lose()

    def notify(self, message: Message) -> None:
        """Say something unasked, if the host hears the channel; who does not want it loses nothing."""
        if message.channel is not None and self.subscribed(message.channel):
            super().notify(message)

    def take(self) -> bytes:
        """The next value that is to be sent; empty when there is none."""
        while not self._stop_values and self._stops:
            self._stop_values.extend(self._pieces(self._stops.popleft()))
        if self._stop_values:
            return self._stop_values.popleft()
        while not self._values:
            queue = next((queue for queue in self._queues() if queue), None)
            if queue is None:
                self._sending = None
                return b""
            self._sending = queue.popleft()
            self._values.extend(self._pieces(self._sending))
        value = self._values.popleft()
        if not self._values:
            self._sending = None
        return value

    def _queue_of(self, envelope: Outgoing) -> deque[Outgoing]:
        if envelope.request_id != UNASKED:
            return self._replies
        return self._telemetry if envelope.channel is Channel.TELEMETRY else self._changes


_CHANNELS: Final = frozenset(int(channel) for channel in Channel)
_ENCRYPTED: Final = tuple(channel for channel, rule in CHANNEL_RULES.items() if rule.encrypted)
