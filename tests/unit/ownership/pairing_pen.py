"""A scripted pen that can be paired with: the arithmetic of a pen's side, its window, its tries, its losses."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from dermalink.links.stream import StreamLink
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import PairingLink, greeted
from dermalink.ownership.store import KeyStore
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.envelope import Envelope, decode_envelope, encode_envelope
from dermalink_protocol.framing import Frame, FrameDecoder
from dermalink_protocol.messages.identity import Hello, HelloReply
from dermalink_protocol.messages.owner import GetOwner, Owner, PairReply, PairStep
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import PairingError
from dermalink_protocol.pairing.owner_keys import OwnerKeys, answer_offer
from dermalink_protocol.pairing.p256 import scalar_from
from dermalink_protocol.pairing.registration import Derivation, derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import Answer, Parties, Verifier
from dermalink_protocol.schema import Message, Reply
from dermalink_protocol.sealing.keys import public_key
from tests.support.memory_pipe import MemoryPipe
from tests.unit.host.scripted_pen import NOW_S, SERIAL, ScriptedPen

CODE = SetupCode("20202021")
OTHER_CODE = SetupCode("20202022")
DERIVATION = Derivation(bytes(range(16)), 1_000)
REGISTRATION = derive_secret(CODE, SERIAL, DERIVATION).registration()
BARRED_S = 600
TRIES = 3


class PairingPen:
    """What stays of a pen from one connection to the next; `connect` makes a connection's far end.

    `drop` and `mute` name steps whose request, or whose answer, is lost (0 is GetOwner); `cut` ends the link with that;
    `refusal` is said in place of doing a step, `forged` in place of its answer.
    """

    def __init__(self) -> None:
        self.window_s = 60
        self.barred_s = 0
        self.tries = 0
        self.owner: OwnerKeys | None = None
        self.pen_private = sha256(b"a pen's own").digest()
        self.remembers = True
        self.drop: set[int] = set()
        self.mute: set[int] = set()
        self.cut = True
        self.silent = False
        self.spoil: dict[int, bytes] = {}
        self.seen: list[int] = []
        self.on_seen: Callable[[int], object] = lambda _number: None
        self.refusal: dict[int, Reason] = {}
        self.forged: dict[int, Reason] = {}
        self._last: tuple[bytes, bytes] = b"", b""
        self._asked: tuple[bytes, bytes] = b"", b""
        self.runs = 0
        self.answer: Answer | None = None

    def connect(self) -> "FarEnd":
        """A new connection's far end."""
        return FarEnd(self, MemoryPipe())

    def power_cycle(self) -> None:
        """What stands in no flash is gone."""
        self.window_s, self.answer, self._last = 0, None, (b"", b"")

    def hand_over(self) -> None:
        """Ten seconds on the button: a window is open, for whoever knows the code to take the pen over."""
        self.window_s = 60

    def step(self, negotiated: tuple[bytes, bytes], step: PairStep) -> Reply:
        """What this pen says to a step."""
        if step.step == steps.CONFIRM and self.remembers and step.share == self._last[0]:
            return PairReply(step=steps.CONFIRM, share=self._last[1])
        for reason, holds in (
            (Reason.OWNED, self.owner is not None and not self.window_s),
            (Reason.PAIRING_BARRED, self.barred_s > 0),
            (Reason.PAIRING_SHUT, self.window_s == 0),
        ):
            if holds:
                value = self.barred_s if reason is Reason.PAIRING_BARRED else 0
                return Refused(refused_opcode=step.opcode, reason=reason, limit=value)
        try:
            return PairReply(step=step.step, share=self._answered(negotiated, step))
        except PairingError:
            return Refused(refused_opcode=step.opcode, reason=Reason.PAIRING_FAILED, limit=0)

    def _answered(self, negotiated: tuple[bytes, bytes], step: PairStep) -> bytes:
        derivation = steps.pack_derivation(DERIVATION)
        if step.step == steps.DERIVE:
            return derivation
        if step.step == steps.SHARE:
            if step.share == self._asked[0]:
                return self._asked[1]
            self._spend_a_try()
            told = steps.HostShare.unpack(step.share)
            parties = Parties.of(1, steps.negotiated(*negotiated, derivation), told.host_id, SERIAL)
            self.runs += 1
            y = scalar_from(sha256(bytes([self.runs])).digest() + bytes(8))
            self.answer = Verifier(REGISTRATION, parties, y).answer(told.share)
            self._asked = step.share, steps.PenShare(self.answer.share, self.answer.confirmation).pack()
            return self._asked[1]
        offered = steps.HostOffered.unpack(step.share)
        assert self.answer is not None
        key = self.answer.finish(offered.confirmation)
        reply = answer_offer(key, public_key(self.pen_private), offered.sealed)
        self.owner, self.tries, self.window_s = reply.keys, 0, 0
        self._last = step.share, reply.sealed
        return reply.sealed

    def _spend_a_try(self) -> None:
        self.tries += 1
        if self.tries == TRIES:
            self.window_s, self.barred_s, self.tries = 0, BARRED_S, 0

    @property
    def standing(self) -> Owner:
        """What it tells anybody."""
        return Owner(owned=int(self.owner is not None), window_s=self.window_s, barred_s=self.barred_s)


class FarEnd(ScriptedPen):
    """One connection of such a pen."""

    def __init__(self, pen: PairingPen, pipe: MemoryPipe) -> None:
        super().__init__(pipe)
        self.pen = pen
        self.negotiated = b"", b""

    def _take(self, data: bytes) -> None:
        for event in FrameDecoder().feed(data):
            assert isinstance(event, Frame)
            if isinstance(decode_envelope(event.channel, event.body).message, Hello):
                self.negotiated = event.body, b""
        super()._take(data)

    def send(self, request_id: int, message: Message, channel: Channel | None = None) -> None:
        if isinstance(message, HelloReply):
            self.negotiated = self.negotiated[0], encode_envelope(Envelope(Channel.STATUS, request_id, message))
        super().send(request_id, message, channel)

    def behave(self, request: Any) -> Reply:
        if isinstance(request, GetOwner | PairStep):
            return self._at_the_desk(request)  # type: ignore[return-value]
        return super().behave(request)

    def _at_the_desk(self, request: GetOwner | PairStep) -> Reply | None:
        pen, number = self.pen, request.step if isinstance(request, PairStep) else 0
        if number in pen.drop:
            pen.drop.discard(number)
            self._lost()
            return None
        pen.seen.append(number)
        pen.on_seen(number)
        if number in pen.refusal:
            return Refused(refused_opcode=request.opcode, reason=pen.refusal[number], limit=0)
        reply: Reply = pen.step(self.negotiated, request) if isinstance(request, PairStep) else pen.standing
        if number in pen.forged:
            return Refused(refused_opcode=request.opcode, reason=pen.forged.pop(number), limit=0)
        if pen.silent and number:
            return None
        if number in pen.mute:
            pen.mute.discard(number)
            self._lost()
            return None
        if number in pen.spoil and isinstance(reply, PairReply):
            reply = PairReply(step=number, share=pen.spoil.pop(number))
        return reply

    def _lost(self) -> None:
        if self.pen.cut:
            self.pipe.cut()


@asynccontextmanager
async def a_pairing(pen: PairingPen, store: KeyStore) -> AsyncIterator[tuple[Pairing, PairingLink]]:
    """A connection to it, and a pairing over it."""
    async with greeted(StreamLink(pen.connect().pipe, "memory:")) as link:
        yield Pairing(link, store, utc=lambda: NOW_S), link
