"""Whose turn it is at a radio: in the whole process one listens and one connects, on whichever loop and thread.

BlueZ refuses a second scanner of a process as in progress, or ends the first with it, and two connects at once fail. A
lock of asyncio's holds for one loop alone, and programs have several: `SyncPen` has one in a thread of its own.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Final

from dermalink.errors import RadioBusy
from dermalink.links.ble_radio import Radio

LISTEN: Final = "listen"
CONNECT: Final = "connect"
# The longest orderly listening is over by then (5 s to start, 10 s, 3 s to stop), and of the 30 s in which a link is
# opened there are 10 s left, which a connect may take.
TURN_WITHIN_S: Final = 20.0
LOOK_AGAIN_S: Final = 0.25  # whoever gives its turn back wakes the next; a loop that ended at its turn wakes nobody

_guard: Final = threading.Lock()  # held for a few steps on `_lines`, and never across an await
_lines: Final[dict[tuple[str, str], "list[Place]"]] = {}


class Place:
    """A place in the line for one thing on one radio, used once, on one loop; whoever is first has the turn."""

    def __init__(self, what: str, radio: Radio, doing: str, *, for_stop: bool = False) -> None:
        """`what` is `LISTEN` or `CONNECT`; `doing` is what others are told while they wait.

        One `for_stop` comes before all that are not, and waits for as long as the line moves: it is not for a stranger
        to say how many wait before a Stop.
        """
        self._line: Final = (what, radio.spec)
        self.doing: Final = doing
        self.for_stop: Final = for_stop
        self._said: Final = radio.said
        self.loop: Final = weakref.ref(asyncio.get_running_loop())
        self.thread: Final = threading.current_thread()
        self._woken: Final = asyncio.Event()

    async def take(self) -> None:
        """Wait for the turn; raises `RadioBusy` after `TURN_WITHIN_S`, for Stop of one and the same who has it.

        Nothing is held after an error or a cancel.
        """
        with _guard:
            line = _lines.setdefault(self._line, [])
            line.insert(self._place_in(line), self)
        try:
            first = await self._first_in_time()
        except BaseException:
            self.give_back()
            raise
        if first is not self:
            self.give_back()
            raise RadioBusy(
                f"{self._said[0].upper()}{self._said[1:]} cannot be used",
                limit=f"its turn did not come within {TURN_WITHIN_S:g} s: "
                f"this program is {first.doing} (thread {first.thread.name})",
                advice="Try again when that is over",
            )

    def _place_in(self, line: "list[Place]") -> int:
        """Behind whoever has the turn, and behind every Stop that was there before."""
        if not self.for_stop:
            return len(line)
        return max((at + 1 for at, other in enumerate(line) if at == 0 or other.for_stop), default=0)

    async def _first_in_time(self) -> "Place":
        """Itself, as soon as it has the turn, or who has it in the end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN_WITHIN_S
        before = self._first()
        while True:
            self._woken.clear()
            first = self._first()
            if self.for_stop and first is not before:
                before, until = first, loop.time() + TURN_WITHIN_S
            left_s = until - loop.time()
            if first is self or left_s <= 0:
                return first
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                    await self._woken.wait()

    def give_back(self) -> None:
        """Leave the line, and wake who is first now; may be called again."""
        with _guard:
            line = _lines.get(self._line, [])
            if self not in line:
                return
            line.remove(self)
            if not line:
                del _lines[self._line]
                return
            following = line[0]
        following.wake()

    @property
    def wanted(self) -> bool:
        """Whether somebody on another loop waits behind this."""
        with _guard:
            line = list(_lines.get(self._line, []))
        return any(other.loop() is not self.loop() and not other.is_dead() for other in line)

    @property
    def keeps_stops_waiting(self) -> bool:
        """Whether a Stop waits behind this, on whichever loop."""
        with _guard:
            line = list(_lines.get(self._line, []))
        return any(other is not self and other.for_stop and not other.is_dead() for other in line)

    def is_dead(self) -> bool:
        """Whether nothing will ever run on its loop; one that stands still between two runs is alive."""
        loop = self.loop()
        return loop is None or loop.is_closed() or not (loop.is_running() or self.thread.is_alive())

    def wake(self) -> None:
        """It may have the turn now; from whichever thread."""
        loop = self.loop()
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it closed in between; those behind it look again by themselves
                loop.call_soon_threadsafe(self._woken.set)

    def _first(self) -> "Place":
        """Who has the turn; those before this whose loops are dead are put out of the line."""
        with _guard:
            line = _lines[self._line]
            while line[0] is not self and line[0].is_dead():
                del line[0]
            return line[0]


@contextlib.asynccontextmanager
async def turn(what: str, radio: Radio, doing: str) -> AsyncIterator[None]:
    """Have the turn meanwhile; see `Place`."""
    place = Place(what, radio, doing)
    await place.take()
    try:
        yield
    finally:
        place.give_back()
