"""The pairing desk: when a pen lets itself be paired, given up, and tried, as functions over integers (SR-SEC-2).

    a short press    on an idle pen without an owner opens the window for `PAIR_WINDOW_MS`
    a hold           of `HAND_OVER_HOLD_MS`, of a pen that rests all the while (`hold` measures it), opens it also where
                     there is an owner: then whoever has the pen in hand and knows its code takes it over. A fault is no
                     hindrance, and stays: only an owner can clear it, and he may have lost his keys
    a session        anything but a pen at rest shuts the window, and ends a run that is not yet being written down
    a try            one run at a time, of one port; it is counted, and written down, before it is answered. Once its
                     answer is `RUN_MS` old another port may begin, so that nobody holds the desk by saying nothing;
                     until one does, it may still be confirmed
    `PAIR_TRIES`     wrong ones since the last pairing shut the window and bar the next for `PAIR_BARRED_S`, twice as
                     long each time, up to `PAIR_BARRED_MAX_S`; the last of them may still be confirmed
    a right code     takes everything back: wrong tries and bar

Whoever presses shorter, or lets go while the pen is busy, has opened nothing. Times of the window are milliseconds of
the pen's own ticks, a bar is seconds that its clock really ran. No press opens a window that is barred.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from dermalink_protocol.limits import PAIR_BARRED_MAX_S, PAIR_BARRED_S, PAIR_TRIES, PAIR_WINDOW_MS
from dermalink_protocol.wire import U8, U16, U32

WRONG_MAX: Final = 0xFFFF  # a multiple of PAIR_TRIES, so a count that goes no further bars at each try
# How long an answer keeps every other port out. A host needs a few milliseconds and one message for its last step; what
# is lost on its way it says again after 4 s (`ownership.pairing_link`), and 2 s are for air as slow as it gets.
RUN_MS: Final = 6_000
_DOUBLINGS_MAX: Final = (PAIR_BARRED_MAX_S // PAIR_BARRED_S).bit_length()


class Stage(IntEnum):
    """How far the run has come."""

    NONE = 0
    COUNTING = 1  # its try is being written down
    ANSWERED = 2
    TAKING = 3  # the new owner is being written down
    RELEASING = 4
    GIVEN_UP = 5  # its try is being written down, and nobody waits for the answer any more


class Desk(NamedTuple):
    """`run` is the run's port plus one, `run_ms` how long a run that was answered still keeps others out.

    `owned`, `wrong`, `barred_s` and `bar_due` outlive a loss of power; `bar_due` is 1 until the history tells of a bar.
    """

    owned: U8 = 0
    window_ms: U32 = 0
    hand_over: U8 = 0
    run: U8 = 0
    stage: U8 = int(Stage.NONE)
    run_ms: U16 = 0
    wrong: U16 = 0
    barred_s: U32 = 0
    bar_due: U8 = 0


class EventKind(IntEnum):
    """What can happen, and the fields of `DeskEvent` that belong to it beside `idle`."""

    PRESS = 0  # a fresh press; ok: it means nothing else, since no fault stands
    TICK = 1  # dt_ms
    RAN = 2  # seconds
    TERMS = 3  # port
    TRY = 4  # port
    WRITTEN = 5  # ok: the try is on the flash
    CONFIRM = 6  # port, ok: the code was right
    TAKEN = 7  # ok: the new owner is on the flash
    GONE = 8  # port: its connection is over, or it says hello again
    RELEASE = 9  # port: the owner's
    RELEASED = 10  # ok: that is on the flash
    TOLD = 11  # the history tells of the bar
    HELD = 12  # the button was held for the hand-over


class DeskEvent(NamedTuple):
    """`idle` is 1 while no session is open, or a fault stands and its time is over, and no needle can move."""

    kind: EventKind
    idle: U8 = 1
    dt_ms: U16 = 0
    seconds: U32 = 0
    port: U8 = 0
    ok: U8 = 0


class Verdict(IntEnum):
    """What is to be done, or why not."""

    NOTHING = 0
    TELL_TERMS = 1
    COUNT = 2  # write the try down
    ANSWER = 3
    TAKE = 4  # write the new owner down
    PAIRED = 5
    RELEASE = 6  # write down that there is no owner
    RELEASED = 7
    SHUT = 8
    BARRED = 9
    BUSY = 10
    OWNED = 11
    FAILED = 12
    NO_OWNER = 13
    WRONG_STATE = 14


Outcome = tuple[Desk, Verdict]
Rule = Callable[[Desk, DeskEvent], Outcome]
# Nothing is being written, so that what ends next is what begins next.
FREE: Final = (Stage.NONE, Stage.ANSWERED)
IN_RUN: Final = (Stage.COUNTING, Stage.ANSWERED)


def bar_s(wrong: int) -> int:
    """For how long pairing is barred after so many wrong tries, a multiple of `PAIR_TRIES`."""
    return min(PAIR_BARRED_S << min(wrong // PAIR_TRIES - 1, _DOUBLINGS_MAX), PAIR_BARRED_MAX_S)


def shut(desk: Desk) -> Desk:
    """No window; a run that waits for the host is over, what is being written goes on."""
    return _over(desk)._replace(window_ms=0, hand_over=0)


def ended(desk: Desk) -> Desk:
    """The run came to nothing; the window stays for the next try, unless that is barred."""
    return shut(desk) if desk.barred_s else _over(desk)


def _over(desk: Desk) -> Desk:
    if desk.stage not in IN_RUN:
        return desk
    return desk._replace(run=0, run_ms=0, stage=int(Stage.NONE if desk.stage == Stage.ANSWERED else Stage.GIVEN_UP))


def why_not(desk: Desk, port: int) -> Verdict:
    """Why this port can't begin a run now; NOTHING if it can."""
    if desk.barred_s:
        return Verdict.BARRED
    if desk.owned and not desk.hand_over:
        return Verdict.OWNED
    if not desk.window_ms:
        return Verdict.SHUT
    if desk.stage not in FREE or (desk.run != port and desk.run_ms):
        return Verdict.BUSY
    return Verdict.NOTHING


