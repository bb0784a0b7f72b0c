"""The pen's clock: what really ran, and what became of the time of day meanwhile (SR-INT-1, SR-INT-2).

Two things are read: the time of day, which can be set, and a count of seconds that the chip has run, which can't. Waits
go by the count alone; the time of day is held against it, and against the newest record.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from dermalink_protocol.codewords import RecordKind
from dermalink_protocol.history import decode_record
from dermalink_protocol.history_entries import ClockSetEntry
from dermalink_protocol.limits import CLOCK_JUMP_MAX_S, SESSION_MAX_MS
from dermalink_protocol.wire import U8, U32
from dermalink_simulator.therapy.state import Clock

DRIFT_S: Final = 2  # that time of day and count may be apart between two looks: each is rounded down
DAY_S: Final = 86_400
SPARE_MS: Final = 1_000  # the chip's first second may end at once
SPARE_MAX_MS: Final = 3_000  # a sleep of a second between two looks, the second that it ends in, and one to be sure
SETS_MAX: Final = 8  # settings of the clock in a day that it ran, with nobody at the button (SR-INT-2, assumption)
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


def ticked(spare_ms: int, dt_ms: int) -> int:
    """How far the pen's own ticks are ahead of the seconds that were believed, `dt_ms` later; 1 s at power-up."""
    return min(spare_ms + dt_ms, SPARE_MAX_MS)


def believed(spare_ms: int, seconds: int) -> tuple[int, int]:
    """What is left ahead, and how many of the chip's seconds are believed: no more than the pen's own ticks have run.

    So a chip that runs fast shortens no wait while the pen is on (SR-BIST-1); one that runs slow lengthens it.
    """
    seconds = min(seconds, spare_ms // 1_000)
    return spare_ms - seconds * 1_000, seconds


class UnpressedSets:
    """How often and how far hosts set the clock in the last day that it ran, with nobody at the button (SR-INT-2).

    Else many steps, each within what needs no press, would move it anywhere and fill the history. Records of a
    former boot say nothing of a button, and count. Another owner's do not: they would tell of his day (SR-OWN-1).
    """

    __slots__ = ("_sets",)

    def __init__(self) -> None:
        self._sets: deque[tuple[int, int]] = deque(maxlen=SETS_MAX)

    def load(self, records: Sequence[bytes], run_s: int, owner: int) -> None:
        """Count what the history tells of the day before `run_s`; a move of more than a day was nobody's but a hand's.

        Only `owner`'s records count, and those from before there was any. A record without a date before or after is of
        a clock that was lost.
        """
        for record in reversed(records):
            found = decode_record(record)
            if found.run_s + DAY_S < run_s or len(self._sets) == SETS_MAX:
                return
            if found.kind == RecordKind.CLOCK_SET and found.owner in (0, owner):
                entry = ClockSetEntry.decode(found.payload)
                moved_s = abs(entry.after_utc_s - entry.before_utc_s)
                if 0 < moved_s <= CLOCK_JUMP_MAX_S:
                    self._sets.appendleft((found.run_s, moved_s))

    def note(self, run_s: int, moved_s: int) -> None:
        """The clock was set, `moved_s` seconds from where it stood."""
        self._sets.append((run_s, moved_s))

    def allow(self, run_s: int, moved_s: int) -> bool:
        """Whether it may be set once more without a press; an order that moves nothing always may."""
        while self._sets and self._sets[0][0] + DAY_S < run_s:
            self._sets.popleft()
        far = sum(moved for _, moved in self._sets) + moved_s > CLOCK_JUMP_MAX_S
        return moved_s == 0 or not (far or len(self._sets) == SETS_MAX)
