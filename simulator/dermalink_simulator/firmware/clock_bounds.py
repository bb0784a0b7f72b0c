"""How far ahead the pen's clock may be set (SR-INT-2)."""

from dermalink_protocol.limits import CALIBRATION_S, CLOCK_JUMP_MAX_S
from dermalink_simulator.firmware.flash_store import FlashStore


def latest_s(store: FlashStore) -> int:
    """The latest date that the clock may be set to: when the calibration ends, or a day past the last record.

    A date can't be taken back (SR-INT-1), so one far ahead would end calibration and heads for good.
    """
    made_s = max(store.factory.made_s, store.calibration.made_s if store.calibration is not None else 0)
    return int(max(made_s + CALIBRATION_S, store.record.clock_s + CLOCK_JUMP_MAX_S))
