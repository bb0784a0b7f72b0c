"""Histograms: exact counts, honest quantiles, and a picture that fits."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink.margin.histogram import LEASE_LEFT_MS, TIMES_MS, Histogram

values = st.lists(st.floats(-50, 5_000), min_size=1, max_size=200)


def of(*milliseconds: float, edges: tuple[float, ...] = TIMES_MS) -> Histogram:
    """One that holds these."""
    histogram = Histogram(edges)
    for each in milliseconds:
        histogram.add(each)
    return histogram


@pytest.mark.parametrize("edges", [TIMES_MS, LEASE_LEFT_MS])
def test_edges_rise_and_reach_the_longest_lease(edges: tuple[float, ...]) -> None:
    assert list(edges) == sorted(set(edges))
    assert (edges[0], edges[-1]) == (0, 1_000)
    assert all(high / low <= 1.3 for low, high in itertools.pairwise(TIMES_MS[1:]))


@given(values)
def test_each_value_is_in_the_bucket_between_whose_edges_it_lies(found: list[float]) -> None:
    histogram = of(*found)
    for low, high, held in histogram.buckets():
        assert held == sum((low is None or low <= each) and (high is None or each < high) for each in found)
    assert sum(bucket.held for bucket in histogram.buckets()) == histogram.count == len(found)
    assert (histogram.least, histogram.greatest) == (min(found), max(found))


@given(values, st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(found: list[float], share: float) -> None:
    histogram = of(*found)
    quantile = histogram.quantile(share)
    assert quantile is not None
    at = max(0, -int(-share * len(found) // 1) - 1)
    true = sorted(found)[min(at, len(found) - 1)]
    ends = [float("-inf"), *TIMES_MS, float("inf")]
    low, high = next((low, high) for low, high in itertools.pairwise(ends) if low <= true < high)
    assert low <= quantile <= high
    assert histogram.least <= quantile <= histogram.greatest


@given(values, values)
def test_joined_is_the_same_as_added_one_by_one(mine: list[float], theirs: list[float]) -> None:
    joined = of(*mine)
    joined.merge(of(*theirs))
    assert joined.as_dict() == of(*mine, *theirs).as_dict()


def test_a_copy_stays_as_it_is_and_other_edges_are_not_joined() -> None:
    first = of(1.0)
    twin = first.copy()
    first.add(2.0)
    assert twin.count == 1
    with pytest.raises(ValueError, match="edges"):
        first.merge(Histogram(LEASE_LEFT_MS))


def test_empty_is_null_in_json_and_nothing_in_a_picture() -> None:
    said = json.loads(json.dumps(of().as_dict()))
    assert said == {"count": 0, "min_ms": None, "median_ms": None, "p99_ms": None, "max_ms": None, "buckets": []}
    assert of().picture() == []
    assert of().quantile(0.5) is None


@given(values, st.integers(1, 20))
def test_a_picture_has_so_many_lines_at_most_and_loses_none(found: list[float], rows: int) -> None:
    lines = of(*found).picture(rows=rows)
    assert 1 <= len(lines) <= rows
    assert sum(int(line.split()[-1]) for line in lines) == len(found)
    assert max(map(len, lines)) <= 80


def test_a_picture_shows_the_empty_buckets_between() -> None:
    assert of(10, 60, 60, edges=(0.0, 25.0, 50.0, 75.0)).picture(cells=4) == [
        " 0-25 ms  ##   1",
        "25-50 ms       0",
        "50-75 ms  #### 2",
    ]
