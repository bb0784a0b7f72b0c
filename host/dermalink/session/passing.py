"""One pass, from the person's word to its end; led by the pen's own state, so that it can be taken up anywhere."""

import asyncio
from typing import Final

from dermalink.errors import PenRefusal, Refusal
from dermalink.rules import Facts
from dermalink.session.applying import apply
from dermalink.session.coverage import COVERED_PERCENT
from dermalink.session.events import PassOver, PassPaused, PassStarted, PressAsked, PressMissed, ReadyAsked
from dermalink.session.loop import UNDER_WAY, Leave, SessionLoop
from dermalink.session.outcome import Ending
from dermalink.session.tally import PassTally
from dermalink.session.words import Word
from dermalink.stopping import is_stopped
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import PRESS_WITHIN_MS
from dermalink_protocol.messages.therapy import PassBegun, PassResumed
from dermalink_protocol.wording import WORDING

PRESSES_MISSED_MAX: Final = 6  # a minute without a press: nobody is there
WAITED_SHARE: Final = 0.25  # of the time for a press, which has begun when its answer comes
LATES_MAX: Final = 3  # of one session: a computer or link that is late more often is not fit for one
BEFORE: Final = (State.OPEN, State.PREPARED)
NOT_TWICE: Final = "a command was lost on its way, and none is sent twice without your word"
STOPPED_ELSEWHERE: Final = "another connection stopped the pen"
TOO_SLOW: Final = (
    "the link was too slow for its lease, so no press would have been taken; `dermalink doctor --pen` says more"
)
NO_RESUME: Final = (Reason.RESUMES_USED_UP, Reason.RESUME_TOO_LATE, Reason.PASS_COMPLETE)


