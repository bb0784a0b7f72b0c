"""How everything here is measured: two things in turn, many times, and the median of the ratios pair by pair.

A ratio against something measured in the same minute survives a noisy machine; an absolute time does not.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

ROUNDS = 15
WARM_UPS = 2


class Row(NamedTuple):
    """One line of the result; `aim` as a person reads it, `peer_unit` where it is not ours."""

    name: str
    ours: float
    unit: str
    peer: str
    peers: float
    ratio: float
    aim: str
    peer_unit: str = ""


class Missing(Exception):
    """A peer or a tool that this machine lacks; the row is left out and the reason is shown."""


def seconds_for(work: Callable[[], object], times: int) -> float:
    """Seconds that one call of `work` takes, over `times` calls in a row."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


def calls_for(work: Callable[[], object], at_least_s: float = 0.02) -> int:
    """How many calls make a round long enough to time."""
    times = 1
    while seconds_for(work, times) * times < at_least_s:
        times *= 4
    return times


def against(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds a call of ours, of the peer's, and the median ratio ours / peer over pairs of rounds."""
    our_calls, peer_calls = calls_for(ours), calls_for(peer)
    pairs = []
    for round_number in range(ROUNDS + WARM_UPS):
        pair = seconds_for(ours, our_calls), seconds_for(peer, peer_calls)
        if round_number >= WARM_UPS:
            pairs.append(pair)
    return (
        statistics.median(mine for mine, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
        statistics.median(mine / theirs for mine, theirs in pairs),
    )


def row(
    name: str, ours: Callable[[], object], peer_name: str, peer: Callable[[], object], aim: str, unit: str = "µs"
) -> Row:
    """A row for two calls measured in turn."""
    scale = {"ns": 1e9, "µs": 1e6, "ms": 1e3, "s": 1}[unit]
    mine, theirs, ratio = against(ours, peer)
    return Row(name, mine * scale, unit, peer_name, theirs * scale, ratio, aim)
