"""SPAKE2+ (RFC 9383), P256-SHA256-HKDF-HMAC-SHA256: two sides that know one code come to one key.

The host is the Prover and has the code; the pen is the Verifier and keeps w0 and L, from which the code can be had only
by trying all codes. Whoever listens, or stands between, learns nothing that he could try codes against; whoever takes
part can try one code a run. The same as PSA_ALG_SPAKE2P_HMAC(PSA_ALG_SHA_256) of the PSA Crypto API.

    host          prover = Prover(secret, parties, x)                       sends prover.share
    pen           answer = Verifier(registration, parties, y).answer(…)     sends answer.share, answer.confirmation
    host          confirmed = prover.finish(…, …)                           sends confirmed.confirmation
    pen           key = answer.finish(…)                                    the host has the same in confirmed.key

No key is there before the other side's confirmation was right. **An answer is a try**, see the package. A state takes
one step, also when the step is refused: then the run is over, and the next begins with a new x or y.

    TT = context, Prover's and Verifier's name, M, N, shareP, shareV, Z, V, w0: each after its length, u64 little-endian
    K_main = SHA-256(TT); K_confirmP ‖ K_confirmV = HKDF(K_main, "ConfirmationKeys", 64 bytes)
    confirmP = HMAC(K_confirmP, shareV); confirmV = HMAC(K_confirmV, shareP); K_shared = HKDF(K_main, "SharedKey", 32)

Points and w0 stand there as `p256` encodes them. A share is refused if it is no point of the group, and if nothing is
left of it without its mask: then Z and V would be infinity.
Source: RFC 9383, sections 3.3, 3.4 and 7.
"""

import struct
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final, NamedTuple

from dermalink_protocol.pairing.errors import BadIdentity, BadScalar, BadShare, WrongConfirmation
from dermalink_protocol.pairing.p256 import SCALAR_BYTES, G, M, N, Point, encoded, is_scalar, point_of
from dermalink_protocol.pairing.registration import Registration, Secret, with_length
from dermalink_protocol.pairing.setup_code import checked_serial_number
from dermalink_protocol.pairing.single_use import SingleUse

SUITE: Final = b"P256-SHA256-HKDF-HMAC-SHA256"
CONFIRMATION_BYTES: Final = 32
KEY_BYTES: Final = 32
HOST_ID_BYTES: Final = 16

# What comes before the shares in every transcript of the suite.
_FIXED_POINTS: Final = encoded(M), encoded(N)
_AGAIN: Final = "Begin pairing again"


@dataclass(frozen=True, slots=True)
class Parties:
    """Who pairs, and on what terms: the transcript holds all three, so both sides must have the same.

    For a pen use `of`; the fields are those of the RFC, none empty (`BadIdentity`).
    """

    context: bytes
    prover: bytes
    verifier: bytes

    def __post_init__(self) -> None:
        for value in (self.context, self.prover, self.verifier):
            if type(value) is not bytes or not value:
                raise BadIdentity("the names in a pairing were refused", limit="context and both identities are bytes")

    @classmethod
    def of(cls, protocol_version: int, negotiated: bytes, host_id: bytes, serial_number: str) -> "Parties":
        """A host and a pen, who said `negotiated` to each other before: any change of it on the way fails the pairing.

        The context is b"dermalink pairing " ‖ `SUITE` ‖ 0x20 ‖ protocol version, u16 little-endian ‖ SHA-256 of
        `negotiated` (`steps.negotiated`: hello, its reply, how to derive). The Prover is `host_id`, 16
        bytes; the Verifier the serial number in ASCII, without padding. Raises `BadIdentity`.
        """
        if type(protocol_version) is not int or not 1 <= protocol_version <= 0xFFFF:
            raise BadIdentity("a protocol version was refused", limit="it is 1 to 65535")
        if type(host_id) is not bytes or len(host_id) != HOST_ID_BYTES:
            raise BadIdentity("a host's id was refused", limit=f"it has {HOST_ID_BYTES} bytes")
        if type(negotiated) is not bytes:
            raise BadIdentity("what was negotiated was refused", limit="it is bytes")
        terms = struct.pack("<H", protocol_version) + sha256(negotiated).digest()
        serial = checked_serial_number(serial_number).encode("ascii")
        return cls(b"dermalink pairing " + SUITE + b" " + terms, host_id, serial)


