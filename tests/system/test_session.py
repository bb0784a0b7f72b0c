"""Sessions as a person lives them, on a simulated pen in virtual time.

Every story runs by a stream, by BLE, over bleak and a whole Bluetooth stack, in the air of an ordinary room, and by a
stream to a pen that has an owner, all of it sealed; those that measure a stop also in an air without loss or delay. All
of BLE here takes about 25 s of one core.
"""

import asyncio
import contextlib
import gc
import itertools
import json
from typing import Any

import pytest

from dermalink.errors import HostRefusal, LinkError, NoSuchPort, PenRefusal
from dermalink.journal import Entry, MemoryJournal
from dermalink.pen import Pen
from dermalink.records import Record
from dermalink.session import events
from dermalink.session.outcome import Ending, Summary
from dermalink.session.preflight import PlanRefused
from dermalink.session.words import Word
from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS, TTL_MAX_MS
from dermalink_protocol.messages.identity import Status
from dermalink_protocol.messages.therapy import LeaseRenewed
from dermalink_protocol.zones import Direction, Zone
from tests.system.guided_session import NOSE, PERFECT, ROOM, STREAM, Guided, Tell, by_ways

DAYS_15 = 15 * 86_400
ALL_OF_NOSE = NOSE.replace(b'"horizontal"', b'"horizontal", "diagonal"')
# Until a stop is proved, as the host sees it: what the pen says of it comes behind two more answers to Stop, one to the
# last renewal and three changes of state, and an indication takes two connection events of 30 ms (540 ms without loss).
PROVED_WITHIN_MS = {"perfect": 200, "room": 800}
# What is left of a lease of 500 ms at each renewal: of a stream half of it; over the air of a room what is renewed with
# is older by a connection interval each way, and by those that are lost.
LEASE_LEFT_MS = {"stream": 250, "ble": 150}
SETTLES_S = 2.0  # long enough for whatever still moves to have stopped


