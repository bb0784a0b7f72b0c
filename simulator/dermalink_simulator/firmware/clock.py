"""The pen's clock: what really ran, and what became of the hardware's clock meanwhile (SR-INT-1, SR-INT-2).

While the pen is on, time that ran is counted by the firmware's own ticks, so no change of the clock adds to it. Over
an off time the hardware's clock is all there is: it counts from the newest record, unless it was lost or went back.
"""

from typing import Final, NamedTuple

from dermalink_protocol.limits import SESSION_MAX_MS
from dermalink_protocol.wire import U16, U32

from dermalink_simulator.therapy.state import Clock

DRIFT_S: Final = 2  # that ticks and clock may be apart in one check, about a second: rounding twice
BUILD_S: Final = 1_767_225_600  # 2026-01-01: no date before this firmware's build is believed
SESSION_MAX_S: Final = SESSION_MAX_MS // 1_000
MS_PER_S: Final = 1_000


class ClockWatch(NamedTuple):
    """The hardware clock's last reading, milliseconds not yet counted, and what is wrong with it (`Clock`)."""

    utc_s: U32 = 0
    part_ms: U16 = 0
    trouble: int = int(Clock.SOUND)


class Ran(NamedTuple):
    """What a look at the clock found: seconds that really ran, and whether the clock was moved forward by anybody."""

    seconds: int = 0
    jumped: bool = False


NOT_YET: Final = Ran()


def at_boot(record_s: int, record_trouble: int, utc_s: int, *, pass_was_open: bool) -> tuple[ClockWatch, int]:
    """The clock after an off time, and the seconds that are sure to have run since the newest record.

    A trouble that stands in the record stays until the clock is set. Where the power went in the middle of a pass, its
    last stroke may have been up to a session's length after the record.
    """
    if utc_s == 0:
        return ClockWatch(0, 0, int(Clock.LOST)), 0
    if record_trouble:
        return ClockWatch(utc_s, 0, record_trouble), 0
    if utc_s < record_s:
        return ClockWatch(utc_s, 0, int(Clock.BACK)), 0
    ran_s = utc_s - record_s
    if pass_was_open:
        ran_s = max(0, ran_s - SESSION_MAX_S)
    return ClockWatch(utc_s, 0, int(Clock.SOUND)), ran_s


def look(watch: ClockWatch, dt_ms: int, utc_s: int) -> tuple[ClockWatch, Ran]:
    """The clock after `dt_ms` of ticks, checked about once a second."""
    last_s, part_ms, trouble = watch
    part_ms += dt_ms
    if part_ms < MS_PER_S:
        return tuple.__new__(ClockWatch, (last_s, part_ms, trouble)), NOT_YET
    seconds, part_ms = divmod(part_ms, MS_PER_S)
    if utc_s == 0:
        return ClockWatch(0, part_ms, int(Clock.LOST)), Ran(seconds)
    if trouble:
        return ClockWatch(utc_s, part_ms, trouble), Ran(seconds)
    moved_s = utc_s - last_s - seconds
    if moved_s < -DRIFT_S:
        return ClockWatch(utc_s, part_ms, int(Clock.BACK)), Ran(seconds)
    return ClockWatch(utc_s, part_ms, trouble), Ran(seconds, jumped=moved_s > DRIFT_S)


def was_set(watch: ClockWatch, utc_s: int) -> ClockWatch:
    """The clock once the hardware's has been set: sound."""
    return ClockWatch(utc_s, watch.part_ms, int(Clock.SOUND))
