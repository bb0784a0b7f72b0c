"""Helpers that guards, updates and predicates may call: one expression each, in the same subset of Python.

The subset: unsigned integers, comparison, and/or/not, + - & | << >> and % by a limit, a conditional, a subscript of a
field with cells, membership in a tuple of constants, fields, members of an IntEnum, and calls of helpers. A difference
and a subscript stand where their guard says that they are in range; the proof asks for that as well.
"""

from collections.abc import Callable
from typing import Final, TypeVar

F = TypeVar("F", bound=Callable[..., object])

HELPERS: Final[dict[str, Callable[..., object]]] = {}


def helper(function: F) -> F:
    """Name `function` as one that the subset may call."""
    HELPERS[function.__qualname__] = function
    return function


@helper
def less(value: int, by: int) -> int:
    """What is left of `value`, down to zero."""
    return value - by if value > by else 0


@helper
def least(one: int, other: int) -> int:
    """The smaller."""
    return one if one < other else other


@helper
def most(one: int, other: int) -> int:
    """The greater."""
    return one if one > other else other


@helper
def apart(one: int, other: int) -> int:
    """How far apart two numbers are."""
    return one - other if one > other else other - one
