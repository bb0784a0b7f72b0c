"""The pen's clock against the host's, fitted while they talk: shown to people, and decides about nothing.

A reply that tells the pen's tick was made at some moment between the question's sending and the reply's arrival, and
its tick is the pen's time at that moment, rounded down. So the line that leads from the host's time to the pen's runs
below the point (sent, tick + grain) and above the point (received, tick): always, however long either way took. All
lines that keep between all these points are a small region, and its edges are the bound that is told here: no way is
taken to be as long as the other, and no typical delay is assumed.

The grain is what a tick is rounded to: a millisecond, or the period of a main loop, by which a busy pen counts. Ticks
that are whole periods apart are taken to be rounded to that, and the others, whose neighbours show that the pen looked
at its clock in between, to a millisecond; where that leaves no line, all are taken to be rounded to a period.

No wall clock is read, and none crosses the wire: both are clocks that count from some beginning of their own.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from dermalink.ticks import HALF, elapsed_ms
from dermalink_protocol.samples import SAMPLE_MS

TICK_MS: Final = 1.0
LOOP_MS: Final = SAMPLE_MS  # a sample each time round
BUCKETS_MAX: Final = 64
FIRST_BUCKET_S: Final = 1 / 16
LAST_BUCKET_S: Final = 4.0  # 64 of them reach back 256 s: a tick's rounding is then 4 ppm
RATE_MAX_PPM: Final = 50_000.0  # a pen whose clock is further off than an untrimmed RC oscillator has none
# How fast a clock's rate may change: a tuning-fork crystal loses 0.034 ppm/°C², so 0.7 ppm/°C when it is 10 °C from its
# best point, and a hand and a motor warm a pen by at most 1.7 °C a minute. Over 256 s this comes to 0.7 ms.
WANDER_PPM_PER_S: Final = 0.02
STALE_S: Final = HALF / 1_000 / 2  # after a silence so long a tick could have wrapped unseen

_RATE_MAX: Final = RATE_MAX_PPM / 1e6
_WANDER_MS: Final = WANDER_PPM_PER_S / 2 / 1_000  # of seconds squared

Point = tuple[float, float]


class Range(NamedTuple):
    """Somewhere from `low` to `high`."""

    low: float
    high: float


class Delays(NamedTuple):
    """How long a question was on its way to the pen, and its reply on the way back, in ms."""

    there_ms: Range
    back_ms: Range


class ClockRelation(NamedTuple):
    """The pen's clock by the host's, as one line with what it may be off by; `host_s` are the event loop's seconds.

    At `at_s` of the host the pen's clock stood at `pen_ms`, ± `error_ms`, and it runs `rate_ppm` faster, ±
    `rate_error_ppm`. `pen_ms` counts from the pen's first tick that was heard, so that it does not wrap.
    """

    at_s: float
    pen_ms: float
    error_ms: float
    rate_ppm: float
    rate_error_ppm: float
    first_tick: int
    replies: int
    reaches_back_s: float

    def error_at(self, host_s: float) -> float:
        """What the pen's time at `host_s` may be off by, in ms: more, the further away."""
        away = abs(host_s - self.at_s)
        return self.error_ms + away * self.rate_error_ppm / 1_000 + _WANDER_MS * away * away

    def pen_ms_at(self, host_s: float) -> float:
        """The pen's time at `host_s`, in ms since its first tick."""
        return self.pen_ms + (host_s - self.at_s) * 1_000 * (1 + self.rate_ppm / 1e6)

    def host_s_at(self, tick: int) -> float:
        """The host's time when the pen's tick was `tick`, off by no more than `error_at` says there."""
        return self.at_s + (self._since(tick) - self.pen_ms) / 1_000 / (1 + self.rate_ppm / 1e6)

    def delays(self, sent_s: float, received_s: float, tick: int) -> Delays:
        """Where the time of a round trip went: between which bounds lie its two ways."""
        pen = self._since(tick)
        asked, heard = self.pen_ms_at(sent_s), self.pen_ms_at(received_s)
        whole = (received_s - sent_s) * 1_000
        there = Range(pen - asked - self.error_at(sent_s), pen + LOOP_MS - asked + self.error_at(sent_s))
        back = Range(heard - pen - LOOP_MS - self.error_at(received_s), heard - pen + self.error_at(received_s))
        fast, slow = ((1 + (self.rate_ppm + side * self.rate_error_ppm) / 1e6) for side in (1, -1))
        ways = (Range(pen_ms.low / fast, pen_ms.high / slow) for pen_ms in (there, back))
        return Delays(*(_cut(way, whole) for way in ways))

    def _since(self, tick: int) -> float:
        newest = (self.first_tick + int(self.pen_ms)) % (2 * HALF)
        return int(self.pen_ms) + elapsed_ms(newest, tick)

    def as_dict(self) -> dict[str, float | int]:
        """Plain values, for JSON."""
        return {
            "error_ms": round(self.error_ms, 3),
            "rate_ppm": round(self.rate_ppm, 1),
            "rate_error_ppm": round(self.rate_error_ppm, 1),
            "replies": self.replies,
            "reaches_back_s": round(self.reaches_back_s, 2),
        }


