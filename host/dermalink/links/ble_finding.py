"""Pens that advertise: all of them, or the one that is wanted. One scanner for a radio, in the whole process.

All who listen on one loop at the same time share a scanner, and loops take turns: what a scanner hears is bound to its
loop (macOS), so it is not passed on to others.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from dermalink.errors import LinkError, NoBluetooth, NoRadio, NoSuchPen, SeveralPens
from dermalink.links.ble_calls import CallCancelled, bounded, run_on
from dermalink.links.ble_heard import Heard, Seen, meant, printable
from dermalink.links.ble_platform import NEARER, RESTART, advice_for, held_devices, is_address, on_loop, opening_error
from dermalink.links.ble_radio import Radio, backend_of
from dermalink.links.ble_turns import LISTEN, Place
from dermalink_protocol.channels import SERVICE_UUID

if TYPE_CHECKING:
    from bleak import BleakScanner
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

# BlueZ answers in milliseconds when all is well, and asks its controller first when it is not (HCI time-out: 2 s).
START_WITHIN_S: Final = 5.0
STOP_WITHIN_S: Final = 3.0
FIND_WITHIN_S: Final = 10.0  # bleak's own default for finding one; a pen advertises every 100 ms to 1 s
NAMESAKE_S: Final = 1.0  # another pen of the same name is heard within this; the slowest advertising interval of ours
HELD_WITHIN_S: Final = 2.0


class Ear:
    """One radio's scanner on one loop, running at its turn while anybody listens."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._turn = asyncio.Lock()
        self._listeners = 0
        self._scanner: BleakScanner | None = None
        self._place: Place | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.heard = Heard()
        self.news = asyncio.Event()

    @property
    def is_wanted_elsewhere(self) -> bool:
        """Whether it listens while another loop waits to: then nobody joins, so that it comes to an end."""
        return self._place is not None and self._place.wanted

    async def begin(self) -> None:
        """One more listens; starts the scanner for the first. Raises a `LinkError`."""
        self._listeners += 1
        try:
            async with self._turn:
                if self._scanner is None:
                    self.heard = Heard()
                    await self._start()
        except BaseException:
            self._release()
            raise

    async def end(self) -> None:
        """One less listens; stops the scanner after the last, in bounded time, and also when this is cancelled."""
        self._release()
        if self._stopping is not None:
            await asyncio.shield(self._stopping)

    def _release(self) -> None:
        self._listeners -= 1
        if not self._listeners:
            self._stopping = asyncio.ensure_future(self._stop_if_idle())

    async def _stop_if_idle(self) -> None:
        async with self._turn:
            if self._listeners:
                return
            scanner, self._scanner = self._scanner, None
            place, self._place = self._place, None
            if scanner is not None and place is not None:
                await _stop(scanner, place)
            if self._came_meanwhile():  # and waits for this turn: a second ear would scan beside it
                return
            ears = _ears.get(asyncio.get_running_loop(), {})
            if ears.get(self._radio.spec) is self:  # it would keep its loop alive for ever
                del ears[self._radio.spec]

    def _came_meanwhile(self) -> bool:
        return self._listeners > 0

    async def _start(self) -> None:
        place = Place(LISTEN, self._radio, "listening for pens")
        await place.take()
        scanner = None
        try:
            from bleak import BleakScanner

            take = on_loop(asyncio.get_running_loop(), self._take)

            def detected(device: "BLEDevice", said: "AdvertisementData") -> None:
                take(device, said)

            scanner = BleakScanner(detected, [str(SERVICE_UUID)], **backend_of(self._radio.scanner))
            await bounded(scanner.start(), START_WITHIN_S, "start scanning")
        except BaseException as error:
            if scanner is None:
                place.give_back()
            else:
                run_on(_stop(scanner, place), 2 * STOP_WITHIN_S, "stop a scanner that did not start")
            if isinstance(error, Exception):
                raise self._error(error) from error
            raise
        self._scanner, self._place = scanner, place

    def _error(self, error: Exception) -> LinkError:
        """Why it does not listen; a scanner that does not start in time says nothing of any pen."""
        said = self._radio.said[0].upper() + self._radio.said[1:]
        if not isinstance(error, TimeoutError):
            return opening_error(error, said)
        limit = f"it did not begin to listen within {START_WITHIN_S:g} s"
        if self._radio.spec:
            return NoRadio(f"{said} cannot be opened", limit=limit, advice="Check that whatever serves it runs")
        return NoBluetooth(f"{said} cannot be opened", limit=limit, advice=advice_for(RESTART))

    def _take(self, device: "BLEDevice", said: "AdvertisementData") -> None:
        self.heard.take(device, said, asyncio.get_running_loop().time())
        self.news.set()


async def _stop(scanner: "BleakScanner", place: Place) -> None:
    """Stop it, and only then let the next loop begin."""
    try:
        with contextlib.suppress(Exception):  # it is let go of whether it likes it or not
            await bounded(scanner.stop(), STOP_WITHIN_S, "stop scanning")
    finally:
        place.give_back()


