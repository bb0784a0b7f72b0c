"""What the pen decides by, kept twice, the second copy inverted, and compared before it is used (SR-BIST-1).

The first copy is the record itself, the second its fields packed to their declared widths, every bit inverted. A flip
of any bit of either is a difference; the same bit flipped in both before anybody looks is none. Which copy is the
sound one nobody can say, so neither is believed.

A record can't be changed in place, a flipped one is another: so the pair that was found equal, or made equal, is equal
for as long as it is the same pair, and is not compared again. A firmware in C compares the bytes each time.
"""

from collections.abc import Callable
from itertools import pairwise, zip_longest
from struct import Struct, error
from typing import Any, Final, cast

from dermalink_simulator.firmware.button import Button
from dermalink_simulator.firmware.monitor import Monitor
from dermalink_simulator.therapy.core_limits import LIMITS, CoreLimits
from dermalink_simulator.therapy.gate import GateState
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.widths import Kind, kinds

Inverse = Callable[[Any], bytes]

LIMIT_TOP: Final = 0xFFFF_FFFF  # a limit has no declared width, and is kept in 32 bits
SETTING_TOP: Final = 0xFFFF
_FORMATS: Final = {0xFF: "B", 0xFFFF: "H", LIMIT_TOP: "I"}
_INVERTED: Final = bytes(0xFF - byte for byte in range(0x100))


def layout(record: type) -> dict[str, Kind]:
    """The kind of each field of a kept record, in the order of declaration."""
    if record is not CoreLimits:
        return dict(kinds(record))
    return {
        name: Kind(LIMIT_TOP, cells=len(value) if isinstance(value, tuple) else 0)
        for name, value in LIMITS._asdict().items()
    }


def inverse_of(record: type) -> Inverse:
    """The function that makes a record's second copy; a field over its width raises `struct.error`."""
    fields = list(layout(record).values())
    pack = Struct("<" + "".join(_FORMATS[kind.top] * (kind.cells or 1) for kind in fields)).pack
    rows = [at for at, kind in enumerate(fields) if kind.cells]
    if not rows:
        return lambda kept: pack(*kept).translate(_INVERTED)
    parts = [f"*kept[{at}]" for at in rows]
    runs = [f"*kept[{begin + 1}:{end}]" for begin, end in pairwise((-1, *rows, len(fields)))]
    cells = ", ".join(part for pair in zip_longest(runs, parts) for part in pair if part)
    scope: dict[str, Any] = {"pack": pack, "inverted": _INVERTED}
    exec(f"def made(kept): return pack({cells}).translate(inverted)", scope)  # noqa: S102 (of this package's own fields)
    return cast(Inverse, scope["made"])


therapy_inverse: Final = inverse_of(TherapyState)
limits_inverse: Final = inverse_of(CoreLimits)
gate_inverse: Final = inverse_of(GateState)
monitor_inverse: Final = inverse_of(Monitor)
button_inverse: Final = inverse_of(Button)


def setting_inverse(setting_um: int) -> int:
    """The second copy of the setting."""
    return setting_um ^ SETTING_TOP


def differs(kept: Any, inverse: Inverse, second: bytes) -> bool:
    """Whether a record is not what its second copy says; one that fits no width is not either."""
    try:
        return inverse(kept) != second
    except error:
        return True


class Second:
    """The second copies, and of each record the one that it is known to be equal to; None is to be compared."""

    __slots__ = (
        "button", "button_of", "gate", "gate_of", "limits", "limits_of", "monitor", "monitor_of", "setting_um",
        "therapy", "therapy_of",
    )  # fmt: skip

    def __init__(
        self, state: TherapyState, limits: CoreLimits, gate: GateState, monitor: Monitor, button: Button
    ) -> None:
        self.therapy_of: TherapyState | None
        self.limits_of: CoreLimits | None
        self.gate_of: GateState | None
        self.monitor_of: Monitor | None
        self.button_of: Button | None
        self.setting_um = setting_inverse(0)
        self.keep_state(state)
        self.keep_limits(limits)
        self.keep_gate(gate)
        self.keep_monitor(monitor)
        self.keep_button(button)

    def keep_state(self, state: TherapyState) -> None:
        """The therapy's state was written."""
        self.therapy, self.therapy_of = therapy_inverse(state), state

    def keep_limits(self, limits: CoreLimits) -> None:
        """The limits were written."""
        self.limits, self.limits_of = limits_inverse(limits), limits

    def keep_gate(self, gate: GateState) -> None:
        """The gate's state, its lease with it, was written."""
        self.gate, self.gate_of = gate_inverse(gate), gate

    def keep_monitor(self, monitor: Monitor) -> None:
        """The monitor's was."""
        self.monitor, self.monitor_of = monitor_inverse(monitor), monitor

    def keep_button(self, button: Button) -> None:
        """The button's was."""
        self.button, self.button_of = button_inverse(button), button

    def forget(self) -> None:
        """A bit has flipped: nothing is known to be equal to anything."""
        self.therapy_of = self.limits_of = self.gate_of = self.monitor_of = self.button_of = None

    def agrees(
        self,
        state: TherapyState,
        limits: CoreLimits,
        gate: GateState,
        setting_um: int,
        monitor: Monitor,
        button: Button,
    ) -> bool:
        """Whether every first copy is what its second one says."""
        if (
            differs(state, therapy_inverse, self.therapy)
            or differs(limits, limits_inverse, self.limits)
            or differs(gate, gate_inverse, self.gate)
            or differs(monitor, monitor_inverse, self.monitor)
            or differs(button, button_inverse, self.button)
            or setting_um ^ self.setting_um != SETTING_TOP
        ):
            return False
        self.therapy_of, self.limits_of, self.gate_of = state, limits, gate
        self.monitor_of, self.button_of = monitor, button
        return True
