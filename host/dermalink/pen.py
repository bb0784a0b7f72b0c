"""A pen, as everything above sees it: typed requests, checked therapy commands, Stop.

A therapy command's way: gate (checked, twice) → journal (written down) → connection (sent, answered) → outcome.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from dermalink.checked import Checked
from dermalink.connecting import Greeted, Known, greet_at, serial_text
from dermalink.connection import NEEDS_ADMISSION, Connection
from dermalink.errors import HostRefusal, LinkError, PenRefusal, Timeout, UnexpectedReply
from dermalink.exchange import Exchange
from dermalink.gate import Gate
from dermalink.journal import Journal
from dermalink.lease import Lease
from dermalink.margin.margin import LinkMargin
from dermalink.notifications import QUEUE_DEFAULT, N, Subscription
from dermalink.outcome import Applied, Outcome, Refused, Unknown, Verdict
from dermalink.reconcile import endings, kept_by_pen
from dermalink.records import SessionOver, symptom_said
from dermalink.refusals import not_admitted
from dermalink.rules import Facts
from dermalink.settling import settle_all
from dermalink.stopping import StopReport, stop_and_confirm
from dermalink.telemetry import TelemetryRing
from dermalink.ticks import elapsed_ms
from dermalink.watch import Guardian
from dermalink.write_ahead import intended_for, settled_by
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import ACCURACY_MAX_UM, LEASE_DEFAULT_MS
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.identity import (
    GetCartridge,
    GetLastCommand,
    GetStatus,
    LastCommand,
    Status,
)
from dermalink_protocol.messages.stop import ReportSymptom, Stop, Stopped, SymptomReported
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.schema import R, Request
from dermalink_protocol.zones import Symptom

AT_REST_WITHIN_S: Final = 2.0  # opening and recording wait for flash, whose sector erase takes up to 0.4 s
POLL_S: Final = 0.02
GOODBYE_WITHIN_S: Final = 0.3  # the pen has 10 ms to cut the drive; the rest is the link's
PASSING: Final = (State.BOOT, State.SELF_TEST, State.OPENING, State.RECORDING, State.STOPPING, State.CLOSING)
MOVES_NOTHING: Final = (therapy.SetClock, therapy.AcknowledgeFault)


def utc_now() -> int:
    """Seconds since 1970 by this computer's clock."""
    return int(time.time())


