"""The pen's own button: fresh presses, and how long it is held, told from one that is stuck (SR-STOP-5, SR-STOP-6).

A press counts in the reading that shows it, since it stops. A hold needs longer looks, as contacts bounce: it begins
with a fresh press and ends once the button is up for `BOUNCE_MS`; shorter gaps do not end it, and time down in shorter
stretches does not count for it. So bounces neither end a hold nor make one.
"""

from typing import Final, NamedTuple

from dermalink_protocol.wire import U8, U16

BOUNCE_MS: Final = 20  # contact bounce of a small tact switch is under 10 ms (assumption), twice that to be sure
HELD_MAX_MS: Final = 0xFFFF


class Button(NamedTuple):
    """Whether the button reads down, and for how long it has done so, or was up before; times go no further than u16.

    `holds` is 1 from a fresh press until the button is up for good, `held_ms` what counts of that so far, and
    `ended_ms` what counted of the longest hold that has ended since somebody asked.
    """

    down: U8 = 1
    down_ms: U16 = 0
    up_ms: U16 = 0
    holds: U8 = 0
    held_ms: U16 = 0
    ended_ms: U16 = 0


AT_POWER_UP: Final = Button()  # taken as down until seen up, so that a held or stuck button is never a fresh press


def button_step(button: Button, dt_ms: int, down: int) -> tuple[Button, int]:
    """The button after `dt_ms`, and 1 when it was freshly pressed; any reader may call it, the first one sees it."""
    was_down, down_ms, up_ms, holds, held_ms, ended_ms = button
    if down:
        if not was_down:
            fresh = int(up_ms >= BOUNCE_MS)
            return Button(1, 0, 0, 1 if fresh else holds, 0 if fresh else held_ms, ended_ms), fresh
        if down_ms == HELD_MAX_MS:
            return button, 0
        now_ms = min(down_ms + dt_ms, HELD_MAX_MS)
        if holds and now_ms >= BOUNCE_MS:
            held_ms = min(held_ms + (dt_ms if down_ms >= BOUNCE_MS else now_ms), HELD_MAX_MS)
        return Button(1, now_ms, 0, holds, held_ms, ended_ms), 0
    if was_down:
        return Button(0, 0, 0, holds, held_ms, ended_ms), 0
    if up_ms >= BOUNCE_MS:
        return button, 0
    up_ms = min(up_ms + dt_ms, HELD_MAX_MS)
    if up_ms >= BOUNCE_MS:
        holds, held_ms, ended_ms = 0, 0, max(ended_ms, held_ms)
    return Button(0, 0, up_ms, holds, held_ms, ended_ms), 0


def settled(button: Button) -> bool:
    """Whether time that passes changes nothing that anybody waits for."""
    return not button.holds and (button.down == 1 or button.up_ms >= BOUNCE_MS)
