"""A central's half of LE Secure Connections, Just Works: what it says to each packet of the other side's, and the key.

Pure, and the whole of it: a packet that is not the one that is due, whose length is wrong, or which does not hold what
it has to, ends the pairing. There is no legacy pairing, no shorter key, no key but the long term key, no debug key, and
no public key that is none or our own. Numbers are of the Core specification 5.4, Vol 3, Part H.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from bumble import crypto
from bumble.smp import SMP_DEBUG_KEY_PUBLIC_X, ErrorCode

REQUEST, RESPONSE, CONFIRM, RANDOM, FAILED = 0x01, 0x02, 0x03, 0x04, 0x05  # 3.3
SECURITY_REQUEST, PUBLIC_KEY, DHKEY_CHECK = 0x0B, 0x0C, 0x0D
NO_INPUT_NO_OUTPUT: Final = 0x03  # 3.5.1
BONDING, BONDING_MASK, SECURE_CONNECTIONS = 0x01, 0x03, 0x08
KEY_BYTES: Final = 16
NO_KEYS: Final = 0x00  # nothing is handed out but the key that both have derived
# A request, and its answer: IO capability, OOB data, AuthReq, key size, keys of the initiator, keys of the responder.
ASKED: Final = bytes([REQUEST, NO_INPUT_NO_OUTPUT, 0, BONDING | SECURE_CONNECTIONS, KEY_BYTES, NO_KEYS, NO_KEYS])
IO_CAPABILITY_MAX: Final = 0x04
COORDINATE_BYTES: Final = 32
# P-256 (FIPS 186-4, D.1.2.3): y² = x³ - 3 x + b modulo p.
P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
REASONS: Final = range(ErrorCode.PASSKEY_ENTRY_FAILED, ErrorCode.CROSS_TRANSPORT_KEY_DERIVATION_NOT_ALLOWED + 1)
_NO_COMMITMENT: Final = bytes(1)
_NO_PASSKEY: Final = bytes(16)


class NotPaired(Exception):
    """The pairing has failed; `reason` is what the other side has said, or is to be told (`tells`)."""

    def __init__(self, reason: ErrorCode, *, tells: bool) -> None:
        super().__init__(reason.name.lower().replace("_", " "))
        self.reason: Final = reason
        self.tells: Final = tells


class Ends(NamedTuple):
    """The addresses of both, each as six octets and its type, as they stand in the keys (2.2.7)."""

    central: bytes
    peripheral: bytes


def is_on_curve(x: int, y: int) -> bool:
    """Whether it is a point of P-256; the point at infinity has no coordinates, so it is none here."""
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0


def public_key_is_sound(x: bytes, y: bytes, own_x: bytes) -> bool:
    """Whether a public key of the other side's may be used; each coordinate is little-endian, as it came.

    One with our own x is ours sent back, or its mirror image: what follows would prove nothing (2.3.5.6.1). The debug
    key's private half is printed in the specification.
    """
    if x == own_x or x[::-1] == SMP_DEBUG_KEY_PUBLIC_X:
        return False
    return is_on_curve(int.from_bytes(x, "little"), int.from_bytes(y, "little"))


class Initiator:
    """One pairing: `begin`, then `take` for each packet that comes until `key` is there. Keys are in no repr."""

    def __init__(self, ends: Ends) -> None:
        """A key pair is drawn for this pairing alone."""
        self.key: bytes | None = None
        self._ends = ends
        self._own = crypto.EccKey.generate()  # type: ignore[attr-defined]
        self._na = secrets.token_bytes(KEY_BYTES)
        self._io_capability = self._peer_x = self._shared = self._committed = self._nb = b""
        self._due: tuple[int, int, Callable[[bytes], bytes]] = (RESPONSE, 7, self._take_response)

    @property
    def _own_x(self) -> bytes:
        return self._own.x[::-1]

    def begin(self) -> bytes:
        """The request."""
        return ASKED

    def take(self, pdu: bytes) -> bytes:
        """What to say to a packet of the other side's, b"" for nothing; raises `NotPaired`.

        Whatever comes once there is a `key` is of no use, and a wish for security is heard already.
        """
        if self.key is not None or pdu[:1] == bytes([SECURITY_REQUEST]):
            return b""
        if len(pdu) == 2 and pdu[0] == FAILED:
            raise NotPaired(_reason(pdu[1]), tells=False)
        code, size, take = self._due
        if len(pdu) != size or pdu[0] != code:
            raise NotPaired(ErrorCode.INVALID_PARAMETERS, tells=True)
        return take(pdu[1:])

    def _take_response(self, body: bytes) -> bytes:
        io_capability, oob, auth, key_bytes, *keys = body
        if io_capability > IO_CAPABILITY_MAX or oob or any(keys):
            raise NotPaired(ErrorCode.INVALID_PARAMETERS, tells=True)
        if not auth & SECURE_CONNECTIONS or auth & BONDING_MASK != BONDING:
            raise NotPaired(ErrorCode.AUTHENTICATION_REQUIREMENTS, tells=True)
        if key_bytes != KEY_BYTES:
            raise NotPaired(ErrorCode.ENCRYPTION_KEY_SIZE, tells=True)
        self._io_capability = body[:3]
        self._due = PUBLIC_KEY, 1 + 2 * COORDINATE_BYTES, self._take_public_key
        return bytes([PUBLIC_KEY]) + self._own_x + self._own.y[::-1]

    def _take_public_key(self, body: bytes) -> bytes:
        x, y = body[:COORDINATE_BYTES], body[COORDINATE_BYTES:]
        if not public_key_is_sound(x, y, self._own_x):
            raise NotPaired(ErrorCode.INVALID_PARAMETERS, tells=True)
        self._peer_x = x
        self._shared = self._own.dh(x[::-1], y[::-1])[::-1]
        self._due = CONFIRM, 1 + KEY_BYTES, self._take_confirm
        return b""

    def _take_confirm(self, body: bytes) -> bytes:
        self._committed = body
        self._due = RANDOM, 1 + KEY_BYTES, self._take_random
        return bytes([RANDOM]) + self._na

    def _take_random(self, body: bytes) -> bytes:
        if not hmac.compare_digest(crypto.f4(self._peer_x, self._own_x, body, _NO_COMMITMENT), self._committed):
            raise NotPaired(ErrorCode.CONFIRM_VALUE_FAILED, tells=True)
        self._nb = body
        self._due = DHKEY_CHECK, 1 + KEY_BYTES, self._take_check
        mac_key, _ = self._keys()
        check = crypto.f6(mac_key, self._na, self._nb, _NO_PASSKEY, ASKED[1:4], *self._ends)
        return bytes([DHKEY_CHECK]) + check

    def _take_check(self, body: bytes) -> bytes:
        mac_key, key = self._keys()
        central, peripheral = self._ends
        check = crypto.f6(mac_key, self._nb, self._na, _NO_PASSKEY, self._io_capability, peripheral, central)
        if not hmac.compare_digest(check, body):
            raise NotPaired(ErrorCode.DHKEY_CHECK_FAILED, tells=True)
        self.key = key
        return b""

    def _keys(self) -> tuple[bytes, bytes]:
        return crypto.f5(self._shared, self._na, self._nb, *self._ends)


def _reason(code: int) -> ErrorCode:
    return ErrorCode(code) if code in REASONS else ErrorCode.UNSPECIFIED_REASON
