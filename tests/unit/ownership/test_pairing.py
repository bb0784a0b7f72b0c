"""Claiming a pen: every end of it is a value that says what is true, and whatever was lost, trying again works."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from dermalink.errors import HostRefusal, LinkError, PenRefusal
from dermalink.links.stream import StreamLink
from dermalink.ownership.errors import KeysForbidden
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import PairingLink, StepsMade, greeted
from dermalink.ownership.results import (
    Barred,
    CutOff,
    Failed,
    Owned,
    Paired,
    PairingResult,
    WindowShut,
    WrongCode,
    in_words,
)
from dermalink.ownership.store import KeyStore
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.owner import Owner, PairStep
from dermalink_protocol.schema import Request
from dermalink_protocol.sealing.keys import public_key
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import NOW_S, SERIAL
from tests.unit.ownership.pairing_pen import BARRED_S, CODE, OTHER_CODE, PairingPen, a_pairing


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys", lambda: None)


async def paired_with(pen: PairingPen, store: KeyStore) -> PairingResult:
    """One attempt with the right code, over a connection of its own."""
    try:
        async with a_pairing(pen, store) as (pairing, _):
            return await pairing.attempt(CODE)
    except LinkError as error:
        return CutOff(error, may_be_ours=False)


def they_agree(pen: PairingPen, store: KeyStore) -> bool:
    """Whether each side knows the other's key, and what binds the two is the same."""
    kept = store.known(SERIAL)
    assert kept is not None
    assert pen.owner is not None
    same = pen.owner.host == kept.host_public, pen.owner.binding == kept.binding
    return all(same) and kept.pen_public == public_key(pen.pen_private) == pen.owner.pen


@in_virtual_time
async def test_with_the_code_and_an_open_window_both_sides_have_each_others_keys(store: KeyStore) -> None:
    pen = PairingPen()
    result = await paired_with(pen, store)
    assert isinstance(result, Paired)
    assert result.pen == store.known(SERIAL)
    assert result.pen.paired_s == NOW_S
    assert they_agree(pen, store)
    assert store.unfinished(SERIAL) is None
    assert pen.seen == [0, 1, 2, 3]


@in_virtual_time
async def test_each_pairing_has_a_key_of_its_own(store: KeyStore) -> None:
    keys = set()
    for _ in range(2):
        pen = PairingPen()
        assert isinstance(await paired_with(pen, store), Paired)
        assert pen.owner is not None
        keys.add(pen.owner.host)
    assert len(keys) == 2


# What stands in the way


@in_virtual_time
async def test_without_a_press_no_step_is_taken(store: KeyStore) -> None:
    pen = PairingPen()
    pen.window_s = 0
    assert await paired_with(pen, store) == WindowShut()
    assert pen.seen == [0]


@in_virtual_time
async def test_a_window_that_shuts_in_between_is_said_and_no_try_is_spent(store: KeyStore) -> None:
    pen = PairingPen()
    pen.refusal[2] = Reason.PAIRING_SHUT
    assert await paired_with(pen, store) == WindowShut()
    assert pen.tries == 0


@in_virtual_time
async def test_a_wrong_code_says_how_many_tries_are_left_and_then_for_how_long_there_are_none(store: KeyStore) -> None:
    pen = PairingPen()
    async with a_pairing(pen, store) as (pairing, _):
        assert await pairing.attempt(OTHER_CODE) == WrongCode(2, 0)
        assert await pairing.attempt(OTHER_CODE) == WrongCode(1, 0)
        assert await pairing.attempt(OTHER_CODE) == WrongCode(0, BARRED_S)
        assert await pairing.attempt(CODE) == Barred(BARRED_S)
        assert not pairing.may_be_ours
    assert 3 not in pen.seen
    assert pen.owner is None
    assert store.list() == []


