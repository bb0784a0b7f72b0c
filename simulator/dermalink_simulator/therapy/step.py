"""The step: the first row that fits is taken, none that fits is a refusal. Rows are indexed by state and event."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.therapy.answer import Answer, Verdict
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.row import EVERY, INDEX_OF, Guard, Row
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.table import TABLE

_POSITION: Final = {name: place for place, name in enumerate(TherapyState._fields)}
_make = TherapyState._make


class _Way(NamedTuple):
    """A row, ready to be taken: where its fields stand in the record."""

    row: int
    guard: Guard
    then: int | None
    answer: Answer
    reason: Callable[..., int] | None
    plain: tuple[tuple[int, Callable[..., int]], ...]
    cells: tuple[tuple[int, int, Callable[..., int]], ...]
    every: tuple[tuple[int, Callable[..., int]], ...]


def _way(number: int, row: Row) -> _Way:
    spoken = not isinstance(row.reason, int)
    updates = row.updates()
    return _Way(
        number,
        row.guard,
        row.then,
        Answer(int(row.verdict), int(Reason.NONE) if spoken else int(row.reason), row.effects, number),  # type: ignore[arg-type]
        row.reason if spoken else None,  # type: ignore[arg-type]
        tuple((_POSITION[n], u) for n, u in updates.items() if n in _POSITION and n not in INDEX_OF),
        tuple((_POSITION[n], _POSITION[INDEX_OF[n]], u) for n, u in updates.items() if n in INDEX_OF),
        tuple((_POSITION[n.removesuffix(EVERY)], u) for n, u in updates.items() if n.endswith(EVERY)),
    )


class Machine:
    """A table, compiled."""

    def __init__(self, table: Sequence[Row]) -> None:
        self._ways: dict[tuple[int, int], tuple[_Way, ...]] = {}
        for state in State:
            for kind in EventKind:
                ways = [_way(n, r) for n, r in enumerate(table) if state in r.states and kind in r.events]
                self._ways[int(state), int(kind)] = tuple(ways)

    def step(self, limits: CoreLimits, state: TherapyState, event: Event) -> tuple[TherapyState, Answer]:
        """The state after `event`, and the answer; a refusal gives back the state as it was."""
        for way in self._ways[state[0], event[0]]:
            if way.guard(limits, state, event):
                break
        else:
            return state, NO_ROW
        answer = way.answer
        if way.reason is not None:
            answer = answer._replace(reason=way.reason(limits, state, event, state.reason))
        if answer.verdict != _APPLIED:
            return state, answer
        before: tuple[Any, ...] = state
        after: list[Any] = list(before)
        for place, update in way.plain:
            after[place] = update(limits, state, event, before[place])
        for place, index_place, update in way.cells:
            index: int = before[index_place]
            old = before[place]
            after[place] = (*old[:index], update(limits, state, event, old[index]), *old[index + 1 :])
        for place, update in way.every:
            after[place] = tuple([update(limits, state, event, old) for old in before[place]])
        if way.then is not None:
            after[0] = way.then
        return _make(after), answer


_APPLIED: Final = int(Verdict.APPLIED)
NO_ROW: Final = Answer(int(Verdict.REFUSED), int(Reason.WRONG_STATE), 0, -1)

MACHINE: Final = Machine(TABLE)
step = MACHINE.step
