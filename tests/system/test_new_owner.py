"""A pen that changes hands: what the next owner's computer reads of the one before, and what the first one's knows."""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dermalink.errors import HostRefusal
from dermalink.journal import MemoryJournal
from dermalink.outcome import Applied
from dermalink.ownership.results import Paired
from dermalink.pen import Pen
from dermalink.pen_history import PenHistory, read_history
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.history import Anchor, Damage, Flaw, HiddenRecord, Record
from dermalink_protocol.history_entries import OwnerPairedEntry, SessionOpenedEntry
from dermalink_protocol.limits import SYMPTOM_LOCK_S
from dermalink_protocol.zones import Symptom
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from tests.system.guided_session import PERFECT, STREAM, Way
from tests.system.home import AT_REST_S, Home, hold, press, seconds

Story = Callable[[SimulatedPenDesk, Home, Home], Awaitable[None]]


@pytest.fixture(params=[STREAM, PERFECT], ids=str)
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Story], None]:
    way: Way = request.param

    def run(story: Story) -> None:
        with (
            contextlib.closing(Bench(virtual=True)) as bench,
            desk(bench, SimulatedPen("boxed"), by=way.by, air=way.air) as made,
        ):

            async def told() -> None:
                await seconds(AT_REST_S)
                await press(made)
                mine = Home(made, tmp_path, "first")
                assert isinstance(await mine.pair(), Paired)
                await story(made, mine, Home(made, tmp_path, "second"))

            bench.run(told())

    return run


async def connect(home: Home, journal: MemoryJournal) -> Pen:
    utc = lambda: home.made.model.clock.utc_s  # noqa: E731
    return await Pen.connect(home.url, journal=journal, utc=utc, known=home.store.known)


async def an_evening(pen: Pen) -> None:
    """A session without a pass, so that each side keeps the other's last record."""
    await pen.look()
    assert isinstance(await pen.apply(pen.gate.run_self_test()), Applied)
    await seconds(AT_REST_S)
    await pen.look()
    assert isinstance(await pen.apply(pen.gate.open_session()), Applied)
    await pen.close_session()
    await pen.wait_for(State.IDLE, within_s=2.0)


async def history_of(pen: Pen, *known: Anchor) -> PenHistory:
    return await read_history(pen.connection, pen.hello.serial_number, known)


def last_known(pen: Pen) -> Anchor:
    believed = pen._keeper.belief.pen(pen.serial_number)
    return Anchor(believed.history_number, bytes.fromhex(believed.history_digest))


@pytest.mark.sr("SR-OWN-1", "SR-LOG-1")
def test_the_next_owner_verifies_a_history_that_he_can_not_read_and_the_first_one_knows_it_again(
    tell: Callable[[Story], None],
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        journal = MemoryJournal()
        async with await connect(mine, journal) as pen:
            await an_evening(pen)
            kept = last_known(pen)
            before = await history_of(pen, kept)
            assert (before.damages, before.hidden) == ((), 0)
        await hold(made)
        assert isinstance(await other.pair(), Paired)
        async with await connect(other, MemoryJournal()) as pen:
            await an_evening(pen)
            seen = await history_of(pen, kept)
            assert seen.damages == ()
            of_mine = [n for n, each in enumerate(before.records) if isinstance(each, Record) and each.owner == 1]
            assert len(of_mine) >= 3
            assert {type(seen.records[n]) for n in of_mine} == {HiddenRecord}
            his = [each.entry() for each in seen.records if isinstance(each, Record) and each.owner]
            assert isinstance(his[0], OwnerPairedEntry)
            assert [type(entry) for entry in his].count(SessionOpenedEntry) == 1
            elsewhere = kept._replace(hash=bytes(32))
            assert (await history_of(pen, elsewhere)).damages == (Damage(Flaw.REPLACED, kept.number, kept.number),)
        await hold(made)
        mine.url = made.url_of("first-anew")  # a radio that remembers no bond
        assert isinstance(await mine.pair(), Paired)
        async with await connect(mine, journal) as pen:
            assert (await pen.look()).history_fault == ""
            again = await history_of(pen, kept)
            assert again.damages == ()
            assert isinstance(again.records[kept.number - 1], HiddenRecord)

    tell(story)


@pytest.mark.sr("SR-OWN-1", "SR-RST-1")
def test_a_lock_that_the_next_owner_has_not_earned_binds_him_by_his_computer_and_by_the_pen(
    tell: Callable[[Story], None],
) -> None:
    async def story(made: SimulatedPenDesk, mine: Home, other: Home) -> None:
        async with await connect(mine, MemoryJournal()) as pen:
            await pen.report_symptom(Symptom.PAIN)
        await hold(made)
        assert isinstance(await other.pair(), Paired)
        async with await connect(other, MemoryJournal()) as pen:
            facts = await pen.look()
            assert SYMPTOM_LOCK_S - 60 < facts.status.wait_s <= SYMPTOM_LOCK_S
            assert facts.status.reason is Reason.NONE
            with pytest.raises(HostRefusal) as caught:
                pen.gate.open_session()
            assert caught.value.reason is Reason.SYMPTOM_LOCK
            assert (await history_of(pen)).hidden > 0

    tell(story)
