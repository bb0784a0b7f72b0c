"""What a step of the therapy core answers: a verdict, its reason, and what the wrapper has to do."""

from enum import IntEnum, IntFlag
from typing import NamedTuple

from dermalink_protocol.wire import U8, U16


class Verdict(IntEnum):
    """What came of an event.

    REPEATED: this command id was applied before, with the same content; nothing changed, and the wrapper sends the
    reply that it sent then (it keeps those of the last `COMMANDS_REMEMBERED`).
    REFUSED: nothing changed; for an event of the pen's own it only means "nothing to do here".
    """

    APPLIED = 1
    REPEATED = 2
    REFUSED = 3


class Effect(IntFlag):
    """What the wrapper does now. A later event says how the first five ended; the others it sees through by itself.

    START_SELF_TEST  run it, then SELF_TEST_DONE.
    WRITE_OPEN       the session's opening (session_id).                         FLASH_DONE(OPEN)
    WRITE_BEGIN      session begun, seated head used, pass and its whole budget spent, all of it.   FLASH_DONE(BEGIN)
    WRITE_END        the pass's end: zone, direction, pass_left, and whether done has its bit.      FLASH_DONE(END)
    WRITE_CLOSE      the session's end.                                          FLASH_DONE(CLOSE)
    WRITE_FAULT      the latched fault; WRITE_CLEARED that it was cleared.
    WRITE_SYMPTOM    the lock after a symptom.
    SET_CLOCK        set the clock to the command's utc_s, and record it.
    """

    START_SELF_TEST = 1
    WRITE_OPEN = 2
    WRITE_BEGIN = 4
    WRITE_END = 8
    WRITE_CLOSE = 16
    WRITE_FAULT = 32
    WRITE_CLEARED = 64
    WRITE_SYMPTOM = 128
    SET_CLOCK = 256


class Answer(NamedTuple):
    """A step's answer. `effects` are the bits of `Effect`; `row` is the table's row, -1 when none fitted."""

    verdict: U8
    reason: U16
    effects: U16
    row: int