class PassRunner:
    """Leads a person through passes; `ask_ready` is whether each one waits for the person's word as well."""

    def __init__(self, loop: SessionLoop, *, ask_ready: bool) -> None:
        self._loop = loop
        self._ask_ready = ask_ready
        self._missed = 0
        self._lates = 0
        self._within_ms = int(PRESS_WITHIN_MS)
        self._waiting_s = float("-inf")  # since when a press is awaited
        self._asked = False  # for the press that is awaited now
        self._tried_in: State | None = None  # what went out in this state needs a new word to go out again

    async def run(self, tally: PassTally) -> PassOver:
        """Make the pass, or go on with it where it stands. Raises `Leave`, a `Refusal`, or a `LinkError`."""
        loop = self._loop
        loop.tally = tally
        while True:
            if loop.state in UNDER_WAY:
                await self._under_way(tally)
            elif loop.state is State.WAITING:
                await self._press(tally)
            else:
                await loop.end_lease()
                facts = await loop.pen.look()
                loop.take_status(facts.status)
                try:
                    if (over := await self._at_rest(tally, facts)) is not None:
                        return over
                except Refusal as refusal:
                    self._late(refusal, facts.status.state)

    def _late(self, refusal: Refusal, state: State) -> None:
        """A command that came too late changed nothing; where a person is asked it may be said anew (SR-CMD-3)."""
        self._lates += 1
        asked = self._ask_ready or state is State.PAUSED
        if refusal.reason is not Reason.COMMAND_LATE or not asked or self._lates > LATES_MAX:
            raise refusal
        self._loop.forget_words()  # what was said before this moment is spent

    async def _at_rest(self, tally: PassTally, facts: Facts) -> PassOver | None:
        state = facts.status.state
        if state is State.PAUSED:
            await self._paused(tally, is_stopped(facts.status))
        elif state not in BEFORE:
            if state not in UNDER_WAY and state is not State.WAITING:
                raise Leave(Ending.PEN, WORDING[facts.status.reason].said)
        elif (tally.step.zone, tally.step.direction) in facts.pen.passes:
            return self._over(tally, facts)
        elif state is State.OPEN:
            await self._ready(tally)
            await self._prepare(tally)
        else:
            await self._begin(tally, facts)
        return None

    def _over(self, tally: PassTally, facts: Facts) -> PassOver:
        self._leave_if_stopped_elsewhere(tally, facts.status.reason)
        self._missed = 0
        over = tally.over(facts.status.reason, self._now(), used_up=True)
        self._loop.tally = None
        self._loop.show(over)
        return over

    def _leave_if_stopped_elsewhere(self, tally: PassTally, reason: Reason) -> None:
        """Whoever stopped the pen from another connection had a reason: the next press is not asked for."""
        if reason is Reason.HOST_STOP and not tally.stopped_here and self._loop.pen.alarm is None:
            raise Leave(Ending.STOPPED, STOPPED_ELSEWHERE)

    async def _ready(self, tally: PassTally) -> None:
        """Wait for the person's word; while waiting the pen is at rest. Nobody asked, nothing is tried twice."""
        loop = self._loop
        if not self._ask_ready:
            if self._tried_in is not None:
                raise Leave(Ending.LINK, NOT_TWICE)
            return
        loop.show(ReadyAsked(step=tally.step))
        while loop.state in BEFORE:
            if await self._answer() is Word.GO:
                self._tried_in = None
                return

    async def _prepare(self, tally: PassTally) -> None:
        loop, step = self._loop, tally.step
        await loop.pen.look()
        self._tried_in = State.OPEN
        reply = await apply(
            loop.pen,
            loop.pen.gate.prepare(
                zone=step.zone,
                direction=step.direction,
                depth_um=step.depth_um,
                rate_hz=step.rate_hz,
                speed_mm_s=step.speed_mm_s,
            ),
        )
        if reply is None:
            loop.forget_words()
            return
        self._tried_in = None
        tally.budget = reply.budget
        loop.took(reply)

    async def _begin(self, tally: PassTally, facts: Facts) -> None:
        """Begin the frame that is prepared, if it is this pass's and asked for by this host; else drop it."""
        loop, frame = self._loop, facts.pen.frame
        if frame is None or frame.place != (tally.step.zone, tally.step.direction):
            await loop.pen.end_pass()
            return
        if self._tried_in is State.PREPARED:
            await self._ready(tally)
            await loop.pen.look()
        self._tried_in = State.PREPARED
        reply = await apply(loop.pen, loop.pen.gate.begin_pass())
        if reply is None:
            loop.forget_words()
            return
        if not self._ask_ready:  # it was applied: when nobody presses, the press is asked for anew, and nothing moved
            self._tried_in = None
        await self._wait_for_press(reply)

    async def _wait_for_press(self, reply: PassBegun | PassResumed) -> None:
        loop = self._loop
        loop.took(reply)
        self._within_ms, self._waiting_s, self._asked = reply.press_within_ms, self._now(), False
        await loop.begin_lease()

    async def _press(self, tally: PassTally) -> None:
        """Ask for a press once it would be taken, and wait until it came or did not; renewals are earned meanwhile."""
        loop = self._loop
        resuming = tally.began_s is not None
        if not loop.has_lease:  # it waits, though nobody here has seen its answer
            await loop.begin_lease()
        while loop.state is State.WAITING:
            if not self._asked and await loop.lease_held():
                self._asked = True
                loop.show(PressAsked(step=tally.step, within_ms=self._within_ms, resuming=resuming))
            if await loop.next() in (Word.PAUSE, Word.END):
                await loop.pen.end_pass()
        if loop.state in UNDER_WAY:
            tally.begin(self._now())
            self._asked = False
            loop.show(PassStarted(step=tally.step, resumed=resuming))
        elif loop.reason is Reason.PRESS_TIMEOUT:
            self._not_pressed(tally)
        elif loop.state is State.OPEN:  # prepared still, a status from before the word may say an old reason
            self._leave_if_stopped_elsewhere(tally, loop.reason)

    def _not_pressed(self, tally: PassTally) -> None:
        """The pen has waited long enough; where nobody was asked, since no lease held, asking anew would not help."""
        if self._now() - self._waiting_s < self._within_ms / 1_000 * WAITED_SHARE:
            return  # what is said again of the last time
        if not self._asked:
            raise Leave(Ending.LINK, TOO_SLOW)
        self._asked = False
        self._missed += 1
        self._loop.show(PressMissed(step=tally.step))
        if self._missed >= PRESSES_MISSED_MAX:
            raise Leave(Ending.NOBODY, "the button was not pressed")

    async def _under_way(self, tally: PassTally) -> None:
        """Needles may be out: take in all that comes; covered and lifted, the pass is ended."""
        loop = self._loop
        tally.begin(self._now())
        while loop.state in UNDER_WAY:
            word = await loop.next()
            tally.covered = loop.state is State.LIFTED and tally.coverage.percent >= COVERED_PERCENT
            if word is Word.END or tally.covered:
                await self._end()
            elif word is Word.PAUSE:
                try:
                    await loop.pen.pause()
                except PenRefusal:  # it has stopped by itself meanwhile
                    continue

    async def _paused(self, tally: PassTally, needles_in: bool) -> None:
        loop = self._loop
        tally.interruptions += 1
        words = WORDING[loop.reason].said
        left = tally.resumes_left
        loop.show(
            PassPaused(step=tally.step, reason=loop.reason, words=words, resumes_left=left, needles_in=needles_in)
        )
        if not tally.resumes_left:
            await self._end()
        while loop.state is State.PAUSED:
            word = await self._answer()
            if word is Word.RESUME:
                await self._resume()
                return
            if word is Word.END:
                await self._end()

    async def _answer(self) -> Word | None:
        """The next thing while the person is asked; whoever has gone before answers nothing any more."""
        if self._loop.nobody_there:
            raise Leave(Ending.NOBODY)
        return await self._loop.next()

    async def _resume(self) -> None:
        loop = self._loop
        try:
            await loop.pen.look()
            reply = await apply(loop.pen, loop.pen.gate.resume_pass())
        except Refusal as refusal:
            if refusal.reason not in NO_RESUME:
                raise
            await self._end()
            return
        if reply is None:
            loop.forget_words()
            return
        await self._wait_for_press(reply)

    async def _end(self) -> None:
        """End the pass; when the pen has ended it by itself, that is as good."""
        loop = self._loop
        try:
            await loop.pen.end_pass()
        except PenRefusal as refusal:
            if refusal.reason not in (Reason.NO_PASS, Reason.WRONG_STATE):
                raise
        loop.take_status((await loop.pen.look()).status)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
