"""Calls that may wait for a person (a keyring that is to be unlocked), each in a thread that nothing has to wait for.

`asyncio.to_thread` would: a loop that ends, and an interpreter that ends, wait for its threads, so Ctrl-C would do
nothing until the system's question was answered. What writes keys down is not called so: that is to be waited for.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Daemons(Executor):
    """Each call in a daemon thread of its own.

    As `links.background`, but an executor: a loop in virtual time lets no time pass while a call in one is under way.
    """

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(call(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  (whatever it was, whoever waits gets it)
                future.set_exception(error)

        threading.Thread(target=run, name="dermalink-keys", daemon=True).start()
        return future


async def asked(call: Callable[..., T], *args: Any) -> T:
    """What `call` returns or raises; when this is cancelled, the thread is left to end by itself."""
    return await asyncio.get_running_loop().run_in_executor(_Daemons(), call, *args)
