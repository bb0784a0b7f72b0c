"""Telemetry's sampler."""

import pytest

from dermalink_protocol.samples import ARMED, CONTACT, NEEDLES_OUT, view_samples
from dermalink_simulator.firmware.telemetry import Sampler, rate_hz


def armed(sampler: Sampler, tick_ms: int, dt_ms: int = 10, **values: int) -> tuple[int, bytes] | None:
    sensed = {"peak": 0, "force": 0, "rate": 100, "contact": 1, "dx": 0, "dy": 0} | values
    return sampler.armed(tick_ms, dt_ms, tuple(sensed.values()), needles_out=True)  # type: ignore[arg-type]


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_a_peak_between_two_samples_is_in_the_next_one() -> None:
    sampler = Sampler()
    sampler.peak(420)
    sampler.peak(300)
    batches = [armed(sampler, 1_000 + 10 * number, peak=250) for number in range(10)]
    assert batches[:9] == [None] * 9
    assert batches[9] is not None
    tick_ms, samples = batches[9]
    assert tick_ms == 1_000
    assert view_samples(samples)["depth_um"].tolist() == [420] + [250] * 9
    assert set(view_samples(samples)["flags"].tolist()) == {ARMED | CONTACT | NEEDLES_OUT}


def test_travel_too_long_for_a_sample_is_carried_and_none_is_lost() -> None:
    sampler = Sampler()
    steps = [3_000, -7, 13, -2_000, 5, 0, 0, 0, 0, 4]
    batch = [armed(sampler, 10 * number, dx=step, dy=-step) for number, step in enumerate(steps)][-1]
    assert batch is not None
    view = view_samples(batch[1])
    assert abs(10 * int(view["dx"].astype(int).sum()) - sum(steps)) < 10
    assert abs(10 * int(view["dy"].astype(int).sum()) + sum(steps)) < 10


def test_a_late_main_loop_begins_a_new_batch() -> None:
    sampler = Sampler()
    assert armed(sampler, 10) is None
    assert armed(sampler, 20) is None
    done = armed(sampler, 60, dt_ms=40)
    assert done is not None
    assert done[0] == 10
    assert len(done[1]) == 16


def test_disarmed_there_is_one_sample_at_once_after_what_was_left_and_then_one_a_second() -> None:
    sampler = Sampler()
    armed(sampler, 10)
    first = sampler.idle(20, 10, 0, 0)
    assert first is not None
    assert first[0] == 10
    given = [sampler.idle(20 + 10 * number, 10, number, 1) for number in range(1, 202)]
    assert [number for number, each in enumerate(given, 1) if each] == [1, 101, 201]
    assert given[0] is not None
    assert view_samples(given[0][1])["flags"].tolist() == [CONTACT]
    assert given[100] is not None
    assert view_samples(given[100][1])["force_mn"].tolist() == [101]


def test_while_the_needles_come_in_only_what_was_left_is_told() -> None:
    """A sample that is not armed says that no more are owed: too early while nobody knows that all is at rest."""
    sampler = Sampler()
    armed(sampler, 10)
    assert sampler.stopping() is not None
    assert [sampler.stopping() for _ in range(200)] == [None] * 200
    assert sampler.idle(2_020, 10, 0, 0) is not None


@pytest.mark.parametrize(("stroke_us", "hz"), [(0, 0), (10_000, 100), (6_667, 150), (1, 255), (65_535, 15)])
def test_rate_of_a_stroke_period(stroke_us: int, hz: int) -> None:
    assert rate_hz(stroke_us) == hz
