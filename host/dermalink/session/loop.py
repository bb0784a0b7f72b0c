"""A session's loop: takes in what pen and person say, one thing at a time, and earns the lease by doing so.

A renewal goes only after a batch was taken in and shown: when display, terminal or loop hang, the lease lapses and the
pen takes its needles in by itself (SR-STOP-1). Stop and symptoms do not wait for the loop's turn (SR-STOP-4).
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from dermalink.errors import DepthAlarm, LinkError, LinkLost, NoTelemetry, PenRefusal, Timeout, UnexpectedReply
from dermalink.lease import Lease
from dermalink.margin.margin import LinkMargin
from dermalink.motion import MOVING
from dermalink.pen import Pen
from dermalink.reconcile import symptom_of
from dermalink.session.events import Alarm, Event, SymptomSaid
from dermalink.session.inbox import Ended, Inbox, Item
from dermalink.session.outcome import Ending
from dermalink.session.tally import PassTally
from dermalink.session.words import SYMPTOMS, Person, Word
from dermalink.ticks import elapsed_ms
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import GetStatus, StateChanged, Status, StatusFlag
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import Applied
from dermalink_protocol.zones import Symptom

STATUS_EVERY_S: Final = 0.5  # punctures and battery are in no telemetry
WAITING_STATUS_EVERY_S: Final = 0.1  # while a press is awaited, status is what earns the lease: five in its 500 ms
QUIET_S: Final = 1.5  # idle telemetry comes each second: after this long a silence the pen is asked how it stands
SILENCE_S: Final = 3.0  # three idle samples and two questions went unanswered
TOLD_EVERY_S: Final = 0.05

UNDER_WAY: Final = (*MOVING, State.RECORDING, State.STOPPING)
NOT_YET_MOVING: Final = (State.WAITING, State.RECORDING)
LEASED: Final = (*MOVING, *NOT_YET_MOVING)


class Leave(Exception):
    """The session ends here, in good order."""

    def __init__(self, ending: Ending, why: str = "") -> None:
        super().__init__(why or ending.value)
        self.ending, self.why = ending, why or ending.value


class SessionLoop:
    """See the module. `pen` may be replaced by `attach` when a link is lost and another connection takes over."""

    def __init__(self, person: Person, show: Callable[[Event], None], *, lease_ms: int = LEASE_DEFAULT_MS) -> None:
        """`show` is called on the loop, and is quick; `person` is asked for words as they come.

        The session is opened, adopted and kept alive with a lease of `lease_ms`.
        """
        self.show: Final = show
        self.lease_ms: Final = lease_ms
        self.state = State.BOOT
        self.reason = Reason.NONE
        self.tally: PassTally | None = None
        self.lowest_margin_ms: int | None = None
        self.stopped_at_s: float | None = None
        self.stop_confirmed: bool | None = None
        self.nobody_there = False
        self.session_id = 0
        self._person = person
        self._pen: Pen | None = None
        self._inbox = Inbox()
        self._lease: Lease | None = None
        self._tick: int | None = None
        self._asked_s = 0.0
        self._asking = False
        self._attached = False
        self._lost_before = 0
        self._margin_before = LinkMargin()
        self._tasks: set[asyncio.Task[None]] = set()

    # The pen, and who listens

    def attach(self, pen: Pen) -> None:
        """Work with `pen` from now on."""
        self._pen = pen
        self._attached = True
        self._tick = None
        pen.connection.listen(self._inbox)

    async def detach(self) -> None:
        """Let go of the pen: nothing of it is taken in any more."""
        await self.end_lease()
        if self._pen is not None and self._attached:
            self._lost_before = self.lost
            self._margin_before.merge(self._pen.margin)
            self._attached = False
            self._pen.connection.forget(self._inbox)
        self._inbox.clear_pen()

    @property
    def pen(self) -> Pen:
        """The pen that is worked with now."""
        assert self._pen is not None
        return self._pen

    def listen(self) -> None:
        """Begin to hear the person; `close` ends it."""
        self._spawn(self._hear())

    async def close(self) -> None:
        """Let go of everything that was begun in here."""
        await self.detach()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def lost(self) -> int:
        """Notifications of the pen that never came, over all connections of this session."""
        if not self._attached:
            return self._lost_before
        kinds = (Telemetry, StateChanged)
        return self._lost_before + sum(self.pen.connection.sequence(kind).missing for kind in kinds)

    @property
    def margin(self) -> LinkMargin:
        """How good the link was, and how near its leases came to lapsing, over all connections of this session."""
        margin = self._margin_before.copy()
        if self._attached:
            margin.merge(self.pen.margin)
        return margin

    def forget_words(self) -> None:
        """What the person said before this moment is about something that is over."""
        self._inbox.clear_words()

    # From outside, at once

    def interrupt(self, why: str) -> None:
        """Somebody ends this program: Stop goes out before this returns."""
        self.stop_at_once()
        self._inbox.put(Ended(why))

    def stop_at_once(self) -> None:
        """Stop goes out before this returns, if there is a link to send it on."""
        if self.stopped_at_s is None:
            self.stopped_at_s = asyncio.get_running_loop().time()
        self._note_stop()
        if self._pen is not None:
            with contextlib.suppress(LinkError):  # without a link the lease does it
                self._pen.stop_now()

    def _note_stop(self) -> None:
        if self.tally is not None:
            self.tally.stopped_here = True

    async def _hear(self) -> None:
        """What stops goes out here, not when the loop comes to it."""
        while True:
            word = await self._person.next_word()
            if word is Word.STOP:
                self.stop_at_once()
            elif word in SYMPTOMS:
                self.stop_at_once()
                self._spawn(self._report(SYMPTOMS[word]))
            self._inbox.put(word)

    async def _report(self, symptom: Symptom) -> None:
        with contextlib.suppress(LinkError, Timeout, PenRefusal):  # it is in the journal, and the pen is told later
            await self.pen.report_symptom(symptom)

    # One thing at a time

    async def next(self) -> Word | None:
        """Take in the next thing; returns the person's word, or None for anything else, also for a silence.

        Raises `Leave` for what ends the session, and `LinkError` when the link is gone.
        """
        item = await self._inbox.get(WAITING_STATUS_EVERY_S if self.state in NOT_YET_MOVING else QUIET_S)
        self._listen_for_silence()
        if self.pen.alarm is not None:
            self._alarmed()
        if isinstance(item, Word):
            return self._word(item)
        await self._take(item)
        return None

    def _listen_for_silence(self) -> None:
        """A link that stands open and carries nothing is as lost as one that was cut."""
        if asyncio.get_running_loop().time() - self.pen.connection.heard_s > SILENCE_S:
            raise LinkLost(
                "The pen has fallen silent",
                limit=f"nothing came for {SILENCE_S:g} s",
                advice="Lift the pen off the skin; see that it is on and near, or its cable in place",
            )

    def leave_if_told(self) -> None:
        """Raise `Leave` when the person or somebody from outside has ended the session; takes nothing else in."""
        for item in self._inbox.waiting():
            if isinstance(item, Ended):
                raise Leave(Ending.OUTSIDE, item.why)
            if isinstance(item, Word) and (item is Word.STOP or item in SYMPTOMS):
                self._word(item)

    async def wait_or_told(self, seconds: float) -> None:
        """Let so much time pass, unless the session is ended meanwhile; raises `Leave` then."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, TOLD_EVERY_S))
            self.leave_if_told()

    def _word(self, word: Word) -> Word:
        self.nobody_there = self.nobody_there or word is Word.GONE
        if word is Word.STOP:
            raise Leave(Ending.STOPPED)
        if word in SYMPTOMS:
            self.show(SymptomSaid(symptom=SYMPTOMS[word]))
            raise Leave(Ending.SYMPTOM)
        return word

    async def _take(self, item: Item | None) -> None:
        if isinstance(item, Telemetry):
            await self._telemetry(item)
        elif isinstance(item, StateChanged):
            self._at(item.tick_ms, item.state, item.reason)
            self._leave_if_reported(item.flags, item.reason)
        elif isinstance(item, Status):
            self.take_status(item)
            await self._earn(item)
        elif isinstance(item, LinkError):
            raise item
        elif isinstance(item, Ended):
            raise Leave(Ending.OUTSIDE, item.why)
        else:
            self._ask_status()

    async def _telemetry(self, batch: Telemetry) -> None:
        if self.tally is not None and self.state in UNDER_WAY:
            self.tally.telemetry(batch)
            self.show(self.tally.progress(self.state, self._lease, self.lost))
            self._ask_status()
        await self._earn(batch)

    def take_status(self, status: Status) -> None:
        """How the pen stands, as it says itself."""
        self._at(status.tick_ms, status.state, status.reason)
        if self.tally is not None:
            self.tally.status(status)
        self._leave_if_reported(status.flags, status.reason)

    def _leave_if_reported(self, flags: StatusFlag, reason: Reason) -> None:
        """The pen keeps a symptom that was not said here: by its own button, or from another connection."""
        reported = StatusFlag.SYMPTOM | StatusFlag.SESSION_OPEN
        if self.session_id and flags & reported == reported:
            self.show(SymptomSaid(symptom=symptom_of(flags, reason)))
            raise Leave(Ending.SYMPTOM)

    def took(self, reply: Applied) -> None:
        """A therapy command was applied, and led to a state."""
        self._at(reply.tick_ms, reply.state, self.reason)

    def _at(self, tick_ms: int, state: State, reason: Reason) -> None:
        if self._tick is not None and elapsed_ms(self._tick, tick_ms) < 0:
            return
        self._tick, self.state, self.reason = tick_ms, state, reason

    def _alarmed(self) -> None:
        alarm, self.pen.alarm = self.pen.alarm, None
        self.stopped_at_s = self.stopped_at_s or asyncio.get_running_loop().time()
        self._note_stop()
        self.show(Alarm(words=str(alarm)))
        if isinstance(alarm, DepthAlarm):
            raise Leave(Ending.PEN, "needles were measured too deep")

    # Asking, and keeping alive

    def _ask_status(self) -> None:
        """One question at a time: over a slow link (BLE at an interval of 100 ms) more would only queue up."""
        if self._asking:
            return
        now = asyncio.get_running_loop().time()
        every_s = WAITING_STATUS_EVERY_S if self.state in NOT_YET_MOVING else STATUS_EVERY_S
        if now - self._asked_s >= every_s * 0.9:  # a timer may come a little early
            self._asked_s = now
            self._asking = True
            self._spawn(self._fetch_status())

    async def _fetch_status(self) -> None:
        try:
            # A lost link says so by itself; of anything else the next question tells.
            with contextlib.suppress(LinkError, Timeout, PenRefusal, UnexpectedReply):
                self._inbox.put(await self.pen.request(GetStatus()))
        finally:
            self._asking = False

    async def begin_lease(self) -> None:
        """A press is awaited, so from now on what is taken in earns renewals; the first one goes out now.

        Without a running lease the pen would take no press, however soon it came: see `lease_held`.
        """
        await self.end_lease()
        self._lease = self.pen.lease(self.session_id, self.lease_ms)
        status = await self.pen.status()
        self.take_status(status)
        await self._earn(status)

    async def lease_held(self) -> bool:
        """Whether a renewal has taken hold, so that a press is taken; waits a moment for one that is under way."""
        return self._lease is not None and await self._lease.held(WAITING_STATUS_EVERY_S)

    @property
    def has_lease(self) -> bool:
        """Whether renewals are earned now."""
        return self._lease is not None

    async def end_lease(self) -> None:
        """Nothing moves any more, so nothing is renewed."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        margins = [margin for margin in (self.lowest_margin_ms, lease.lowest_margin_ms) if margin is not None]
        self.lowest_margin_ms = min(margins, default=None)
        await lease.close()

    async def _earn(self, news: Telemetry | Status) -> None:
        """A refused renewal is no error of its own: the pen has stopped by itself, and says why by its state."""
        lease = self._lease
        if lease is None or self.state not in LEASED:
            return
        lease.earn(news)
        try:
            if lease.earned:
                await lease.renew()
        except (PenRefusal, Timeout, NoTelemetry):
            self._ask_status()
            if self._lease is lease:
                await self.end_lease()
                self._lease = self.pen.lease(self.session_id, self.lease_ms)
