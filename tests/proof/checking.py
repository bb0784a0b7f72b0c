"""The invariant and the properties in plain Python: the same functions that the prover reads."""

from dermalink_protocol.codewords import State
from dermalink_simulator.therapy.answer import Answer, Verdict
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.invariant import CLAUSES, LIVES, RING_CLAUSES, ZONE_CLAUSES
from dermalink_simulator.therapy.properties import PROPERTIES, RING_PROPERTIES, ZONE_PROPERTIES
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.widths import RING_CELLS, ZONE_CELLS, Kind
from tests.proof.symbols import STATE_KINDS, zeroes

EVERYWHERE = tuple(State)


def fits(value: object, kind: Kind) -> bool:
    """A value is of its field's kind."""
    cells = value if isinstance(value, tuple) else (value,)
    right = len(cells) == kind.cells if kind.cells else not isinstance(value, tuple)
    return right and all(
        isinstance(cell, int) and not isinstance(cell, bool) and 0 <= cell <= kind.top for cell in cells
    )


def broken_clauses(state: TherapyState, limits: CoreLimits = LIMITS, *, widths: bool = True) -> list[str]:
    """The clauses of the invariant that a state breaks; with `widths`, also fields that do not fit."""
    broken = [clause.__name__ for clause in CLAUSES if not clause(limits, state)]
    broken += [
        clause.__name__ for clause in ZONE_CLAUSES if not all(clause(limits, state, z) for z in range(ZONE_CELLS))
    ]
    broken += [
        clause.__name__ for clause in RING_CLAUSES if not all(clause(limits, state, z) for z in range(RING_CELLS))
    ]
    for name, kind in STATE_KINDS.items() if widths else ():
        value = getattr(state, name)
        if not fits(value, kind):
            broken.append(f"{name} fits its width")
        if state.state not in LIVES.get(name, EVERYWHERE) and value != zeroes(name, kind):
            broken.append(f"{name} is fallow")
    return broken


def broken_properties(
    before: TherapyState, event: Event, after: TherapyState, answer: Answer, limits: CoreLimits = LIMITS
) -> list[str]:
    """The properties that a step breaks."""
    step = (limits, before, event, after, answer)
    broken = [claim.__name__ for claim in PROPERTIES if not claim(*step)]
    broken += [claim.__name__ for claim in ZONE_PROPERTIES if not all(claim(*step, z) for z in range(ZONE_CELLS))]
    broken += [claim.__name__ for claim in RING_PROPERTIES if not all(claim(*step, z) for z in range(RING_CELLS))]
    if answer.verdict != Verdict.APPLIED and after != before:
        broken.append("a refusal changes nothing")
    return broken
