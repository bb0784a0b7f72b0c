"""The inductive proof, straight from the table.

For every state and every kind of event: any state in the invariant, any event; each row that may be taken leads into
the invariant, within all widths, and keeps every property; what is refused changes nothing. One query a row.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import z3

from dermalink_protocol.codewords import State
from dermalink_simulator.therapy.claim import CellProperty
from dermalink_simulator.therapy.events import EventKind
from dermalink_simulator.therapy.invariant import CLAUSES, LIVES, RING_CLAUSES, ZONE_CLAUSES
from dermalink_simulator.therapy.properties import PROPERTIES, RING_PROPERTIES, ZONE_PROPERTIES
from dermalink_simulator.therapy.row import Row
from dermalink_simulator.therapy.table import TABLE
from dermalink_simulator.therapy.widths import RING_CELLS, ZONE_CELLS
from tests.proof.machine import Evaluator, Numbered, Way, rows_for, ways
from tests.proof.symbols import (
    EVENT_KINDS,
    STATE_KINDS,
    Record,
    any_event,
    any_state,
    event_symbols,
    known_limits,
    within_width,
    zeroes,
)
from tests.proof.terms import Term, conjunction, disjunction, not_

Claim = tuple[str, Term]
"""A claim's name, and the claim."""


class Refuted(NamedTuple):
    """A counterexample: where, which claims fail, the fields that differ from zero, and what the row changed."""

    state: str
    event: str
    row: int
    claims: tuple[str, ...]
    example: str

    def __str__(self) -> str:
        return f"{self.state} x {self.event}, row {self.row}: {', '.join(self.claims)}\n    {self.example}"


