"""A scripted pen that has an owner: hello and Stop in the clear, all else under seal; a test may stand in between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from dermalink.connecting import Known, greet
from dermalink.journal import Journal, MemoryJournal
from dermalink.links.stream import StreamLink
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.pen import Pen
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.envelope import SEALED_HEADER, Envelope, decode_envelope, encode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder, encode_frame
from dermalink_protocol.messages.identity import GetStatus, Hello
from dermalink_protocol.messages.owner import ChannelOpened, GetOwner, OpenChannel, Owner
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.messages.stop import ReportSymptom, Stop
from dermalink_protocol.schema import Message, Request
from dermalink_protocol.sealing.errors import HandshakeError
from dermalink_protocol.sealing.handshake import SUITE, Keys, Negotiated, PenHandshake, Session
from dermalink_protocol.sealing.keys import public_key
from dermalink_protocol.sealing.records import Opened
from tests.support.memory_pipe import MemoryPipe
from tests.unit.host.scripted_pen import SERIAL, Clock, ScriptedPen

HOST_PRIVATE = bytes(range(1, 33))
PEN_PRIVATE = bytes(range(101, 133))
BINDING = bytes(range(201, 233))
OWNED = OwnedPen(SERIAL, HOST_PRIVATE, public_key(PEN_PRIVATE), BINDING)
FOR_A_STRANGER = (Hello, GetStatus, GetOwner, Stop, ReportSymptom)

Mangle = Callable[[Channel, bytes], list[bytes]]


class SealedPen(ScriptedPen):
    """See the module. `mangle` is handed each body that the pen says, and returns what reaches the host instead.

    `heard` are the bodies that came, as they came; `opened` those of its requests that came under seal.
    """

    def __init__(self, pipe: MemoryPipe) -> None:
        super().__init__(pipe)
        self.hello |= {"suite": SUITE}
        self.host_public = public_key(HOST_PRIVATE)
        self.private = PEN_PRIVATE
        self.binding = BINDING
        self.owned = True
        self.session: Session | None = None
        self.mangle: Mangle = lambda _, body: [body]
        self.mangle_asked: Mangle = lambda _, body: [body]
        self.heard: list[tuple[Channel, bytes]] = []
        self.opened: list[Request[Any]] = []
        self.handshakes = 0
        self.in_the_clear = False
        self._hello = self._reply = b""

    def send(self, request_id: int, message: Message, channel: Channel | None = None) -> None:
        """Under seal once there is one, unless a test says `in_the_clear`."""
        where = channel or message.channel
        assert where is not None
        body = encode_envelope(Envelope(where, request_id, message))
        if self.session is not None and not self.in_the_clear:
            record = self.session.sealer.seal(where, body)
            body = encode_envelope(Envelope(where, 0, Sealed(record=record)))
        self.say(where, body)

    def say(self, channel: Channel, body: bytes) -> bytes:
        """Send a body, whatever is in it."""
        for each in self.mangle(channel, body):
            self.pipe.feed(encode_frame(channel, each))
        return body

    def say_clear(self, request_id: int, message: Message, channel: Channel | None = None) -> bytes:
        """What anybody can say."""
        where = channel or message.channel
        assert where is not None
        return self.say(where, encode_envelope(Envelope(where, request_id, message)))

    def _take(self, data: bytes) -> None:
        for event in FrameDecoder().feed(data):
            assert isinstance(event, Frame)
            for body in self.mangle_asked(event.channel, event.body):
                self._take_body(event.channel, body)

    def _take_body(self, channel: Channel, body: bytes) -> None:
        self.heard.append((channel, body))
        if body[:4] == SEALED_HEADER:
            if self.session is not None:
                opened = self.session.opener.open(channel, body[4:])
                if isinstance(opened, Opened):
                    self._take_sealed(channel, opened.body)
            return
        envelope = decode_envelope(channel, body)
        request = envelope.message
        assert isinstance(request, Request)
        self.seen.append(request)
        reply: Message | None
        if isinstance(request, Hello):
            self.session = None
            self._hello = body
            reply = self._answer(request)
            if reply is not None:
                self._reply = self.say_clear(envelope.request_id, reply)
        elif isinstance(request, OpenChannel) and OpenChannel not in self.scripts:
            self._shake_hands(envelope.request_id, request)
        else:
            refused = Refused(refused_opcode=int(request.opcode), reason=Reason.NOT_AUTHENTICATED, limit=0)
            known = not self.owned or isinstance(request, FOR_A_STRANGER) or type(request) in self.scripts
            reply = self._answer(request) if known else refused
            if reply is not None:
                self.say_clear(envelope.request_id, reply, channel)

    def _take_sealed(self, channel: Channel, body: bytes) -> None:
        envelope = decode_envelope(channel, body)
        request = envelope.message
        assert isinstance(request, Request)
        self.opened.append(request)
        reply = self._answer(request)
        if reply is not None:
            self.send(envelope.request_id, reply, channel)

    def _answer(self, request: Request[Any]) -> Message | None:
        if isinstance(request, GetOwner) and GetOwner not in self.scripts:
            return Owner(owned=int(self.owned), window_s=0, barred_s=0)
        return self.scripts.get(type(request), self.behave)(request)

    def _shake_hands(self, request_id: int, request: OpenChannel) -> None:
        self.handshakes += 1
        ephemeral = bytes(range(40 + self.handshakes, 72 + self.handshakes))
        try:
            keys = Keys(self.private, self.host_public, ephemeral)
            answer = PenHandshake(keys, Negotiated(self._hello, self._reply, self.binding)).answer(request.message)
        except HandshakeError as error:
            self.say_clear(
                request_id,
                Refused(refused_opcode=int(OpenChannel.opcode), reason=error.reason, limit=0),
                Channel.PAIRING,
            )
            return
        self.say_clear(request_id, ChannelOpened(message=answer.message))
        self.session = answer.session


def has_keys(serial_number: str) -> OwnedPen | None:
    """This computer owns the scripted pen."""
    return OWNED if serial_number == SERIAL else None


def no_keys(_: str) -> None:
    """This computer owns none."""


@asynccontextmanager
async def an_owned_pen(
    script: SealedPen | None = None,
    *,
    known: Known = has_keys,
    journal: Journal | None = None,
    inspect_only: bool = False,
) -> AsyncIterator[tuple[Pen, SealedPen]]:
    """A connected pen and the script behind it; sealed, if this computer has its keys."""
    script = script or SealedPen(MemoryPipe())
    link = StreamLink(script.pipe, "memory:")
    kept = journal or MemoryJournal()
    pen = Pen(await greet(link, journal=kept, inspect_only=inspect_only, utc=Clock(), known=known))
    try:
        yield pen, script
    finally:
        await pen.close()


async def settled() -> None:
    """All that is under way in memory has come."""
    await asyncio.sleep(0.01)
