"""The replay window against a naive set of everything that was taken."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_protocol.limits import SEAL_WINDOW_RECORDS
from dermalink_protocol.sealing.window import WIDTH_MAX, Verdict, Window

U32_MAX, U64_MAX = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


class Naive:
    """Forgets nothing, and knows no bits."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.taken: set[int] = set()

    def verdict(self, counter: int) -> Verdict:
        if counter <= max(self.taken, default=0) - self.width:
            return Verdict.TOO_OLD
        return Verdict.REPLAYED if counter in self.taken else Verdict.NEW


def same_as_naive(counters: tuple[int, ...] | list[int], width: int) -> None:
    window, naive = Window(width), Naive(width)
    for counter in counters:
        before = window.highest, window.taken
        verdict = window.verdict(counter)
        assert (window.highest, window.taken) == before
        assert verdict == naive.verdict(counter), counters
        if verdict is Verdict.NEW:
            window.take(counter)
            naive.taken.add(counter)
            assert window.verdict(counter) is Verdict.REPLAYED
        assert window.taken < 1 << width


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_sequence_through_a_small_window(width: int) -> None:
    for counters in product(range(7), repeat=5):
        same_as_naive(counters, width)


@st.composite
def near_each_other(draw: st.DrawFn) -> list[int]:
    """Counters that go up unsteadily: late ones, repeated ones, jumps of about one window and of many."""
    at, counters = draw(st.integers(0, U32_MAX)), []
    steps = st.one_of(st.integers(-3, 5), st.integers(-130, 130), st.integers(-U32_MAX, U32_MAX))
    for step in draw(st.lists(steps, max_size=60)):
        at = min(max(at + step, 0), U32_MAX)
        counters.append(at)
    return counters


@given(near_each_other(), st.integers(1, WIDTH_MAX))
def test_any_sequence_through_any_window(counters: list[int], width: int) -> None:
    same_as_naive(counters, width)


@given(near_each_other())
def test_any_sequence_through_the_window_of_the_contract(counters: list[int]) -> None:
    same_as_naive(counters, SEAL_WINDOW_RECORDS)


def test_the_window_is_a_u32_and_a_u64() -> None:
    window = Window()
    assert window.width == SEAL_WINDOW_RECORDS == WIDTH_MAX == U64_MAX.bit_length()
    for counter in range(U32_MAX - 200, U32_MAX + 1):
        window.take(counter)
    assert (window.highest, window.taken) == (U32_MAX, U64_MAX)


def test_nothing_is_taken_at_first_not_even_counter_0() -> None:
    window = Window()
    assert window.verdict(0) is Verdict.NEW
    window.take(0)
    assert window.verdict(0) is Verdict.REPLAYED
