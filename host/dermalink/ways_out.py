"""Stop on every way out of a program: the signals that end it send Stop first, and only then unwind (SR-STOP-4)."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

from dermalink.errors import LinkError
from dermalink.pen import Pen

NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextlib.asynccontextmanager
async def stop_on_signals(pen: Pen) -> AsyncIterator[None]:
    """While inside, a signal that ends the program sends Stop at once and then cancels the task that is inside.

    For the main thread's loop. Where the system has no handlers for loops (Windows), asyncio's own handling of Ctrl-C
    cancels, and `Pen.close` sends Stop.
    """
    loop = asyncio.get_running_loop()
    inside = asyncio.current_task()
    assert inside is not None
    installed = []

    def leave() -> None:
        with contextlib.suppress(LinkError):
            pen.stop_now()
        inside.cancel()

    for name in NAMES:
        number = getattr(signal, name, None)
        if number is None:
            continue
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, leave)
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
