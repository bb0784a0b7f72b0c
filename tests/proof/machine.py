"""The therapy table over terms: for one state and one kind of event, when a row is taken and what it does."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy.answer import Verdict
from dermalink_simulator.therapy.row import EVERY, INDEX_OF, Row
from dermalink_simulator.therapy.state import TherapyState
from tests.proof.symbols import Record, any_event, any_state, known_limits
from tests.proof.terms import CONTEXT, Term, choose, conjunction, eq, implies, not_
from tests.proof.translate import Translated, translate

APPLIED: Final = int(Verdict.APPLIED)
NO_ROW: Final = -1


class Value(NamedTuple):
    """What a function came to, and the obligations that it left."""

    term: Term
    obligations: tuple[Term, ...]


class Evaluator:
    """Evaluates functions over terms, and remembers each by the fields that it read."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Value, Any]] = {}

    def __call__(self, function: Callable[..., Any] | Translated, *arguments: Any) -> Value:
        """What `function` comes to for these records."""
        translated = function if isinstance(function, Translated) else translate(function)
        read = [getattr(arguments[number], field) if field else arguments[number] for number, field in translated.reads]
        key = (translated.function, *(value if type(value) is int else id(value) for value in read))
        found = self._known.get(key)
        if found is None:
            with CONTEXT.collecting() as obligations:
                term = translated.function(*arguments)
            found = (Value(term, tuple(obligations)), read)  # `read` is kept, so that no id is given again
            self._known[key] = found
        return found[0]


class Way(NamedTuple):
    """A row, for one state and one kind of event: when it is taken, the state after it, the answer, obligations."""

    number: int
    condition: Term
    after: Record
    answer: Record
    obligations: list[Term]

    @property
    def applied(self) -> bool:
        """It changes the state."""
        return bool(self.answer.verdict == APPLIED)


Numbered = tuple[int, Row]


def rows_for(table: Sequence[Row], state: int, kind: int) -> list[Numbered]:
    """The rows of one state and one kind of event, with their numbers, in order."""
    return [(number, row) for number, row in enumerate(table) if state in row.states and kind in row.events]


def ways(evaluate: Evaluator, rows: Sequence[Numbered], state: int, kind: int) -> list[Way]:
    """All rows that may be taken, and last of all the refusal when none is."""
    limits, before, event = known_limits(), any_state(state), any_event(kind)
    found: list[Way] = []
    passed: list[Term] = []
    for number, row in rows:
        guard = evaluate(row.guard, limits, before, event)
        obligations = [implies(conjunction(passed), obligation) for obligation in guard.obligations]
        if guard.term is False:
            continue
        condition = conjunction([*passed, guard.term])
        if condition is False:
            break
        after, answer, more = outcome(evaluate, number, row, state, kind)
        found.append(Way(number, condition, after, answer, [*obligations, *(implies(condition, o) for o in more)]))
        passed.append(not_(guard.term))
        if guard.term is True:
            return found
    refusal = SimpleNamespace(verdict=int(Verdict.REFUSED), reason=int(Reason.WRONG_STATE), effects=0, row=NO_ROW)
    found.append(Way(NO_ROW, conjunction(passed), before, refusal, []))
    return found


def outcome(evaluate: Evaluator, number: int, row: Row, state: int, kind: int) -> tuple[Record, Record, list[Term]]:
    """The state after a row, its answer, and the obligations of its updates."""
    limits, before, event = known_limits(), any_state(state), any_event(kind)
    obligations: list[Term] = []

    def value(function: Callable[..., Any], old: Term) -> Term:
        found = evaluate(function, limits, before, event, old)
        obligations.extend(found.obligations)
        return found.term

    reason = row.reason if isinstance(row.reason, int) else value(row.reason, before.reason)
    answer = SimpleNamespace(verdict=int(row.verdict), reason=reason, effects=row.effects, row=number)
    if row.verdict != Verdict.APPLIED:
        return before, answer, obligations
    fields = dict(vars(before))
    for name, update in row.updates().items():
        if name.endswith(EVERY):
            plain = name.removesuffix(EVERY)
            fields[plain] = same_or(getattr(before, plain), tuple(value(update, old) for old in getattr(before, plain)))
        elif name in INDEX_OF:
            place, cells = getattr(before, INDEX_OF[name]), getattr(before, name)
            written = tuple(
                choose(eq(place, number), value(update, old), old) if eq(place, number) is not False else old
                for number, old in enumerate(cells)
            )
            fields[name] = same_or(cells, written)
        else:
            fields[name] = value(update, getattr(before, name))
    if row.then is not None:
        fields["state"] = row.then
    return SimpleNamespace(**fields), answer, obligations


def same_or(old: tuple[Term, ...], new: tuple[Term, ...]) -> tuple[Term, ...]:
    """The old cells themselves if none was changed."""
    return old if all(a is b for a, b in zip(old, new, strict=True)) else new


FIELDS: Final = TherapyState._fields