class Prover:
    """Proves claims about a table; keeps a solver for each state, in which the invariant holds."""

    def __init__(
        self,
        properties: Sequence[Callable[..., bool]] = PROPERTIES,
        cell_properties: Sequence[CellProperty] = (*ZONE_PROPERTIES, *RING_PROPERTIES),
    ) -> None:
        self.properties = properties
        self.cell_properties = [
            (claim, RING_CELLS if claim in RING_PROPERTIES else ZONE_CELLS) for claim in cell_properties
        ]
        self.queries = 0
        self._solvers: dict[int, z3.Solver] = {}
        self._invariants: dict[int, list[Claim]] = {}
        self._hypotheses: dict[int, set[int]] = {}
        self._evaluators: dict[int, Evaluator] = {}

    def evaluator(self, state: int) -> Evaluator:
        """The evaluator of one state: terms are remembered across kinds of event."""
        return self._evaluators.setdefault(state, Evaluator())

    def invariant(self, evaluate: Evaluator, record: Record) -> Iterator[Claim]:
        """The invariant's claims about a state."""
        limits = known_limits()
        for clause in CLAUSES:
            yield clause.__name__, evaluate(clause, limits, record).term
        for clauses, cells in ((ZONE_CLAUSES, ZONE_CELLS), (RING_CLAUSES, RING_CELLS)):
            for cell_clause in clauses:
                for cell in range(cells):
                    yield f"{cell_clause.__name__}[{cell}]", evaluate(cell_clause, limits, record, cell).term

    def fallow(self, after: Record, before: Record) -> Iterator[Claim]:
        """That a field is zero where it means nothing, and fits its width."""
        for name, kind in STATE_KINDS.items():
            value = getattr(after, name)
            if (after.state not in LIVES.get(name, tuple(State)) and value is not getattr(before, name)) or (
                after.state not in LIVES.get(name, tuple(State)) and before.state in LIVES.get(name, tuple(State))
            ):
                yield f"{name} is fallow", _equal(value, zeroes(name, kind))
            if value is not getattr(before, name):
                yield f"{name} fits its width", conjunction(within_width(value, kind))

    def hypotheses(self, state: int) -> list[Claim]:
        """The invariant of any state of this name."""
        if state not in self._invariants:
            found = list(self.invariant(self.evaluator(state), any_state(state)))
            self._invariants[state] = found
            self._hypotheses[state] = {term.get_id() for _, term in found if isinstance(term, z3.ExprRef)}
        return self._invariants[state]

    def solver(self, state: int) -> z3.Solver:
        """A solver in which the invariant of this state holds, and every field fits its width."""
        if state not in self._solvers:
            solver = z3.SimpleSolver()
            record = any_state(state)
            for name, kind in STATE_KINDS.items():
                solver.add(*within_width(getattr(record, name), kind))
            for name, kind in EVENT_KINDS.items():
                solver.add(*within_width(event_symbols()[name], kind))
            solver.add(*[term for _, term in self.hypotheses(state) if term is not True])
            self._solvers[state] = solver
        return self._solvers[state]

    def claims(self, state: int, kind: int, way: Way) -> Iterator[Claim]:
        """All that is claimed of one row."""
        evaluate, limits, before, event = self.evaluator(state), known_limits(), any_state(state), any_event(kind)
        self.hypotheses(state)
        held = self._hypotheses[state]
        if way.applied:
            for name, term in self.invariant(evaluate, way.after):
                if not (isinstance(term, z3.ExprRef) and term.get_id() in held):
                    yield name, term
            yield from self.fallow(way.after, before)
        for claim in self.properties:
            yield claim.__name__, evaluate(claim, limits, before, event, way.after, way.answer).term
        for claim, cells in self.cell_properties:
            for cell in range(cells):
                name = f"{claim.__name__}[{cell}]"
                yield name, evaluate(claim, limits, before, event, way.after, way.answer, cell).term
        for obligation in way.obligations:
            yield "in range", obligation

    def pair(self, rows: Sequence[Numbered], state: int, kind: int) -> Iterator[Refuted]:
        """Counterexamples of one state and one kind of event."""
        yield from self.refuted(ways(self.evaluator(state), rows, state, kind), state, kind)

    def refuted(self, found: Sequence[Way], state: int, kind: int) -> Iterator[Refuted]:
        """Counterexamples among the ways of one state and one kind of event."""
        for way in found:
            open_claims = [(name, term) for name, term in self.claims(state, kind, way) if term is not True]
            if open_claims:
                refuted = self.query(state, kind, way, open_claims)
                if refuted:
                    yield refuted

    def query(self, state: int, kind: int, way: Way, claims: Sequence[Claim]) -> Refuted | None:
        """One question for all claims about a row."""
        solver = self.solver(state)
        self.queries += 1
        solver.push()
        try:
            solver.add(*[way.condition] if way.condition is not True else [])
            solver.add(disjunction([not_(term) for _, term in claims]))
            verdict = solver.check()
            if verdict == z3.unsat:
                return None
            if verdict == z3.unknown:
                return Refuted(State(state).name, EventKind(kind).name, way.number, ("unknown",), "")
            return refutation(solver.model(), state, kind, way, claims)
        finally:
            solver.pop()

    def table(self, table: Sequence[Row] = TABLE, states: Sequence[int] = tuple(State)) -> Iterator[Refuted]:
        """Counterexamples of a whole table."""
        for state in states:
            for kind in EventKind:
                yield from self.pair(rows_for(table, state, kind), state, kind)

    def possible(self, state: int, condition: Term) -> bool:
        """Some state in the invariant, with some event, meets the condition."""
        if isinstance(condition, bool) and not condition:
            return False
        solver = self.solver(state)
        solver.push()
        try:
            solver.add(*[condition] if condition is not True else [])
            return bool(solver.check() == z3.sat)
        finally:
            solver.pop()


def _equal(value: Term, wanted: Term) -> Term:
    if isinstance(value, tuple):
        return conjunction([_equal(a, b) for a, b in zip(value, wanted, strict=True)])
    return value == wanted


def refutation(model: z3.ModelRef, state: int, kind: int, way: Way, claims: Sequence[Claim]) -> Refuted:
    """A counterexample in words."""
    failed = tuple(name for name, term in claims if term is False or z3.is_false(_at(model, term)))
    before, parts = any_state(state), []
    for name, value in vars(before).items():
        old, new = _shown(model, value), _shown(model, getattr(way.after, name))
        if old != new:
            parts.append(f"{name}: {old} -> {new}")
        elif old != _shown(model, zeroes(name, STATE_KINDS[name])) and name != "state":
            parts.append(f"{name}: {old}")
    for name, value in event_symbols().items():
        shown = _shown(model, value)
        if name != "kind" and shown not in ("0", f"e.{name}"):
            parts.append(f"e.{name}={shown}")
    return Refuted(State(state).name, EventKind(kind).name, way.number, failed, "; ".join(parts))


def _at(model: z3.ModelRef, term: Term) -> Any:
    return model.eval(term, model_completion=True) if isinstance(term, z3.ExprRef) else term


def _shown(model: z3.ModelRef, value: Term) -> str:
    if isinstance(value, tuple):
        return "(" + " ".join(_shown(model, cell) for cell in value) + ")"
    return str(model.eval(value)) if isinstance(value, z3.ExprRef) else str(int(value))
