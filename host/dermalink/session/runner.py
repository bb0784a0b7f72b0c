"""The leading-through: opens a session, runs its passes one by one, and ends with the needles in, whatever happens."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from dermalink.errors import LinkError, PenRefusal, StopNotConfirmed, Timeout
from dermalink.pen import Pen
from dermalink.plan.load import Plan
from dermalink.session import events
from dermalink.session.aftercare import aftercare
from dermalink.session.events import Event, PassOver, PassPlan
from dermalink.session.loop import Leave, SessionLoop
from dermalink.session.opening import open_session
from dermalink.session.outcome import Ending, Summary
from dermalink.session.passing import PassRunner
from dermalink.session.regaining import Connect, regain
from dermalink.session.tally import PassTally
from dermalink.session.words import Person
from dermalink.stopping import is_stopped
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.samples import sample_dtype
from dermalink_protocol.zones import Head

NOT_IN: Final = "the needles are not measured in"


def plan_steps(plan: Plan) -> tuple[PassPlan, ...]:
    """The plan's passes, numbered."""
    count = len(plan.steps)
    return tuple(PassPlan(number=at, passes=count, **step._asdict()) for at, step in enumerate(plan.steps, start=1))


class Session:
    """One session over one plan. Make it with a connected pen, `run` it once.

    `show` gets every event, `person` is asked for words; `ask_ready` is whether each pass waits for the person's word
    before the press. `connect` makes another connection when the link is lost, which adopts the session; without it a
    lost link ends it. `lease_ms` is how long the pen runs without a renewal (SR-STOP-1); the gate refuses one that host
    or pen do not allow. Whatever ends `run`, Stop was sent first, unless the session was closed in good order.
    """

    def __init__(
        self,
        pen: Pen,
        plan: Plan,
        person: Person,
        show: Callable[[Event], None],
        *,
        ask_ready: bool = True,
        connect: Connect | None = None,
        lease_ms: int = LEASE_DEFAULT_MS,
    ) -> None:
        """`pen` stays the caller's to close."""
        self._plan = plan
        self._show = show
        self._connect = connect
        self._loop = SessionLoop(person, show, lease_ms=lease_ms)
        self._loop.attach(pen)
        self._passing = PassRunner(self._loop, ask_ready=ask_ready)
        self._steps = plan_steps(plan)
        self._overs: list[PassOver] = []
        self._opened_s: float | None = None
        self._left = Leave(Ending.DONE)

    def interrupt(self, why: str) -> None:
        """End it from outside (a signal): Stop goes out before this returns, then `run` ends in good order."""
        self._loop.interrupt(why)

    async def run(self) -> Summary:
        """Lead through the plan. Raises a `Refusal` or `PlanRefused` when it can't go on, or what the link raises."""
        sample_dtype()  # imports numpy now: in the middle of a pass that would take as long as the lease
        self._loop.listen()
        async with contextlib.AsyncExitStack() as regained:
            try:
                await self._lead(regained)
            except Leave as left:
                self._left = left
            except BaseException as error:
                cancelled = isinstance(error, asyncio.CancelledError)
                await self._leave_badly("this program is ending" if cancelled else "an error came up")
                raise
            try:
                return await self._leave()
            finally:
                await self._loop.close()

    async def _lead(self, regained: contextlib.AsyncExitStack) -> None:
        """Open and make all passes. What a Stop brought about, a refusal say, is no error but the Stop's own end."""
        try:
            await open_session(self._loop, self._plan, self._steps)
            self._opened_s = self._now()
            for step in self._steps:
                await self._pass(step, regained)
        except DermalinkError:
            self._loop.leave_if_told()
            raise

    async def _pass(self, step: PassPlan, regained: contextlib.AsyncExitStack) -> None:
        """One pass, over as many connections as it takes."""
        loop = self._loop
        cartridge = (await loop.pen.look()).cartridge
        tally = PassTally(step, Head(cartridge.head), cartridge.width_um)
        try:
            while True:
                try:
                    self._overs.append(await self._passing.run(tally))
                except LinkError as lost:
                    await regain(loop, lost, self._connect, lambda pen: regained.push_async_callback(pen.close))
                else:
                    return
        except Leave as left:
            self._left = left
            await self._note_cut_short(tally)
            raise

    async def _note_cut_short(self, tally: PassTally) -> None:
        """A pass that had begun when the session ended is told of as well, once the needles are in."""
        if tally.began_s is None:
            return
        await self._confirm()
        reason = self._loop.reason
        with contextlib.suppress(LinkError, Timeout):  # it was seen at work, even if it is gone
            status = (await self._loop.pen.look()).status
            tally.status(status)
            reason = status.reason
        over = tally.over(reason, self._now(), used_up=True)
        self._overs.append(over)
        self._show(over)

    # Leaving

    async def _at_rest(self) -> bool:
        """Whether the pen says now, asked anew, that all is measured in: a plan that is done needs no Stop then."""
        try:
            return is_stopped(await self._loop.pen.status())
        except (LinkError, Timeout):
            return False

    async def _confirm(self) -> bool:
        """Stop, and see the needles measured in; says so, once."""
        loop = self._loop
        if loop.stop_confirmed is not None:
            return loop.stop_confirmed
        began = loop.stopped_at_s or self._now()
        try:
            await asyncio.shield(asyncio.ensure_future(loop.pen.stop()))
            loop.stop_confirmed = True
        except StopNotConfirmed:
            loop.stop_confirmed = False
        milliseconds = round((self._now() - began) * 1_000, 1)
        why = self._left.why
        self._show(events.StopConfirmed(why=why, confirmed=loop.stop_confirmed, milliseconds=milliseconds))
        return loop.stop_confirmed

    async def _leave_badly(self, why: str) -> None:
        """On the way out with an error: Stop first; what fails here must not hide the error."""
        self._loop.stop_at_once()
        try:
            if self._opened_s is not None and self._loop.pen.connection.error is None:
                self._left = Leave(Ending.PEN, why)
                if await self._confirm():
                    with contextlib.suppress(DermalinkError):
                        await self._loop.pen.close_session()
        finally:
            await self._loop.close()

    async def _leave(self) -> Summary:
        confirmed = (self._left.ending is Ending.DONE and await self._at_rest()) or await self._confirm()
        if self._left.ending is Ending.DONE and not confirmed:
            self._left = Leave(Ending.PEN, NOT_IN)
        closed = False
        if self._opened_s is not None:
            with contextlib.suppress(LinkError, Timeout, PenRefusal):
                await self._loop.pen.close_session()
                closed = True
        await self._loop.detach()
        summary = Summary(
            ending=self._left.ending,
            why=self._left.why,
            confirmed=confirmed,
            closed=closed,
            session_id=self._loop.session_id,
            passes=tuple(self._overs),
            planned=len(self._steps),
            lowest_lease_margin_ms=self._loop.lowest_margin_ms,
            lost=self._loop.lost,
            margin=self._loop.margin,
        )
        self._show(self._session_over(summary))
        return summary

    def _session_over(self, summary: Summary) -> Event:
        touched = bool(summary.passes)  # a pass that began counts, whether or not a count came
        return events.SessionOver(
            completed=summary.ending is Ending.DONE,
            closed=summary.closed,
            why=summary.why,
            session_id=summary.session_id,
            passes_made=len(summary.passes),
            passes_planned=summary.planned,
            punctures=sum(over.punctures for over in summary.passes),
            peak_um=max((over.peak_um for over in summary.passes), default=0),
            seconds=round(self._now() - self._opened_s, 1) if self._opened_s is not None else 0.0,
            lowest_lease_margin_ms=summary.lowest_lease_margin_ms or 0,
            lost=summary.lost,
            link=summary.margin.as_dict(),
            aftercare=aftercare() if touched else (),
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
