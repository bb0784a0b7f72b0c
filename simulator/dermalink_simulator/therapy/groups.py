"""Groups of states and of kinds of event that rows name together."""

from typing import Final

from dermalink_protocol.codewords import State
from dermalink_simulator.therapy.events import EventKind
from dermalink_simulator.therapy.state import MOVING

ALL: Final = tuple(int(state) for state in State)
BOOT, SELF_TEST, IDLE = int(State.BOOT), int(State.SELF_TEST), int(State.IDLE)
OPENING, OPEN, PREPARED, WAITING = int(State.OPENING), int(State.OPEN), int(State.PREPARED), int(State.WAITING)
RECORDING, SPIN_UP, ARMED, RUNNING = int(State.RECORDING), int(State.SPIN_UP), int(State.ARMED), int(State.RUNNING)
LIFTED, STOPPING, PAUSED, CLOSING = int(State.LIFTED), int(State.STOPPING), int(State.PAUSED), int(State.CLOSING)
FAULT, STOP_FAILED, LOCKED = int(State.FAULT), int(State.STOP_FAILED), int(State.LOCKED)

INTERRUPTED: Final = (PAUSED, WAITING)
"""A begun pass waits, once the fresh ones of WAITING are dealt with."""

DEAD: Final = (LOCKED, STOP_FAILED)
"""Service only."""

WITH_SESSION: Final = (
    OPENING,
    OPEN,
    PREPARED,
    WAITING,
    RECORDING,
    *MOVING,
    STOPPING,
    PAUSED,
    CLOSING,
    FAULT,
    SELF_TEST,
)
"""A session may be open."""

RENEWABLE: Final = (OPEN, PREPARED, WAITING, RECORDING, *MOVING, STOPPING, PAUSED)
"""A lease may be renewed."""

RAISING: Final = (
    EventKind.OPEN_SESSION,
    EventKind.ADOPT_SESSION,
    EventKind.PREPARE,
    EventKind.BEGIN_PASS,
    EventKind.RESUME_PASS,
    EventKind.ACKNOWLEDGE_FAULT,
    EventKind.RUN_SELF_TEST,
    EventKind.SET_CLOCK,
)
"""Commands that raise exposure: they carry the header."""

REDUCING: Final = (EventKind.CLOSE_SESSION, EventKind.PAUSE_PASS, EventKind.END_PASS)
"""Commands that reduce it: no header, from the owner, or from anybody authenticated when there is none."""

OWNERS: Final = (EventKind.PREPARE, EventKind.BEGIN_PASS, EventKind.RESUME_PASS, EventKind.RENEW_LEASE)
"""What the owner alone may ask."""

STARTING: Final = (EventKind.PREPARE, EventKind.BEGIN_PASS, EventKind.RESUME_PASS)
"""Commands on the way to motion."""
