"""A peripheral's half of Just Works by itself: with our own central's, with noise, and with its own key sent back."""

import pytest
from bumble.smp import ErrorCode
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink_simulator.radio.just_works import ASKED, Ends, Initiator, NotPaired, P
from dermalink_simulator.radio.just_works_peripheral import ANSWER, Responder, why_not

ENDS = Ends(bytes(6) + b"\1", b"\xff" * 6 + b"\1")
CODES = st.integers(0, 255).map(lambda code: bytes([code]))
# What is nearly right: a code and a length that belong together, or not.
PDUS = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda code, size, fill: code + bytes([fill]) * size,
        CODES,
        st.sampled_from([1, 6, 16, 64]),
        st.integers(0, 255),
    ),
)


def both() -> tuple[Initiator, Responder]:
    one, other = Initiator(ENDS), Responder(ENDS)
    assert other.begin(one.begin()) == ANSWER
    return one, other


def test_both_halves_have_the_same_key_at_the_end_and_neither_shows_it() -> None:
    one, other = both()
    said = [ANSWER]
    while said:
        answers = [answer for each in said if (answer := one.take(each))]
        said = [pdu for answer in answers for pdu in other.take(answer)]
    assert one.key == other.key
    assert other.key is not None
    assert len(other.key) == 16
    assert repr(other.key) not in repr(other)


def test_a_request_of_a_sound_central_is_sound() -> None:
    assert why_not(ASKED) is None


@pytest.mark.sr("SR-SEC-1", side="pen")
@pytest.mark.parametrize("mirrored", [False, True])
def test_its_own_public_key_sent_back_or_mirrored_is_refused(mirrored: bool) -> None:
    _, other = both()
    x, y = other._own.x[::-1], other._own.y[::-1]
    if mirrored:
        y = (P - int.from_bytes(y, "little")).to_bytes(32, "little")
    with pytest.raises(NotPaired) as refused:
        other.take(b"\x0c" + x + y)
    assert (refused.value.reason, refused.value.tells) == (ErrorCode.INVALID_PARAMETERS, True)
    assert other.key is None


@pytest.mark.sr("SR-SEC-1", "SR-SEC-5", side="pen")
@settings(max_examples=300)
@given(stage=st.integers(0, 2), pdu=PDUS)
def test_no_packet_raises_anything_else_and_none_but_the_right_one_makes_a_key(stage: int, pdu: bytes) -> None:
    one, other = both()
    answer = one.take(ANSWER)
    for _ in range(stage):
        for each in other.take(answer):
            answer = one.take(each) or answer
    try:
        said = other.take(pdu)
    except NotPaired:
        said = []
    assert len(said) <= 2
    assert other.key is None


@pytest.mark.sr("SR-SEC-5", side="pen")
@settings(max_examples=300)
@given(
    request=st.one_of(st.binary(max_size=12), st.tuples(*[st.integers(0, 255)] * 6).map(lambda rest: bytes([1, *rest])))
)
def test_a_request_is_sound_only_with_a_bond_secure_connections_and_the_whole_key(request: bytes) -> None:
    sound = why_not(request) is None
    wanted = (
        len(request) == 7
        and request[0] == 1
        and request[1] <= 4
        and request[2] == 0
        and request[3] & 0x0B == 0x09
        and request[4] == 16
    )
    assert sound == wanted
