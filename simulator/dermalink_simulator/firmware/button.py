"""The pen's own button: fresh presses, told from a button that is held or stuck (SR-STOP-5, SR-STOP-6)."""

from typing import Final, NamedTuple

from dermalink_protocol.wire import U8, U16

RELEASED_MS: Final = 20  # contact bounce of a small tact switch is under 10 ms (assumption), twice that to be sure
HELD_MAX_MS: Final = 0xFFFF


class Button(NamedTuple):
    """Whether the button is down, for how long it has been so (saturating), and for how long it was up before."""

    down: U8 = 1
    down_ms: U16 = 0
    up_ms: U16 = 0


AT_POWER_UP: Final = Button()  # taken as down until seen up, so that a held or stuck button is never a fresh press


def button_step(button: Button, dt_ms: int, down: int) -> tuple[Button, int]:
    """The button after `dt_ms`, and 1 when it was freshly pressed; any reader may call it, the first one sees it."""
    was_down, down_ms, up_ms = button
    if down:
        if was_down:
            if down_ms == HELD_MAX_MS:
                return button, 0
            return Button(1, min(down_ms + dt_ms, HELD_MAX_MS), 0), 0
        return Button(1, 0, 0), int(up_ms >= RELEASED_MS)
    if was_down:
        return Button(0, 0, 0), 0
    if up_ms >= RELEASED_MS:
        return button, 0
    return Button(0, 0, min(up_ms + dt_ms, HELD_MAX_MS)), 0
