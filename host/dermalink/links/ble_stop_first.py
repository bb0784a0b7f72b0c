"""A link that is opened to stop a pen: whoever answers to the name takes Stop, and nobody keeps it from the others.

Each device has the radio until Stop is written to it, and while another Stop waits no longer than it takes an ordinary
pen; whoever was slower comes again behind those that wait, with twice the time. How long all of it may take grows with
how many are heard, for that is what a stranger can do: a fixed bound would be over before the pen has had its turn.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

from dermalink.errors import CannotOpen, ForeignTable, LinkError, NoSuchPen
from dermalink.links.ble_calls import leave
from dermalink.links.ble_client import CHECK_WITHIN_S, CONNECT_WITHIN_S, GIVE_UP_S, REACH_WITHIN_S, PenClient
from dermalink.links.ble_finding import find_whichever
from dermalink.links.ble_heard import Seen
from dermalink.links.ble_link import BleLink
from dermalink.links.ble_platform import NEARER, is_address
from dermalink.links.ble_radio import Radio
from dermalink.links.ble_tries import OPEN_WITHIN_S, PAUSE_S, TRIES, WORTH_ANOTHER
from dermalink.links.ble_turns import CONNECT, Place

# How long one device keeps another from its Stop, at its first turn; a write takes no longer than giving up.
STOP_TURN_S: Final = REACH_WITHIN_S + GIVE_UP_S
STOP_TURNS_S: Final = STOP_TURN_S + 2 * REACH_WITHIN_S + GIVE_UP_S  # at its first two
# Who changes its address is heard as ever more devices. After as many a person had better look at the pen than wait.
HEARD_MAX: Final = 16
# An ordinary pen has its Stop by then; only where none has is the radio asked to listen beside its connect.
LISTEN_AFTER_S: Final = 1.5
# An adapter that bears no further link says so at once, and giving up takes `GIVE_UP_S`; a turn that is used up takes
# `REACH_WITHIN_S` at least.
REFUSED_WITHIN_S: Final = 2.0

_checked: Final[Counter[str]] = Counter()  # how many links are checked, by radio, after Stop was sent on them


def stop_within_s(heard: int) -> float:
    """How long opening to stop may take when so many devices of that name are tried, waiting for its turn left out."""
    return OPEN_WITHIN_S + STOP_TURNS_S * max(0, min(heard, HEARD_MAX) - 1)


async def open_to_stop(url: str, wanted: str, radio: Radio, on_stop: Callable[[str], object]) -> BleLink:
    """Whoever of that name takes Stop first, and nobody else then. Raises a kind of `CannotOpen`.

    That is after `stop_within_s` at the latest, not counting for how long other devices have the radio.
    """
    opening = _Opening(url, wanted, radio, on_stop)
    bound = asyncio.timeout(OPEN_WITHIN_S)
    try:
        async with bound:
            return await opening.until_open(bound)
    except TimeoutError:
        if not bound.expired():
            raise
        limit = f"it was not open after {stop_within_s(len(opening.tries)):g} s"
        raise CannotOpen(f"{url} cannot be opened", limit=limit, advice=NEARER) from None


class _Opening:
    """Each device that is heard in turn, those first that were not tried; when one has its Stop, only that one."""

    def __init__(self, url: str, wanted: str, radio: Radio, on_stop: Callable[[str], object]) -> None:
        self._url = url
        self._wanted = wanted
        self._radio = radio
        self._on_stop = on_stop
        self._failed: dict[str, LinkError] = {}  # by address; the one that failed last at the end
        self._hopeless: dict[str, LinkError] = {}
        self._told = False
        self.tries: Counter[str] = Counter()  # of each address

    async def until_open(self, bound: asyncio.Timeout) -> BleLink:
        """`bound` is put off for each further device, and for as long as others have the turn."""
        left = TRIES  # of those in which none was heard that is worth one
        while True:
            try:
                seen = await find_whichever(self._radio, self._wanted, [*self._failed, *self._hopeless], PAUSE_S)
                error = self._hopeless.get(seen.address)
            except LinkError as caught:
                seen, error = None, caught
            if seen is not None and error is None:
                try:
                    return await self._open(seen, bound)
                except LinkError as caught:
                    self._note(seen.address, caught)
                    continue
            left -= 1
            unheard = not self.tries and type(error) is NoSuchPen  # it was listened for long enough
            over = not self._failed and (unheard or type(error) not in WORTH_ANOTHER)
            if error is not None and (over or not left):
                raise error
            await asyncio.sleep(PAUSE_S)

    def _note(self, address: str, error: LinkError) -> None:
        """Raises it when no other was heard between the tries, and there is no use in one more."""
        known = self._failed.pop(address, None)
        again = type(error) in WORTH_ANOTHER and not type(error) is type(known) is ForeignTable
        if again and self.tries[address] < TRIES:
            self._failed[address] = error
            return
        self._hopeless[address] = error
        if known is not None and (self._told or len(self.tries) == 1):
            raise error

    async def _open(self, seen: Seen, bound: asyncio.Timeout) -> BleLink:
        if seen.address not in self.tries and 0 < len(self.tries) < HEARD_MAX:
            _put_off(bound, STOP_TURNS_S)
        patience_s = min(REACH_WITHIN_S * 2 ** self.tries[seen.address], CONNECT_WITHIN_S)
        self.tries[seen.address] += 1
        client = PenClient(self._radio, seen, self._url)
        client.on_stop = self._tell
        link = BleLink(client, self._url, seen.serial_number)
        place = Place(CONNECT, self._radio, f"connecting to {self._url}", for_stop=True)
        await _take(place, bound)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with self._another(seen.address) as another:
                await client.connect_to_stop(patience_s, lambda: place.keeps_stops_waiting or another.is_set())
        except LinkError:
            if _checked[self._radio.spec] and loop.time() - began < REFUSED_WITHIN_S:
                self.tries[seen.address] -= 1  # an adapter bears a few links at a time, and those are about to end
            raise
        finally:
            place.give_back()
        _checked[self._radio.spec] += 1
        try:
            await client.check(CHECK_WITHIN_S)
        finally:
            _checked[self._radio.spec] -= 1
        return link

    def _tell(self, address: str) -> None:
        """Who has its Stop is stayed with: what came of it is said of no other, and others are told beside it."""
        self._told = True
        self._wanted = address
        for errors in (self._failed, self._hopeless):
            for other in errors.keys() - {address}:
                del errors[other]
        self._on_stop(address)

    @contextlib.asynccontextmanager
    async def _another(self, address: str) -> AsyncIterator[asyncio.Event]:
        """Set when somebody else is known who may be meant."""
        another = asyncio.Event()
        if self.tries.keys() - {address}:
            another.set()
        if another.is_set() or is_address(self._wanted):
            yield another
            return
        listening = asyncio.ensure_future(self._hear_another(address, another))
        try:
            yield another
        finally:
            leave(listening)

    async def _hear_another(self, address: str, another: asyncio.Event) -> None:
        await asyncio.sleep(LISTEN_AFTER_S)
        with contextlib.suppress(LinkError):  # who listens next meets it as well
            seen = await find_whichever(self._radio, self._wanted, (address,), CONNECT_WITHIN_S)
            if seen.address != address:
                another.set()


async def _take(place: Place, bound: asyncio.Timeout) -> None:
    """Wait for the turn, which counts for nothing."""
    loop = asyncio.get_running_loop()
    began, due = loop.time(), bound.when()
    bound.reschedule(None)
    try:
        await place.take()
    finally:
        if due is not None:
            bound.reschedule(due + loop.time() - began)


def _put_off(bound: asyncio.Timeout, by_s: float) -> None:
    due = bound.when()
    if due is not None:
        bound.reschedule(due + by_s)
