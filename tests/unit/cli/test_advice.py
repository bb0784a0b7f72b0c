"""Refusals name the command that helps, and those that none helps with keep their own advice."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dermalink.cli.advice import advised
from dermalink.errors import HostRefusal, PenRefusal, Refusal
from dermalink.session.preflight import PlanRefused
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import Capability


def pen_with(*, simulated: bool, wait_s: int = 0) -> Any:
    """As much of a pen as the advice looks at."""
    status = SimpleNamespace(reason=Reason.WATCHDOG, wait_s=wait_s)
    capabilities = Capability.CONTROL_CHANNEL if simulated else Capability(0)
    return SimpleNamespace(
        gate=SimpleNamespace(facts=SimpleNamespace(status=status)), hello=SimpleNamespace(capabilities=capabilities)
    )


def said(pen: Any, refusal: Refusal) -> Refusal:
    """What comes out of the block that `refusal` leaves."""

    async def leave() -> None:
        async with advised(pen):
            raise refusal

    with pytest.raises(Refusal) as caught:
        asyncio.run(leave())
    return caught.value


@pytest.mark.parametrize(
    ("kind", "reason", "wait_s", "advice"),
    [
        (HostRefusal, Reason.CLOCK_LOST, 0, "dermalink clock --set now"),
        (PenRefusal, Reason.CLOCK_BACK, 0, "dermalink clock --set now"),
        (HostRefusal, Reason.CLOCK_BACK, 0, "clock of this computer"),
        (PenRefusal, Reason.CLOCK_JUMP_NEEDS_PRESS, 0, "Press the pen's button shortly"),
        (HostRefusal, Reason.FAULT_LATCHED, 0, "dermalink acknowledge watchdog"),
        (HostRefusal, Reason.HISTORY_BROKEN, 0, "--journal FILE"),
        (HostRefusal, Reason.INTERVAL_NOT_OVER, 0, "--journal FILE"),
        (PenRefusal, Reason.INTERVAL_NOT_OVER, 77, "clock advance 77"),
        (HostRefusal, Reason.CARTRIDGE_USED, 0, "its own"),
    ],
)
def test_a_refusal_keeps_all_but_its_advice(kind: type[Refusal], reason: Reason, wait_s: int, advice: str) -> None:
    refusal = kind("It was refused", reason, value=3, rule="SR-INT-1", limit="because", advice="its own")
    found = said(pen_with(simulated=True, wait_s=wait_s), refusal)
    assert type(found) is kind
    assert (found.refused, found.reason, found.value) == ("It was refused", reason, 3)
    assert (found.rule, found.limit) == ("SR-INT-1", "because")
    assert advice in found.advice


@pytest.mark.parametrize("reason", [Reason.HISTORY_BROKEN, Reason.INTERVAL_NOT_OVER])
def test_no_other_journal_is_named_for_a_pen_that_is_not_simulated(reason: Reason) -> None:
    refusal = HostRefusal("It was refused", reason, advice="its own")
    assert said(pen_with(simulated=False), refusal) is refusal


def test_a_plans_refusals_stay_together() -> None:
    refusal = PlanRefused({1: HostRefusal("It was refused", Reason.CLOCK_LOST)})
    assert said(pen_with(simulated=True), refusal) is refusal
