"""The clock fit: whatever drift, jitter, asymmetry and wrap there is, the truth lies within the bound that is told."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermalink.margin.clock_fit import BUCKETS_MAX, LAST_BUCKET_S, WANDER_PPM_PER_S, ClockFit
from dermalink.ticks import WRAP

NEAR = 1e-6  # ms: floating point


class World(NamedTuple):
    """A pen's clock, and a link; all by the host's seconds."""

    begin_s: float
    first_ms: float
    rate_ppm: float
    wander_ppm_per_s: float = 0.0

    def pen_ms(self, host_s: float) -> float:
        """The true time of the pen's clock."""
        since = host_s - self.begin_s
        rate = self.rate_ppm / 1e6 * since + self.wander_ppm_per_s / 1e6 * since * since / 2
        return self.first_ms + (since + rate) * 1_000

    def rate_at(self, host_s: float) -> float:
        """How much too fast it runs, in ppm."""
        return self.rate_ppm + self.wander_ppm_per_s * (host_s - self.begin_s)

    def tick(self, host_s: float) -> int:
        """What the pen would write down then."""
        return math.floor(self.pen_ms(host_s)) % WRAP


class Sample(NamedTuple):
    """A question, its answering, its reply."""

    sent_s: float
    answered_s: float
    received_s: float


def talk(chance: random.Random, begin_s: float, seconds: float, every_s: float, there_ms: float, back_ms: float,
         jitter: float) -> Iterator[Sample]:  # fmt: skip
    """Questions over so long, with ways as long as given and now and then many times as long."""
    now = begin_s
    while now < begin_s + seconds:
        there, back = (way / 1_000 * (1 + jitter * chance.expovariate(1.0)) for way in (there_ms, back_ms))
        yield Sample(now, now + there, now + there + back)
        now += max(there + back, every_s * chance.uniform(0.5, 1.5))


def fitted(world: World, said: Iterator[Sample]) -> tuple[ClockFit, Sample]:
    """A fit that has heard all, and the last of it."""
    fit = ClockFit()
    for sample in said:
        fit.add(sample.sent_s, sample.received_s, world.tick(sample.answered_s))
    return fit, sample


def holds(world: World, fit: ClockFit) -> None:
    """The truth lies within every bound."""
    relation = fit.relation
    assert relation is not None
    first = round((world.first_ms - relation.first_tick) / WRAP) * WRAP + relation.first_tick
    for away_s in (0.0, -relation.reaches_back_s / 2, -relation.reaches_back_s, 1.0, 60.0):
        host_s = relation.at_s + away_s
        off = abs(relation.pen_ms_at(host_s) - (world.pen_ms(host_s) - first))
        assert off <= relation.error_at(host_s) + NEAR
    assert abs(relation.rate_ppm - world.rate_at(relation.at_s)) <= relation.rate_error_ppm + NEAR


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate_ppm=st.floats(-20_000, 20_000),
    first_ms=st.floats(0, WRAP - 1),
    seconds=st.floats(0.01, 900),
    every_s=st.floats(0.01, 2.0),
    there_ms=st.floats(0.01, 200),
    back_ms=st.floats(0.01, 200),
    jitter=st.floats(0, 5),
)
def test_the_truth_always_lies_within_the_bound(
    seed: int, rate_ppm: float, first_ms: float, seconds: float, every_s: float, there_ms: float, back_ms: float,
    jitter: float,
) -> None:  # fmt: skip
    chance = random.Random(seed)
    world = World(chance.uniform(0, 1e6), first_ms, rate_ppm)
    fit, _ = fitted(
        world, talk(chance, world.begin_s, min(seconds, 3_000 * every_s), every_s, there_ms, back_ms, jitter)
    )
    assert fit.restarts == 0
    holds(world, fit)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([-1.0, -0.3, 0.5, 1.0]))
def test_a_clock_that_is_warmed_stays_within_the_bound(seed: int, share: float) -> None:
    chance = random.Random(seed)
    world = World(50.0, 1_000.0, chance.uniform(-100, 100), share * WANDER_PPM_PER_S)
    fit, _ = fitted(world, talk(chance, 50.0, 600, 0.05, 0.02, 0.02, 1.0))
    assert fit.restarts == 0
    holds(world, fit)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), there_ms=st.floats(0.01, 300), back_ms=st.floats(0.01, 300), jitter=st.floats(0, 9))
def test_both_ways_of_a_round_trip_lie_within_their_bounds(
    seed: int, there_ms: float, back_ms: float, jitter: float
) -> None:
    chance = random.Random(seed)
    world = World(7.0, WRAP - 5_000.0, chance.uniform(-20_000, 20_000))
    fit, last = fitted(world, talk(chance, 7.0, 20, 0.1, there_ms, back_ms, jitter))
    relation = fit.relation
    assert relation is not None
    found = relation.delays(last.sent_s, last.received_s, world.tick(last.answered_s))
    for bound, truth in (
        (found.there_ms, (last.answered_s - last.sent_s) * 1_000),
        (found.back_ms, (last.received_s - last.answered_s) * 1_000),
    ):
        assert 0 <= bound.low <= truth + NEAR
        assert truth <= bound.high + NEAR


