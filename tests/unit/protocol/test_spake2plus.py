"""SPAKE2+: the RFC's numbers; one code pairs with itself alone; every state takes one step; nothing secret is shown."""

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_protocol.pairing import spake2plus
from dermalink_protocol.pairing.errors import BadShare, PairingError, StepRepeated, WrongConfirmation
from dermalink_protocol.pairing.p256 import ORDER, G, M, N, encoded, point_of
from dermalink_protocol.pairing.registration import Derivation, Registration, Secret, derive_secret
from dermalink_protocol.pairing.setup_code import TRIVIAL_CODES, SetupCode
from dermalink_protocol.pairing.spake2plus import Answer, Parties, Prover, SharedKey, Verifier

QUICK = Derivation(bytes(range(16)), 1_000)
PARTIES = Parties.of(1, b"hello", b"a host's id here", "DL-000123")
codes = st.integers(0, 99_999_999).map("{:08}".format).filter(lambda digits: digits not in TRIVIAL_CODES).map(SetupCode)
scalars = st.integers(1, ORDER - 1)


def secret_of(code: SetupCode, serial_number: str = "DL-000123") -> Secret:
    return derive_secret(code, serial_number, QUICK)


SECRET = secret_of(SetupCode("20202021"))
OTHER = secret_of(SetupCode("71945062"))
X, Y = 0x1234567890ABCDEF << 64, 0xFEDCBA0987654321 << 96


def paired(host: Secret, pen: Registration, x: int = X, y: int = Y) -> tuple[bytes, bytes]:
    """The key at the host and that at the pen."""
    prover = Prover(host, PARTIES, x)
    answer = Verifier(pen, PARTIES, y).answer(prover.share)
    confirmed = prover.finish(answer.share, answer.confirmation)
    return confirmed.key.take(), answer.finish(confirmed.confirmation).take()


# The RFC's numbers


def number(text: str) -> int:
    return int(text, 16)


