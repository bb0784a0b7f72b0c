"""The drive gate, proved for any state of the therapy, in the invariant or not."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import z3

from dermalink_simulator.therapy.gate import FEED, GUARD, ORDER, Fed, GatePart, GateState, Guarded
from dermalink_simulator.therapy.gate_properties import CLAUSES, FEEDS, GUARDS, ORDERS
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.widths import kinds
from tests.proof.machine import Evaluator
from tests.proof.symbols import Record, known_limits, symbol, within_width
from tests.proof.terms import Term, disjunction, not_

Claims = Sequence[Callable[..., bool]]


def unknown(record: type, prefix: str) -> tuple[Record, list[Term]]:
    """Any record of this type, and that its fields fit their widths."""
    fields = {name: symbol(f"{prefix}.{name}", kind) for name, kind in kinds(record).items()}
    bounds = [part for name, kind in kinds(record).items() for part in within_width(fields[name], kind)]
    return SimpleNamespace(**fields), bounds


class GateProver:
    """Asks z3 for a state of the gate, a state of the therapy and an input that break a claim."""

    def __init__(
        self,
        feed: dict[str, GatePart] = FEED,
        guard: dict[str, GatePart] = GUARD,
        order: dict[str, GatePart] = ORDER,
    ) -> None:
        self.parts = (feed, guard, order)
        self.evaluate = Evaluator()
        self.limits = known_limits()
        self.gate, gate_bounds = unknown(GateState, "g")
        self.therapy, therapy_bounds = unknown(TherapyState, "t")
        self.fed, fed_bounds = unknown(Fed, "f")
        self.guarded, guarded_bounds = unknown(Guarded, "i")
        self.bounds = [*gate_bounds, *therapy_bounds, *fed_bounds, *guarded_bounds]
        self.obligations: list[Term] = []
        self.invariant = [self.value(clause, self.limits, self.gate) for clause in CLAUSES]

    def value(self, function: Callable[..., Any], *arguments: Any) -> Term:
        """What a function comes to; its obligations are claims of their own."""
        found = self.evaluate(function, *arguments)
        self.obligations += found.obligations
        return found.term

    def stepped(self, parts: dict[str, GatePart], *arguments: Any) -> Record:
        """The gate after a feed or an interrupt."""
        self.obligations = []
        changed = {name: self.value(part, *arguments) for name, part in parts.items()}
        return SimpleNamespace(**{**vars(self.gate), **changed})

    def broken(self, claims: Sequence[tuple[str, Term]]) -> list[str]:
        """The claims that do not hold wherever the gate's invariant does."""
        solver = z3.SimpleSolver()
        solver.add(*self.bounds, *[term for term in self.invariant if term is not True])
        found = []
        for name, term in [*claims, *(("in range", obligation) for obligation in self.obligations)]:
            if term is True:
                continue
            solver.push()
            solver.add(disjunction([not_(term)]))
            if solver.check() != z3.unsat:
                found.append(name)
            solver.pop()
        return found

    def after(self, gate: Record) -> list[tuple[str, Term]]:
        """The gate's own invariant and widths, of a state after."""
        widths = [
            (f"{name} fits its width", part)
            for name, kind in kinds(GateState).items()
            for part in within_width(getattr(gate, name), kind)
        ]
        return [*((clause.__name__, self.value(clause, self.limits, gate)) for clause in CLAUSES), *widths]

    def refuted(self, feeds: Claims = FEEDS, guards: Claims = GUARDS, orders: Claims = ORDERS) -> list[str]:
        """All claims about the gate that do not hold."""
        feed, guard, order = self.parts
        fed = self.stepped(feed, self.limits, self.gate, self.therapy, self.fed)
        claims = [(c.__name__, self.value(c, self.limits, self.gate, self.therapy, self.fed, fed)) for c in feeds]
        found = self.broken([*claims, *self.after(fed)])
        guarded = self.stepped(guard, self.limits, self.gate, self.guarded)
        claims = [(c.__name__, self.value(c, self.limits, self.gate, self.guarded, guarded)) for c in guards]
        found += self.broken([*claims, *self.after(guarded)])
        ordered = self.stepped({}, ())
        ordered = SimpleNamespace(**{name: self.value(part, self.limits, self.gate) for name, part in order.items()})
        claims = [(c.__name__, self.value(c, self.limits, self.gate, ordered)) for c in orders]
        return found + self.broken(claims)