@in_virtual_time
async def test_the_right_code_after_a_wrong_one_pairs(store: KeyStore) -> None:
    pen = PairingPen()
    async with a_pairing(pen, store) as (pairing, _):
        assert isinstance(await pairing.attempt(OTHER_CODE), WrongCode)
        assert isinstance(await pairing.attempt(CODE), Paired)
    assert they_agree(pen, store)


@in_virtual_time
async def test_a_pen_with_an_owner_is_nobody_elses(store: KeyStore, tmp_path: Path) -> None:
    pen = PairingPen()
    await paired_with(pen, KeyStore(tmp_path / "first", lambda: None))
    first = pen.owner
    assert await paired_with(pen, store) == Owned(ours=False)
    assert await paired_with(pen, KeyStore(tmp_path / "first", lambda: None)) == Owned(ours=True)
    assert pen.owner is first
    assert store.list() == []


@pytest.mark.parametrize("reason", [Reason.OWNED, Reason.NOT_AUTHENTICATED])
@in_virtual_time
async def test_a_pen_that_gets_an_owner_in_between_says_so(reason: Reason, store: KeyStore) -> None:
    pen = PairingPen()
    pen.refusal[2] = reason
    assert await paired_with(pen, store) == Owned(ours=False)


@in_virtual_time
async def test_a_pen_that_knows_no_owner_raises_its_refusal(store: KeyStore) -> None:
    pen = PairingPen()
    pen.refusal[0] = Reason.NOT_BUILT
    with pytest.raises(PenRefusal) as caught:
        await paired_with(pen, store)
    assert caught.value.reason is Reason.NOT_BUILT


# What comes altered


@pytest.mark.parametrize(
    ("step", "answer"),
    [(1, b""), (1, bytes(20)), (1, b"\xff" * 20), (2, b"\4" + bytes(96)), (2, bytes(96)), (2, bytes(97))],
    ids=["nothing", "0 iterations", "too many iterations", "a point off the curve", "cut", "infinity"],
)
@in_virtual_time
async def test_an_answer_that_no_pen_gives_ends_the_run_and_nothing_is_kept(
    step: int, answer: bytes, store: KeyStore
) -> None:
    pen = PairingPen()
    pen.spoil[step] = answer
    assert isinstance(await paired_with(pen, store), Failed)
    assert pen.owner is None
    assert store.list() == []


@in_virtual_time
async def test_another_derivation_than_the_pens_fails_as_a_wrong_code_does(store: KeyStore) -> None:
    pen = PairingPen()
    pen.spoil[1] = bytes.fromhex("e8030000") + bytes(16)
    assert isinstance(await paired_with(pen, store), WrongCode)


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("which", [0, 1])
@in_virtual_time
async def test_a_hello_that_was_altered_on_its_way_fails_the_pairing(which: int, store: KeyStore) -> None:
    pen = PairingPen()
    end = pen.connect()
    async with greeted(StreamLink(end.pipe, "memory:")) as link:
        altered = [bytearray(part) for part in end.negotiated]
        altered[which][-1] ^= 1
        end.negotiated = bytes(altered[0]), bytes(altered[1])
        assert isinstance(await Pairing(link, store, utc=lambda: NOW_S).attempt(CODE), WrongCode)


@in_virtual_time
async def test_a_last_answer_that_came_altered_is_asked_for_again(store: KeyStore) -> None:
    pen = PairingPen()
    pen.spoil[3] = bytes(48)
    assert isinstance(await paired_with(pen, store), Paired)
    assert pen.seen == [0, 1, 2, 3, 3]
    assert they_agree(pen, store)


@pytest.mark.parametrize("earlier_owner", [False, True])
@in_virtual_time
async def test_a_pen_that_refuses_the_last_word_has_not_taken_it(
    earlier_owner: bool, store: KeyStore, tmp_path: Path
) -> None:
    pen = PairingPen()
    if earlier_owner:
        await paired_with(pen, KeyStore(tmp_path / "first", lambda: None))
        pen.hand_over()
    pen.refusal[3] = Reason.PAIRING_FAILED
    async with a_pairing(pen, store) as (pairing, _):
        assert isinstance(await pairing.attempt(CODE), Failed)
        assert not pairing.may_be_ours
    assert store.known(SERIAL) is None


