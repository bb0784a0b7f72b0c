"""Pairing once more, by the book and apart from `dermalink_protocol.pairing`: what its vectors are made with.

P-256 in affine coordinates with whole numbers, HKDF and Verhoeff's tables written out. Slow, and its times tell every
secret: for vectors only.
"""

import hmac
from hashlib import pbkdf2_hmac, sha256
from typing import NamedTuple

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Point = tuple[int, int] | None  # None is infinity
G: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
M: Point = (
    0x886E2F97ACE46E55BA9DD7242579F2993B64E16EF3DCAB95AFD497333D8FA12F,
    0x5FF355163E43CE224E0B0E65FF02AC8E5C7BE09419C785E0CA547D55A12E2D20,
)
N: Point = (
    0xD8BBD6C639C62937B04D997F38C3770719C629D7014D49A24B4F98BAA1292B49,
    0x07D60AA6BFADE45008A636337F5168C64D9BD36034808CD564490B1E656EDBE7,
)

VERHOEFF_SUMS = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
VERHOEFF_TURNS = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def add(left: Point, right: Point) -> Point:
    """The sum of two points."""
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) if left == right else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def times(scalar: int, point: Point) -> Point:
    """The product of a point, by doubling."""
    product: Point = None
    while scalar:
        product = add(product, point) if scalar & 1 else product
        point, scalar = add(point, point), scalar >> 1
    return product


def number(value: int) -> bytes:
    """32 bytes, big-endian."""
    return value.to_bytes(32, "big")


def plain(point: Point) -> bytes:
    """A point as SEC 1 writes it without compression; infinity is no 65 bytes there, so it can't be asked for."""
    assert point is not None
    return b"\x04" + number(point[0]) + number(point[1])


def check_digit(digits: str) -> str:
    """The digit that brings Verhoeff's sum to 0, found by trying."""
    for candidate in "0123456789":
        total = "0"
        for place, digit in enumerate(reversed(digits + candidate)):
            total = VERHOEFF_SUMS[int(total)][int(VERHOEFF_TURNS[place % 8][int(digit)])]
        if total == "0":
            return candidate
    raise AssertionError("the tables are no group")


def joined(*parts: bytes) -> bytes:
    """Each part after its length in 8 bytes, little-endian."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def hkdf(key: bytes, info: bytes, blocks: int = 1) -> bytes:
    """HKDF-SHA256 without salt, in blocks of 32 bytes (RFC 5869)."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    made, block = b"", b""
    for count in range(1, blocks + 1):
        block = hmac.digest(extracted, block + info + bytes([count]), "sha256")
        made += block
    return made


def derived(digits: str, serial_number: str, salt: bytes, iterations: int) -> tuple[bytes, int, int]:
    """PBKDF2's password, w0 and w1."""
    password = joined(digits.encode(), b"", serial_number.encode())
    made = pbkdf2_hmac("sha256", password, salt, iterations, 80)
    return password, int.from_bytes(made[:40], "big") % ORDER, int.from_bytes(made[40:], "big") % ORDER


class Names(NamedTuple):
    """Context, Prover and Verifier."""

    context: bytes
    prover: bytes
    verifier: bytes


class Run(NamedTuple):
    """All values of a run, in the RFC's order."""

    share_p: bytes
    share_v: bytes
    z: bytes
    v: bytes
    main: bytes
    key_confirm_p: bytes
    key_confirm_v: bytes
    confirm_p: bytes
    confirm_v: bytes
    shared: bytes


def run(names: Names, w0: int, w1: int, x: int, y: int) -> Run:
    """What two honest sides send and hold."""
    share_p = plain(add(times(x, G), times(w0, M)))
    share_v = plain(add(times(y, G), times(w0, N)))
    z, v = plain(times(x * y % ORDER, G)), plain(times(w1 * y % ORDER, G))
    main = sha256(joined(*names, plain(M), plain(N), share_p, share_v, z, v, number(w0))).digest()
    confirming = hkdf(main, b"ConfirmationKeys", 2)
    key_p, key_v = confirming[:32], confirming[32:]
    confirm_p, confirm_v = hmac.digest(key_p, share_v, "sha256"), hmac.digest(key_v, share_p, "sha256")
    return Run(share_p, share_v, z, v, main, key_p, key_v, confirm_p, confirm_v, hkdf(main, b"SharedKey"))
