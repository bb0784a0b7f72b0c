"""The pen's side of its connections: frames in, a bounded queue of frames out.

A host that reads slowly loses telemetry, with a count, and after that state changes; never a reply and never what Stop
answers. Requests are only taken while there is room for their replies; Stop always is. What goes under seal is sealed
when it is sent, so that the counters go up in the order of sending.
"""

from collections import deque
from typing import Final, NamedTuple, Protocol

from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import SEALED_HEADER, UNASKED, Envelope, encode_envelope
from dermalink_protocol.errors import ProtocolError
from dermalink_protocol.framing import BrokenFrame, Frame, FrameDecoder, encode_frame
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.schema import Message
from dermalink_simulator.firmware.channel import SealedChannel
from dermalink_simulator.seam import PortKind

REPLIES_MAX: Final = 64  # replies that wait for a host that does not read; about 8 KiB of a pen's memory (assumption)
TELEMETRY_MAX: Final = 16  # batches that wait: 1.6 s of motion, more than any lease (assumption)
CHANGES_MAX: Final = 32  # state changes that wait (assumption)
COUNT_MAX: Final = 0xFFFF


class Arrived(NamedTuple):
    """A frame that came in whole."""

    channel: Channel
    body: bytes


class Broken(NamedTuple):
    """A frame that did not: why."""

    error: ProtocolError


class Outgoing(NamedTuple):
    """A message that waits to be sent; `seal` numbers the sealed channel under which it goes, 0 is in the clear."""

    channel: Channel
    request_id: int
    message: Message
    seal: int


class Codec(Protocol):
    """How a port's bytes become frames, and frames bytes."""

    def decode(self, data: bytes) -> list[Arrived | Broken]:
        """What `data` completes; noise is dropped."""

    def encode(self, channel: Channel, body: bytes) -> list[bytes]:
        """The pieces in which a message goes out, each to be sent as a whole."""


class StreamCodec:
    """Framing of a byte stream."""

    joins: Final = True

    def __init__(self) -> None:
        self._decoder = FrameDecoder()

    def decode(self, data: bytes) -> list[Arrived | Broken]:
        """Frames of a stream, whatever the cuts."""
        found: list[Arrived | Broken] = []
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):
                found.append(Arrived(event.channel, event.body))
            elif isinstance(event, BrokenFrame):
                found.append(Broken(event.error))
        return found

    def encode(self, channel: Channel, body: bytes) -> list[bytes]:
        """One frame."""
        return [encode_frame(channel, body)]


class Port:
    """One connection: what it is, who it said it is, and what waits to be sent on it."""

    __slots__ = (
        "_changes",
        "_codec",
        "_replies",
        "_stops",
        "_telemetry",
        "broken",
        "change_sequence",
        "dropped",
        "greeted",
        "kind",
        "lost",
        "number",
        "seal",
        "telemetry_sequence",
    )

    def __init__(self, number: int, kind: PortKind, codec: Codec) -> None:
        self.number = number
        self.kind = kind
        self.greeted = False
        self.lost = 0
        self.broken = 0
        self.dropped = 0
        self.seal = SealedChannel()
        self.telemetry_sequence = 0
        self.change_sequence = 0
        self._codec = codec
        self._stops: deque[Outgoing] = deque()
        self._replies: deque[Outgoing] = deque()
        self._changes: deque[Outgoing] = deque()
        self._telemetry: deque[Outgoing] = deque()

    def decode(self, data: bytes) -> list[Arrived | Broken]:
        """The frames that `data` completes; broken ones are counted."""
        found = self._codec.decode(data)
        for each in found:
            if isinstance(each, Broken):
                self.count_broken()
        return found

    def count_broken(self) -> None:
        """Count a frame or a value that was none."""
        self.broken = min(self.broken + 1, COUNT_MAX)

    def unseal(self, channel: Channel, record: bytes) -> bytes | None:
        """The body in a record that came in; one that opens nothing is counted, and gives None."""
        body = self.seal.open(channel, record)
        if body is None:
            self.dropped = min(self.dropped + 1, COUNT_MAX)
        return body

    def hears(self, *, owners_only: bool) -> bool:
        """Whether this host is told anything unasked; `owners_only`: under seal alone (SR-SEC-1)."""
        return self.greeted and (not owners_only or self.seal.proven)

    def seal_replies(self) -> None:
        """Seal the replies that wait now, so that they go out although the channel ends."""
        for queue in (self._stops, self._replies):
            waiting = list(queue)
            queue.clear()
            for each in waiting:
                if not each.seal:
                    queue.append(each)
                    continue
                record = self._sealed(each)
                if record is not None:
                    queue.append(each._replace(message=Sealed(record=record), seal=0))

    def end_seal(self) -> None:
        """The sealed channel is over; what waited for its seal is lost."""
        self.seal.end()
        for queue in self._queues():
            kept = [each for each in queue if not each.seal]
            for _ in range(len(queue) - len(kept)):
                self.lose()
            queue.clear()
            queue.extend(kept)

    @property
    def takes_requests(self) -> bool:
        """Whether there is room for the reply to one more request."""
        return len(self._replies) < REPLIES_MAX

    def reply(self, channel: Channel, request_id: int, message: Message, seal: int = 0) -> None:
        """Answer a request the way it was asked; what the Stop channel answers goes before everything else."""
        envelope = Outgoing(channel, request_id, message, seal)
        if channel is Channel.STOP:
            if len(self._stops) >= REPLIES_MAX:
                self._stops.popleft()
                self.lose()
            self._stops.append(envelope)
        else:
            self._replies.append(envelope)

    def notify(self, message: Message) -> None:
        """Say something unasked; the oldest of its kind is lost when nobody reads."""
        assert message.channel is not None
        queue, most = (
            (self._telemetry, TELEMETRY_MAX) if message.channel is Channel.TELEMETRY else (self._changes, CHANGES_MAX)
        )
        if len(queue) >= most:
            queue.popleft()
            self.lose()
        queue.append(Outgoing(message.channel, UNASKED, message, self.seal.number))

    def lose(self) -> None:
        """Count something that this host will not get or that was not taken from it."""
        self.lost = min(self.lost + 1, COUNT_MAX)

    def take(self) -> bytes:
        """All that is to be sent now; empty when there is nothing."""
        if not (self._stops or self._replies or self._changes or self._telemetry):
            return b""
        pieces = []
        for queue in self._queues():
            for each in queue:
                pieces += self._pieces(each)
            queue.clear()
        return b"".join(pieces)

    def _pieces(self, outgoing: Outgoing) -> list[bytes]:
        """The pieces in which a message goes out now; none when the channel that was to seal it is gone."""
        channel, request_id, message, seal = outgoing
        if seal:
            record = self._sealed(outgoing)
            return [] if record is None else self._codec.encode(channel, SEALED_HEADER + record)
        if isinstance(message, Sealed):
            request_id = UNASKED
        return self._codec.encode(channel, encode_envelope(Envelope(channel, request_id, message)))

    def _sealed(self, outgoing: Outgoing) -> bytes | None:
        """The message's record; None, and lost, when the channel that was to seal it is gone."""
        channel, request_id, message, seal = outgoing
        record = self.seal.seal(seal, channel, encode_envelope(Envelope(channel, request_id, message)))
        if record is None:
            self.lose()
        return record

    def _queues(self) -> tuple[deque[Outgoing], ...]:
        return self._stops, self._replies, self._changes, self._telemetry
