"""What pairing leaves behind: each side's static X25519 public key, known to the other, bound to the run.

    host   offer = HostOffer(confirmed.key, host_public)          sends offer.sealed, beside confirmP
    pen    reply = answer_offer(key, pen_public, sealed)          sends reply.sealed; reply.keys are final once sent
    host   keys = offer.finish(sealed)                            the same keys

Three keys follow from K_shared by HKDF-SHA256 without salt, 32 bytes each; `info` names the use:

    b"dermalink pairing 1 host key"                               seals the host's key, host to pen
    b"dermalink pairing 1 pen key"                                seals the pen's key, pen to host
    b"dermalink pairing 1 binding" ‖ host's key ‖ pen's key       `OwnerKeys.binding`

A sealed key is 48 bytes, ChaCha20-Poly1305 (RFC 8439) with a nonce of twelve zero bytes: a key seals one message and no
other. The pen's seal has the host's key as associated data, so a host that opens it knows which key the pen took. Both
keys have their own direction, so nothing sealed can be sent back. `binding` belongs into the prologue of every later
handshake: keys that were put together from two pairings then never meet.

Refused as static keys (`BadPublicKey`): what `sealing.keys` refuses, and the other side's own, sent back.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from dermalink_protocol.pairing.errors import BadPublicKey, BrokenSeal
from dermalink_protocol.pairing.single_use import SingleUse
from dermalink_protocol.pairing.spake2plus import KEY_BYTES, SharedKey, hkdf
from dermalink_protocol.sealing.errors import UnusableKey
from dermalink_protocol.sealing.keys import checked_public

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PUBLIC_KEY_BYTES: Final = 32
SEALED_BYTES: Final = PUBLIC_KEY_BYTES + 16
HOST_KEY_LABEL: Final = b"dermalink pairing 1 host key"
PEN_KEY_LABEL: Final = b"dermalink pairing 1 pen key"
BINDING_LABEL: Final = b"dermalink pairing 1 binding"

_NONCE: Final = bytes(12)
_AGAIN: Final = "Begin pairing again."


@dataclass(frozen=True, slots=True)
class OwnerKeys:
    """The static public keys of an owner's host and of his pen, and what binds them to the pairing; 32 bytes each."""

    host: bytes
    pen: bytes
    binding: bytes = field(repr=False)


class PenReply(NamedTuple):
    """The pen's last word, to send, and the keys that it stands for."""

    sealed: bytes
    keys: OwnerKeys


class HostOffer(SingleUse):
    """The host's static key, sealed for the pen; raises `BadPublicKey`, and `StepRepeated` if the key was taken."""

    __slots__ = ("_key", "_public", "sealed")

    def __init__(self, shared: SharedKey, public: bytes) -> None:
        super().__init__()
        self._public = checked_public_key(public)
        self._key = shared.take()
        self.sealed = _cipher(self._key, HOST_KEY_LABEL).encrypt(_NONCE, public, b"")

    def finish(self, sealed: bytes) -> OwnerKeys:
        """Open the pen's key; raises `BrokenSeal`, `BadPublicKey`, `StepRepeated`, after which it is over."""
        self._spend()
        return _keys(self._key, self._public, _opened(self._key, PEN_KEY_LABEL, sealed, self._public))


def answer_offer(shared: SharedKey, public: bytes, sealed: bytes) -> PenReply:
    """Open the host's key and seal the pen's; raises as `HostOffer` and its `finish` do."""
    checked_public_key(public)
    key = shared.take()
    host = _opened(key, HOST_KEY_LABEL, sealed, b"")
    return PenReply(_cipher(key, PEN_KEY_LABEL).encrypt(_NONCE, public, host), _keys(key, host, public))


def checked_public_key(public: bytes) -> bytes:
    """The key itself; raises `BadPublicKey` for one that no honest side has (see above)."""
    if type(public) is not bytes:
        raise _bad_key(f"it has {PUBLIC_KEY_BYTES} bytes")
    try:
        checked_public(public, "a static key")
    except UnusableKey as error:
        raise _bad_key(error.limit) from None
    return public


def _keys(key: bytes, host: bytes, pen: bytes) -> OwnerKeys:
    if host == pen:
        raise _bad_key("it is the other side's own")
    return OwnerKeys(host, pen, hkdf(key, BINDING_LABEL + host + pen, KEY_BYTES))


def _cipher(key: bytes, label: bytes) -> "ChaCha20Poly1305":
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(hkdf(key, label, KEY_BYTES))


def _opened(key: bytes, label: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    if type(sealed) is not bytes or len(sealed) != SEALED_BYTES:
        raise BrokenSeal("a sealed key was refused", limit=f"it has {SEALED_BYTES} bytes", advice=_AGAIN)
    try:
        public = _cipher(key, label).decrypt(_NONCE, sealed, bound_to)
    except InvalidTag:
        limit = "it was altered, or sealed in another run"
        raise BrokenSeal("a sealed key was refused", limit=limit, advice=_AGAIN) from None
    return checked_public_key(public)


def _bad_key(limit: str) -> BadPublicKey:
    return BadPublicKey("a static key was refused", limit=limit, advice=_AGAIN)
