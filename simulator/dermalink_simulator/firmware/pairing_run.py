"""One run of pairing on the pen's side: its arithmetic, from plain values that a snapshot can hold.

The arithmetic's own states can't be stored, so the pen keeps what they follow from and computes the answer again when
the host confirms it: the same bytes, since nothing is drawn meanwhile. What is drawn is drawn once, for one run.
"""

from typing import NamedTuple

from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.owner_keys import answer_offer
from dermalink_protocol.pairing.p256 import point_of, scalar_from
from dermalink_protocol.pairing.registration import Derivation, Registration
from dermalink_protocol.pairing.spake2plus import Answer, Parties, Verifier
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware.flash_layout import SetupRecord
from dermalink_simulator.firmware.owner_record import OwnerRecord


def terms_of(setup: SetupRecord) -> bytes:
    """The answer to the first step."""
    return steps.pack_derivation(Derivation(setup.salt[: setup.salt_bytes], setup.iterations))


def is_share(share: bytes) -> bool:
    """Whether what the second step carries has a point of the curve in it; no secret has a part in that."""
    return point_of(steps.HostShare.unpack(share).share) is not None


class Run(NamedTuple):
    """A try: the pen, hello and its reply as they went over the wire, what the host sent, and what the pen drew."""

    setup: SetupRecord
    serial_number: str
    said: tuple[bytes, bytes]
    share: bytes
    drawn: bytes

    def answer(self) -> bytes:
        """The answer to the second step; raises `PairingError`."""
        answer = self._answer()
        return steps.PenShare(answer.share, answer.confirmation).pack()

    def finish(self, share: bytes, pen_private: bytes, number: int) -> tuple[OwnerRecord, bytes]:
        """The owner of that number, and the answer to the third step; raises `PairingError`."""
        offered = steps.HostOffered.unpack(share)
        shared = self._answer().finish(offered.confirmation)
        sealed, keys = answer_offer(shared, public_key(pen_private), offered.sealed)
        return OwnerRecord(number, keys.host, pen_private, keys.binding), sealed

    def _answer(self) -> Answer:
        host = steps.HostShare.unpack(self.share)
        negotiated = steps.negotiated(*self.said, terms_of(self.setup))
        parties = Parties.of(int(PROTOCOL_VERSION), negotiated, host.host_id, self.serial_number)
        registration = Registration.unpack(self.setup.registration)
        return Verifier(registration, parties, scalar_from(self.drawn)).answer(host.share)

    def __repr__(self) -> str:
        return "Run(not shown)"
