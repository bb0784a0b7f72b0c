"""What a hold of the button means: a symptom, or the hand-over (SR-SYM-1, SR-OWN-1). The press that begins it stops.

    where                                     from 3 s (`SYMPTOM_HOLD_MS`)       10 s (`HAND_OVER_HOLD_MS`)
    a pen that rests all the while, or tests  a symptom when it is let go        the hand-over opens; no symptom
    itself, with no session (`pairing.rests`)
    anywhere else, for any part of it         a symptom at once                  nothing more

A hold counts once. One clock decides, so what a person does is one of the two, or nothing, and never both. Where it
can't be a hand-over there is nothing to wait for: a session, a pen that is locked or could not stop.
Which symptom it is the button can't say: `Symptom.UNSAID`.

No order of a host takes a hold away. While one goes that may become the hand-over, and as long as that is open, none
ends the pen's rest, else whoever still has an owner's keys could keep the pen from the next one. For a new clock
(SR-INT-2) only a short press speaks, once it has ended.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from dermalink_protocol.limits import HAND_OVER_HOLD_MS, SYMPTOM_HOLD_MS
from dermalink_protocol.wire import U8
from dermalink_simulator.firmware.button import Button


class Meaning(IntEnum):
    """What a hold has just become."""

    NOTHING = 0
    SYMPTOM = 1
    HAND_OVER = 2


class Hold(NamedTuple):
    """`going`: a hold is under way; `rests`: the pen has rested since it began; `counted`: it has become something."""

    going: U8 = 0
    rests: U8 = 0
    counted: U8 = 0


NO_HOLD: Final = Hold()


def hold_step(hold: Hold, button: Button, idle: int) -> tuple[Hold, Button, Meaning]:
    """Hold and button after a look, and what the hold has become; `idle` is 1 while the pen rests.

    A hold that has ended is taken from the button; if another goes on already, that is for the next look.
    """
    if not (button.holds or button.ended_ms):
        return NO_HOLD, button, Meaning.NOTHING
    rests = idle if not hold.going else hold.rests & idle
    ended = button.ended_ms != 0
    meaning = Meaning.NOTHING
    if not hold.counted:
        meaning = _meaning(button.ended_ms or button.held_ms, rests=rests == 1, ended=ended)
    if ended:
        return NO_HOLD, button._replace(ended_ms=0), meaning
    return Hold(1, rests, int(hold.counted or meaning is not Meaning.NOTHING)), button, meaning


def _meaning(ms: int, *, rests: bool, ended: bool) -> Meaning:
    if ms < SYMPTOM_HOLD_MS:
        return Meaning.NOTHING
    if not rests:
        return Meaning.SYMPTOM
    if ms >= HAND_OVER_HOLD_MS:
        return Meaning.HAND_OVER
    return Meaning.SYMPTOM if ended else Meaning.NOTHING


def may_hand_over(hold: Hold, button: Button) -> bool:
    """Whether a fresh hold is going that is to be the hand-over if the pen rests on; one that no look has seen too."""
    fits = not hold.going or (hold.rests and not hold.counted)
    return bool(button.holds and fits)


def is_short_press(button: Button) -> bool:
    """Whether a press has just ended that was too short to be a hold; asked before `hold_step` takes it."""
    return 0 < button.ended_ms < SYMPTOM_HOLD_MS


def may_be_let_go(hold: Hold, held_ms: int) -> bool:
    """Whether letting go now reports a symptom."""
    return bool(hold.going and hold.rests and not hold.counted) and SYMPTOM_HOLD_MS <= held_ms < HAND_OVER_HOLD_MS
