"""What the pen shows by itself, with no host: a pattern of light and of vibration for each state (SR-IND-1)."""

from typing import Final

from dermalink_protocol.codewords import State
from dermalink_simulator.seam import Indicator

DARK: Final = Indicator()
READY: Final = Indicator(1, 0)
PRESS_ME: Final = Indicator(2, 1)
RUNNING: Final = Indicator(3, 0)
PAUSED: Final = Indicator(4, 1)
STOPPED: Final = Indicator(5, 2)
FAULT: Final = Indicator(6, 3)
ALARM: Final = Indicator(7, 4)
LOW_BATTERY: Final = Indicator(8, 0)
OPEN_FOR_PAIRING: Final = Indicator(9, 1)

PATTERNS: Final[dict[int, Indicator]] = {
    State.BOOT: DARK,
    State.SELF_TEST: DARK,
    State.IDLE: READY,
    State.OPENING: READY,
    State.OPEN: READY,
    State.PREPARED: READY,
    State.WAITING: PRESS_ME,
    State.RECORDING: PRESS_ME,
    State.SPIN_UP: RUNNING,
    State.ARMED: RUNNING,
    State.RUNNING: RUNNING,
    State.LIFTED: RUNNING,
    State.STOPPING: STOPPED,
    State.PAUSED: PAUSED,
    State.CLOSING: READY,
    State.FAULT: FAULT,
    State.STOP_FAILED: ALARM,
    State.LOCKED: FAULT,
}
