"""The depth monitor as a pure function of its readings."""

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import ACCURACY_MAX_UM, DEPTH_CAP_UM, TOLERANCE_MAX_UM
from dermalink_simulator.firmware.monitor import (
    CLEAR,
    FEEDBACK_NOISE_UM,
    Monitor,
    Reading,
    drive_max_um,
    undeclared,
    watch,
)

ACCURACY_UM = 10
TOLERANCE_UM = 20


def stroke(peak_um: int, feedback_um: int | None = None) -> Reading:
    return Reading(0, peak_um, peak_um - 20 if feedback_um is None else feedback_um, 1)


def after(*readings: Reading, setting_um: int = 300) -> Monitor:
    monitor = CLEAR
    for reading in readings:
        monitor = watch(monitor, reading, setting_um, ACCURACY_UM, TOLERANCE_UM)
    return monitor


@pytest.mark.sr("SR-DEPTH-5", side="pen")
@pytest.mark.parametrize("setting_um", [0, 200, 500])
@pytest.mark.parametrize(
    "reading",
    [
        Reading(511, 0, 0, 0),
        Reading(0, 511, 0, 0),
        Reading(0, 65_535, 65_535, 1),
    ],
    ids=["now", "held", "at a stroke's end"],
)
def test_over_the_cap_latches_at_once_whatever_the_setting(setting_um: int, reading: Reading) -> None:
    assert after(reading, setting_um=setting_um).latched == Reason.DEPTH_EXCEEDED


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_the_cap_and_its_accuracy_are_allowed() -> None:
    assert not after(*[stroke(510)] * 5, setting_um=500).latched


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_three_strokes_running_over_the_setting_latch_at_the_third() -> None:
    assert not after(stroke(311), stroke(311)).latched
    assert after(stroke(311), stroke(311), stroke(311)).latched == Reason.DEPTH_OVER_SETTING


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_a_good_stroke_starts_the_count_again() -> None:
    assert not after(stroke(311), stroke(311), stroke(310), stroke(311), stroke(311)).latched


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_a_peak_counts_for_its_stroke_though_the_stroke_ends_in_a_later_reading() -> None:
    half, end = Reading(311, 311, 291, 0), Reading(100, 100, 100, 1)
    assert after(half, end, half, end, half, end).latched == Reason.DEPTH_OVER_SETTING


@pytest.mark.sr("SR-DEPTH-7", side="pen")
@pytest.mark.parametrize(
    ("feedback_um", "latched"), [(325, 0), (326, Reason.SENSORS_DISAGREE), (275, 0), (274, Reason.SENSORS_DISAGREE)]
)
def test_sensor_and_feedback_too_far_apart_in_one_stroke_latch(feedback_um: int, latched: int) -> None:
    assert after(stroke(300, feedback_um), setting_um=400).latched == latched


@pytest.mark.sr("SR-DEPTH-5", "SR-DEPTH-7", side="pen")
@pytest.mark.parametrize("strokes", [0, 1])
def test_feedback_over_the_drives_part_of_the_tolerance_latches_at_once(strokes: int) -> None:
    assert drive_max_um(300, TOLERANCE_UM) == 300 - TOLERANCE_UM + TOLERANCE_UM // 2 + FEEDBACK_NOISE_UM == 292
    assert not after(Reading(0, 300, 292, strokes)).latched
    assert after(Reading(0, 300, 293, strokes)).latched == Reason.DRIVE_FAULT
    assert not after(Reading(0, 0, 293, strokes), setting_um=0).latched


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_what_is_latched_stays() -> None:
    latched = after(stroke(600))
    assert watch(latched, stroke(0), 300, ACCURACY_UM, TOLERANCE_UM) is latched


def test_a_stroke_cut_short_is_forgotten_once_the_needles_are_in() -> None:
    cut = after(Reading(300, 300, 290, 0))
    assert cut.held_um == 300
    assert watch(cut, Reading(0, 0, 0, 0), 0, ACCURACY_UM, TOLERANCE_UM) == CLEAR


@pytest.mark.sr("SR-DEPTH-5", "SR-DEPTH-6", side="pen")
@pytest.mark.parametrize(
    ("accuracy_um", "tolerance_um", "reason"),
    [
        (1, 1, Reason.NONE),
        (ACCURACY_MAX_UM, TOLERANCE_MAX_UM, Reason.NONE),
        (0, 25, Reason.ACCURACY_UNDECLARED),
        (ACCURACY_MAX_UM + 1, 25, Reason.ACCURACY_UNDECLARED),
        (10, 0, Reason.TOLERANCE_UNDECLARED),
        (10, TOLERANCE_MAX_UM + 1, Reason.TOLERANCE_UNDECLARED),
        (0xFFFF, 0xFFFF, Reason.ACCURACY_UNDECLARED),
    ],
)
def test_a_pen_that_declares_nothing_or_too_much_gets_no_therapy(
    accuracy_um: int, tolerance_um: int, reason: Reason
) -> None:
    assert undeclared(accuracy_um, tolerance_um) is reason


def test_the_cap_is_the_contracts() -> None:
    assert after(Reading(DEPTH_CAP_UM + ACCURACY_UM + 1, 0, 0, 0)).latched
    assert not after(Reading(DEPTH_CAP_UM + ACCURACY_UM, 0, 0, 0)).latched
