"""What the three steps of a pairing carry, and what the run is bound to: for whoever joins the arithmetic to messages.

| step | the host sends | the pen answers |
| --- | --- | --- |
| `DERIVE` 1 | nothing | `pack_derivation`: iterations (u32, little-endian), salt (16 to 32 bytes) |
| `SHARE` 2 | `HostShare`: the host's id (16), shareP (65) | `PenShare`: shareV (65), confirmV (32) |
| `CONFIRM` 3 | `HostOffered`: confirmP (32), its static key, sealed (48) | the pen's static key, sealed (48) |

What the two had negotiated before (`spake2plus.Parties.of`) is `negotiated`, of this connection's last hello.
"""

from typing import Final, NamedTuple, Self

from dermalink_protocol.pairing.errors import BadDerivation, BadShare
from dermalink_protocol.pairing.owner_keys import SEALED_BYTES
from dermalink_protocol.pairing.p256 import POINT_BYTES
from dermalink_protocol.pairing.registration import Derivation, with_length
from dermalink_protocol.pairing.spake2plus import CONFIRMATION_BYTES, HOST_ID_BYTES

DERIVE: Final = 1
SHARE: Final = 2
CONFIRM: Final = 3

_ITERATIONS_BYTES: Final = 4


def negotiated(hello: bytes, reply: bytes, derivation: bytes) -> bytes:
    """The bodies of hello and of its reply, envelope and all, and the pen's first answer, `DERIVE`'s `share` alone.

    Each stands after its length, as this side sent or saw it, on this connection.
    """
    return b"".join(with_length(part) for part in (hello, reply, derivation))


def pack_derivation(derivation: Derivation) -> bytes:
    """The pen's answer to `DERIVE`."""
    return derivation.iterations.to_bytes(_ITERATIONS_BYTES, "little") + derivation.salt


def unpack_derivation(payload: bytes) -> Derivation:
    """What the pen answered to `DERIVE`; raises `BadDerivation`."""
    if len(payload) < _ITERATIONS_BYTES:
        raise BadDerivation("the pen's derivation was refused", limit="it is cut")
    return Derivation(payload[_ITERATIONS_BYTES:], int.from_bytes(payload[:_ITERATIONS_BYTES], "little"))


class HostShare(NamedTuple):
    """The host's part of `SHARE`."""

    host_id: bytes
    share: bytes

    def pack(self) -> bytes:
        """As it stands in the message."""
        return b"".join(self)

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """Raises `BadShare` for another length."""
        return cls(*_parted(payload, HOST_ID_BYTES, POINT_BYTES))


class PenShare(NamedTuple):
    """The pen's part of `SHARE`."""

    share: bytes
    confirmation: bytes

    def pack(self) -> bytes:
        """As it stands in the message."""
        return b"".join(self)

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """Raises `BadShare` for another length."""
        return cls(*_parted(payload, POINT_BYTES, CONFIRMATION_BYTES))


class HostOffered(NamedTuple):
    """The host's part of `CONFIRM`."""

    confirmation: bytes
    sealed: bytes

    def pack(self) -> bytes:
        """As it stands in the message."""
        return b"".join(self)

    @classmethod
    def unpack(cls, payload: bytes) -> Self:
        """Raises `BadShare` for another length."""
        return cls(*_parted(payload, CONFIRMATION_BYTES, SEALED_BYTES))


def _parted(payload: bytes, first: int, second: int) -> tuple[bytes, bytes]:
    if len(payload) != first + second:
        raise BadShare("a step of pairing was refused", limit=f"it carries {first + second} bytes, not {len(payload)}")
    return payload[:first], payload[first:]
