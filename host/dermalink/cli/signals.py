"""The signals that end a program, while a session runs: each sends Stop first (SR-STOP-4)."""

import asyncio
import contextlib
import functools
import signal
from collections.abc import Callable, Iterator
from typing import Final

from dermalink.cli.exit_codes import ExitCode
from dermalink.session.runner import Session

WHY: Final = {
    "SIGINT": ("Ctrl-C", ExitCode.INTERRUPTED),
    "SIGTERM": ("asked to end", ExitCode.TERMINATED),
    "SIGHUP": ("the terminal was closed", ExitCode.TERMINATED),
    "SIGBREAK": ("Ctrl-Break", ExitCode.INTERRUPTED),
}


class Received:
    """Which signal came first; `code` is None while none has."""

    code: ExitCode | None = None

    def take(self, code: ExitCode) -> None:
        """Only the first one counts."""
        self.code = self.code or code


@contextlib.contextmanager
def stop_on_signals(session: Session) -> Iterator[Received]:
    """While inside, a signal makes the session send Stop at once and end in good order; another sends Stop again."""
    loop, received = asyncio.get_running_loop(), Received()
    undo = contextlib.ExitStack()

    def leave(why: str, code: ExitCode) -> None:
        received.take(code)
        session.interrupt(why)

    with undo:
        for name, (why, code) in WHY.items():
            number = getattr(signal, name, None)
            if number is not None:
                _install(loop, number, functools.partial(leave, why, code), undo)
        yield received


def _install(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, leave: Callable[[], None], undo: contextlib.ExitStack
) -> None:
    try:
        loop.add_signal_handler(number, leave)
        undo.callback(loop.remove_signal_handler, number)
    except (NotImplementedError, RuntimeError):  # Windows: through the interpreter's own handler
        with contextlib.suppress(ValueError):  # not the main thread
            before = signal.signal(number, lambda *_: loop.call_soon_threadsafe(leave))
            undo.callback(signal.signal, number, before)
