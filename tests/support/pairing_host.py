"""A host that pairs over raw frames: each step by hand, so that it can be late, wrong, twice, or never come."""

import struct
from hashlib import sha256
from typing import NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.owner_keys import HostOffer, OwnerKeys
from dermalink_protocol.pairing.p256 import scalar_from
from dermalink_protocol.pairing.registration import derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import Confirmed, Parties, Prover, SharedKey
from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from tests.support.raw_pen import Got
from tests.support.sealed_client import SealedClient

PAIR_STEP, PAIR_REPLY, GET_OWNER, OWNER = 0x064D, 0x591D, 0xE1D1, 0xCB2F
ON_PAIRING = 1
WRONG_CODE = "31415926"


def drawn(name: str, size: int = 32) -> bytes:
    """Bytes that stand for chance."""
    return (sha256(name.encode()).digest() * 2)[:size]


class Standing(NamedTuple):
    """What the pen says of owners."""

    owned: int
    window_s: int
    barred_s: int


class PairingHost(SealedClient):
    """One connection that pairs; `private` is the host's own static key."""

    def __init__(self, pen: SimulatedPen, name: str = "host", kind: PortKind = PortKind.STREAM) -> None:
        super().__init__(pen, kind)
        self.name = name
        self.private = drawn(f"{name} private")
        self.steps_made = 0
        self.greet()

    def greet(self) -> None:
        """Say hello, and keep both bodies as they went over the wire."""
        self.hello()
        self.said = self.hello_body, self.reply_body

    def standing(self) -> Standing:
        """Ask how the pen stands to owners."""
        got = self.ask(ON_PAIRING, GET_OWNER)
        return Standing(*struct.unpack("<BBI", got.payload))

    def step(self, number: int, share: bytes = b"", *, ttl_ms: int = 500) -> Got:
        """One step of pairing, and its answer."""
        return self.reply(self.send_step(number, share, ttl_ms=ttl_ms))

    def send_step(self, number: int, share: bytes = b"", *, ttl_ms: int = 500) -> int:
        """One step of pairing, not waited for."""
        self.status()
        self.steps_made += 1
        return self.send(
            ON_PAIRING, PAIR_STEP, struct.pack("<IHIB", self.steps_made, ttl_ms, self.seen_tick, number) + share
        )

    def prover(self, digits: str | None = None) -> tuple[Prover, bytes]:
        """Steps 1 and what 2 sends, with the card's code or another; asserts that the pen tells its terms."""
        code = self.pen.card.code if digits is None else SetupCode(digits)
        told = self.step(steps.DERIVE)
        assert told.opcode == PAIR_REPLY, Reason(told.reason)
        terms = told.payload[1:]
        secret = derive_secret(code, self.pen.card.serial_number, steps.unpack_derivation(terms))
        host_id = drawn(f"{self.name} id", 16)
        parties = Parties.of(1, steps.negotiated(*self.said, terms), host_id, self.pen.card.serial_number)
        prover = Prover(secret, parties, scalar_from(drawn(f"{self.name} {self.steps_made}", 40)))
        return prover, steps.HostShare(host_id, prover.share).pack()

    def agree(self) -> Confirmed:
        """Steps 1 and 2 with the right code."""
        prover, share = self.prover()
        got = self.step(steps.SHARE, share)
        assert got.opcode == PAIR_REPLY, Reason(got.reason)
        return prover.finish(*steps.PenShare.unpack(got.payload[1:]))

    def offer(self, confirmed: Confirmed) -> tuple[HostOffer, bytes]:
        """What step 3 sends, and what opens its answer."""
        offer = HostOffer(SharedKey(confirmed.key.take()), public_key(self.private))
        return offer, steps.HostOffered(confirmed.confirmation, offer.sealed).pack()

    def pair(self) -> OwnerKeys:
        """All three steps with the card's code, in an open window."""
        offer, share = self.offer(self.agree())
        got = self.step(steps.CONFIRM, share)
        assert got.opcode == PAIR_REPLY, Reason(got.reason)
        self.keys = offer.finish(got.payload[1:])
        return self.keys

    def try_wrong(self) -> Got:
        """Steps 1 and 2 with a wrong code, and a confirmation made up."""
        _, share = self.prover(WRONG_CODE)
        got = self.step(steps.SHARE, share)
        if got.opcode != PAIR_REPLY:
            return got
        return self.step(steps.CONFIRM, bytes(80))


class PairedClient(SealedClient):
    """The owner, with the keys that a pairing left."""

    def __init__(self, pen: SimulatedPen, private: bytes, keys: OwnerKeys) -> None:
        super().__init__(pen, host=private, binding=keys.binding)
        self.pen_public = keys.pen

    def handshake(self) -> HostHandshake:
        """The host's side of a handshake for the last hello."""
        self.steps_made = getattr(self, "steps_made", 0) + 1
        ephemeral = drawn(f"ephemeral {self.port.number} {self.boot_id} {self.steps_made}")
        keys = Keys(self.host, self.pen_public, ephemeral)
        return HostHandshake(keys, Negotiated(self.hello_body, self.reply_body, self.binding))


def press(pen: SimulatedPen) -> None:
    """A short press, which opens a pen without an owner."""
    pen.button.press()
    pen.advance(200)


def hold(pen: SimulatedPen, ms: int = 10_100) -> None:
    """Ten seconds of it, which opens any pen that is idle."""
    pen.button.hold()
    pen.advance(ms)
    pen.button.release()
    pen.advance(100)
