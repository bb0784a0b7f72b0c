"""A host that pairs by LE Secure Connections, Just Works: with whom it does, and with whom it does not.

The other side here is a responder of the test's own, built from the specification's formulas; that stock Bumble's
agrees with it shows `test_bleak_security`.
"""

import secrets
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from bumble import crypto
from bumble.smp import SMP_DEBUG_KEY_PRIVATE, SMP_DEBUG_KEY_PUBLIC_X, SMP_DEBUG_KEY_PUBLIC_Y, ErrorCode

from dermalink_simulator.radio.just_works import (
    ASKED,
    B,
    Ends,
    Initiator,
    NotPaired,
    P,
    is_on_curve,
    public_key_is_sound,
)

ENDS = Ends(bytes.fromhex("112233445566") + b"\x01", bytes.fromhex("665544332211") + b"\x01")
GOOD_RESPONSE = bytes([2, 3, 0, 9, 16, 0, 0])
Spoil = Callable[[bytes], bytes]


class Responder:
    """The peripheral's half; `spoil` alters what it says, by the packet's code."""

    def __init__(self, *, response: bytes = GOOD_RESPONSE, spoil: dict[int, Spoil] | None = None) -> None:
        self.own: Any = crypto.EccKey.generate()  # type: ignore[attr-defined]
        self.nb = secrets.token_bytes(16)
        self.response = response
        self.spoil = spoil or {}
        self.heard = b""
        self.na = self.shared = self.peer_x = self.key = b""

    def answers(self, pdu: bytes) -> list[bytes]:
        code, body = pdu[0], pdu[1:]
        said = {1: self._request, 12: self._public_key, 4: self._random, 13: self._check}[code](body)
        return [self.spoil[each[0]](each) if each[0] in self.spoil else each for each in said]

    def _request(self, body: bytes) -> list[bytes]:
        self.heard = body
        return [self.response]

    def _public_key(self, body: bytes) -> list[bytes]:
        self.peer_x, y = body[:32], body[32:]
        self.shared = self.own.dh(self.peer_x[::-1], y[::-1])[::-1]
        own_x = self.own.x[::-1]
        return [b"\x0c" + own_x + self.own.y[::-1], b"\x03" + crypto.f4(own_x, self.peer_x, self.nb, bytes(1))]

    def _random(self, body: bytes) -> list[bytes]:
        self.na = body
        return [b"\x04" + self.nb]

    def _check(self, body: bytes) -> list[bytes]:
        mac_key, key = crypto.f5(self.shared, self.na, self.nb, *ENDS)
        expected = crypto.f6(mac_key, self.na, self.nb, bytes(16), self.heard[:3], *ENDS)
        assert body == expected
        self.key = key
        return [b"\x0d" + crypto.f6(mac_key, self.nb, self.na, bytes(16), self.response[1:4], ENDS[1], ENDS[0])]


def paired(responder: Responder) -> Initiator:
    """Both, until nothing more is said."""
    initiator = Initiator(ENDS)
    waiting = responder.answers(initiator.begin())
    while waiting:
        said = initiator.take(waiting.pop(0))
        if said:
            waiting += responder.answers(said)
    return initiator


def why_not(responder: Responder) -> ErrorCode:
    with pytest.raises(NotPaired) as caught:
        paired(responder)
    return caught.value.reason


def flipped(at: int) -> Spoil:
    return lambda pdu: pdu[:at] + bytes([pdu[at] ^ 1]) + pdu[at + 1 :]


def test_both_have_the_same_key_and_no_two_pairings_have() -> None:
    keys = set()
    for _ in range(3):
        responder = Responder()
        initiator = paired(responder)
        assert initiator.key == responder.key
        assert len(responder.key) == 16
        keys.add(responder.key)
    assert len(keys) == 3


def test_it_asks_for_secure_connections_a_bond_a_whole_key_and_nothing_else() -> None:
    responder = Responder()
    paired(responder)
    assert b"\x01" + responder.heard == ASKED == bytes([1, 3, 0, 9, 16, 0, 0])


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (bytes([2, 3, 0, 1, 16, 0, 0]), ErrorCode.AUTHENTICATION_REQUIREMENTS),  # legacy
        (bytes([2, 3, 0, 8, 16, 0, 0]), ErrorCode.AUTHENTICATION_REQUIREMENTS),  # no bond
        (bytes([2, 3, 0, 11, 16, 0, 0]), ErrorCode.AUTHENTICATION_REQUIREMENTS),  # a bond of a kind that is none
        (bytes([2, 3, 0, 9, 15, 0, 0]), ErrorCode.ENCRYPTION_KEY_SIZE),
        (bytes([2, 3, 0, 9, 7, 0, 0]), ErrorCode.ENCRYPTION_KEY_SIZE),
        (bytes([2, 3, 0, 9, 17, 0, 0]), ErrorCode.ENCRYPTION_KEY_SIZE),
        (bytes([2, 3, 1, 9, 16, 0, 0]), ErrorCode.INVALID_PARAMETERS),  # out of band
        (bytes([2, 5, 0, 9, 16, 0, 0]), ErrorCode.INVALID_PARAMETERS),
        (bytes([2, 3, 0, 9, 16, 1, 0]), ErrorCode.INVALID_PARAMETERS),  # keys that were not asked for
        (bytes([2, 3, 0, 9, 16, 0, 2]), ErrorCode.INVALID_PARAMETERS),
        (bytes([2, 3, 0, 9, 16, 0]), ErrorCode.INVALID_PARAMETERS),
        (bytes([2, 3, 0, 9, 16, 0, 0, 0]), ErrorCode.INVALID_PARAMETERS),
    ],
)
def test_whoever_answers_less_than_was_asked_is_not_paired_with(response: bytes, reason: ErrorCode) -> None:
    assert why_not(Responder(response=response)) is reason


