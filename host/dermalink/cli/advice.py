"""What to do about a refusal, in commands: the reason's own advice knows none."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from dermalink.errors import HostRefusal, PenRefusal, Refusal
from dermalink.pen import Pen
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import Capability

SET_CLOCK: Final = "Set the clock: `dermalink clock --set now`"
SET_COMPUTER: Final = "Set the clock of this computer"
ACKNOWLEDGE: Final = "Acknowledge it: `dermalink acknowledge {}`"
OTHER_JOURNAL: Final = "For a trial with a simulated pen, keep a journal of its own: `--journal FILE`"
ADVANCE: Final = "Let its time pass: `dermalink-sim control --at HOST:PORT clock advance {}`, and `--journal FILE`"
PRESS_BUTTON: Final = "Press the pen's button shortly, and run this again within 10 s"


@contextlib.asynccontextmanager
async def advised(pen: Pen) -> AsyncIterator[None]:
    """Refusals that leave the block name the commands that help."""
    try:
        yield
    except (HostRefusal, PenRefusal) as refusal:
        advice = advice_for(pen, refusal)
        if not advice or type(refusal) not in (HostRefusal, PenRefusal):
            raise
        raise type(refusal)(
            refusal.refused,
            refusal.reason,
            value=refusal.value,
            rule=refusal.rule,
            limit=refusal.limit,
            advice=advice,
        ) from refusal


def advice_for(pen: Pen, refusal: Refusal) -> str:
    """The command that helps with `refusal`; empty where none does."""
    status = pen.gate.facts.status
    simulated = Capability.CONTROL_CHANNEL in pen.hello.capabilities
    match refusal.reason:
        case Reason.CLOCK_LOST:
            return SET_CLOCK
        case Reason.CLOCK_BACK:
            return SET_CLOCK if isinstance(refusal, PenRefusal) else SET_COMPUTER
        case Reason.CLOCK_JUMP_NEEDS_PRESS:
            return PRESS_BUTTON
        case Reason.FAULT_LATCHED:
            return ACKNOWLEDGE.format(status.reason.name.lower())
        case Reason.HISTORY_BROKEN if simulated:
            return OTHER_JOURNAL
        case Reason.INTERVAL_NOT_OVER if simulated:
            return ADVANCE.format(status.wait_s) if status.wait_s else OTHER_JOURNAL
        case _:
            return ""
