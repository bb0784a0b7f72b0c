"""Row mutants, the proof as judge: a changed row is refuted, equivalent by proof, or a debt."""

import ast
import copy
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.therapy import updates as u
from dermalink_simulator.therapy.answer import Effect, Verdict
from dermalink_simulator.therapy.events import EventKind
from dermalink_simulator.therapy.guards import always
from dermalink_simulator.therapy.row import EVERY, Row
from dermalink_simulator.therapy.table import TABLE
from tests.proof.machine import FIELDS, Numbered, Way, rows_for, ways
from tests.proof.prove import Prover
from tests.proof.terms import Term, conjunction, disjunction, eq, not_
from tests.proof.translate import compiled, expression_of

CODE_WORDS: Final = ("reason", "fault", "head_verdict")
TURNED: Final = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


class Mutant(NamedTuple):
    """A table with one row changed: its name, the change, and the pairs of state and event that it touches."""

    name: str
    table: tuple[Row, ...]
    pairs: tuple[tuple[int, int], ...]


class Judged(NamedTuple):
    """What became of a mutant: `refuted`, `equivalent` or `survived`; the proof's words, or where what differs."""

    name: str
    verdict: str
    words: str = ""
    differs: frozenset[str] = frozenset()


def name_of(row: Row) -> str:
    """A row's name, from what it is for; it stays when rows are added elsewhere."""
    events = "+".join(EventKind(event).name for event in row.events[:2]) + ("+" if len(row.events) > 2 else "")
    states = "+".join(State(state).name for state in row.states[:2]) + ("+" if len(row.states) > 2 else "")
    return f"{events}@{states}:{row.guard.__name__}"


def names(table: Sequence[Row] = TABLE) -> list[str]:
    """The rows' names, told apart where two are alike."""
    found: list[str] = []
    for row in table:
        name = name_of(row)
        alike = sum(1 for other in found if other == name or other.startswith(f"{name}#"))
        found.append(f"{name}#{alike + 1}" if alike else name)
    return found


def pairs_of(*rows: Row) -> tuple[tuple[int, int], ...]:
    """The pairs of state and event that rows speak of."""
    return tuple(dict.fromkeys((state, int(event)) for row in rows for state in row.states for event in row.events))


