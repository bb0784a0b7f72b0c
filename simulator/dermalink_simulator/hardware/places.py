"""Who gets one of the pen's few ports while somebody makes connections all the time (SR-STOP-4, SR-SEC-5).

Whoever is let in keeps his place for `GRACE_MS`, whatever comes: that is how long a Stop may be on its way. After that
one that never said anything gives way first, then the one that was silent for longest; never the session's owner.

Where connections come faster than places come free, a lot decides who is let in, and each has the same chance. Then
nobody gains by knowing when a place comes free, nor by having said something, and there mostly is one for who wins.
A Stop that is on its way for up to `GRACE_MS`, where the owner has one of the places, is heard at the first attempt for
certain at 50 connections a second, in half of all cases at 100, in a quarter at 200 (a test measures it).
"""

from collections import deque
from collections.abc import Callable, Collection
from random import Random
from typing import Final

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.hardware.port import PenPort
from dermalink_simulator.seam import PortKind

# From the moment at which a connection is there to its first word: a round trip, of 1 ms on a cable, 20 to 60 ms on
# Wi-Fi in a busy room (assumption), and a third more. Longer, and fewer of a storm get a place; shorter, and a slow
# host's is worthless.
GRACE_MS: Final = 80
# Beyond that a lot is drawn: 6 in their grace at a time, on average, of the 7 places beside the owner's. So there is a
# place free for who wins in eight of ten cases at the worst (Erlang's formula), and none lies idle for long.
STORM_PER_S: Final = 6 * 1_000 // GRACE_MS
LOOK_BACK_MS: Final = 1_000
COUNTED_MAX: Final = 4_096  # a storm that is faster counts as this one


class NoPlaceError(DermalinkError):
    """All ports are in use, and nobody who has one is to give way now."""


class Places:
    """Counts who comes, and says who is to go for him; `keeps` is whether a port is the owner's."""

    def __init__(self, random: Random, keeps: Callable[[PenPort], bool]) -> None:
        self._random, self._keeps = random, keeps
        self._came: deque[int] = deque(maxlen=COUNTED_MAX)

    def came(self, now_ms: int) -> None:
        """Somebody comes, whether there is a place for him or not."""
        self._came.append(now_ms)
        while now_ms - self._came[0] >= LOOK_BACK_MS:
            self._came.popleft()

    def gives_way(self, ports: Collection[PenPort], now_ms: int, kind: PortKind) -> PenPort:
        """Who goes for the one who came last, where all places are taken; raises `NoPlaceError`, not for a radio's."""
        others = [port for port in ports if not self._keeps(port)]
        may_go = [port for port in others if now_ms - port.came_ms > GRACE_MS]
        if kind is PortKind.GATT:
            may_go = may_go or others
        elif self._random.randrange(len(self._came)) >= STORM_PER_S:
            may_go = []
        if may_go:
            return min(may_go, key=lambda port: (port.spoke, port.heard_ms, port.number))
        raise NoPlaceError(
            "A connection was refused",
            rule="SR-SEC-5",
            limit=f"all {len(ports)} ports are taken, and {len(self._came)} connections came within a second",
            advice="Connect again at once",
        )
