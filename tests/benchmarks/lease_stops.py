"""What ends a pass over the air for no good reason: a lease that lapses, and the host's own watch over telemetry."""

import asyncio
from collections import Counter
from typing import Final

from dermalink.errors import LinkError
from dermalink.watch import Guardian
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.telemetry import Telemetry

SETTING_UM: Final = 250  # no sample here is deeper


class Stops:
    """What would have ended passes for no good reason, and by how much.

    `gaps` is how long leases had to last, to the millisecond, and `lapses` which of `leases_ms` would have lapsed how
    often; `silences` how long the host heard no batch, and `alarms` how often its own watch over telemetry stopped.
    `stops` counts what is either a lapse of the shortest of `leases_ms` or an alarm, once where it is both. A pen that
    has stopped is not stopped by the next gap as well: it goes on a second later.
    """

    STANDS_S: Final = 1.0

    def __init__(self, leases_ms: tuple[int, ...]) -> None:
        self.gaps: Counter[int] = Counter()
        self.silences: Counter[int] = Counter()
        self.lapses = dict.fromkeys(leases_ms, 0)
        self.alarms = self.stops = 0
        self._shortest_ms = leases_ms[0]
        self._stopped_s = float("-inf")
        self._last_s = dict.fromkeys(leases_ms, float("-inf"))

    def begin(self) -> None:
        """Another link, whose clock begins anew."""
        self._last_s = dict.fromkeys(self._last_s, float("-inf"))
        self._stopped_s = float("-inf")

    def gap(self, gap_ms: int, now_s: float) -> None:
        """One more."""
        self.gaps[gap_ms] += 1
        last = self._last_s
        for lease_ms, last_s in last.items():
            if gap_ms < lease_ms:
                break
            if now_s - last_s > self.STANDS_S:
                self.lapses[lease_ms] += 1
                last[lease_ms] = now_s
        if gap_ms >= self._shortest_ms:
            self._stop(now_s)

    def alarm(self, now_s: float) -> None:
        """The host's own watch stopped the pen."""
        self.alarms += 1
        self._stop(now_s)

    def _stop(self, now_s: float) -> None:
        if now_s - self._stopped_s > self.STANDS_S:
            self.stops += 1
            self._stopped_s = now_s


class Watch:
    """The host's own watch as it is, begun again a second after it has stopped; and how long it waited for batches."""

    kinds = (Telemetry,)

    def __init__(self, stops: Stops) -> None:
        self._stops = stops
        self._loop = asyncio.get_running_loop()
        self._guardian = Guardian(self._alarmed, 0)
        self._guardian.begin(SETTING_UM)
        self._last_s = self._loop.time()
        self._again: asyncio.TimerHandle | None = None

    def offer(self, batch: Telemetry) -> None:
        """It has come."""
        now_s = self._loop.time()
        self._stops.silences[round((now_s - self._last_s) * 1_000)] += 1
        self._last_s = now_s
        self._guardian.offer(batch)

    def _alarmed(self, _: DermalinkError) -> None:
        self._stops.alarm(self._loop.time())
        self._again = self._loop.call_later(Stops.STANDS_S, self._guardian.begin, SETTING_UM)

    def end(self, _: LinkError) -> None:
        """The link is gone."""
        self._guardian.over()
        if self._again is not None:
            self._again.cancel()
