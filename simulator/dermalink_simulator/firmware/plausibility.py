"""Whether contact and force can both be true, as a pure step over integers, while the motor turns (SR-BIST-1).

Two things are told of a pair that nothing else watches: that one says skin and the other says none, and that a force
which has been seen to be uneven, as every hand's is, has stood still to the last digit. A force that was never seen
uneven is not judged by that. Of travel there is one sensor alone, and one that drifts looks like a hand that moves.
"""

from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.wire import U8, U16

TOUCH_MN: Final = 20  # less is no touch: contact closes from 50 mN on, and the zero of a force cell stands (assumption)
AIR_MN: Final = 200  # more is one: twice the uneven part of a light hand, and 50 mN that contact needs (assumption)
APART_MS: Final = 200  # contact bounces and lags behind force for 20 ms at most (assumption), ten times that
EASE_SLOWNESS: Final = 4  # a pair that agrees wins time back so much more slowly: one reading in five may err
UNEVEN: Final = 20  # readings running, each unlike the one before, after which a force is known to be uneven
STILL_MS: Final = 200  # 20 equal readings, where the physics' noise of 60 mN has two alike in 1 of 70

_SENSOR_FAULT: Final = int(Reason.SENSOR_FAULT)


class Pair(NamedTuple):
    """How long contact and force have contradicted each other, and how long an uneven force has stood still.

    `force_mn` is the last reading in touch, 0 when there was none; `uneven` counts readings
    running that were unlike the one before, and stays at `UNEVEN` once it is there.
    """

    apart_ms: U16 = 0
    still_ms: U16 = 0
    force_mn: U16 = 0
    uneven: U8 = 0


UNSEEN: Final = Pair()


def touches(contact: int, force_mn: int) -> int:
    """1 where either says that there is skin: what is counted against a budget may not depend on one of them."""
    return 1 if contact or force_mn >= AIR_MN else 0


def pair_step(pair: Pair, dt_ms: int, contact: int, force_mn: int) -> tuple[Pair, int]:
    """The pair after a main-loop tick of a motor that turns, and the reason to stop, 0 for none."""
    apart_ms, still_ms, last_mn, uneven = pair
    if (force_mn < TOUCH_MN) if contact else (force_mn > AIR_MN):
        apart_ms += dt_ms
        if apart_ms >= APART_MS:
            return Pair(0, 0, 0, uneven), _SENSOR_FAULT
    elif apart_ms:
        apart_ms = max(0, apart_ms - dt_ms // EASE_SLOWNESS)
    if force_mn < TOUCH_MN:
        still_ms = last_mn = 0
    elif force_mn != last_mn:
        if last_mn and uneven < UNEVEN:
            uneven += 1
        still_ms, last_mn = 0, force_mn
    elif uneven < UNEVEN:
        uneven = 0
    else:
        still_ms += dt_ms
        if still_ms >= STILL_MS:
            return Pair(0, 0, 0, uneven), _SENSOR_FAULT
    return tuple.__new__(Pair, (apart_ms, still_ms, last_mn, uneven)), 0


def rested(pair: Pair) -> Pair:
    """The motor stands: times begin anew, what is known of the force's unevenness stays."""
    return Pair(uneven=pair.uneven) if pair[:3] != (0, 0, 0) else pair