class Pen:
    """One connected pen, used once. `await Pen.connect(url)` makes it; `async with` or `close` ends it.

    `samples` holds the newest telemetry as numpy, `alarm` why the host's own watch stopped the pen. `owned` says
    whether it has an owner, `sealed` whether that is this computer: then all that it says is under seal (SR-SEC-1).
    `stranger` says that this pen is its owner's only, and this computer is not that: it is told identity and state, and
    obeyed when it says Stop. `foreign`: it speaks in the clear, and this computer has keys, all of other pens; what it
    says of symptoms bars no other.
    """

    def __init__(self, greeted: Greeted) -> None:
        """`connect` does this; what `greeted` holds is owned from here on."""
        connection, hello = greeted.connection, greeted.hello
        self.connection: Final = connection
        self.gate: Final = Gate(greeted.registry)
        self.hello: Final = hello
        self.serial_number: Final = serial_text(hello)
        self.owned: Final = greeted.owned
        self.sealed: Final = greeted.sealed
        self.stranger: Final = greeted.stranger
        self.foreign: Final = greeted.foreign
        self.samples: Final = TelemetryRing()
        self.alarm: DermalinkError | None = None
        self._registry = greeted.registry
        self._keeper = greeted.keeper
        self._utc = greeted.utc
        self._therapy = asyncio.Lock()
        self._last_command_id = greeted.last_command_id
        self._history_fault = greeted.history_fault
        self._inspect_only = greeted.inspect_only
        self._paused_at: int | None = None
        self._reporting = 0  # symptoms that are on their way to pen and journal
        self._owns_motion = self._owned_motion = False
        self._closing: asyncio.Task[None] | None = None
        self._guardian = Guardian(self._stop_by_itself, min(hello.sensor_accuracy_um, int(ACCURACY_MAX_UM)))
        connection.listen(self.samples)
        connection.listen(self._guardian)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        journal: Journal | None = None,
        inspect_only: bool = False,
        trace: Callable[[Connection], None] | None = None,
        utc: Callable[[], int] = utc_now,
        known: Known | None = None,
    ) -> Self:
        """Connect, say hello, hold the pen's limits against ours, and settle what an earlier run left in the dark.

        With keys of this pen, by default the person's own (`known` gives others), all after hello is under seal.

        `journal` is owned from here on; without one it is this person's own file. With `inspect_only` there is no
        therapy and no journal but the one given, and a pen with looser limits may be looked at and stopped. `trace` is
        called with the connection before anything is sent. Raises a `LinkError`, `Timeout`, `IncompatiblePen`,
        `JournalError`, `UnknownOutcome`, or a `ChannelError`: `NotOwner` for an owned pen whose keys are not here, and
        `HandshakeFailed` for one that does not prove to be the pen that this computer owns.
        """
        greeted = await greet_at(url, journal=journal, inspect_only=inspect_only, trace=trace, utc=utc, known=known)
        return cls(greeted)

    # Reading

    async def request(self, request: Request[R], *, within_s: float | None = None) -> R:
        """Ask, and get the reply that belongs to the question; see `Connection.request`.

        What raises exposure goes through `apply` alone, and what keeps it alive through a `lease`: both are refused
        here with `HostRefusal`.
        """
        if request.effect in NEEDS_ADMISSION:
            raise not_admitted(request)
        return await self.connection.request(request, within_s=within_s)

    async def status(self) -> Status:
        """How the pen stands."""
        return await self.connection.request(GetStatus())

    @property
    def margin(self) -> LinkMargin:
        """Round trips, how near the lease came to lapsing, and the pen's clock against this computer's; live."""
        return self.connection.margin

    def subscribe(self, *kinds: type[N], size: int = QUEUE_DEFAULT) -> Subscription[N]:
        """A queue of its own for `Telemetry` or `StateChanged`; let go of it with `connection.forget`."""
        return self.connection.subscribe(*kinds, size=size)

    async def secure(self) -> None:
        """Hear telemetry and history of one's own pen that is only looked at: over BLE that takes a bond (`Link`)."""
        if self.sealed and self._inspect_only:
            await self.connection.link.secure(pairs=True)

    def telemetry(self, *, size: int = QUEUE_DEFAULT) -> Subscription[Telemetry]:
        """A queue of telemetry batches."""
        return self.connection.subscribe(Telemetry, size=size)

    async def last_command(self) -> LastCommand:
        """The therapy command that the pen applied last."""
        return await self.connection.request(GetLastCommand())

    async def wait_for(self, *states: State, within_s: float) -> Status:
        """The first status in one of these states; raises `Timeout`."""
        status = await self.status()
        try:
            async with asyncio.timeout(within_s):
                while status.state not in states:
                    await asyncio.sleep(POLL_S)
                    status = await self.status()
        except TimeoutError:
            names = " or ".join(state.name for state in states)
            raise Timeout(f"The pen is {status.state.name}", limit=f"waited {within_s:g} s for {names}") from None
        return status

    async def look(self) -> Facts:
        """Read status and head, note what has ended meanwhile, and tell the gate; the facts that it decides by.

        Waits while the pen is on its way between two states, `AT_REST_WITHIN_S` at most.
        """
        status = await self._at_rest()
        cartridge = await self.connection.request(GetCartridge())
        utc_s = self._utc()
        believed = self._keeper.belief.pen(self.serial_number)
        for record in endings(believed, status, self.serial_number, utc_s, sealed=self.sealed):
            await self._keeper.keep(record)
        if not self._reporting and not self.foreign:
            for said in kept_by_pen(self._keeper.belief, status, self.serial_number, utc_s, sealed=self.sealed):
                await self._keeper.keep(said)
        believed = self._keeper.belief.pen(self.serial_number)
        if believed.running is None and not believed.unsettled:
            self._guardian.over()
        if status.state is not State.PAUSED:
            self._paused_at = None
        elif self._paused_at is None:
            self._paused_at = status.tick_ms
        number, digest = self._keeper.last
        facts = Facts(
            hello=self.hello,
            serial_number=self.serial_number,
            status=status,
            cartridge=cartridge,
            belief=self._keeper.belief,
            utc_s=utc_s,
            record_number=number,
            record_hash=digest,
            history_fault=self._history_fault,
            paused_for_ms=elapsed_ms(self._paused_at, status.tick_ms) if self._paused_at is not None else 0,
            inspect_only=self._inspect_only,
        )
        self._registry.look(facts)
        return facts

    async def _at_rest(self) -> Status:
        """The first status that is not between two states; after `AT_REST_WITHIN_S` the one there is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + AT_REST_WITHIN_S
        status = await self.status()
        while status.state in PASSING and loop.time() < deadline:
            await asyncio.sleep(POLL_S)
            status = await self.status()
        return status

    # Therapy

    async def apply(self, checked: Checked[R], *, within_s: float | None = None) -> Outcome[R]:
        """Send a checked command, having looked at the pen once more and written down that it is sent.

        Applied, refused or unknown, as a value. Raises what `look` raises, `JournalError`, and a `LinkError` when
        certainly nothing was sent. Never sent twice (SR-CMD-3).
        """
        async with self._therapy:
            await self.look()
            self._last_command_id += 1
            tick = self.connection.newest_tick or 0
            try:
                redeemed = self._registry.redeem(checked, command_id=self._last_command_id, seen_tick_ms=tick)
            except HostRefusal as refusal:
                return Refused(refusal)
            intended = intended_for(redeemed, self.hello.boot_id, pen=self.serial_number, utc_s=self._utc())
            number = (await self._keeper.keep(intended)).number
            if not isinstance(redeemed.message, MOVES_NOTHING):
                self._owns_motion = self._owned_motion = True
            if isinstance(redeemed.message, therapy.BeginPass | therapy.ResumePass) and redeemed.frame is not None:
                self._guardian.begin(redeemed.frame.depth_um)
            return await self._send(redeemed.message, number, within_s)

    async def _send(self, message: therapy.TherapyCommand[R], number: int, within_s: float | None) -> Outcome[R]:
        exchange: Exchange[R] | None = None
        try:
            exchange = self.connection.exchange(message)
            reply = await self.connection.run(exchange, within_s=within_s)
        except PenRefusal as refusal:
            await self._settle_as(number, Verdict.REFUSED, reason=refusal.reason)
            if refusal.reason in (Reason.COMMAND_ID_NOT_NEWER, Reason.COMMAND_ID_REUSED):
                self._last_command_id = max(self._last_command_id, (await self.last_command()).command_id)
            elif refusal.reason == Reason.COMMAND_ID_TOO_FAR:
                self._last_command_id = (await self.last_command()).command_id
            return Refused(refusal)
        except (Timeout, LinkError, UnexpectedReply) as error:
            if exchange is None or not exchange.sent:
                await self._settle_as(number, Verdict.NOT_SENT)
                raise
            return Unknown(type(message).__name__, error)
        await self._settle_as(number, Verdict.APPLIED, reply=reply)
        return Applied(reply)

    async def _settle_as(
        self, number: int, verdict: Verdict, *, reason: Reason = Reason.NONE, reply: Any = None
    ) -> None:
        settled = settled_by(number, verdict, reason, reply, pen=self.serial_number, utc_s=self._utc())
        if settled.number:
            known = self._keeper.belief.pen(self.serial_number).history_number
            if settled.number < known:
                self._history_fault = f"it ends at record {settled.number}, and this host has seen record {known}"
        await self._keeper.keep(settled)

    @property
    def unsettled(self) -> bool:
        """Whether a command's outcome is unknown, so that nothing that raises exposure goes."""
        return bool(self._keeper.belief.pen(self.serial_number).unsettled)

    async def settle(self) -> dict[int, Verdict]:
        """Ask the pen what came of commands in the dark, and write it down; what came of each, by journal number."""
        async with self._therapy:
            return await settle_all(self.connection, self._keeper, self.serial_number, self._utc())

    # Keeping alive, and ending

    def lease(self, session_id: int, lease_ms: int = LEASE_DEFAULT_MS) -> Lease:
        """The lease of the session that was opened or adopted with `lease_ms`, for the session's loop to earn."""
        return Lease(self.connection, session_id, lease_ms, vouch=self._registry.vouch)

    async def pause(self) -> therapy.PassPaused:
        """Interrupt the pass; it can be resumed."""
        return await self.connection.request(therapy.PausePass(session_id=self._session()))

    async def end_pass(self) -> therapy.PassEnded:
        """End the pass, or drop the prepared frame."""
        reply = await self.connection.request(therapy.EndPass(session_id=self._session()))
        await self.look()
        return reply

    async def close_session(self) -> therapy.SessionClosed:
        """End the session, for good; each side keeps the other's last record (SR-LOG-1)."""
        await self.look()
        session_id = self._session()
        number, digest = self._keeper.last
        request = therapy.CloseSession(session_id=session_id, record_number=number, record_hash=digest)
        reply = await self.connection.request(request)
        believed = self._keeper.belief.pen(self.serial_number)
        status = await self._at_rest()
        for record in endings(believed, status, self.serial_number, self._utc(), sealed=self.sealed):
            if not isinstance(record, SessionOver):
                await self._keeper.keep(record)
        await self._keeper.keep(
            SessionOver(
                pen=self.serial_number,
                utc_s=self._utc(),
                session_id=session_id,
                number=reply.history_number,
                digest=reply.history_hash.hex(),
            )
        )
        self._guardian.over()
        self._owns_motion = False
        return reply

    def _session(self) -> int:
        """This host's session; 0, which the pen refuses, when it has none."""
        return self._keeper.belief.pen(self.serial_number).session_id

    # Stopping

    def stop_now(self) -> "asyncio.Future[Stopped]":
        """Send Stop at once, past every queue, lock and journal write (SR-STOP-4); the pen's reply comes later.

        Raises a `LinkError` when the link is gone: then the pen stops by its lease.
        """
        return self.connection.request_now(Stop())

    async def stop(self, *, within_s: float | None = None) -> StopReport:
        """Stop, and see it proved: disarmed, needles in, motor off; None is as long as the link needs.

        Raises `StopNotConfirmed` or `StopFailed`.
        """
        return await stop_and_confirm(self.connection, within_s)

    async def report_symptom(self, symptom: Symptom, *, within_s: float | None = None) -> SymptomReported:
        """Pain, bleeding or a rash: stop at once, and no more passes in this session (SR-SYM-1).

        It is written down as well, whether the pen answers or not. To somebody else's pen it is a plain stop, so it
        stays to be told; said in the clear it is told again to a pen of this computer's, under seal. Raises `Timeout`
        or a `LinkError`.
        """
        told = False
        self._reporting += 1
        try:
            future = self.connection.request_now(ReportSymptom(symptom=symptom))
            async with asyncio.timeout(self.connection.reply_within_s if within_s is None else within_s):
                reply = await asyncio.shield(future)
            told = self.sealed or not self.owned
        except TimeoutError:
            raise Timeout("The pen did not answer to the symptom", advice="Lift it off, and press its button") from None
        finally:
            pen, utc_s = self.serial_number, self._utc()
            await self._keeper.keep(symptom_said(symptom, pen=pen, sealed=self.sealed, told=told, utc_s=utc_s))
            self._reporting -= 1
        return reply

    def _stop_by_itself(self, alarm: DermalinkError) -> None:
        self.alarm = alarm
        with contextlib.suppress(LinkError):
            self.stop_now()

    async def close(self) -> None:
        """Stop first if anything here may have moved the pen, then let go of it; may be called again."""
        if self._closing is None:
            self._guardian.over()
            self._closing = asyncio.ensure_future(self._close(self._stop_if_owned()))
        await asyncio.shield(self._closing)

    def _may_own_motion(self) -> bool:
        """Something went out that moves; or the pen says that it moves, and this host has or had a session in it.

        Another host's pass is not this one's to stop on the way out.
        """
        ours = self._owned_motion or bool(self._session())
        return self._owns_motion or (self.connection.says_moving and ours)

    def _stop_if_owned(self) -> "asyncio.Future[Stopped] | None":
        """Stop before anything is waited for; under seal as well, since nobody waits here for a proof of the first."""
        stopped = None
        if self._may_own_motion():
            with contextlib.suppress(LinkError):
                stopped = self.stop_now()
                if self.sealed:
                    stopped = self.connection.request_now(Stop(), under_seal=True)
        return stopped

    async def _close(self, stopped: "asyncio.Future[Stopped] | None") -> None:
        if stopped is not None:
            await asyncio.wait([stopped], timeout=GOODBYE_WITHIN_S)
        await self.connection.close()
        await self._keeper.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
