"""A session whose lease is not the usual one: everything follows it, and none out of range is opened."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.display.sentences import sentence
from dermalink.errors import HostRefusal, LinkError
from dermalink.plan.example import EXAMPLE
from dermalink.session import events
from dermalink.session.outcome import Ending
from dermalink.session.words import Word
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS, LEASE_MAX_MS, LEASE_MIN_MS
from tests.system.guided_session import PERFECT, ROOM, STREAM, Guided, Way, guided


def test_a_longer_lease_is_opened_shown_and_renewed_to() -> None:
    async def story(world: Guided) -> None:
        summary = await world.run(lease_ms=1_000)
        assert summary.ending is Ending.DONE
        assert summary.lowest_lease_margin_ms is not None
        assert LEASE_DEFAULT_MS < summary.lowest_lease_margin_ms <= 1_000
        (opened,) = world.said(events.SessionOpened)
        assert json.loads(opened.as_line())["lease_ms"] == 1_000
        assert "1000 ms lease" in sentence(opened)
        assert {told.lease_ms for told in world.said(events.Progress)} == {1_000}
        (over,) = world.said(events.SessionOver)
        assert over.link["lease_ms"] == 1_000

    guided(story)


@pytest.mark.sr("SR-STOP-1", side="pen")
@pytest.mark.parametrize("lease_ms", [300, 1_000])
def test_a_link_gone_silent_takes_the_needles_in_by_the_lease_that_was_asked_for(lease_ms: int) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "loss", permille=1_000)))
        with pytest.raises(LinkError):
            await world.run(lease_ms=lease_ms)
        assert lease_ms - 200 <= world.in_after_ms() <= lease_ms + IN_WITHIN_MS
        (gone,) = world.said(events.LinkGone)
        assert gone.lease_ms == lease_ms
        assert f"once its {lease_ms} ms lease has lapsed" in sentence(gone)

    guided(story)


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_a_session_that_is_adopted_keeps_its_lease() -> None:
    async def story(world: Guided) -> None:
        world.reactions[events.PassPaused] = lambda _: world.person.say(Word.RESUME)
        world.once(events.LinkBack, lambda _: True, lambda _: before.append(len(world.said(events.Progress))))
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        world.reactions[events.LinkGone] = lambda _: world.do(lambda: world.sim.faults.clear("link"))
        before: list[int] = []
        summary = await world.run(connect=world.pen, lease_ms=800)
        assert summary.ending is Ending.DONE
        after = world.said(events.Progress)[before[0] :]
        assert {told.lease_ms for told in after} == {800}
        assert max(told.lease_margin_ms for told in after) > LEASE_DEFAULT_MS

    guided(story)


@pytest.mark.sr("SR-STOP-1", side="host")
@pytest.mark.parametrize("lease_ms", [0, LEASE_MIN_MS - 1, LEASE_MAX_MS + 1])
def test_a_lease_out_of_range_opens_nothing(lease_ms: int) -> None:
    async def story(world: Guided) -> None:
        with pytest.raises(HostRefusal) as refused:
            await world.run(lease_ms=lease_ms)
        assert (refused.value.reason, refused.value.rule) == (Reason.LEASE_OUT_OF_RANGE, "SR-STOP-1")
        assert not world.said(events.SessionOpened)
        assert world.sim.skin.needles_out == []

    guided(story)


@pytest.mark.parametrize("lease_ms", [LEASE_MIN_MS - 1, LEASE_MAX_MS + 1])
def test_the_command_line_refuses_it_before_it_looks_for_a_pen(lease_ms: int, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(EXAMPLE, encoding="utf-8")
    words = ("session", "run", str(plan), "--pen", "tcp:127.0.0.1:1", "--lease", str(int(lease_ms)))
    result = CliRunner().invoke(app, [*words, "--json"], prog_name="dermalink")
    assert result.exit_code == ExitCode.REFUSED
    said = json.loads(result.stdout)
    assert said["rule"] == "SR-STOP-1"
    assert f"{lease_ms:d} is not within 100 to 1000" in said["sentence"]


@pytest.mark.parametrize("way", [STREAM, PERFECT, ROOM], ids=str)
def test_a_press_at_the_very_moment_of_the_prompt_is_taken(way: Way) -> None:
    async def story(world: Guided) -> None:
        world.reactions[events.PressAsked] = lambda _: world.do(world.sim.button.press)
        summary = await world.run()
        assert summary.ending is Ending.DONE
        assert not world.said(events.PressMissed)

    guided(story, way)


def test_over_a_link_too_slow_for_its_lease_nobody_is_asked_to_press_in_vain() -> None:
    async def story(world: Guided) -> None:
        world.once(
            events.ReadyAsked,
            lambda _: True,
            lambda _: world.do(lambda: world.sim.faults.inject("link", "delay", ms=150)),
        )
        summary = await world.run(lease_ms=200)
        assert (summary.ending, summary.confirmed) == (Ending.LINK, True)
        assert "dermalink doctor --pen" in summary.why
        assert not world.said(events.PressAsked)
        assert world.sim.skin.needles_out == []

    guided(story)
