"""The inductive proof: from any state in the invariant, any event leads into it and keeps every property."""

from collections.abc import Callable

import pytest
import z3

from dermalink_protocol.codewords import State
from dermalink_simulator.therapy.answer import Answer
from dermalink_simulator.therapy.claim import PROVES
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.invariant import CLAUSES, LIVES, RING_CLAUSES, ZONE_CLAUSES
from dermalink_simulator.therapy.properties import PROPERTIES, RING_PROPERTIES, ZONE_PROPERTIES
from dermalink_simulator.therapy.state import POWER_UP, TherapyState
from dermalink_simulator.therapy.table import TABLE
from tests.proof.checking import broken_clauses
from tests.proof.machine import rows_for, ways
from tests.proof.prove import Prover
from tests.proof.shared import prover

CLAIMS: tuple[Callable[..., bool], ...] = (*PROPERTIES, *ZONE_PROPERTIES, *RING_PROPERTIES)
ROWS = sorted({row for claim in CLAIMS for row in PROVES[claim]})
STATES = [pytest.param(int(state), id=state.name) for state in State]


@pytest.mark.sr(*ROWS, side="pen", kind="proof")
@pytest.mark.parametrize("state", STATES)
def test_every_step_keeps_the_invariant_and_every_property(state: int) -> None:
    refuted = list(prover().table(TABLE, (state,)))
    assert not refuted, "\n".join(map(str, refuted))


def test_power_up_is_in_the_invariant() -> None:
    assert broken_clauses(POWER_UP) == []


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_inhabited(state: int) -> None:
    assert prover().possible(state, True)


def test_no_row_is_dead() -> None:
    alive: set[int] = set()
    for state in State:
        for kind in EventKind:
            for way in ways(prover().evaluator(state), rows_for(TABLE, state, kind), state, kind):
                if way.number not in alive and prover().possible(state, way.condition):
                    alive.add(way.number)
    assert [number for number in range(len(TABLE)) if number not in alive] == []


def never_runs(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A false claim: nothing ever runs."""
    return a.state != State.RUNNING


def never_spends(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer, z: int) -> bool:
    """A false claim: no zone's punctures ever grow."""
    return a.spent[z] <= b.spent[z]


def test_a_false_claim_is_refuted_with_an_example() -> None:
    false = Prover((never_runs,), ())
    found = list(false.pair(rows_for(TABLE, State.ARMED, EventKind.TICK), State.ARMED, EventKind.TICK))
    assert [refuted.claims for refuted in found] == [("never_runs",)]
    assert "state: 6013 -> 36367" in found[0].example
    false = Prover((), (never_spends,))
    found = list(false.pair(rows_for(TABLE, State.WAITING, EventKind.BUTTON), State.WAITING, EventKind.BUTTON))
    assert [len(refuted.claims) for refuted in found] == [1]


def test_without_one_clause_the_proof_fails() -> None:
    """Each clause is there for something: the proof of some property, or of another clause, leans on it."""
    solver = z3.SimpleSolver()
    solver.add(z3.Int("x") > 0)
    assert solver.check() == z3.sat
    weaker = Prover()
    kept = [claim for claim in weaker.hypotheses(State.RUNNING) if claim[0] not in ("moving", "pass_fields")]
    weaker._invariants[State.RUNNING] = kept
    weaker._hypotheses[State.RUNNING] = {term.get_id() for _, term in kept if isinstance(term, z3.ExprRef)}
    assert list(weaker.table(TABLE, (State.RUNNING,)))


def test_every_property_names_its_requirement_and_is_asked() -> None:
    asked = set(CLAIMS)
    assert all(PROVES[claim] for claim in asked)
    assert len({claim.__name__ for claim in asked}) == len(asked)
    assert len({clause.__name__ for clause in (*CLAUSES, *ZONE_CLAUSES, *RING_CLAUSES)}) == len(CLAUSES) + 3
    assert set(LIVES) <= set(TherapyState._fields)