class Rfc:
    """RFC 9383, Appendix C: P256-SHA256-HKDF-SHA256-HMAC-SHA256."""

    parties = Parties(b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors", b"client", b"server")
    secret = Secret(
        number("bb8e1bbcf3c48f62c08db243652ae55d3e5586053fca77102994f23ad95491b3"),
        number("7e945f34d78785b8a3ef44d0df5a1a97d6b3b460409a345ca7830387a74b1dba"),
    )
    l = (  # noqa: E741
        "04eb7c9db3d9a9eb1f8adab81b5794c1f13ae3e225efbe91ea487425854c7fc00f"
        "00bfedcbd09b2400142d40a14f2064ef31dfaa903b91d1faea7093d835966efd"
    )
    x = number("d1232c8e8693d02368976c174e2088851b8365d0d79a9eee709c6a05a2fad539")
    share_p = (
        "04ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1"
        "de127727f418b5966afadfdd95a6e4591d171056b333dab97a79c7193e341727"
    )
    y = number("717a72348a182085109c8d3917d6c43d59b224dc6a7fc4f0483232fa6516d8b3")
    share_v = (
        "04c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb"
        "5cc1ca7494db39e82ff2f50665255d76173e09986ab46742c798a9a68437b048"
    )
    z = (
        "04bbfce7dd7f277819c8da21544afb7964705569bdf12fb92aa388059408d50091"
        "a0c5f1d3127f56813b5337f9e4e67e2ca633117a4fbd559946ab474356c41839"
    )
    v = (
        "0458bf27c6bca011c9ce1930e8984a797a3419797b936629a5a937cf2f11c8b951"
        "4b82b993da8a46e664f23db7c01edc87faa530db01c2ee405230b18997f16b68"
    )
    main = "4c59e1ccf2cfb961aa31bd9434478a1089b56cd11542f53d3576fb6c2a438a29"
    key_confirm_p = "871ae3f7b78445e34438fb284504240239031c39d80ac23eb5ab9be5ad6db58a"
    key_confirm_v = "ccd53c7c1fa37b64a462b40db8be101cedcf838950162902054e644b400f1680"
    confirm_p = "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527"
    confirm_v = "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68"
    shared = "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7"


def test_the_rfcs_vector_is_reproduced() -> None:
    registration = Rfc.secret.registration()
    assert registration.l.hex() == Rfc.l
    prover = Prover(Rfc.secret, Rfc.parties, Rfc.x)
    assert prover.share.hex() == Rfc.share_p
    answer = Verifier(registration, Rfc.parties, Rfc.y).answer(prover.share)
    assert (answer.share.hex(), answer.confirmation.hex()) == (Rfc.share_v, Rfc.confirm_v)
    confirmed = prover.finish(answer.share, answer.confirmation)
    assert confirmed.confirmation.hex() == Rfc.confirm_p
    assert confirmed.key.take().hex() == answer.finish(confirmed.confirmation).take().hex() == Rfc.shared


def test_the_rfcs_vector_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[bytes] = []
    hkdf = spake2plus.hkdf

    def noted(key: bytes, info: bytes, length: int) -> bytes:
        derived.extend((key, hkdf(key, info, length)))
        return derived[-1]

    monkeypatch.setattr(spake2plus, "hkdf", noted)
    z, v = point_of(bytes.fromhex(Rfc.z)), point_of(bytes.fromhex(Rfc.v))
    assert z is not None
    assert v is not None
    shares = bytes.fromhex(Rfc.share_p), bytes.fromhex(Rfc.share_v)
    spake2plus._Keys.of(Rfc.parties, *shares, z, v, Rfc.secret.w0)
    main, confirming = Rfc.main, Rfc.key_confirm_p + Rfc.key_confirm_v
    assert [value.hex() for value in derived] == [main, confirming, main, Rfc.shared]


def test_the_fixed_points_are_the_rfcs_and_on_the_curve() -> None:
    compressed = [f"{2 + encoded(point)[-1] % 2:02x}{encoded(point)[1:33].hex()}" for point in (M, N)]
    assert compressed == [
        "02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f",
        "03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49",
    ]
    assert (G * ORDER).is_point_at_infinity()
    assert encoded(G * (ORDER - 1)) == encoded(-G)


# One code


@given(codes, scalars, scalars)
@settings(max_examples=30)
def test_any_code_pairs_with_itself(code: SetupCode, x: int, y: int) -> None:
    at_host, at_pen = paired(secret_of(code), secret_of(code).registration(), x, y)
    assert at_host == at_pen


@given(codes, codes, scalars, scalars)
@settings(max_examples=30)
def test_and_with_no_other(code: SetupCode, other: SetupCode, x: int, y: int) -> None:
    if code == other:
        return
    prover = Prover(secret_of(other), PARTIES, x)
    answer = Verifier(secret_of(code).registration(), PARTIES, y).answer(prover.share)
    with pytest.raises(WrongConfirmation, match="another code"):
        prover.finish(answer.share, answer.confirmation)


@pytest.mark.parametrize(
    "other",
    [
        derive_secret(SetupCode("20202021"), "DL-000124", QUICK),
        derive_secret(SetupCode("20202021"), "DL-000123", Derivation(bytes(16), 1_000)),
        derive_secret(SetupCode("20202021"), "DL-000123", Derivation(QUICK.salt, 1_001)),
    ],
    ids=["another pen's", "another salt", "other iterations"],
)
def test_the_same_code_of_another_pen_or_by_another_derivation_does_not_pair(other: Secret) -> None:
    assert {other.w0, other.w1}.isdisjoint({SECRET.w0, SECRET.w1})
    with pytest.raises(WrongConfirmation):
        paired(other, SECRET.registration())


def test_who_stole_what_the_pen_keeps_can_not_pass_for_a_host() -> None:
    thief = Prover(Secret(SECRET.w0, OTHER.w1), PARTIES, X)
    answer = Verifier(SECRET.registration(), PARTIES, Y).answer(thief.share)
    with pytest.raises(WrongConfirmation):
        thief.finish(answer.share, answer.confirmation)


def test_who_knows_w0_alone_can_not_pass_for_the_pen() -> None:
    prover = Prover(SECRET, PARTIES, X)
    fake = Verifier(Registration(SECRET.w0, OTHER.registration().l), PARTIES, Y).answer(prover.share)
    with pytest.raises(WrongConfirmation):
        prover.finish(fake.share, fake.confirmation)


# What a listener sees


@given(scalars, codes, codes)
@settings(max_examples=20)
def test_any_share_fits_any_code(x: int, code: SetupCode, other: SetupCode) -> None:
    """With a mask whose logarithm is known: for each other code there is an x that gives the very same share."""
    one, two, mask = secret_of(code), secret_of(other), 0x5EED
    x_of_other = (x + mask * (one.w0 - two.w0)) % ORDER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spake2plus, "M", G * mask)
        patch.setattr(spake2plus, "N", G * mask)
        for secret, scalar in ((one, x), (two, x_of_other)):
            assert Prover(secret, PARTIES, scalar).share == Prover(one, PARTIES, x).share
            answer = Verifier(secret.registration(), PARTIES, scalar).answer(encoded(G))
            assert answer.share == Verifier(one.registration(), PARTIES, x).answer(encoded(G)).share


