"""The group P-256 as RFC 9383 uses it: its points G, M and N, and which bytes are a point or a scalar.

Points are 65 bytes, 0x04 ‖ X ‖ Y, big-endian (SEC 1, uncompressed; nothing else is taken); scalars 32 bytes,
big-endian. P-256 is of prime order (its cofactor is 1), so a point on the curve other than infinity is in the group.
The arithmetic is pycryptodome's, whose products take a time that tells nothing of the scalar.
Source of the numbers: SP 800-186, 3.2.1.3, for the curve and G; RFC 9383, section 4, for M and N.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

from dermalink_protocol.pairing.errors import BadScalar

if TYPE_CHECKING:  # where it is defined; where it is documented, no tool sees that it is exported
    from Crypto.PublicKey._point import EccPoint
else:
    from Crypto.PublicKey.ECC import EccPoint

Point: TypeAlias = EccPoint

POINT_BYTES: Final = 65
SCALAR_BYTES: Final = 32
DRAWN_BYTES: Final = 40  # 64 bits more than the order has, so that what is left of it is even to 2^-64

FIELD: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_CURVE: Final = "P-256"
_UNCOMPRESSED: Final = b"\x04"
G: Final = EccPoint(
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    _CURVE,
)
M: Final = EccPoint(
    0x886E2F97ACE46E55BA9DD7242579F2993B64E16EF3DCAB95AFD497333D8FA12F,
    0x5FF355163E43CE224E0B0E65FF02AC8E5C7BE09419C785E0CA547D55A12E2D20,
    _CURVE,
)
N: Final = EccPoint(
    0xD8BBD6C639C62937B04D997F38C3770719C629D7014D49A24B4F98BAA1292B49,
    0x07D60AA6BFADE45008A636337F5168C64D9BD36034808CD564490B1E656EDBE7,
    _CURVE,
)


def point_of(encoded: bytes) -> Point | None:
    """The point that 65 bytes are, or None: another length or form, x or y not below the field, infinity, off curve."""
    if type(encoded) is not bytes or len(encoded) != POINT_BYTES or encoded[:1] != _UNCOMPRESSED:
        return None
    x, y = int.from_bytes(encoded[1:33], "big"), int.from_bytes(encoded[33:], "big")
    # The library takes coordinates modulo the field, and (0, 0) as infinity.
    if x >= FIELD or y >= FIELD or (x, y) == (0, 0):
        return None
    try:
        return EccPoint(x, y, _CURVE)
    except ValueError:
        return None


def encoded(point: Point) -> bytes:
    """The 65 bytes of a point other than infinity."""
    x, y = point.xy
    return _UNCOMPRESSED + x.to_bytes(SCALAR_BYTES, "big") + y.to_bytes(SCALAR_BYTES, "big")


def is_scalar(value: int) -> bool:
    """Whether it is 1 to n - 1."""
    return type(value) is int and 1 <= value < ORDER


def reduced(drawn: bytes) -> int:
    """A big-endian number modulo n."""
    return int.from_bytes(drawn, "big") % ORDER


def scalar_from(drawn: bytes) -> int:
    """An x or y from 40 bytes of a source fit for keys, modulo n; raises `BadScalar` for another length, or 0."""
    if type(drawn) is not bytes or len(drawn) != DRAWN_BYTES or not reduced(drawn):
        advice = "Draw again; if that happens twice, the random source is broken."
        raise BadScalar("a drawn number was refused", limit=f"it is {DRAWN_BYTES} bytes, not 0", advice=advice)
    return reduced(drawn)
