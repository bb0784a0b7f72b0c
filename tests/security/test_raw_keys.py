"""Keys that are none: zero, of low order, in another spelling, sent back; in pairing and in the handshake."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HANDSHAKE_EVERY_MS
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import BadPublicKey, BrokenSeal, WrongConfirmation
from dermalink_protocol.pairing.owner_keys import HOST_KEY_LABEL, PEN_KEY_LABEL, HostOffer, answer_offer
from dermalink_protocol.pairing.spake2plus import KEY_BYTES, SharedKey, hkdf
from dermalink_protocol.sealing.keys import FIELD, LOW_ORDER, public_key
from dermalink_simulator.firmware.owner_record import NO_OWNER
from dermalink_simulator.pen import SimulatedPen
from tests.support import sealed_client as owned
from tests.support.pairing_host import PAIR_REPLY, PairedClient, PairingHost, press
from tests.support.raw_pen import raw_pen
from tests.support.sealed_client import ON_PAIRING, SealedClient, inside, owned_pen

# Each point of low order in each spelling that fits 32 bytes: as it is, with the field's size added, with the top bit.
NO_KEYS = [
    (number + FIELD * times + top).to_bytes(32, "little")
    for number in sorted(LOW_ORDER)
    for times in (0, 1)
    for top in (0, 2**255)
    if number + FIELD * times < 2**255
]
RELEASE_OWNER, OWNER_RELEASED = 0x391B, 0xE692
ANOTHERS = b"\x05" + bytes(30) + b"\x10"


def test_they_are_the_five_and_all_their_twins() -> None:
    assert len(set(NO_KEYS)) == len(NO_KEYS) == 14
    assert {int.from_bytes(key, "little") % 2**255 % FIELD for key in NO_KEYS} == LOW_ORDER


# The handshake


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("key", NO_KEYS, ids=bytes.hex)
def test_an_ephemeral_key_of_low_order_is_refused_in_every_spelling(key: bytes) -> None:
    client = SealedClient(owned_pen())
    client.hello()
    got = client.say(ON_PAIRING, owned.OPEN_CHANNEL, key + bytes(16))
    assert got.refusal == (owned.OPEN_CHANNEL, Reason.NOT_AUTHENTICATED, 0)
    assert not client.inside.seal.number


@pytest.mark.sr("SR-SEC-1", side="pen")
def test_no_bit_of_the_first_message_may_be_another() -> None:
    pen = owned_pen()
    for bit in range(8 * 48):
        client = SealedClient(pen)
        client.hello()
        message = bytearray(client.handshake().begin())
        message[bit // 8] ^= 1 << bit % 8
        assert client.say(ON_PAIRING, owned.OPEN_CHANNEL, bytes(message)).reason == Reason.NOT_AUTHENTICATED, bit
        client.port.close()
        pen.advance(int(HANDSHAKE_EVERY_MS))
    SealedClient(pen).connect()


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("anew", [True, False], ids=["after another hello", "at once"])
def test_the_pens_own_answer_sent_back_opens_no_channel_and_ends_none(*, anew: bool) -> None:
    pen = owned_pen()
    owner = SealedClient(pen).connect()
    client = SealedClient(pen)
    client.hello()
    answer = client.say(ON_PAIRING, owned.OPEN_CHANNEL, client.handshake().begin()).payload
    if anew:
        client.hello()
    got = client.say(ON_PAIRING, owned.OPEN_CHANNEL, answer)
    assert got.reason == (Reason.NOT_AUTHENTICATED if anew else Reason.WRONG_STATE)
    assert not client.inside.seal.proven
    owner.status()


# The static keys, at the end of a pairing


def sealed(key: bytes, label: bytes, shared: bytes, bound_to: bytes = b"") -> bytes:
    """A static key under the run's own seal, as somebody who knows the code can send it, whatever it is."""
    return ChaCha20Poly1305(hkdf(shared, label, KEY_BYTES)).encrypt(bytes(12), key, bound_to)


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("key", NO_KEYS, ids=bytes.hex)
def test_nobody_owns_a_pen_with_a_key_that_is_none(key: bytes) -> None:
    with pytest.raises(BadPublicKey):
        answer_offer(SharedKey(bytes(32)), public_key(ANOTHERS), sealed(key, HOST_KEY_LABEL, bytes(32)))


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
def test_the_pen_takes_no_such_owner_and_the_try_is_spent() -> None:
    pen = raw_pen(seed=3).pen
    press(pen)
    host = PairingHost(pen)
    confirmed = host.agree()
    bad = sealed(bytes(32), HOST_KEY_LABEL, confirmed.key.take())
    got = host.step(steps.CONFIRM, steps.HostOffered(confirmed.confirmation, bad).pack())
    assert got.reason == Reason.PAIRING_FAILED
    assert inside(pen).owner == inside(pen).store.owner == NO_OWNER
    assert inside(pen).store.record.wrong_codes == 1
    host.pair()


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="host")
@pytest.mark.parametrize("key", [*NO_KEYS, public_key(ANOTHERS)], ids=bytes.hex)
def test_the_host_believes_no_pen_with_a_key_that_is_none_or_that_is_its_own(key: bytes) -> None:
    mine = public_key(ANOTHERS)
    with pytest.raises(BadPublicKey):
        HostOffer(SharedKey(bytes(32)), mine).finish(sealed(key, PEN_KEY_LABEL, bytes(32), mine))