def test_no_share_depends_on_w1_and_every_confirmation_does() -> None:
    one, two = SECRET, Secret(SECRET.w0, OTHER.w1)
    assert Prover(one, PARTIES, X).share == Prover(two, PARTIES, X).share
    share = Prover(one, PARTIES, X).share
    first, second = (Verifier(secret.registration(), PARTIES, Y).answer(share) for secret in (one, two))
    assert first.share == second.share
    assert first.confirmation != second.confirmation


def test_nothing_that_crosses_is_the_same_for_two_codes_or_in_two_runs() -> None:
    seen: list[bytes] = []
    for secret, x, y in ((SECRET, X, Y), (OTHER, X, Y), (SECRET, X + 1, Y + 1)):
        prover = Prover(secret, PARTIES, x)
        answer = Verifier(secret.registration(), PARTIES, y).answer(prover.share)
        confirmed = prover.finish(answer.share, answer.confirmation)
        seen += [prover.share, answer.share, answer.confirmation, confirmed.confirmation, confirmed.key.take()]
    assert len(set(seen)) == len(seen)


def test_no_secret_crosses_and_none_is_shown() -> None:
    prover = Prover(SECRET, PARTIES, X)
    verifier = Verifier(SECRET.registration(), PARTIES, Y)
    answer = verifier.answer(prover.share)
    confirmed = prover.finish(answer.share, answer.confirmation)
    pen_key = answer.finish(confirmed.confirmation)
    reprs = [repr(value) for value in (SECRET, SECRET.registration(), prover, verifier, answer, confirmed, pen_key)]
    shared = pen_key.take()
    numbers = [SECRET.w0, SECRET.w1, X, Y]
    secrets = [*(value.to_bytes(32, "big") for value in numbers), SECRET.registration().l, shared]
    crossed = b"".join([prover.share, answer.share, answer.confirmation, confirmed.confirmation])
    for secret in secrets:
        assert secret not in crossed
        assert all(secret.hex() not in said and repr(secret) not in said for said in reprs)
    assert all(str(value) not in said for value in numbers for said in reprs)


# Each message, each bit


def flips(data: bytes) -> list[bytes]:
    whole = int.from_bytes(data, "big")
    return [(whole ^ 1 << bit).to_bytes(len(data), "big") for bit in range(8 * len(data))]


def test_every_flipped_bit_of_the_hosts_share_fails() -> None:
    registration = SECRET.registration()
    for share in flips(Prover(SECRET, PARTIES, X).share):
        with pytest.raises(BadShare):
            Verifier(registration, PARTIES, Y).answer(share)


