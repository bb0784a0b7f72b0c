"""The pen's clock: seconds in UTC, kept by its battery while the pen is off; it can be lost."""

from typing import Final

UTC_MAX_S: Final = 0xFFFF_FFFF


class BatteryClock:
    """A real-time clock chip; what it shows is set by the firmware alone, or by a tester who tampers with it."""

    def __init__(self, utc_s: int, ran_s: int = 0) -> None:
        self._utc_ms = utc_s * 1_000
        self._ran_ms = ran_s * 1_000
        self._valid = True

    def utc_s(self, now_ms: int) -> int:
        """What the chip shows at `now_ms` of the simulated world; 0 when the time was lost and not set since."""
        return min((self._utc_ms + now_ms) // 1_000, UTC_MAX_S) if self._valid else 0

    def ran_s(self, now_ms: int) -> int:
        """The seconds that the chip has run at `now_ms`, whatever it was set to (SR-INT-2)."""
        return min((self._ran_ms + now_ms) // 1_000, UTC_MAX_S)

    def skip(self, seconds: int) -> None:
        """Time passed that nobody lived through (the pen was asleep or off)."""
        self._utc_ms += seconds * 1_000
        self._ran_ms += seconds * 1_000

    def set(self, utc_s: int, now_ms: int) -> None:
        """Show `utc_s` from now on."""
        self._utc_ms = utc_s * 1_000 - now_ms
        self._valid = True

    def lose(self, now_ms: int) -> None:
        """The clock's battery was empty for a moment."""
        self._valid = False
        self._ran_ms = -now_ms
