"""Dwell, pressure and rate, as pure steps."""

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.detectors import (
    FRESH,
    STEADY,
    Dwell,
    Touch,
    dwell_step,
    force_step,
    new_spot,
    rate_step,
    resumed,
    shape_of,
)

GLIDE = shape_of(6_000, stamp=False)
STAMP = shape_of(6_000, stamp=True)
STILL = Touch(1, 1, 0, 0, 0)
AWAY = Touch(0, 0, 0, 0, 0)


def dwell_after(touches: list[Touch], head: object = GLIDE, dwell: Dwell = FRESH) -> tuple[Dwell, int | None]:
    """What is remembered, and after how many milliseconds it tripped first."""
    tripped = None
    for number, touch in enumerate(touches, 1):
        dwell, reason = dwell_step(dwell, 10, touch, head)  # type: ignore[arg-type]
        if reason and tripped is None:
            assert reason == Reason.DWELL
            tripped = number * 10
    return dwell, tripped


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_head_that_stays_pauses_after_half_a_second() -> None:
    assert dwell_after([STILL] * 60)[1] == 500


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_head_that_moves_never_pauses() -> None:
    assert dwell_after([Touch(1, 1, 100, 0, 0)] * 1_000)[1] is None


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_rubbing_to_and_fro_is_dwelling_since_net_travel_counts() -> None:
    there, back = [Touch(1, 1, 200, 0, 0)] * 5, [Touch(1, 1, -200, 0, 0)] * 5
    assert dwell_after((there + back) * 10)[1] == 500


@pytest.mark.sr("SR-PASS-4", side="pen")
@pytest.mark.parametrize(("step_um", "trips"), [(59, True), (60, False)])
def test_three_millimetres_in_half_a_second_is_the_line(step_um: int, trips: bool) -> None:
    assert (dwell_after([Touch(1, 1, step_um, 0, 0)] * 60)[1] is not None) is trips


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_punctures_in_one_spot_pause_before_the_half_second() -> None:
    assert GLIDE.spot_punctures_max == 565
    _, tripped = dwell_after([Touch(1, 1, 20, 0, 24)] * 60)
    assert tripped == 240


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_head_width_of_travel_forgets_the_spot() -> None:
    assert dwell_after([Touch(1, 1, 200, 0, 18)] * 500)[1] is None


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_pausing_in_contact_resets_nothing() -> None:
    paused = Touch(1, 0, 0, 0, 0)
    _, tripped = dwell_after([STILL] * 40 + [paused] * 100 + [STILL] * 10)
    assert tripped == (40 + 100 + 10) * 10


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_bounce_resets_nothing_and_a_lift_does() -> None:
    assert dwell_after([STILL] * 40 + [AWAY] * 5 + [STILL] * 10)[1] is not None
    assert dwell_after([STILL] * 40 + [AWAY] * 30 + [STILL] * 49)[1] is None


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_pecking_one_spot_with_a_glide_head_pauses_however_long_it_is_lifted() -> None:
    press = [Touch(1, 1, 0, 0, 12)] * 45
    for lift_ms in (310, 5_000, 100_000):
        assert dwell_after((press + [AWAY] * (lift_ms // 10)) * 2)[1] == 450 + lift_ms + 30


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_spot_is_forgotten_by_travel_in_contact_also_after_a_lift() -> None:
    line = [Touch(1, 1, 200, 0, 7)] * 40
    assert dwell_after((line + [AWAY] * 50) * 20)[1] is None


@pytest.mark.sr("SR-PASS-4", "SR-PASS-2", side="pen")
@pytest.mark.parametrize(("lift_ms", "left"), [(990, 565), (1_000, 282)])
def test_going_on_forgets_half_a_spot_only_after_a_lift(lift_ms: int, left: int) -> None:
    dwell, _ = dwell_after([Touch(1, 1, 0, 0, 565)] + [AWAY] * (lift_ms // 10) + [Touch(1, 0, 0, 0, 0)])
    assert resumed(dwell).spot_punctures == left
    worked, _ = dwell_after([STILL], dwell=dwell)
    assert resumed(worked).spot_punctures == 565


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_pass_that_begins_counts_its_spot_anew() -> None:
    dwell, _ = dwell_after([Touch(1, 1, 0, 0, 565)])
    assert new_spot(dwell).spot_punctures == 0


@pytest.mark.sr("SR-PASS-4", side="pen")
@pytest.mark.parametrize(("lift_ms", "trips"), [(10, True), (190, True), (200, False), (250, False)])
def test_a_stamp_has_to_be_lifted_long_enough_to_move_on(lift_ms: int, trips: bool) -> None:
    press = [Touch(1, 1, 0, 0, 7)] * 39
    assert (dwell_after((press + [AWAY] * (lift_ms // 10)) * 5, STAMP)[1] is not None) is trips


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_stamp_heads_press_is_bounded_and_needs_a_lift() -> None:
    assert dwell_after([STILL] * 40, STAMP)[1] is None
    dwell, tripped = dwell_after([STILL] * 41, STAMP)
    assert tripped == 410
    assert dwell_after([STILL], STAMP, dwell)[1] == 10
    assert dwell_after([AWAY] + [STILL] * 40, STAMP, dwell)[1] is None


@pytest.mark.sr("SR-PASS-5", side="pen")
def test_pressure_pauses_after_a_while_and_stops_at_once() -> None:
    over_ms, reasons = 0, []
    for _ in range(20):
        over_ms, reason = force_step(over_ms, 10, 2_001)
        reasons.append(reason)
    assert reasons == [0] * 19 + [Reason.FORCE_HIGH]
    assert force_step(0, 10, 4_001)[1] == Reason.FORCE_TOO_HIGH
    assert force_step(200, 1_000, 3_000) == (200, Reason.FORCE_HIGH)


@pytest.mark.sr("SR-PASS-5", side="pen")
def test_moments_of_ease_hide_no_hard_press_and_time_wins_it_back() -> None:
    over_ms, reasons = 0, []
    for _ in range(2):
        for force_mn in [3_800] * 19 + [1_500]:
            over_ms, reason = force_step(over_ms, 10, force_mn)
            reasons.append(reason)
    assert reasons.index(Reason.FORCE_HIGH) == 21
    assert force_step(190, 10, 2_000) == (185, 0)
    assert force_step(190, 380, 2_000) == (0, 0)


@pytest.mark.sr("SR-RATE-1", side="pen")
@pytest.mark.parametrize(
    ("hz_times_ten", "first"),
    [
        (1_000, None),
        (1_099, None),
        (901, None),
        (1_110, (20, Reason.RATE_OFF)),
        (890, (20, Reason.RATE_OFF)),
        (1_210, (1, Reason.RATE_OVER)),
    ],
)
def test_the_rate_is_held_to_its_band(hz_times_ten: int, first: tuple[int, int] | None) -> None:
    rate, found = STEADY, None
    for number in range(1, 41):
        rate, reason = rate_step(rate, 10, 1, 10_000_000 // hz_times_ten, 100)
        if reason and found is None:
            found = number, reason
    assert found == first


@pytest.mark.sr("SR-RATE-1", side="pen")
def test_a_motor_that_stalls_is_seen_after_a_tenth_of_a_second() -> None:
    rate, reasons = STEADY, []
    for _ in range(10):
        rate, reason = rate_step(rate, 10, 0, 10_000, 100)
        reasons.append(reason)
    assert reasons == [0] * 9 + [Reason.STALLED]
