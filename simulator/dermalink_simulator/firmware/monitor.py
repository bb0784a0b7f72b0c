"""The depth monitor: integers in, a latched reason out; independent of setting, drive and therapy (SR-DEPTH-5, 6, 7).

It sees what the sensor of its own measures of the seated head, every stroke, in the timer interrupt. The drive's
feedback is compared with it, and held to the drive's own part of the declared tolerance: the sensor's accuracy alone
would leave a drive that overshoots by less than that to go on.
"""

from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import (
    ACCURACY_MAX_UM,
    DEPTH_CAP_UM,
    OVER_SETTING_STROKES,
    SENSOR_DISAGREE_MAX_UM,
    TOLERANCE_MAX_UM,
)
from dermalink_protocol.wire import U8, U16

_CAP_UM: Final = int(DEPTH_CAP_UM)
_OVER_STROKES: Final = int(OVER_SETTING_STROKES)
_DISAGREE_UM: Final = int(SENSOR_DISAGREE_MAX_UM)

FEEDBACK_NOISE_UM: Final = 2  # greatest noise of the drive's feedback, a position counter (assumption)


class Monitor(NamedTuple):
    """What the monitor remembers between two guard ticks.

    `held_um` and `held_feedback_um` are the peaks of the stroke under way, `over_strokes` how many strokes running
    went over the setting, `latched` the reason for which the drive is cut, 0 for none.
    """

    held_um: U16 = 0
    held_feedback_um: U16 = 0
    over_strokes: U8 = 0
    latched: U16 = 0


class Reading(NamedTuple):
    """One guard tick's measurement: as in `seam.Sensors`."""

    depth_um: U16
    peak_um: U16
    feedback_um: U16
    strokes: U8


CLEAR: Final = Monitor()


def undeclared(accuracy_um: int, tolerance_um: int) -> Reason:
    """NONE, or why a pen that declares these of sensor and drive gets no therapy (SR-DEPTH-5, SR-DEPTH-6)."""
    if not 1 <= accuracy_um <= ACCURACY_MAX_UM:
        return Reason.ACCURACY_UNDECLARED
    if not 1 <= tolerance_um <= TOLERANCE_MAX_UM:
        return Reason.TOLERANCE_UNDECLARED
    return Reason.NONE


def drive_max_um(setting_um: int, tolerance_um: int) -> int:
    """The highest feedback of a sound drive: it aims at setting - tolerance, and half of the tolerance is its own.

    That it is half is an assumption; the seated head's part is what is left.
    """
    return setting_um - tolerance_um + tolerance_um // 2 + FEEDBACK_NOISE_UM


def watch(
    monitor: Monitor, reading: tuple[int, int, int, int], setting_um: int, accuracy_um: int, tolerance_um: int
) -> Monitor:
    """The monitor after a guard tick's `Reading`; `setting_um` is the pass's depth, 0 where needles have to be in.

    Over the cap + accuracy, or feedback over `drive_max_um`, latches at once; over the setting + accuracy for three
    strokes running latches at the third; sensor and feedback too far apart in one stroke latch at its end. What is
    latched stays.
    """
    if monitor.latched:
        return monitor
    depth_um, peak_um, feedback_um, strokes = reading
    held_um, held_feedback_um, over_strokes, _ = monitor
    if peak_um > held_um:
        held_um = peak_um
    if depth_um > held_um:
        held_um = depth_um
    if feedback_um > held_feedback_um:
        held_feedback_um = feedback_um
    if held_um > _CAP_UM + accuracy_um:
        return Monitor(held_um, held_feedback_um, over_strokes, Reason.DEPTH_EXCEEDED)
    if setting_um and held_feedback_um > drive_max_um(setting_um, tolerance_um):
        return Monitor(held_um, held_feedback_um, over_strokes, Reason.DRIVE_FAULT)
    if not strokes:
        if not setting_um and not depth_um:
            held_um = held_feedback_um = 0
        if held_um == monitor.held_um and held_feedback_um == monitor.held_feedback_um:
            return monitor
        return Monitor(held_um, held_feedback_um, over_strokes, 0)
    latched = 0
    over_strokes = over_strokes + 1 if held_um > setting_um + accuracy_um else 0
    if over_strokes >= _OVER_STROKES:
        latched = int(Reason.DEPTH_OVER_SETTING)
    elif setting_um and not -_DISAGREE_UM <= held_um - held_feedback_um <= _DISAGREE_UM:
        latched = int(Reason.SENSORS_DISAGREE)
    return Monitor(0, 0, over_strokes, latched)
