"""`Noise_KK_25519_ChaChaPoly_SHA256`, as `noiseprotocol` computes it, behind a small typed face.

The one module that knows the library: it is untyped, its errors are bare, and it warns of an ephemeral key that was
not drawn by itself. Here it only computes; what may be asked when, and which keys are taken, `handshake` decides.
The pattern (Noise Protocol Framework, revision 34, section 7.5), both static keys known before:

    -> e, es, ss
    <- e, ee, se
"""

from typing import Any, Final, NamedTuple

PROTOCOL: Final = b"Noise_KK_25519_ChaChaPoly_SHA256"


class BadSeal(Exception):
    """A message does not open with these keys, this prologue and the messages before it."""


class Split(NamedTuple):
    """What a finished handshake gives (sections 5.2 and 11.2): a key a direction, and the hash of all that was said."""

    initiator_sends: bytes
    responder_sends: bytes
    handshake_hash: bytes

    def __repr__(self) -> str:
        """Keys stand in no log."""
        return f"Split(handshake_hash={self.handshake_hash.hex()})"


class NoiseKK:
    """One side of one handshake: `write` and `read` in turn, the initiator writes first, then `split`.

    Keys are 32 bytes and have been checked. The ephemeral key is the caller's, drawn for this handshake and no other.
    """

    __slots__ = ("_initiator", "_noise")

    def __init__(self, *, initiator: bool, static: bytes, peer: bytes, ephemeral: bytes, prologue: bytes) -> None:
        from noise.backends.default import noise_backend
        from noise.backends.default.keypairs import KeyPair25519
        from noise.noise_protocol import NoiseProtocol

        noise = NoiseProtocol(PROTOCOL, noise_backend)
        noise.initiator = initiator
        noise.prologue = prologue
        noise.keypairs.update(
            s=KeyPair25519.from_private_bytes(static),
            e=KeyPair25519.from_private_bytes(ephemeral),
            rs=KeyPair25519.from_public_bytes(peer),
        )
        noise.initialise_handshake_state()
        self._noise: Any = noise
        self._initiator = initiator

    def write(self, payload: bytes = b"") -> bytes:
        """The next message: an ephemeral public key (32), the payload under seal, a tag (16)."""
        message = bytearray()
        self._noise.handshake_state.write_message(payload, message)
        return bytes(message)

    def read(self, message: bytes) -> bytes:
        """The payload of the next message; raises `BadSeal`, also where a shared secret would be zero."""
        from cryptography.exceptions import InvalidTag

        payload = bytearray()
        try:
            self._noise.handshake_state.read_message(message, payload)
        except (InvalidTag, ValueError) as error:
            raise BadSeal from error
        return bytes(payload)

    def split(self) -> Split:
        """The keys, once both messages went over."""
        mine, theirs = self._noise.cipher_state_encrypt.k, self._noise.cipher_state_decrypt.k
        sends = (mine, theirs) if self._initiator else (theirs, mine)
        return Split(*sends, self._noise.handshake_hash)
