"""Calls into bleak: each bounded, none able to cancel who calls, none left behind unseen.

bleak and what lies under it may never return, may raise `CancelledError` that nobody asked for, and may take their
time over being cancelled. So each call is a task of its own, and nobody ever waits for it longer than he said.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

LOOK_AGAIN_S: Final = 0.25  # whether it has to give way; nobody tells, for who waits may be on another loop

_left: Final[set[asyncio.Task[Any]]] = set()  # nobody waits for these any more; they were cancelled, and are held here


class CallCancelled(Exception):
    """The call was cancelled from the inside: the link, or the bus under it, ended meanwhile."""


async def bounded(
    call: Coroutine[Any, Any, T],
    within_s: float,
    name: str,
    *,
    patience_s: float | None = None,
    gives_way: Callable[[], bool] = lambda: False,
) -> T:
    """What `call` returns or raises; `TimeoutError` when it takes longer, `CallCancelled` when it was cancelled inside.

    After `patience_s` it has taken too long as soon as it `gives_way`. A `CancelledError` out of here is always the
    caller's own.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    task = asyncio.ensure_future(call)
    task.set_name(name)
    try:
        done, _ = await asyncio.wait([task], timeout=within_s if patience_s is None else min(patience_s, within_s))
        while not done and not gives_way() and (left_s := began + within_s - loop.time()) > 0:
            done, _ = await asyncio.wait([task], timeout=min(left_s, LOOK_AGAIN_S))
    except BaseException:
        leave(task)
        raise
    if not done:
        leave(task)
        raise TimeoutError(f"{name} took longer than {loop.time() - began:.3g} s")
    if task.cancelled():
        raise CallCancelled(f"{name} was cancelled from the inside")
    return task.result()


def leave(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` and wait for it no more."""
    if task.done():
        _read(task)
        return
    _left.add(task)
    task.add_done_callback(_left.discard)
    task.add_done_callback(_read)
    task.cancel()


def run_on(call: Coroutine[Any, Any, Any], within_s: float, name: str) -> None:
    """Run `call` in the background, bounded, with nobody to tell of its end: for letting go of what failed."""
    task = asyncio.ensure_future(bounded(call, within_s, name))
    task.set_name(f"{name}, in the background")
    _left.add(task)
    task.add_done_callback(_left.discard)
    task.add_done_callback(_read)


def left() -> int:
    """How many calls are under way that nobody waits for."""
    return len(_left)


def _read(task: "asyncio.Task[Any]") -> None:
    """Nobody waits for the outcome, so an error there is no surprise to log."""
    if not task.cancelled():
        task.exception()
