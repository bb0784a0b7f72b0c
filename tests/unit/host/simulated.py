"""The host against the real simulated pen, in one process and in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from dermalink.connecting import Known, greet
from dermalink.errors import UnknownOutcome
from dermalink.journal import Journal, MemoryJournal
from dermalink.lease import Lease
from dermalink.links.open import open_link
from dermalink.outcome import Refused, Unknown
from dermalink.pen import Pen
from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import Status
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.in_process import published
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from tests.support.owned import give_owner, keys_only_of, no_keys

MOVING = (State.RECORDING, State.SPIN_UP, State.ARMED, State.RUNNING, State.LIFTED)
QUICK: dict[str, Any] = {"depth_um": 250, "rate_hz": 100, "speed_mm_s": 40}  # ten seconds over a nose

_numbers = count()

T = TypeVar("T")


@dataclass
class Desk:
    """A simulated pen on a desk: the pen itself, its runner, and the URL that leads to it."""

    sim: SimulatedPen
    runner: PenRunner
    url: str
    known: Known = no_keys

    def do(self, what: Callable[[SimulatedPen], T]) -> T:
        """Do something to the pen, now."""
        return self.runner.act(lambda: what(self.sim))

    def give_owner(self) -> None:
        """The pen has an owner now, whose computer is this."""
        self.do(give_owner)
        self.known = keys_only_of(self.sim)

    async def connect(
        self, *, journal: Journal | None = None, inspect_only: bool = False, known: Known | None = None
    ) -> Pen:
        """A connection whose host keeps time by the pen's clock; `known` are another's keys."""
        kept = journal or MemoryJournal()
        link = await open_link(self.url)
        utc: Callable[[], int] = lambda: self.sim.clock.utc_s  # noqa: E731
        return Pen(await greet(link, journal=kept, inspect_only=inspect_only, utc=utc, known=known or self.known))


@asynccontextmanager
async def a_desk(**options: Any) -> AsyncIterator[Desk]:
    """One pen, running along the loop."""
    sim = SimulatedPen(**options)
    runner = PenRunner(sim)
    try:
        with published(f"desk{next(_numbers)}", runner) as url:
            yield Desk(sim, runner, url)
    finally:
        runner.stop()


async def applied(pen: Pen, ask: Callable[[], Any]) -> Any:
    """Look, ask the gate, apply; the reply of what has to be applied. Raises what came of it otherwise."""
    await pen.look()
    outcome = await pen.apply(ask())
    if isinstance(outcome, Refused):
        raise outcome.refusal
    if isinstance(outcome, Unknown):
        raise UnknownOutcome(f"{outcome.command} has no answer") from outcome.why
    return outcome.reply


async def ready(pen: Pen, **frame: Any) -> Lease:
    """A session open, a frame prepared and begun, the pen waiting for a press; its lease."""
    opened = await applied(pen, pen.gate.open_session)
    place = {"zone": Zone.NOSE, "direction": Direction.VERTICAL} | QUICK | frame
    await applied(pen, lambda: pen.gate.prepare(**place))
    await applied(pen, pen.gate.begin_pass)
    return pen.lease(opened.session_id)


async def keep_on(pen: Pen, lease: Lease, until: Callable[[Status], bool], within_s: float = 60.0) -> Status:
    """A session's loop: take telemetry and status in, renew the lease, until the status is as asked."""
    batches = pen.telemetry()
    try:
        async with asyncio.timeout(within_s):
            while True:
                for batch in batches.take_waiting():
                    lease.earn(batch)
                status = await pen.status()
                if until(status):
                    return status
                lease.earn(status)
                if lease.earned:
                    await lease.renew()
                await asyncio.sleep(0.05)
    finally:
        pen.connection.forget(batches)
        await lease.close()