@pytest.mark.parametrize("at", [1, 20, 40, 64])
def test_a_public_key_off_the_curve_is_not_used(at: int) -> None:
    assert why_not(Responder(spoil={12: flipped(at)})) is ErrorCode.INVALID_PARAMETERS


def test_the_point_at_infinity_and_coordinates_out_of_the_field_are_no_key() -> None:
    assert why_not(Responder(spoil={12: lambda _: b"\x0c" + bytes(64)})) is ErrorCode.INVALID_PARAMETERS
    own = crypto.EccKey.generate()  # type: ignore[attr-defined]
    x, y = int.from_bytes(own.x, "big"), int.from_bytes(own.y, "big")
    assert is_on_curve(x, y)
    assert not is_on_curve(x + P, y)
    assert not is_on_curve(x, y - P)
    root = pow(B, (P + 1) // 4, P)  # the point with x = 0 is one, also written as p
    assert is_on_curve(0, root)
    assert not is_on_curve(P, root)


def test_a_key_that_was_sent_back_or_its_mirror_image_is_not_used() -> None:
    own = crypto.EccKey.generate()  # type: ignore[attr-defined]
    x, y = own.x[::-1], own.y[::-1]
    mirrored = (P - int.from_bytes(y, "little")).to_bytes(32, "little")
    assert public_key_is_sound(x, y, bytes(32))
    assert not public_key_is_sound(x, y, x)
    assert not public_key_is_sound(x, mirrored, x)


def test_an_initiator_does_not_pair_with_itself() -> None:
    initiator = Initiator(ENDS)
    own = initiator.take(GOOD_RESPONSE)
    with pytest.raises(NotPaired):
        initiator.take(own)


def test_the_debug_key_is_not_used() -> None:
    responder = Responder()
    responder.own = crypto.EccKey.from_private_key_bytes(SMP_DEBUG_KEY_PRIVATE)  # type: ignore[attr-defined]
    assert responder.own.x == SMP_DEBUG_KEY_PUBLIC_X
    assert is_on_curve(int.from_bytes(SMP_DEBUG_KEY_PUBLIC_X, "big"), int.from_bytes(SMP_DEBUG_KEY_PUBLIC_Y, "big"))
    assert why_not(responder) is ErrorCode.INVALID_PARAMETERS


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (3, ErrorCode.CONFIRM_VALUE_FAILED),
        (4, ErrorCode.CONFIRM_VALUE_FAILED),
        (13, ErrorCode.DHKEY_CHECK_FAILED),
    ],
)
def test_a_number_that_was_altered_ends_it(code: int, reason: ErrorCode) -> None:
    for at in (1, 8, 16):
        assert why_not(Responder(spoil={code: flipped(at)})) is reason


@pytest.mark.parametrize("code", [2, 3, 4, 12, 13])
def test_a_packet_that_is_cut_or_too_long_ends_it(code: int) -> None:
    for spoil in (lambda pdu: pdu[:-1], lambda pdu: pdu + b"\0", lambda pdu: pdu[:1]):
        assert why_not(Responder(spoil={code: spoil})) is ErrorCode.INVALID_PARAMETERS


def test_a_packet_out_of_turn_or_of_another_kind_ends_it_whatever_it_is() -> None:
    right = {0: 2, 1: 12, 2: 3, 3: 4, 4: 13}  # how many were taken, and which is due then
    sizes = {1: 7, 2: 7, 3: 17, 4: 17, 6: 17, 7: 11, 8: 17, 9: 8, 10: 17, 12: 65, 13: 17, 14: 2}
    for taken, due in right.items():
        for code, size in sizes.items():
            if code == due:
                continue
            initiator = _after(taken)
            with pytest.raises(NotPaired) as caught:
                initiator.take(bytes([code]) + bytes(size - 1))
            assert caught.value.tells
            assert initiator.key is None


def _after(taken: int) -> Initiator:
    responder, initiator = Responder(), Initiator(ENDS)
    waiting = responder.answers(initiator.begin())
    for _ in range(taken):
        said = initiator.take(waiting.pop(0))
        if said:
            waiting += responder.answers(said)
    return initiator


def test_a_no_is_told_as_it_was_said_and_is_not_answered() -> None:
    for code in (5, 8, 0xEE):
        with pytest.raises(NotPaired) as caught:
            _after(2).take(bytes([5, code]))
        assert not caught.value.tells
        assert caught.value.reason == (code if code < 0x0F else ErrorCode.UNSPECIFIED_REASON)


def test_a_wish_for_security_is_no_answer_and_what_comes_afterwards_is_of_no_use() -> None:
    initiator = _after(2)
    assert initiator.take(b"\x0b\x09") == b""
    done = paired(Responder())
    key = done.key
    for pdu in (b"", b"\x05\x08", GOOD_RESPONSE, b"\x06" + bytes(16)):
        assert done.take(pdu) == b""
    assert done.key == key


def test_noise_gives_no_key_and_no_error_but_this_one() -> None:
    random = Random(7)
    sizes = [size for size in range(70) if size not in (6, 16, 64)]  # those may be what is due
    for _ in range(2_000):
        initiator = _after(random.randrange(5))
        code = bytes([random.choice((0, 2, 3, 4, 5, 12, 13, 200))])
        with pytest.raises(NotPaired):
            initiator.take(code + random.randbytes(random.choice(sizes)))


def test_no_repr_shows_a_key() -> None:
    responder = Responder()
    initiator = paired(responder)
    assert responder.key.hex() not in repr(initiator)
