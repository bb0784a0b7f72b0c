"""The light model that leases are measured with, against a session over all of Bluetooth through the same air.

Both go through the same connection events, of which the same are lost, with batches and questions at the same moments;
so not shares are compared but renewals, one by one. Left out of both are hold-ups of the host's process and the drift
of its clock, which stand around the model and not in it; how a pass begins and ends is in the session alone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Final, NamedTuple

import pytest

from dermalink.journal import MemoryJournal
from dermalink.links.link import SENT
from dermalink.pen import Pen
from dermalink.plan.load import plan_from_bytes
from dermalink.session import events
from dermalink.session.outcome import Ending
from dermalink.session.runner import Session
from dermalink.ticks import elapsed_ms, newer
from dermalink_protocol.envelope import Envelope
from dermalink_protocol.limits import LEASE_DEFAULT_MS, LEASE_MAX_MS
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import LeaseRenewed, RenewLease
from dermalink_simulator.doors.on_air import on_air
from dermalink_simulator.hardware.air import PERFECT, AirConditions
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.spaces import find_air
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.benchmarks.bluetooth import BOTH_CHEEKS, Handy
from tests.benchmarks.lease_air import BATCH_S, SUPERVISION_MS, LeasedLink
from tests.benchmarks.lease_margin import Cell
from tests.benchmarks.lease_stops import Stops

SEED: Final = 3
SPOILT_AFTER_S: Final = 1.0  # so long every pass is in perfect air: how it begins is not what is modelled
AFTER_S: Final = 0.001  # behind whatever happens in the moment in which a stretch is over, and before what is next
TOLERANCE_MS: Final = 0.1  # of the moment and the length of each single round trip; gaps and lapses are the same
ENOUGH: Final = 300  # renewals in minutes of passes, and enough to be no chance
CELLS: Final = [
    Cell(30_000, 50, in_bursts=False),
    Cell(30_000, 100, in_bursts=True),
    Cell(100_000, 0, in_bursts=False),
    Cell(7_500, 100, in_bursts=False),
]


class Renewal(NamedTuple):
    """One that was answered: when it was sent, how long that took, and how long the lease had to last for it."""

    sent_ms: float
    trip_ms: float
    gap_ms: int


class Spoilt(NamedTuple):
    """A pass, and the stretch of it in bad air; before, at `asked_s`, the pen was asked how it stands with a batch."""

    asked_s: float
    begins_s: float
    ends_s: float


class Watched:
    """What goes over a connection, as the host sees it; `on_stop` is called when a Stop goes out."""

    def __init__(self, on_stop: Callable[[], object] = lambda: None) -> None:
        self.asked_s: float | None = None
        self._renewals: list[Renewal] = []
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._sent: dict[int, tuple[float, int]] = {}
        self._quoted: int | None = None
        self._batch_s = 0.0

    def see(self, way: str, envelope: Envelope) -> None:
        """A message."""
        now_s, message = self._loop.time(), envelope.message
        if isinstance(message, Telemetry):
            self._batch_s = now_s
        elif isinstance(message, Stop):
            self._on_stop()
        elif isinstance(message, GetStatus) and self.asked_s is None and self._batch_s == now_s:
            self.asked_s = now_s
        elif way == SENT and isinstance(message, RenewLease):
            self._sent[envelope.request_id] = now_s, message.seen_tick_ms
        elif isinstance(message, LeaseRenewed):
            sent_s, seen = self._sent.pop(envelope.request_id)
            if self._quoted is not None:
                gap_ms = elapsed_ms(self._quoted, message.tick_ms)
                self._renewals.append(Renewal(sent_s * 1_000, (now_s - sent_s) * 1_000, gap_ms))
            self._quoted = newer(self._quoted, seen)

    def within(self, passes: list[Spoilt]) -> list[Renewal]:
        """The renewals that were sent and answered in bad air."""
        return [
            one
            for one in self._renewals
            for each in passes
            if each.begins_s * 1_000 <= one.sent_ms and one.sent_ms + one.trip_ms < each.ends_s * 1_000 - TOLERANCE_MS
        ]


class Spoiler:
    """Spoils the air in the midst of each pass of a session, until the zone is covered or a Stop goes out."""

    def __init__(self, air: Air, cell: Cell) -> None:
        self.passes: list[Spoilt] = []
        self.alarms = 0
        self.watched = Watched(self._over_soon)
        self._air, self._cell = air, cell
        self._loop = asyncio.get_running_loop()
        self._begins_s = 0.0

    def show(self, event: events.Event) -> None:
        """What the session says."""
        if isinstance(event, events.PassStarted):
            self.watched.asked_s = None
            self._loop.call_later(SPOILT_AFTER_S, self._spoil)
        elif isinstance(event, events.Alarm):
            self.alarms += 1
        elif isinstance(event, events.Progress) and event.coverage_percent >= Handy.COVERED_PERCENT:
            self._over_soon()

    def _spoil(self) -> None:
        self._begins_s = self._loop.time()
        self._air.conditions.become(bad(self._cell))

    def _over_soon(self) -> None:
        self._loop.call_later(AFTER_S, self._over)

    def _over(self) -> None:
        if not self._air.conditions.perfect:
            assert self.watched.asked_s is not None
            self.passes.append(Spoilt(self.watched.asked_s, self._begins_s, self._loop.time()))
            self._air.conditions.become(PERFECT)


def bad(cell: Cell) -> AirConditions:
    """The air of that kind, in which a link counts as lost after as long as in the model."""
    return replace(cell.conditions, supervision_ms=SUPERVISION_MS)


async def whole_stack(cell: Cell) -> tuple[Spoiler, list[Renewal]]:
    """A session over bleak, Bumble and the simulated pen."""
    sim = SimulatedPen(seed=SEED)
    runner = PenRunner(sim)
    async with on_air(runner, sim, air="perfect", name="both") as where:
        person, spoiler = Handy(runner, sim, 0.0), Spoiler(find_air("both"), cell)

        def show(event: events.Event) -> None:
            spoiler.show(event)
            person.see(event)

        async with await Pen.connect(where.url, journal=MemoryJournal(), utc=lambda: sim.clock.utc_s) as pen:
            pen.connection.on_message = spoiler.watched.see
            plan = plan_from_bytes(BOTH_CHEEKS, "test plan")
            summary = await Session(pen, plan, person.words, show, lease_ms=int(LEASE_MAX_MS)).run()
            assert summary.ending is Ending.DONE
    runner.stop()
    return spoiler, spoiler.watched.within(spoiler.passes)


async def light_model(cell: Cell, passes: list[Spoilt]) -> tuple[int, list[Renewal]]:
    """The same passes at the same times by the light model, and how often its host's watch stopped one."""
    loop, watched, stops = asyncio.get_running_loop(), Watched(), Stops((int(LEASE_MAX_MS),))
    link = LeasedLink(PERFECT, SEED, stops, clocks_part=0.0)
    link.connection.on_message = watched.see
    alarms = 0
    for one in passes:
        began_s = one.asked_s - BATCH_S  # with the first batch of a pass the host asks
        await asyncio.sleep(began_s - loop.time())
        loop.call_at(one.begins_s, link.air.conditions.become, bad(cell))
        loop.call_at(one.ends_s, link.air.conditions.become, PERFECT)
        before = stops.alarms
        assert await link.run(began_s, one.ends_s)
        alarms += stops.alarms - before
    await link.close()
    return alarms, watched.within(passes)


def in_words(renewals: list[Renewal]) -> str:
    """What a person compares when the two differ."""
    trips, gaps = [one.trip_ms for one in renewals], [one.gap_ms for one in renewals]
    lapses = sum(gap_ms >= LEASE_DEFAULT_MS for gap_ms in gaps)
    return (
        f"{len(renewals)} renewals, {lapses} lapses of {LEASE_DEFAULT_MS} ms;"
        f" gaps: {median(gaps)} ms, longest {max(gaps)}; round trips: {median(trips):.1f} ms, longest {max(trips):.1f}"
    )


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.interval_us}-{cell.loss}-{cell.in_bursts}")
def test_the_light_model_renews_a_lease_as_the_whole_stack_does(cell: Cell) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        spoiler, whole = runner.run(whole_stack(cell))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        alarms, light = runner.run(light_model(cell, spoiler.passes))
    assert len(whole) > ENOUGH
    assert in_words(light) == in_words(whole)
    assert alarms == spoiler.alarms
    for ours, theirs in zip(light, whole, strict=True):
        assert ours == pytest.approx(theirs, abs=TOLERANCE_MS)
