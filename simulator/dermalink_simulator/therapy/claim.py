"""What a property is: a predicate over a step (before, event, after, answer), and its requirements."""

from collections.abc import Callable
from typing import Final, TypeVar

from dermalink_simulator.therapy.answer import Answer
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import TherapyState

Property = Callable[[CoreLimits, TherapyState, Event, TherapyState, Answer], bool]
CellProperty = Callable[[CoreLimits, TherapyState, Event, TherapyState, Answer, int], bool]
P = TypeVar("P", bound=Callable[..., bool])

PROVES: Final[dict[Callable[..., bool], tuple[str, ...]]] = {}
"""The requirements that each property proves."""


def proves(*requirements: str) -> Callable[[P], P]:
    """Name the requirements that a property proves."""

    def named(claim: P) -> P:
        PROVES[claim] = requirements
        return claim

    return named