@in_virtual_time
async def test_a_no_that_a_stranger_puts_in_the_answers_place_loses_no_key(store: KeyStore) -> None:
    pen = PairingPen()
    pen.forged[3] = Reason.PAIRING_FAILED
    assert isinstance(await paired_with(pen, store), Failed)
    assert pen.owner is not None
    assert isinstance(await paired_with(pen, store), Paired)
    assert they_agree(pen, store)


# What is lost


LOSSES = [*itertools.product((0, 1, 2, 3), ("drop", "mute"), (True, False))]


@pytest.mark.parametrize(("step", "how", "cut"), LOSSES)
@in_virtual_time
async def test_whatever_message_is_lost_both_agree_or_trying_again_makes_them(
    step: int, how: str, cut: bool, store: KeyStore
) -> None:
    pen = PairingPen()
    pen.cut = cut
    getattr(pen, how).add(step)
    result = await paired_with(pen, store)
    if isinstance(result, CutOff):
        assert result.may_be_ours is (step == 3)
        assert result.may_be_ours or pen.owner is None
        result = await paired_with(pen, store)
    assert isinstance(result, Paired)
    assert they_agree(pen, store)
    assert store.unfinished(SERIAL) is None


@pytest.mark.parametrize("step", [1, 2])
@in_virtual_time
async def test_an_answer_that_was_lost_on_a_link_that_stands_is_asked_for_again_in_the_same_try(
    step: int, store: KeyStore
) -> None:
    pen = PairingPen()
    pen.cut = False
    pen.mute.add(step)
    async with a_pairing(pen, store) as (pairing, _):
        assert isinstance(await pairing.attempt(CODE), Paired)
        assert pairing.tries == 1
    assert pen.seen.count(step) == 2
    assert pen.runs == 1


@in_virtual_time
async def test_a_pen_that_stays_silent_is_given_up(store: KeyStore) -> None:
    pen = PairingPen()
    pen.cut, pen.silent = False, True
    result = await paired_with(pen, store)
    assert isinstance(result, CutOff)
    assert not result.may_be_ours
    assert pen.seen.count(1) == 3


@pytest.mark.parametrize("forgets", ["power", "never knew"])
@in_virtual_time
async def test_a_pen_that_remembers_no_last_answer_is_handed_over_and_paired_anew(
    forgets: str, store: KeyStore
) -> None:
    pen = PairingPen()
    pen.mute.add(3)
    pen.remembers = forgets == "power"
    assert isinstance(await paired_with(pen, store), CutOff)
    pen.power_cycle()
    result = await paired_with(pen, store)
    assert result == Owned(ours=False)
    assert "hold its button for 10 s" in result.advice
    assert store.unfinished(SERIAL) is not None
    pen.hand_over()
    assert isinstance(await paired_with(pen, store), Paired)
    assert they_agree(pen, store)


