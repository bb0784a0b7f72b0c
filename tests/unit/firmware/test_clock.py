"""The clock as pure steps: what really ran, and what became of the time of day."""

import pytest

from dermalink_simulator.firmware.clock import (
    SESSION_MAX_S,
    SPARE_MAX_MS,
    SPARE_MS,
    ClockWatch,
    at_boot,
    believed,
    look,
    ticked,
    was_set,
)
from dermalink_simulator.therapy.state import Clock

DAY_S = 86_400
NOW = ClockWatch(1_800_000_000, 5_000)


@pytest.mark.sr("SR-INT-2", side="pen")
def test_time_that_ran_is_the_chips_count_whatever_the_time_of_day_says() -> None:
    watch, ran = look(NOW, NOW.utc_s + 14 * DAY_S, NOW.ran_s + 1)
    assert (ran.seconds, ran.jumped, watch.trouble) == (1, True, Clock.SOUND)


@pytest.mark.sr("SR-INT-1", side="pen")
def test_a_time_of_day_that_goes_back_is_trouble_until_it_is_set() -> None:
    watch, _ = look(NOW, NOW.utc_s - 3, NOW.ran_s + 1)
    assert watch.trouble == Clock.BACK
    watch, _ = look(watch, NOW.utc_s + 100, NOW.ran_s + 2)
    assert watch.trouble == Clock.BACK
    assert was_set(watch, NOW.utc_s + 100).trouble == Clock.SOUND


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_lost_clock_is_trouble_until_it_is_set() -> None:
    watch, _ = look(NOW, 0, NOW.ran_s + 1)
    assert watch.trouble == Clock.LOST
    assert look(watch, NOW.utc_s, 1)[0].trouble == Clock.LOST


def test_rounding_is_no_trouble() -> None:
    for utc, ran in ((1, 0), (0, 1), (2, 1), (1, 2)):
        watch, found = look(NOW, NOW.utc_s + utc, NOW.ran_s + ran)
        assert watch.trouble == Clock.SOUND
        assert not found.jumped


@pytest.mark.sr("SR-INT-1", "SR-INT-2", side="pen")
def test_an_off_time_counts_by_the_chip() -> None:
    assert at_boot(NOW, NOW.utc_s + 9, NOW.ran_s + 10, pass_was_open=False)[1] == 10
    assert at_boot(NOW, NOW.utc_s + 14 * DAY_S, NOW.ran_s + 10, pass_was_open=False)[1] == 10


@pytest.mark.sr("SR-INT-2", side="pen")
@pytest.mark.parametrize(
    ("utc_s", "ran_s", "trouble"),
    [(0, 5_100, Clock.LOST), (NOW.utc_s - 1, 5_100, Clock.BACK), (NOW.utc_s + 5, 3, Clock.SOUND)],
    ids=["lost", "back", "count restarted"],
)
def test_after_an_off_time_that_cannot_be_believed_nothing_has_passed(utc_s: int, ran_s: int, trouble: int) -> None:
    watch, passed_s = at_boot(NOW, utc_s, ran_s, pass_was_open=False)
    assert watch.trouble == trouble
    if trouble != Clock.BACK:
        assert passed_s == 0


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_recorded_trouble_outlives_power() -> None:
    recorded = NOW._replace(trouble=int(Clock.BACK))
    assert at_boot(recorded, NOW.utc_s + 99, NOW.ran_s + 99, pass_was_open=False)[0].trouble == Clock.BACK


@pytest.mark.sr("SR-INT-1", side="pen")
def test_after_a_pass_that_power_cut_short_the_wait_runs_from_the_latest_possible_stroke() -> None:
    passed = [at_boot(NOW, NOW.utc_s + s, NOW.ran_s + s, pass_was_open=True)[1] for s in (10, SESSION_MAX_S + 7)]
    assert passed == [0, 7]


@pytest.mark.sr("SR-BIST-1", "SR-INT-2", side="pen")
@pytest.mark.parametrize("chip_ms", [100, 500, 833, 999, 1_000, 1_001, 1_500])
@pytest.mark.parametrize("dt_ms", [10, 400, 1_000])
def test_no_more_seconds_of_the_chip_are_believed_than_ticks_have_run(dt_ms: int, chip_ms: int) -> None:
    """`chip_ms` is what a second of the chip really takes."""
    spare_ms, told_s, counted_s = SPARE_MS, 0, 0
    for now_ms in range(dt_ms, 600_001, dt_ms):
        spare_ms = ticked(spare_ms, dt_ms)
        spare_ms, seconds = believed(spare_ms, now_ms // chip_ms - told_s)
        told_s = now_ms // chip_ms
        counted_s += seconds
        assert 0 <= spare_ms <= SPARE_MAX_MS
        assert counted_s * 1_000 <= now_ms + SPARE_MS
        if chip_ms >= 1_000:
            assert counted_s == told_s, "a sound chip, and one that runs slow, is believed each second"
