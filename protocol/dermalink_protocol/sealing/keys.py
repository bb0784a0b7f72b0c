"""X25519 keys: 32 bytes, little-endian, looked at before anything is computed with them (SR-SEC-1).

A **public key** is the u-coordinate of a point (RFC 7748, section 5). Three kinds are refused, here and by a pen:

- not canonical, u ≥ 2²⁵⁵ - 19: another spelling of a smaller number. RFC 7748 would reduce it; no key that was made
  as the RFC says is ever written so, and a key with two spellings would slip past a comparison.
- of low order: the five numbers in `LOW_ORDER`, zero among them. The secret shared with such a point is zero
  whatever the private key is (RFC 7748, section 6.1; the list: https://cr.yp.to/ecdh.html#validate).
- one's own, or the other side's other one: `handshake` compares.

A **private key** is 32 bytes of chance, clamped when it is used (RFC 7748, section 5). All bytes alike, as a broken
source of chance or an erased memory gives them, are refused.
"""

from typing import Final

from dermalink_protocol.sealing.errors import UnusableKey

KEY_BYTES: Final = 32
FIELD: Final = 2**255 - 19

# u of the points of order 1, 2, 4 and 8, of the curve and of its twist.
LOW_ORDER: Final = frozenset(
    {
        0,
        1,
        FIELD - 1,
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
    }
)


def checked_public(key: bytes, whose: str) -> bytes:
    """`key`, a public key that can be used; `whose` names it in the `UnusableKey` that is raised for any other."""
    number = _number(key, whose)
    if number >= FIELD:
        raise UnusableKey(f"{whose} was refused", limit="a public key is a number below 2^255 - 19")
    if number in LOW_ORDER:
        raise UnusableKey(f"{whose} was refused", limit="with it the secret is the same for everybody")
    return key


def checked_private(key: bytes, whose: str) -> bytes:
    """`key`, a private key that can be used; raises `UnusableKey` for another length, or bytes that are all alike."""
    _number(key, whose)
    if key == key[:1] * KEY_BYTES:
        advice = "See to the source of chance; a key like this is no secret."
        raise UnusableKey(f"{whose} was refused", limit="its bytes are all the same", advice=advice)
    return key


def public_key(private: bytes) -> bytes:
    """The public key that goes with a private one; raises `UnusableKey` as `checked_private`."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return (
        X25519PrivateKey.from_private_bytes(checked_private(private, "a private key")).public_key().public_bytes_raw()
    )


def _number(key: bytes, whose: str) -> int:
    if len(key) != KEY_BYTES:
        limit = f"a key has {KEY_BYTES} bytes, it has {len(key)}"
        raise UnusableKey(f"{whose} was refused", limit=limit, limit_value=KEY_BYTES)
    return int.from_bytes(key, "little")
