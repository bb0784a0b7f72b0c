"""Contact against force: what can't both be true, and a force that stands still as no hand's does."""

from collections.abc import Iterable

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_simulator.firmware.plausibility import (
    AIR_MN,
    APART_MS,
    EASE_SLOWNESS,
    STILL_MS,
    TOUCH_MN,
    UNEVEN,
    UNSEEN,
    Pair,
    pair_step,
    rested,
    touches,
)

pytestmark = pytest.mark.sr("SR-BIST-1", side="pen")
TICK_MS = 10
KNOWN = Pair(uneven=UNEVEN)


def told_after_ms(readings: Iterable[tuple[int, int]], pair: Pair = UNSEEN) -> int:
    """After how long these readings, a tick each, are told to be impossible; 0 for never."""
    for number, (contact, force_mn) in enumerate(readings, 1):
        pair, reason = pair_step(pair, TICK_MS, contact, force_mn)
        if reason:
            assert reason == Reason.SENSOR_FAULT
            return number * TICK_MS
    return 0


@pytest.mark.parametrize(("contact", "force_mn"), [(1, 0), (1, TOUCH_MN - 1), (0, AIR_MN + 1), (0, 5_000)])
def test_skin_to_the_one_and_air_to_the_other_is_told_in_time(contact: int, force_mn: int) -> None:
    assert told_after_ms([(contact, force_mn)] * 100) == APART_MS


@pytest.mark.parametrize(("contact", "force_mn"), [(1, TOUCH_MN), (0, AIR_MN), (0, 0)])
def test_what_either_may_read_beside_the_other_is_told_never(contact: int, force_mn: int) -> None:
    assert told_after_ms([(contact, force_mn)] * 1_000) == 0


def test_a_contact_that_errs_in_one_reading_of_six_is_believed_and_one_in_three_is_not() -> None:
    assert EASE_SLOWNESS == 4
    assert told_after_ms(((number % 6 != 0), 1_000 + number % 2) for number in range(10_000)) == 0
    assert told_after_ms(((number % 3 != 0), 1_000 + number % 2) for number in range(10_000)) > APART_MS


def test_a_known_uneven_force_that_stands_still_is_told_and_one_never_seen_uneven_is_not() -> None:
    still = [(1, 1_000)] * 1_000
    assert told_after_ms(still) == 0
    assert told_after_ms(still, KNOWN) == STILL_MS + TICK_MS
    uneven = [(1, 1_000 + number % 2) for number in range(UNEVEN, -1, -1)]
    assert told_after_ms(uneven + still) == (len(uneven) * TICK_MS + STILL_MS)
    assert told_after_ms(uneven[1:] + still) == 0


def test_touching_down_again_and_again_is_no_unevenness() -> None:
    pair = UNSEEN
    for number in range(1_000):
        pair, reason = pair_step(pair, TICK_MS, int(number % 10 < 5), 1_000 if number % 10 < 5 else 0)
        assert not reason
    assert pair.uneven == 0


def test_times_go_no_further_than_their_limits_and_begin_anew_at_rest() -> None:
    pair = KNOWN
    for number in range(10_000):
        pair, _ = pair_step(pair, TICK_MS, number % 5 % 2, 1_000 if number % 7 < 4 else 0)
        assert pair.apart_ms < APART_MS
        assert pair.still_ms < STILL_MS
        assert pair.uneven == UNEVEN
    assert rested(Pair(50, 60, 70, 8)) == Pair(uneven=8)
    assert rested(KNOWN) is KNOWN


def test_either_of_the_two_is_enough_to_count_a_stroke_as_touching() -> None:
    assert [touches(contact, force) for contact, force in ((0, 0), (0, AIR_MN), (1, 0), (1, AIR_MN))] == [0, 1, 1, 1]
