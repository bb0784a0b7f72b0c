"""A person with a simulated pen, led through a session, in virtual time and in one process."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import pytest

from dermalink.journal import Journal, MemoryJournal
from dermalink.pen import Pen
from dermalink.plan.load import Plan, plan_from_bytes
from dermalink.session import events
from dermalink.session.events import Event
from dermalink.session.outcome import Summary
from dermalink.session.runner import Session
from dermalink.session.words import Word, WordQueue
from dermalink_protocol.channels import Channel
from dermalink_simulator.firmware import bonding
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from dermalink_simulator.seam import PortKind
from tests.support.owned import give_owner, keys_only_of, no_keys
from tests.support.sealed_client import inside

T = TypeVar("T")

PRESS_AFTER_S: Final = 0.4  # a person reads, and presses
# How late a Stop may come to the pen: not at all, or over a room's air one connection event (30 ms) and three that are
# lost one after the other, which is a burst.
AIR_LATE_MS: Final = {"perfect": 0, "room": 120}
NOSE: Final = b"""plan = 1
rate_hz = 100
speed_mm_s = 40
[[zone]]
name = "nose"
directions = ["vertical", "horizontal"]
depth = "0.25 mm"
"""


class Way(NamedTuple):
    """How a session reaches its pen: by "stream" (`sim:`, as by a serial port) or by "ble", through an air.

    `owned`: the pen has an owner, whose computer this is, so that all of it is sealed.
    """

    by: str
    air: str = "perfect"
    owned: bool = False

    def __str__(self) -> str:
        by = self.by if self.by == "stream" else f"{self.by}-{self.air}"
        return f"{by}-sealed" if self.owned else by


STREAM: Final = Way("stream")
ROOM: Final = Way("ble", "room")
PERFECT: Final = Way("ble")
SEALED: Final = Way("stream", owned=True)
SEALED_ROOM: Final = Way("ble", "room", owned=True)

SELF_TESTED_S: Final = 1.5


class Guided:
    """One person with one pen. Change what the person does by replacing entries of `reactions`."""

    def __init__(self, made: SimulatedPenDesk, way: Way) -> None:
        self.made, self.runner, self.sim, self.url, self.way = made, made.runner, made.model, made.url, way
        self.other_url = made.url_of("other")  # of a second computer
        self.stops_came_ms: list[int] = []
        if way.owned:
            self.do(lambda: give_owner(self.sim))
        self._pressed = False
        self._watch_stops()
        self.person = WordQueue()
        self.events: list[Event] = []
        self.journal: Journal = MemoryJournal()
        self.halfway_ms = 0
        self.reactions: dict[type[Event], Callable[[Any], object]] = {
            events.ReadyAsked: lambda _: self.person.say(Word.GO),
            events.PressAsked: lambda _: self.later(PRESS_AFTER_S, self.sim.button.press),
            events.PassStarted: self.glide,
            events.Progress: self.lift_when_covered,
            events.PassOver: lambda _: self.do(self.sim.hand.lift),
        }

    # What a person does

    def do(self, action: Callable[[], T]) -> T:
        """Do something to the pen, now."""
        return self.runner.act(action)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something to the pen, then."""
        asyncio.get_running_loop().call_later(seconds, lambda: self.do(action))

    def glide(self, event: events.PassStarted) -> None:
        """Go over the zone."""
        step = event.step
        self.do(lambda: self.sim.hand.sweep(step.zone, step.direction, speed_mm_s=step.speed_mm_s))

    def lift_when_covered(self, event: events.Progress) -> None:
        """Lift when the display says that the zone is covered."""
        if event.coverage_percent >= 95:
            self.do(self.sim.hand.lift)

    def once(self, kind: type[Event], when: Callable[[Any], bool], then: Callable[[Any], object]) -> None:
        """At the first event of this kind for which `when` holds, `then` as well as the usual."""
        usual = self.reactions.get(kind, lambda _: None)
        done = False

        def react(event: Any) -> None:
            nonlocal done
            usual(event)
            if not done and when(event):
                done = True
                then(event)

        self.reactions[kind] = react

    def halfway(self, then: Callable[[], object]) -> None:
        """In the middle of the first pass; the moment is kept as `halfway_ms`."""

        def now(_: events.Progress) -> None:
            self.halfway_ms = self.ms
            then()

        self.once(events.Progress, lambda event: event.coverage_percent >= 40, now)

    def _watch_stops(self) -> None:
        """Note when a Stop arrives at the pen: how long one is on its way over the air is no delay of the pen's."""
        connect = self.sim.connect

        def connect_watched(kind: PortKind = PortKind.STREAM) -> PenPort:
            port = connect(kind)
            write = port.write

            def write_watched(data: bytes) -> None:
                if kind is PortKind.GATT and data[0] == Channel.STOP:
                    self.stops_came_ms.append(self.sim.now_ms)
                write(data)

            port.write = write_watched  # type: ignore[method-assign]
            return port

        self.sim.connect = connect_watched  # type: ignore[method-assign]

    # What the session says

    def show(self, event: Event) -> None:
        """Note it, and react."""
        self.events.append(event)
        self.reactions.get(type(event), lambda _: None)(event)

    def said(self, kind: type[T]) -> list[T]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ms(self) -> int:
        """The pen's time."""
        return self.do(lambda: self.sim.now_ms)

    def in_after_ms(self) -> float:
        """How long after `halfway_ms` the needles were truly in, for good."""
        self.do(lambda: None)  # brings the pen to the present
        last = self.sim.skin.last_in_us
        assert last is not None, "the needles are out"
        return last / 1_000 - self.halfway_ms

    def in_after_stop_ms(self) -> float:
        """The same, from when Stop arrived at the pen; by a stream that is when it was sent."""
        late_ms = 0
        if self.way.by == "ble":
            came_ms = [at for at in self.stops_came_ms if at >= self.halfway_ms]
            assert came_ms, "no Stop arrived at the pen"
            late_ms = came_ms[0] - self.halfway_ms
            assert late_ms <= AIR_LATE_MS[self.way.air], f"the Stop came after {late_ms} ms"
        return self.in_after_ms() - late_ms

    # The session

    async def pen(self) -> Pen:
        """A connected pen, whose days are the simulated clock's."""
        known = keys_only_of(self.sim) if self.way.owned else no_keys
        if self.way.owned and not self._pressed:  # once, as whoever pairs does: Bluetooth's own bond is made under it
            self._pressed = True
            await self.seconds(SELF_TESTED_S)
            self.do(lambda: bonding.opened(inside(self.sim)))
        return await Pen.connect(self.url, journal=self.journal, utc=lambda: self.sim.clock.utc_s, known=known)

    async def run(self, plan: bytes = NOSE, **options: Any) -> Summary:
        """Run a plan to its end."""
        async with await self.pen() as pen:
            return await self.session(pen, plan, **options).run()

    def session(self, pen: Pen, plan: bytes = NOSE, **options: Any) -> Session:
        """A session that is yet to run; `options` are the session's."""
        return Session(pen, self.plan(plan), self.person, self.show, **options)

    @staticmethod
    def plan(text: bytes) -> Plan:
        """A plan from its text."""
        return plan_from_bytes(text, "test plan")

    async def seconds(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


def guided(story: Callable[[Guided], Awaitable[T]], way: Way = STREAM, **options: Any) -> T:
    """Run a story in virtual time, by the plugin that we ship; `options` are the simulated pen's."""

    async def tell(made: SimulatedPenDesk) -> T:
        return await story(Guided(made, way))

    with (
        contextlib.closing(Bench(virtual=True)) as bench,
        desk(bench, SimulatedPen(**options), by=way.by, air=way.air) as made,
    ):
        return bench.run(tell(made))


class Tell(Protocol):
    """`guided` by one way."""

    def __call__(self, story: Callable[[Guided], Awaitable[T]], **options: Any) -> T:
        """Run a story."""


def by_ways(*ways: Way) -> pytest.MarkDecorator:
    """Run a test's stories by these ways only: `guided` is then each of them in turn."""
    return pytest.mark.parametrize("guided", ways, ids=str, indirect=True)
