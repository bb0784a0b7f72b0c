"""Playing many seeds on all cores, in processes that Ctrl-C does not reach: whoever holds the tally ends them."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Final, NamedTuple

from dermalink_simulator.campaign.coverage import Reached, played
from dermalink_simulator.campaign.playing import Played, play
from dermalink_simulator.campaign.script import Script
from dermalink_simulator.campaign.shrinking import shrunk
from dermalink_simulator.campaign.worlds import drawn

CHUNK: Final = 4  # seeds a process is given at once: half a second's work
AHEAD: Final = 2  # chunks that wait for each process


class Outcome(NamedTuple):
    """What a seed came to; a script that broke something, shrunk."""

    seed: int
    played: Played
    shrunk: Script | None
    reached: Reached
    took_s: float


def cores() -> int:
    """How many processes can work at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def outcome_of(seed: int, without: frozenset[str], *, coverage: bool = False) -> Outcome:
    """Draw a seed's script, play it, and shrink it if it broke something."""
    began_s = time.monotonic()
    script = drawn(seed, without)
    reached = Reached(Counter(), Counter())
    if coverage:
        result, reached = played(script)
    else:
        result = play(script)
    short = None
    if result.broken is not None:
        short = shrunk(script._replace(steps=script.steps[: result.steps]), result.broken.invariant)
        result = result._replace(broken=play(short).broken or result.broken)
    return Outcome(seed, result, short, reached, time.monotonic() - began_s)


def outcomes(
    seeds: Iterator[int], without: frozenset[str], jobs: int, *, coverage: bool = False
) -> Generator[Outcome, None, None]:
    """The outcomes as they come, in no order; closing the iterator ends the processes and loses what is under way."""
    if jobs == 1:
        for seed in seeds:
            yield outcome_of(seed, without, coverage=coverage)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_undisturbed) as pool:
        under_way: set[Future[list[Outcome]]] = set()
        try:
            while True:
                while len(under_way) < jobs * AHEAD and (chunk := tuple(islice(seeds, CHUNK))):
                    under_way.add(pool.submit(_chunk, chunk, without, coverage=coverage))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for one in done:
                    yield from one.result()
        finally:
            if under_way:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in context.active_children():  # what they shrink may take a while, and is not wanted now
                    process.terminate()


def _chunk(seeds: tuple[int, ...], without: frozenset[str], *, coverage: bool) -> list[Outcome]:
    return [outcome_of(seed, without, coverage=coverage) for seed in seeds]


def _undisturbed() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