@in_virtual_time
async def test_before_the_last_word_goes_out_what_it_takes_to_finish_is_kept(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen = PairingPen()
    kept: list[bool] = []
    step = PairingLink.step

    async def watched(self: PairingLink, number: int, share: bytes = b"") -> bytes:
        kept.append(store.unfinished(SERIAL) is not None)
        return await step(self, number, share)

    monkeypatch.setattr(PairingLink, "step", watched)
    await paired_with(pen, store)
    assert kept == [False, False, True]


@in_virtual_time
async def test_what_cannot_be_kept_is_not_claimed(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pen = PairingPen()

    def full(*_: object) -> None:
        raise KeysForbidden("no room")

    monkeypatch.setattr(store, "begin", full)
    with pytest.raises(KeysForbidden):
        await paired_with(pen, store)
    assert 3 not in pen.seen
    assert pen.owner is None


@in_virtual_time
async def test_keys_that_could_not_be_kept_at_the_end_are_had_by_trying_again(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen = PairingPen()

    def full(*_: object) -> None:
        raise KeysForbidden("no room")

    with monkeypatch.context() as patch:
        patch.setattr(store, "keep", full)
        with pytest.raises(KeysForbidden):
            await paired_with(pen, store)
    assert pen.owner is not None
    assert isinstance(await paired_with(pen, store), Paired)
    assert they_agree(pen, store)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
@in_virtual_time
async def test_called_off_at_any_message_what_may_be_true_is_known_and_trying_again_works(
    step: int, store: KeyStore
) -> None:
    pen = PairingPen()
    pen.cut = False
    pen.mute.add(step)
    async with a_pairing(pen, store) as (pairing, _):
        task = asyncio.ensure_future(pairing.attempt(CODE))
        pen.on_seen = lambda number: task.cancel() if number == step else False
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pairing.may_be_ours is (step == 3) is (pen.owner is not None)
    assert isinstance(await paired_with(pen, store), Paired)
    assert they_agree(pen, store)


@in_virtual_time
async def test_keys_of_an_earlier_pairing_stand_until_the_new_one_is_done(store: KeyStore) -> None:
    pen = PairingPen()
    await paired_with(pen, store)
    earlier = store.known(SERIAL)
    pen.hand_over()
    async with a_pairing(pen, store) as (pairing, _):
        assert isinstance(await pairing.attempt(OTHER_CODE), WrongCode)
        assert store.known(SERIAL) == earlier
        assert isinstance(await pairing.attempt(CODE), Paired)
    assert store.known(SERIAL) != earlier
    assert they_agree(pen, store)


# What such a connection lets go


@pytest.mark.sr("SR-DEPTH-8", side="host")
@in_virtual_time
async def test_a_pairing_connection_lets_nothing_go_that_runs_a_pen(store: KeyStore) -> None:
    pen = PairingPen()
    header = {"command_id": 1, "ttl_ms": 500, "seen_tick_ms": 0}
    async with a_pairing(pen, store) as (_, link):
        step = PairStep(**header, step=1, share=b"")
        requests: list[Request[Any]] = [
            step,
            therapy.RunSelfTest(**header),
            therapy.RenewLease(session_id=1, seen_tick_ms=0),
        ]
        for request in requests:
            with pytest.raises(HostRefusal):
                await link.connection.request(request)
        await link.step(1)
        with pytest.raises(HostRefusal):  # the same words, said by somebody else
            await link.connection.request(step)
    assert pen.seen == [1]


def test_a_step_goes_once() -> None:
    made = StepsMade()
    step = made.make(PairStep(command_id=1, ttl_ms=500, seen_tick_ms=0, step=1, share=b""))
    assert made.admit(step)
    assert not made.admit(step)


@in_virtual_time
async def test_steps_have_ids_that_grow_from_the_pens_own_and_its_newest_tick(store: KeyStore) -> None:
    pen = PairingPen()
    end = pen.connect()
    end.last = (0, 40, 1, 0)
    async with greeted(StreamLink(end.pipe, "memory:")) as link:
        await link.step(1)
        await link.step(1)
    made = [each for each in end.seen if isinstance(each, PairStep)]
    assert [each.command_id for each in made] == [41, 42]
    assert all(end.tick - each.seen_tick_ms < 100 for each in made)


@in_virtual_time
async def test_how_the_pen_stands_is_told_without_a_code(store: KeyStore) -> None:
    pen = PairingPen()
    async with a_pairing(pen, store) as (pairing, _):
        standing = await pairing.standing()
        assert isinstance(standing, Owner)
        assert standing.window_s == 60
        pen.window_s, pen.barred_s = 0, 90
        assert await pairing.standing() == Barred(90)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 s"), (120, "120 s"), (121, "3 minutes"), (600, "10 minutes"), (7_201, "3 hours"), (2_457_600, "29 days")],
)
def test_a_wait_is_said_as_people_say_it_and_never_too_short(seconds: int, said: str) -> None:
    assert in_words(seconds) == said
