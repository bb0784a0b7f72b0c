"""A bad air, with our own host at its other end: needles are in within the lease, by the skin's own account.

Everything runs over bleak and a whole Bluetooth stack in one process, in virtual time. `LeaseAccount` notes what truly
arrived at the pen, so a Stop or a renewal that the air holds up counts from its arrival, and a quoted tick from itself.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dermalink.errors import LinkError
from dermalink.journal import MemoryJournal
from dermalink.pen import Pen
from dermalink.session import events
from dermalink.session.outcome import Ending, Summary
from dermalink.session.words import Word
from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.stop import Stop
from dermalink_protocol.messages.therapy import BeginPass, CloseSession, OpenSession, Prepare
from dermalink_protocol.schema import Request
from dermalink_simulator.doors.on_air import on_air
from dermalink_simulator.in_process import published
from tests.support.lease_account import LeaseAccount
from tests.system.guided_session import NOSE, PERFECT, ROOM, STREAM, Guided, Way, guided

ONE_PASS = NOSE.replace(b', "horizontal"', b"")
SET_UM = 250
SETTLES_S = 3.0
EVENT_MS = 30
COMMAND_LATE_MS = 4 * EVENT_MS  # behind one write and its answer; then its own event, and one that is lost
SUPERVISION_S = 2.0  # the room's
ENDS_WITHIN_S = 600.0  # of virtual time: whatever happens, a story comes to an end


def on_a_bad_air(story: Callable[[Guided], Awaitable[Any]], way: Way = ROOM, **options: Any) -> None:
    """Tell a story; afterwards the needles are in, and at no moment were they out without a lease."""

    async def told(world: Guided) -> None:
        account = LeaseAccount(world.sim)
        async with asyncio.timeout(ENDS_WITHIN_S):
            await story(world)
        await world.seconds(SETTLES_S)
        world.do(lambda: account.hold(SET_UM))

    guided(told, way, **options)


async def led(world: Guided, **options: Any) -> Summary | DermalinkError:
    """A session's end, which is an outcome or an error of ours and never anything else."""
    try:
        return await world.run(ONE_PASS, **options)
    except DermalinkError as error:
        return error


def spoil(world: Guided, kind: str, **values: int) -> None:
    world.do(lambda: world.sim.faults.inject("air", kind, **values))


def silent_for(world: Guided, seconds: float) -> None:
    spoil(world, "silence")
    world.later(seconds, lambda: world.sim.faults.clear("air", "silence"))


def resume_later(world: Guided) -> None:
    """The person says so, two seconds after each pause."""
    world.reactions[events.PassPaused] = lambda _: asyncio.get_running_loop().call_later(
        2, world.person.say, Word.RESUME
    )


BAD_AIRS = [
    ("loss", {"permille": 10}),
    ("loss", {"permille": 100}),
    ("loss", {"permille": 300}),
    ("bursts", {"permille": 100, "events": 10}),
    ("bursts", {"permille": 300, "events": 30}),
    ("delay", {"ms": 90}),
    ("delay", {"ms": 300}),
    ("interval", {"us": 7_500}),
    ("interval", {"us": 100_000}),
    ("latency", {"events": 4}),
]


@pytest.mark.sr("SR-STOP-1", "SR-DEPTH-1", side="pen")
@pytest.mark.parametrize(("kind", "values"), BAD_AIRS)
def test_needles_are_out_only_while_fresh_renewals_get_through(kind: str, values: dict[str, int]) -> None:
    async def story(world: Guided) -> None:
        resume_later(world)
        world.halfway(lambda: spoil(world, kind, **values))
        await led(world, connect=world.pen)
        assert world.halfway_ms, "the air was never spoilt"

    on_a_bad_air(story)