def _press(desk: Desk, event: DeskEvent) -> Outcome:
    if not event.idle or desk.owned or desk.barred_s or not event.ok:
        return desk, Verdict.NOTHING
    return desk._replace(window_ms=int(PAIR_WINDOW_MS)), Verdict.NOTHING


def _held(desk: Desk, event: DeskEvent) -> Outcome:
    if not event.idle or desk.barred_s:
        return desk, Verdict.NOTHING
    return desk._replace(window_ms=int(PAIR_WINDOW_MS), hand_over=desk.owned), Verdict.NOTHING


def _tick(desk: Desk, event: DeskEvent) -> Outcome:
    if not event.idle:
        return shut(desk), Verdict.NOTHING
    window_ms = max(0, desk.window_ms - event.dt_ms)
    after = desk._replace(window_ms=window_ms, run_ms=max(0, desk.run_ms - event.dt_ms))
    return (after if after.window_ms else shut(after)), Verdict.NOTHING


def _ran(desk: Desk, event: DeskEvent) -> Outcome:
    return desk._replace(barred_s=max(0, desk.barred_s - event.seconds)), Verdict.NOTHING


def _terms(desk: Desk, event: DeskEvent) -> Outcome:
    if not event.idle:
        return shut(desk), Verdict.SHUT
    return desk, why_not(desk, event.port) or Verdict.TELL_TERMS


def _try(desk: Desk, event: DeskEvent) -> Outcome:
    if not event.idle:
        return shut(desk), Verdict.SHUT
    refusal = why_not(desk, event.port)
    if refusal:
        return desk, refusal
    wrong = min(desk.wrong + 1, WRONG_MAX)
    counted = desk._replace(run=event.port, run_ms=0, stage=int(Stage.COUNTING), wrong=wrong)
    if wrong % PAIR_TRIES == 0:
        counted = counted._replace(barred_s=bar_s(wrong), bar_due=1)
    return counted, Verdict.COUNT


def _written(desk: Desk, event: DeskEvent) -> Outcome:
    if desk.stage == Stage.GIVEN_UP:
        return desk._replace(stage=int(Stage.NONE)), Verdict.FAILED
    written = desk._replace(stage=int(Stage.ANSWERED), run_ms=RUN_MS)
    if not (event.ok and event.idle):
        return ended(written), Verdict.FAILED
    return written, Verdict.ANSWER


def _confirm(desk: Desk, event: DeskEvent) -> Outcome:
    if desk.stage != Stage.ANSWERED or desk.run != event.port:
        return desk, why_not(desk, event.port) or Verdict.FAILED
    if not event.idle:
        return shut(desk), Verdict.SHUT
    if not event.ok:
        return ended(desk), Verdict.FAILED
    return desk._replace(stage=int(Stage.TAKING), run_ms=0, wrong=0, barred_s=0, bar_due=0), Verdict.TAKE


def _taken(desk: Desk, event: DeskEvent) -> Outcome:
    over = desk._replace(window_ms=0, hand_over=0, run=0, stage=int(Stage.NONE))
    return (over._replace(owned=1), Verdict.PAIRED) if event.ok else (over, Verdict.FAILED)


def _gone(desk: Desk, event: DeskEvent) -> Outcome:
    mine = desk.run == event.port and desk.stage in IN_RUN
    return (ended(desk) if mine else desk), Verdict.NOTHING


def _release(desk: Desk, event: DeskEvent) -> Outcome:
    if not desk.owned:
        return desk, Verdict.NO_OWNER
    if not event.idle:
        return desk, Verdict.WRONG_STATE
    if desk.stage not in FREE:
        return desk, Verdict.BUSY
    return shut(desk)._replace(run=event.port, stage=int(Stage.RELEASING)), Verdict.RELEASE


def _released(desk: Desk, event: DeskEvent) -> Outcome:
    over = desk._replace(run=0, stage=int(Stage.NONE))
    return (over._replace(owned=0), Verdict.RELEASED) if event.ok else (over, Verdict.FAILED)


def _told(desk: Desk, _event: DeskEvent) -> Outcome:
    return desk._replace(bar_due=0), Verdict.NOTHING


RULES: Final[Mapping[EventKind, Rule]] = {
    EventKind.PRESS: _press,
    EventKind.TICK: _tick,
    EventKind.RAN: _ran,
    EventKind.TERMS: _terms,
    EventKind.TRY: _try,
    EventKind.WRITTEN: _written,
    EventKind.CONFIRM: _confirm,
    EventKind.TAKEN: _taken,
    EventKind.GONE: _gone,
    EventKind.RELEASE: _release,
    EventKind.RELEASED: _released,
    EventKind.TOLD: _told,
    EventKind.HELD: _held,
}


def desk_step(desk: Desk, event: DeskEvent) -> Outcome:
    """The desk after an event, and what is to be done."""
    return RULES[event.kind](desk, event)


def quiet(desk: Desk) -> bool:
    """Whether time that passes changes nothing but a bar."""
    return not desk.window_ms
