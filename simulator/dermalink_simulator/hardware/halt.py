"""A processor that trips over its own memory: it stands still, as in a hard fault's handler, until a watchdog acts.

Laid around a firmware once a test has flipped a bit of its memory; before that, an error of the firmware is a mistake
and comes out as one.
"""

from collections.abc import Callable
from typing import Any, Final

from dermalink_simulator.seam import DriveOrder, Firmware, Indicator, Remembering

# What polls find where nothing runs; a call that gives nothing gives None.
NOTHING: Final[dict[str, Any]] = {
    "keeps": False,
    "gatt_error": 0,
    "gatt_read": b"",
    "tag_wanted": False,
    "clock_set": 0,
    "tx": b"",
    "indicator": Indicator(),
    "wake_ms": 1_000,
}


class HaltingFirmware:
    """`seam.Firmware` around another one; `on_halt` is called once, when that could not go on.

    What it last ordered of the drive stays ordered, and runs out by itself in the hardware.
    """

    def __init__(self, firmware: Firmware, on_halt: Callable[[], None]) -> None:
        self._firmware, self._on_halt = firmware, on_halt
        self._halted = False
        self._order = DriveOrder()

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._firmware, name)
        if not callable(inner):
            return inner

        def call(*given: Any) -> Any:
            if not self._halted:
                try:
                    answer = inner(*given)
                except Exception:  # noqa: BLE001 (whatever it is, a processor's handler has no words for it)
                    self._halted = True
                    self._on_halt()
                else:
                    if name == "drive":
                        self._order = answer
                    return answer
            return self._order if name == "drive" else NOTHING.get(name)

        return call


def memory_of(firmware: object) -> Remembering | None:
    """The memory that a firmware shows to tests; None if it shows none."""
    return firmware if isinstance(firmware, Remembering) else None
