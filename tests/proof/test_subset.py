"""All functions of the therapy core stay in the subset that every tool reads."""

from collections.abc import Callable

import pytest

from dermalink_simulator.therapy import gate, gate_properties, invariant, properties
from dermalink_simulator.therapy.subset import HELPERS
from dermalink_simulator.therapy.table import TABLE
from tests.proof.translate import OutsideSubset, translate


def functions() -> list[Callable[..., object]]:
    """Guards, updates, reasons, clauses, properties, and the gate's parts."""
    found: list[Callable[..., object]] = [*HELPERS.values()]
    for row in TABLE:
        found += [row.guard, *row.updates().values()]
        found += [row.reason] if not isinstance(row.reason, int) else []
    found += [*invariant.CLAUSES, *invariant.ZONE_CLAUSES, *invariant.RING_CLAUSES]
    found += [*properties.PROPERTIES, *properties.ZONE_PROPERTIES, *properties.RING_PROPERTIES]
    for parts in (gate.FEED, gate.GUARD, gate.ORDER):
        found += parts.values()
    found += [*gate_properties.CLAUSES, *gate_properties.FEEDS, *gate_properties.GUARDS, *gate_properties.ORDERS]
    return list(dict.fromkeys(found))


def test_every_function_is_in_the_subset() -> None:
    for function in functions():
        translate(function)


def test_every_function_says_what_it_is() -> None:
    assert [
        function.__qualname__ for function in functions() if not function.__doc__ and function.__name__[0] != "_"
    ] == []


def number_without_name(k, s, e):  # type: ignore[no-untyped-def]
    return s.depth_um > 500


def call_of_a_stranger(k, s, e):  # type: ignore[no-untyped-def]
    return abs(s.depth_um)


def several_statements(k, s, e):  # type: ignore[no-untyped-def]
    depth = s.depth_um
    return depth + 1


def a_division(k, s, e):  # type: ignore[no-untyped-def]
    return s.depth_um / s.rate_hz


def a_minus(k, s, e):  # type: ignore[no-untyped-def]
    return -s.depth_um


def a_comprehension(k, s, e):  # type: ignore[no-untyped-def]
    return [cell == 0 for cell in s.done]


def something_from_outside(k, s, e):  # type: ignore[no-untyped-def]
    return s.depth_um + somewhere


somewhere = [1]


@pytest.mark.parametrize(
    "function",
    [
        number_without_name,
        call_of_a_stranger,
        several_statements,
        a_division,
        a_minus,
        a_comprehension,
        something_from_outside,
    ],
)
def test_what_leaves_the_subset_is_refused(function: Callable[..., object]) -> None:
    with pytest.raises(OutsideSubset, match=function.__name__):
        translate(function)
