"""The air between a pen and its hosts, as numbers: how often they meet, and what is lost. No radio in here.

In every connection event the two sides meet once. An event is lost as a whole, for both sides (assumption: what
disturbs one packet at 2.4 GHz disturbs the next 150 µs later as well); what was to pass then passes at the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

PERMILLE: Final = 1_000
INTERVAL_STEP_US: Final = 1_250  # Core specification 5.4, Vol 4, Part E, 7.8.12: connection intervals' unit
INTERVAL_MIN_US: Final = 7_500  # the same: 0x0006
INTERVAL_MAX_US: Final = 4_000_000  # the same: 0x0C80
LATENCY_MAX: Final = 499  # the same: 0x01F3
SUPERVISION_STEP_MS: Final = 10
SUPERVISION_MIN_MS: Final = 100
SUPERVISION_MAX_MS: Final = 32_000
# A burst of losses: Wi-Fi frames and microwave ovens last for tens of ms, a body between the two for hundreds.
# Assumption, measured in no room.
BURST_EVENTS: Final = 3


@dataclass(slots=True)
class AirConditions:
    """What the air is like now; `become` changes it while it runs, and whoever watches is told before and after.

    `instant`: as if there were no air; holds while nothing else is said. `interval_us`, `latency` and `supervision_ms`
    overrule what the two hosts agreed (0, -1, 0: what they agreed). `loss` is the share of events lost one by one,
    `bursts` that lost in bursts of `burst_events` on average (Gilbert's model), both in permille. `delay_ms` is how
    late everything comes besides. `silence`: nothing passes at all.
    """

    instant: bool = False
    interval_us: int = 0
    latency: int = -1
    supervision_ms: int = 0
    loss: int = 0
    bursts: int = 0
    burst_events: int = BURST_EVENTS
    delay_ms: int = 0
    silence: bool = False
    watchers: list[Callable[[bool], None]] = field(default_factory=list, repr=False, compare=False)

    @property
    def perfect(self) -> bool:
        """Whether everything passes at once."""
        return self.instant and not (
            self.interval_us or self.latency > 0 or self.loss or self.bursts or self.delay_ms or self.silence
        )

    @property
    def lossless(self) -> bool:
        """Whether every event takes place."""
        return not (self.loss or self.bursts or self.silence)

    def copy(self) -> "AirConditions":
        """The same numbers, watched by nobody."""
        return replace(self, watchers=[])

    def become(self, other: "AirConditions") -> None:
        """Take over all numbers of `other`, at once; watchers are called with False before and with True after."""
        for watcher in list(self.watchers):
            watcher(False)
        for name in _NUMBERS:
            setattr(self, name, getattr(other, name))
        for watcher in list(self.watchers):
            watcher(True)


_NUMBERS: Final = (
    "instant",
    "interval_us",
    "latency",
    "supervision_ms",
    "loss",
    "bursts",
    "burst_events",
    "delay_ms",
    "silence",
)

# An ordinary room. 30 ms: what phones give a device that asks for nothing (Apple's accessory guidelines allow 15 ms,
# Linux asks for 30 to 50 ms). 2 s until a link counts as lost: under the 4 to 6 s of phones, so that a lost link is
# known soon, and 66 events, so that no burst of that length happens by chance. 1 % of events lost, half of them in
# bursts: assumption, for an adapter within 3 m of the pen and Wi-Fi in the room.
ROOM: Final = AirConditions(interval_us=30_000, latency=0, supervision_ms=2_000, loss=5, bursts=5)
PERFECT: Final = AirConditions(instant=True)
AIR_PROFILES: Final[dict[str, AirConditions]] = {"perfect": PERFECT, "room": ROOM}


class Losses:
    """Which events are lost on one link, one after the other; the same random numbers give the same losses."""

    __slots__ = ("_in_burst", "_random")

    def __init__(self, random: Random) -> None:
        self._random = random.random
        self._in_burst = False

    def lost(self, conditions: AirConditions) -> bool:
        """Whether the next event is lost."""
        if conditions.silence:
            return True
        lost = conditions.loss > 0 and self._random() * PERMILLE < conditions.loss
        if conditions.bursts:
            lost = self._burst(conditions.bursts / PERMILLE, conditions.burst_events) or lost
        else:
            self._in_burst = False
        return lost

    def _burst(self, share: float, events: int) -> bool:
        """Gilbert's two states: out of a burst after `events` on average, into one so that `share` is lost in all."""
        if share >= 1:
            return True
        # A mean below 1 / (1 - share) would be shorter than chance alone makes them.
        mean = max(float(events), 1 / (1 - share))
        ends = 1 / mean
        begins = share / (1 - share) * ends
        drawn = self._random()
        self._in_burst = drawn >= ends if self._in_burst else drawn < begins
        return self._in_burst


# Core specification 5.4, Vol 6, Part B, 2.1 and 4.1: at 1 Mbit/s a data packet is preamble (1 octet), access address
# (4), header (2), payload and CRC (3), 8 µs an octet; 150 µs lie between packets.
PACKET_OVERHEAD_OCTETS: Final = 10
OCTET_US: Final = 8
SPACE_US: Final = 150
DATA_OCTETS_MAX: Final = 251
# What a controller gives one event at most: the default of Nordic's SoftDevice Controller, which is three full packets
# one way: 3 x (2 088 + 150 + 80 + 150) = 7 404 µs. An event also ends before the next one begins.
EVENT_US: Final = 7_500


def exchange_us(central_octets: int, peripheral_octets: int) -> int:
    """What one packet of the central and the peripheral's answer take, spaces included."""
    octets = central_octets + peripheral_octets + 2 * PACKET_OVERHEAD_OCTETS
    return octets * OCTET_US + 2 * SPACE_US
