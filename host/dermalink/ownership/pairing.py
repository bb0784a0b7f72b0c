"""Claiming a pen (SR-SEC-2, SR-OWN-1): three steps, after a press on the pen, with the code that came with it.

| step | before it | what can be true if the link is lost after it went out |
| --- | --- | --- |
| 1 | the pen's window is open | nothing has changed |
| 2 | the code was made into this run's numbers, in a thread | a try is spent |
| 3 | the pen has proved that it knows the code; what it takes to finish is kept | the pen is ours, or has no owner |

So there is never an owner whose key nobody has. What is missing after a lost last answer is the pen's public key:
step 3 once more, word for word, asks for it again, on this connection and on the next. A pen that was off in between,
or remembers no more, refuses it; then the way is the hand-over, for which the pen in hand and the code are enough.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from dermalink.errors import LinkError, PenRefusal, Timeout, UnexpectedReply
from dermalink.ownership.asking import asked
from dermalink.ownership.entries import Unfinished
from dermalink.ownership.owned_pen import OwnedPen
from dermalink.ownership.pairing_link import PairingLink
from dermalink.ownership.results import (
    Barred,
    CutOff,
    Failed,
    Owned,
    Paired,
    PairingResult,
    WindowShut,
    WrongCode,
)
from dermalink.ownership.store import KeyStore
from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import PAIR_TRIES
from dermalink_protocol.messages.owner import Owner
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import PairingError, WrongConfirmation
from dermalink_protocol.pairing.owner_keys import HostOffer
from dermalink_protocol.pairing.p256 import DRAWN_BYTES, scalar_from
from dermalink_protocol.pairing.registration import derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import HOST_ID_BYTES, Confirmed, Parties, Prover, SharedKey
from dermalink_protocol.sealing.keys import KEY_BYTES, public_key

TIMES: Final = 3  # as often as hello: a reply may be lost on any link

_SILENT: Final = (Timeout, LinkError, UnexpectedReply)


class Pairing:
    """Attempts at one pen, over one connection; `may_be_ours` tells what is true when one was cancelled."""

    def __init__(self, link: PairingLink, store: KeyStore, *, utc: Callable[[], int], tries: int = 0) -> None:
        """`store` was checked (`KeyStore.check`), so that nobody presses for nothing; `tries` were made before."""
        self._link = link
        self._store = store
        self._utc = utc
        self.tries = tries
        self.may_be_ours = False

    async def standing(self) -> PairingResult | Owner:
        """What stands in the way of a code, or how the pen stands; an unfinished pairing is finished first.

        A window that is open on a pen with an owner is a hand-over's: then a code takes it over. Raises as
        `PairingLink.standing` does, and a `KeyStoreError`.
        """
        owner = await self._link.standing()
        if owner.owned and not owner.window_s:
            return await self._when_owned()
        if owner.barred_s:
            return Barred(owner.barred_s)
        return owner if owner.window_s else WindowShut()

    async def attempt(self, code: SetupCode) -> PairingResult:
        """Pair with this code, while the pen's window is open.

        Raises `PenRefusal` for what is no answer to pairing (NOT_BUILT, BUSY), and a `KeyStoreError`.
        """
        self.may_be_ours = False
        try:
            standing = await self.standing()
            if not isinstance(standing, Owner):
                return standing
            confirmed = await self._agree(code)
        except WrongConfirmation:
            return await self._wrong_code()
        except PairingError as error:
            return Failed(error)
        except PenRefusal as refusal:
            return _refused(refusal)
        except _SILENT as error:
            return CutOff(error, may_be_ours=False)
        return await self._claim(confirmed)

    async def _agree(self, code: SetupCode) -> Confirmed:
        """Steps 1 and 2: this computer believes the pen then."""
        link, serial = self._link, self._link.serial_number
        told = await self._asked(steps.DERIVE)
        derivation = steps.unpack_derivation(told)
        secret = await asyncio.to_thread(derive_secret, code, serial, derivation)
        host_id = secrets.token_bytes(HOST_ID_BYTES)  # of this run alone, so that no two pens can compare
        negotiated = steps.negotiated(*link.negotiated, told)
        parties = Parties.of(link.hello.protocol_version, negotiated, host_id, serial)
        prover = Prover(secret, parties, scalar_from(secrets.token_bytes(DRAWN_BYTES)))
        self.tries += 1
        answer = await self._asked(steps.SHARE, steps.HostShare(host_id, prover.share).pack())
        return prover.finish(*steps.PenShare.unpack(answer))

    async def _asked(self, number: int, share: bytes = b"") -> bytes:
        """The pen's answer to a step; after silence the same words again, which to the pen are the same try."""
        for left in reversed(range(TIMES)):
            try:
                return await self._link.step(number, share)
            except Timeout:
                if not left:
                    raise
        raise AssertionError("a step is taken at least once")

    async def _claim(self, confirmed: Confirmed) -> PairingResult:
        """Step 3, once what it takes to finish is kept."""
        run = Unfinished(
            self._link.serial_number, secrets.token_bytes(KEY_BYTES), confirmed.key.take(), confirmed.confirmation
        )
        await asyncio.to_thread(self._store.begin, run)
        return await self._last_word(run, unanswered=False)

    async def _last_word(self, run: Unfinished, *, unanswered: bool) -> PairingResult:
        """Step 3, as often as it takes; `unanswered`: it went out before, and nobody knows what came of it."""
        share = _offer(run)[1]
        error: DermalinkError | None = None
        for _ in range(TIMES):
            self.may_be_ours = True
            try:
                return await self._finish(run, await self._link.step(steps.CONFIRM, share))
            except PairingError as broken:  # it was altered on its way, and the pen took ours all the same
                error = broken
            except PenRefusal as refusal:
                return await self._refused_last(refusal, unanswered=unanswered)
            except Timeout as timeout:
                error = timeout
            except (LinkError, UnexpectedReply) as lost:
                return CutOff(lost, may_be_ours=True)
            unanswered = True
        assert error is not None
        return CutOff(error, may_be_ours=True)

    async def _finish(self, run: Unfinished, sealed: bytes) -> Paired:
        offer, _ = _offer(run)
        keys = offer.finish(sealed)
        pen = OwnedPen(run.serial_number, run.host_private, keys.pen, keys.binding, self._utc())
        await asyncio.shield(asyncio.to_thread(self._store.keep, pen))
        return Paired(pen)

    async def _refused_last(self, refusal: PenRefusal, *, unanswered: bool) -> PairingResult:
        """The pen says no to the last word; whether it had taken an earlier one is told by whether it has an owner.

        What was kept stays: anybody can say no in the clear. The next pairing puts its own in that place.
        """
        try:
            taken = unanswered and bool((await self._link.standing()).owned)
        except (*_SILENT, PenRefusal):
            taken = True
        self.may_be_ours = taken
        return CutOff(refusal, may_be_ours=True) if taken else _refused(refusal)

    async def _when_owned(self) -> PairingResult:
        """The owner may be this computer, and not know it yet."""
        serial = self._link.serial_number
        run = await asked(self._store.unfinished, serial)
        if run is not None:
            result = await self._last_word(run, unanswered=True)
            if not (isinstance(result, CutOff) and isinstance(result.why, PenRefusal)):
                return result
        return Owned(ours=await asked(self._store.known, serial) is not None)

    async def _wrong_code(self) -> PairingResult:
        left = max(0, int(PAIR_TRIES) - self.tries)
        try:
            owner = await self._link.standing()
        except (*_SILENT, PenRefusal):
            return WrongCode(left, 0)
        return WrongCode(0 if owner.barred_s else left, owner.barred_s)


def _offer(run: Unfinished) -> tuple[HostOffer, bytes]:
    """What opens the pen's answer, and what step 3 carries: the same each time that it is made."""
    offer = HostOffer(SharedKey(run.shared), public_key(run.host_private))
    return offer, steps.HostOffered(run.confirmation, offer.sealed).pack()


def _refused(refusal: PenRefusal) -> PairingResult:
    match refusal.reason:
        case Reason.PAIRING_SHUT:
            return WindowShut()
        case Reason.PAIRING_BARRED:
            return Barred(refusal.value)
        case Reason.OWNED | Reason.NOT_AUTHENTICATED:
            return Owned(ours=False)
        case Reason.PAIRING_FAILED:
            return Failed(refusal)
    raise refusal
