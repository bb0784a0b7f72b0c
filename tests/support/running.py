"""A coroutine as a test: on a loop of its own, in real time or in virtual time.

Each is bounded: a test that waits for what never comes fails with a traceback that says where it waited, and the others
are run. In virtual time a pen or an air that goes on ticking would keep such a test busy for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from dermalink_simulator.virtual_time import VirtualTimeLoop

P = ParamSpec("P")

REAL_S = 120.0  # several times what the longest takes on a busy machine
VIRTUAL_S = 86_400.0


def in_real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """For what has a system behind it: sockets, ports, threads."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(_bounded(test(*args, **kwargs), REAL_S))

    return run


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """For what waits for nothing but time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(_bounded(test(*args, **kwargs), VIRTUAL_S))

    return run


async def _bounded(test: Coroutine[Any, Any, None], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        await test
