"""The handshake of a connection between a host and a pen that know each other's static key (SR-SEC-1, SR-OWN-1).

**Suite.** `SUITE` (1) in hello's reply: `Noise_KK_25519_ChaChaPoly_SHA256` (Noise Protocol Framework, revision 34),
the host as initiator, then the records of `records`. 0 is no suite.

**Messages.** Two, 48 bytes each, with no payload: an ephemeral public key (32 bytes) and a tag (16).

| | host | pen |
| --- | --- | --- |
| before | has its static private key and the pen's public one, both from pairing | the same, the other way round |
| in the clear | sends hello, with its nonce | answers with version, suite, features, serial number, boot id, tick |
| 1 | `HostHandshake.begin` makes e, es, ss | `PenHandshake.answer` takes it |
| 2 | `HostHandshake.finish` takes e, ee, se | ... and gives its answer |
| then | seals with the first key, opens with the second | seals with the second, opens with the first |

**Nothing said in the clear can be altered.** The prologue, which both sides hash before the first message, is a
label, the bytes of hello and of its reply as each side sent or saw them, and what binds the two keys to one pairing,
so one changed bit, an older version, a missing feature, or keys of two pairings end the handshake. It is `LABEL`, then
three times a length (u16 little-endian) and that many bytes.
The boot id and the tick in the reply, and the nonce in hello, differ from one connection to the next: so an old
message is of another prologue.

**What each side knows.** The host, after `finish`: the pen holds its private key, now. The pen, after `answer`: the
host's key made this message, for this very hello and reply, but whether the host is there now it knows only when a
first record opens (`Opener.proven`). Until then it leaves whatever connection it has as it is.

**Once.** Each object goes through its steps once. A step out of turn or a second time, and whatever a step refuses,
ends it for good: the next attempt has a new ephemeral key and a new hello. The ephemeral private key is the caller's
32 bytes of chance, for one handshake and never stored; it goes with the object, which is why a static key that is
stolen later opens no old recording. The session's keys go straight into one sealer and one opener, so no second one
can count from 0 with the same key.

Host and pen refuse keys before they compute with them (`keys`), and any ephemeral key that is one they know: their
own message, played back.
"""

from enum import Enum
from typing import Final, NamedTuple

from dermalink_protocol.limits import MESSAGE_BYTES_MAX
from dermalink_protocol.sealing.aead import TAG_BYTES
from dermalink_protocol.sealing.errors import (
    HandshakeLength,
    HandshakeRefused,
    HandshakeSpent,
    ReflectedKey,
    UnboundHandshake,
)
from dermalink_protocol.sealing.keys import KEY_BYTES, checked_private, checked_public, public_key
from dermalink_protocol.sealing.noise_kk import BadSeal, NoiseKK
from dermalink_protocol.sealing.records import Opener, Sealer
from dermalink_protocol.sealing.single import Single

SUITE: Final = 1
LABEL: Final = b"dermalink sealed channel 1"
HANDSHAKE_BYTES: Final = KEY_BYTES + TAG_BYTES
BINDING_BYTES: Final = 32


class Negotiated(NamedTuple):
    """What was agreed before: the bodies of hello and of its reply, envelope and all, as this side has them, in the
    clear; and `binding`, 32 secret bytes, from pairing (`pairing.owner_keys.OwnerKeys`).
    """

    hello: bytes
    reply: bytes
    binding: bytes

    def __repr__(self) -> str:
        """Secrets stand in no log."""
        return f"Negotiated(hello={self.hello.hex()}, reply={self.reply.hex()})"

    def prologue(self) -> bytes:
        """What both sides hash first; raises `UnboundHandshake` if one is empty or longer than any message."""
        if len(self.binding) != BINDING_BYTES:
            limit = f"its binding has {len(self.binding)} bytes, and there are {BINDING_BYTES}"
            raise UnboundHandshake("a handshake was refused", limit=limit, limit_value=BINDING_BYTES)
        prologue = LABEL
        for name, body in zip(self._fields, self, strict=True):
            if not 0 < len(body) <= MESSAGE_BYTES_MAX:
                limit = f"its {name} has {len(body)} bytes, and a message has 1 to {MESSAGE_BYTES_MAX}"
                raise UnboundHandshake("a handshake was refused", limit=limit, limit_value=MESSAGE_BYTES_MAX)
            prologue += len(body).to_bytes(2, "little") + body
        return prologue


class Session(NamedTuple):
    """What a finished handshake leaves: a sealer and an opener, which nobody else has, and a name for both sides.

    `handshake_hash` (32 bytes, no secret) is the same on both sides and differs from any other connection's.
    """

    sealer: Sealer
    opener: Opener
    handshake_hash: bytes


