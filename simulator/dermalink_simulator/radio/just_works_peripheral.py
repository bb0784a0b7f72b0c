"""A peripheral's half of LE Secure Connections, Just Works: what it says to each packet of a central's, and the key.

In front of Bumble's own, and in its place: that takes legacy pairing, short keys, the debug key and packets in any
order, has one key pair for the device's whole life, and logs and raises over what it is sent. From Bumble come the
curve and the functions of the toolbox (f4, f5, f6). Pure: whether a pairing may be begun at all is for whoever calls.
Numbers are of the Core specification 5.4, Vol 3, Part H.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Final

from bumble import crypto
from bumble.smp import ErrorCode

from dermalink_simulator.radio.just_works import (
    BONDING,
    BONDING_MASK,
    CONFIRM,
    COORDINATE_BYTES,
    DHKEY_CHECK,
    FAILED,
    IO_CAPABILITY_MAX,
    KEY_BYTES,
    NO_INPUT_NO_OUTPUT,
    NO_KEYS,
    PUBLIC_KEY,
    RANDOM,
    REQUEST,
    RESPONSE,
    SECURE_CONNECTIONS,
    Ends,
    NotPaired,
    public_key_is_sound,
)

ANSWER: Final = bytes([RESPONSE, NO_INPUT_NO_OUTPUT, 0, BONDING | SECURE_CONNECTIONS, KEY_BYTES, NO_KEYS, NO_KEYS])
REQUEST_BYTES: Final = 7
_NO_COMMITMENT: Final = bytes(1)
_NO_PASSKEY: Final = bytes(16)


def why_not(request: bytes) -> ErrorCode | None:
    """What a pairing request is refused with, None where there is nothing wrong with it (3.5.1)."""
    if len(request) != REQUEST_BYTES or request[0] != REQUEST or request[1] > IO_CAPABILITY_MAX:
        return ErrorCode.INVALID_PARAMETERS
    _, _, oob, auth, key_bytes, _, _ = request
    if oob:
        return ErrorCode.OOB_NOT_AVAILABLE
    if not auth & SECURE_CONNECTIONS or auth & BONDING_MASK != BONDING:
        return ErrorCode.AUTHENTICATION_REQUIREMENTS
    return None if key_bytes == KEY_BYTES else ErrorCode.ENCRYPTION_KEY_SIZE


class Responder:
    """One pairing: `begin` with a request that is sound, then `take` each packet that comes, until `key` is there.

    Keys are in no repr.
    """

    def __init__(self, ends: Ends) -> None:
        """A key pair is drawn for this pairing alone."""
        self.key: bytes | None = None
        self._ends = ends
        self._own = crypto.EccKey.generate()  # type: ignore[attr-defined]
        self._nb = secrets.token_bytes(KEY_BYTES)
        self._io_capability = self._peer_x = self._shared = self._na = b""
        self._due: tuple[int, int, Callable[[bytes], list[bytes]]] = (
            PUBLIC_KEY,
            1 + 2 * COORDINATE_BYTES,
            self._take_public_key,
        )

    def begin(self, request: bytes) -> bytes:
        """The response to a request that `why_not` has nothing against."""
        self._io_capability = request[1:4]
        return ANSWER

    def take(self, pdu: bytes) -> list[bytes]:
        """What to say to a packet, one or two of them; raises `NotPaired`, and it is over then."""
        if len(pdu) == 2 and pdu[0] == FAILED:
            raise NotPaired(ErrorCode.UNSPECIFIED_REASON, tells=False)
        code, size, take = self._due
        if len(pdu) != size or pdu[0] != code:
            raise NotPaired(ErrorCode.UNSPECIFIED_REASON, tells=True)
        return take(pdu[1:])

    def _take_public_key(self, body: bytes) -> list[bytes]:
        x, y = body[:COORDINATE_BYTES], body[COORDINATE_BYTES:]
        own_x, own_y = self._own.x[::-1], self._own.y[::-1]
        if not public_key_is_sound(x, y, own_x):
            raise NotPaired(ErrorCode.INVALID_PARAMETERS, tells=True)
        self._peer_x = x
        self._shared = self._own.dh(x[::-1], y[::-1])[::-1]
        self._due = RANDOM, 1 + KEY_BYTES, self._take_random
        commitment = crypto.f4(own_x, x, self._nb, _NO_COMMITMENT)
        return [bytes([PUBLIC_KEY]) + own_x + own_y, bytes([CONFIRM]) + commitment]

    def _take_random(self, body: bytes) -> list[bytes]:
        self._na = body
        self._due = DHKEY_CHECK, 1 + KEY_BYTES, self._take_check
        return [bytes([RANDOM]) + self._nb]

    def _take_check(self, body: bytes) -> list[bytes]:
        central, peripheral = self._ends
        mac_key, key = crypto.f5(self._shared, self._na, self._nb, central, peripheral)
        expected = crypto.f6(mac_key, self._na, self._nb, _NO_PASSKEY, self._io_capability, central, peripheral)
        if not hmac.compare_digest(expected, body):
            raise NotPaired(ErrorCode.DHKEY_CHECK_FAILED, tells=True)
        self.key = key
        own = crypto.f6(mac_key, self._nb, self._na, _NO_PASSKEY, ANSWER[1:4], peripheral, central)
        return [bytes([DHKEY_CHECK]) + own]
