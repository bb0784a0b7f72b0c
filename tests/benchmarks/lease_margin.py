"""Passes that a lapsed lease ends for no good reason: how many in ten hours of passes, and which lease has none.

Long: ten hours for each of 21 kinds of air are an hour of a core's time. `lease_air` says what is simulated.
"""

import asyncio
import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from dermalink_protocol.limits import LEASE_DEFAULT_MS, LEASE_MAX_MS
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.benchmarks.lease_air import renew_for
from tests.benchmarks.lease_stops import Stops

INTERVALS_US: Final = (7_500, 30_000, 100_000)
LOSSES: Final = (0, 10, 50, 100)  # permille of connection events
LEASES_MS: Final = tuple(range(int(LEASE_DEFAULT_MS), int(LEASE_MAX_MS) + 1, 50))
LINK_S: Final = 1_200.0  # after so long another link is made, in another phase: a session of 20 minutes
HOUR_S: Final = 3_600.0
PER_HOURS: Final = 10.0
HOURS_DEFAULT: Final = 0.2
RARE: Final = 0.999
HEAD: Final = (
    "| interval | events lost | gap: median | 99.9 % | longest | lapses of 500 ms | lease without | silence | alarms |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


class Cell(NamedTuple):
    """One kind of air; in bursts is half of the losses, as in the profile of an ordinary room."""

    interval_us: int
    loss: int
    in_bursts: bool

    @property
    def conditions(self) -> AirConditions:
        """As the air wants it."""
        bursts = self.loss // 2 if self.in_bursts else 0
        return AirConditions(interval_us=self.interval_us, latency=0, loss=self.loss - bursts, bursts=bursts)

    @property
    def words(self) -> str:
        """How a person calls it."""
        if not self.loss:
            return "none"
        return f"{self.loss / 10:g} %, {'half of them in bursts' if self.in_bursts else 'one by one'}"


class Result(NamedTuple):
    """What was counted in one kind of air; gaps in ms, `lapses` by lease."""

    cell: Cell
    hours: float
    renewals: int
    median_ms: int
    rare_ms: int
    longest_ms: int
    lapses: dict[int, int]
    silence_ms: int
    alarms: int

    @property
    def least_lease_ms(self) -> int | None:
        """The shortest lease of those tried that would not have lapsed; None: all did."""
        return next((lease_ms for lease_ms, count in self.lapses.items() if not count), None)

    @property
    def stops(self) -> float:
        """In so many hours as the table says, with the lease that a pen has."""
        return self.lapses[int(LEASE_DEFAULT_MS)] * PER_HOURS / self.hours

    @property
    def alarms_shown(self) -> float:
        """In as many hours, by the host."""
        return self.alarms * PER_HOURS / self.hours

    def as_line(self) -> str:
        """For a file of results, one a line."""
        return json.dumps(self._asdict())

    @classmethod
    def from_line(cls, line: str) -> Self:
        """What `as_line` wrote."""
        fields: dict[str, Any] = json.loads(line)
        fields["cell"] = Cell(*fields["cell"])
        fields["lapses"] = {int(lease_ms): count for lease_ms, count in fields["lapses"].items()}
        return cls(**fields)

    def show(self) -> str:
        """As a line of a Markdown table."""
        least = self.least_lease_ms
        gaps = f"{self.median_ms} ms | {self.rare_ms} ms | {self.longest_ms} ms"
        lease = f"{least} ms" if least is not None else f"over {LEASES_MS[-1]:,} ms"
        watch = f"{self.silence_ms} ms | {self.alarms_shown:,.0f}"
        air = f"{self.cell.interval_us / 1_000:g} ms | {self.cell.words}"
        return f"| {air} | {gaps} | {self.stops:,.0f} | {lease} | {watch} |"


def cells() -> Iterator[Cell]:
    """Losses one by one first, then those with bursts."""
    for in_bursts in (False, True):
        for interval_us in INTERVALS_US:
            for loss in LOSSES:
                if loss or not in_bursts:
                    yield Cell(interval_us, loss, in_bursts)


def measured(cell: Cell, hours: float) -> Result:
    """So many hours of passes in one kind of air, link after link; the same every time."""
    stops = Stops(LEASES_MS)
    left_s = hours * HOUR_S
    seed = 0
    while left_s > 0:
        stops.begin()
        seconds = min(LINK_S, left_s)
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            left_s -= runner.run(renew_for(seconds, cell.conditions, seed, stops))
        seed += 1
    gaps = stops.gaps
    return Result(
        cell=cell,
        hours=hours,
        renewals=sum(gaps.values()),
        median_ms=share_of(gaps, 0.5),
        rare_ms=share_of(gaps, RARE),
        longest_ms=max(gaps, default=0),
        lapses=stops.lapses,
        silence_ms=max(stops.silences, default=0),
        alarms=stops.alarms,
    )


def share_of(held: dict[int, int], share: float) -> int:
    """What that share of the gaps do not exceed; 0 without any."""
    rising = sorted(held)
    wanted = share * sum(held.values())
    sums = accumulate(held[gap_ms] for gap_ms in rising)
    return next((gap_ms for gap_ms, below in zip(rising, sums, strict=True) if below >= wanted), 0)


def lines(hours: float = HOURS_DEFAULT, kept: Path | None = None) -> Iterator[str]:
    """The table, line by line; results in the file `kept` are not measured again, and new ones are added to it."""
    known: dict[Cell, Result] = {}
    if kept is not None and kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            result = Result.from_line(line)
            if result.hours == hours:
                known[result.cell] = result
    yield f"{hours:g} simulated hours of passes in each kind of air; stops are for {PER_HOURS:g} hours:"
    yield ""
    yield from HEAD
    for cell in cells():
        if cell not in known:
            known[cell] = measured(cell, hours)
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(known[cell].as_line() + "\n")
        yield known[cell].show()
