"""Types, pinned: never run, only type-checked. A type that silently widens fails here."""

from typing import Any, assert_type

from dermalink import Applied, Outcome, Pen, Refused, SyncPen, Unknown
from dermalink.checked import Checked
from dermalink.margin.margin import LinkMargin
from dermalink.notifications import Subscription
from dermalink_protocol.messages.identity import GetStatus, StateChanged, Status
from dermalink_protocol.messages.stop import Stop, Stopped
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.messages.therapy import EndPass, PassBegun, PassEnded, Prepare, Prepared, SessionOpened
from dermalink_protocol.zones import Direction, Zone


async def a_request_names_its_reply(pen: Pen, sync: SyncPen) -> None:
    assert_type(await pen.request(GetStatus()), Status)
    assert_type(await pen.request(EndPass(session_id=1)), PassEnded)
    assert_type(await pen.request(Stop()), Stopped)
    assert_type(sync.request(GetStatus()), Status)
    assert_type(sync.run(lambda each: each.request(GetStatus())), Status)


async def a_checked_command_names_its_reply(pen: Pen) -> None:
    assert_type(pen.gate.open_session(), Checked[SessionOpened])
    assert_type(pen.gate.begin_pass(), Checked[PassBegun])
    prepared = pen.gate.prepare(zone=Zone.CHIN, direction=Direction.VERTICAL, depth_um=300, rate_hz=60, speed_mm_s=20)
    outcome: Outcome[Prepared] = await pen.apply(prepared)
    match outcome:
        case Applied(reply):
            assert_type(reply, Prepared)
        case Refused() | Unknown():
            pass


async def an_outcome_has_three_cases_and_no_more(pen: Pen) -> str:
    outcome = await pen.apply(pen.gate.begin_pass())
    match outcome:
        case Applied():
            return "applied"
        case Refused():
            return "refused"
        case Unknown():
            return "unknown"


async def only_a_checked_command_is_applied(pen: Pen, prepare: Prepare, anything: object) -> None:
    await pen.apply(prepare)  # type: ignore[arg-type]
    await pen.apply(anything)  # type: ignore[arg-type]
    Checked[Prepared](prepare)
    pen.gate.prepare(zone=1, direction=2, depth_um=300, rate_hz=60, speed_mm_s=20)  # type: ignore[arg-type]
    pen.gate.prepare(Zone.CHIN, Direction.VERTICAL, 300, 60, 20)  # type: ignore[call-arg]


async def a_subscription_gives_its_kind(pen: Pen) -> None:
    assert_type(pen.telemetry(), Subscription[Telemetry])
    assert_type(await pen.subscribe(StateChanged).next(), StateChanged)


def a_margin_is_live_or_a_copy(pen: Pen, sync: SyncPen) -> None:
    assert_type(pen.margin, LinkMargin)
    assert_type(sync.margin(), LinkMargin)


def frames(array: Any) -> None:
    """Nothing of numpy's structured types is known to a type checker."""
