"""Row mutants, the proof as judge: those of changed rows and a sample of all; in full by `tasks.py proof-all`."""

import random

import pytest

from tests.proof.debts import JUDGED, changed_rows, debts, lines, unpaid
from tests.proof.mutants import Judged, Mutant, mutants, names
from tests.proof.shared import judge

SAMPLE = 150
CHANGED_AT_MOST = 300
SEED = 41
PARTS = 6


def sample() -> list[Mutant]:
    """Mutants of rows that nobody has judged whole, and some of all."""
    everything = list(mutants())
    new = changed_rows()
    changed = [mutant for mutant in everything if mutant.name.partition(" | ")[0] in new]
    chance = random.Random(SEED)
    picked = chance.sample(everything, SAMPLE) + chance.sample(changed, min(CHANGED_AT_MOST, len(changed)))
    return list({mutant.name: mutant for mutant in picked}.values())


@pytest.mark.parametrize("part", range(PARTS))
def test_no_mutant_of_the_sample_is_left_unjudged(part: int) -> None:
    judged = [judge()(mutant) for mutant in sample()[part::PARTS]]
    left = unpaid(judged)
    assert not left, "\n".join(f"{one.name}\n    {one.words}" for one in left)
    assert sum(one.verdict == "refuted" for one in judged) > len(judged) // 2


def test_a_survivor_without_a_debt_is_told() -> None:
    stranger = Judged("TICK@STOPPING:time_over | timer left", "survived", "", frozenset({"timer_ms"}))
    assert unpaid([stranger]) == [stranger]


def test_each_debt_has_a_reason() -> None:
    assert all(debt.name and debt.reason.strip() and debt.differs for debt in debts())


def test_rows_have_names_of_their_own() -> None:
    assert len(set(names())) == len(names())


@pytest.mark.complete
def test_no_mutant_at_all_is_left_unjudged() -> None:
    judged = [judge()(mutant) for mutant in mutants()]
    left = unpaid(judged)
    assert not left, "\n".join(f"{one.name}\n    {one.words}" for one in left)
    for debt in debts():
        assert any(one.verdict == "survived" and debt.covers(one) for one in judged), f"{debt.name} is paid"
    assert JUDGED.read_text(encoding="utf-8").splitlines() == lines(), "write it anew: python -m tests.proof.debts"
