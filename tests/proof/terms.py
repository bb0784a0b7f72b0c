"""The subset's operations over Python's integers and z3's terms: what is known is computed, what is not is a term.

Numbers are z3 integers, sets of bits are 8-bit vectors. A product of unknowns is an unknown function of both (sound for
proofs, and what is asked about a product is only whether the same one was checked before). Each difference, sum and
subscript of unknowns leaves an obligation: in range, where it stands.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import z3

U32_TOP: Final = 0xFFFF_FFFF
BITS: Final = 8
PRODUCT: Final = z3.Function("product", z3.IntSort(), z3.IntSort(), z3.IntSort())

Term = Any
"""A Python integer or Boolean, or a z3 term."""


class BitSet(int):
    """A known set of bits that may meet unknown ones."""


class Context:
    """Where evaluation stands: the conditions that hold there, and the obligations left so far."""

    def __init__(self) -> None:
        self.path: list[Term] = []
        self.obligations: list[Term] = []
        self.real_products = False

    def oblige(self, condition: Term) -> None:
        """Note that `condition` has to hold here; one that is known to be false fails at once."""
        if condition is True:
            return
        guarded = conjunction(self.path)
        self.obligations.append(implies(guarded, condition))

    @contextmanager
    def under(self, condition: Term) -> Iterator[None]:
        """Evaluate where `condition` holds."""
        self.path.append(condition)
        try:
            yield
        finally:
            self.path.pop()

    @contextmanager
    def collecting(self) -> Iterator[list[Term]]:
        """A fresh list of obligations, free of the path."""
        path, obligations = self.path, self.obligations
        self.path, self.obligations = [], []
        try:
            yield self.obligations
        finally:
            self.path, self.obligations = path, obligations


CONTEXT: Final = Context()


def known(*values: Term) -> bool:
    """All of them are plain Python values."""
    return all(isinstance(value, (int, bool)) for value in values)


def is_bits(value: Term) -> bool:
    """A vector of bits."""
    return isinstance(value, z3.BitVecRef)


def _bits(value: Term) -> Term:
    return z3.BitVecVal(int(value), BITS) if isinstance(value, int) else value


def _pair(a: Term, b: Term) -> tuple[Term, Term]:
    if is_bits(a) or is_bits(b):
        return _bits(a), _bits(b)
    return a, b


def conjunction(parts: Sequence[Term]) -> Term:
    """All of `parts`."""
    left = [part for part in parts if part is not True]
    if any(part is False for part in left):
        return False
    if not left:
        return True
    return left[0] if len(left) == 1 else z3.And(*left)


def disjunction(parts: Sequence[Term]) -> Term:
    """Any of `parts`."""
    left = [part for part in parts if part is not False]
    if any(part is True for part in left):
        return True
    if not left:
        return False
    return left[0] if len(left) == 1 else z3.Or(*left)


def implies(a: Term, b: Term) -> Term:
    """`b`, wherever `a`."""
    return disjunction([not_(a), b])


def truth(value: Term) -> Term:
    """A condition as such."""
    return bool(value) if isinstance(value, int) else value


def not_(value: Term) -> Term:
    """The opposite."""
    value = truth(value)
    if isinstance(value, bool):
        return not value
    return value.arg(0) if z3.is_not(value) else z3.Not(value)


def and_(first: Term, *rest: Callable[[], Term]) -> Term:
    """`and`: the later parts stand where the earlier hold."""
    parts = [truth(first)]
    depth = 0
    for part in rest:
        if parts[-1] is False:
            break
        CONTEXT.path.append(parts[-1])
        depth += 1
        parts.append(truth(part()))
    del CONTEXT.path[len(CONTEXT.path) - depth :]
    return conjunction(parts)


def or_(first: Term, *rest: Callable[[], Term]) -> Term:
    """`or`: the later parts stand where the earlier do not hold."""
    parts = [truth(first)]
    depth = 0
    for part in rest:
        if parts[-1] is True:
            break
        CONTEXT.path.append(not_(parts[-1]))
        depth += 1
        parts.append(truth(part()))
    del CONTEXT.path[len(CONTEXT.path) - depth :]
    return disjunction(parts)


def ite(condition: Term, then: Callable[[], Term], other: Callable[[], Term]) -> Term:
    """The conditional."""
    condition = truth(condition)
    if isinstance(condition, bool):
        return then() if condition else other()
    with CONTEXT.under(condition):
        a = then()
    with CONTEXT.under(not_(condition)):
        b = other()
    return choose(condition, a, b)


def choose(condition: Term, a: Term, b: Term) -> Term:
    """One of two values."""
    if isinstance(condition, bool):
        return a if condition else b
    if a is b or (known(a, b) and a == b):
        return a
    a, b = _pair(a, b)
    if isinstance(a, bool) and isinstance(b, bool):
        return condition if a else not_(condition)
    return z3.If(condition, a, b)


def eq(a: Term, b: Term) -> Term:
    """Equal."""
    if a is b:
        return True
    if known(a, b):
        return a == b
    a, b = _pair(a, b)
    if a.eq(b) if isinstance(a, z3.ExprRef) and isinstance(b, z3.ExprRef) else False:
        return True
    return a == b


def ne(a: Term, b: Term) -> Term:
    """Not equal."""
    return not_(eq(a, b))


def lt(a: Term, b: Term) -> Term:
    """Less."""
    return False if a is b else a < b


def le(a: Term, b: Term) -> Term:
    """At most."""
    return True if a is b else a <= b


def gt(a: Term, b: Term) -> Term:
    """Greater."""
    return lt(b, a)


def ge(a: Term, b: Term) -> Term:
    """At least."""
    return le(b, a)


def in_(value: Term, members: Sequence[Term]) -> Term:
    """One of."""
    return disjunction([eq(value, member) for member in members])


def add(a: Term, b: Term) -> Term:
    """A sum, of 32 bits."""
    total = a + b
    CONTEXT.oblige(total <= U32_TOP)
    return total


def sub(a: Term, b: Term) -> Term:
    """A difference, never below zero."""
    CONTEXT.oblige(ge(a, b))
    return a - b


def mul(a: Term, b: Term) -> Term:
    """A product."""
    if known(a, b) or (CONTEXT.real_products):
        return a * b
    return PRODUCT(a, b)


def mod(a: Term, b: Term) -> Term:
    """A remainder by a number that is known."""
    return a % b


def band(a: Term, b: Term) -> Term:
    """The bits that both have."""
    if known(a, b):
        return a & b
    a, b = _pair(a, b)
    return a & b


def bor(a: Term, b: Term) -> Term:
    """The bits that either has."""
    if known(a, b):
        return a | b
    a, b = _pair(a, b)
    return a | b


def index(cells: Sequence[Term], place: Term) -> Term:
    """One cell of a row of cells."""
    if isinstance(place, int):
        return cells[place]
    CONTEXT.oblige(z3.And(place >= 0, place < len(cells)))
    chosen = cells[-1]
    if isinstance(chosen, BitSet):
        chosen = _bits(chosen)
    for number in range(len(cells) - 2, -1, -1):
        chosen = choose(place == number, cells[number], chosen)
    return chosen
