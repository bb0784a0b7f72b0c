"""The one way in which a coroutine becomes a command."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

import click

P = ParamSpec("P")


def asynchronous(function: Callable[P, Coroutine[Any, Any, int | None]]) -> Callable[P, None]:
    """Run `function` to its end on a loop of its own; what it returns is the exit code, None is 0."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        code = asyncio.run(function(*args, **kwargs))
        click.get_current_context().exit(code or 0)

    return command