@pytest.mark.sr("SR-STOP-1", side="pen", twin=True)
@pytest.mark.parametrize(("kind", "values"), [BAD_AIRS[0], BAD_AIRS[7]])
def test_a_tolerable_air_is_no_reason_to_stop(kind: str, values: dict[str, int]) -> None:
    async def story(world: Guided) -> None:
        spoil(world, kind, **values)
        summary = await led(world)
        assert isinstance(summary, Summary)
        assert (summary.ending, summary.passes[0].interruptions) == (Ending.DONE, 0)

    on_a_bad_air(story)


def test_over_a_slow_air_questions_do_not_queue_up() -> None:
    """Each answer takes 200 ms of this air, and a status that was asked for twice as often would only come later."""

    async def story(world: Guided) -> None:
        waiting: set[int] = set()
        most = 0

        def watch(way: str, envelope: Any) -> None:
            nonlocal most
            if way == "->" and isinstance(envelope.message, GetStatus):
                waiting.add(envelope.request_id)
                most = max(most, len(waiting))
            elif way == "<-":
                waiting.discard(envelope.request_id)

        async def pen() -> Pen:
            trace = lambda connection: setattr(connection, "on_message", watch)  # noqa: E731
            return await Pen.connect(world.url, journal=world.journal, utc=lambda: world.sim.clock.utc_s, trace=trace)

        world.pen = pen  # type: ignore[method-assign]
        spoil(world, "interval", us=100_000)
        await led(world, lease_ms=1_000)
        assert 1 <= most <= 3  # the loop's own, and those of whoever begins a lease and of whoever proves a stop

    on_a_bad_air(story)


@pytest.mark.sr("SR-STOP-1", "SR-STOP-5", side="pen")
@pytest.mark.parametrize("seconds", [0.2, 1.2, SUPERVISION_S + 2])
def test_a_silence_shorter_and_longer_than_lease_and_supervision(seconds: float) -> None:
    """Under the lease nothing happens; under the supervision time-out the link lives; past it, it is adopted."""

    async def story(world: Guided) -> None:
        resume_later(world)
        world.halfway(lambda: silent_for(world, seconds))
        summary = await led(world, connect=world.pen)
        assert isinstance(summary, Summary), summary
        lost = len(world.said(events.LinkBack))
        assert lost == (1 if seconds > SUPERVISION_S else 0)
        resumed = [asked.resuming for asked in world.said(events.PressAsked)]
        if seconds < LEASE_DEFAULT_MS / 1_000:
            assert resumed == [False]
        else:
            assert world.in_after_ms() > 0
            first_in = next(
                until / 1_000
                for _, until in world.sim.skin.needles_out
                if until is not None and until / 1_000 > world.halfway_ms
            )
            assert first_in - world.halfway_ms <= LEASE_DEFAULT_MS + IN_WITHIN_MS
            assert resumed[1:] in ([], [True])  # ended by the host's own watch, or gone on with by word and press

    on_a_bad_air(story)


@pytest.mark.sr("SR-STOP-1", side="pen")
@pytest.mark.parametrize(("supervision_ms", "at_most_ms"), [(200, 250), (4_000, LEASE_DEFAULT_MS)])
def test_of_lease_and_supervision_the_shorter_takes_the_needles_in(supervision_ms: int, at_most_ms: int) -> None:
    async def story(world: Guided) -> None:
        world.url = world.made.url_of("host", supervision=supervision_ms, interval=30)
        world.halfway(lambda: spoil(world, "silence"))
        assert isinstance(await led(world), LinkError)
        await world.seconds(SETTLES_S)
        assert 0 < world.in_after_ms() <= at_most_ms + IN_WITHIN_MS

    on_a_bad_air(story, PERFECT)


