"""How good a link is, and how near its lease came to lapsing: measured while it works, and shown to people.

Nothing in here decides about motion: the pen's lease alone does, by the pen's own clock (SR-STOP-1).
"""

from typing import Any, Final, NamedTuple, Self

from dermalink.margin.clock_fit import ClockFit, ClockRelation, Delays
from dermalink.margin.histogram import LEASE_LEFT_MS, TIMES_MS, Histogram
from dermalink.margin.lateness import Lateness
from dermalink.ticks import elapsed_ms
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import StateChanged, Status

# Of 500 ms this is one batch of telemetry: one more that comes late, and the lease lapses.
NEAR_SHARE: Final = 0.2
FRESH_MAX: Final = 64  # replies noted and not yet counted


class RoundTrip(NamedTuple):
    """A question and its answer: when it was sent and answered by the loop's clock, and the pen's tick in between."""

    sent_s: float
    received_s: float
    tick: int

    @property
    def took_ms(self) -> float:
        """From the one to the other."""
        return (self.received_s - self.sent_s) * 1_000


class LinkMargin:
    """One connection's, or several joined by `merge`. All of it is for reading; `copy` is a picture that stays.

    `round_trips` holds all answered requests but the lease's renewals, which have `renewals` for themselves;
    `telemetry_late` how much later than the best a batch came; `lease_left` how much of the lease was left each time
    that a renewal took hold at the pen, by its own ticks. `near_misses` are those with less than `NEAR_SHARE` of the
    lease, `lapses` those that came too late, so that the pen took its needles in; `unanswered` requests were given up.
    """

    __slots__ = ("_clock", "_fresh", "_lateness", "_moving_tick", "_relation", "_round_trips", "_slowest", "lapses",
                 "lease_left", "lease_ms", "lowest_told_ms", "moving", "near_misses", "renewals", "telemetry_late",
                 "unanswered")  # fmt: skip

    def __init__(self) -> None:
        self.renewals: Final = Histogram(TIMES_MS)
        self.telemetry_late: Final = Histogram(TIMES_MS)
        self.lease_left: Final = Histogram(LEASE_LEFT_MS)
        self.lease_ms = 0  # the one renewed last
        self.near_misses = self.lapses = self.unanswered = 0
        self.lowest_told_ms: int | None = None  # the least that the pen itself told of a running lease, whoever's it is
        self.moving = False  # as the pen said last
        self._round_trips = Histogram(TIMES_MS)
        self._clock = ClockFit()
        self._slowest: RoundTrip | None = None  # of those that tell a tick
        self._fresh: list[tuple[float, float, int | None]] = []
        self._lateness = Lateness()
        self._relation: ClockRelation | None = None
        self._moving_tick: int | None = None

    # What a connection tells

    def answered(self, sent_s: float, received_s: float, tick: int | None) -> None:
        """A request got its reply, whatever it says; `tick` is of the moment of answering, None if none was told.

        It is only noted: counting many in a row costs less than counting each between two system calls.
        """
        self._fresh.append((sent_s, received_s, tick))
        if len(self._fresh) >= FRESH_MAX:
            self._count()

    def _count(self) -> None:
        fresh, self._fresh = self._fresh, []
        self._round_trips.add_all([(received_s - sent_s) * 1_000 for sent_s, received_s, _ in fresh])
        longest_s = self._slowest.took_ms / 1_000 if self._slowest is not None else -1.0
        add = self._clock.add
        for sent_s, received_s, tick in fresh:
            if tick is not None:
                add(sent_s, received_s, tick)
                if received_s - sent_s > longest_s:
                    longest_s, self._slowest = received_s - sent_s, RoundTrip(sent_s, received_s, tick)

    def renewal_answered(self, sent_s: float, received_s: float, tick: int | None) -> None:
        """The same for a renewal."""
        self.renewals.add((received_s - sent_s) * 1_000)
        if tick is not None:
            self.clock.add(sent_s, received_s, tick)

    def told_state(self, news: Status | StateChanged, moving: bool) -> None:
        """How the pen stands: moving or not, and why not any more."""
        if self._moving_tick is not None and elapsed_ms(self._moving_tick, news.tick_ms) < 0:
            return
        if self.moving and not moving and news.reason is Reason.LEASE_LAPSED:
            self.lapses += 1
        self.moving, self._moving_tick = moving, news.tick_ms
        if moving and isinstance(news, Status):
            lowest = self.lowest_told_ms
            self.lowest_told_ms = news.lease_left_ms if lowest is None else min(lowest, news.lease_left_ms)

    def heard(self, received_s: float, newest_tick: int) -> None:
        """A batch of telemetry came, and its last sample is of this tick."""
        self.telemetry_late.add(self._lateness.of(received_s, newest_tick))

    def renewed(self, left_ms: int, lease_ms: int) -> None:
        """A renewal took hold when so much of a lease of `lease_ms` was left."""
        self.lease_ms = lease_ms
        self.lease_left.add(left_ms)
        self.near_misses += left_ms < NEAR_SHARE * lease_ms

    # Reading

    @property
    def round_trips(self) -> Histogram:
        """How long requests took that are no renewals."""
        if self._fresh:
            self._count()
        return self._round_trips

    @property
    def clock(self) -> ClockFit:
        """The fit of this connection's pen clock."""
        if self._fresh:
            self._count()
        return self._clock

    @property
    def relation(self) -> ClockRelation | None:
        """The pen's clock against this computer's, by the newest connection; None before the first reply."""
        return self.clock.relation or self._relation

    @property
    def slowest_way(self) -> Delays | None:
        """Where the time of the slowest round trip went: to the pen, or back; None if the fit does not reach there."""
        relation, slowest = self.clock.relation, self._slowest
        if relation is None or slowest is None or slowest.sent_s < relation.at_s - relation.reaches_back_s:
            return None
        return relation.delays(*slowest)

    def merge(self, other: Self) -> None:
        """Take in another connection's, a later one."""
        for mine, theirs in (
            (self.round_trips, other.round_trips),
            (self.renewals, other.renewals),
            (self.telemetry_late, other.telemetry_late),
            (self.lease_left, other.lease_left),
        ):
            mine.merge(theirs)
        self.lease_ms = other.lease_ms or self.lease_ms
        self.near_misses += other.near_misses
        self.lapses += other.lapses
        self.unanswered += other.unanswered
        told = [each for each in (self.lowest_told_ms, other.lowest_told_ms) if each is not None]
        self.lowest_told_ms = min(told, default=None)
        self._relation = other.relation or self.relation
        self._clock = ClockFit()  # each connection has its own line
        self._slowest = None

    def copy(self) -> "LinkMargin":
        """What is known up to now, without what comes later."""
        twin = LinkMargin()
        twin.merge(self)
        return twin

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        relation = self.relation
        return {
            "round_trip": self.round_trips.as_dict(),
            "renewal": self.renewals.as_dict(),
            "telemetry_late": self.telemetry_late.as_dict(),
            "lease_ms": self.lease_ms,
            "lease_left": self.lease_left.as_dict(),
            "lease_left_told_ms": self.lowest_told_ms,
            "near_misses": self.near_misses,
            "lapses": self.lapses,
            "unanswered": self.unanswered,
            "clock": relation.as_dict() if relation is not None else None,
        }