@pytest.mark.sr("SR-SEC-1", side="host")
def test_the_hosts_own_sealed_key_sent_back_is_no_pens() -> None:
    offer = HostOffer(SharedKey(bytes(32)), public_key(ANOTHERS))
    with pytest.raises(BrokenSeal):
        offer.finish(offer.sealed)


# Shares and confirmations, sent back


@pytest.mark.sr("SR-SEC-2", side="pen")
def test_the_pens_own_share_and_confirmation_sent_back_pair_with_nobody() -> None:
    pen = raw_pen(seed=3).pen
    press(pen)
    host = PairingHost(pen)
    _, share = host.prover()
    told = steps.PenShare.unpack(host.step(steps.SHARE, share).payload[1:])
    got = host.step(steps.CONFIRM, told.confirmation + bytes(48))
    assert got.reason == Reason.PAIRING_FAILED
    got = host.step(steps.SHARE, steps.HostShare(bytes(16), told.share).pack())
    assert got.opcode == PAIR_REPLY
    again = steps.PenShare.unpack(got.payload[1:])
    assert again.share != told.share
    assert host.step(steps.CONFIRM, again.confirmation + bytes(48)).reason == Reason.PAIRING_FAILED
    assert inside(pen).store.record.wrong_codes == 2
    assert not inside(pen).owner.owned


@pytest.mark.sr("SR-SEC-2", side="host")
def test_the_hosts_own_share_sent_back_is_no_pens() -> None:
    host = PairingHost(pressed())
    prover, _ = host.prover()
    with pytest.raises(WrongConfirmation):
        prover.finish(prover.share, bytes(32))


def pressed() -> SimulatedPen:
    """A pen that is nobody's, and open."""
    pen = raw_pen(seed=3).pen
    press(pen)
    return pen


# A pairing that was recorded


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", "SR-CMD-1", side="pen")
@pytest.mark.parametrize("off", [True, False], ids=["off in between", "powered"])
@pytest.mark.parametrize("part", [(1, 2, 3), (2, 3), (3,)], ids=["whole", "the last two", "the last"])
def test_a_pairing_that_is_played_back_in_the_next_window_makes_nobody_an_owner(
    part: tuple[int, ...], *, off: bool
) -> None:
    """With ids and ticks of its own: they come in the clear, so whoever plays it back puts in fresh ones."""
    pen = pressed()
    owner = PairingHost(pen)
    prover, second = owner.prover()
    answer = owner.step(steps.SHARE, second)
    offer, third = owner.offer(prover.finish(*steps.PenShare.unpack(answer.payload[1:])))
    keys = offer.finish(owner.step(steps.CONFIRM, third).payload[1:])
    client = PairedClient(pen, owner.private, keys).connect()
    assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    if off:
        pen.power.cut()
        pen.power.restore()
        pen.advance(1_000)
    press(pen)
    thief = PairingHost(pen)
    recorded = {steps.DERIVE: b"", steps.SHARE: second, steps.CONFIRM: third}
    told = [thief.step(step, recorded[step]) for step in part]
    assert told[-1].reason == Reason.PAIRING_FAILED
    assert not inside(pen).owner.owned
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2
