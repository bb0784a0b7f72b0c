"""How much later than the best of late a batch of telemetry came."""

from typing import Final

from dermalink.ticks import elapsed_ms

# The best of the last 10 to 20 s: a way that has become longer for good is late for so long, and clocks that part by
# 100 ppm add 2 ms at most.
BEST_OF_S: Final = 10.0


class Lateness:
    """Compares how long ticks were on their way; only differences of both clocks are in it, so no fit is needed."""

    __slots__ = ("_began_s", "_best", "_best_before", "_last_tick", "_pen_ms", "_started")

    def __init__(self) -> None:
        self._started = False
        self._last_tick = self._pen_ms = 0
        self._began_s = 0.0
        self._best = self._best_before = float("inf")

    def of(self, received_s: float, tick: int) -> float:
        """In ms, not below 0; `tick` is the newest that the batch tells of."""
        if not self._started:
            self._started, self._last_tick, self._began_s = True, tick, received_s
        self._pen_ms += elapsed_ms(self._last_tick, tick)
        self._last_tick = tick
        apart = received_s * 1_000 - self._pen_ms
        if received_s - self._began_s >= BEST_OF_S:
            long_ago = received_s - self._began_s >= 2 * BEST_OF_S
            self._best_before = float("inf") if long_ago else self._best
            self._best, self._began_s = apart, received_s
        elif apart < self._best:
            self._best = apart
        return apart - min(self._best, self._best_before)
