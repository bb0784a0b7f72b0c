"""A sealed record, made and opened: against the bare cipher. A handshake: against the eight products that it needs."""

from collections.abc import Iterator
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dermalink_protocol.channels import Channel
from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated, PenHandshake, Session
from dermalink_protocol.sealing.keys import public_key
from tests.benchmarks.measure import Row, row

BODY_BYTES = 98  # a batch of telemetry
NEGOTIATED = Negotiated(b"hello", b"its reply", bytes(32))


def chance(name: str) -> bytes:
    """A private key that is the same in every run."""
    return sha256(name.encode()).digest()


def connect() -> tuple[Session, Session]:
    """The host's and the pen's session, after a handshake."""
    host = HostHandshake(Keys(chance("host"), public_key(chance("pen")), chance("host ephemeral")), NEGOTIATED)
    pen = PenHandshake(Keys(chance("pen"), public_key(chance("host")), chance("pen ephemeral")), NEGOTIATED)
    answer = pen.answer(host.begin())
    return host.finish(answer.message), answer.session


def rows() -> Iterator[Row]:
    """Both at the size of a telemetry batch."""
    (host, pen), body = connect(), bytes(BODY_BYTES)
    bare, nonce, bound = ChaCha20Poly1305(chance("bare")), bytes(12), b"\x04"
    private = X25519PrivateKey.from_private_bytes(chance("host"))
    public = X25519PrivateKey.from_private_bytes(chance("pen")).public_key()

    def ours() -> object:
        return host.opener.open(Channel.TELEMETRY, pen.sealer.seal(Channel.TELEMETRY, body))

    def bare_cipher() -> bytes:
        return bare.decrypt(nonce, bare.encrypt(nonce, body, bound), bound)

    def products() -> None:
        for _ in range(8):  # four secrets, each on both sides
            private.exchange(public)

    yield row("record sealed and opened", ours, "bare ChaCha20-Poly1305", bare_cipher, "≤ 2.2")
    yield row("handshake, both sides", connect, "its eight X25519 products", products, "≤ 5", "ms")
