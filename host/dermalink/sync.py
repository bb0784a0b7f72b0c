"""The synchronous face, for scripts and notebooks: the same pen, on a loop of its own in a thread.

A thread, since a notebook's own loop is running already. Every call waits for its result; Ctrl-C during one sends Stop.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from weakref import finalize

from dermalink.checked import Checked
from dermalink.errors import LinkClosed
from dermalink.gate import Gate
from dermalink.journal import Journal
from dermalink.margin.margin import LinkMargin
from dermalink.outcome import Outcome, Verdict
from dermalink.pen import Pen
from dermalink.rules import Facts
from dermalink.stopping import StopReport
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.identity import HelloReply, Status
from dermalink_protocol.messages.stop import SymptomReported
from dermalink_protocol.schema import R, Request
from dermalink_protocol.zones import Symptom

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

END_WITHIN_S: Final = 5.0  # a pen's close is bounded by 3.3 s
INTERRUPTIBLE_S: Final = 0.02  # Windows interrupts no waiting thread; from key to Stop there are 50 ms (SR-STOP-7)


class LoopThread:
    """An event loop in a thread, and calls into it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="dermalink", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            if left := asyncio.all_tasks(self._loop):  # a connect that was interrupted still has a link to end
                for task in left:
                    task.cancel()
                self._loop.run_until_complete(asyncio.wait(left, timeout=END_WITHIN_S))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T], *, interrupted: Callable[[], object] | None = None) -> T:
        """Wait for `coroutine`; on Ctrl-C, `interrupted` is called in the loop at once, and the coroutine cancelled."""
        if self._loop.is_closed():
            coroutine.close()
            raise LinkClosed("The pen was closed", advice="Connect again")
        future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            while not wait_for([future], INTERRUPTIBLE_S).done:
                pass
            return future.result()
        except KeyboardInterrupt:
            if interrupted is not None:
                self._loop.call_soon_threadsafe(interrupted)
            future.cancel()
            raise

    def end(self) -> None:
        """End the loop and its thread; may be called again."""
        if not self._loop.is_closed() and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(END_WITHIN_S)


class SyncPen:
    """A `Pen` for code without `await`; see there for what each call does and raises."""

    def __init__(self, thread: LoopThread, pen: Pen) -> None:
        """`connect` does this; both are owned from here on."""
        self._thread = thread
        self._pen = pen
        self._at_exit = finalize(self, _close, thread, pen)  # also when the interpreter ends with the pen open

    @classmethod
    def connect(cls, url: str, *, journal: Journal | None = None, inspect_only: bool = False) -> Self:
        """See `Pen.connect`."""
        thread = LoopThread()
        try:
            pen = thread.call(Pen.connect(url, journal=journal, inspect_only=inspect_only))
        except BaseException:
            thread.end()
            raise
        return cls(thread, pen)

    def run(self, work: Callable[[Pen], Coroutine[Any, Any, T]]) -> T:
        """Wait for what `work` does with the asynchronous pen, a whole session for example."""
        return self._call(work(self._pen))

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.call(coroutine, interrupted=self._pen.stop_now)

    @property
    def hello(self) -> HelloReply:
        """Who the pen is, and its limits."""
        return self._pen.hello

    @property
    def serial_number(self) -> str:
        """The pen's serial number."""
        return self._pen.serial_number

    @property
    def gate(self) -> Gate:
        """The maker of checked commands."""
        return self._pen.gate

    def request(self, request: Request[R], *, within_s: float | None = None) -> R:
        """See `Pen.request`."""
        return self._call(self._pen.request(request, within_s=within_s))

    def status(self) -> Status:
        """See `Pen.status`."""
        return self._call(self._pen.status())

    def look(self) -> Facts:
        """See `Pen.look`."""
        return self._call(self._pen.look())

    def secure(self) -> None:
        """See `Pen.secure`."""
        self._call(self._pen.secure())

    def samples(self, newest: int | None = None) -> "NDArray[Any]":
        """The newest telemetry as a structured array, oldest first; a copy."""

        async def copy() -> "NDArray[Any]":
            return self._pen.samples.samples(newest).copy()

        return self._call(copy())

    def margin(self) -> LinkMargin:
        """See `Pen.margin`; a copy."""

        async def copy() -> LinkMargin:
            return self._pen.margin.copy()

        return self._call(copy())

    def apply(self, checked: Checked[R], *, within_s: float | None = None) -> Outcome[R]:
        """See `Pen.apply`."""
        return self._call(self._pen.apply(checked, within_s=within_s))

    def settle(self) -> dict[int, Verdict]:
        """See `Pen.settle`."""
        return self._call(self._pen.settle())

    def pause(self) -> therapy.PassPaused:
        """See `Pen.pause`."""
        return self._call(self._pen.pause())

    def end_pass(self) -> therapy.PassEnded:
        """See `Pen.end_pass`."""
        return self._call(self._pen.end_pass())

    def close_session(self) -> therapy.SessionClosed:
        """See `Pen.close_session`."""
        return self._call(self._pen.close_session())

    def stop(self) -> StopReport:
        """See `Pen.stop`."""
        return self._call(self._pen.stop())

    def report_symptom(self, symptom: Symptom) -> SymptomReported:
        """See `Pen.report_symptom`."""
        return self._call(self._pen.report_symptom(symptom))

    def close(self) -> None:
        """Stop if anything here may have moved the pen, and let go of it; may be called again."""
        self._at_exit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _close(thread: LoopThread, pen: Pen) -> None:
    try:
        thread.call(pen.close())
    finally:
        thread.end()
