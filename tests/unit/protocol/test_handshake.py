"""The handshake: what one bit changes, what is played back, who is a stranger, and that each step is taken once."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dermalink_protocol.channels import Channel
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.sealing.errors import (
    HandshakeLength,
    HandshakeRefused,
    HandshakeSpent,
    ReflectedKey,
    UnboundHandshake,
    UnusableKey,
)
from dermalink_protocol.sealing.handshake import (
    HANDSHAKE_BYTES,
    LABEL,
    SUITE,
    HostHandshake,
    Keys,
    Negotiated,
    PenHandshake,
)
from dermalink_protocol.sealing.keys import FIELD, KEY_BYTES, LOW_ORDER, checked_private, checked_public, public_key
from dermalink_protocol.sealing.noise_kk import BadSeal, NoiseKK
from dermalink_protocol.sealing.records import Dropped, Opened
from tests.unit.protocol.sealing_ends import (
    BINDING,
    HELLO,
    HOST,
    NEGOTIATED,
    PEN,
    REPLY,
    STRANGER,
    chance,
    connected,
    every_flip,
    host_side,
    pen_side,
)


def waiting_host(negotiated: Negotiated = NEGOTIATED, e: str = "") -> HostHandshake:
    host = host_side(negotiated, e=e)
    host.begin()
    return host


SIDES: list[tuple[Callable[[bytes], object], bytes]] = [
    (lambda message: pen_side().answer(message), connected().first),
    (lambda message: waiting_host().finish(message), connected().second),
]
both_sides = pytest.mark.parametrize(("take", "message"), SIDES, ids=["pen", "host"])


def test_two_messages_of_48_bytes_and_both_sides_agree() -> None:
    ends = connected()
    assert [len(ends.first), len(ends.second)] == [HANDSHAKE_BYTES, HANDSHAKE_BYTES] == [48, 48]
    assert ends.host.handshake_hash == ends.pen.handshake_hash
    for sender, receiver in ((ends.host, ends.pen), (ends.pen, ends.host)):
        record = sender.sealer.seal(Channel.COMMAND, b"body")
        assert receiver.opener.open(Channel.COMMAND, record) == Opened(Channel.COMMAND, 0, b"body")


def test_the_suites_number_and_the_label_are_promised() -> None:
    assert (SUITE, LABEL) == (1, b"dermalink sealed channel 1")


@both_sides
def test_a_message_with_any_bit_changed_is_refused(take: Callable[[bytes], object], message: bytes) -> None:
    take(message)
    for changed in every_flip(message):
        with pytest.raises((HandshakeRefused, UnusableKey)):
            take(changed)


@both_sides
def test_a_message_of_any_other_length_is_refused(take: Callable[[bytes], object], message: bytes) -> None:
    for length in [*range(HANDSHAKE_BYTES), HANDSHAKE_BYTES + 1, 244]:
        with pytest.raises(HandshakeLength) as caught:
            take((message + bytes(200))[:length])
        assert caught.value.limit_value == HANDSHAKE_BYTES


def test_any_bit_of_hello_its_reply_or_the_binding_that_differs_is_seen_by_both_sides() -> None:
    first, second = connected().first, connected().second
    altered = [Negotiated(hello, REPLY, BINDING) for hello in every_flip(HELLO)]
    altered += [Negotiated(HELLO, reply, BINDING) for reply in every_flip(REPLY)]
    altered += [Negotiated(HELLO, REPLY, binding) for binding in every_flip(BINDING)]
    for negotiated in altered:
        with pytest.raises(HandshakeRefused):
            pen_side(negotiated).answer(first)
        with pytest.raises(HandshakeRefused):
            waiting_host(negotiated).finish(second)


def test_bytes_moved_from_hello_to_its_reply_are_another_prologue() -> None:
    moved = [Negotiated((HELLO + REPLY)[:at], (HELLO + REPLY)[at:], BINDING) for at in range(1, len(HELLO + REPLY))]
    assert len({negotiated.prologue() for negotiated in moved}) == len(moved)


@pytest.mark.parametrize(
    "negotiated",
    [
        Negotiated(b"", REPLY, BINDING),
        Negotiated(HELLO, b"", BINDING),
        Negotiated(HELLO, bytes(245), BINDING),
        Negotiated(HELLO, REPLY, b""),
        Negotiated(HELLO, REPLY, BINDING[:31]),
        Negotiated(HELLO, REPLY, BINDING + b"\0"),
    ],
)
def test_nothing_is_begun_without_hello_its_reply_and_a_binding(negotiated: Negotiated) -> None:
    for side in (host_side, pen_side):
        with pytest.raises(UnboundHandshake):
            side(negotiated)


def test_an_old_first_message_is_refused_after_another_reply_to_hello() -> None:
    later = Negotiated(HELLO, REPLY[:-4] + b"tick", BINDING)
    with pytest.raises(HandshakeRefused):
        pen_side(later, e="later").answer(connected().first)


def test_an_old_first_message_for_the_same_hello_proves_nothing_and_opens_no_old_record() -> None:
    old = connected()
    recorded = old.host.sealer.seal(Channel.COMMAND, b"body")
    again = pen_side(e="later").answer(old.first).session
    assert isinstance(again.opener.open(Channel.COMMAND, recorded), Dropped)
    assert not again.opener.proven
    assert isinstance(old.pen.opener.open(Channel.COMMAND, recorded), Opened)
    assert old.pen.opener.proven


def test_an_old_second_message_is_refused() -> None:
    with pytest.raises(HandshakeRefused):
        waiting_host(e="later").finish(connected().second)


def test_each_sides_own_message_played_back_is_refused() -> None:
    host = host_side()
    own = host.begin()
    with pytest.raises(ReflectedKey):
        host.finish(own)
    with pytest.raises(ReflectedKey):
        pen_side().answer(connected().second)


def test_a_stranger_and_another_pen_are_refused() -> None:
    with pytest.raises(HandshakeRefused):
        pen_side().answer(host_side(own=STRANGER).begin())
    relayed = host_side().begin()
    with pytest.raises(HandshakeRefused):
        pen_side(own=STRANGER).answer(relayed)
    answer = pen_side(own=STRANGER).answer(host_side(pen=STRANGER).begin())
    with pytest.raises(HandshakeRefused):
        waiting_host().finish(answer.message)


def test_every_connection_has_its_own_keys() -> None:
    ends = [connected(e) for e in ("one", "two", "three")]
    assert len({end.host.handshake_hash for end in ends}) == 3
    records = {end.host.sealer.seal(Channel.COMMAND, b"body") for end in ends}
    records |= {end.pen.sealer.seal(Channel.COMMAND, b"body") for end in ends}
    assert len(records) == 6


def test_one_fresh_ephemeral_key_is_enough_for_new_keys() -> None:
    same_host = pen_side(e="another").answer(connected().first)
    assert same_host.session.handshake_hash != connected().pen.handshake_hash


STEPS: dict[str, Callable[[HostHandshake], object]] = {
    "begin": lambda host: host.begin(),
    "finish": lambda host: host.finish(connected().second),
    "finish badly": lambda host: host.finish(bytes(48)),
}


@pytest.mark.parametrize(
    "steps", [("finish",), ("begin", "begin"), ("begin", "finish", "finish"), ("begin", "finish badly", "finish")]
)
def test_a_hosts_step_out_of_turn_ends_it(steps: tuple[str, ...]) -> None:
    host = host_side()
    for step in steps[:-1]:
        if step == "finish badly":
            with pytest.raises(UnusableKey):
                STEPS[step](host)
        else:
            STEPS[step](host)
    for step in (steps[-1], "begin", "finish"):
        with pytest.raises(HandshakeSpent) as caught:
            STEPS[step](host)
        assert caught.value.advice


@pytest.mark.parametrize("spoilt", [b"", connected().first[:-1], connected().first[:-1] + b"\0", connected().second])
def test_a_pen_answers_once_and_not_after_a_bad_message(spoilt: bytes) -> None:
    once, never = pen_side(), pen_side()
    once.answer(connected().first)
    with pytest.raises(DermalinkError):
        never.answer(spoilt)
    for pen in (once, never):
        with pytest.raises(HandshakeSpent):
            pen.answer(connected().first)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copy_can_be_made_of_what_holds_keys(copied: Callable[[object], object]) -> None:
    ends = connected()
    for single in (host_side(), pen_side(), ends.host.sealer, ends.host.opener):
        with pytest.raises(TypeError, match="can't be copied"):
            copied(single)


def points_without_a_secret() -> list[bytes]:
    """Every spelling of a low-order point: with the field's size added where that fits, with the top bit or not."""
    spelt = [number + FIELD * times for number in LOW_ORDER for times in (0, 1)]
    fits = [number for number in spelt if number < 2**255]
    return [(number + top).to_bytes(32, "little") for number in fits for top in (0, 2**255)]


