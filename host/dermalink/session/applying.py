"""A checked command, sent once, and its outcome settled."""

from typing import Final, TypeVar

from dermalink.checked import Checked
from dermalink.errors import UnknownOutcome
from dermalink.outcome import Applied, Refused
from dermalink.pen import Pen
from dermalink_protocol.schema import Reply

A = TypeVar("A", bound=Reply)

SETTLE_TRIES: Final = 3


async def apply(pen: Pen, checked: Checked[A]) -> A | None:
    """Send a checked command: its reply, or None when its outcome was unknown and is settled now; then the state tells.

    Raises the `Refusal`, or `UnknownOutcome` when it can't be settled.
    """
    outcome = await pen.apply(checked)
    if isinstance(outcome, Applied):
        return outcome.reply
    if isinstance(outcome, Refused):
        raise outcome.refusal
    for left in reversed(range(SETTLE_TRIES)):
        try:
            await pen.settle()
        except UnknownOutcome:
            if not left:
                raise
        else:
            break
    return None
