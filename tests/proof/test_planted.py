"""The proof is itself proved: with a safeguard taken out, it must find the requirement broken."""

import pytest

from dermalink_simulator.therapy.claim import PROVES
from dermalink_simulator.therapy.properties import PROPERTIES
from dermalink_simulator.therapy.table import TABLE
from tests.proof.gate_proof import GateProver
from tests.proof.machine import rows_for
from tests.proof.mutants import pairs_of
from tests.proof.planted import BUGS, GATE_BUGS, Bug, GateBug
from tests.proof.shared import prover

REQUIREMENTS = {claim.__name__: set(rows) for claim, rows in PROVES.items()}


def bugs() -> list[object]:
    """Each bug, with the rows that it breaks as its mark."""
    return [
        pytest.param(bug, id=bug.name, marks=pytest.mark.sr(*bug.breaks, side="pen", kind="proof", twin=True))
        for bug in BUGS
    ]


def gate_bugs() -> list[object]:
    """The gate's, likewise."""
    return [
        pytest.param(bug, id=bug.name, marks=pytest.mark.sr(*bug.breaks, side="pen", kind="proof", twin=True))
        for bug in GATE_BUGS
    ]


@pytest.mark.parametrize("bug", bugs())
def test_a_planted_bug_is_found_as_the_requirement_that_it_breaks(bug: Bug) -> None:
    kept = {id(row) for row in bug.table}
    broken: set[str] = set()
    rows: set[str] = set()
    for state, kind in pairs_of(*(row for row in TABLE if id(row) not in kept)):
        for refuted in prover().pair(rows_for(bug.table, state, kind), state, kind):
            assert refuted.example
            broken |= {claim.partition("[")[0] for claim in refuted.claims}
        rows = {row for claim in broken for row in REQUIREMENTS.get(claim, ())}
        if set(bug.breaks) <= rows:
            return
    raise AssertionError(f"{bug.breaks} not among {sorted(rows)}; broken: {sorted(broken)}")


@pytest.mark.parametrize("bug", gate_bugs())
def test_a_bug_planted_in_the_gate_is_found(bug: GateBug) -> None:
    broken = GateProver(bug.feed, bug.guard, bug.order).refuted()
    rows = {row for claim in broken for row in REQUIREMENTS.get(claim, ())}
    assert set(bug.breaks) <= rows, f"found {broken}"


def test_every_row_that_is_proved_has_a_bug_that_breaks_it() -> None:
    broken = {row for bug in (*BUGS, *GATE_BUGS) for row in bug.breaks}
    proved = {row for claim, rows in PROVES.items() if claim in PROPERTIES for row in rows}
    assert proved <= broken
