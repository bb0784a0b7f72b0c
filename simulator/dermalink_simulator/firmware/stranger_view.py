"""How the pen stands, as a stranger is told it: nothing that tells of a person's health (SR-DATA-1).

A symptom stops as Stop does, and to a stranger it is Stop: left blank, its reason would tell it as well as its name, as
every other stop has one. Nor is he told of the button, whose hold is a symptom: how long it is held he could time.
"""

from typing import Any, Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import Status, StatusFlag

KEPT_FROM_HIM: Final = StatusFlag.SYMPTOM | StatusFlag.ADVICE_DUE | StatusFlag.BUTTON
OF_HEALTH: Final = frozenset(
    {Reason.SYMPTOM_PAIN, Reason.SYMPTOM_BLEEDING, Reason.SYMPTOM_RASH, Reason.SYMPTOM_UNSAID, Reason.SYMPTOM_LOCK}
)


def told(status: Status, interval_s: int) -> Status:
    """What a stranger is told of a status; `interval_s` is how long the last session alone bars the next, in s."""
    fields: dict[str, Any] = {name: getattr(status, name) for name in Status.__annotations__}
    fields |= {"flags": status.flags & ~KEPT_FROM_HIM, "wait_s": interval_s}
    if status.reason in OF_HEALTH:
        fields["reason"] = Reason.HOST_STOP
    return Status(**fields)
