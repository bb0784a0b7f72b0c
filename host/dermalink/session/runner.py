"""The leading-through: opens a session, runs its passes one by one, and ends with the needles in, whatever happens."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from dermalink.errors import HostError, LinkError, PenRefusal, Refusal, StopNotConfirmed, Timeout
from dermalink.pen import Pen
from dermalink.plan.load import Plan
from dermalink.rules import Facts
from dermalink.session import events
from dermalink.session.aftercare import aftercare
from dermalink.session.events import Event, PassOver, PassPlan
from dermalink.session.loop import Leave, SessionLoop
from dermalink.session.outcome import Ending, Summary
from dermalink.session.passing import PassRunner, apply
from dermalink.session.preflight import check_plan
from dermalink.session.tally import PassTally
from dermalink.session.words import Person
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import GetSelfTest, SelfTestReport
from dermalink_protocol.samples import sample_dtype
from dermalink_protocol.zones import Head

SELF_TEST_WITHIN_S: Final = 10.0  # the exercise takes a second, and a board's flash check a few
BOOTED_WITHIN_S: Final = 10.0


def plan_steps(plan: Plan) -> tuple[PassPlan, ...]:
    """The plan's passes, numbered."""
    count = len(plan.steps)
    return tuple(PassPlan(number=at, passes=count, **step._asdict()) for at, step in enumerate(plan.steps, start=1))


class SelfTestFailed(HostError):
    """The pen's self-test did not pass; it is locked."""


class Session:
    """One session over one plan. Make it with a connected pen, `run` it once.

    `show` gets every event, `person` is asked for words; `ask_ready` is whether each pass waits for the person's word
    before the press. Whatever ends `run`, Stop was sent first, unless the session was closed in good order.
    """

    def __init__(
        self, pen: Pen, plan: Plan, person: Person, show: Callable[[Event], None], *, ask_ready: bool = True
    ) -> None:
        """`pen` stays the caller's to close."""
        self._pen = pen
        self._plan = plan
        self._show = show
        self._loop = SessionLoop(person, show)
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
        loop = self._loop
        sample_dtype()  # imports numpy now: in the middle of a pass that would take as long as the lease
        loop.attach(self._pen)
        loop.listen()
        try:
            await self._open()
            await self._passes()
        except Leave as left:
            self._left = left
        except BaseException:
            await self._leave_badly()
            raise
        else:
            self._left = Leave(Ending.DONE)
        try:
            return await self._leave()
        finally:
            await loop.close()

    # Opening

    async def _open(self) -> None:
        loop, pen = self._loop, self._pen
        facts = await self._booted()
        ticket = pen.gate.open_session()
        check_plan(facts, self._plan.steps)
        self._show(self._planned(facts))
        try:
            opened = await apply(loop, ticket)
        except Refusal as refusal:
            if refusal.reason is not Reason.SELF_TEST_DUE:
                raise
            await self._self_test()
            facts = await pen.look()
            ticket = pen.gate.open_session()
            opened = await apply(loop, ticket)
        facts = await pen.look()
        loop.session_id = opened.session_id if opened is not None else facts.pen.session_id
        loop.take_status(facts.status)
        self._opened_s = self._now()
        self._show(events.SessionOpened(session_id=loop.session_id, lease_ms=int(LEASE_DEFAULT_MS)))

    async def _booted(self) -> Facts:
        """What is known of the pen, once it has done its self-test at power-up."""
        with contextlib.suppress(Timeout):
            await self._pen.wait_for(
                State.IDLE, State.FAULT, State.LOCKED, State.STOP_FAILED, State.OPEN, within_s=BOOTED_WITHIN_S
            )
        return await self._pen.look()

    async def _self_test(self) -> None:
        pen = self._pen
        await pen.look()
        await apply(self._loop, pen.gate.run_self_test())
        await pen.wait_for(State.IDLE, State.FAULT, State.LOCKED, within_s=SELF_TEST_WITHIN_S)
        report: SelfTestReport = await pen.request(GetSelfTest())
        if report.failed:
            steps = ", ".join((step.name or "?").lower().replace("_", " ") for step in report.failed)
            raise SelfTestFailed(
                "The pen's self-test failed",
                rule="SR-POST-1",
                limit=f"these steps: {steps}",
                advice="Take the pen off the skin and switch it off and on; if it fails again, have it serviced",
            )
        self._show(events.SelfTested(retraction_ms=report.retraction_ms, disagreement_um=report.disagreement_um))

    def _planned(self, facts: Facts) -> Event:
        version = facts.hello.firmware_version
        return events.SessionPlanned(
            plan=self._plan.source,
            url=self._pen.connection.link.url,
            serial_number=self._pen.serial_number,
            firmware=f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}",
            head=Head(facts.cartridge.head).name.lower(),
            needles=facts.cartridge.needles,
            passes=self._steps,
        )

    # Passes

    async def _passes(self) -> None:
        for step in self._steps:
            cartridge = (await self._pen.look()).cartridge
            tally = PassTally(step, Head(cartridge.head), cartridge.width_um)
            try:
                self._overs.append(await self._passing.run(tally))
            except Leave as left:
                self._left = left
                await self._note_cut_short(tally)
                raise

    async def _note_cut_short(self, tally: PassTally) -> None:
        """A pass that had begun when the session ended is told of as well, once the needles are in."""
        if tally.began_s is None:
            return
        await self._confirm()
        with contextlib.suppress(LinkError, Timeout):
            facts = await self._pen.look()
            tally.status(facts.status)
            over = tally.over(facts.status.reason, self._now(), used_up=True)
            self._overs.append(over)
            self._show(over)

    # Leaving

    async def _confirm(self) -> bool:
        """Stop, and see the needles measured in; says so, once."""
        loop = self._loop
        if loop.stop_confirmed is not None:
            return loop.stop_confirmed
        began = loop.stopped_at_s or self._now()
        try:
            report = await asyncio.shield(asyncio.ensure_future(self._pen.stop()))
        except StopNotConfirmed:
            loop.stop_confirmed = False
        else:
            loop.stop_confirmed = report is not None
        milliseconds = (self._now() - began) * 1_000
        self._show(
            events.StopConfirmed(why=self._left.why, confirmed=loop.stop_confirmed, milliseconds=round(milliseconds, 1))
        )
        return loop.stop_confirmed

    async def _leave_badly(self) -> None:
        """On the way out with an error: Stop first; what fails here must not hide the error."""
        self._loop.stop_at_once()
        try:
            if self._opened_s is not None and self._pen.connection.error is None:
                self._left = Leave(Ending.PEN, "an error came up")
                await self._confirm()
                with contextlib.suppress(DermalinkError):
                    await self._pen.close_session()
        finally:
            await self._loop.close()

    async def _leave(self) -> Summary:
        confirmed = True
        if self._left.ending is not Ending.DONE:
            confirmed = await self._confirm()
        closed = False
        if self._opened_s is not None:
            with contextlib.suppress(LinkError, Timeout, PenRefusal):
                await self._pen.close_session()
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
        )
        self._show(self._session_over(summary))
        return summary

    def _session_over(self, summary: Summary) -> Event:
        touched = any(over.punctures for over in summary.passes)
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
            aftercare=aftercare() if touched else (),
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
