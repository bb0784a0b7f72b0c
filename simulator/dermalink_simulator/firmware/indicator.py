"""What the pen shows by itself, with no host: a pattern of light and of vibration for each state (SR-IND-1)."""

from typing import Final

from dermalink_protocol.codewords import Reason, State
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

FAULTS: Final[dict[int, Indicator]] = {
    Reason.DEPTH_EXCEEDED: Indicator(16, 3),
    Reason.DEPTH_OVER_SETTING: Indicator(16, 3),
    Reason.SENSORS_DISAGREE: Indicator(17, 3),
    Reason.RETRACTION_SLOW: Indicator(18, 3),
    Reason.STOP_NOT_CONFIRMED: Indicator(18, 3),
    Reason.RATE_OVER: Indicator(19, 3),
    Reason.STALLED: Indicator(20, 3),
    Reason.DRIVE_FAULT: Indicator(21, 3),
    Reason.SENSOR_FAULT: Indicator(22, 3),
    Reason.MEMORY_FAULT: Indicator(23, 3),
    Reason.WATCHDOG: Indicator(24, 3),
    Reason.FLASH_FAILED: Indicator(25, 3),
    Reason.HISTORY_BROKEN: Indicator(26, 3),
    Reason.STORE_UNREADABLE: Indicator(26, 3),
    Reason.BUTTON_STUCK: Indicator(27, 3),
    Reason.SELF_TEST_FAILED: Indicator(28, 3),
    Reason.TEMPERATURE: Indicator(29, 3),
    Reason.CARTRIDGE_BADLY_SEATED: Indicator(30, 3),
}
"""Which fault it is: a pattern for each that asks for another thing of the person; any other fault shows `FAULT`."""


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
    if pattern is FAULT:
        return FAULTS.get(pen.state.fault, FAULT)
    low = pen.sensors.battery_percent < pen.limits.battery_start_percent
    return LOW_BATTERY if pattern is READY and low else pattern
