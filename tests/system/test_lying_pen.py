"""A pen that says one thing and measures another: the host says "in" and "stopped" by what was measured alone."""

from collections.abc import Callable
from typing import Any

import pytest

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.session_running import exit_code
from dermalink.display.sentences import sentence
from dermalink.pen import Pen
from dermalink.session import events
from dermalink.session.outcome import Ending
from dermalink.session.words import Word
from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import Status, StatusFlag
from dermalink_protocol.messages.stop import Stop
from tests.system.guided_session import Guided, guided

AT_REST = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF


def lies(pen: Pen, lie: Callable[[Status], dict[str, Any]]) -> None:
    """From now on `pen`'s statuses are changed by what `lie` gives before anybody sees them."""
    take = pen.connection._take_reply

    def told(exchange: Any, reply: Any) -> None:
        take(exchange, Status(**(reply.as_dict() | lie(reply))) if isinstance(reply, Status) else reply)

    pen.connection._take_reply = told  # type: ignore[method-assign]


def out(status: Status) -> dict[str, Any]:
    """Armed, needles out, motor on."""
    return {"flags": StatusFlag(status.flags & ~AT_REST | StatusFlag.ARMED)}


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("lying", [True, False])
def test_a_plan_is_done_only_when_the_needles_are_measured_in(lying: bool) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            world.once(
                events.PassOver,
                lambda event: event.step.number == event.step.passes,
                lambda _: lies(pen, out if lying else lambda _: {}),
            )
            sent: list[Any] = []
            pen.connection.on_message = lambda _, envelope: sent.append(envelope.message)
            summary = await world.session(pen).run()
        stops = world.said(events.StopConfirmed)
        (over,) = world.said(events.SessionOver)
        if lying:
            assert (summary.ending, summary.confirmed, over.completed) == (Ending.PEN, False, False)
            assert exit_code(summary, None) is ExitCode.NOT_CONFIRMED
            assert [stop.confirmed for stop in stops] == [False]
            assert any(isinstance(each, Stop) for each in sent)
        else:
            assert (summary.ending, summary.confirmed, over.completed) == (Ending.DONE, True, True)
            assert exit_code(summary, None) is ExitCode.DONE
            assert not stops
            assert not any(isinstance(each, Stop) for each in sent)

    guided(story)


@pytest.mark.sr("SR-STOP-2", side="host")
def test_a_plan_that_is_done_while_needles_are_out_is_stopped_and_then_confirmed() -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            asked: list[Status] = []

            def at_first(status: Status) -> dict[str, Any]:
                asked.append(status)
                return out(status) if len(asked) == 1 else {}

            world.once(
                events.PassOver, lambda event: event.step.number == event.step.passes, lambda _: lies(pen, at_first)
            )
            summary = await world.session(pen).run()
        assert (summary.ending, summary.confirmed) == (Ending.DONE, True)
        assert [stop.confirmed for stop in world.said(events.StopConfirmed)] == [True]

    guided(story)


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("lying", [True, False])
def test_a_pause_says_that_the_needles_are_in_only_when_they_are_measured_in(lying: bool) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            if lying:
                lies(pen, lambda status: out(status) if status.state is State.PAUSED else {})
            world.halfway(lambda: world.person.say(Word.PAUSE))
            world.reactions[events.PassPaused] = lambda _: world.person.say(Word.STOP)
            await world.session(pen).run()
        (pause,) = world.said(events.PassPaused)
        assert pause.needles_in is not lying
        assert ("The needles are in" in sentence(pause)) is not lying
        assert ("NOT measured in" in sentence(pause)) is lying

    guided(story)


@pytest.mark.sr("SR-STOP-2", side="host")
def test_a_stop_that_is_answered_with_a_running_pen_at_rest_is_not_confirmed() -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:

            def stop() -> None:
                lies(pen, lambda _: {"state": State.RUNNING, "flags": AT_REST})
                world.person.say(Word.STOP)

            world.halfway(stop)
            summary = await world.session(pen).run()
        assert (summary.ending, summary.confirmed) == (Ending.STOPPED, False)
        assert exit_code(summary, None) is ExitCode.NOT_CONFIRMED

    guided(story)
