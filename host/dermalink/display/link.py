"""A link's margin in words; `link` is `LinkMargin.as_dict()` everywhere."""

from collections.abc import Mapping
from typing import Any, Final

from dermalink.display.units import count
from dermalink.margin.histogram import BAR, Bucket

ROWS: Final = 8
CELLS: Final = 30
RATE_KNOWN_PPM: Final = 200.0  # a rate that is known no better says nothing of a crystal


def milliseconds(value: float) -> str:
    """As many digits as mean something: "0.21 ms", "3.4 ms", "312 ms"."""
    return f"{value:.{2 if value < 1 else 1 if value < 100 else 0}f} ms"


def trip_words(link: Mapping[str, Any]) -> str:
    """How long an answer takes."""
    trips = link["round_trip"]
    if not trips["count"]:
        return "no answers yet"
    return f"answers in {milliseconds(trips['median_ms'])}, 99 % within {milliseconds(trips['p99_ms'])}"


def clock_words(link: Mapping[str, Any]) -> str:
    """How the pen's clock runs by this computer's."""
    clock = link["clock"]
    if clock is None or clock["rate_error_ppm"] > RATE_KNOWN_PPM:
        return "clock not fitted yet"
    return f"clock {clock['rate_ppm']:+.0f} ppm ± {clock['rate_error_ppm']:.0f}"


def lease_words(link: Mapping[str, Any]) -> str:
    """How near the lease came to lapsing: as measured with each renewal, or as the pen told."""
    left, told = link["lease_left"], link["lease_left_told_ms"]
    if left["count"]:
        near = link["near_misses"]
        said = f"at least {left['min_ms']:.0f} of {link['lease_ms']} ms of the lease left"
        said += f" at {count(left['count'])} renewals"
        said += f", {near} near miss{'es' if near > 1 else ''}" if near else ""
    elif told is not None:
        said = f"at least {told} ms of the lease left, as the pen said"
    else:
        said = "no lease was seen running"
    lapses = link["lapses"]
    return said + (f", lapsed {'once' if lapses == 1 else f'{lapses} times'}" if lapses else "")


def late_words(link: Mapping[str, Any]) -> str:
    """How late telemetry came."""
    late = link["telemetry_late"]
    return f"telemetry up to {milliseconds(late['max_ms'])} late" if late["count"] > 1 else "no telemetry yet"


def link_words(link: Mapping[str, Any]) -> str:
    """All of it in one line."""
    said = [trip_words(link), clock_words(link), late_words(link), lease_words(link)]
    if link["unanswered"]:
        said.append(f"{link['unanswered']} unanswered")
    if link.get("dropped"):
        said.append(unsealed_words(link["dropped"]))
    return ", ".join(said)


def unsealed_words(dropped: Mapping[str, int]) -> str:
    """What was dropped because no seal said that the pen had sent it, by kind; `dropped` is `LinkCounters.unsealed`."""
    return "dropped: " + ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in dropped.items())


def link_picture(link: Mapping[str, Any]) -> list[str]:
    """How long answers took and what was left of each lease, as histograms; what was never measured has none."""
    shown = (("answers", link["round_trip"]), ("lease left", link["lease_left"]))
    return [line for title, held in shown if held["count"] for line in (f"{title}:", *histogram_lines(held))]


def histogram_lines(histogram: Mapping[str, Any]) -> list[str]:
    """A line for each bucket that holds any, neighbours joined until they fit; `histogram` is one's `as_dict()`."""
    held = [Bucket(*bucket) for bucket in histogram["buckets"]]
    step = -(-len(held) // ROWS) or 1
    parts = [held[at : at + step] for at in range(0, len(held), step)]
    rows = [Bucket(part[0].low_ms, part[-1].high_ms, sum(bucket.held for bucket in part)) for part in parts]
    most = max((row.held for row in rows), default=1)
    wide = max((len(row.words) for row in rows), default=0)
    return [f"  {row.words:>{wide}} ms  {BAR * -(-row.held * CELLS // most):<{CELLS}} {row.held}" for row in rows]
