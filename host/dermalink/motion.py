"""In which states a pen moves, or may."""

from typing import Final

from dermalink_protocol.codewords import State
from dermalink_protocol.messages.identity import StateChanged, Status, StatusFlag

MOVING: Final = (State.SPIN_UP, State.ARMED, State.RUNNING, State.LIFTED)


def says_moving(news: Status | StateChanged) -> bool:
    """Whether the pen says that needles may come out, or are out."""
    return StatusFlag.ARMED in news.flags or news.state in MOVING
