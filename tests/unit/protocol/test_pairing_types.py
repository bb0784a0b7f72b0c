"""What goes into pairing's arithmetic: only bytes and numbers of the right kind, in range; only points of the group."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_protocol.pairing import spake2plus
from dermalink_protocol.pairing.errors import (
    BadDerivation,
    BadIdentity,
    BadRegistration,
    BadScalar,
    BadShare,
    PairingError,
    WrongConfirmation,
)
from dermalink_protocol.pairing.p256 import FIELD, ORDER, G, encoded, point_of, scalar_from
from dermalink_protocol.pairing.registration import Derivation, Registration, Secret, derive_secret
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_protocol.pairing.spake2plus import Parties, Prover, Verifier

PARTIES = Parties.of(1, b"hello", b"a host's id here", "DL-000123")
SECRET = Secret(0x20202021, 0x71945062)
X, Y = 0x1234567890ABCDEF << 64, 0xFEDCBA0987654321 << 96


@pytest.mark.parametrize("value", [0, -1, ORDER, ORDER + 1, True, 1.0, "1", b"\1", None])
def test_only_numbers_from_1_to_n_less_1_are_scalars(value: int) -> None:
    for act in (
        lambda: Prover(SECRET, PARTIES, value),
        lambda: Verifier(SECRET.registration(), PARTIES, value),
        lambda: Secret(value, 1),
        lambda: Secret(1, value),
    ):
        with pytest.raises(BadScalar):
            act()
    with pytest.raises(BadRegistration):
        Registration(value, encoded(G))


def test_a_drawn_number_that_undoes_its_mask_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spake2plus, "M", G)
    with pytest.raises(BadScalar, match="undoes"):
        Prover(SECRET, PARTIES, ORDER - SECRET.w0)


@given(st.binary(min_size=40, max_size=40).filter(any))
def test_forty_drawn_bytes_are_a_scalar(drawn: bytes) -> None:
    assert scalar_from(drawn) == int.from_bytes(drawn, "big") % ORDER


@pytest.mark.parametrize(
    "drawn", [bytes(40), ORDER.to_bytes(40, "big"), b"\1" * 39, b"\1" * 41, bytearray(b"\1" * 40), "1" * 40]
)
def test_other_draws_are_refused(drawn: bytes) -> None:
    with pytest.raises(BadScalar):
        scalar_from(drawn)


@given(st.integers(1, ORDER - 1))
@settings(max_examples=30)
def test_a_point_is_its_own_encoding_and_no_other(scalar: int) -> None:
    point = G * scalar
    data = encoded(point)
    assert point_of(data) == point
    assert point_of(bytes([2 + data[-1] % 2]) + data[1:33]) is None
    assert point_of(bytearray(data)) is None  # type: ignore[arg-type]


def test_coordinates_are_not_taken_modulo_the_field() -> None:
    # The only points whose x or y also fits 32 bytes when p is added have one below 2^224.
    small = next(x for x in range(1, 100) if point_of(b"\4" + x.to_bytes(32, "big") + root(x)) is not None)
    assert point_of(b"\4" + (small + FIELD).to_bytes(32, "big") + root(small)) is None


def root(x: int) -> bytes:
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    return pow(x**3 - 3 * x + b, (FIELD + 1) // 4, FIELD).to_bytes(32, "big")


BYTES_THAT_ARE_NONE: list[object] = [None, "text", bytearray(65), 65, [4] * 65]


@pytest.mark.parametrize("other", BYTES_THAT_ARE_NONE, ids=repr)
def test_what_is_not_bytes_is_refused_typed(other: bytes) -> None:
    prover = Prover(SECRET, PARTIES, X)
    answer = Verifier(SECRET.registration(), PARTIES, Y).answer(prover.share)
    acts: list[tuple[type[PairingError], Callable[[], object]]] = [
        (BadShare, lambda: Verifier(SECRET.registration(), PARTIES, Y).answer(other)),
        (BadShare, lambda: Prover(SECRET, PARTIES, X).finish(other, bytes(32))),
        (WrongConfirmation, lambda: prover.finish(answer.share, other)),
        (WrongConfirmation, lambda: answer.finish(other)),
        (BadRegistration, lambda: Registration.unpack(other)),
        (BadDerivation, lambda: Derivation(other)),
        (BadIdentity, lambda: Parties.of(1, other, bytes(16), "DL-1")),
        (BadIdentity, lambda: Parties.of(1, b"", other, "DL-1")),
        (BadIdentity, lambda: Parties(b"c", other, b"v")),
    ]
    for error, act in acts:
        with pytest.raises(error):
            act()


@pytest.mark.parametrize(
    ("version", "host_id", "serial_number"),
    [
        (0, bytes(16), "DL-1"),
        (0x1_0000, bytes(16), "DL-1"),
        (True, bytes(16), "DL-1"),
        (1, bytes(15), "DL-1"),
        (1, bytes(17), "DL-1"),
        (1, bytes(16), ""),
        (1, bytes(16), "S" * 17),
    ],
)
def test_names_out_of_range_are_refused(version: int, host_id: bytes, serial_number: str) -> None:
    with pytest.raises(BadIdentity):
        Parties.of(version, b"", host_id, serial_number)


@pytest.mark.parametrize("serial_number", ["", "S" * 17, "DL\0", "DL-\u00e9", b"DL-1", None])
def test_nothing_follows_from_a_code_for_a_serial_number_that_can_not_be(serial_number: str) -> None:
    with pytest.raises(BadIdentity):
        derive_secret(SetupCode("20202021"), serial_number, Derivation(bytes(16), 1_000))


@pytest.mark.parametrize("empty", range(3))
def test_no_name_in_a_run_is_empty(empty: int) -> None:
    with pytest.raises(BadIdentity):
        Parties(*(b"" if place == empty else b"x" for place in range(3)))


@pytest.mark.parametrize("iterations", [999, 100_001, True, 1_000.0, "1000"])
def test_iterations_are_an_integer_in_range(iterations: int) -> None:
    with pytest.raises(BadDerivation):
        Derivation(bytes(16), iterations)


def test_the_most_iterations_that_matter_allows_are_the_usual() -> None:
    assert Derivation(bytes(32)).iterations == 100_000