@pytest.mark.parametrize("point", points_without_a_secret(), ids=bytes.hex)
def test_a_point_without_a_secret_is_refused_as_any_key(point: bytes) -> None:
    with pytest.raises(ValueError, match="shared key"):  # what makes it one
        X25519PrivateKey.from_private_bytes(HOST).exchange(X25519PublicKey.from_public_bytes(point))
    for side in (HostHandshake, PenHandshake):
        with pytest.raises(UnusableKey):
            side(Keys(HOST, point, chance("ephemeral")), NEGOTIATED)
    with pytest.raises(UnusableKey):
        pen_side().answer(point + bytes(16))
    with pytest.raises(UnusableKey):
        waiting_host().finish(point + bytes(16))


def test_the_library_refuses_such_a_point_as_well() -> None:
    noise = NoiseKK(initiator=False, static=PEN, peer=public_key(HOST), ephemeral=chance("e"), prologue=b"")
    with pytest.raises(BadSeal):
        noise.read(bytes(48))


def test_only_the_usual_spelling_of_a_key_is_taken() -> None:
    for number in (2, 9, FIELD - 2):
        assert checked_public(number.to_bytes(32, "little"), "a key") == number.to_bytes(32, "little")
    for number in (FIELD, FIELD + 2, FIELD + 18, 2**255 + 9, 2**256 - 1):
        with pytest.raises(UnusableKey):
            checked_public(number.to_bytes(32, "little"), "a key")


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    for check in (checked_public, checked_private):
        with pytest.raises(UnusableKey) as caught:
            check((HOST * 2)[:length], "a key")
        assert caught.value.limit_value == KEY_BYTES


