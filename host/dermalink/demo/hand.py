"""A simulated person: reads what the session says, presses the button, moves the pen, lifts it when all is covered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from dermalink.demo.simulator import Simulator
from dermalink.session import events
from dermalink.session.coverage import COVERED_PERCENT
from dermalink.session.events import Event
from dermalink.session.words import Word, WordQueue

READS_S: Final = 0.4  # before a person who was asked does something


class ScriptedPerson:
    """`words` are what the person says to the session; `show` is the session's, and hands on to `then`."""

    def __init__(self, simulator: Simulator, then: Callable[[Event], None]) -> None:
        self.words = WordQueue()
        self._simulator = simulator
        self._then = then
        self._tasks: set[asyncio.Task[None]] = set()
        self._lifted = False
        self.failed: BaseException | None = None

    def show(self, event: Event) -> None:
        """React, and hand the event on."""
        self._then(event)
        match event:
            case events.ReadyAsked():
                self._soon(self._say(Word.GO))
            case events.PressAsked():
                self._soon(self._do("button.press", after_s=READS_S))
            case events.PassStarted(step=step):
                self._lifted = False
                self._soon(
                    self._do(
                        "hand.sweep",
                        zone=step.zone.name.lower(),
                        direction=step.direction.name.lower(),
                        speed_mm_s=step.speed_mm_s,
                    )
                )
            case events.PassPaused():  # a machine so busy that the lease lapsed, say: the same pass goes on
                self._soon(self._say(Word.RESUME))
            case events.Progress(coverage_percent=percent) if percent >= COVERED_PERCENT:
                self._lift()
            case events.PassOver() | events.StopConfirmed():
                self._lift()

    def _lift(self) -> None:
        if not self._lifted:
            self._lifted = True
            self._soon(self._do("hand.lift"))

    async def _say(self, word: Word) -> None:
        await asyncio.sleep(READS_S)
        self.words.say(word)

    async def _do(self, word: str, *, after_s: float = 0.0, **arguments: Any) -> None:
        await asyncio.sleep(after_s)
        await self._simulator.do(word, **arguments)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed = error
            self.words.say(Word.STOP)

    async def close(self) -> None:
        """Let go of what is still to be done."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
