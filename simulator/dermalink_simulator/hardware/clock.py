"""The pen's clock: seconds in UTC, kept by its battery while the pen is off; it can be lost, and run wrongly."""

from typing import Final

UTC_MAX_S: Final = 0xFFFF_FFFF
MILLION: Final = 1_000_000
STOPPED_PPM: Final = -MILLION


class BatteryClock:
    """A real-time clock chip; what it shows is set by the firmware alone, or by a tester who tampers with it.

    It counts the simulated world's milliseconds, or more, or fewer, while a fault has it run wrongly.
    """

    def __init__(self, utc_s: int, ran_s: int = 0) -> None:
        self._utc_ms = utc_s * 1_000
        self._ran_ms = ran_s * 1_000
        self._valid = True
        self._ppm = 0
        self._astray_ms = 0
        self._astray_since_ms = 0

    def utc_s(self, now_ms: int) -> int:
        """What the chip shows at `now_ms` of the simulated world; 0 when the time was lost and not set since."""
        return min(max(1, (self._utc_ms + self._count(now_ms)) // 1_000), UTC_MAX_S) if self._valid else 0

    def ran_s(self, now_ms: int) -> int:
        """The seconds that the chip has run at `now_ms`, whatever it was set to (SR-INT-2)."""
        return min((self._ran_ms + self._count(now_ms)) // 1_000, UTC_MAX_S)

    def skip(self, seconds: int) -> None:
        """Time passed that nobody lived through (the pen was asleep or off)."""
        counted_ms = seconds * 1_000 + seconds * self._ppm // 1_000
        self._utc_ms += counted_ms
        self._ran_ms += counted_ms

    def set(self, utc_s: int, now_ms: int) -> None:
        """Show `utc_s` from now on."""
        self._utc_ms = utc_s * 1_000 - self._count(now_ms)
        self._valid = True

    def jump(self, seconds: int) -> None:
        """Show a time that is so much later, or earlier; what it has run is not touched."""
        self._utc_ms += seconds * 1_000

    def run_wrongly(self, ppm: int, now_ms: int) -> None:
        """From now on gain so many millionths; 0 is sound, `STOPPED_PPM` stands still."""
        self._astray_ms = self._count(now_ms) - now_ms
        self._ppm, self._astray_since_ms = ppm, now_ms

    def lose(self, now_ms: int) -> None:
        """The clock's battery was empty for a moment."""
        self._valid = False
        self._ran_ms = -self._count(now_ms)

    def _count(self, now_ms: int) -> int:
        """The milliseconds that its oscillator made of the simulated world's."""
        if not (self._ppm or self._astray_ms):
            return now_ms
        return now_ms + self._astray_ms + (now_ms - self._astray_since_ms) * self._ppm // MILLION
