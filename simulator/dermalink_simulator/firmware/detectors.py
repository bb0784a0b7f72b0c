"""Dwell, pressure and rate, as pure steps over integers with saturating timers and windows of fixed size.

Each step takes what it remembers and one main-loop tick's measurement, and gives what it remembers now and the reason
to pause or stop, 0 for none. What the reason leads to is the therapy core's to say.
"""

from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import (
    DWELL_PUNCTURES_PER_CM2,
    DWELL_TRAVEL_UM,
    DWELL_WINDOW_MS,
    FORCE_PAUSE_AFTER_MS,
    FORCE_PAUSE_MN,
    FORCE_STOP_MN,
    LIFT_RETRACT_MS,
    RATE_BAND_AFTER_MS,
    RATE_BAND_PERCENT,
    RATE_OVER_PERCENT,
    RATE_STALL_MS,
    STAMP_PRESS_MAX_MS,
)
from dermalink_protocol.wire import I32, U8, U16, U32

BUCKETS: Final = 10  # the dwell window moves on in steps of a tenth of its length
BUCKET_MS: Final = DWELL_WINDOW_MS // BUCKETS
TIMER_MAX_MS: Final = 0xFFFF
STAMP_MOVED_MS: Final = 200  # to lift, move one head width and press takes a hand as long (assumption)
GLIDE_MOVED_MS: Final = 1_000  # to lift and begin elsewhere (assumption)
CYCLE: Final = 100_000_000  # stroke_us x rate_hz x percent of a stroke at exactly that percentage of the rate

_FORCE_STOP_MN: Final = int(FORCE_STOP_MN)
_FORCE_PAUSE_MN: Final = int(FORCE_PAUSE_MN)
_FORCE_PAUSE_AFTER_MS: Final = int(FORCE_PAUSE_AFTER_MS)
_EASE_SLOWNESS: Final = 2  # how much more slowly than it is spent the time over the limit is won back (assumption)
_OVER: Final = int(RATE_OVER_PERCENT)
_BAND_HIGH: Final = 100 + RATE_BAND_PERCENT
_BAND_LOW: Final = 100 - RATE_BAND_PERCENT
_BAND_AFTER_MS: Final = int(RATE_BAND_AFTER_MS)
_STALL_MS: Final = int(RATE_STALL_MS)
_TRAVEL_SQUARED: Final = int(DWELL_TRAVEL_UM) ** 2
_LIFT_MS: Final = int(LIFT_RETRACT_MS)
_PRESS_MS: Final = int(STAMP_PRESS_MAX_MS)
_DWELL: Final = int(Reason.DWELL)
_STALLED: Final = int(Reason.STALLED)
_RATE_OVER: Final = int(Reason.RATE_OVER)
_RATE_OFF: Final = int(Reason.RATE_OFF)
_FORCE_HIGH: Final = int(Reason.FORCE_HIGH)
_FORCE_TOO_HIGH: Final = int(Reason.FORCE_TOO_HIGH)


