"""Passes that are stopped for no good reason: how many in hours of passes, and which lease has no part in it.

Long: `lease_air` says what is simulated, and an hour of it takes 5 to 10 s of a core. It is done hour by hour, on all
cores; what is done is kept in a file, so that a run that was ended goes on where it was.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from dermalink_protocol.limits import LEASE_DEFAULT_MS, LEASE_MAX_MS
from dermalink_simulator.hardware.air import BURST_EVENTS, AirConditions
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.benchmarks.lease_air import renew_for
from tests.benchmarks.lease_stops import Stops
from tests.benchmarks.side_by_side import side_by_side
from tests.benchmarks.sources import digest_of

INTERVALS_US: Final = (7_500, 30_000, 100_000)
LOSSES: Final = (0, 10, 50, 100)  # permille of connection events
LEASES_MS: Final = tuple(range(int(LEASE_DEFAULT_MS), int(LEASE_MAX_MS) + 1, 50))
LINK_S: Final = 1_200.0  # after so long another link is made, in another phase: a session of 20 minutes
LINKS_MAX: Final = 10_000  # of one hour: each seed is used once
HOUR_S: Final = 3_600.0
AIM_HOURS: Final = 10.0  # the aim is none in so many
HOURS_DEFAULT: Final = 0.2
RARE: Final = 0.999
COLUMNS: Final = (
    *("interval", "events lost", "gap: median", "99.9 %", "longest", "lapses of 500 ms", "lease without"),
    *("silence", "alarms", "stops", "aim: none"),
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

    def __str__(self) -> str:
        return f"{self.interval_us / 1_000:g} ms | {self.words}"


class Hour(NamedTuple):
    """One hour of passes, or the part of one, in one kind of air: which, and how long."""

    cell: Cell
    number: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.cell}, number {self.number + 1}"


class Counted(NamedTuple):
    """What was counted in some hours of one kind of air; gaps in ms with how often, `lapses` by lease."""

    seconds: float
    gaps: dict[int, int]
    lapses: dict[int, int]
    silence_ms: int
    alarms: int
    stops: int

    def __add__(self, other: Self) -> "Counted":  # type: ignore[override]
        return Counted(
            self.seconds + other.seconds,
            Counter(self.gaps) + Counter(other.gaps),
            {lease_ms: count + other.lapses[lease_ms] for lease_ms, count in self.lapses.items()},
            max(self.silence_ms, other.silence_ms),
            self.alarms + other.alarms,
            self.stops + other.stops,
        )

    @property
    def least_lease_ms(self) -> int | None:
        """The shortest lease of those tried that would not have lapsed; None: all did."""
        return next((lease_ms for lease_ms, count in self.lapses.items() if not count), None)

    @property
    def aim(self) -> str:
        """Whether it is met that no pass is stopped in `AIM_HOURS`; fewer hours without a stop do not show it."""
        hours = self.seconds / HOUR_S
        if self.stops:
            return "missed"
        return "met" if hours >= AIM_HOURS else f"none in {hours:.2g} h"

    def show(self, cell: Cell) -> str:
        """As a line of a Markdown table."""
        least = self.least_lease_ms
        median_ms, rare_ms, longest_ms = share_of(self.gaps, 0.5), share_of(self.gaps, RARE), max(self.gaps, default=0)
        gaps = f"{median_ms} ms | {rare_ms} ms | {longest_ms} ms"
        lease = f"{least} ms" if least is not None else f"over {LEASES_MS[-1]:,} ms"
        watch = f"{self.silence_ms} ms | {self.alarms:,} | {self.stops:,} | {self.aim}"
        return f"| {cell} | {gaps} | {self.lapses[int(LEASE_DEFAULT_MS)]:,} | {lease} | {watch} |"


def cells() -> Iterator[Cell]:
    """Losses one by one first, then those with bursts."""
    for in_bursts in (False, True):
        for interval_us in INTERVALS_US:
            for loss in LOSSES:
                if loss or not in_bursts:
                    yield Cell(interval_us, loss, in_bursts)


def hours_of(cell: Cell, hours: float) -> list[Hour]:
    """So many hours one by one, and what is left of one."""
    whole = int(hours)
    rest_s = round((hours - whole) * HOUR_S, 3)
    found = [Hour(cell, number, HOUR_S) for number in range(whole)]
    return [*found, Hour(cell, whole, rest_s)] if rest_s else found


def measured(hour: Hour) -> Counted:
    """That long in one kind of air, link after link; the same every time."""
    stops = Stops(LEASES_MS)
    ran_s, seed = 0.0, hour.number * LINKS_MAX
    while ran_s < hour.seconds:
        stops.begin()
        seconds = min(LINK_S, hour.seconds - ran_s)
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            ran_s += runner.run(renew_for(seconds, hour.cell.conditions, seed, stops))
        seed += 1
    silence_ms = max(stops.silences, default=0)
    return Counted(ran_s, dict(stops.gaps), stops.lapses, silence_ms, stops.alarms, stops.stops)


def share_of(held: dict[int, int], share: float) -> int:
    """What that share of the gaps do not exceed; 0 without any."""
    rising = sorted(held)
    wanted = share * sum(held.values())
    sums = accumulate(held[gap_ms] for gap_ms in rising)
    return next((gap_ms for gap_ms, below in zip(rising, sums, strict=True) if below >= wanted), 0)


class Kept:
    """Hours in a file, one a line: those that this very source counted are not counted again."""

    def __init__(self, file: Path | None, source: str) -> None:
        """Without a file nothing is kept. What another source counted, or half a line, is left where it is."""
        self.hours: dict[Hour, Counted] = {}
        self.others = 0
        self._file, self._source = file, source
        if file is not None and file.exists():
            for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            said: dict[str, Any] = json.loads(line)
            if said["source"] != self._source:
                self.others += 1
                return
            cell, number, seconds = said["hour"]
            counted = {name: _numbers(value) for name, value in said["counted"].items()}
            self.hours[Hour(Cell(*cell), number, seconds)] = Counted(**counted)
        except (ValueError, KeyError, TypeError):  # the run was ended within it, or it is of another format
            self.others += 1

    def add(self, hour: Hour, counted: Counted) -> None:
        """One more; it is in the file when this returns."""
        self.hours[hour] = counted
        if self._file is not None:
            line = json.dumps({"source": self._source, "hour": hour, "counted": counted._asdict()})
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")  # a line of its own, also behind half a one
                file.flush()
                os.fsync(file.fileno())


def _numbers(value: Any) -> Any:
    return {int(key): count for key, count in value.items()} if isinstance(value, dict) else value


def lines(
    hours: float = HOURS_DEFAULT,
    kept: Path | None = None,
    jobs: int = 1,
    tell: Callable[[str], None] = lambda words: print(words, file=sys.stderr, flush=True),
    of: Iterable[Cell] | None = None,
) -> Iterator[str]:
    """The table, line by line; `tell` hears how far it is. Hours in the file `kept` are not counted again."""
    wanted = {cell: hours_of(cell, hours) for cell in (cells() if of is None else of)}
    known = Kept(kept, digest_of(__name__))
    if known.others:
        tell(f"{kept}: {known.others} of its lines not used: of another source, or broken")
    missing = [hour for each in wanted.values() for hour in each if hour not in known.hours]
    for hour, counted in side_by_side(measured, missing, jobs, tell):
        known.add(hour, counted)
    ran = {cell: [known.hours[hour] for hour in each] for cell, each in wanted.items()}
    results = {cell: sum(rest, first) for cell, (first, *rest) in ran.items()}
    least_h = min(each.seconds for each in results.values()) / HOUR_S
    yield f"{least_h:.3g} simulated hours of passes in each kind of air; counts are of those hours, and none is scaled."
    yield f"*One by one*: by chance, each for itself; *in bursts*: of {BURST_EVENTS} events on average."
    yield f"The aim is no stop in {AIM_HOURS:g} hours, be it a lapse of {LEASE_DEFAULT_MS} ms or an alarm:"
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"| {' | '.join('---' for _ in COLUMNS)} |"
    for cell, counted in results.items():
        yield counted.show(cell)
