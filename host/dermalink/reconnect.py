"""Connecting again after a loss: another object each time, with growing pauses, and never any motion (SR-STOP-5)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

from dermalink.errors import BadUrl, BluetoothForbidden, ForeignTable, LinkError, PairingRefused, SeveralPens, Timeout

FIRST_S: Final = 0.25
LONGEST_S: Final = 8.0  # a person who plugs a cable back in does not wait longer before trying something else
FOR_A_PERSON: Final = (BadUrl, BluetoothForbidden, ForeignTable, PairingRefused, SeveralPens)
STEADY_AFTER_S: Final = 10.0  # a connection that held so long was a good one: the pauses begin anew


class Closable(Protocol):
    """What is connected: a pen, or anything that can be closed."""

    async def close(self) -> None:
        """Let go of it."""


C = TypeVar("C", bound=Closable)


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
    Nothing is adopted, begun or resumed in here.
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

    async def __aiter__(self) -> AsyncIterator[C]:
        backoff = Backoff()
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected = await self._connect()
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
