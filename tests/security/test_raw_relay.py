"""Two pens, and somebody between them and the owner's computer: what one pen was told is led to the other.

Both pens are the owner's, and in these tests have the very same keys of his, as if one had been copied from the other:
so nothing but what each connection is bound to can tell them apart.
"""

import struct

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.pairing import steps
from dermalink_protocol.pairing.errors import WrongConfirmation
from dermalink_protocol.sealing.errors import HandshakeError
from dermalink_protocol.sealing.handshake import HostHandshake
from dermalink_protocol.sealing.keys import public_key
from dermalink_protocol.sealing.records import Dropped
from dermalink_simulator.seam import PortKind
from tests.support import raw_pen as raw
from tests.support import sealed_client as owned
from tests.support.pairing_host import PairingHost, press
from tests.support.raw_pen import RawClient, frame, raw_pen
from tests.support.sealed_client import ON_PAIRING, SEALED, SealedClient, inside, owned_pen, owner_of

WAYS = [pytest.param(PortKind.STREAM, id="stream"), pytest.param(PortKind.GATT, id="gatt")]


def two_pens(kind: PortKind = PortKind.STREAM) -> tuple[SealedClient, SealedClient]:
    """A connection to each of two pens with the same owner."""
    return SealedClient(owned_pen(seed=1), kind), SealedClient(owned_pen(seed=2), kind)


def lead(client: SealedClient, there: SealedClient) -> None:
    """From here on, what this connection sends goes to the other pen, and what that one says comes back."""
    client.port, client.pen = there.port, there.pen


def body_of(got: raw.Got) -> bytes:
    return struct.pack("<HH", got.opcode, got.request_id) + got.payload


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("greeted", [False, True], ids=["no hello", "the same hello"])
def test_a_handshake_that_began_with_one_pen_is_not_gone_on_with_by_another(kind: PortKind, *, greeted: bool) -> None:
    mine, other = two_pens(kind)
    mine.hello()
    if greeted:
        other.put(raw.ON_STATUS, mine.hello_body)
        other.pen.advance(50)
    lead(mine, other)
    got = mine.open_channel()
    assert got.reason == (Reason.NOT_AUTHENTICATED if greeted else Reason.WRONG_STATE)
    assert not inside(other.pen).ports[other.port.number].seal.number


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
def test_a_pen_that_answers_in_anothers_name_fails_the_handshake_on_both_sides() -> None:
    """The host is shown the hello of its own pen, and the handshake is made with the other one."""
    mine, other = two_pens()
    shown = body_of(mine.hello())
    other.next_request = mine.next_request - 1
    other.hello()
    assert other.hello_body == mine.hello_body
    assert other.reply_body != shown
    other.reply_body = shown
    assert other.open_channel().reason == Reason.NOT_AUTHENTICATED


@pytest.mark.sr("SR-SEC-1", side="host")
def test_one_pens_answer_to_a_handshake_is_not_anothers() -> None:
    mine, other = two_pens()
    mine.hello()
    other.hello()
    handshakes: list[HostHandshake] = [mine.handshake(), other.handshake()]
    answers = [
        each.say(ON_PAIRING, owned.OPEN_CHANNEL, handshake.begin()).payload
        for each, handshake in zip((mine, other), handshakes, strict=True)
    ]
    for handshake, answer in zip(handshakes, reversed(answers), strict=True):
        with pytest.raises(HandshakeError):
            handshake.finish(answer)


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", "SR-CMD-1", side="pen")
@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("paired", [True, False], ids=["the owner's as well", "another person's"])
def test_a_whole_session_that_is_forwarded_to_another_pen_moves_nothing_there(kind: PortKind, *, paired: bool) -> None:
    mine = owner_of(owned_pen(seed=1), kind)
    pen = owned_pen(seed=2)
    there = owner_of(pen, kind) if paired else SealedClient(pen, kind)
    if not paired:
        inside(pen).owner = inside(pen).owner._replace(host_public=public_key(owned.chance("another")))
    heard, punctures = list(mine.sent), mine.pen.skin.punctures
    mine.open()
    mine.run_pass()
    mine.live(300)
    assert mine.pen.skin.punctures > punctures
    for data in mine.sent[len(heard) :]:
        there.port.write(data)
        pen.button.press()
        pen.advance(50)
    assert not pen.motor_turns
    assert not pen.skin.punctures
    assert inside(pen).state.session_id == 0
    assert there.inside.dropped
    if paired:
        assert there.status()["state"] == raw.IDLE


