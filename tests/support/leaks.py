"""What is running or open in this process, so that a test that leaves something behind can be told so."""

import asyncio
import contextlib
import gc
import threading
import time
import weakref
from pathlib import Path
from typing import Any

GRACE_S = 2.0  # an ending thread or process may take this long on a busy machine; a leak is said to be one after it

_loops: weakref.WeakSet[asyncio.BaseEventLoop] = weakref.WeakSet()


def watch_event_loops() -> None:
    """Know every event loop that is made from now on, whoever makes it."""
    init = asyncio.BaseEventLoop.__init__

    def init_and_remember(self: asyncio.BaseEventLoop, *args: Any) -> None:
        init(self, *args)
        _loops.add(self)

    asyncio.BaseEventLoop.__init__ = init_and_remember  # type: ignore[method-assign, assignment]


def _files() -> set[str]:
    """Open descriptors with what they are open on; empty where the system doesn't list them."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(f"descriptor {entry.name}: {entry.readlink()}")
    return found


def _children() -> set[str]:
    """Child processes, ended ones that nobody waited for included; empty where the system doesn't list them."""
    found = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {f"child process {pid}" for pid in listing.read_text().split()}
    return found


def _threads() -> set[str]:
    return {f"thread {thread.name} ({thread.ident})" for thread in threading.enumerate()}


def _tasks() -> set[str]:
    """Tasks that never ended, on running loops and on closed ones."""
    return {f"task {task.get_name()}: {task.get_coro()}" for loop in list(_loops) for task in asyncio.all_tasks(loop)}


def _open_loops() -> set[str]:
    return {f"open event loop {loop!r}" for loop in list(_loops) if not loop.is_closed()}


def everything_open() -> set[str]:
    """All that a test could leave behind, each as a line for a person."""
    return _files() | _children() | _threads() | _tasks() | _open_loops()


def leaked_since(before: set[str], grace_s: float = GRACE_S) -> set[str]:
    """What is open now and was not before, once what is ending has ended."""
    leaked = everything_open() - before
    if leaked:
        gc.collect()  # what is only waiting to be collected is no leak; a ResourceWarning says so if it should be
    deadline = time.monotonic() + grace_s
    while (leaked := everything_open() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return leaked
