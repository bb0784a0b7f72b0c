"""All properties of a step: f(limits, before, event, after, answer), in the subset; over cells once for each cell.

A property names its requirements in `claim.PROVES`. There are three kinds for each: what must hold after, what may
cause it, and how much it may change.
"""

from typing import Final

from dermalink_simulator.therapy.claim import CellProperty, Property
from dermalink_simulator.therapy.properties_answer import ANSWERS
from dermalink_simulator.therapy.properties_command import COMMANDS, RING
from dermalink_simulator.therapy.properties_head import HEADS
from dermalink_simulator.therapy.properties_live import LIVE
from dermalink_simulator.therapy.properties_motion import MOTION
from dermalink_simulator.therapy.properties_pass import PASSES, ZONES
from dermalink_simulator.therapy.properties_session import SESSIONS
from dermalink_simulator.therapy.properties_time import TIMES

PROPERTIES: Final[tuple[Property, ...]] = (*MOTION, *TIMES, *PASSES, *HEADS, *SESSIONS, *COMMANDS, *ANSWERS, *LIVE)
ZONE_PROPERTIES: Final[tuple[CellProperty, ...]] = ZONES
RING_PROPERTIES: Final[tuple[CellProperty, ...]] = RING
