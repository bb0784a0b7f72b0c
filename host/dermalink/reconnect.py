"""Connecting again after a loss: another object each time, with growing pauses, and never any motion (SR-STOP-5).

Only the same pen is taken for the one that was lost: by its serial number, and under seal if it was so before.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

from dermalink.errors import (
    AnotherPen,
    BadUrl,
    BluetoothForbidden,
    ForeignTable,
    LinkError,
    PairingRefused,
    SeveralPens,
    Timeout,
)

FIRST_S: Final = 0.25
LONGEST_S: Final = 8.0  # a person who plugs a cable back in does not wait longer before trying something else
FOR_A_PERSON: Final = (BadUrl, BluetoothForbidden, ForeignTable, PairingRefused, SeveralPens)
STEADY_AFTER_S: Final = 10.0  # a connection that held so long was a good one: the pauses begin anew


class Closable(Protocol):
    """What is connected: a pen, or anything that can be closed."""

    async def close(self) -> None:
        """Let go of it."""


C = TypeVar("C", bound=Closable)


@runtime_checkable
class Identified(Protocol):
    """What says which pen it is, and whether that was proved: a `Pen` does."""

    @property
    def serial_number(self) -> str:
        """The pen's serial number."""

    @property
    def sealed(self) -> bool:
        """Whether all that it says is under seal."""


def refuse_another_pen(before: Identified, now: Identified) -> None:
    """Raise `AnotherPen` when `now` may be another pen than `before`: what it says of needles is of its own."""
    advice = "Lift the pen that you hold straight off the skin and press its button: nobody here knows how it stands"
    if now.serial_number != before.serial_number:
        raise AnotherPen(
            "Another pen answers than the one whose link was lost",
            rule="SR-SES-1",
            limit=f"it was {before.serial_number}, {now.serial_number} said hello",
            advice=advice,
        )
    if before.sealed and not now.sealed:
        raise AnotherPen(
            f"Who answers as {now.serial_number} does not prove to be the pen whose link was lost",
            rule="SR-SEC-1",
            limit="that was under seal, this is in the clear",
            advice=advice,
        )


class Backoff:
    """Pauses that double up to `LONGEST_S`."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """How long to wait now."""
        pause, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_S)
        return pause

    def reset(self) -> None:
        """Begin anew."""
        self._next_s = FIRST_S


class Reconnector(Generic[C]):
    """`async for pen in Reconnector(lambda: Pen.connect(url))`: a connection each turn, closed when the turn ends.

    Only a lost or absent link is tried again; everything else is raised, and what stays as it is until a person does
    something (`FOR_A_PERSON`): a refused pairing tried again and again would spend the pen's patience with wrong codes.
    Every pen after the first has its serial number, and is under seal if that was: any other is closed and counts as an
    `AnotherPen`, which is a lost link. Nothing is adopted, begun or resumed in here.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        tries: int | None = None,
        on_failure: Callable[[LinkError | Timeout, float], None] | None = None,
    ) -> None:
        """Give up after `tries` failures running (None: never); `on_failure` gets each error, and the pause in s."""
        self._connect = connect
        self._tries = tries
        self._on_failure = on_failure
        self._before: Identified | None = None

    async def __aiter__(self) -> AsyncIterator[C]:
        backoff = Backoff()
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected = await self._connect_same()
            except (LinkError, Timeout) as error:
                failures += 1
                if isinstance(error, FOR_A_PERSON):
                    raise
                if self._tries is not None and failures >= self._tries:
                    raise
                pause = backoff.next_s()
                if self._on_failure is not None:
                    self._on_failure(error, pause)
                await asyncio.sleep(pause)
                continue
            failures = 0
            began = loop.time()
            try:
                yield connected
            finally:
                await connected.close()
            if loop.time() - began >= STEADY_AFTER_S:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())

    async def _connect_same(self) -> C:
        connected = await self._connect()
        who: object = connected  # links and whatever else can be closed say of no pen that it is theirs
        if isinstance(who, Identified):
            try:
                if self._before is not None:
                    refuse_another_pen(self._before, who)
            except AnotherPen:
                await connected.close()
                raise
            self._before = who
        return connected
