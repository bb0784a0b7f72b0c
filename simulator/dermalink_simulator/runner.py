"""Runs a simulated pen along an event loop's clock, real or virtual: no polling, the next wake-up is a timer.

Before anything touches the pen (bytes, a press, a fault) it is brought up to the loop's present, so what a host or a
tester does happens at the millisecond at which they do it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.virtual_time import VirtualTimeLoop

T = TypeVar("T")

SPEED_MAX: Final = 100
# In real time a pen that is behind (the process was suspended) catches up in steps, so that Stop gets in between.
CATCH_UP_MS: Final = 100


class PortOfAPen(Protocol):
    """A pen's end of a link."""

    on_output: Callable[[bytes], None] | None
    on_hang_up: Callable[[], None] | None

    def write(self, data: bytes) -> None:
        """Bytes for the pen."""

    def close(self) -> None:
        """The link is gone."""


class RunnablePen(Protocol):
    """What a runner needs of a pen: `SimulatedPen` is one."""

    @property
    def now_ms(self) -> int:
        """The pen's own time, virtual milliseconds."""

    def advance(self, ms: int) -> None:
        """Let `ms` of its time pass."""

    def next_wake_ms(self) -> int:
        """How long nothing happens in the pen by itself."""

    def connect(self) -> PortOfAPen:
        """A new link."""


class PenFailedError(DermalinkError):
    """The simulated pen itself broke: a mistake in the simulator or in the firmware behind its seam."""


class RunningPort:
    """One link to a running pen; whoever opened it gets the pen's bytes by callback."""

    def __init__(self, runner: "PenRunner", port: PortOfAPen, hang_up: Callable[[], None]) -> None:
        """Made by `PenRunner.connect`."""
        self._runner, self._port, self._hang_up = runner, port, hang_up
        self._open = True

    def feed(self, data: bytes) -> None:
        """Bytes for the pen; Stop takes effect before this returns. Nothing happens on a closed link."""
        if self._open:
            self._runner.act(lambda: self._port.write(data))

    def close(self) -> None:
        """The host is gone; may be called twice."""
        if self._open:
            self._open = False
            self._runner.forget(self)
            self._runner.act(self._port.close)

    def hang_up(self) -> None:
        """The pen's side is gone (power, a cut link): tell whoever opened the link."""
        if self._open:
            self._hang_up()


class PenRunner:
    """A pen that lives along the running loop's clock, `speed` times as fast."""

    def __init__(self, pen: RunnablePen, *, speed: int = 1) -> None:
        """`speed` is 1 to 100; more than 1 means something only to a tester. Must be called on the loop."""
        if not 1 <= speed <= SPEED_MAX:
            raise ValueError(f"a speed of {speed} was refused: 1 to {SPEED_MAX}")
        self.pen = pen
        self._loop = asyncio.get_running_loop()
        self._at_once = isinstance(self._loop, VirtualTimeLoop)
        self._ms_per_s = 1_000 * speed
        self._links: set[RunningPort] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._stopped = False
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._anchor()
        self._plan()

    def connect(self, on_output: Callable[[bytes], None], on_hang_up: Callable[[], None]) -> RunningPort:
        """A new link: `on_output` gets every write of the pen, `on_hang_up` is told when the pen's side goes."""
        port = self.act(self.pen.connect)
        link = RunningPort(self, port, on_hang_up)
        port.on_output = on_output
        port.on_hang_up = link.hang_up
        self._links.add(link)
        return link

    def forget(self, link: RunningPort) -> None:
        """The link is closed."""
        self._links.discard(link)

    def act(self, do: Callable[[], T]) -> T:
        """Bring the pen to the present, do something to it, and plan its next wake-up."""
        try:
            self._catch_up(in_steps=False)
            before_ms = self.pen.now_ms
            result = do()
        except DermalinkError:
            raise
        except Exception as error:
            raise self._broke(error) from error
        if self.pen.now_ms != before_ms:  # the tester moved the clock
            self._anchor()
        self._plan()
        return result

    def stop(self) -> None:
        """Stand still and hang up; may be called twice."""
        if self._stopped:
            return
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for link in list(self._links):
            link.hang_up()
        if not self.failed.done():
            self.failed.cancel()

    def _anchor(self) -> None:
        """From here on the pen's `now_ms` and the loop's `time()` run together."""
        self._zero_s = self._loop.time()
        self._zero_ms = self.pen.now_ms

    def _behind_ms(self) -> int:
        elapsed_s = self._loop.time() - self._zero_s
        # A timer set for a millisecond may come a rounding error early.
        return self._zero_ms + int(elapsed_s * self._ms_per_s + 1e-4) - self.pen.now_ms

    def _catch_up(self, *, in_steps: bool) -> bool:
        """Advance the pen to the present; with `in_steps` at most one step, and False if more are due."""
        behind_ms = self._behind_ms()
        if self._stopped or behind_ms <= 0:
            return True
        if in_steps and behind_ms > CATCH_UP_MS:
            self.pen.advance(CATCH_UP_MS)
            return False
        self.pen.advance(behind_ms)
        return True

    def _plan(self) -> None:
        """A timer for the pen's next wake-up, unless there is an earlier one."""
        due_ms = self.pen.now_ms + max(1, self.pen.next_wake_ms())
        if self._stopped or (self._timer is not None and self._due_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_ms = due_ms
        at_s = self._zero_s + (due_ms - self._zero_ms) / self._ms_per_s
        self._timer = self._loop.call_at(at_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            present = self._catch_up(in_steps=not self._at_once)
            if present:
                self._plan()
            else:
                self._due_ms = self.pen.now_ms
                self._timer = self._loop.call_at(self._loop.time(), self._wake)
        except Exception as error:  # noqa: BLE001 (whatever it is, everybody who waits for the pen is told)
            self._broke(error)

    def fail(self, error: DermalinkError) -> None:
        """The pen can't go on: whoever waits for `failed` gets `error`, and everybody is hung up."""
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # whoever does not wait for it gets no second report
        self.stop()

    def _broke(self, error: Exception) -> PenFailedError:
        failure = PenFailedError(
            f"The simulated pen broke at {self.pen.now_ms} ms of its time",
            limit=f"{type(error).__name__}: {error}",
            advice="This is a mistake in the simulator, or in the firmware behind its seam",
        )
        failure.__cause__ = error
        self.fail(failure)
        return failure