_ears: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Ear]] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def listening(radio: Radio) -> AsyncIterator[Ear]:
    """Listen on `radio`, together with whoever else does."""
    ears = _ears.setdefault(asyncio.get_running_loop(), {})
    ear = ears.get(radio.spec)
    if ear is None or ear.is_wanted_elsewhere:
        ear = ears[radio.spec] = Ear(radio)
    await ear.begin()
    try:
        yield ear
    finally:
        await ear.end()


async def find_pens(radio: Radio, within_s: float, tell: Callable[[Seen], object] = lambda _seen: None) -> list[Seen]:
    """Every pen that is heard in `within_s`, by name and serial number; raises a `LinkError` for a broken radio.

    `tell` is told of each at once, and of all of them again with every advertisement.
    """
    async with listening(radio) as ear:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    ear.news.clear()
                    for seen in ear.heard.addresses():
                        tell(seen)
                    await ear.news.wait()
        return sorted(ear.heard.pens(), key=lambda seen: (seen.name, seen.serial_number, seen.address))


async def find_pen(radio: Radio, wanted: str, within_s: float = FIND_WITHIN_S) -> Seen:
    """The pen with this address, at once, or serial number or name, when no other one of it was heard in `NAMESAKE_S`.

    Raises `NoSuchPen`, `SeveralPens`, or what a broken radio raises.
    """
    loop = asyncio.get_running_loop()
    async with listening(radio) as ear:
        until = loop.time() + within_s
        while True:
            ear.news.clear()
            found = meant(ear.heard.pens(), wanted)
            if found and is_address(wanted):
                return found[0]
            due = min(until, ear.heard.newest_s(found) + NAMESAKE_S) if found else until
            if not await _news(ear, due):
                break
        heard = ear.heard.pens()
    if len(found) == 1:
        return found[0]
    raise _several(radio, wanted, found) if found else await _nobody(radio, wanted, within_s, heard)


async def find_whichever(radio: Radio, wanted: str, rather_not: Collection[str] = (), pause_s: float = 0.0) -> Seen:
    """Whoever may be meant, as soon as it is heard, however many they are: for Stop, which nobody else may keep away.

    One at an address of `rather_not` is taken when none else was heard in `pause_s`: whichever stands first there.
    Raises as `find_pen` does, but never `SeveralPens`.
    """
    loop = asyncio.get_running_loop()
    async with listening(radio) as ear:
        began = loop.time()
        while True:
            ear.news.clear()
            found = meant(ear.heard.addresses(), wanted)
            fresh = [seen for seen in found if seen.address not in rather_not]
            due = began + (pause_s if found else FIND_WITHIN_S)
            if fresh or not await _news(ear, due):
                break
        heard = ear.heard.pens()
    if fresh:
        return max(fresh, key=lambda seen: seen.rssi)
    if found:
        order = list(rather_not)
        return min(found, key=lambda seen: order.index(seen.address))
    raise await _nobody(radio, wanted, FIND_WITHIN_S, heard)


async def find_others(radio: Radio, wanted: str, address: str) -> list[Seen]:
    """Who else than the one at `address` may be meant, the nearest first; listens for `NAMESAKE_S`."""
    if is_address(wanted):
        return []
    async with listening(radio) as ear:
        await asyncio.sleep(NAMESAKE_S)
        found = meant(ear.heard.addresses(), wanted)
    others = [seen._replace(doubled=True) for seen in found if seen.address != address]
    return sorted(others, key=lambda seen: -seen.rssi)


async def _news(ear: Ear, due: float) -> bool:
    """Wait until something is heard; False when it is `due` without."""
    left_s = due - asyncio.get_running_loop().time()
    if left_s <= 0:
        return False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left_s):
            await ear.news.wait()
    return True


def _several(radio: Radio, wanted: str, found: list[Seen]) -> SeveralPens:
    urls = tuple(seen.url(radio) for seen in found)
    limit = f"{len(found)} pens have that name"
    advice = f"Name the one that you mean: {', '.join(urls)}"
    if any(seen.doubled for seen in found):
        limit = f"{len(found)} devices announce that serial number at the same time, and one of them at most is its pen"
        advice += ". If you do not know it, switch your pen off and see by `dermalink scan` which one is left"
    return SeveralPens(f"ble:{wanted} was refused", pens=urls, limit=limit, advice=advice)


async def _nobody(radio: Radio, wanted: str, within_s: float, heard: list[Seen]) -> LinkError:
    held = []
    if radio.scanner is None:  # the system may hold a pen for a program that lives, or for one that died
        with contextlib.suppress(TimeoutError, CallCancelled):
            held = await bounded(held_devices(str(SERVICE_UUID)), HELD_WITHIN_S, "list held devices")
    refused = f"ble:{wanted} cannot be opened"
    if held:
        named = ", ".join(f"{printable(device.name) or 'a pen'} ({device.address})" for device in held)
        advice = "Close the program that uses it; if there is none, disconnect it in the system's Bluetooth settings"
        return NoSuchPen(refused, limit=f"this computer is connected to {named} already", advice=advice)
    others = ", ".join(f"{seen.name} ({seen.serial_number or seen.address})" for seen in heard)
    limit = f"it was not heard within {within_s:g} s by {radio.said}"
    return NoSuchPen(refused, limit=limit + (f"; heard were {others}" if others else ""), advice=NEARER)
