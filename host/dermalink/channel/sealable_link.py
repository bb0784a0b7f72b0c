"""A link that can be sealed: in the clear at first; once a handshake is through, nothing in the clear is believed.

Stop alone goes out in the clear, at once, since a pen obeys it from anybody (SR-STOP-4): nothing is computed before it,
and a pen that has lost its keys obeys as well. Its answer in the clear is handed on, once: it says that Stop was heard,
as anybody can say, and `stopping` takes no word of it for true. Where the pen's own word does not show that Stop was
heard, it goes once more, under seal (`send_sealed_now`). Not always: at connection intervals of 100 ms the answer to a
second one kept the air so long from what proves the first that 8 of 20 in a pass were not confirmed in time.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dermalink.errors import ChannelUsedUp, LinkError
from dermalink.links.link import Link, LinkCounters, Tap
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.envelope import SEALED_HEADER, peek_opcode, peek_request_id
from dermalink_protocol.schema import ENVELOPE_BYTES
from dermalink_protocol.sealing.errors import (
    CountersUsedUp,
    RecordError,
    RecordForged,
    RecordReplayed,
    RecordTooFarAhead,
    RecordTooLong,
    RecordTooOld,
    RecordTooShort,
)
from dermalink_protocol.sealing.records import Opened, Opener, Sealer

if TYPE_CHECKING:
    from dermalink_protocol.sealing.handshake import Session

STOPS_KEPT: Final = 64
"""Stops whose clear answer is still known as one; a connection has one or two under way."""

_HELLO: Final = Opcode.HELLO.to_bytes(2, "little")
_HELLO_REPLY: Final = Opcode.HELLO_REPLY.to_bytes(2, "little")
_COUNTED_AS: Final[dict[type[RecordError], str]] = {
    RecordForged: "forged",
    RecordReplayed: "replayed",
    RecordTooOld: "too_old",
    RecordTooFarAhead: "too_far_ahead",
    RecordTooShort: "no_record",
    RecordTooLong: "no_record",
}


class SealableLink:
    """A `Link` over a link. It watches hello and its reply go by; `seal` is called once, and there is no way back."""

    def __init__(self, link: Link) -> None:
        """`link` is owned from here on."""
        self.counters: LinkCounters = link.counters
        self.tap: Tap = link.tap
        self._link = link
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._hello = self._reply = b""
        self._stops: deque[int] = deque(maxlen=STOPS_KEPT)
        self._deliver: Callable[[Channel, bytes], None] | None = None

    # The handshake

    @property
    def sealed(self) -> bool:
        """Whether a handshake is through."""
        return self._opener is not None

    @property
    def negotiated(self) -> tuple[bytes, bytes]:
        """The bodies of the last hello and of its reply, as they went over the wire; b"" for none."""
        return self._hello, self._reply

    def seal(self, session: "Session") -> None:
        """From now on only what opens is believed. Raises `RuntimeError` the second time."""
        if self._opener is not None:
            raise RuntimeError("a connection is sealed once")
        self._sealer, self._opener = session.sealer, session.opener

    # What the link says of itself

    @property
    def url(self) -> str:
        """The URL that it was opened by."""
        return self._link.url

    @property
    def kind(self) -> str:
        """The URL's scheme."""
        return self._link.kind

    @property
    def promised_serial(self) -> str:
        """See `Link.promised_serial`."""
        return self._link.promised_serial

    @property
    def stop_again_s(self) -> float:
        """See `Link.stop_again_s`."""
        return self._link.stop_again_s

    @property
    def late_s(self) -> float:
        """See `Link.late_s`."""
        return self._link.late_s

    # Out

    async def send(self, channel: Channel, body: bytes) -> None:
        """See `Link.send`; raises `ChannelUsedUp` as well."""
        await self._link.send(channel, self._outgoing(channel, body))

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        """See `Link.try_send`; raises `ChannelUsedUp` as well."""
        return self._link.try_send(channel, self._outgoing(channel, body), gather=gather)

    def send_now(self, channel: Channel, body: bytes) -> None:
        """See `Link.send_now`; Stop goes as it is, and all else sealed, so that it raises `ChannelUsedUp` as well."""
        if peek_opcode(body) == Opcode.STOP:
            self._stops.append(peek_request_id(body))  # before it is sent: its answer may come at once
        else:
            body = self._outgoing(channel, body)
        self._link.send_now(channel, body)

    def send_sealed_now(self, channel: Channel, body: bytes) -> None:
        """The same with Stop sealed as well: what answers it is the pen's own word, or is not believed."""
        self._link.send_now(channel, self._outgoing(channel, body))

    def _outgoing(self, channel: Channel, body: bytes) -> bytes:
        if self._sealer is None:
            if body[:2] == _HELLO:
                self._hello, self._reply = body, b""
            return body
        try:
            return SEALED_HEADER + self._sealer.seal(channel, body)
        except CountersUsedUp as used_up:
            raise ChannelUsedUp(
                f"Nothing more can be sealed on {self.url}",
                rule=used_up.rule,
                limit=used_up.limit,
                advice="Connect again",
            ) from used_up

    async def read_status(self) -> bytes | None:
        """None once it is sealed: whatever can be read past the channel is in the clear; see `Link.read_status`."""
        return None if self._opener is not None else await self._link.read_status()

    # In

    async def receive(self) -> tuple[Channel, bytes]:
        """The next message that is believed; see `Link.receive`."""
        while True:
            channel, body = await self._link.receive()
            believed = self._incoming(channel, body)
            if believed is not None:
                return channel, believed

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        """Hand on what is believed, as it comes; see `Link.deliver_to`."""
        self._deliver = take
        self._link.deliver_to(self._take, end)

    def _take(self, channel: Channel, body: bytes) -> None:
        believed = self._incoming(channel, body)
        if believed is not None and self._deliver is not None:
            self._deliver(channel, believed)

    def _incoming(self, channel: Channel, body: bytes) -> bytes | None:
        if self._opener is None:
            if body[:2] == _HELLO_REPLY and not self._reply and peek_request_id(body) == peek_request_id(self._hello):
                self._reply = body
            return body
        if body[:ENVELOPE_BYTES] != SEALED_HEADER:
            if self._answers_stop(channel, body):
                return body
            self._drop("in_the_clear", channel, body)
            return None
        opened = self._opener.open(channel, body[ENVELOPE_BYTES:])
        if isinstance(opened, Opened):
            return opened.body
        self._drop(_COUNTED_AS[opened.kind], channel, body)
        return None

    def _drop(self, kind: str, channel: Channel, body: bytes) -> None:
        setattr(self.counters, kind, getattr(self.counters, kind) + 1)
        if self.tap.on_dropped is not None:
            self.tap.on_dropped(kind, channel, body)

    def _answers_stop(self, channel: Channel, body: bytes) -> bool:
        """Whether this may be the answer to a Stop that went in the clear, for the first time."""
        if channel is not Channel.STOP or peek_opcode(body) not in (Opcode.STOPPED, Opcode.REFUSED):
            return False
        asked = peek_request_id(body)
        if asked not in self._stops:
            return False
        self._stops.remove(asked)
        return True

    async def secure(self, *, pairs: bool) -> None:
        """See `Link.secure`."""
        await self._link.secure(pairs=pairs)

    async def forget_bond(self) -> bool:
        """See `Link.forget_bond`."""
        return await self._link.forget_bond()

    async def close(self) -> None:
        """See `Link.close`."""
        await self._link.close()