def changed_expressions(expression: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """An expression with a part left out, or a comparison turned."""
    for place, node in enumerate(ast.walk(expression)):
        if isinstance(node, ast.BoolOp):
            for number in range(len(node.values)):
                twin, copied = _copy(expression, place)
                copied.values.pop(number)
                yield f"part {number} of {ast.unparse(node)}", twin
        if isinstance(node, ast.Compare):
            for number, operator in enumerate(node.ops):
                turned = TURNED.get(type(operator))
                if turned:
                    twin, copied = _copy(expression, place)
                    copied.ops[number] = turned()
                    yield f"{turned.__name__} in {ast.unparse(node)}", twin


def _copy(expression: ast.expr, place: int) -> tuple[ast.expr, Any]:
    """A copy of an expression, and the node at a place of it."""
    twin = copy.deepcopy(expression)
    return twin, list(ast.walk(twin))[place]


def guards(row: Row) -> Iterator[tuple[str, Any]]:
    """A row's guard, changed."""
    if row.guard is always:
        return
    yield "guard dropped", always
    parameters, expression = expression_of(row.guard)
    yield "guard turned", compiled(row.guard, parameters, ast.UnaryOp(ast.Not(), expression))
    for word, twin in changed_expressions(expression):
        yield f"guard {word}", compiled(row.guard, parameters, twin)


def changes(row: Row) -> Iterator[tuple[str, Row]]:
    """A row, changed in one thing."""
    for word, guard in guards(row):
        yield word, row._replace(guard=guard)
    yield from changes_applied(row) if row.verdict == Verdict.APPLIED else changes_refused(row)
    if len(row.states) > 1:
        for name in row.states:
            yield f"not in {State(name).name}", row._replace(states=tuple(s for s in row.states if s != name))
    if len(row.events) > 1:
        for event in row.events:
            yield f"not on {EventKind(event).name}", row._replace(events=tuple(x for x in row.events if x != event))


def changes_applied(row: Row) -> Iterator[tuple[str, Row]]:
    """A row that is applied, changed in what it does."""
    for field, update in row.updates().items():
        kept = {name: other for name, other in row.updates().items() if name != field}
        yield f"{field} left", row._replace(blocks=(kept,))
        for word, value in (("zero", u.zero), ("one", u.one)):
            if update is not value and field.removesuffix(EVERY) not in CODE_WORDS:
                yield f"{field} {word}", row._replace(blocks=({**row.updates(), field: value},))
    for state in State:
        if state != row.then:
            yield f"then {state.name}", row._replace(then=int(state))
    if row.then is not None:
        yield "then stay", row._replace(then=None)
    for effect in Effect:
        if row.effects & effect:
            yield f"no {effect.name}", row._replace(effects=row.effects & ~effect)
    yield "refused", row._replace(verdict=Verdict.REFUSED, blocks=(), then=None)


def changes_refused(row: Row) -> Iterator[tuple[str, Row]]:
    """A row that refuses, changed in what it says."""
    yield "applied", row._replace(verdict=Verdict.APPLIED)
    if isinstance(row.reason, int) and row.reason != Reason.NONE:
        yield "reason left", row._replace(reason=int(Reason.NONE))


def mutants(table: Sequence[Row] = TABLE) -> Iterator[Mutant]:
    """All mutants of a table."""
    table = tuple(table)
    for number, (row, name) in enumerate(zip(table, names(table), strict=True)):
        before, after = table[:number], table[number + 1 :]
        for word, changed in changes(row):
            yield Mutant(f"{name} | {word}", (*before, changed, *after), pairs_of(row))
        yield Mutant(f"{name} | row left out", (*before, *after), pairs_of(row))
        follower = next((n for n, other in enumerate(after) if set(pairs_of(row)) & set(pairs_of(other))), None)
        if follower is not None:
            moved = (*before, *after[: follower + 1], row, *after[follower + 1 :])
            yield Mutant(f"{name} | behind the next", moved, pairs_of(row))


class Judge:
    """The proof as judge of changed tables; it knows the table as it is, so it asks only about what is otherwise."""

    def __init__(self, prover: Prover) -> None:
        self.prover = prover
        self._originals = {id(row): number for number, row in enumerate(TABLE)}
        self._ways: dict[tuple[int, int], list[Way]] = {}

    def original(self, state: int, kind: int) -> list[Way]:
        """The ways of the table as it is."""
        if (state, kind) not in self._ways:
            evaluate = self.prover.evaluator(state)
            self._ways[state, kind] = ways(evaluate, rows_for(TABLE, state, kind), state, kind)
        return self._ways[state, kind]

    def __call__(self, mutant: Mutant) -> Judged:
        """Ask about a mutant, pair by pair; if it keeps all claims, whether it does anything else at all."""
        changed: list[tuple[int, int, list[Way]]] = []
        for state, kind in mutant.pairs:
            rows = renumbered(rows_for(mutant.table, state, kind), self._originals)
            new = self.new_ways(rows, state, kind)
            for refuted in self.prover.refuted(new, state, kind):
                return Judged(mutant.name, "refuted", str(refuted))
            changed.append((state, kind, new))
        other = [found for state, kind, new in changed for found in self.differences(new, state, kind)]
        if other:
            words = "; ".join(dict.fromkeys(f"{where}: {name}" for where, name in other))
            return Judged(mutant.name, "survived", words, frozenset(name for _, name in other))
        return Judged(mutant.name, "equivalent")

    def new_ways(self, rows: Sequence[Numbered], state: int, kind: int) -> list[Way]:
        """The ways of changed rows that the table as it is does not have."""
        old = {way.number: way for way in self.original(state, kind)}
        return [
            way
            for way in ways(self.prover.evaluator(state), rows, state, kind)
            if way.number not in old
            or eq(way.condition, old[way.number].condition) is not True
            or differing(old[way.number], way)
        ]

    def differences(self, new: Sequence[Way], state: int, kind: int) -> Iterator[tuple[str, str]]:
        """What a changed table does otherwise, for one state and kind of event, from some state in the invariant."""
        for was in self.original(state, kind):
            for now in new:
                unlike = differing(was, now)
                both = conjunction([was.condition, now.condition])
                if not unlike or not self.prover.possible(
                    state, conjunction([both, disjunction([t for _, t in unlike])])
                ):
                    continue
                for name, term in unlike:
                    if self.prover.possible(state, conjunction([both, term])):
                        yield f"{State(state).name} x {EventKind(kind).name}", name


def renumbered(rows: Sequence[Numbered], originals: dict[int, int]) -> list[Numbered]:
    """Rows by the number that they have in the table as it is; a changed one has none."""
    return [(originals.get(id(row), len(originals)), row) for _, row in rows]


def differing(was: Way, now: Way) -> list[tuple[str, Term]]:
    """Where two outcomes may differ, and when they do."""
    found: list[tuple[str, Term]] = []
    if was.answer.verdict != now.answer.verdict:
        found.append(("verdict", True))
    if was.answer.effects != now.answer.effects:
        found.append(("effects", True))
    reasons = eq(was.answer.reason, now.answer.reason)
    if reasons is not True:
        found.append(("answered reason", not_(reasons)))
    for name in FIELDS:
        a, b = getattr(was.after, name), getattr(now.after, name)
        if a is not b:
            same = conjunction([eq(x, y) for x, y in zip(a, b, strict=True)]) if isinstance(a, tuple) else eq(a, b)
            if same is not True:
                found.append((name, not_(same)))
    return found
