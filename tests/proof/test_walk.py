"""The walk of reachable states: all is reached, all holds there, and no lock is for ever but the meant ones."""

from collections.abc import Iterable
from functools import cache

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.therapy.events import EventKind
from dermalink_simulator.therapy.guards import CLEARABLE
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.step import Machine, step
from tests.proof.checking import broken_clauses, broken_properties
from tests.proof.mutants import names
from tests.proof.planted import without
from tests.proof.walk import (
    EVERYTHING,
    SHALLOW,
    SLICES,
    SMALL,
    TIMES,
    WAITS,
    WIDE,
    Slice,
    Walked,
    cannot_reach,
    path,
    walk,
    wrong,
)

STEPS_CHECKED = 20_000
WIDTHS_EACH = 7


@cache
def walked(piece: int) -> Walked:
    """A slice's walk, once in a process."""
    return walk(SLICES[piece])


def for_ever(state: TherapyState) -> bool:
    """The locks that no session ends: a fault that needs service, and advice that is due."""
    return (state.fault != Reason.NONE and state.fault not in CLEARABLE) or state.advice_due == 1


def check(found: Walked, piece: Slice) -> None:
    """The invariant in every state, the properties of every step up to a number of them."""
    for number, state in enumerate(found.states):
        broken = broken_clauses(state, piece.limits, widths=number % WIDTHS_EACH == 0)
        assert not broken, f"{broken}: {path(found, state)}"
    states = list(found.states)
    for state in states[:: max(1, len(states) * len(piece.events) // STEPS_CHECKED)]:
        for event in piece.events:
            after, answer = step(piece.limits, state, event)
            broken = broken_properties(state, event, after, answer, piece.limits)
            assert not broken, f"{broken} on {event}: {path(found, state)}"


@pytest.mark.parametrize("number", range(len(SLICES)), ids=lambda number: SLICES[number].name)
def test_everything_holds_in_every_state_that_is_reached(number: int) -> None:
    check(walked(number), SLICES[number])


def test_every_state_and_every_row_is_reached() -> None:
    found = [walked(number) for number in range(len(SLICES))]
    assert {state.state for part in found for state in part.states} == set(State)
    rows = set().union(*(part.rows for part in found)) | rows_of_wrong_events(found)
    assert [name for number, name in enumerate(names()) if number not in rows] == []


def rows_of_wrong_events(found: Iterable[Walked]) -> set[int]:
    """The rows that refuse what is wrong, tried in a state of each kind that was reached."""
    rows: set[int] = set()
    tried = {wrong_one for event in EVERYTHING.events + WAITS.events for wrong_one in wrong(event)}
    states = one_of_each(found)
    for state in [*states, *(step(SMALL, state, SHALLOW)[0] for state in states)]:
        for event in tried:
            rows.add(step(SMALL, state, event)[1].row)
    return rows


def one_of_each(found: Iterable[Walked]) -> list[TherapyState]:
    """A state of each name, for each way in which it can stand."""
    kinds: dict[tuple[int, ...], TherapyState] = {}
    for part in found:
        for state in part.states:
            key = (state.state, state.written, state.goal, state.owner, state.head_verdict, state.session_id)
            kinds.setdefault((*key, state.self_tested, state.clock, bool(state.wait_s)), state)
    return list(kinds.values())


@pytest.mark.sr("SR-STOP-8", "SR-RST-3", "SR-SYM-1", side="pen", kind="proof")
@pytest.mark.parametrize("piece", [EVERYTHING, WAITS], ids=lambda piece: piece.name)
def test_no_lock_is_for_ever_but_the_meant_ones(piece: Slice) -> None:
    found = walked(SLICES.index(piece))
    stuck = [state for state in cannot_reach(found, [State.OPEN]) if not for_ever(state)]
    assert not stuck, path(found, stuck[0])


def test_a_machine_that_locks_for_ever_is_found() -> None:
    machine = Machine(without("ACKNOWLEDGE_FAULT@FAULT:always"))
    small = EVERYTHING._replace(
        events=tuple(e for e in EVERYTHING.events if e.kind not in (EventKind.STROKES, EventKind.HEAD))
    )
    found = walk(small, machine)
    assert [state for state in cannot_reach(found, [State.OPEN]) if not for_ever(state)]


def test_a_path_tells_how_a_state_is_reached() -> None:
    found = walked(SLICES.index(TIMES))
    running = next(state for state in found.states if state.state == State.RUNNING)
    told = path(found, running)
    assert [name for _, name in told][:3] == ["BOOT", "SELF_TEST", "IDLE"]
    assert told[-1] == ("TICK", "RUNNING")


@pytest.mark.complete
@pytest.mark.parametrize("piece", WIDE, ids=lambda piece: piece.name)
def test_everything_holds_with_more_at_once(piece: Slice) -> None:
    check(walk(piece), piece)
