"""Any state and any event, as records of terms: what is zero by the invariant is zero, state and kind are known."""

from functools import cache
from types import SimpleNamespace
from typing import Any, Final

import z3

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.invariant import LIVES
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.widths import Kind, kinds
from tests.proof.terms import BITS, BitSet, Term

Record = Any
"""A record whose fields are terms."""

STATE_KINDS: Final = kinds(TherapyState)
EVENT_KINDS: Final = kinds(Event)
FALLOW: Final = {"fault": int(Reason.NONE)}
"""What a field holds where it means nothing, if not zero."""


def symbol(name: str, kind: Kind) -> Term:
    """An unknown of a field's kind, or a tuple of unknowns."""
    if kind.cells:
        return tuple(symbol(f"{name}.{cell}", kind._replace(cells=0)) for cell in range(kind.cells))
    return z3.BitVec(name, BITS) if kind.bits else z3.Int(name)


@cache
def state_symbols() -> dict[str, Term]:
    """An unknown for each field of the state."""
    return {name: symbol(f"s.{name}", kind) for name, kind in STATE_KINDS.items()}


@cache
def event_symbols() -> dict[str, Term]:
    """An unknown for each field of the event."""
    return {name: symbol(f"e.{name}", kind) for name, kind in EVENT_KINDS.items()}


def zeroes(name: str, kind: Kind) -> Term:
    """What a field of this kind holds where it means nothing."""
    value = FALLOW.get(name, 0)
    return (BitSet(0) if kind.bits else value,) * kind.cells if kind.cells else (BitSet(0) if kind.bits else value)


@cache
def any_state(state: int) -> Record:
    """Any state of this name."""
    fields = {
        name: unknown if state in LIVES.get(name, tuple(State)) else zeroes(name, STATE_KINDS[name])
        for name, unknown in state_symbols().items()
    }
    return SimpleNamespace(**{**fields, "state": state})


@cache
def any_event(kind: int) -> Record:
    """Any event of this kind."""
    return SimpleNamespace(**{**event_symbols(), "kind": kind})


@cache
def known_limits(limits: CoreLimits = LIMITS) -> Record:
    """The limits, with sets of bits told apart from numbers."""
    return SimpleNamespace(**{**limits._asdict(), "zone_heads": tuple(BitSet(heads) for heads in limits.zone_heads)})


def within_width(value: Term, kind: Kind) -> list[Term]:
    """That a value fits its field."""
    if kind.cells:
        return [part for cell in value for part in within_width(cell, kind._replace(cells=0))]
    if kind.bits:
        return []
    if isinstance(value, int):
        return [] if 0 <= value <= kind.top else [False]
    return [value >= 0, value <= kind.top]
