"""A pen is claimed, run by its owner alone, handed over and given up: the host against the simulated pen, whole."""

import contextlib
from pathlib import Path

import pytest

from dermalink.errors import HandshakeFailed, LinkLost, NotOwner, PenRefusal
from dermalink.ownership.pairing_link import PairingLink
from dermalink.ownership.results import Barred, CutOff, Owned, Paired, WindowShut, WrongCode
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HAND_OVER_HOLD_MS, PAIR_BARRED_S, PAIR_WINDOW_MS
from dermalink_protocol.messages.owner import GetOwner, ReleaseOwner
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from tests.system.guided_session import PERFECT, STREAM, Way
from tests.system.home import AT_REST_S, Home, Story, Tell, a_wrong_code, hold, press, seconds, without_power


@pytest.fixture(params=[(STREAM, "nominal"), (PERFECT, "nominal"), (STREAM, "boxed"), (STREAM, "product")], ids=str)
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Tell:
    """Run a story of two people with one pen, in virtual time."""
    way: Way
    way, profile = request.param

    def run(story: Story) -> None:
        with (
            contextlib.closing(Bench(virtual=True)) as bench,
            desk(bench, SimulatedPen(profile), by=way.by, air=way.air) as made,
        ):

            async def told() -> None:
                await seconds(AT_REST_S)
                await story(made, Home(made, tmp_path, "first"), Home(made, tmp_path, "second"))

            bench.run(told())

    return run


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", "SR-SEC-2")
def test_after_a_press_and_the_code_the_pen_does_what_its_owner_says_and_nobody_elses(tell: Tell) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        assert await mine.pair() == WindowShut()
        await press(made)
        assert isinstance(await mine.pair(), Paired)
        assert await mine.is_obeyed()
        with pytest.raises(NotOwner):
            await other.connect()
        async with await other.connect(inspect_only=True) as pen:
            assert not pen.sealed
            await pen.stop()
        await press(made)
        assert await other.pair() == Owned(ours=False)
        assert await mine.is_obeyed()

    tell(story)


@pytest.mark.sr("SR-SEC-2")
def test_the_window_is_open_for_a_minute(tell: Tell) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        await press(made)
        await seconds(int(PAIR_WINDOW_MS) / 1_000)
        assert await mine.pair() == WindowShut()
        await press(made)
        assert isinstance(await mine.pair(), Paired)

    tell(story)


@pytest.mark.sr("SR-SEC-2")
def test_three_wrong_codes_bar_the_right_one_also_over_a_loss_of_power(tell: Tell) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        await press(made)
        wrong = a_wrong_code(made)
        async with other.at_the_pen() as pairing:
            assert await pairing.attempt(wrong) == WrongCode(2, 0)
            assert await pairing.attempt(wrong) == WrongCode(1, 0)
            barred = await pairing.attempt(wrong)
        assert isinstance(barred, WrongCode)
        assert (barred.tries_left, 0 < barred.barred_s <= PAIR_BARRED_S) == (0, True)
        await without_power(made)
        await press(made)
        again = await mine.pair()
        assert isinstance(again, Barred)
        await seconds(again.seconds + 1)
        await press(made)
        assert isinstance(await mine.pair(), Paired)

    tell(story)


@pytest.mark.sr("SR-OWN-1")
def test_whoever_has_the_pen_in_hand_and_its_code_takes_it_over(tell: Tell) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        await press(made)
        await mine.pair()
        await hold(made, int(HAND_OVER_HOLD_MS) - 500)
        assert await other.pair() == Owned(ours=False)
        await hold(made)
        assert isinstance(await other.pair(a_wrong_code(made)), WrongCode)
        assert not await mine.is_obeyed()  # while the hand-over is open no order may shut it
        await seconds(int(PAIR_WINDOW_MS) / 1_000)
        assert await mine.is_obeyed()  # until somebody has paired, it is still the first one's
        await hold(made)
        assert isinstance(await other.pair(), Paired)
        with pytest.raises(HandshakeFailed):
            await mine.connect()
        assert await other.is_obeyed()

    tell(story)


def test_a_pen_that_is_given_up_has_no_owner_and_can_be_paired_anew(tell: Tell) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        await press(made)
        await mine.pair()
        async with await other.connect(inspect_only=True) as pen:
            with pytest.raises(PenRefusal) as caught:
                await pen.request(ReleaseOwner())
            assert caught.value.reason is Reason.NOT_AUTHENTICATED
        async with await mine.connect(inspect_only=True) as pen:
            await pen.request(ReleaseOwner(), within_s=4.0)
        assert mine.store.forget(mine_serial := made.model.card.serial_number)
        async with await other.connect(inspect_only=True) as pen:
            assert not (await pen.request(GetOwner())).owned
            assert pen.serial_number == mine_serial
        await press(made)
        assert isinstance(await other.pair(), Paired)
        assert await other.is_obeyed()

    tell(story)


@pytest.mark.sr("SR-OWN-1")
@pytest.mark.parametrize("powered", [True, False], ids=["powered", "off in between"])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_whatever_answer_is_lost_both_agree_and_trying_again_works(
    lost: int, powered: bool, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = PairingLink.step

    async def lose_it(self: PairingLink, number: int, share: bytes = b"") -> bytes:
        answer = await step(self, number, share)
        if number == lost:
            raise LinkLost("gone")
        return answer

    async def story(made: SimulatedPenDesk, mine: Home, _: Home) -> None:
        await press(made)
        with monkeypatch.context() as patch:
            patch.setattr(PairingLink, "step", lose_it)
            result = await mine.pair()
        assert isinstance(result, CutOff)
        assert result.may_be_ours is (lost == 3)
        if not powered:
            await without_power(made)
            if lost == 3:
                assert await mine.pair() == Owned(ours=False)
                await hold(made)
            else:
                await press(made)
        assert isinstance(await mine.pair(), Paired)
        assert await mine.is_obeyed()

    tell(story)