@pytest.mark.sr("SR-STOP-5", "SR-PWR-1", side="pen")
def test_power_cut_in_the_middle_of_a_pass_is_the_end_of_it() -> None:
    async def story(world: Guided) -> None:
        def cut() -> None:
            world.do(world.sim.power.cut)
            world.later(1.0, world.sim.hand.lift)
            world.later(3.0, world.sim.power.restore)

        world.halfway(cut)
        summary = await led(world, connect=world.pen)
        assert isinstance(summary, Summary), summary
        assert summary.ending is Ending.PEN
        assert world.in_after_ms() <= IN_WITHIN_MS
        assert len(world.said(events.PressAsked)) == 1

    on_a_bad_air(story)


@pytest.mark.sr("SR-UNC-1", "SR-CMD-3", side="host")
@pytest.mark.parametrize("how", ["cut", "silence", "power"])
@pytest.mark.parametrize("moment", [OpenSession, Prepare, BeginPass, Stop, CloseSession])
def test_a_link_that_drops_in_the_middle_of_a_command(moment: type[Request[Any]], how: str) -> None:
    async def story(world: Guided) -> None:
        dropped: list[int] = []

        def drop() -> None:
            if how == "silence":
                silent_for(world, SUPERVISION_S + 2)
            elif how == "cut":
                world.do(lambda: world.sim.faults.inject("link", "cut"))
            else:
                world.do(world.sim.power.cut)
                world.later(2.0, world.sim.power.restore)

        def watch(way: str, envelope: Any) -> None:
            if way == "->" and isinstance(envelope.message, moment) and not dropped:
                dropped.append(world.ms)
                asyncio.get_running_loop().call_soon(drop)

        async def pen() -> Pen:
            return await Pen.connect(
                world.url,
                journal=world.journal,
                utc=lambda: world.sim.clock.utc_s,
                trace=lambda connection: setattr(connection, "on_message", watch),
            )

        world.pen = pen  # type: ignore[method-assign]
        resume_later(world)
        if moment is Stop:
            world.halfway(lambda: world.person.say(Word.STOP))
        await led(world, connect=pen)
        assert dropped, "it never came to that"
        world.do(world.sim.faults.clear)
        await world.seconds(SETTLES_S)
        async with await pen() as again:  # what became of a command whose answer was lost is asked first (SR-UNC-1)
            assert not (await again.status()).lease_left_ms

    on_a_bad_air(story)


@pytest.mark.sr("SR-UNC-1", side="host")
@pytest.mark.parametrize("kind", ["crash_before", "crash_after"])
def test_a_pen_that_crashes_on_a_pause_over_ble(kind: str) -> None:
    async def story(world: Guided) -> None:
        def pause() -> None:
            world.do(lambda: world.sim.faults.inject("firmware", kind, opcode=int(Opcode.PAUSE_PASS)))
            world.later(0.5, world.sim.hand.lift)
            world.person.say(Word.PAUSE)

        world.halfway(pause)
        summary = await led(world, connect=world.pen)
        assert isinstance(summary, Summary), summary
        assert summary.ending is Ending.PEN
        assert world.in_after_ms() <= COMMAND_LATE_MS + IN_WITHIN_MS

    on_a_bad_air(story)


AIRS_OF_A_STOP = [
    ("loss", {"permille": 300}, 30 * 20),
    ("bursts", {"permille": 300, "events": 5}, 30 * 40),
    ("delay", {"ms": 90}, 30 + 90),
    ("interval", {"us": 100_000}, 100),
    ("interval", {"us": 7_500}, 8),
]


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="pen")
@pytest.mark.parametrize(("kind", "values", "late_ms"), AIRS_OF_A_STOP)
@pytest.mark.parametrize("questions", [0, 20])
def test_stop_while_the_air_is_bad_and_questions_are_unanswered(
    kind: str, values: dict[str, int], late_ms: int, questions: int
) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            session = world.session(pen, ONE_PASS)
            asked: list[asyncio.Future[Any]] = []

            def stop() -> None:
                spoil(world, kind, **values)
                asked.extend(asyncio.ensure_future(pen.request(GetStatus())) for _ in range(questions))
                asyncio.get_running_loop().call_later(0.06, stop_now)

            def stop_now() -> None:
                world.halfway_ms = world.ms
                session.interrupt("Ctrl-C")

            world.halfway(stop)
            with contextlib.suppress(DermalinkError):
                await session.run()
            await asyncio.gather(*asked, return_exceptions=True)
        came = [at for at in world.stops_came_ms if at >= world.halfway_ms]
        assert came[0] - world.halfway_ms <= late_ms
        lapsed_ms = LEASE_DEFAULT_MS if kind in ("loss", "bursts") else 0
        assert world.in_after_ms() <= max(came[0] - world.halfway_ms, lapsed_ms) + IN_WITHIN_MS

    on_a_bad_air(story)


