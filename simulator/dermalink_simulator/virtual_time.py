"""Virtual time: an event loop that jumps to the next timer instead of waiting for it; usable without pytest.

`asyncio.Runner(loop_factory=VirtualTimeLoop)` runs anything that keeps time by its loop. What runs in an executor
(`asyncio.to_thread`, name look-up) takes real time, so the clock stands still until it is done. Bytes from another
process are not waited for: where the next event comes from outside, use real time.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from dermalink_protocol.errors import DermalinkError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class NothingToWaitForError(DermalinkError):
    """No timer, no byte and no thread is under way, so what is being awaited can never come."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls, and where a real selector would sleep, moves the clock on by that much."""

    def __init__(self, deadlock: Callable[[], Exception]) -> None:
        super().__init__()
        self.now_s = 0.0
        self.under_way = 0  # jobs of executors, which take real time
        self._deadlock = deadlock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.under_way:
            return super().select(None)
        if timeout is None:
            raise self._deadlock()
        # Exact: asyncio asks for `when - now`, and the sum of the two is `when` once they are near (Sterbenz).
        self.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` starts at 0 and moves only by jumps."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector(self._deadlock)
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now_s

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """As in asyncio; the clock stands still until `func` has returned."""
        future = super().run_in_executor(executor, func, *args)
        self._virtual.under_way += 1
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As in asyncio; the threads that end are waited for in real time."""
        self._virtual.under_way += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._virtual.under_way -= 1

    def _job_done(self, _: object) -> None:
        self._virtual.under_way -= 1

    def _deadlock(self) -> NothingToWaitForError:
        waiting = sorted(f"{task.get_name()} in {task.get_coro()}" for task in asyncio.all_tasks(self))
        return NothingToWaitForError(
            f"Virtual time stands still at {self.time():.3f} s: nothing is scheduled and nothing is under way",
            limit=f"waiting: {'; '.join(waiting) or 'no task'}",
            advice="Whoever should wake them is gone, or is another process: then use real time",
        )