class Answer(NamedTuple):
    """The pen's message, and its session; see `Opener.proven` for what the pen may believe of it yet."""

    message: bytes
    session: Session


class Keys(NamedTuple):
    """What one side brings to one handshake, each 32 bytes: its private key, the other's public one, its ephemeral."""

    own_private: bytes
    peer_public: bytes
    ephemeral_private: bytes

    def __repr__(self) -> str:
        """Keys stand in no log."""
        return f"Keys(peer_public={self.peer_public.hex()})"


class _Step(Enum):
    FRESH = "has not begun"
    SENT = "waits for its answer"
    OVER = "is over"


class _Handshake(Single):
    """What both sides have in common: the keys that were looked at, and the step that is due."""

    __slots__ = ("_known", "_noise", "_step")

    def __init__(self, keys: Keys, negotiated: Negotiated, *, initiator: bool) -> None:
        own = public_key(checked_private(keys.own_private, "one's own private key"))
        ephemeral = public_key(checked_private(keys.ephemeral_private, "an ephemeral private key"))
        peer = checked_public(keys.peer_public, "the other side's public key")
        if peer in (own, ephemeral) or own == ephemeral:
            raise ReflectedKey("a handshake was refused", limit="two keys of three are the same", advice="Pair again.")
        self._known = frozenset({own, ephemeral, peer})
        self._step = _Step.FRESH
        self._noise: NoiseKK | None = NoiseKK(
            initiator=initiator,
            static=keys.own_private,
            peer=peer,
            ephemeral=keys.ephemeral_private,
            prologue=negotiated.prologue(),
        )

    def _take_up(self, due: _Step) -> NoiseKK:
        """The handshake for one step; it is over unless that step says otherwise."""
        step, noise = self._step, self._noise
        self._step, self._noise = _Step.OVER, None
        if step is not due or noise is None:
            raise HandshakeSpent("a step of a handshake was refused", limit=f"it {step.value}", advice="Begin another.")
        return noise

    def _read(self, noise: NoiseKK, message: bytes) -> None:
        """Take the other side's message, or raise and leave nothing behind."""
        if len(message) != HANDSHAKE_BYTES:
            limit = f"it has {HANDSHAKE_BYTES} bytes"
            refused = f"a handshake's message of {len(message)} bytes was refused"
            raise HandshakeLength(refused, limit=limit, limit_value=HANDSHAKE_BYTES)
        ephemeral = checked_public(message[:KEY_BYTES], "the other side's ephemeral key")
        if ephemeral in self._known:
            raise ReflectedKey("a handshake's message was refused", limit="its key is one that was used before")
        try:
            payload = noise.read(message)
        except BadSeal:
            raise HandshakeRefused(
                "a handshake's message was refused",
                limit="it is not the other side's for these keys and this hello",
                advice="Connect again; if it stays so, pair again.",
            ) from None
        assert payload == b""


class HostHandshake(_Handshake):
    """The host's side: `begin`, send, receive, `finish`."""

    __slots__ = ()

    def __init__(self, keys: Keys, negotiated: Negotiated) -> None:
        """Raises `UnusableKey`, `ReflectedKey` or `UnboundHandshake`."""
        super().__init__(keys, negotiated, initiator=True)

    def begin(self) -> bytes:
        """The first message; raises `HandshakeSpent` the second time."""
        noise = self._take_up(_Step.FRESH)
        message = noise.write()
        self._step, self._noise = _Step.SENT, noise
        return message

    def finish(self, message: bytes) -> Session:
        """The session, from the pen's message; raises a `HandshakeError`, and then the handshake is over as well."""
        noise = self._take_up(_Step.SENT)
        self._read(noise, message)
        split = noise.split()
        return Session(Sealer(split.initiator_sends), Opener(split.responder_sends), split.handshake_hash)


class PenHandshake(_Handshake):
    """The pen's side: receive, `answer`, send."""

    __slots__ = ()

    def __init__(self, keys: Keys, negotiated: Negotiated) -> None:
        """Raises `UnusableKey`, `ReflectedKey` or `UnboundHandshake`."""
        super().__init__(keys, negotiated, initiator=False)

    def answer(self, message: bytes) -> Answer:
        """The pen's message and its session; raises a `HandshakeError`, and then the handshake is over as well."""
        noise = self._take_up(_Step.FRESH)
        self._read(noise, message)
        reply = noise.write()
        split = noise.split()
        session = Session(Sealer(split.responder_sends), Opener(split.initiator_sends), split.handshake_hash)
        return Answer(reply, session)
