"""In which states a pen moves, or may."""

from typing import Final

from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import StateChanged, Status, StatusFlag

MOVING: Final = (State.SPIN_UP, State.ARMED, State.RUNNING, State.LIFTED)

_ARMED: Final = int(StatusFlag.ARMED)  # `in` on an enumeration's flags costs 0.7 µs of each status


def says_moving(news: Status | StateChanged) -> bool:
    """Whether the pen says that needles may come out, or are out."""
    return bool(int(news.flags) & _ARMED) or news.state in MOVING
