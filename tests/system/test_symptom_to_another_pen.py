"""A symptom while another pen answers than the person's own: that one learns nothing, and the own one is told."""

import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dermalink.journal import MemoryJournal
from dermalink.ownership.store import own_store
from dermalink.pen import Pen
from dermalink.records import SessionOver, symptom_said
from dermalink_protocol.limits import SYMPTOM_LOCK_S
from dermalink_protocol.messages.identity import StatusFlag
from dermalink_protocol.zones import Symptom
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from tests.support.owned import give_owner, keys_of, keys_only_of
from tests.support.sealed_client import inside


class Kept(MemoryJournal):
    """Outlives its connections."""

    async def close(self) -> None:
        """Nothing."""


class Two:
    """The person's own pen, under seal, and another that has no owner."""

    def __init__(self, own: SimulatedPenDesk, other: SimulatedPenDesk) -> None:
        self.own, self.other = own, other
        self.journal = Kept()

    async def met(self, which: SimulatedPenDesk, *, reports: Symptom | None = None, at_home: bool = False) -> bool:
        """Connect, report, let go; whether it was sealed. `at_home`: the keys are in this computer's own place."""
        known = None if at_home else keys_only_of(self.own.model)
        utc = lambda: which.model.clock.utc_s  # noqa: E731
        pen = await Pen.connect(which.url, journal=self.journal, utc=utc, known=known, inspect_only=reports is not None)
        async with pen:
            if reports is not None:
                await pen.report_symptom(reports)
            return pen.sealed

    @staticmethod
    def bars_for_s(which: SimulatedPenDesk) -> int:
        """For how long the pen itself opens no session."""
        return int(which.act(lambda: inside(which.model).state.symptom_s))


def with_two(story: Callable[[Two], Coroutine[Any, Any, None]]) -> None:
    with (
        contextlib.closing(Bench(virtual=True)) as bench,
        desk(bench, SimulatedPen()) as own,
        desk(bench, SimulatedPen(seed=9)) as other,
    ):
        own.act(lambda: give_owner(own.model))
        bench.run(story(Two(own, other)))


@pytest.mark.sr("SR-SYM-1", "SR-SEC-1", side="host")
def test_what_another_pen_took_in_the_clear_is_told_to_the_own_one_all_the_same() -> None:
    async def story(two: Two) -> None:
        assert not await two.met(two.other, reports=Symptom.BLEEDING)
        assert two.bars_for_s(two.own) == 0
        assert await two.met(two.own)
        assert two.bars_for_s(two.own) > SYMPTOM_LOCK_S - 60
        before = len(two.journal.entries())
        assert await two.met(two.own)
        assert len(two.journal.entries()) == before

    with_two(story)


@pytest.mark.sr("SR-SYM-1", "SR-DATA-1", side="host")
@pytest.mark.parametrize("known", ["to nobody", "by the journal", "by its keys"])
def test_what_was_reported_with_the_pen_away_goes_to_no_other_pen(
    known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path / "keys"))

    async def story(two: Two) -> None:
        if known == "by its keys":
            own_store().keep(keys_of(two.own.model.card.serial_number))
            await two.journal.append(SessionOver(pen=two.other.model.card.serial_number, utc_s=0, session_id=1))
        elif known == "by the journal":
            await two.journal.append(SessionOver(pen=two.own.model.card.serial_number, utc_s=0, session_id=1))
        utc_s = two.own.model.clock.utc_s
        await two.journal.append(symptom_said(Symptom.RASH, pen="", sealed=False, told=False, utc_s=utc_s))
        at_home = known == "by its keys"
        assert not await two.met(two.other, at_home=at_home)
        assert two.bars_for_s(two.other) == 0
        assert await two.met(two.own, at_home=at_home)
        assert two.bars_for_s(two.own) > SYMPTOM_LOCK_S - 60

    with_two(story)


@pytest.mark.sr("SR-SYM-1", "SR-SEC-1", side="host")
@pytest.mark.parametrize("at_home", [False, True])
def test_a_symptom_that_another_pen_says_it_keeps_locks_not_the_own_one(
    at_home: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path / "keys"))

    async def story(two: Two) -> None:
        own_store().keep(keys_of(two.own.model.card.serial_number))
        async with await Pen.connect(two.other.url, journal=MemoryJournal(), inspect_only=True) as somebodys:
            await somebodys.report_symptom(Symptom.PAIN)
        pen = await Pen.connect(
            two.other.url,
            journal=two.journal,
            utc=lambda: two.other.model.clock.utc_s,
            known=None if at_home else keys_only_of(two.own.model),
        )
        async with pen:
            facts = await pen.look()
        assert StatusFlag.SYMPTOM in facts.status.flags
        assert pen.foreign is at_home
        assert bool(two.journal.entries()) is not at_home
        assert await two.met(two.own, at_home=at_home)
        assert two.bars_for_s(two.own) == 0

    with_two(story)
