"""ChaCha20-Poly1305 (RFC 8439, section 2.8) with a nonce of the caller's, and Noise's way to the next key.

The nonce of a record is its counter as Noise writes it (revision 34, section 12.3): four zero bytes, then the number
as u64 little-endian. The next key is the first 32 bytes of what 32 zero bytes become under the nonce 2⁶⁴ - 1 with no
associated data (section 4.2, REKEY). A record's counter is a u32, so no record ever has that nonce.
"""

from typing import Final

TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
REKEY_NONCE: Final = bytes(4) + b"\xff" * 8
_ZERO_KEY: Final = bytes(32)


def nonce_of(counter: bytes) -> bytes:
    """The nonce that a record's counter gives, from its four bytes as they stand in the record."""
    return b"\0\0\0\0" + counter + b"\0\0\0\0"


class Aead:
    """One key. It seals and opens what it is given; that no nonce comes twice is the sealer's matter."""

    __slots__ = ("_cipher", "_invalid_tag")

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._cipher = ChaCha20Poly1305(key)
        self._invalid_tag = InvalidTag

    def seal(self, nonce: bytes, body: bytes, bound: bytes) -> bytes:
        """`body` enciphered, and the tag (16 bytes) over it and what it is `bound` to."""
        return self._cipher.encrypt(nonce, body, bound)

    def open(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes | None:
        """The body, or None when the tag is not this key's for this nonce, body and `bound`."""
        try:
            return self._cipher.decrypt(nonce, sealed, bound)
        except self._invalid_tag:
            return None

    def next_key(self) -> "Aead":
        """The key that follows; this one can't be found from it."""
        return Aead(self.seal(REKEY_NONCE, _ZERO_KEY, b"")[: len(_ZERO_KEY)])
