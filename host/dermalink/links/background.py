"""Calls that may sleep (opening, closing a port), each in a thread that nothing ever has to wait for.

The loop's own executor is no place for them: `asyncio.run` waits for it at the end, and a port may hang for minutes.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], name: str) -> T:
    """What `call` returns or raises; when cancelled or timed out, the thread is left to end by itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = call(), None
        except BaseException as error:  # noqa: BLE001  (whatever it was, the waiting coroutine gets it)
            outcome = None, error
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(settle, *outcome)
            except RuntimeError:  # the loop closed in between: nobody waits any more
                return

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
