"""The link's margin at the end of a session: of all its connections, the same for a program and for a person."""

import asyncio
import json

import pytest

from dermalink.display.sentences import sentence
from dermalink.margin.margin import NEAR_SHARE
from dermalink.session import events
from dermalink.session.loop import SessionLoop
from dermalink.session.outcome import Ending
from dermalink.session.words import Word, WordQueue
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages.telemetry import Telemetry
from tests.support.running import in_virtual_time
from tests.system.guided_session import Guided, guided
from tests.unit.host.scripted_pen import a_pen


def test_a_session_ends_with_what_was_left_of_each_lease() -> None:
    async def story(world: Guided) -> None:
        summary = await world.run()
        left = summary.margin.lease_left
        assert left.count > 50
        assert left.least == summary.lowest_lease_margin_ms
        assert left.least > NEAR_SHARE * LEASE_DEFAULT_MS
        assert (summary.margin.near_misses, summary.margin.lapses, summary.margin.unanswered) == (0, 0, 0)
        assert summary.margin.lowest_told_ms is not None
        over = world.events[-1]
        assert isinstance(over, events.SessionOver)
        said = json.loads(over.as_line())["link"]
        assert said == summary.margin.as_dict()
        assert sum(held for _, _, held in said["lease_left"]["buckets"]) == left.count
        assert f"at least {left.least} of 500 ms of the lease left at {left.count} renewals" in sentence(over)

    guided(story)


def test_over_a_lost_link_both_connections_count_and_the_clock_is_the_last_ones() -> None:
    async def story(world: Guided) -> None:
        pens = []

        async def again() -> object:
            pens.append(await world.pen())
            return pens[-1]

        world.reactions[events.PassPaused] = lambda _: asyncio.get_running_loop().call_later(
            5, world.person.say, Word.RESUME
        )
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        world.reactions[events.LinkGone] = lambda _: world.do(lambda: world.sim.faults.clear("link"))
        summary = await world.run(connect=again)
        assert summary.ending is Ending.DONE
        (second,) = pens
        assert summary.margin.lease_left.count > second.margin.lease_left.count > 0
        assert summary.margin.round_trips.count > second.margin.round_trips.count > 0
        assert summary.margin.relation == second.margin.relation

    guided(story)


@pytest.mark.parametrize("times", [1, 2])
@in_virtual_time
async def test_what_was_lost_is_counted_once_when_the_pen_is_let_go_of(times: int) -> None:
    loop = SessionLoop(WordQueue(), lambda _: None)
    for _ in range(times):
        async with a_pen() as (pen, script):
            loop.attach(pen)
            script.telemetry(1)
            script.sequences[Telemetry] = 4
            script.telemetry(1)
            await asyncio.sleep(0.01)
            trips = loop.margin.round_trips.count
            await loop.detach()
            await loop.detach()
            assert loop.margin.round_trips.count == trips
    assert loop.lost == 3 * times
    await loop.close()
    assert loop.lost == 3 * times
