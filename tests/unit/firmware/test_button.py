"""Fresh presses of the pen's own button."""

import pytest

from dermalink_simulator.firmware.button import AT_POWER_UP, HELD_MAX_MS, Button, button_step


def presses(downs: list[int], button: Button = AT_POWER_UP) -> int:
    count = 0
    for down in downs:
        button, pressed = button_step(button, 5, down)
        count += pressed
    return count


@pytest.mark.sr("SR-STOP-5", side="pen")
def test_a_button_held_since_power_up_is_no_press() -> None:
    assert presses([1] * 1_000) == 0


@pytest.mark.sr("SR-STOP-5", side="pen")
def test_a_press_counts_once_however_long_it_is_held() -> None:
    assert presses([0] * 10 + [1] * 1_000) == 1


@pytest.mark.sr("SR-STOP-6", side="pen")
def test_a_press_is_seen_in_the_reading_that_shows_it() -> None:
    button = AT_POWER_UP
    for _ in range(10):
        button, pressed = button_step(button, 5, 0)
        assert not pressed
    assert button_step(button, 5, 1)[1] == 1


def test_bounces_are_not_presses() -> None:
    assert presses([0] * 10 + [1, 0, 1, 0, 1] + [1] * 10) == 1


def test_the_timer_saturates() -> None:
    button, _ = button_step(Button(1, HELD_MAX_MS - 1, 0, 1, HELD_MAX_MS - 1), 1_000, 1)
    assert (button.down_ms, button.held_ms) == (HELD_MAX_MS, HELD_MAX_MS)
    assert button_step(button, 1_000, 1) == (button, 0)