def test_every_flipped_bit_of_the_pens_answer_fails() -> None:
    answer = Verifier(SECRET.registration(), PARTIES, Y).answer(Prover(SECRET, PARTIES, X).share)
    for share in flips(answer.share):
        with pytest.raises(BadShare):
            Prover(SECRET, PARTIES, X).finish(share, answer.confirmation)
    for confirmation in flips(answer.confirmation):
        with pytest.raises(WrongConfirmation):
            Prover(SECRET, PARTIES, X).finish(answer.share, confirmation)


def test_every_flipped_bit_of_the_hosts_confirmation_fails() -> None:
    prover = Prover(SECRET, PARTIES, X)
    answer = Verifier(SECRET.registration(), PARTIES, Y).answer(prover.share)
    keys = answer._keys
    for confirmation in flips(prover.finish(answer.share, answer.confirmation).confirmation):
        with pytest.raises(WrongConfirmation):
            Answer(answer.share, keys).finish(confirmation)


@given(st.binary(min_size=65, max_size=65) | st.binary(max_size=100))
def test_whatever_comes_is_a_typed_refusal(data: bytes) -> None:
    for act in (
        lambda: Verifier(SECRET.registration(), PARTIES, Y).answer(data),
        lambda: Prover(SECRET, PARTIES, X).finish(data, bytes(32)),
        lambda: Registration.unpack(data),
    ):
        with pytest.raises(PairingError) as caught:
            act()
        assert caught.value.rule == "SR-SEC-2"


# One step a state


def test_a_state_takes_one_step_even_if_it_is_refused() -> None:
    prover, verifier = Prover(SECRET, PARTIES, X), Verifier(SECRET.registration(), PARTIES, Y)
    answer = verifier.answer(prover.share)
    confirmed = prover.finish(answer.share, answer.confirmation)
    key = answer.finish(confirmed.confirmation)
    key.take()
    for again in (
        lambda: verifier.answer(prover.share),
        lambda: prover.finish(answer.share, answer.confirmation),
        lambda: answer.finish(confirmed.confirmation),
        key.take,
    ):
        with pytest.raises(StepRepeated, match="Begin pairing again"):
            again()


def test_after_a_refusal_the_right_message_comes_too_late() -> None:
    good = Prover(SECRET, PARTIES, X)
    refusing = Verifier(SECRET.registration(), PARTIES, Y)
    with pytest.raises(BadShare):
        refusing.answer(b"")
    with pytest.raises(StepRepeated):
        refusing.answer(good.share)
    answer = Verifier(SECRET.registration(), PARTIES, Y).answer(good.share)
    with pytest.raises(WrongConfirmation):
        good.finish(answer.share, bytes(32))
    with pytest.raises(StepRepeated):
        good.finish(answer.share, answer.confirmation)
    right = Prover(SECRET, PARTIES, X).finish(answer.share, answer.confirmation).confirmation
    with pytest.raises(WrongConfirmation):
        answer.finish(bytes(32))
    with pytest.raises(StepRepeated):
        answer.finish(right)


def test_no_state_is_copied_or_stored() -> None:
    prover = Prover(SECRET, PARTIES, X)
    verifier = Verifier(SECRET.registration(), PARTIES, Y)
    states = [prover, verifier, Verifier(SECRET.registration(), PARTIES, Y).answer(prover.share), SharedKey(bytes(32))]
    for state in states:
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(StepRepeated):
                act(state)


def test_no_key_is_to_be_had_before_the_other_side_confirmed() -> None:
    prover = Prover(SECRET, PARTIES, X)
    verifier = Verifier(SECRET.registration(), PARTIES, Y)
    answer = verifier.answer(prover.share)
    public = [{name for name in dir(state) if not name.startswith("_")} for state in (prover, verifier, answer)]
    assert public == [{"finish", "share"}, {"answer"}, {"confirmation", "finish", "share"}]


def test_the_values_that_states_are_made_of_can_not_be_changed() -> None:
    for value, name in ((SECRET, "w0"), (SECRET.registration(), "w0"), (PARTIES, "context"), (QUICK, "salt")):
        with pytest.raises(AttributeError):
            setattr(value, name, getattr(value, name))
