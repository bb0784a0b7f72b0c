"""The static keys that pairing leaves behind: bound to the run, refused where anybody has them."""

import copy

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dermalink_protocol.messages.owner import PairReply, PairStep
from dermalink_protocol.pairing.errors import PairingError, StepRepeated
from dermalink_protocol.pairing.owner_keys import (
    SEALED_BYTES,
    HostOffer,
    OwnerKeys,
    answer_offer,
    checked_public_key,
)
from dermalink_protocol.pairing.p256 import POINT_BYTES
from dermalink_protocol.pairing.registration import Derivation, derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import (
    CONFIRMATION_BYTES,
    HOST_ID_BYTES,
    Parties,
    Prover,
    SharedKey,
    Verifier,
)
from dermalink_protocol.sealing.keys import LOW_ORDER
from dermalink_protocol.wire import Tail

HOST_KEY, PEN_KEY = bytes([7] * 32), bytes([9] * 32)


def flips(data: bytes) -> list[bytes]:
    whole = int.from_bytes(data, "big")
    return [(whole ^ 1 << bit).to_bytes(len(data), "big") for bit in range(8 * len(data))]


def exchanged(shared: bytes = bytes(32)) -> tuple[bytes, bytes, OwnerKeys]:
    offer = HostOffer(SharedKey(shared), HOST_KEY)
    reply = answer_offer(SharedKey(shared), PEN_KEY, offer.sealed)
    assert offer.finish(reply.sealed) == reply.keys
    return offer.sealed, reply.sealed, reply.keys


def test_a_whole_pairing_ends_with_the_same_keys_on_both_sides() -> None:
    secret = derive_secret(SetupCode("20202021"), "DL-000123", Derivation(bytes(16), 1_000))
    parties = Parties.of(1, b"hello", bytes(16), "DL-000123")
    prover = Prover(secret, parties, 5)
    answer = Verifier(secret.registration(), parties, 7).answer(prover.share)
    confirmed = prover.finish(answer.share, answer.confirmation)
    offer = HostOffer(confirmed.key, HOST_KEY)
    reply = answer_offer(answer.finish(confirmed.confirmation), PEN_KEY, offer.sealed)
    keys = offer.finish(reply.sealed)
    assert keys == reply.keys
    assert (keys.host, keys.pen, len(keys.binding)) == (HOST_KEY, PEN_KEY, 32)


def test_static_keys_are_bound_to_the_run() -> None:
    to_pen, to_host, keys = exchanged()
    other_to_pen, other_to_host, other = exchanged(bytes(31) + b"\1")
    assert len({to_pen, to_host, other_to_pen, other_to_host, keys.binding, other.binding}) == 6
    assert keys.binding.hex() not in repr(keys)
    assert repr(keys.binding) not in repr(keys)


def test_every_flipped_bit_of_a_sealed_key_fails() -> None:
    to_pen, to_host, _ = exchanged()
    for sealed in flips(to_pen):
        with pytest.raises(PairingError, match="altered"):
            answer_offer(SharedKey(bytes(32)), PEN_KEY, sealed)
    for sealed in flips(to_host):
        with pytest.raises(PairingError, match="altered"):
            HostOffer(SharedKey(bytes(32)), HOST_KEY).finish(sealed)


def test_a_shared_key_seals_once_and_an_offer_is_finished_once() -> None:
    shared = SharedKey(bytes(32))
    offer = HostOffer(shared, HOST_KEY)
    with pytest.raises(StepRepeated):
        HostOffer(shared, HOST_KEY)
    with pytest.raises(StepRepeated):
        answer_offer(shared, PEN_KEY, offer.sealed)
    reply = answer_offer(SharedKey(bytes(32)), PEN_KEY, offer.sealed)
    offer.finish(reply.sealed)
    with pytest.raises(StepRepeated):
        offer.finish(reply.sealed)
    with pytest.raises(StepRepeated):
        copy.copy(offer)


def test_every_key_of_low_order_makes_every_exchange_zero() -> None:
    private = X25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert len(LOW_ORDER) == 5
    for key in LOW_ORDER:
        with pytest.raises(ValueError, match=r"."):
            private.exchange(X25519PublicKey.from_public_bytes(key.to_bytes(32, "little")))


@pytest.mark.parametrize("other", [None, "text", bytearray(32), bytearray(48), 32], ids=repr)
def test_what_is_no_key_is_refused_typed(other: bytes) -> None:
    for act in (
        lambda: HostOffer(SharedKey(bytes(32)), other),
        lambda: answer_offer(SharedKey(bytes(32)), PEN_KEY, other),
        lambda: HostOffer(SharedKey(bytes(32)), HOST_KEY).finish(other),
    ):
        with pytest.raises(PairingError):
            act()


def test_the_keys_beside_those_of_low_order_are_taken() -> None:
    for key in (2, 9, 2**255 - 21):
        assert checked_public_key(key.to_bytes(32, "little"))


def test_each_message_fits_a_step_of_pairing() -> None:
    steps = [HOST_ID_BYTES + POINT_BYTES, POINT_BYTES + CONFIRMATION_BYTES, CONFIRMATION_BYTES + SEALED_BYTES]
    for message in (PairStep, PairReply):
        (share,) = (field for field in message.fields if field.name == "share")
        assert isinstance(share.wire, Tail)
        assert share.wire.most >= max(steps)
