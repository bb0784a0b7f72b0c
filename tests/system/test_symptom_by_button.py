"""A symptom by the pen's own button, as a person lives it: in a session, between passes, and days before the next."""

import pytest

from dermalink.errors import HostRefusal
from dermalink.records import SymptomSaid
from dermalink.session import events
from dermalink.session.outcome import Ending, Summary
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import IN_WITHIN_MS, SYMPTOM_LOCK_S
from dermalink_protocol.zones import Symptom
from tests.system.guided_session import ROOM, SEALED, STREAM, Guided, Tell, by_ways

HOLD_MS = 3_500
DAY_S = 86_400


def kept(world: Guided) -> list[int]:
    """The symptoms that this computer's journal has."""
    return [entry.record.symptom for entry in world.journal.entries() if isinstance(entry.record, SymptomSaid)]


async def barred(world: Guided) -> int:
    """The next session is refused; for how long still."""
    with pytest.raises(HostRefusal) as caught:
        await world.run()
    assert caught.value.reason is Reason.SYMPTOM_LOCK
    return caught.value.value


async def taken(world: Guided, summary: Summary) -> None:
    """What holds after a hold in a session, at once and four weeks later."""
    assert (summary.ending, summary.confirmed, summary.closed) == (Ending.SYMPTOM, True, True)
    assert [said.symptom for said in world.said(events.SymptomSaid)] == [Symptom.UNSAID]
    assert kept(world) == [Symptom.UNSAID]
    world.do(lambda: world.sim.cartridge.fit("glide"))
    assert await barred(world) > SYMPTOM_LOCK_S - DAY_S
    world.do(lambda: world.sim.clock.advance(29 * DAY_S))
    assert await barred(world) == 0  # a clinician's advice is due as well
    assert kept(world) == [Symptom.UNSAID]


@pytest.mark.sr("SR-SYM-1", side="host")
@by_ways(STREAM, ROOM, SEALED)
def test_a_hold_in_a_pass_stops_it_and_ends_the_session(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.do(lambda: world.sim.button.press(HOLD_MS)))
        summary = await world.run()
        assert world.in_after_ms() <= IN_WITHIN_MS
        assert len(summary.passes) == 1  # it counts
        await taken(world, summary)

    guided(story)


@pytest.mark.sr("SR-SYM-1", side="host")
@pytest.mark.parametrize("asked", [events.ReadyAsked, events.PassPaused])
@by_ways(STREAM, SEALED)
def test_a_hold_while_nothing_moves_ends_the_session_as_well(guided: Tell, asked: type[events.Event]) -> None:
    async def story(world: Guided) -> None:
        world.reactions[asked] = lambda _: world.do(lambda: world.sim.button.press(HOLD_MS))
        if asked is events.PassPaused:
            world.halfway(lambda: world.do(world.sim.button.press))
        await taken(world, await world.run())

    guided(story)


@pytest.mark.sr("SR-SYM-1", side="host")
@by_ways(STREAM, SEALED)
def test_a_hold_with_no_computer_about_bars_the_next_session_and_is_in_the_journal_then(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        await world.seconds(1)  # its self-test is over
        world.do(lambda: world.sim.button.press(HOLD_MS))
        await world.seconds(5)
        world.do(lambda: world.sim.clock.advance(3 * DAY_S))
        left_s = await barred(world)
        assert SYMPTOM_LOCK_S - 3 * DAY_S - 60 < left_s <= SYMPTOM_LOCK_S - 3 * DAY_S
        assert kept(world) == [Symptom.UNSAID]
        world.do(lambda: world.sim.clock.advance(26 * DAY_S))
        assert await barred(world) == 0
        assert kept(world) == [Symptom.UNSAID]

    guided(story)