@pytest.mark.sr("SR-CMD-1", "SR-CMD-2", side="host")
@pytest.mark.parametrize(("way", "permille"), [(ROOM, 100), (PERFECT, 1_000)], ids=["room", "perfect"])
def test_values_that_come_twice_change_nothing(way: Way, permille: int) -> None:
    async def story(world: Guided) -> None:
        world.do(lambda: world.sim.faults.inject("link", "duplication", permille=permille, way=2))
        summary = await led(world)
        assert isinstance(summary, Summary), summary
        assert (summary.ending, summary.lost, summary.passes[0].interruptions) == (Ending.DONE, 0, 0)
        assert summary.passes[0].reason is Reason.BUDGET_REACHED or summary.passes[0].coverage_percent >= 90

    on_a_bad_air(story, way)


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("owner", [STREAM, ROOM], ids=str)
def test_a_stranger_on_another_kind_of_link_may_stop_and_nothing_else(owner: Way) -> None:
    async def story(world: Guided) -> None:
        async def stop(url: str) -> None:
            async with await Pen.connect(url, journal=MemoryJournal(), inspect_only=True) as other:
                world.halfway_ms = world.ms
                await other.stop()

        others: list[asyncio.Task[None]] = []
        async with contextlib.AsyncExitStack() as stack:
            if owner is STREAM:
                found = await stack.enter_async_context(on_air(world.runner, world.sim, name="second door"))
                other = found.url
            else:
                other = stack.enter_context(published("second door", world.runner))
            world.halfway(lambda: others.append(asyncio.ensure_future(stop(other))))
            summary = await led(world)
            await others[0]
        assert isinstance(summary, Summary), summary
        assert summary.ending is Ending.STOPPED
        assert "another connection" in summary.why
        assert world.in_after_ms() <= IN_WITHIN_MS + (0 if owner is ROOM else 4 * EVENT_MS)

    if owner is STREAM:
        guided(story, owner)
    else:
        on_a_bad_air(story, owner)


@pytest.mark.sr("SR-STOP-1", "SR-DEPTH-1", "SR-STOP-5", side="pen")
@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_air_does_needles_are_never_out_past_the_lease(seed: int) -> None:
    chance = random.Random(seed)

    async def story(world: Guided) -> None:
        resume_later(world)
        ending = asyncio.get_running_loop().create_future()

        async def weather() -> None:
            while not ending.done():
                await asyncio.sleep(chance.uniform(0.1, 3))
                kind, values = chance.choice([*BAD_AIRS, ("silence", {})])
                spoil(world, kind, **values)
                await asyncio.sleep(chance.choice((0.1, 0.4, 0.8, 3)))
                if chance.random() < 0.7:
                    world.do(lambda: world.sim.faults.clear("air"))
            world.do(lambda: world.sim.faults.clear("air"))

        async def end_by_hand() -> None:
            await asyncio.sleep(120)
            world.person.say(Word.STOP)

        tasks = [asyncio.ensure_future(each()) for each in (weather, end_by_hand)]
        try:
            await led(world, connect=world.pen)
        finally:
            ending.set_result(None)
            tasks[1].cancel()
            await asyncio.wait(tasks)

    on_a_bad_air(story, seed=seed)
