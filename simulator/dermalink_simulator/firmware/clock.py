"""The pen's clock: what really ran, and what became of the time of day meanwhile (SR-INT-1, SR-INT-2).

Two things are read: the time of day, which can be set, and a count of seconds that the chip has run, which can't. Waits
go by the count alone; the time of day is held against it, and against the newest record.
"""

from typing import Final, NamedTuple

from dermalink_protocol.limits import SESSION_MAX_MS
from dermalink_protocol.wire import U8, U32
from dermalink_simulator.therapy.state import Clock

DRIFT_S: Final = 2  # that time of day and count may be apart between two looks: each is rounded down
SESSION_MAX_S: Final = SESSION_MAX_MS // 1_000


class ClockWatch(NamedTuple):
    """The last reading of both, and what is wrong with the time of day (a `Clock`)."""

    utc_s: U32 = 0
    ran_s: U32 = 0
    trouble: U8 = int(Clock.SOUND)


class Ran(NamedTuple):
    """What a look found: seconds that really ran, and whether the time of day was moved forward by anybody."""

    seconds: int = 0
    jumped: bool = False


NOT_YET: Final = Ran()


def at_boot(record: ClockWatch, utc_s: int, ran_s: int, *, pass_was_open: bool) -> tuple[ClockWatch, int]:
    """The clock after an off time, and the seconds that are sure to have run since the newest record.

    A trouble that stands in the record stays until the clock is set. Where the power went in the middle of a pass, its
    last stroke may have been up to a session's length after the record.
    """
    passed_s = max(0, ran_s - record.ran_s)
    if pass_was_open:
        passed_s = max(0, passed_s - SESSION_MAX_S)
    trouble = record.trouble
    if utc_s == 0:
        trouble = int(Clock.LOST)
    elif not trouble and utc_s < record.utc_s:
        trouble = int(Clock.BACK)
    return ClockWatch(utc_s, ran_s, trouble), 0 if trouble == Clock.LOST else passed_s


def look(watch: ClockWatch, utc_s: int, ran_s: int) -> tuple[ClockWatch, Ran]:
    """The clock as it is read now; a lost one stays lost, and one that went back stays so, until it is set."""
    last_s, last_ran_s, trouble = watch
    if ran_s == last_ran_s and utc_s == last_s:
        return watch, NOT_YET
    seconds = max(0, ran_s - last_ran_s)
    if utc_s == 0:
        return ClockWatch(0, ran_s, int(Clock.LOST)), Ran(seconds)
    if trouble:
        return ClockWatch(utc_s, ran_s, trouble), Ran(seconds)
    moved_s = utc_s - last_s - seconds
    if moved_s < -DRIFT_S:
        return ClockWatch(utc_s, ran_s, int(Clock.BACK)), Ran(seconds)
    return ClockWatch(utc_s, ran_s, trouble), Ran(seconds, jumped=moved_s > DRIFT_S)


def was_set(watch: ClockWatch, utc_s: int) -> ClockWatch:
    """The clock once the hardware's has been set: sound."""
    return ClockWatch(utc_s, watch.ran_s, int(Clock.SOUND))