def test_a_private_key_that_no_chance_made_is_refused() -> None:
    for byte in range(256):
        with pytest.raises(UnusableKey):
            public_key(bytes([byte]) * 32)
    assert len(public_key(bytes(31) + b"\1")) == KEY_BYTES


def test_no_two_of_the_three_keys_may_be_the_same() -> None:
    fresh = chance("ephemeral")
    for keys in (
        Keys(HOST, public_key(HOST), fresh),
        Keys(HOST, public_key(fresh), fresh),
        Keys(HOST, public_key(PEN), HOST),
    ):
        for side in (HostHandshake, PenHandshake):
            with pytest.raises(ReflectedKey):
                side(keys, NEGOTIATED)


def test_no_key_stands_in_any_log() -> None:
    ends, keys = connected(), Keys(HOST, public_key(PEN), chance("ephemeral"))
    noise = NoiseKK(initiator=False, static=PEN, peer=public_key(HOST), ephemeral=chance("e"), prologue=b"")
    noise.read(NoiseKK(initiator=True, static=HOST, peer=public_key(PEN), ephemeral=chance("f"), prologue=b"").write())
    noise.write()
    split = noise.split()
    shown = repr((ends, keys, host_side(), pen_side(), split))
    for secret in (HOST, PEN, chance("ephemeral"), split.initiator_sends, split.responder_sends):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


def test_every_error_says_the_rule_and_what_was_met() -> None:
    with pytest.raises(DermalinkError) as caught:
        pen_side().answer(connected().first[:-1] + b"\0")
    assert caught.value.rule == "SR-SEC-1"
    assert str(caught.value).endswith("pair again.")
    assert caught.value.__cause__ is None


def test_no_chance_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from noise.backends.default.diffie_hellmans import ED25519

    monkeypatch.setattr(ED25519, "generate_keypair", None)
    assert connected().first == connected().first


def test_no_library_is_imported_before_a_handshake() -> None:
    script = (
        "import sys; import dermalink_protocol.sealing.handshake\n"
        "print('found', sorted({name.partition('.')[0] for name in sys.modules} & {'noise', 'cryptography'}))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "found []\n"
