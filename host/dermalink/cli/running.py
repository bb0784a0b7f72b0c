"""The one way in which a coroutine becomes a command."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec

import click

from dermalink.cli.exit_codes import ExitCode

P = ParamSpec("P")

ENDING: Final = ("SIGTERM", "SIGHUP")


def asynchronous(function: Callable[P, Coroutine[Any, Any, int | None]]) -> Callable[P, None]:
    """Run `function` to its end on a loop of its own; what it returns is the exit code, None is 0."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        click.get_current_context().exit(run_to_end(function(*args, **kwargs)))

    return command


def run_to_end(work: Coroutine[Any, Any, int | None]) -> int:
    """Run `work` on a loop of its own; its exit code. For a command that asks a person between two of them."""
    return asyncio.run(_until_told(work)) or 0


async def _until_told(work: Coroutine[Any, Any, int | None]) -> int | None:
    """Run `work`; told to end, it is cancelled, so that links are closed and processes ended, and 143 comes out."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    told = False

    def end() -> None:
        nonlocal told
        told = True
        task.cancel()

    for name in ENDING:
        number = getattr(signal, name, None)
        if number is not None:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or another thread
                loop.add_signal_handler(number, end)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            return ExitCode.TERMINATED
        raise