def _cut(bound: Range, whole: float) -> Range:
    """No way takes less than nothing, nor longer than both together."""
    low = min(max(bound.low, 0.0), whole)
    return Range(low, min(max(bound.high, low), whole))


class _Bucket:
    """The tightest points of a stretch of time, as the pen's lead over the host in ms."""

    __slots__ = ("above", "above_s", "begin_s", "below", "below_s", "safely", "safely_s")

    def __init__(self, begin_s: float) -> None:
        self.begin_s = begin_s
        self.below_s = self.above_s = self.safely_s = begin_s
        self.below = self.safely = float("inf")  # the line keeps below this; even if the tick was rounded to a period
        self.above = float("-inf")  # and above this

    def add(self, asked_s: float, heard_s: float, pen_ms: int, grain_ms: float) -> None:
        """One reply; what is left out is a looser bound, so the rest is as true."""
        raw, above = pen_ms - asked_s * 1_000, pen_ms - heard_s * 1_000
        if raw + grain_ms <= self.below:
            self.below, self.below_s = raw + grain_ms, asked_s
        if raw + LOOP_MS <= self.safely:
            self.safely, self.safely_s = raw + LOOP_MS, asked_s
        if above >= self.above:
            self.above, self.above_s = above, heard_s

    def join(self, later: "_Bucket") -> None:
        """Take in the next stretch."""
        if later.below <= self.below:
            self.below, self.below_s = later.below, later.below_s
        if later.safely <= self.safely:
            self.safely, self.safely_s = later.safely, later.safely_s
        if later.above >= self.above:
            self.above, self.above_s = later.above, later.above_s