class SharedKey(SingleUse):
    """K_shared, 32 bytes, of a run that both sides confirmed; taken once, by what follows from it (`owner_keys`)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def take(self) -> bytes:
        """The key; raises `StepRepeated` the second time."""
        self._spend()
        key, self._key = self._key, b""
        return key


class Confirmed(NamedTuple):
    """The host believes the pen: `confirmation` (confirmP, 32 bytes) tells the pen, `key` is what both have now."""

    confirmation: bytes
    key: SharedKey


class Prover(SingleUse):
    """The host's side of a run; `x` is 1 to n - 1, drawn for this run alone (`scalar_from`; else `BadScalar`)."""

    __slots__ = ("_parties", "_secret", "_x", "share")

    def __init__(self, secret: Secret, parties: Parties, x: int) -> None:
        super().__init__()
        self._secret, self._parties, self._x = secret, parties, x
        self.share = _share(x, secret.w0, M)

    def finish(self, share: bytes, confirmation: bytes) -> Confirmed:
        """Check shareV and confirmV; raises `BadShare`, `WrongConfirmation`, `StepRepeated`, after which it is over."""
        self._spend()
        unmasked = _unmasked(share, self._secret.w0, N)
        z, v = unmasked * self._x, unmasked * self._secret.w1
        keys = _Keys.of(self._parties, self.share, share, z, v, self._secret.w0)
        _check(confirmation, keys.confirmation_of_verifier)
        return Confirmed(keys.confirmation_of_prover, SharedKey(keys.shared))


class Answer(SingleUse):
    """The pen's state after its answer: `share` (shareV) and `confirmation` (confirmV) to send, no key yet."""

    __slots__ = ("_keys", "confirmation", "share")

    def __init__(self, share: bytes, keys: "_Keys") -> None:
        super().__init__()
        self.share, self.confirmation, self._keys = share, keys.confirmation_of_verifier, keys

    def finish(self, confirmation: bytes) -> SharedKey:
        """Check confirmP; raises `WrongConfirmation` or `StepRepeated`, after which it is over."""
        self._spend()
        _check(confirmation, self._keys.confirmation_of_prover)
        return SharedKey(self._keys.shared)


class Verifier(SingleUse):
    """The pen's side of a run; `y` is 1 to n - 1, drawn for this run alone (`scalar_from`; else `BadScalar`)."""

    __slots__ = ("_parties", "_registration", "_share", "_y")

    def __init__(self, registration: Registration, parties: Parties, y: int) -> None:
        super().__init__()
        self._registration, self._parties, self._y = registration, parties, y
        self._share = _share(y, registration.w0, N)

    def answer(self, share: bytes) -> Answer:
        """Check shareP and answer it, which is a try; raises `BadShare` or `StepRepeated`, after which it is over."""
        self._spend()
        w0, y = self._registration.w0, self._y
        z, v = _unmasked(share, w0, M) * y, _as_point(self._registration.l) * y
        return Answer(self._share, _Keys.of(self._parties, share, self._share, z, v, w0))


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    confirmation_of_prover: bytes
    confirmation_of_verifier: bytes
    shared: bytes

    @classmethod
    def of(cls, parties: Parties, share_p: bytes, share_v: bytes, z: Point, v: Point, w0: int) -> "_Keys":
        if z.is_point_at_infinity() or v.is_point_at_infinity():
            raise _bad_share("it leaves nothing secret")
        names = (parties.context, parties.prover, parties.verifier)
        points = (*_FIXED_POINTS, share_p, share_v, encoded(z), encoded(v))
        transcript = b"".join(with_length(part) for part in (*names, *points, w0.to_bytes(SCALAR_BYTES, "big")))
        main = sha256(transcript).digest()
        confirming = hkdf(main, b"ConfirmationKeys", 2 * KEY_BYTES)
        return cls(
            digest(confirming[:KEY_BYTES], share_v, "sha256"),
            digest(confirming[KEY_BYTES:], share_p, "sha256"),
            hkdf(main, b"SharedKey", KEY_BYTES),
        )


def hkdf(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 without salt (RFC 5869): `length` bytes for the use that `info` names."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=None, info=info).derive(key)


def _share(scalar: int, w0: int, mask: Point) -> bytes:
    if not is_scalar(scalar):
        raise BadScalar("a drawn number was refused", limit="it is 1 to n - 1", advice="Draw another.")
    share = G * scalar + mask * w0
    if share.is_point_at_infinity():
        raise BadScalar("a drawn number was refused", limit="it undoes the mask", advice="Draw another.")
    return encoded(share)


def _unmasked(share: bytes, w0: int, mask: Point) -> Point:
    return _as_point(share) + -(mask * w0)


def _check(told: bytes, right: bytes) -> None:
    if type(told) is not bytes or not compare_digest(told, right):
        limit = "the other side has another code, or somebody stands between"
        advice = f"Compare the code with the card, see that no other pen or phone is pairing, and {_AGAIN.lower()}."
        raise WrongConfirmation("a pairing was refused", limit=limit, advice=advice)


def _as_point(share: bytes) -> Point:
    point = point_of(share)
    if point is None:
        raise _bad_share("it is no point of P-256")
    return point


def _bad_share(limit: str) -> BadShare:
    return BadShare("the other side's share was refused", limit=limit, advice=f"{_AGAIN}.")
