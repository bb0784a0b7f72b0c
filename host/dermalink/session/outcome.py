"""How a session ended, for whoever started it."""

from enum import Enum
from typing import NamedTuple

from dermalink.margin.margin import LinkMargin
from dermalink.session.events import PassOver


class Ending(Enum):
    """Why it ended."""

    DONE = "the plan is done"
    STOPPED = "you stopped it"
    SYMPTOM = "a symptom was reported"
    PEN = "the pen ended it"
    NOBODY = "nobody was there to answer"
    OUTSIDE = "this program was asked to end"
    LINK = "the link was lost"


class Summary(NamedTuple):
    """What came of a session.

    `confirmed` is whether the needles were measured in at its end (SR-STOP-2); `margin` is of all its connections.
    """

    ending: Ending
    why: str
    confirmed: bool
    closed: bool
    session_id: int
    passes: tuple[PassOver, ...]
    planned: int
    lowest_lease_margin_ms: int | None
    lost: int
    margin: LinkMargin
