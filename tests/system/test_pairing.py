"""A pen is claimed, run by its owner alone, handed over and given up: the host against the simulated pen, whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from dermalink.errors import HandshakeFailed, LinkLost, NotOwner, PenRefusal
from dermalink.journal import MemoryJournal
from dermalink.links.open import open_link
from dermalink.outcome import Applied
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import PairingLink, greeted
from dermalink.ownership.results import Barred, CutOff, Owned, Paired, PairingResult, WindowShut, WrongCode
from dermalink.ownership.store import KeyStore
from dermalink.pen import Pen
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import HAND_OVER_HOLD_MS, PAIR_BARRED_S, PAIR_WINDOW_MS
from dermalink_protocol.messages.owner import GetOwner, ReleaseOwner
from dermalink_protocol.pairing.setup_code import SetupCode
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from tests.system.guided_session import PERFECT, STREAM, Way

OFF_S = 1.0
AT_REST_S = 1.0  # a pen that was switched on tests itself first, and takes no press meanwhile
LET_GO_MS = 100


class Home:
    """A person's computer: keys of its own, and one pen in reach."""

    def __init__(self, made: SimulatedPenDesk, folder: Path, name: str) -> None:
        self.made, self.name = made, name
        self.store = KeyStore(folder / name, lambda: None)
        self.url = made.url_of(name)

    @contextlib.asynccontextmanager
    async def at_the_pen(self) -> AsyncIterator[Pairing]:
        """A connection to pair by."""
        async with greeted(await open_link(self.url)) as link:
            yield Pairing(link, self.store, utc=lambda: 1_800_000_000)

    async def pair(self, code: SetupCode | None = None) -> PairingResult:
        """One attempt, with the code on the card unless another is given."""
        async with self.at_the_pen() as pairing:
            return await pairing.attempt(code or self.made.model.card.code)

    async def connect(self, *, inspect_only: bool = False) -> Pen:
        """As every command does, with the keys that this computer has."""
        utc = lambda: self.made.model.clock.utc_s  # noqa: E731
        return await Pen.connect(
            self.url, journal=MemoryJournal(), inspect_only=inspect_only, utc=utc, known=self.store.known
        )

    async def is_obeyed(self) -> bool:
        """Whether the pen does what this computer says, under seal."""
        async with await self.connect() as pen:
            await pen.look()
            outcome = await pen.apply(pen.gate.run_self_test())
            await seconds(AT_REST_S)
            return isinstance(outcome, Applied) and pen.sealed


Story = Callable[[SimulatedPenDesk, Home, Home], Awaitable[None]]
Tell = Callable[[Story], None]


@pytest.fixture(params=[(STREAM, "nominal"), (PERFECT, "nominal"), (STREAM, "product")], ids=str)
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


async def press(made: SimulatedPenDesk) -> None:
    """A finger's press, and what the pen makes of it."""
    made.act(made.model.button.press)
    await seconds(0.3)


async def hold(made: SimulatedPenDesk, ms: int = int(HAND_OVER_HOLD_MS) + LET_GO_MS) -> None:
    """The hold that hands a pen over."""
    made.act(made.model.button.hold)
    await seconds(ms / 1_000)
    made.act(made.model.button.release)
    await seconds(LET_GO_MS / 1_000)


async def seconds(time_s: float) -> None:
    """Let time pass."""
    await asyncio.sleep(time_s)


def a_wrong_code(made: SimulatedPenDesk) -> SetupCode:
    """Another pen's."""
    right = made.model.card.code
    return next(code for code in (SetupCode("20202021"), SetupCode("20202022")) if code != right)


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


async def without_power(made: SimulatedPenDesk) -> None:
    """Off, and on again."""
    made.act(made.model.power.cut)
    await seconds(OFF_S)
    made.act(made.model.power.restore)
    await seconds(AT_REST_S)


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
