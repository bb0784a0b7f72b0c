"""z3's reading of the table is Python's: a model of a row's condition, run as a step, takes that row to that state."""

import random
from itertools import product
from typing import Any

import pytest
import z3

from dermalink_protocol.codewords import State
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.step import step
from dermalink_simulator.therapy.table import TABLE
from tests.proof.checking import broken_clauses, broken_properties
from tests.proof.machine import Way, rows_for, ways
from tests.proof.shared import prover
from tests.proof.symbols import any_event, any_state
from tests.proof.terms import PRODUCT, Term

STEPS = 1_000
RATES, NEEDLES, WIDTHS, SPEEDS = (0, 60, 255), (0, 12), (0, 6_000), (0, 10, 20, 255)


def ordinary(state: int, kind: int) -> list[Term]:
    """Rates, needles, widths and speeds of a few values, with the true products of them.

    The prover takes a product for any function; a model is a step only if it is the true one.
    """
    before, event = any_state(state), any_event(kind)
    few = ((before.rate_hz, RATES), (event.rate_hz, RATES), (before.head_needles, NEEDLES))
    few += ((before.head_width_um, WIDTHS), (before.speed_mm_s, SPEEDS), (event.speed_mm_s, SPEEDS))  # type: ignore[assignment]
    found = [z3.Or(*(value == one for one in values)) for value, values in few if isinstance(value, z3.ExprRef)]
    pairs = {(rate, needles) for rate, needles in product(RATES, NEEDLES)}
    pairs |= {(rate * needles, 100_000) for rate, needles in product(RATES, NEEDLES)}
    pairs |= set(product(WIDTHS, SPEEDS))
    pairs |= {(LIMITS.density_max_per_cm2, width * speed) for width, speed in product(WIDTHS, SPEEDS)}
    return [*found, *(PRODUCT(z3.IntVal(a), z3.IntVal(b)) == a * b for a, b in pairs)]


def number(model: z3.ModelRef, value: Term) -> Any:
    """What a term comes to in a model."""
    if isinstance(value, tuple):
        return tuple(number(model, cell) for cell in value)
    return model.eval(value, model_completion=True).as_long() if isinstance(value, z3.ExprRef) else int(value)


def model_of(state: int, kind: int, way: Way) -> z3.ModelRef | None:
    """A state and an event that take this way."""
    solver = prover().solver(state)
    solver.push()
    try:
        solver.add(*ordinary(state, kind), *([way.condition] if way.condition is not True else []))
        return solver.model() if solver.check() == z3.sat else None
    finally:
        solver.pop()


def everything() -> list[tuple[int, int, Way]]:
    """All ways of the table."""
    return [
        (int(state), int(kind), way)
        for state in State
        for kind in EventKind
        for way in ways(prover().evaluator(state), rows_for(TABLE, state, kind), state, kind)
    ]


def compare(state: int, kind: int, way: Way) -> bool:
    """Run a model of a way as a step; False if there is none."""
    model = model_of(state, kind, way)
    if model is None:
        return False
    before = TherapyState(**{name: number(model, value) for name, value in vars(any_state(state)).items()})
    event = Event(**{name: number(model, value) for name, value in vars(any_event(kind)).items()})
    after, answer = step(LIMITS, before, event)
    said = {name: number(model, value) for name, value in vars(way.answer).items()}
    assert {name: int(value) for name, value in answer._asdict().items()} == said
    assert after == TherapyState(**{name: number(model, value) for name, value in vars(way.after).items()})
    assert broken_clauses(before) == broken_clauses(after) == []
    assert broken_properties(before, event, after, answer) == []
    return True


def test_a_thousand_steps_are_read_alike() -> None:
    found = everything()
    random.Random(9).shuffle(found)
    compared = 0
    for way in found:
        compared += compare(*way)
        if compared == STEPS:
            break
    assert compared == STEPS


@pytest.mark.complete
def test_every_way_is_read_alike() -> None:
    assert sum(compare(*way) for way in everything()) > len(TABLE)
