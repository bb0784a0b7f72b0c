"""The pytest plugin that ships with Dermalink: a simulated pen, a connected host and virtual time, as fixtures.

    def test_the_pen_is_idle(pen):
        assert pen.status().state.name == "IDLE"

`simulated_pen` is a pen in software with its hand, button, cartridge, clock, power and faults; `pen` is a connection to
it; both live in virtual time, and everything is synchronous, so no plugin for asyncio is needed. With `--pen-by ble`
the same tests reach the simulated pen by Bluetooth Low Energy, over bleak and a whole Bluetooth stack in this process,
still in virtual time; one test alone does so with `@pytest.mark.simulated_pen(by="ble", air="room")`. With `--pen URL`
they run on a real pen; what it can't do is skipped there, with the reason. Nothing heavy is imported before a fixture
is used. This file is the only place that joins the host to the simulator.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from dermalink.journal import MemoryJournal
    from dermalink.plan.load import Plan
    from dermalink.session.events import Event
    from dermalink.session.outcome import Summary
    from dermalink.sync import LoopThread, SyncPen
    from dermalink_protocol.zones import Direction, Zone
    from dermalink_simulator.doors.on_air import OnAir
    from dermalink_simulator.faults.spelling import FaultScript
    from dermalink_simulator.hardware.skin import Skin
    from dermalink_simulator.overlay import Faults
    from dermalink_simulator.pen import Button, CartridgeSeat, Clock, Hand, Power, SimulatedPen
    from dermalink_simulator.runner import PenRunner

T = TypeVar("T")

RUN_WITHIN_S = 7_200.0  # of the loop's own time: longer than any session; a wait that never ends is told so
PRESS_AFTER_S = 0.4  # a person reads, and presses
COVERED_PERCENT = 95
SWAP_S = 0.5
STARTED_WITHIN_S = 10.0  # a self-test takes a second, and a board's flash check a few
NEEDS = "needs the simulator ({}), and --pen names a real pen"
SIMULATOR_ONLY = ("simulated_pen", "virtual_time")
BY_STREAM, BY_BLE = WAYS = ("stream", "ble")
AIRS = ("room", "perfect")
MARKERS = (
    "needs_simulator: what a real pen can't be made to do (faults, its clock); skipped with --pen",
    "second_session: opens a second session within 14 days, which a real pen refuses; skipped with --pen",
    "simulated_pen(profile=, seed=, head=, by=, air=, faults=): what the pen is, how it is reached, and what breaks",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--pen URL`, `--pen-by WAY` and `--pen-air PROFILE`."""
    group = parser.getgroup("dermalink")
    text = "Run on the real pen at URL (serial:/dev/ttyACM0, ble:SERIAL, tcp:HOST:PORT) instead of a simulated one."
    group.addoption("--pen", metavar="URL", default=None, help=text)
    text = (
        "Reach simulated pens by 'stream' (bytes, as over a serial port; the default) or by 'ble': bleak and a whole "
        "Bluetooth stack in this process, without an adapter and in virtual time."
    )
    group.addoption("--pen-by", metavar="WAY", choices=WAYS, default=None, help=text)
    text = "The air of pens reached by 'ble': 'room' (30 ms interval, 1 %% loss; the default) or 'perfect'."
    group.addoption("--pen-air", metavar="PROFILE", choices=AIRS, default=None, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; one pen can't serve several workers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    url = config.getoption("--pen")
    if url is not None and ":" not in url:
        raise pytest.UsageError(f"--pen {url!r} is no URL; for example serial:/dev/ttyACM0")
    if url is not None and (hasattr(config, "workerinput") or config.getoption("numprocesses", None)):
        raise pytest.UsageError("--pen names one pen, and pytest-xdist would share it between workers: leave -n away")
    by, air = config.getoption("--pen-by"), config.getoption("--pen-air")
    if url is not None and (by or air):
        raise pytest.UsageError(
            "--pen-by and --pen-air are a simulated pen's, and --pen names a real one: leave one away"
        )
    if air is not None and by == BY_STREAM:
        raise pytest.UsageError("--pen-air is the air of --pen-by ble, and --pen-by stream has none: leave one away")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which pen is meant when it is a real one, and how it is reached when that isn't by a stream."""
    url, by = config.getoption("--pen"), config.getoption("--pen-by")
    if by == BY_BLE:
        return f"dermalink: on simulated pens by BLE, air {config.getoption('--pen-air') or AIRS[0]}"
    return f"dermalink: on the pen at {url}" if url else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip on a real pen what it can't do."""
    real = item.config.getoption("--pen") is not None
    if real and item.get_closest_marker("second_session"):
        pytest.skip("opens a second session within 14 days, which a real pen refuses (SR-INT-1)")
    asked = [name for name in ("needs_simulator", "simulated_pen") if item.get_closest_marker(name)]
    asked += [name for name in getattr(item, "fixturenames", ()) if name in SIMULATOR_ONLY]
    if real and asked:
        pytest.skip(NEEDS.format(asked[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what truly happened to the simulated pen beside a failure."""
    report = yield
    on_desk = getattr(item, "funcargs", {}).get("_dermalink_desk")
    if call.when == "call" and call.excinfo is not None and isinstance(on_desk, SimulatedPenDesk):
        report.sections.append(("simulated pen", on_desk.account()))
    return report


class Bench:
    """An event loop of its own and synchronous calls into it; `virtual` time jumps, real time does not."""

    def __init__(self, *, virtual: bool) -> None:
        import asyncio

        from dermalink_simulator.virtual_time import VirtualTimeLoop

        self.loop = VirtualTimeLoop() if virtual else asyncio.new_event_loop()

    @property
    def now(self) -> float:
        """Seconds by the loop's clock; virtual time begins at 0."""
        return self.loop.time()

    def run(self, coroutine: Coroutine[Any, Any, T], *, within_s: float = RUN_WITHIN_S) -> T:
        """What `coroutine` returns or raises; `TimeoutError` after `within_s` of the loop's time."""
        import asyncio

        return self.loop.run_until_complete(asyncio.wait_for(coroutine, within_s))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        import asyncio

        self.run(asyncio.sleep(seconds), within_s=seconds + 1)

    def call(self, coroutine: Coroutine[Any, Any, T], *, interrupted: Callable[[], object] | None = None) -> T:
        """As `dermalink.sync` calls into its loop: on Ctrl-C, `interrupted` comes first."""
        try:
            return self.run(coroutine)
        except KeyboardInterrupt:
            if interrupted is not None:
                self.loop.call_soon(interrupted)
                self.advance(0.05)
            raise

    def end(self) -> None:
        """A pen's own loop would end with it; this one serves on."""

    def close(self) -> None:
        """Cancel what is left, and end."""
        import asyncio

        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()

        async def end() -> None:
            await asyncio.gather(*left, return_exceptions=True)
            await self.loop.shutdown_asyncgens()
            await self.loop.shutdown_default_executor()

        try:
            self.loop.run_until_complete(end())
        finally:
            self.loop.close()


class _Acting:
    """A part of the simulated pen; whatever is asked of it happens at the present moment of virtual time."""

    def __init__(self, part: object, act: Callable[[Callable[[], Any]], Any]) -> None:
        self.__dict__.update(_part=part, _act=act)

    def __getattr__(self, name: str) -> Any:
        value = self._act(lambda: getattr(self._part, name))
        return (lambda *args, **named: self._act(lambda: value(*args, **named))) if callable(value) else value

    def __setattr__(self, name: str, value: object) -> None:
        self._act(lambda: setattr(self._part, name, value))


class SimulatedPenDesk:
    """A simulated pen on a tester's desk: its parts, its truth, and time."""

    def __init__(
        self, bench: Bench, model: SimulatedPen, runner: PenRunner, url: str, air: OnAir | None = None
    ) -> None:
        self.bench, self.model, self.runner, self.url = bench, model, runner, url
        self._air = air
        self.hand = cast("Hand", _Acting(model.hand, self.act))
        self.button = cast("Button", _Acting(model.button, self.act))
        self.cartridge = cast("CartridgeSeat", _Acting(model.cartridge, self.act))
        self.clock = cast("Clock", _Acting(model.clock, self.act))
        self.power = cast("Power", _Acting(model.power, self.act))
        self.faults = cast("Faults", _Acting(model.faults, self.act))

    def act(self, do: Callable[[], T]) -> T:
        """What `do` gives, done at the present moment; a pen's radio needs its loop to run meanwhile."""
        if self.bench.loop.is_running():
            return self.runner.act(do)

        async def on_the_loop() -> T:
            return self.runner.act(do)

        return self.bench.run(on_the_loop())

    @property
    def skin(self) -> Skin:
        """The independent truth about every stroke, up to now."""
        return self.act(lambda: self.model.skin)

    @property
    def needles_out(self) -> bool:
        """Whether needles truly stand out of the head now."""
        return self.act(lambda: self.model.needles_out)

    @property
    def now_ms(self) -> int:
        """The pen's own time."""
        return self.act(lambda: self.model.now_ms)

    def url_of(self, host: str, **options: object) -> str:
        """The URL for another host at the same time: by BLE one adapter has one connection to a pen, and `host` names
        another; `options` are those of its radio, as `mtu=23`. By a stream all use the same URL, and there are none.
        """
        if self._air is not None:
            return self._air.url_of(host, **options)
        if options:
            raise ValueError(f"{', '.join(options)} was refused: a pen reached by a stream has no radio")
        return self.url

    def advance(self, seconds: float) -> None:
        """Let time pass, for the pen and everybody."""
        self.bench.advance(seconds)

    def swap_head(self, kind: str = "glide") -> None:
        """Pull the head and fit a fresh one, which takes a moment."""
        for step in (self.cartridge.pull, lambda: self.cartridge.fit(kind)):
            step()
            self.advance(SWAP_S)

    def account(self) -> str:
        """What is so, a line each; for a failure's report."""
        from dermalink_simulator.control.truth import truth_of

        facts = {"profile": self.model.profile.name, "seed": self.model.seed} | truth_of(self.model)
        return "\n".join(f"{name}: {value}" for name, value in facts.items())


class Person:
    """Whoever works the pen in a test: simulated hands on a simulated pen, and on a real one somebody who is asked."""

    def __init__(self, desk: SimulatedPenDesk | None, config: pytest.Config) -> None:
        self.is_real = desk is None
        self._desk, self._config = desk, config

    def press_button(self) -> None:
        """A short press of the pen's button."""
        self._do("Press the pen's button now.", lambda desk: desk.button.press())

    def hold_button(self, seconds: float) -> None:
        """Press the button, and let go of it after so long; returns at once."""
        self._do(f"Hold the pen's button for {seconds:g} s.", lambda desk: desk.button.press(round(seconds * 1_000)))

    def sweep(self, zone: Zone, direction: Direction, *, speed_mm_s: int = 20) -> None:
        """Touch down and go over a zone until told to lift."""
        way = f"Go over: {zone.name.lower()}, {direction.name.lower()}, about {speed_mm_s} mm/s."
        self._do(way, lambda desk: desk.hand.sweep(zone, direction, speed_mm_s=speed_mm_s))

    def lift(self) -> None:
        """Take the pen off the skin."""
        self._do("Lift the pen off.", lambda desk: desk.hand.lift())

    def fit_fresh_head(self, kind: str = "glide") -> None:
        """Put a head in that was never used."""
        self._do(f"Fit a fresh {kind} head.", lambda desk: desk.swap_head(kind))

    def _do(self, words: str, act: Callable[[SimulatedPenDesk], object]) -> None:
        if self._desk is not None:
            act(self._desk)
            return
        capture = self._config.pluginmanager.getplugin("capturemanager")
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"\n>>> {words}", bold=True)


@contextmanager
def desk(bench: Bench, model: SimulatedPen, *, by: str = BY_STREAM, air: str = AIRS[0]) -> Iterator[SimulatedPenDesk]:
    """A simulated pen that runs along the bench's time, and is found by its URL, until the end of the `with`.

    `by` "ble" puts it on an air of this process, `air` being "room" or "perfect"; by "stream" there is none.
    """
    from dermalink_simulator.in_process import published
    from dermalink_simulator.runner import PenRunner

    async def start() -> PenRunner:
        return PenRunner(model)

    runner = bench.run(start())
    with ExitStack() as stack:
        stack.callback(runner.stop)
        if by == BY_BLE:
            from dermalink_simulator.doors.on_air import on_air

            radio = AsyncExitStack()
            stack.callback(lambda: bench.run(radio.aclose()))
            found = bench.run(radio.enter_async_context(on_air(runner, model, air=air)))
            yield SimulatedPenDesk(bench, model, runner, found.url, found)
        else:
            url = stack.enter_context(published(f"pen-{id(runner):x}", runner))
            yield SimulatedPenDesk(bench, model, runner, url)


def _way(config: pytest.Config, asked: dict[str, Any]) -> tuple[str, str]:
    """How a test's pen is reached, and by what air; its marker goes before the command line. Taken out of `asked`."""
    own_by, own_air = asked.pop("by", None), asked.pop("air", None)
    by = own_by or (BY_BLE if own_air else config.getoption("--pen-by") or BY_STREAM)
    air = own_air or config.getoption("--pen-air") or AIRS[0]
    for name, value, known in (("by", by, WAYS), ("air", air, AIRS)):
        if value not in known:
            pytest.fail(f"simulated_pen({name}={value!r}) was refused: there are {', '.join(known)}", pytrace=False)
    if by == BY_STREAM and own_air:
        pytest.fail(f"simulated_pen(air={air!r}) was refused: by='stream' goes through no air", pytrace=False)
    return by, air


def _faults(folder: Path, asked: dict[str, Any]) -> FaultScript | None:
    """What breaks in a test's pen, by the file that its marker names, in the test's folder. Taken out of `asked`."""
    name = asked.pop("faults", None)
    if name is None:
        return None
    from dermalink_simulator.faults.file import load_faults
    from dermalink_simulator.faults.problems import FaultFileError

    try:
        return load_faults(folder / name)
    except FaultFileError as error:
        pytest.fail(f"simulated_pen(faults={name!r}): {error}", pytrace=False)


@pytest.fixture
def _dermalink_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with closing(Bench(virtual=request.config.getoption("--pen") is None)) as bench:
        yield bench


@pytest.fixture
def _dermalink_desk(request: pytest.FixtureRequest, _dermalink_bench: Bench) -> Iterator[SimulatedPenDesk | None]:
    """The simulated pen, running and to be found by its URL; None with `--pen`."""
    if request.config.getoption("--pen") is not None:
        yield None
        return
    from dermalink_simulator.making import make_pen

    marker = request.node.get_closest_marker("simulated_pen")
    asked = dict(marker.kwargs) if marker else {}
    by, air = _way(request.config, asked)
    script = _faults(request.path.parent, asked)
    with desk(_dermalink_bench, make_pen(**asked), by=by, air=air) as made:
        if script is not None:
            made.faults.play(script.faults)
        yield made


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest) -> Bench:
    """Time that jumps: `now`, `advance(seconds)`, `run(coroutine)`; shared with the simulated pen."""
    if request.config.getoption("--pen") is not None:
        pytest.skip(NEEDS.format("virtual_time"))
    return cast("Bench", request.getfixturevalue("_dermalink_bench"))


@pytest.fixture
def simulated_pen(_dermalink_desk: SimulatedPenDesk | None) -> SimulatedPenDesk:
    """A pen in software: `hand`, `button`, `cartridge`, `clock`, `power`, `faults`, the true `skin`, and `advance`."""
    if _dermalink_desk is None:
        pytest.skip(NEEDS.format("simulated_pen"))
    return _dermalink_desk


@pytest.fixture
def connect_pen(
    request: pytest.FixtureRequest, _dermalink_bench: Bench, _dermalink_desk: SimulatedPenDesk | None
) -> Iterator[Callable[[], SyncPen]]:
    """`connect_pen()` makes one more connection: a second host, or the next one after the first was lost.

    By BLE each is a host with an adapter of its own.
    """
    from dermalink.journal import MemoryJournal

    journal, opened = MemoryJournal(), list["SyncPen"]()

    def connect() -> SyncPen:
        host = f"fixture{len(opened) + 1}"
        opened.append(_connect(request.config, _dermalink_bench, _dermalink_desk, host, journal))
        return opened[-1]

    try:
        yield connect
    finally:
        for one in reversed(opened):
            one.close()


@pytest.fixture
def pen(connect_pen: Callable[[], SyncPen]) -> SyncPen:
    """A connected `dermalink.SyncPen`: to the simulated pen, or with `--pen` to the real one."""
    return connect_pen()


def _connect(
    config: pytest.Config, bench: Bench, on_desk: SimulatedPenDesk | None, host: str, journal: MemoryJournal
) -> SyncPen:
    """A connection to a pen whose self-test at power-up is over."""
    from dermalink.pen import Pen
    from dermalink.sync import SyncPen
    from dermalink_protocol.codewords import State

    if on_desk is None:  # a real head and a real wait are facts: they belong in the person's own journal
        connected = SyncPen.connect(config.getoption("--pen"))
    else:
        clock = on_desk.model.clock
        opened = bench.run(Pen.connect(on_desk.url_of(host), journal=journal, utc=lambda: clock.utc_s))
        connected = SyncPen(cast("LoopThread", bench), opened)
    started = [state for state in State if state not in (State.BOOT, State.SELF_TEST)]
    with ExitStack() as stack:
        stack.callback(connected.close)
        connected.run(lambda pen: pen.wait_for(*started, within_s=STARTED_WITHIN_S))
        stack.pop_all()
    return connected


@pytest.fixture
def person(request: pytest.FixtureRequest, _dermalink_desk: SimulatedPenDesk | None) -> Person:
    """Somebody at the pen: `press_button`, `hold_button`, `sweep`, `lift`, `fit_fresh_head`."""
    return Person(_dermalink_desk, request.config)


@pytest.fixture
def run_session(pen: SyncPen, person: Person) -> Callable[[str], SessionRun]:
    """`run_session(plan)` leads the person through a plan (TOML text); gives `summary` and `events`.

    A real pen that has to wait for its next session skips the test.
    """

    def lead(plan: str) -> SessionRun:
        wait_s = pen.status().wait_s
        if wait_s and person.is_real:
            pytest.skip(f"the pen takes no session for another {wait_s / 86_400:.1f} days (SR-INT-1)")
        from dermalink.plan.load import plan_from_bytes

        run = SessionRun(plan_from_bytes(plan.encode(), "plan of the test"), person)
        pen.run(run.lead)
        return run

    return lead


class SessionRun:
    """One session of a test: what it came to, and what the person was told on the way."""

    def __init__(self, plan: Plan, person: Person) -> None:
        self.summary: Summary
        self.events: list[Event] = []
        self._plan, self._person, self._touching = plan, person, False

    async def lead(self, pen: Any) -> None:
        """Run the session to its end."""
        from dermalink.session.runner import Session
        from dermalink.session.words import WordQueue

        self.summary = await Session(pen, self._plan, WordQueue(), self._show, ask_ready=False).run()

    def _show(self, event: Event) -> None:
        """Note it, and do what a person would."""
        import asyncio

        from dermalink.session import events

        self.events.append(event)
        covered = isinstance(event, events.Progress) and event.coverage_percent >= COVERED_PERCENT
        if isinstance(event, events.PressAsked):
            asyncio.get_running_loop().call_later(PRESS_AFTER_S, self._person.press_button)
        elif isinstance(event, events.PassStarted):
            self._touching, step = True, event.step
            self._person.sweep(step.zone, step.direction, speed_mm_s=step.speed_mm_s)
        elif self._touching and (covered or isinstance(event, events.PassOver)):
            self._touching = False
            self._person.lift()
