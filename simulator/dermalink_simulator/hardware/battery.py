"""A Li-ion cell: charge, open voltage by charge, sag under load, and the floor below which the spring retracts."""

from typing import Final

# Open-circuit voltage of a common Li-ion cell at 0, 10 .. 100 % (datasheet curves of 18650 cells, rounded).
OPEN_MV: Final = (3_000, 3_450, 3_550, 3_600, 3_640, 3_700, 3_760, 3_840, 3_940, 4_050, 4_180)
INNER_MOHM: Final = 120
FLOOR_MV: Final = 3_100
MAH_MS: Final = 3_600_000


class Battery:
    """Charge runs down with the current that is drawn; `supply` is 1 while an external supply is present.

    A fault sets its inner resistance, or how much less than it gives gets to the electronics.
    """

    def __init__(self, capacity_mah: int, percent: int) -> None:
        self._capacity = capacity_mah * MAH_MS
        self._charge = self._capacity * percent // 100
        self._milliamps = 0
        self._inner_mohm = INNER_MOHM
        self._lost_mv = 0
        self.supply = 0
        self.percent = percent
        self.millivolts = self._open_mv()

    def set_percent(self, percent: int) -> None:
        """Charge or discharge to `percent` (0 to 100)."""
        self._charge = self._capacity * percent // 100
        self.draw(0, 0)

    def spoil(self, inner_mohm: int, lost_mv: int) -> None:
        """What is wrong with it, or with the way from it, from now on."""
        if (inner_mohm, lost_mv) != (self._inner_mohm, self._lost_mv):
            self._inner_mohm, self._lost_mv = inner_mohm, lost_mv
            self.draw(self._milliamps, 0)

    def draw(self, milliamps: int, dt_ms: int) -> None:
        """`milliamps` flowed for `dt_ms`."""
        self._milliamps = milliamps
        self._charge = max(0, self._charge - milliamps * dt_ms)
        self.percent = self._charge * 100 // self._capacity
        self.millivolts = max(0, self._open_mv() - milliamps * self._inner_mohm // 1_000 - self._lost_mv)

    @property
    def flat(self) -> bool:
        """Under the floor: the motor driver drops out and the spring retracts, with no firmware in the way."""
        return self.millivolts < FLOOR_MV

    def _open_mv(self) -> int:
        tenth, part = divmod(min(self._charge * 1_000 // self._capacity, 999), 100)
        low, high = OPEN_MV[tenth], OPEN_MV[tenth + 1]
        return low + (high - low) * part // 100