def force_step(over_ms: int, dt_ms: int, force_mn: int) -> tuple[int, int]:
    """Light pressure (SR-PASS-5): how long the force has been over the pause limit, and the reason.

    Time under the limit wins back half of what time over it spends, so that moments of ease hide no hard press.
    """
    if force_mn <= _FORCE_PAUSE_MN:
        return max(0, over_ms - dt_ms // _EASE_SLOWNESS), 0
    over_ms = min(over_ms + dt_ms, _FORCE_PAUSE_AFTER_MS)
    if force_mn > _FORCE_STOP_MN:
        return over_ms, _FORCE_TOO_HIGH
    return over_ms, _FORCE_HIGH if over_ms >= _FORCE_PAUSE_AFTER_MS else 0


class Rate(NamedTuple):
    """How long the rate has been out of its band, and how long no stroke has ended."""

    off_ms: U16 = 0
    quiet_ms: U16 = 0


STEADY: Final = Rate()


def rate_step(rate: Rate, dt_ms: int, strokes: int, stroke_us: int, rate_hz: int) -> tuple[Rate, int]:
    """The stamp rate by stroke period (SR-RATE-1), only while the motor is up to speed; `rate_hz` is what was set."""
    off_ms, quiet_ms = rate
    if not strokes:
        quiet_ms += dt_ms
        if quiet_ms > TIMER_MAX_MS:
            quiet_ms = TIMER_MAX_MS
        if quiet_ms >= _STALL_MS:
            return Rate(off_ms, quiet_ms), _STALLED
        if off_ms:
            off_ms = min(off_ms + dt_ms, TIMER_MAX_MS)
        return Rate(off_ms, quiet_ms), _RATE_OFF if off_ms >= _BAND_AFTER_MS else 0
    cycle = stroke_us * rate_hz
    if cycle * _OVER < CYCLE:
        return rate, _RATE_OVER
    if cycle * _BAND_HIGH >= CYCLE >= cycle * _BAND_LOW:
        return STEADY, 0
    off_ms = min(off_ms + dt_ms, TIMER_MAX_MS)
    return Rate(off_ms, 0), _RATE_OFF if off_ms >= _BAND_AFTER_MS else 0


class Dwell(NamedTuple):
    """Where the head has been lately, in displacements, so that no position ever wraps.

    `window` holds dx, dy of the last `BUCKETS` buckets of working time, oldest first, and `sum_x_um`, `sum_y_um`
    their sums; `filled` says how many are real. `bucket_*` is the one under way. `spot_*` is the displacement since
    the head last had moved one head width, `spot_punctures` what it left there. `press_ms` is this press of a stamp
    head, `away_ms` how long there has been no contact, `moved` 1 once a lift was long enough to go elsewhere and until
    needles work again.
    """

    window: tuple[int, ...] = (0,) * (2 * BUCKETS)
    filled: U8 = 0
    sum_x_um: I32 = 0
    sum_y_um: I32 = 0
    bucket_ms: U16 = 0
    bucket_x_um: I32 = 0
    bucket_y_um: I32 = 0
    spot_x_um: I32 = 0
    spot_y_um: I32 = 0
    spot_punctures: U32 = 0
    press_ms: U16 = 0
    away_ms: U16 = 0
    moved: U8 = 0


FRESH: Final = Dwell()


class Touch(NamedTuple):
    """One tick of touching: working is 1 while needles are out; punctures are those of this tick."""

    contact: U8
    working: U8
    dx_um: I32
    dy_um: I32
    punctures: U16


class HeadShape(NamedTuple):
    """What dwell needs to know of the head: its width, whether it is pressed and lifted, punctures in one spot."""

    width_um: U16
    stamp: U8
    spot_punctures_max: U32


def shape_of(width_um: int, *, stamp: bool) -> HeadShape:
    """The head's shape; its face is a disc of `width_um` across (6 mm gives 0.28 cm2, as in design.md)."""
    # 2000 per cm2 x pi / 4 x width squared: pi / 4 is 0.785, rounded down, and 1 cm2 is 10^8 square micrometres.
    punctures = DWELL_PUNCTURES_PER_CM2 * 785 * width_um * width_um // 100_000_000_000
    return HeadShape(width_um, int(stamp), punctures)


def new_spot(dwell: Dwell) -> Dwell:
    """A pass begins: it counts anew."""
    return dwell._replace(spot_x_um=0, spot_y_um=0, spot_punctures=0)


def resumed(dwell: Dwell) -> Dwell:
    """A pass goes on: half of the spot is forgotten if the head was away long enough to be put down elsewhere.

    So a person who was paused for dwelling can go on, and what that forgets is bounded by SR-PASS-2's resumes.
    """
    return dwell._replace(spot_punctures=dwell.spot_punctures // 2) if dwell.moved else dwell


def _away(dwell: Dwell, away_ms: int, head: HeadShape) -> Dwell:
    """Dwell while there is no contact."""
    if head.stamp and away_ms >= STAMP_MOVED_MS:
        return FRESH
    if not (head.stamp or away_ms >= _LIFT_MS):
        return dwell._replace(away_ms=away_ms)
    moved = 1 if away_ms >= GLIDE_MOVED_MS else dwell.moved
    if not dwell.spot_punctures:
        return FRESH
    return Dwell(spot_punctures=dwell.spot_punctures, away_ms=away_ms, moved=moved)


def dwell_step(dwell: Dwell, dt_ms: int, touch: Touch, head: HeadShape) -> tuple[Dwell, int]:
    """Dwell after a tick (SR-PASS-4), and the reason to pause.

    Time counts only while needles are out, travel whenever there is contact: so a pause in contact resets nothing.
    A lift ends a press and its dwelling (of a stamp head at once, of another after the time that also takes the needles
    in) and does not forget the spot, since the pen does not see where it is put down again: what a glide head left is
    kept until it has travelled one head width in contact, what a stamp head left until a lift long enough to move on.
    """
    contact, working, dx_um, dy_um, punctures = touch
    if not contact:
        if dwell is FRESH:
            return dwell, 0
        return _away(dwell, min(dwell.away_ms + dt_ms, TIMER_MAX_MS), head), 0
    window, filled, sum_x, sum_y, bucket_ms, bucket_x, bucket_y, spot_x, spot_y, spot, press_ms, _, moved = dwell
    bucket_x += dx_um
    bucket_y += dy_um
    spot_x += dx_um
    spot_y += dy_um
    spot += punctures
    if spot_x * spot_x + spot_y * spot_y >= head.width_um * head.width_um:
        spot_x, spot_y, spot = 0, 0, punctures
    tripped = 0
    if working:
        moved = 0
        bucket_ms += dt_ms
        press_ms = min(press_ms + dt_ms, TIMER_MAX_MS)
        if bucket_ms >= BUCKET_MS:
            sum_x += bucket_x - window[0]
            sum_y += bucket_y - window[1]
            window = (*window[2:], bucket_x, bucket_y)
            filled = min(filled + 1, BUCKETS)
            bucket_ms = bucket_x = bucket_y = 0
        if filled == BUCKETS and sum_x * sum_x + sum_y * sum_y < _TRAVEL_SQUARED:
            tripped = _DWELL
        if spot >= head.spot_punctures_max or (head.stamp and press_ms > _PRESS_MS):
            tripped = _DWELL
    # A NamedTuple's constructor by keyword costs three times as much; this runs a hundred times a second.
    now = (window, filled, sum_x, sum_y, bucket_ms, bucket_x, bucket_y, spot_x, spot_y, spot, press_ms, 0, moved)
    return tuple.__new__(Dwell, now), tripped
