"""What the pen shows by itself, with no host: a pattern of light and of vibration for each state (SR-IND-1)."""

from typing import Final

from dermalink_protocol.codewords import State
from dermalink_simulator.firmware.hold import may_be_let_go
from dermalink_simulator.firmware.inside import Inside
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
LET_GO_REPORTS: Final = Indicator(10, 1)
SYMPTOM_TAKEN: Final = Indicator(11, 5)

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


def shown(pen: Inside) -> Indicator:
    """What is shown now: an alarm before all else, then what became of a hold of the button."""
    pattern = PATTERNS.get(pen.state.state, DARK)
    if pattern is ALARM:
        return ALARM
    if pen.symptoms.shown_ms:
        return SYMPTOM_TAKEN
    if may_be_let_go(pen.hold, pen.button.held_ms) and not pen.touched_nobody:
        return LET_GO_REPORTS
    if pattern is READY and (pen.pairing.desk.window_ms or pen.pairing.bonds.window_ms):
        return OPEN_FOR_PAIRING
    low = pen.sensors.battery_percent < pen.limits.battery_start_percent
    return LOW_BATTERY if pattern is READY and low else pattern