class ClockFit:
    """Takes replies in as they come, each in the same time; `relation` draws the conclusion when somebody looks."""

    __slots__ = ("_buckets", "_first_tick", "_held", "_host_s", "_last_tick", "_length_s", "_pen_ms", "_relation",
                 "replies", "restarts")  # fmt: skip

    def __init__(self) -> None:
        self.replies = 0  # since the pen's clock began, as far as is known
        self.restarts = 0  # how often what came could not be the same clock
        self._buckets: deque[_Bucket] = deque()
        self._length_s = FIRST_BUCKET_S
        self._first_tick = self._last_tick = 0
        self._pen_ms = 0  # of `_last_tick`, since `_first_tick`
        self._host_s = 0.0  # where the host's time is counted from: that of the first reply
        self._held: tuple[float, float, int, bool] | None = None  # the newest: the next one shows how it was rounded
        self._relation: ClockRelation | None = None

    def add(self, sent_s: float, received_s: float, tick: int) -> None:
        """A reply whose tick is the moment of answering; the two times are the event loop's. About 1 µs."""
        if not self.replies:
            self._begin(sent_s, tick)
        pen = self._pen_ms + elapsed_ms(self._last_tick, tick)
        asked, heard = sent_s - self._host_s, received_s - self._host_s
        held, whole = self._held, False
        if held is not None:
            before_s, until_s, then, whole_before = held
            whole = (pen - then) % LOOP_MS == 0
            if self._is_another(held, asked, heard, pen):
                self.restarts += 1
                self.replies = 0
                self.add(sent_s, received_s, tick)
                return
            if not self._buckets or until_s - self._buckets[-1].begin_s >= self._length_s:
                self._append(_Bucket(until_s))
            self._buckets[-1].add(before_s, until_s, then, LOOP_MS if whole or whole_before else TICK_MS)
        self._held = asked, heard, pen, whole
        self.replies += 1
        self._pen_ms, self._last_tick = pen, tick
        self._relation = None

    def _begin(self, sent_s: float, tick: int) -> None:
        self._buckets.clear()
        self._length_s = FIRST_BUCKET_S
        self._first_tick = self._last_tick = tick
        self._pen_ms = 0
        self._host_s = sent_s
        self._held = self._relation = None

    @staticmethod
    def _is_another(held: tuple[float, float, int, bool], asked: float, heard: float, pen: int) -> bool:
        """Whether no clock of a sane rate leads from the newest reply to this one: the pen was switched off."""
        before_s, until_s, then, _ = held
        least_ms, most_ms = (asked - until_s) * 1_000, (heard - before_s) * 1_000
        if least_ms - LOOP_MS <= pen - then <= most_ms + LOOP_MS and most_ms < STALE_S * 1_000:
            return False
        slack_ms = LOOP_MS + _RATE_MAX * max(abs(least_ms), abs(most_ms))
        return not least_ms - slack_ms <= pen - then <= most_ms + slack_ms or heard - until_s > STALE_S

    def _append(self, bucket: _Bucket) -> None:
        """One more stretch; when there are too many, each two become one, and at last the oldest goes."""
        buckets = self._buckets
        if len(buckets) == BUCKETS_MAX:
            if self._length_s < LAST_BUCKET_S:
                self._length_s *= 2
                pairs = list(buckets)
                buckets.clear()
                for earlier, later in zip(pairs[::2], pairs[1::2], strict=True):
                    earlier.join(later)
                    buckets.append(earlier)
            else:
                buckets.popleft()
        buckets.append(bucket)

    @property
    def relation(self) -> ClockRelation | None:
        """What follows from all that is kept; None before the first reply. 0.2 ms where something new has come."""
        if self._relation is None and self._held is not None:
            self._relation = self._conclude(*self._held)
        return self._relation

    def _conclude(self, asked: float, heard: float, pen: int, _: bool) -> ClockRelation:
        """The lines between all points; a clock that kept to no line is judged by its newest stretches alone."""
        newest = _Bucket(heard)
        newest.add(asked, heard, pen, LOOP_MS)
        while (found := _lines(self._buckets, newest)) is None:
            self._buckets.popleft()
        now_s, lead, rate = found
        oldest = self._buckets[0] if self._buckets else newest
        return ClockRelation(
            at_s=self._host_s + now_s,
            pen_ms=now_s * 1_000 + (lead.low + lead.high) / 2,
            error_ms=(lead.high - lead.low) / 2,
            rate_ppm=(rate.low + rate.high) / 2 * 1_000,
            rate_error_ppm=(rate.high - rate.low) / 2 * 1_000,
            first_tick=self._first_tick,
            replies=self.replies,
            reaches_back_s=now_s - min(oldest.below_s, oldest.above_s),
        )


def _lines(buckets: Collection[_Bucket], newest: _Bucket) -> tuple[float, Range, Range] | None:
    """Now, the pen's lead at this time in ms, and its rate in ms a second; None when no line keeps between."""
    points = [*buckets, newest]
    now = max(max(each.below_s, each.above_s, each.safely_s) for each in points)
    floor = [(each.above_s, each.above) for each in points]
    ceiling, safe = [(each.below_s, each.below) for each in points], [(each.safely_s, each.safely) for each in points]
    return _between(now, ceiling, floor) or _between(now, safe, floor)


def _between(now: float, ceiling: list[Point], floor: list[Point]) -> tuple[float, Range, Range] | None:
    """The same for lines below `ceiling` and above `floor`.

    All points lie at or before now, so the highest lead belongs to the steepest line and the lowest to the flattest.
    """
    ceiling = _hull([(at, lead + _WANDER_MS * (now - at) ** 2) for at, lead in ceiling], 1)
    floor = _hull([(at, lead - _WANDER_MS * (now - at) ** 2) for at, lead in floor], -1)
    steepest = min(_slopes(floor, ceiling), default=_RATE_MAX * 1_000)
    flattest = max(_slopes(ceiling, floor), default=-_RATE_MAX * 1_000)
    steepest, flattest = min(steepest, _RATE_MAX * 1_000), max(flattest, -_RATE_MAX * 1_000)
    if flattest > steepest:
        return None
    high = min(lead + steepest * (now - at) for at, lead in ceiling)
    low = max(lead + flattest * (now - at) for at, lead in floor)
    return (now, Range(low, high), Range(flattest, steepest)) if low <= high else None


def _slopes(earlier: Sequence[Point], later: Sequence[Point]) -> Iterator[float]:
    """From each of the one kind to each of the other kind that comes after it."""
    for at, lead in earlier:
        for then, there in later:
            if then > at:
                yield (there - lead) / (then - at)


def _hull(points: list[Point], side: int) -> list[Point]:
    """Those that a line from below (1) or from above (-1) can touch; the others bind nothing."""
    points.sort()
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and side * _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull


def _turn(first: Point, second: Point, third: Point) -> float:
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (third[0] - first[0])
