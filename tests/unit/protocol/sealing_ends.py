"""Two sides of a sealed channel with keys that are the same in every run."""

from hashlib import sha256
from typing import NamedTuple

from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated, PenHandshake, Session
from dermalink_protocol.sealing.keys import public_key


def chance(name: str) -> bytes:
    """32 bytes that stand for chance."""
    return sha256(f"sealing tests: {name}".encode()).digest()


HOST, PEN, STRANGER = chance("host"), chance("pen"), chance("stranger")
HELLO, REPLY = bytes(range(10)), bytes(range(100, 170))
BINDING = chance("binding")
NEGOTIATED = Negotiated(HELLO, REPLY, BINDING)


def host_side(
    negotiated: Negotiated = NEGOTIATED, *, own: bytes = HOST, pen: bytes = PEN, e: str = ""
) -> HostHandshake:
    return HostHandshake(Keys(own, public_key(pen), chance(f"host ephemeral {e}")), negotiated)


def pen_side(negotiated: Negotiated = NEGOTIATED, *, own: bytes = PEN, host: bytes = HOST, e: str = "") -> PenHandshake:
    return PenHandshake(Keys(own, public_key(host), chance(f"pen ephemeral {e}")), negotiated)


class Ends(NamedTuple):
    """Both sides after a handshake, and the messages that went over."""

    host: Session
    pen: Session
    first: bytes
    second: bytes


def connected(e: str = "", negotiated: Negotiated = NEGOTIATED) -> Ends:
    """A connection; `e` names its ephemeral keys."""
    host = host_side(negotiated, e=e)
    first = host.begin()
    answer = pen_side(negotiated, e=e).answer(first)
    return Ends(host.finish(answer.message), answer.session, first, answer.message)


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def every_flip(data: bytes) -> list[bytes]:
    """`data` with each of its bits changed in turn."""
    return [flipped(data, bit) for bit in range(8 * len(data))]
