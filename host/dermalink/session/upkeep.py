"""What keeps a pen in order between sessions: its clock, and faults that a person may acknowledge."""

import contextlib
from typing import Final

from dermalink.errors import HostRefusal, Timeout
from dermalink.pen import Pen
from dermalink.refusals import host_refusal
from dermalink.rules import Facts
from dermalink.session.applying import apply
from dermalink.session.self_test import self_tested
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.wording import WORDING

BOOTED_WITHIN_S: Final = 10.0
NOT_YET: Final = (State.BOOT, State.SELF_TEST, State.OPENING, State.CLOSING)
BOOTED: Final = tuple(state for state in State if state not in NOT_YET)
SERVICE_ONLY: Final = (State.LOCKED, State.STOP_FAILED)


async def rested(pen: Pen) -> Facts:
    """How the pen stands once it has booted, or as it stands when that takes too long."""
    with contextlib.suppress(Timeout):
        await pen.wait_for(*BOOTED, within_s=BOOTED_WITHIN_S)
    return await pen.look()


async def set_clock(pen: Pen, utc_s: int) -> None:
    """Set the pen's clock (SR-INT-2). Raises a `Refusal`, or what journal and link raise."""
    await rested(pen)
    await apply(pen, pen.gate.set_clock(utc_s))


async def acknowledge(pen: Pen, fault: Reason) -> bool:
    """Acknowledge the latched fault and wait for the self-test; whether it is cleared already, without a press.

    Raises a `Refusal`, `SelfTestFailed`, or what journal and link raise (SR-RST-3).
    """
    status = (await rested(pen)).status
    if status.state in SERVICE_ONLY:
        raise host_refusal(f"Acknowledging {_name(fault)}", Reason.LOCKED, because=WORDING[status.reason].said)
    if status.state is not State.FAULT:
        raise HostRefusal("There is nothing to acknowledge", Reason.WRONG_STATE, limit="no fault is latched")
    if status.reason is not fault:
        raise HostRefusal(
            f"{_name(fault)} was not acknowledged",
            Reason.FAULT_LATCHED,
            rule="SR-RST-3",
            limit=f"the latched fault is {_name(status.reason)}: {WORDING[status.reason].said}",
            advice="Name that one",
        )
    await apply(pen, pen.gate.acknowledge_fault(fault))
    await self_tested(pen)
    return (await pen.look()).status.state is not State.FAULT


def _name(reason: Reason) -> str:
    return reason.name.lower()
