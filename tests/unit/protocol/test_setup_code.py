"""The code printed for a pen: what a person mistypes is found, what is anybody's guess is refused, and none is told."""

import random
import re
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.pairing import setup_code
from dermalink_protocol.pairing.errors import (
    BadIdentity,
    CodeNotDigits,
    CodeWrongCheckDigit,
    CodeWrongLength,
    NotALabel,
    PairingError,
    SetupCodeError,
    TrivialCode,
)
from dermalink_protocol.pairing.setup_code import TRIVIAL_CODES, Label, SetupCode, check_digit, parse_label

codes = st.integers(0, 99_999_999).map("{:08}".format).filter(lambda digits: digits not in TRIVIAL_CODES)
DIGITS = range(10)


def refusal_of(typed: str) -> type[SetupCodeError] | None:
    try:
        SetupCode.parse(typed)
    except SetupCodeError as error:
        return type(error)
    return None


@given(codes, st.sampled_from(["", "-", " ", "\u2013", " - "]))
def test_what_is_printed_is_read_however_it_is_grouped(digits: str, between: str) -> None:
    code = SetupCode(digits)
    assert len(code.printed) == 11
    assert SetupCode.parse(between.join(code.printed.split("-"))).digits == digits


@pytest.mark.parametrize(
    ("digits", "check"),
    [("236", "3"), ("3497011233", "2"), ("", "0")],
    ids=["Verhoeff's own", "a Matter pen's", "nothing"],
)
def test_check_digits_that_others_published(digits: str, check: str) -> None:
    assert check_digit(digits) == check


def test_the_sum_is_a_group_so_what_a_wrong_digit_does_depends_on_no_other_digit() -> None:
    add = setup_code._sum
    assert all(add(add(a, b), c) == add(a, add(b, c)) for a, b, c in product(DIGITS, repeat=3))
    assert all({add(a, b) for b in DIGITS} == {add(b, a) for b in DIGITS} == set(DIGITS) for a in DIGITS)
    assert all(add(0, a) == add(a, 0) == a for a in DIGITS)


def test_so_every_wrong_digit_and_every_swap_of_neighbours_is_found_at_every_place() -> None:
    add, turned = setup_code._sum, setup_code._turned
    for place in range(setup_code.PRINTED_DIGITS):
        assert {turned(digit, place) for digit in DIGITS} == set(DIGITS)
        for a, b in product(DIGITS, repeat=2):
            right = add(turned(a, place), turned(b, place + 1))
            swapped = add(turned(b, place), turned(a, place + 1))
            assert (right == swapped) == (a == b), (place, a, b)


def test_and_the_same_as_a_person_meets_it() -> None:
    draw = random.Random(1)
    for _ in range(100):
        text = SetupCode(f"{draw.randrange(10**8):08}").printed.replace("-", "")
        for place, digit in product(range(9), "0123456789"):
            if digit != text[place]:
                wrong = text[:place] + digit + text[place + 1 :]
                assert refusal_of(wrong) in (CodeWrongCheckDigit, TrivialCode), place
        for place in range(8):
            swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
            assert refusal_of(swapped) is (None if swapped == text else CodeWrongCheckDigit), place


def test_the_codes_that_anybody_would_try_first_can_be_neither_made_nor_typed() -> None:
    assert {*(digit * 8 for digit in "0123456789"), "12345678", "87654321"} == TRIVIAL_CODES
    for digits in TRIVIAL_CODES:
        for make in (SetupCode, lambda text: SetupCode.from_number(int(text))):
            with pytest.raises(TrivialCode, match="Draw another"):
                make(digits)
        with pytest.raises(TrivialCode, match="No try was spent"):
            SetupCode.parse(digits + check_digit(digits))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 10, 11, 100])
def test_another_length_says_how_many_digits_are_missing_or_too_many(count: int) -> None:
    with pytest.raises(CodeWrongLength) as caught:
        SetupCode.parse("7" * count)
    assert f"{abs(9 - count)} are {'missing' if count < 9 else 'too many'}" in caught.value.limit
    assert "last one included" in caught.value.advice


@pytest.mark.parametrize("number", [-1, 10**8, True, 1.0, "20202021", None])
def test_a_number_that_is_no_code_is_refused(number: object) -> None:
    with pytest.raises(CodeWrongLength):
        SetupCode.from_number(number)  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [b"202020219", 202020219, None, ["2"]])
def test_what_is_no_text_is_refused_typed(other: object) -> None:
    with pytest.raises(SetupCodeError):
        SetupCode.parse(other)  # type: ignore[arg-type]
    with pytest.raises(CodeNotDigits):
        SetupCode(other)  # type: ignore[arg-type]
    with pytest.raises(NotALabel):
        parse_label(other)  # type: ignore[arg-type]
    with pytest.raises(BadIdentity):
        setup_code.checked_serial_number(other)  # type: ignore[arg-type]


@given(st.text() | st.text("0123456789- \u0661\uff11O."))
def test_whatever_is_typed_or_scanned_is_a_code_or_a_typed_refusal_that_does_not_repeat_it(text: str) -> None:
    for act in (SetupCode, SetupCode.parse, parse_label, lambda part: parse_label(f"DERMALINK:1:{part}")):
        refused = None
        try:
            act(text)
        except PairingError as error:
            refused = error
        if refused is not None:
            assert refused.rule == "SR-SEC-2"
            assert not re.search(r"\d{5}", str(refused))


@given(codes)
def test_a_code_shows_itself_only_when_it_is_asked(digits: str) -> None:
    code = SetupCode(digits)
    for said in (repr(code), str(code), f"{code}", repr(Label("DL-1", code)), repr([code])):
        assert digits not in said
    assert repr(code) == "SetupCode(not shown)"
    assert not hasattr(code, "__dict__")
    with pytest.raises(TypeError):
        hash(code)


@given(codes, codes)
def test_codes_are_equal_by_their_digits(one: str, other: str) -> None:
    assert (SetupCode(one) == SetupCode(other)) == (one == other)
    assert SetupCode(one) == SetupCode(one)
    assert SetupCode(one) != one


@given(codes, st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=16))
def test_a_label_says_which_pen_and_its_code(digits: str, serial_number: str) -> None:
    label = Label(serial_number, SetupCode(digits))
    assert parse_label(label.text) == label


@pytest.mark.parametrize("serial_number", ["", "S" * 17, "DL\n1", "DL-\u00e9", "DL\0"])
def test_no_label_is_made_for_a_serial_number_that_can_not_be(serial_number: str) -> None:
    with pytest.raises(BadIdentity):
        _ = Label(serial_number, SetupCode("20202021")).text


@pytest.mark.parametrize(
    ("statement", "loads"),
    [
        ("import dermalink, dermalink_protocol.messages, dermalink_protocol.codewords", set()),
        ("import dermalink_protocol.pairing.setup_code", set()),
        ("import dermalink_protocol.pairing.spake2plus", {"Crypto"}),
    ],
)
def test_the_libraries_are_loaded_only_by_whoever_pairs(statement: str, loads: set[str]) -> None:
    script = f"import sys; {statement}; print(*{{'Crypto', 'cryptography', 'noise'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == loads
