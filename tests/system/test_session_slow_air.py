"""A whole session over air on which the two meet seldom: renewals pace themselves, and replies are waited for."""

import pytest

from dermalink.session import events
from dermalink.session.outcome import Ending
from dermalink.session.words import Word
from tests.system.guided_session import PERFECT, Guided, guided


@pytest.mark.parametrize(
    ("interval_ms", "lease_ms", "left_ms"),
    [(30, 500, 150), (50, 500, 0), (75, 1_000, 250), (90, 1_000, 150), (100, 1_000, 150)],
)
def test_no_lease_lapses_where_nothing_is_lost(interval_ms: int, lease_ms: int, left_ms: int) -> None:
    async def story(world: Guided) -> None:
        world.do(lambda: world.sim.faults.inject("air", "interval", us=interval_ms * 1_000))
        summary = await world.run(lease_ms=lease_ms)
        assert summary.ending is Ending.DONE
        assert not world.said(events.PassPaused)
        assert not world.said(events.Alarm)  # a pass that ends by itself owes no more telemetry
        assert len(world.said(events.PressAsked)) == len(world.said(events.PassOver)) == 2
        assert summary.lowest_lease_margin_ms is not None
        assert summary.lowest_lease_margin_ms >= left_ms

    guided(story, PERFECT)


def test_a_pen_that_answers_is_not_taken_for_silent_however_long_its_answers_take() -> None:
    """Opening and preparing take seconds of this air, and nobody is there to say a word meanwhile."""

    async def story(world: Guided) -> None:
        world.do(lambda: world.sim.faults.inject("air", "interval", us=100_000))
        world.person.say(Word.GONE)
        summary = await world.run(lease_ms=1_000, ask_ready=False)
        assert summary.ending is Ending.DONE
        assert not world.said(events.LinkGone)

    guided(story, PERFECT)
