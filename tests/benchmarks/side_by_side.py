"""Work for several cores, which says how far it is and ends with whoever began it."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.connection import wait
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def side_by_side(
    work: Callable[[A], B], these: Sequence[A], jobs: int, tell: Callable[[str], None]
) -> Iterator[tuple[A, B]]:
    """Each of `these` with what `work` makes of it, as it is done, by so many processes; one works in this one."""
    begun_s = time.monotonic()

    def done(count: int, which: A) -> None:
        left_s = (time.monotonic() - begun_s) / count * (len(these) - count)
        tell(f"{count} of {len(these)} done, about {left_s / 60:.0f} min left: {which}")

    if jobs == 1:
        for count, one in enumerate(these, 1):
            yield one, work(one)
            done(count, one)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=end_with_parent) as pool:
        futures = {pool.submit(work, one): one for one in these}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                yield futures[future], future.result()
                done(count, futures[future])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def end_with_parent() -> None:
    """In a process of the pool: a parent that was killed can't end it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, name="end with parent", daemon=True).start()
