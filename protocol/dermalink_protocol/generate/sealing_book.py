"""The sealed channel by the book, for the vectors: Noise KK from hashes, X25519 and ChaCha20-Poly1305 alone.

Nothing of `dermalink_protocol.sealing` and no Noise library is used, so that the vectors hold them both.
Noise Protocol Framework, revision 34: sections 4.3 (HKDF), 5.2 and 5.3 (the state), 7.5 (KK).
"""

import hmac
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PROTOCOL = b"Noise_KK_25519_ChaChaPoly_SHA256"
LABEL = b"dermalink sealed channel 1"
ALL_ONES = 2**64 - 1


def chance(name: str) -> bytes:
    """32 bytes that stand for chance, the same in every run."""
    return sha256(f"dermalink sealing vectors: {name}".encode()).digest()


def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def shared(private: bytes, other: bytes) -> bytes:
    """X25519 (RFC 7748)."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(other))


def sealed(key: bytes, number: int, bound: bytes, plain: bytes) -> bytes:
    """ENCRYPT of Noise: the nonce is four zero bytes and the number, u64 little-endian."""
    return ChaCha20Poly1305(key).encrypt(bytes(4) + number.to_bytes(8, "little"), plain, bound)


@cache  # the last key of all is 65 535 steps away
def rekeyed(key: bytes, times: int = 1) -> bytes:
    """The key after so many REKEYs."""
    for _ in range(times):
        key = sealed(key, ALL_ONES, b"", bytes(32))[:32]
    return key


def prologue(hello: bytes, reply: bytes, binding: bytes) -> bytes:
    """What both sides hash first."""
    return LABEL + b"".join(len(body).to_bytes(2, "little") + body for body in (hello, reply, binding))


def record(key: bytes, channel: int, counter: int, body: bytes) -> bytes:
    """A sealed record, under the key of its own epoch."""
    return counter.to_bytes(4, "little") + sealed(key, counter, bytes([channel]), body)


class Made(NamedTuple):
    """A whole handshake."""

    first: bytes
    second: bytes
    handshake_hash: bytes
    host_to_pen: bytes
    pen_to_host: bytes


class _State:
    def __init__(self, *hashed: bytes) -> None:
        self.chaining = self.hash = PROTOCOL  # exactly as long as the hash
        self.key = b""
        for data in hashed:
            self.mix_hash(data)

    def mix_hash(self, data: bytes) -> None:
        self.hash = sha256(self.hash + data).digest()

    def expand(self, secret: bytes) -> tuple[bytes, bytes]:
        extracted = hmac.digest(self.chaining, secret, "sha256")
        one = hmac.digest(extracted, b"\x01", "sha256")
        return one, hmac.digest(extracted, one + b"\x02", "sha256")

    def mix_key(self, secret: bytes) -> None:
        self.chaining, self.key = self.expand(secret)

    def tag(self) -> bytes:
        made = sealed(self.key, 0, self.hash, b"")  # a fresh key before each, so the number is 0
        self.mix_hash(made)
        return made


def handshake(host: bytes, host_ephemeral: bytes, pen: bytes, pen_ephemeral: bytes, hashed: bytes) -> Made:
    """Both messages and what comes of them, from four private keys and a prologue."""
    state = _State(hashed, public(host), public(pen))
    first = public(host_ephemeral)
    state.mix_hash(first)
    state.mix_key(shared(host_ephemeral, public(pen)))
    state.mix_key(shared(host, public(pen)))
    first += state.tag()
    second = public(pen_ephemeral)
    state.mix_hash(second)
    state.mix_key(shared(pen_ephemeral, public(host_ephemeral)))
    state.mix_key(shared(pen_ephemeral, public(host)))
    second += state.tag()
    return Made(first, second, state.hash, *state.expand(b""))
