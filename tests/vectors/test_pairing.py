"""Pairing against its golden records: codes, labels, what is kept of them, runs of both sides, static keys."""

from collections.abc import Callable

import pytest

from dermalink_protocol.pairing.errors import PairingError
from dermalink_protocol.pairing.owner_keys import HostOffer, OwnerKeys, answer_offer, checked_public_key
from dermalink_protocol.pairing.registration import Derivation, Registration, Secret, derive_secret
from dermalink_protocol.pairing.setup_code import Label, SetupCode, parse_label
from dermalink_protocol.pairing.spake2plus import Parties, Prover, SharedKey, Verifier
from tests.vectors.golden import Line, bad, good, load, name_of

LINES = load("pairing.jsonl")


def data(line: Line, key: str) -> bytes:
    return bytes.fromhex(line[key])


def scalar(line: Line, key: str) -> int:
    return int.from_bytes(data(line, key), "big")


def names(line: Line) -> Parties:
    return Parties(data(line, "context"), data(line, "prover"), data(line, "verifier"))


def refused(line: Line, act: Callable[[], object]) -> PairingError:
    """The exact error that the line asks for, which says what, why, and by which rule."""
    with pytest.raises(PairingError) as caught:
        act()
    error = caught.value
    assert type(error).__name__ == line["error"], str(error)
    assert error.rule == "SR-SEC-2"
    assert error.refused
    return error


@pytest.mark.parametrize("line", good(LINES, "typed"), ids=name_of)
def test_good_codes_both_ways(line: Line) -> None:
    code = SetupCode.parse(line["typed"])
    assert (code.digits, code.printed) == (line["digits"], line["printed"])
    assert SetupCode(line["digits"]) == SetupCode.from_number(int(line["digits"])) == code


@pytest.mark.parametrize("line", bad(LINES, "typed"), ids=name_of)
def test_bad_codes_get_their_exact_answer(line: Line) -> None:
    assert refused(line, lambda: SetupCode.parse(line["typed"])).advice


@pytest.mark.parametrize("line", good(LINES, "label"), ids=name_of)
def test_good_labels_both_ways(line: Line) -> None:
    label = parse_label(line["label"])
    assert label == Label(line["serial_number"], SetupCode(line["digits"]))
    assert label.text == line["label"]


@pytest.mark.parametrize("line", bad(LINES, "label"), ids=name_of)
def test_bad_labels_get_their_exact_answer(line: Line) -> None:
    assert refused(line, lambda: parse_label(line["label"])).advice


@pytest.mark.parametrize("line", good(LINES, "iterations"), ids=name_of)
def test_what_is_kept_of_a_code(line: Line) -> None:
    derivation = Derivation(data(line, "salt"), line["iterations"])
    secret = derive_secret(SetupCode(line["digits"]), line["serial_number"], derivation)
    assert (secret.w0, secret.w1) == (scalar(line, "w0"), scalar(line, "w1"))
    assert secret.registration().pack() == data(line, "stored")
    assert Registration.unpack(data(line, "stored")) == secret.registration()


@pytest.mark.parametrize("line", bad(LINES, "iterations"), ids=name_of)
def test_a_derivation_out_of_range_is_refused(line: Line) -> None:
    refused(line, lambda: Derivation(data(line, "salt"), line["iterations"]))


@pytest.mark.parametrize("line", [line for line in bad(LINES, "stored") if "side" not in line], ids=name_of)
def test_a_broken_registration_is_refused(line: Line) -> None:
    refused(line, lambda: Registration.unpack(data(line, "stored")))


@pytest.mark.parametrize("line", good(LINES, "share_p"), ids=name_of)
def test_good_runs_on_both_sides(line: Line) -> None:
    secret = Secret(scalar(line, "w0"), scalar(line, "w1"))
    assert secret.registration().l == data(line, "l")
    prover = Prover(secret, names(line), scalar(line, "x"))
    assert prover.share == data(line, "share_p")
    answer = Verifier(secret.registration(), names(line), scalar(line, "y")).answer(prover.share)
    assert (answer.share, answer.confirmation) == (data(line, "share_v"), data(line, "confirm_v"))
    confirmed = prover.finish(answer.share, answer.confirmation)
    assert confirmed.confirmation == data(line, "confirm_p")
    assert answer.finish(confirmed.confirmation).take() == confirmed.key.take() == data(line, "shared")


@pytest.mark.parametrize("line", good(LINES, "made_of"), ids=name_of)
def test_what_a_host_and_a_pen_are_called_in_a_run(line: Line) -> None:
    made_of = line["made_of"]
    negotiated, host_id = data(made_of, "negotiated"), data(made_of, "host_id")
    assert Parties.of(made_of["protocol_version"], negotiated, host_id, made_of["serial_number"]) == names(line)


def pen_side(line: Line) -> SharedKey:
    verifier = Verifier(Registration.unpack(data(line, "stored")), names(line), scalar(line, "y"))
    return verifier.answer(data(line, "share")).finish(data(line, "confirmation"))


def host_side(line: Line) -> SharedKey:
    secret = Secret(scalar(line, "w0"), scalar(line, "w1"))
    return Prover(secret, names(line), scalar(line, "x")).finish(data(line, "share"), data(line, "confirmation")).key


@pytest.mark.parametrize("line", [line for line in bad(LINES, "share") if line["side"] == "pen"], ids=name_of)
def test_bad_runs_get_the_pens_exact_answer(line: Line) -> None:
    refused(line, lambda: pen_side(line))


@pytest.mark.parametrize("line", [line for line in bad(LINES, "share") if line["side"] == "host"], ids=name_of)
def test_bad_runs_get_the_hosts_exact_answer(line: Line) -> None:
    refused(line, lambda: host_side(line))


@pytest.mark.parametrize("line", good(LINES, "to_pen"), ids=name_of)
def test_static_keys_are_exchanged(line: Line) -> None:
    host, pen = data(line, "host"), data(line, "pen")
    offer = HostOffer(SharedKey(data(line, "shared")), host)
    assert offer.sealed == data(line, "to_pen")
    reply = answer_offer(SharedKey(data(line, "shared")), pen, offer.sealed)
    assert reply.sealed == data(line, "to_host")
    assert offer.finish(reply.sealed) == reply.keys == OwnerKeys(host, pen, data(line, "binding"))


@pytest.mark.parametrize("line", bad(LINES, "sealed"), ids=name_of)
def test_bad_sealed_keys_get_their_exact_answer(line: Line) -> None:
    shared, own, sealed = (data(line, key) for key in ("shared", "own", "sealed"))
    if line["side"] == "pen":
        refused(line, lambda: answer_offer(SharedKey(shared), own, sealed))
    else:
        refused(line, lambda: HostOffer(SharedKey(shared), own).finish(sealed))


@pytest.mark.parametrize("line", bad(LINES, "public"), ids=name_of)
def test_bad_public_keys_are_refused_wherever_they_come_in(line: Line) -> None:
    public = data(line, "public")
    shared = SharedKey(bytes(32))
    for act in (
        lambda: checked_public_key(public),
        lambda: HostOffer(shared, public),
        lambda: answer_offer(shared, public, bytes(48)),
    ):
        refused(line, act)
    assert shared.take() == bytes(32)  # an own key that can't be costs no run


def test_every_line_is_of_a_kind_that_is_tested() -> None:
    kinds = ("typed", "label", "iterations", "stored", "share_p", "share", "to_pen", "sealed", "public")
    assert [name_of(line) for line in LINES if not any(kind in line for kind in kinds)] == []
