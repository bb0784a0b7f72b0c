"""How good the link to a pen is: fifty questions, how long each took, and what they leave of a lease."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from dermalink.discovery import BLE
from dermalink.display.link import milliseconds
from dermalink.doctor.findings import Finding, Level, ok, warning
from dermalink.errors import Timeout
from dermalink.margin.clock_fit import ClockRelation, Delays
from dermalink.margin.histogram import Histogram
from dermalink.margin.margin import NEAR_SHARE
from dermalink.pen import Pen
from dermalink_protocol.limits import LEASE_DEFAULT_MS, LEASE_MAX_MS, TELEMETRY_BATCH
from dermalink_protocol.samples import SAMPLE_MS

ASKED: Final = 50
ASK_WITHIN_S: Final = 5.0  # a radio link at its longest connection interval answers some 10 a second
PAUSE_S: Final = 0.02  # a second in all, so that the clocks have something to part by, and a busy moment is seen
BATCH_MS: Final = TELEMETRY_BATCH * SAMPLE_MS
# A renewal goes with each batch and quotes its last sample, so the next takes hold a batch and a round trip after that.
RENEWAL_MS: Final = BATCH_MS
LONGER_LEASE: Final = f"`dermalink session run --lease {LEASE_MAX_MS:d}`"
RATE_FAR_PPM: Final = 1_000.0  # ten times what a cheap crystal is off by
ROWS: Final = 8
TOLD_FROM_MS: Final = 30.0  # it can't be told to better than a main loop's 10 ms
BETTER_CABLE: Final = "Use a short cable straight into the computer, and close what keeps it busy."
BETTER_AIR: Final = "Bring the pen nearer, with nobody in between; away from USB 3 drives, other radios and metal."


def lease_left_ms(round_trip_ms: float, lease_ms: float = LEASE_DEFAULT_MS) -> float:
    """What is left of a lease when a renewal takes hold whose round trip takes so long; below 0 it has lapsed."""
    return lease_ms - RENEWAL_MS - round_trip_ms


async def check_link(pen: Pen) -> list[Finding]:
    """Ask for the status fifty times; asking changes nothing."""
    await _ask(pen)
    return [judge_link(pen), *judge_clock(pen.margin.relation)]


async def _ask(pen: Pen) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ASK_WITHIN_S
    for _ in range(ASKED):
        with contextlib.suppress(Timeout):  # it is counted
            await pen.status()
        if loop.time() >= deadline:
            return
        await asyncio.sleep(PAUSE_S)


def judge_link(pen: Pen) -> Finding:
    """How long a question takes, and what is left of a lease then."""
    margin = pen.margin
    trips = margin.round_trips
    median, worst = trips.quantile(0.5) or 0.0, trips.greatest
    advice = BETTER_AIR if pen.connection.link.url.startswith(BLE) else BETTER_CABLE
    broken = pen.connection.link.counters.broken_frames
    troubles = [f"{broken} broken frames"] if broken else []
    troubles += [f"{margin.unanswered} without an answer"] if margin.unanswered else []
    said = "; ".join([f"a question takes {_spread(trips)}: {_leaves(worst)}", *troubles])
    data = {**margin.as_dict(), "leaves_ms": round(lease_left_ms(worst), 1), "lease_ms": int(LEASE_DEFAULT_MS)}
    lines = (*trips.picture(rows=ROWS), *_ways(margin.slowest_way, worst))
    if lease_left_ms(median) < 0:
        advice += f" No session can be held over it; with {LONGER_LEASE} {_leaves(worst, LEASE_MAX_MS)}."
        return Finding(Level.ERROR, "link", said, advice, lines, data)
    if lease_left_ms(worst) < NEAR_SHARE * LEASE_DEFAULT_MS:
        advice += f" With {LONGER_LEASE} {_leaves(worst, LEASE_MAX_MS)}."
        return Finding(Level.WARNING, "link", said, advice, lines, data)
    level = Level.WARNING if troubles else Level.OK
    return Finding(level, "link", said, advice if troubles else "", lines, data)


def _spread(trips: Histogram) -> str:
    at_worst = f"{milliseconds(trips.greatest)} at worst of {trips.count}"
    return f"{milliseconds(trips.quantile(0.5) or 0.0)}, {at_worst}"


def _leaves(round_trip_ms: float, lease_ms: float = LEASE_DEFAULT_MS) -> str:
    left = lease_left_ms(round_trip_ms, lease_ms)
    if left <= 0:
        return f"this link leaves nothing of a {lease_ms:.0f} ms lease"
    return f"this link leaves {left:.0f} ms of a {lease_ms:.0f} ms lease"


def _ways(found: Delays | None, worst_ms: float) -> Iterator[str]:
    """Where the slowest one spent its time, where that is known well enough to help."""
    if found is None or worst_ms < TOLD_FROM_MS:
        return
    there, back = found
    yield (
        f"the slowest: {milliseconds(there.low)} to {milliseconds(there.high)} on the way there,"
        f" {milliseconds(back.low)} to {milliseconds(back.high)} on the way back"
    )


def judge_clock(relation: ClockRelation | None) -> Iterator[Finding]:
    """Whether the pen's clock, by which a lease runs, goes as this computer's does."""
    if relation is None:
        return
    rate, error = relation.rate_ppm, relation.rate_error_ppm
    said = f"fitted to ± {milliseconds(relation.error_ms)}; its rate is off by {rate:+.0f} ppm, ± {error:.0f}"
    if abs(rate) - error > RATE_FAR_PPM:
        yield warning(
            "pen's ticks",
            said,
            "The clock of one of the two is wrong: leases and limits run by the pen's. Ask its maker.",
        )
    else:
        yield ok("pen's ticks", said)