def test_one_long_way_among_quick_ones_is_told_from_the_other() -> None:
    world, fit = World(0.0, 10.0, 20.0), ClockFit()
    for number in range(400):
        sent = number * 0.1037
        fit.add(sent, sent + 0.002, world.tick(sent + 0.001))
    fit.add(50.0, 50.301, world.tick(50.001))
    relation = fit.relation
    assert relation is not None
    ways = relation.delays(50.0, 50.301, world.tick(50.001))
    assert ways.there_ms.high < 13
    assert ways.back_ms.low > 287


@pytest.mark.parametrize(
    ("seconds", "rate_error_ppm", "error_ms"), [(1, 3_000, 1.5), (10, 42, 0.25), (60, 6.5, 0.17), (600, 4.2, 0.19)]
)
def test_the_bound_narrows_as_they_talk(seconds: float, rate_error_ppm: float, error_ms: float) -> None:
    chance = random.Random(5)
    world = World(3.0, 99.0, 31.0)
    fit, _ = fitted(world, talk(chance, 3.0, seconds, 0.05, 0.1, 0.1, 0.5))
    relation = fit.relation
    assert relation is not None
    assert relation.rate_error_ppm < rate_error_ppm
    assert relation.error_ms < error_ms
    holds(world, fit)


def test_a_day_takes_no_more_memory_than_a_minute_and_the_tick_may_wrap() -> None:
    world, fit = World(0.0, WRAP - 1_000.0, -40.0), ClockFit()
    for number in range(20_000):
        sent = number * 4.3
        fit.add(sent, sent + 0.001, world.tick(sent + 0.0005))
    assert len(fit._buckets) <= BUCKETS_MAX
    relation = fit.relation
    assert relation is not None
    assert fit.replies == 20_000
    assert fit.restarts == 0
    assert relation.reaches_back_s <= (BUCKETS_MAX + 1) * max(LAST_BUCKET_S, 4.3)
    assert relation.pen_ms > 20_000 * 4_299
    assert relation.host_s_at(world.tick(85_000.0)) == pytest.approx(85_000.0, abs=0.01)
    holds(world, fit)


@pytest.mark.parametrize("jump_ms", [-1e9, -5_000, -1_500, 1_500, 5_000, 1e9])
def test_a_pen_that_was_restarted_begins_a_fit_of_its_own(jump_ms: float) -> None:
    world, fit = World(0.0, 2e9, 10.0), ClockFit()
    for number in range(100):
        fit.add(number * 0.1, number * 0.1 + 0.002, world.tick(number * 0.1 + 0.001))
    after = World(0.0, 2e9 + jump_ms, 10.0)
    for number in range(100, 200):
        fit.add(number * 0.1, number * 0.1 + 0.002, after.tick(number * 0.1 + 0.001))
    assert fit.restarts == 1
    assert fit.replies == 100
    holds(after, fit)


def test_a_clock_whose_rate_leapt_is_judged_by_what_came_since() -> None:
    fit = ClockFit()
    early, later = World(0.0, 0.0, 0.0), World(30.0, 30_000.0, 900.0)  # as no crystal does
    for number in range(300):
        fit.add(number * 0.1, number * 0.1 + 0.001, early.tick(number * 0.1 + 0.0005))
    for number in range(300, 3_500):
        fit.add(number * 0.1, number * 0.1 + 0.001, later.tick(number * 0.1 + 0.0005))
    relation = fit.relation
    assert relation is not None
    assert fit.restarts == 0
    assert relation.reaches_back_s < 320
    holds(later, fit)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32), every_s=st.floats(0.02, 0.5), seconds=st.floats(1, 300), rate_ppm=st.floats(-200, 200)
)
def test_a_tick_that_is_counted_by_a_main_loop_is_taken_to_be_as_coarse_as_it_is(
    seed: int, every_s: float, seconds: float, rate_ppm: float
) -> None:
    chance = random.Random(seed)
    world = World(3.0, 500.0, rate_ppm)
    fit = ClockFit()
    for sample in talk(chance, 3.0, 40 * every_s + seconds, every_s, 0.1, 0.1, 1.0):
        fit.add(sample.sent_s, sample.received_s, world.tick(sample.answered_s) // 10 * 10)
    relation = fit.relation
    assert relation is not None
    assert fit.restarts == 0
    assert relation.reaches_back_s > 0.9 * min(40 * every_s + seconds, BUCKETS_MAX * LAST_BUCKET_S) - 2 * every_s
    holds(world._replace(first_ms=500.0), fit)


def test_nothing_heard_is_no_relation() -> None:
    assert ClockFit().relation is None
