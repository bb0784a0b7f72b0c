"""Histograms with buckets that are fixed beforehand: adding costs the same however many came, and two can be joined."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Self

_DECADE: Final = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)  # ISO 3, series R10: steps of about a quarter
# From a tenth of a millisecond (a pseudo-terminal answers in 0.1 ms) to the longest lease.
TIMES_MS: Final = (0.0, *(round(step * power, 4) for power in (0.1, 1, 10, 100) for step in _DECADE), 1_000.0)
# Every 25 ms, up to the longest lease; what lies below the first edge had lapsed.
LEASE_LEFT_MS: Final = tuple(float(edge) for edge in range(0, 1_001, 25))

BAR: Final = "#"  # every terminal has it
PICTURE_ROWS: Final = 10
PICTURE_CELLS: Final = 30


class Bucket(NamedTuple):
    """How many fell from `low_ms` on and below `high_ms`; None where it has no end."""

    low_ms: float | None
    high_ms: float | None
    held: int

    @property
    def words(self) -> str:
        """Its two edges, for a person."""
        if self.low_ms is None:
            return "all" if self.high_ms is None else f"under {self.high_ms:g}"
        return f"{self.low_ms:g} and more" if self.high_ms is None else f"{self.low_ms:g}-{self.high_ms:g}"


class Histogram:
    """Milliseconds, counted by bucket; the least, the greatest and the number of them are exact."""

    __slots__ = ("count", "counts", "edges", "greatest", "least")

    def __init__(self, edges: tuple[float, ...]) -> None:
        """`edges` rise; bucket 0 lies below the first, the last one from the last edge on."""
        self.edges: Final = edges
        self.counts = [0] * (len(edges) + 1)
        self.count = 0
        self.least = float("inf")
        self.greatest = float("-inf")

    def add(self, value_ms: float) -> None:
        """One more; 0.3 µs."""
        self.counts[bisect_right(self.edges, value_ms)] += 1
        self.count += 1
        if value_ms < self.least:  # noqa: PLR1730  (`min` costs 60 ns more)
            self.least = value_ms
        if value_ms > self.greatest:  # noqa: PLR1730
            self.greatest = value_ms

    def add_all(self, values_ms: list[float]) -> None:
        """Several more; none is no error."""
        counts, edges = self.counts, self.edges
        for value_ms in values_ms:
            counts[bisect_right(edges, value_ms)] += 1
        self.count += len(values_ms)
        self.least = min(self.least, *values_ms, float("inf"))
        self.greatest = max(self.greatest, *values_ms, float("-inf"))

    def merge(self, other: Self) -> None:
        """All that `other` holds as well; both have the same edges, or it is a `ValueError`."""
        if other.edges != self.edges:
            raise ValueError("two histograms with different edges can't be joined")
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.count += other.count
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def copy(self) -> "Histogram":
        """Another one with the same in it."""
        twin = Histogram(self.edges)
        twin.merge(self)
        return twin

    def quantile(self, share: float) -> float | None:
        """What `share` of them (0 to 1) do not exceed, straight between a bucket's edges; None when there are none."""
        if not self.count:
            return None
        wanted, below = share * self.count, 0
        for at, here in enumerate(self.counts):
            if here and below + here >= wanted:
                low, high = self._within(at)
                return low + (high - low) * max(0.0, wanted - below) / here
            below += here
        return self.greatest

    def _within(self, at: int) -> tuple[float, float]:
        """Where the values of a bucket lie for certain."""
        low = self.edges[at - 1] if at else self.least
        high = self.edges[at] if at < len(self.edges) else self.greatest
        return max(low, self.least), min(high, self.greatest)

    def buckets(self) -> Iterator[Bucket]:
        """Those that are not empty, the least first."""
        for at, count in enumerate(self.counts):
            if count:
                low = self.edges[at - 1] if at else None
                yield Bucket(low, self.edges[at] if at < len(self.edges) else None, count)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; without any, least and greatest are None."""
        return {
            "count": self.count,
            "min_ms": _rounded(self.least if self.count else None),
            "median_ms": _rounded(self.quantile(0.5)),
            "p99_ms": _rounded(self.quantile(0.99)),
            "max_ms": _rounded(self.greatest if self.count else None),
            "buckets": [list(bucket) for bucket in self.buckets()],
        }

    def picture(self, *, rows: int = PICTURE_ROWS, cells: int = PICTURE_CELLS) -> list[str]:
        """A line for each bucket from the first to the last that holds any, neighbours joined until they fit."""
        shown = self._joined(rows)
        most = max((bucket.held for bucket in shown), default=1)
        wide = max((len(bucket.words) for bucket in shown), default=0)
        return [
            f"{bucket.words:>{wide}} ms  {BAR * -(-bucket.held * cells // most):<{cells}} {bucket.held}"
            for bucket in shown
        ]

    def _joined(self, rows: int) -> list[Bucket]:
        held = [at for at, count in enumerate(self.counts) if count]
        if not held:
            return []
        first, last = held[0], held[-1]
        step = -(-(last - first + 1) // rows)
        joined = []
        for at in range(first, last + 1, step):
            end = min(at + step, last + 1)
            low = self.edges[at - 1] if at else None
            high = self.edges[end - 1] if end <= len(self.edges) else None
            joined.append(Bucket(low, high, sum(self.counts[at:end])))
        return joined


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