@pytest.mark.sr("SR-SEC-1", "SR-CMD-1", side="pen")
def test_a_stream_that_is_split_between_two_pens_is_obeyed_by_the_one_alone() -> None:
    mine, other = (owner_of(owned_pen(seed=seed)) for seed in (1, 2))
    asked = [mine.body(raw.GET_STATUS) for _ in range(20)]
    sealed = [mine.sealed(raw.ON_STATUS, body) for _, body in asked]
    dropped = other.inside.dropped
    for at, body in enumerate(sealed):
        (mine, other)[at % 2].put(raw.ON_STATUS, body)
    assert [mine.reply(request_id).opcode for request_id, _ in asked[::2]] == [raw.STATUS] * 10
    heard = len(other.opened)
    other.pen.advance(500)
    other.pump()
    assert other.inside.dropped == dropped + 10
    assert {got.request_id for got in other.opened[heard:]} <= {0}
    assert not {request_id for request_id, _ in asked[1::2]} & mine._replies.keys()


@pytest.mark.sr("SR-SEC-1", side="host")
def test_what_two_pens_say_is_not_mixed_by_the_host() -> None:
    mine, other = (owner_of(owned_pen(seed=seed)) for seed in (1, 2))
    said: list[bytes] = []
    for _ in range(5):
        request_id = other.send(raw.ON_STATUS, raw.GET_STATUS)
        other.pen.advance(50)
        said.append(other.port.read())
        assert said[-1], request_id
    assert mine.session is not None
    runs = [raw.unstuff(run) for run in filter(None, b"".join(said).split(b"\0"))]
    records = [plain[5:-4] for plain in runs if struct.unpack_from("<H", plain, 1)[0] == SEALED]
    assert len(records) >= 5
    for plain, record in zip(runs, records, strict=True):
        assert isinstance(mine.session.opener.open(Channel(plain[0]), record), Dropped)
    mine.status()


# Pairing


@pytest.mark.sr("SR-SEC-1", "SR-SEC-2", "SR-OWN-1")
def test_a_pairing_that_is_led_to_another_pen_pairs_with_neither() -> None:
    """Both windows are open, and both pens were made with one code and one salt, as no maker would."""
    pens = [raw_pen(seed=seed).pen for seed in (3, 4)]
    inside(pens[1]).store.setup = inside(pens[0]).store.setup
    host, there = PairingHost(pens[0]), PairingHost(pens[1])
    for pen in pens:
        press(pen)
    prover, share = host.prover()
    got = there.step(steps.SHARE, share)
    with pytest.raises(WrongConfirmation):
        prover.finish(*steps.PenShare.unpack(got.payload[1:]))
    assert not any(inside(pen).owner.owned for pen in pens)


@pytest.mark.sr("SR-SEC-2", "SR-OWN-1", side="pen")
def test_the_last_word_of_a_pairing_is_nothing_to_another_pen() -> None:
    pens = [raw_pen(seed=seed).pen for seed in (3, 4)]
    host, there = PairingHost(pens[0]), PairingHost(pens[1])
    for pen in pens:
        press(pen)
    there.agree()
    _, share = host.offer(host.agree())
    assert there.step(steps.CONFIRM, share).reason == Reason.PAIRING_FAILED
    assert not inside(pens[1]).owner.owned


# Stop is everybody's


@pytest.mark.sr("SR-STOP-4", "SR-SEC-1", side="pen")
def test_a_sealed_stop_that_is_led_to_another_pen_stops_that_one_and_the_own_one_ends_with_its_lease() -> None:
    mine, other = (owner_of(owned_pen(seed=seed)) for seed in (1, 2))
    for each in (mine, other):
        each.open()
        each.run_pass()
    _, body = mine.body(raw.STOP)
    record = mine.sealed(raw.ON_STOP, body)
    RawClient(other.pen).port.write(frame(raw.ON_STOP, SEALED, 0, record[4:]))
    for _ in range(1_000):
        mine.pen.advance(1)
        other.pen.advance(1)
    assert not other.pen.needles_out
    assert not mine.pen.needles_out
