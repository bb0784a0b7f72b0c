"""Doctor's judgement of a link: how long answers take, what that leaves of a lease, and how the clocks run."""

import asyncio
import json
from collections.abc import Callable

import pytest

from dermalink.doctor.findings import Level
from dermalink.doctor.link import ASK_WITHIN_S, ASKED, RATE_FAR_PPM, RENEWAL_MS, check_link, judge_clock, lease_left_ms
from dermalink.doctor.report import as_text
from dermalink.margin.clock_fit import ClockRelation
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import GetStatus
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import ScriptedPen, a_pen


def slow(pen: ScriptedPen, took_s: Callable[[int], float]) -> None:
    """Let each status take so long, by its number: half of it there, half of it back."""
    loop, number = asyncio.get_running_loop(), 0

    def later(request: GetStatus) -> None:
        nonlocal number
        request_id, half = pen.ids[-1], took_s(number) / 2
        number += 1
        loop.call_later(half, lambda: loop.call_later(half, pen.send, request_id, pen.behave(request)))

    pen.on(GetStatus, later)


def left_in(text: str) -> str:
    """What it says is left of a lease."""
    return text.partition("this link leaves ")[2].partition(" of a 500")[0]


@in_virtual_time
async def test_a_quick_link_is_fine_and_shows_its_histogram() -> None:
    async with a_pen(inspect_only=True) as (pen, script):
        slow(script, lambda _: 0.004)
        link, clock = await check_link(pen)
        assert (link.level, clock.level) == (Level.OK, Level.OK)
        assert "a question takes 4." in link.found
        assert left_in(link.found) == f"{LEASE_DEFAULT_MS - RENEWAL_MS - 4:.0f} ms"
        assert not link.advice
        assert "#" in as_text([link, clock])
        data = json.loads(json.dumps(link.as_dict()))["data"]
        assert data["round_trip"]["count"] >= ASKED
        assert data["leaves_ms"] == pytest.approx(lease_left_ms(4), abs=0.2)
        assert data["clock"]["replies"] >= ASKED
        assert "data" not in clock.as_dict()


@in_virtual_time
async def test_one_slow_answer_that_leaves_little_is_a_warning_that_says_which_way_was_slow() -> None:
    async with a_pen(inspect_only=True) as (pen, script):
        slow(script, lambda number: 0.35 if number == 30 else 0.01)
        link, *_ = await check_link(pen)
        assert link.level is Level.WARNING
        assert left_in(link.found) == "50 ms"
        assert "`dermalink session run --lease 1000`" in link.advice
        assert "this link leaves 550 ms of a 1000 ms lease" in link.advice
        ways = pen.margin.slowest_way
        assert ways is not None
        assert 150 < ways.there_ms.low < 175 < ways.there_ms.high < 200
        assert any("on the way there" in line for line in link.lines)


@in_virtual_time
async def test_a_link_that_can_hold_no_lease_is_an_error() -> None:
    async with a_pen(inspect_only=True) as (pen, script):
        slow(script, lambda _: 0.45)
        link, *_ = await check_link(pen)
        assert link.level is Level.ERROR
        assert left_in(link.found) == "nothing"
        assert "No session can be held over it; with `dermalink session run --lease 1000`" in link.advice


@in_virtual_time
async def test_unanswered_questions_are_told_and_take_no_longer_than_they_may() -> None:
    async with a_pen(inspect_only=True) as (pen, script):
        script.silent_to(GetStatus)
        began = asyncio.get_running_loop().time()
        link, *_ = await check_link(pen)
        assert asyncio.get_running_loop().time() - began < ASK_WITHIN_S + 1.1
        assert link.level is Level.WARNING
        assert "without an answer" in link.found
        assert link.advice


def relation(rate_ppm: float, rate_error_ppm: float) -> ClockRelation:
    """A clock that runs so fast."""
    return ClockRelation(
        at_s=0, pen_ms=0, error_ms=0.5, rate_ppm=rate_ppm, rate_error_ppm=rate_error_ppm, first_tick=0, replies=9,
        reaches_back_s=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "error", "level"),
    [
        (RATE_FAR_PPM - 1, 0, Level.OK),
        (RATE_FAR_PPM + 1, 0, Level.WARNING),
        (-RATE_FAR_PPM - 1, 0, Level.WARNING),
        (2 * RATE_FAR_PPM, RATE_FAR_PPM + 1, Level.OK),  # it may be a good one
        (20_000, 900, Level.WARNING),
    ],
)
def test_a_clock_that_is_certainly_far_off_is_a_warning(rate: float, error: float, level: Level) -> None:
    (finding,) = judge_clock(relation(rate, error))
    assert finding.level is level
    assert bool(finding.advice) is (level is Level.WARNING)


def test_no_reply_is_no_finding_about_clocks() -> None:
    assert list(judge_clock(None)) == []