def test_a_plan_is_led_through_to_its_end(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        summary = await world.run(ALL_OF_NOSE)
        assert (summary.ending, summary.closed, summary.confirmed) == (Ending.DONE, True, True)
        assert [over.step.direction for over in summary.passes] == list(Direction)
        skin = world.sim.skin
        for over in summary.passes:
            truly = skin.punctures_in(Zone.NOSE, over.step.direction)
            assert (
                0 < truly <= over.punctures <= truly * 11 // 10
            )  # a lift is seen late, so some count that were in air
            assert 0 < over.peak_um <= 250
            truth = world.sim.hand.covered_percent(Zone.NOSE, over.step.direction)
            assert -10 <= over.coverage_percent - truth <= 25  # what runs over the zone's edge is counted as well
        assert skin.deepest_um <= 250
        assert not skin.needles_are_out
        assert summary.lost == 0
        assert summary.lowest_lease_margin_ms is not None
        assert summary.lowest_lease_margin_ms >= LEASE_LEFT_MS[world.way.by]

    guided(story)


def test_what_is_shown_is_json_line_by_line_in_an_order_that_makes_sense(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        await world.run()
        lines = [json.loads(event.as_line()) for event in world.events]
        order = [line["event"] for line in lines if line["event"] != "progress"]
        one_pass = ["ready_asked", "press_asked", "pass_started", "pass_over"]
        assert order == ["session_planned", "session_opened", *one_pass, *one_pass, "session_over"]
        percents = [
            line["coverage_percent"] for line in lines if line["event"] == "progress" and line["step"]["number"] == 1
        ]
        assert percents == sorted(percents)
        assert len(percents) >= 40  # ten a second

    guided(story)


def test_without_asking_each_pass_still_waits_for_the_button(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        summary = await world.run(ask_ready=False)
        assert summary.ending is Ending.DONE
        assert not world.said(events.ReadyAsked)
        assert len(world.said(events.PressAsked)) == 2

    guided(story)


@pytest.mark.sr("SR-STOP-5", side="pen")
def test_without_a_press_nothing_moves_and_after_a_minute_the_session_ends(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.reactions[events.PressAsked] = lambda _: None
        summary = await world.run(ask_ready=False)
        assert summary.ending is Ending.NOBODY
        assert len(world.said(events.PressMissed)) == 6
        assert world.sim.skin.strokes == 0
        assert world.sim.skin.needles_out == []

    guided(story)


def test_a_missed_press_asks_again_and_the_pass_is_still_there(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        press, asked = world.reactions[events.PressAsked], world.said
        world.reactions[events.PressAsked] = lambda event: press(event) if len(asked(events.PressAsked)) > 1 else None
        summary = await world.run()
        assert summary.ending is Ending.DONE
        assert len(summary.passes) == 2
        assert len(world.said(events.PressMissed)) == 1

    guided(story)


def test_pause_takes_the_needles_in_and_only_the_persons_word_and_a_press_go_on(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        out_while_paused: list[bool] = []

        def paused(_: events.PassPaused) -> None:
            for seconds in (1, 5, 20):
                world.later(seconds, lambda: out_while_paused.append(world.sim.needles_out))
            asyncio.get_running_loop().call_later(30, world.person.say, Word.RESUME)

        world.reactions[events.PassPaused] = paused
        world.halfway(lambda: world.person.say(Word.PAUSE))
        summary = await world.run()
        assert summary.ending is Ending.DONE
        assert out_while_paused == [False] * 3
        assert [asked.resuming for asked in world.said(events.PressAsked)] == [False, True, False]
        assert summary.passes[0].interruptions == 1
        (pause,) = world.said(events.PassPaused)
        assert (pause.reason, pause.resumes_left) == (Reason.HOST_PAUSE, 5)

    guided(story)


def test_a_pass_that_the_person_lifts_away_from_for_long_is_paused_and_can_be_ended(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.do(world.sim.hand.lift))
        world.reactions[events.PassPaused] = lambda _: world.person.say(Word.END)
        summary = await world.run()
        assert summary.ending is Ending.DONE
        (pause,) = world.said(events.PassPaused)
        assert pause.reason is Reason.LIFT_OFF
        assert summary.passes[0].coverage_percent < 60
        assert summary.passes[1].coverage_percent >= 95

    guided(story)


def test_the_person_can_end_a_pass_early_and_it_counts(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.person.say(Word.END))
        summary = await world.run()
        assert summary.passes[0].reason is Reason.HOST_END
        assert all(over.used_up for over in summary.passes)

    guided(story)


def stopped(world: Guided, summary: Summary, ending: Ending) -> None:
    """What holds after every stop: proved, in time, and told."""
    assert summary.ending is ending
    assert (summary.confirmed, summary.closed) == (True, True)
    assert world.in_after_stop_ms() <= IN_WITHIN_MS
    (said,) = world.said(events.StopConfirmed)
    assert said.confirmed
    assert said.milliseconds <= PROVED_WITHIN_MS[world.way.air]
    assert len(summary.passes) == 1  # the pass that was cut short is told of as well


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", side="host")
@by_ways(STREAM, ROOM, PERFECT)
def test_the_word_stop_takes_the_needles_in_at_once_and_ends_the_session(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.person.say(Word.STOP))
        stopped(world, await world.run(), Ending.STOPPED)

    guided(story)


@pytest.mark.sr("SR-SYM-1", side="host")
@pytest.mark.parametrize("word", [Word.PAIN, Word.BLEEDING, Word.RASH])
@by_ways(STREAM, ROOM, PERFECT)
def test_a_symptom_stops_at_once_and_bars_the_next_session(guided: Tell, word: Word) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.person.say(word))
        stopped(world, await world.run(), Ending.SYMPTOM)
        world.do(lambda: world.sim.clock.advance(DAYS_15))
        world.do(lambda: world.sim.cartridge.fit("glide"))
        with pytest.raises(HostRefusal):
            await world.run()
        world.do(lambda: world.sim.clock.advance(DAYS_15))
        if word is not Word.PAIN:  # a clinician's advice is due as well, and nobody has recorded any
            with pytest.raises(HostRefusal) as caught:
                await world.run()
            assert caught.value.reason is Reason.SYMPTOM_LOCK
        else:
            assert (await world.run()).ending is Ending.DONE

    guided(story)


@pytest.mark.sr("SR-STOP-4", side="host")
@by_ways(STREAM, ROOM, PERFECT)
def test_a_signal_sends_stop_before_anything_else(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            session = world.session(pen)

            world.halfway(lambda: session.interrupt("Ctrl-C"))
            summary = await session.run()
        stopped(world, summary, Ending.OUTSIDE)
        assert summary.why == "Ctrl-C"

    guided(story)


@pytest.mark.sr("SR-STOP-4", side="host")
@by_ways(STREAM, ROOM, PERFECT)
def test_an_error_in_the_display_stops_the_pen_and_comes_out(guided: Tell) -> None:
    async def story(world: Guided) -> None:

        def breaks() -> None:
            raise ZeroDivisionError

        world.halfway(breaks)
        with pytest.raises(ZeroDivisionError):
            await world.run()
        assert world.in_after_stop_ms() <= IN_WITHIN_MS

    guided(story)


@pytest.mark.sr("SR-STOP-4", side="host")
@by_ways(STREAM, ROOM, PERFECT)
def test_cancelling_the_session_stops_the_pen(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        running = asyncio.ensure_future(world.run())
        world.halfway(running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert world.in_after_stop_ms() <= IN_WITHIN_MS

    guided(story)


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_when_the_link_is_cut_the_lease_takes_the_needles_in(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        with pytest.raises(LinkError):
            await world.run()
        await world.seconds(SETTLES_S)
        assert world.in_after_ms() <= LEASE_DEFAULT_MS + IN_WITHIN_MS

    guided(story)


@pytest.mark.sr("SR-STOP-5", "SR-SES-1", side="pen")
def test_after_a_lost_link_the_session_is_adopted_and_goes_on_only_by_word_and_press(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.reactions[events.PassPaused] = lambda _: asyncio.get_running_loop().call_later(
            5, world.person.say, Word.RESUME
        )
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        world.reactions[events.LinkGone] = lambda _: world.do(lambda: world.sim.faults.clear("link"))
        summary = await world.run(connect=world.pen)
        assert summary.ending is Ending.DONE
        assert len(summary.passes) == 2
        (back,) = world.said(events.LinkBack)
        assert back.needles_in
        assert [asked.resuming for asked in world.said(events.PressAsked)] == [False, True, False]
        paused_ms = [at / 1_000 for interval in world.sim.skin.needles_out for at in interval if at]
        assert max(b - a for a, b in itertools.pairwise(paused_ms)) >= 5_000  # nothing moved while nobody said so

    guided(story)


@pytest.mark.sr("SR-STOP-1", side="pen")
def test_a_link_that_carries_nothing_any_more_is_a_lost_one(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "loss", permille=1_000)))
        with pytest.raises(LinkError, match="silent"):
            await world.run()
        assert world.in_after_ms() <= LEASE_DEFAULT_MS + IN_WITHIN_MS
        (said,) = world.said(events.LinkGone)
        assert not said.trying_again

    guided(story)


@pytest.mark.sr("SR-STOP-4", side="host")
def test_a_pass_whose_pen_is_gone_when_the_person_leaves_is_told_of_with_what_was_seen(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            session = world.session(pen, connect=world.pen)
            world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
            world.reactions[events.LinkGone] = lambda _: session.interrupt("Ctrl-C")
            summary = await session.run()
        assert (summary.ending, summary.confirmed) == (Ending.OUTSIDE, False)
        (over,) = world.said(events.PassOver)
        assert over.used_up
        (end,) = world.said(events.SessionOver)
        assert (end.passes_made, end.punctures, end.peak_um) == (1, over.punctures, over.peak_um)
        assert end.punctures > 0
        assert end.peak_um > 0
        assert end.aftercare

    guided(story)


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("moment", [events.Progress, events.PressAsked])
@pytest.mark.parametrize("ask_ready", [True, False])
def test_a_stop_by_another_connection_ends_the_session(
    guided: Tell, ask_ready: bool, moment: type[events.Event]
) -> None:
    async def story(world: Guided) -> None:
        async def stop_from_elsewhere() -> None:
            async with await Pen.connect(world.other_url, journal=MemoryJournal(), inspect_only=True) as other:
                await other.stop()

        others: list[asyncio.Task[None]] = []
        stop_now = lambda *_: others.append(asyncio.ensure_future(stop_from_elsewhere()))  # noqa: E731
        if moment is events.Progress:
            world.halfway(stop_now)
        else:
            world.reactions[moment] = stop_now
        summary = await world.run(ask_ready=ask_ready)
        await others[0]
        assert summary.ending is Ending.STOPPED
        assert "another connection" in summary.why
        assert len(summary.passes) == (1 if moment is events.Progress else 0)
        assert len(world.said(events.PressAsked)) == 1

    guided(story)


@pytest.mark.sr("SR-DEPTH-5", side="host")
def test_when_telemetry_stops_coming_the_host_ends_the_pass_and_says_just_that(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        def silent_for_a_moment() -> None:
            world.do(lambda: world.sim.faults.inject("link", "loss", permille=1_000, way=2))
            world.later(0.5, lambda: world.sim.faults.clear("link"))

        world.halfway(silent_for_a_moment)
        summary = await world.run()
        assert world.in_after_ms() > 0
        assert (summary.ending, len(summary.passes)) == (Ending.DONE, 2)
        assert (summary.passes[0].reason, summary.passes[0].used_up) == (Reason.HOST_STOP, True)
        (alarm,) = world.said(events.Alarm)
        assert "ends this pass, which counts as made" in alarm.words
        assert "resume" not in alarm.words.lower()
        assert not world.said(events.PassPaused)

    guided(story)


def test_stop_while_the_link_is_gone_ends_the_session_without_waiting_for_it(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        async def nothing_there() -> Any:
            raise NoSuchPort("nothing is there")

        world.reactions[events.LinkGone] = lambda _: asyncio.get_running_loop().call_later(
            3, world.person.say, Word.STOP
        )
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        summary = await world.run(connect=nothing_there)
        assert summary.ending is Ending.STOPPED
        assert not summary.confirmed
        assert not summary.closed

    guided(story)


class SlowJournal(MemoryJournal):
    """A disk that takes longer than a command lives, for the records with these numbers."""

    def __init__(self, slow: tuple[int, ...]) -> None:
        super().__init__()
        self.slow = slow

    async def append(self, record: Record) -> Entry:
        if len(self.entries()) + 1 in self.slow:
            await asyncio.sleep(TTL_MAX_MS / 1_000 + 0.1)
        return await super().append(record)


@pytest.mark.sr("SR-CMD-3", side="host")
@pytest.mark.parametrize(("slow", "reaches_the_end"), [((3,), True), ((5,), True), (tuple(range(3, 30)), False)])
def test_a_command_that_is_late_is_asked_for_again_and_not_for_ever(
    guided: Tell, slow: tuple[int, ...], reaches_the_end: bool
) -> None:
    async def story(world: Guided) -> None:
        world.journal = SlowJournal(slow)
        if reaches_the_end:
            assert (await world.run()).ending is Ending.DONE
            assert len(world.said(events.ReadyAsked)) == 3  # once for each pass, and once more
        else:
            with pytest.raises(PenRefusal) as caught:
                await world.run()
            assert caught.value.reason is Reason.COMMAND_LATE
            assert world.sim.skin.strokes == 0

    guided(story)


@pytest.mark.sr("SR-CMD-3", side="host")
@pytest.mark.parametrize("record", [3, 5])
def test_where_nobody_is_asked_a_late_command_is_not_tried_again(guided: Tell, record: int) -> None:
    async def story(world: Guided) -> None:
        world.journal = SlowJournal((record,))
        with pytest.raises(PenRefusal) as caught:
            await world.run(ask_ready=False)
        assert caught.value.reason is Reason.COMMAND_LATE
        assert not world.said(events.PressAsked)
        assert world.sim.skin.strokes == 0

    guided(story)


class LossyJournal(MemoryJournal):
    """Nothing gets to the pen for a moment from when the record with this number is written."""

    def __init__(self, world: Guided, number: int) -> None:
        super().__init__()
        self.world, self.number = world, number

    async def append(self, record: Record) -> Entry:
        if len(self.entries()) + 1 == self.number:
            self.world.do(lambda: self.world.sim.faults.inject("link", "loss", permille=1_000, way=1))
            self.world.later(0.3, lambda: self.world.sim.faults.clear("link"))
        return await super().append(record)


@pytest.mark.sr("SR-CMD-3", "SR-UNC-1", side="host")
@pytest.mark.parametrize("record", [3, 5])
def test_where_nobody_is_asked_a_command_that_was_lost_ends_the_session(guided: Tell, record: int) -> None:
    async def story(world: Guided) -> None:
        world.journal = LossyJournal(world, record)
        summary = await world.run(ask_ready=False)
        assert (summary.ending, summary.confirmed, summary.closed) == (Ending.LINK, True, True)
        assert "none is sent twice" in summary.why
        assert not world.said(events.PressAsked)

    guided(story)


@pytest.mark.sr("SR-CMD-3", side="host")
@pytest.mark.parametrize("trouble", ["late", "lost"])
def test_a_pass_that_did_not_begin_waits_for_a_new_word_whatever_was_said_before(guided: Tell, trouble: str) -> None:
    async def story(world: Guided) -> None:
        world.journal = SlowJournal((5,)) if trouble == "late" else LossyJournal(world, 5)
        said_ms: list[int] = []

        def ready(_: events.ReadyAsked) -> None:
            asked = len(world.said(events.ReadyAsked))
            if asked == 2:
                asyncio.get_running_loop().call_later(5, go)
                return
            for _again in range(3):  # an eager person
                go()

        def go() -> None:
            said_ms.append(world.ms)
            world.person.say(Word.GO)

        press = world.reactions[events.PressAsked]
        pressed_ms: list[int] = []

        def asked_to_press(event: events.PressAsked) -> None:
            pressed_ms.append(world.ms)
            press(event)

        world.reactions[events.PressAsked] = asked_to_press
        world.reactions[events.ReadyAsked] = ready
        assert (await world.run()).ending is Ending.DONE
        assert pressed_ms[0] >= said_ms[3] >= said_ms[2] + 5_000

    guided(story)


@pytest.mark.sr("SR-CMD-3", side="host")
@pytest.mark.parametrize("ask_ready", [True, False])
def test_a_resume_that_came_too_late_waits_for_a_new_word(guided: Tell, ask_ready: bool) -> None:
    async def story(world: Guided) -> None:
        journal = world.journal = SlowJournal(())
        said_ms: list[int] = []

        def resume() -> None:
            said_ms.append(world.ms)
            world.person.say(Word.RESUME)

        def paused(_: events.PassPaused) -> None:
            if not said_ms:
                journal.slow = (len(journal.entries()) + 1,)
                for _again in range(3):
                    resume()
            else:
                asyncio.get_running_loop().call_later(5, resume)

        again_ms: list[int] = []
        press = world.reactions[events.PressAsked]

        def asked_to_press(event: events.PressAsked) -> None:
            if event.resuming:
                again_ms.append(world.ms)
            press(event)

        world.reactions[events.PressAsked] = asked_to_press
        world.reactions[events.PassPaused] = paused
        world.halfway(lambda: world.person.say(Word.PAUSE))
        assert (await world.run(ask_ready=ask_ready)).ending is Ending.DONE
        assert again_ms[0] >= said_ms[3] >= said_ms[2] + 5_000

    guided(story)


@by_ways(STREAM, ROOM)  # which command a sealed one is, no fault that is injected can see
@pytest.mark.sr("SR-UNC-1", side="host")
@pytest.mark.parametrize("kind", ["crash_before", "crash_after"])
@pytest.mark.parametrize("opcode", [Opcode.PREPARE, Opcode.BEGIN_PASS, Opcode.OPEN_SESSION])
def test_a_pen_that_crashes_on_a_command_leaves_nobody_hanging_and_no_needle_out(
    guided: Tell, kind: str, opcode: Opcode
) -> None:
    async def story(world: Guided) -> None:
        world.do(lambda: world.sim.faults.inject("firmware", kind, opcode=int(opcode)))
        try:
            summary = await world.run(connect=world.pen)
        except LinkError:
            pass  # no session was open yet, so there was nothing to take up again
        else:
            assert summary.ending is Ending.PEN
            assert summary.confirmed
        assert world.sim.skin.strokes == 0
        assert not world.do(lambda: world.sim.needles_out)

    guided(story)


@pytest.mark.sr("SR-UNC-1", "SR-CMD-3", side="host")
def test_a_lossy_link_costs_words_and_never_the_lead(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.reactions[events.PassPaused] = lambda _: world.person.say(Word.RESUME)
        world.reactions[events.SessionOpened] = lambda _: world.do(
            lambda: world.sim.faults.inject("link", "loss", permille=1)
        )
        with contextlib.suppress(DermalinkError):
            await world.run(connect=world.pen)
        world.do(world.sim.faults.clear)
        await world.seconds(SETTLES_S)
        assert not world.do(lambda: world.sim.needles_out)
        assert world.sim.skin.deepest_um <= 250
        for direction in Direction:
            assert world.sim.skin.punctures_in(Zone.NOSE, direction) <= 12_000

    guided(story)


@pytest.mark.sr("SR-INT-1", side="host")
def test_a_second_session_has_to_wait(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        assert (await world.run()).ending is Ending.DONE
        world.do(lambda: world.sim.cartridge.fit("glide"))
        with pytest.raises(HostRefusal) as caught:
            await world.run()
        assert caught.value.reason is Reason.INTERVAL_NOT_OVER
        world.do(lambda: world.sim.clock.advance(DAYS_15))
        assert (await world.run()).ending is Ending.DONE

    guided(story)


def test_a_session_after_one_that_touched_nothing_tests_the_pen_first(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        go = world.reactions[events.ReadyAsked]
        world.reactions[events.ReadyAsked] = lambda _: world.person.say(Word.STOP)
        assert (await world.run()).ending is Ending.STOPPED
        assert not world.said(events.SelfTested)
        world.reactions[events.ReadyAsked] = go
        assert (await world.run()).ending is Ending.DONE
        (tested,) = world.said(events.SelfTested)
        assert tested.retraction_ms <= IN_WITHIN_MS

    guided(story)


@pytest.mark.sr("SR-CART-1", side="host")
def test_a_used_head_is_refused_before_the_session_opens(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        assert (await world.run()).ending is Ending.DONE
        world.do(lambda: world.sim.clock.advance(DAYS_15))
        with pytest.raises(PlanRefused) as caught:
            await world.run()
        assert caught.value.reason is Reason.CARTRIDGE_USED
        assert len(world.said(events.SessionOpened)) == 1

    guided(story)


@pytest.mark.sr("SR-DEPTH-3", "SR-PASS-6", "SR-DEPTH-8", side="host")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b'"nose"', b'"left_under_eye"'), Reason.ZONE_NEEDS_STAMP),
        ((b"speed_mm_s = 40", b"speed_mm_s = 20"), Reason.DENSITY_TOO_HIGH),
    ],
)
def test_a_plan_that_does_not_suit_the_head_is_refused_whole_and_nothing_is_opened(
    guided: Tell, change: tuple[bytes, bytes], reason: Reason
) -> None:
    async def story(world: Guided) -> None:
        with pytest.raises(PlanRefused) as caught:
            await world.run(NOSE.replace(*change))
        assert list(caught.value.refusals) == [1, 2]
        assert caught.value.reason is reason
        assert "passes 1, 2" in str(caught.value)
        async with await world.pen() as pen:
            assert (await pen.status()).wait_s == 0
        assert not world.said(events.SessionOpened)

    guided(story)


def test_a_fault_of_the_pen_ends_the_session_with_the_reason_in_words(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("motor", "overspeed")))
        summary = await world.run()
        assert summary.ending is Ending.PEN
        assert summary.confirmed
        assert "fast" in summary.why
        assert not world.sim.needles_out

    guided(story)


@pytest.mark.parametrize("gone", [events.ReadyAsked, events.PassPaused])
def test_when_nobody_is_there_to_answer_the_session_ends(guided: Tell, gone: type[events.Event]) -> None:
    async def story(world: Guided) -> None:
        world.reactions[gone] = lambda _: world.person.say(Word.GONE)
        world.halfway(lambda: world.person.say(Word.PAUSE))
        summary = await world.run()
        assert (summary.ending, summary.closed) == (Ending.NOBODY, True)

    guided(story)


def test_whoever_goes_away_in_the_middle_of_a_pass_is_missed_before_the_next_one(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.reactions[events.ReadyAsked] = lambda event: world.person.say(Word.GO) if event.step.number == 1 else None
        world.halfway(lambda: world.person.say(Word.GONE))
        summary = await world.run()
        assert (summary.ending, summary.closed, len(summary.passes)) == (Ending.NOBODY, True, 1)

    guided(story)


def test_a_stop_while_a_command_is_on_its_way_is_the_end_and_no_error(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            session, apply = world.session(pen), pen.apply

            async def stop_first(checked: Any, **options: Any) -> Any:
                if world.said(events.PassPaused):
                    session.interrupt("Ctrl-C")
                    await world.seconds(0.1)
                return await apply(checked, **options)

            pen.apply = stop_first  # type: ignore[method-assign]
            world.halfway(lambda: world.person.say(Word.PAUSE))
            world.reactions[events.PassPaused] = lambda _: world.person.say(Word.RESUME)
            summary = await session.run()
        assert (summary.ending, summary.why, summary.confirmed) == (Ending.OUTSIDE, "Ctrl-C", True)

    guided(story)


def test_a_status_that_is_answered_by_another_kind_of_reply_ends_nothing_and_is_not_logged(
    guided: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            take = pen.connection._take_reply

            def other(exchange: Any, reply: Any) -> None:
                if isinstance(reply, Status):
                    pen.connection._take_reply = take  # type: ignore[method-assign]
                    reply = LeaseRenewed(tick_ms=reply.tick_ms, lease_left_ms=0)
                take(exchange, reply)

            def lie() -> None:
                pen.connection._take_reply = other  # type: ignore[method-assign]

            world.halfway(lie)
            summary = await world.session(pen).run()
            assert summary.ending is Ending.DONE
            assert pen.connection._take_reply == take

    guided(story)
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
