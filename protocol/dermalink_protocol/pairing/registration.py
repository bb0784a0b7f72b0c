"""From a setup code to what each side of SPAKE2+ keeps of it: the host w0 and w1 for one run, the pen w0 and L.

    pen's maker   stored = derive_secret(code, serial_number, derivation).registration().pack()
    pen           registration = Registration.unpack(stored)
    host          secret = derive_secret(code, serial_number, Derivation(salt, iterations)) with what the pen told

Lengths in the derivation are 8 bytes, little-endian. A thief of a registration needs one derivation for each code that
he tries, and there are 10^8: iterations make that dearer, and nothing makes it dear. He can then pass for this pen, and
pair with it like anybody who has read its card; hence the press on the pen.
Source of the numbers: RFC 9383, section 3.2; for salt and iterations the Matter Core Specification 1.x, 3.9.
"""

import struct
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac
from typing import Final

from dermalink_protocol.pairing.errors import BadDerivation, BadRegistration, BadScalar
from dermalink_protocol.pairing.p256 import DRAWN_BYTES, SCALAR_BYTES, G, encoded, is_scalar, point_of, reduced
from dermalink_protocol.pairing.setup_code import SetupCode, checked_serial_number

SALT_BYTES: Final = (16, 32)
ITERATIONS: Final = (1_000, 100_000)
# Only the host derives, once a pairing, so it costs the pen nothing: the most that Matter allows.
ITERATIONS_DEFAULT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a code becomes scalars: `salt` of 16 to 32 bytes, drawn for each pen, and 1 000 to 100 000 `iterations`.

    Both are public; the pen tells them before the first share. A host refuses others (`BadDerivation`), so that no
    stranger makes it compute for minutes.
    """

    salt: bytes
    iterations: int = ITERATIONS_DEFAULT

    def __post_init__(self) -> None:
        low, high = SALT_BYTES
        if type(self.salt) is not bytes or not low <= len(self.salt) <= high:
            raise BadDerivation("the pen's salt was refused", limit=f"it has {low} to {high} bytes")
        low, high = ITERATIONS
        if type(self.iterations) is not int or not low <= self.iterations <= high:
            raise BadDerivation("the pen's iterations were refused", limit=f"there are {low} to {high}")


@dataclass(frozen=True, slots=True)
class Registration:
    """What a pen keeps instead of its code: w0, 1 to n - 1, and L = w1·G; raises `BadRegistration`.

    `w0` is a number, `l` the point's 65 bytes.
    """

    w0: int = field(repr=False)
    l: bytes = field(repr=False)  # noqa: E741 (the RFC's name)

    def __post_init__(self) -> None:
        if not is_scalar(self.w0) or point_of(self.l) is None:
            advice = "The pen needs a service."
            raise BadRegistration("what the pen keeps of its code was refused", limit="it is broken", advice=advice)

    @classmethod
    def unpack(cls, stored: bytes) -> "Registration":
        """From w0 ‖ L, 97 bytes, which is also PSA's public-key format for SPAKE2+; raises `BadRegistration`."""
        whole = stored if type(stored) is bytes else b""
        return cls(int.from_bytes(whole[:SCALAR_BYTES], "big"), whole[SCALAR_BYTES:])

    def pack(self) -> bytes:
        """w0 ‖ L, 97 bytes."""
        return self.w0.to_bytes(SCALAR_BYTES, "big") + self.l


@dataclass(frozen=True, slots=True)
class Secret:
    """What a code is in a run: w0 and w1, each 1 to n - 1 (`BadScalar`). As secret as the code; never stored."""

    w0: int = field(repr=False)
    w1: int = field(repr=False)

    def __post_init__(self) -> None:
        if not (is_scalar(self.w0) and is_scalar(self.w1)):
            raise BadScalar("what follows from the code was refused", limit="w0 and w1 are 1 to n - 1")

    def registration(self) -> Registration:
        """What the pen keeps."""
        return Registration(self.w0, encoded(G * self.w1))


def derive_secret(code: SetupCode, serial_number: str, derivation: Derivation) -> Secret:
    """w0 and w1 of a code: the halves of PBKDF2-HMAC-SHA256's 80 bytes, each modulo n.

    Its password is len ‖ the 8 digits ‖ len ‖ nothing (the host is not known when a pen is made) ‖ len ‖ the serial
    number. It takes as long as the iterations say, some 0.1 s for 100 000. Raises `BadIdentity`.
    """
    serial = checked_serial_number(serial_number).encode("ascii")
    password = b"".join(with_length(part) for part in (code.digits.encode("ascii"), b"", serial))
    halves = pbkdf2_hmac("sha256", password, derivation.salt, derivation.iterations, 2 * DRAWN_BYTES)
    return Secret(reduced(halves[:DRAWN_BYTES]), reduced(halves[DRAWN_BYTES:]))


def with_length(part: bytes) -> bytes:
    """The part after its length, as RFC 9383 joins parts: 8 bytes, little-endian."""
    return struct.pack("<Q", len(part)) + part
