"""Pens that are here: on serial ports, by asking each for hello, and on the air, by what they advertise, unasked.

A pen on the air may be in somebody's use, and a connection would disturb it, so nobody connects to it here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

from dermalink.connecting import say_hello, serial_text
from dermalink.connection import Connection
from dermalink.errors import CannotOpen
from dermalink.links.background import in_thread
from dermalink.links.open import open_link
from dermalink_protocol.advertising import advertised_serial
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.identity import HelloReply

if TYPE_CHECKING:
    from dermalink.links.ble_heard import Seen

T = TypeVar("T")

ASK_WITHIN_S: Final = 2.0  # opening, two hellos with boot text between them, closing
LIST_WITHIN_S: Final = 3.0
AT_ONCE: Final = 16
# A pen advertises every 100 ms to 1 s, and a packet in the open is often lost: three of the slowest.
LISTEN_S: Final = 3.0
HELD_WITHIN_S: Final = 2.0
# A scanner has 5 s to start, 3 s to stop, and the system 2 s to list what it holds; beyond that it is given up.
LET_GO_S: Final = 11.0
PLAIN: Final = ":/,.@[]"  # a radio's spec stays readable; what would end or split the URL is escaped
UNKNOWN_DBM: Final = -127  # what bleak, and the specification, say of a strength that nobody measured
SERIAL: Final = "serial:"
BLE: Final = "ble:"
ON_A_CABLE: Final = "Check that the pen is on and that this is its port"
ON_THE_AIR: Final = "Check that the pen is on and near, and that nothing else is connected to it"


class FoundPen(NamedTuple):
    """A pen that answered, and the URL that leads to it."""

    url: str
    hello: HelloReply


class Silent(NamedTuple):
    """A port, or a radio (`ble:`), that gave no pen, with the reason."""

    url: str
    why: DermalinkError


class Nearby(NamedTuple):
    """A pen on the air, by what it says of itself: nobody has asked it.

    `rssi` is how strongly it came in, in dBm, as far as the system tells. One that is `held` was not heard: this
    computer is connected to it already, for a program of its own or for none.
    """

    url: str
    serial_number: str
    name: str
    rssi: int | None
    held: bool = False


Found = Callable[[FoundPen | Nearby], object]


class Discovery(NamedTuple):
    """Everything that was asked, in the order of the URLs, and what was heard on the air, the strongest first."""

    pens: tuple[FoundPen, ...]
    others: tuple[Silent, ...]
    nearby: tuple[Nearby, ...] = ()

    def urls(self) -> dict[str, tuple[str, ...]]:
        """Each pen once, with every URL that leads to it: on a cable first.

        One without a serial number goes by URL, and so do several that announce the same one.
        """
        ways: dict[str, tuple[str, ...]] = {}
        found = [(serial_text(pen.hello), pen.url) for pen in self.pens]
        announced = Counter(near.serial_number.casefold() for near in self.nearby if not near.held)
        for serial_number, url in found + [(near.serial_number, near.url) for near in self.nearby]:
            doubled = url.startswith(BLE) and announced[serial_number.casefold()] > 1
            key = url if doubled else serial_number or url
            ways[key] = (*ways.get(key, ()), url)
        return ways


async def serial_urls() -> tuple[str, ...]:
    """The serial ports that the system lists; raises `CannotOpen` when it can't, or hangs, as a broken driver does."""
    from serial.tools.list_ports import comports

    refused = "The serial ports cannot be listed"
    try:
        async with asyncio.timeout(LIST_WITHIN_S):
            ports = await in_thread(lambda: list(comports()), "list serial ports")
    except TimeoutError:
        advice = "Unplug what was plugged in last; a driver that hangs holds up the list"
        raise CannotOpen(refused, limit=f"the system gave none within {LIST_WITHIN_S:g} s", advice=advice) from None
    except Exception as error:
        limit = str(error) or type(error).__name__
        raise CannotOpen(refused, limit=limit, advice="Name the port: --pen serial:PORT") from error
    return tuple(f"serial:{port.device}" for port in sorted(ports))


async def discover(
    urls: Iterable[str] | None = None,
    *,
    within_s: float = ASK_WITHIN_S,
    serial: bool = True,
    ble: bool = True,
    radio: str | None = None,
    found: Found = lambda _pen: None,
) -> Discovery:
    """Ask all of `urls` at once; or all serial ports, while listening to the air. None that is broken stops another.

    With `urls`, nothing else is asked, and each of them is connected to, but those of `ble:` are only listened for.
    `radio` stands for the computer's own adapter, as `?radio=` of a URL does, and is in the URLs that come back.
    `found` is told of each pen once and at once, while others are still asked and listened for.
    """
    if urls is not None:
        return await _ask_all(dict.fromkeys(urls), within_s, found)
    asking = asyncio.ensure_future(_ask_ports(within_s, found) if serial else _ask_all({}, within_s, found))
    hearing = asyncio.ensure_future(_listen(radio, found) if ble else _ask_all({}, within_s, found))
    try:
        await asyncio.wait([asking, hearing])
    finally:
        for each in (asking, hearing):
            each.cancel()
        await asyncio.wait([asking, hearing])
    asked, heard = asking.result(), hearing.result()
    return Discovery(asked.pens, asked.others + heard.others, heard.nearby)


def with_radio(url: str, radio: str | None) -> str:
    """`url` with this radio, if it leads over the air and names none."""
    return url if not url.startswith(BLE) or "radio=" in url else url + _option(radio, "&" if "?" in url else "?")


def look_again(url: str) -> str:
    """What a person looks at when nothing answers on `url`."""
    return ON_THE_AIR if url.startswith(BLE) else ON_A_CABLE


async def _ask_ports(within_s: float, found: Found) -> Discovery:
    try:
        urls = await serial_urls()
    except CannotOpen as error:
        return Discovery((), (Silent(SERIAL, error),))
    return await _ask_all(dict.fromkeys(urls), within_s, found)


async def _ask_all(urls: Iterable[str], within_s: float, found: Found) -> Discovery:
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask_in_turn(url: str) -> FoundPen | Nearby | Silent:
        async with turns:
            answer = await (_hear(url) if url.startswith(BLE) else _ask(url, within_s))
        if not isinstance(answer, Silent):
            found(answer)
        return answer

    answers = await asyncio.gather(*(ask_in_turn(url) for url in urls))
    return Discovery(
        tuple(answer for answer in answers if isinstance(answer, FoundPen)),
        tuple(answer for answer in answers if isinstance(answer, Silent)),
        tuple(answer for answer in answers if isinstance(answer, Nearby)),
    )


async def _ask(url: str, within_s: float) -> FoundPen | Silent:
    try:
        async with asyncio.timeout(within_s):
            connection = Connection(await open_link(url))
            try:
                connection.start()
                return FoundPen(url, await say_hello(connection, times=2))
            finally:
                await connection.close()
    except DermalinkError as error:
        return Silent(url, error)
    except TimeoutError:
        return Silent(url, CannotOpen(f"{url} gave no answer", limit=f"waited {within_s:g} s"))


async def _listen(radio: str | None, found: Found) -> Discovery:
    """What is on the air; a radio that is broken, absent, off or hung is one `Silent`, in bounded time."""
    from dermalink.links.ble_turns import TURN_WITHIN_S

    try:
        heard = await _within(_heard(radio, found), TURN_WITHIN_S + LISTEN_S + LET_GO_S)
    except Exception as error:  # noqa: BLE001 (see _no_air)
        return Discovery((), (Silent(BLE + _option(radio), _no_air(error)),))
    return Discovery((), (), tuple(heard))


async def _hear(url: str) -> Nearby | Silent:
    """The one pen that a `ble:` URL names, as soon as it is heard."""
    from dermalink.links.ble import split
    from dermalink.links.ble_finding import FIND_WITHIN_S, find_pen
    from dermalink.links.ble_radio import radio_of
    from dermalink.links.ble_turns import TURN_WITHIN_S

    try:
        wanted, radio = split(url.removeprefix(BLE))
        seen = await _within(find_pen(radio_of(radio), wanted), TURN_WITHIN_S + FIND_WITHIN_S + LET_GO_S)
    except Exception as error:  # noqa: BLE001 (see _no_air)
        return Silent(url, _no_air(error))
    return _nearby(seen)._replace(url=url)


async def _within(call: Coroutine[Any, Any, T], within_s: float) -> T:
    """What `call` comes to, in time; whoever is cancelled meanwhile waits until it has let go of the radio, in bounds.

    So a scanner is stopped before the loop ends under it, and one that can't be stopped holds nobody up.
    """
    from dermalink.links.ble_calls import CallCancelled, leave

    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait([task], timeout=within_s)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task], timeout=LET_GO_S)
        leave(task)
        raise
    if not done:
        leave(task)
        raise TimeoutError(f"it took longer than {within_s:g} s")
    if task.cancelled():
        raise CallCancelled("it was cancelled from the inside")
    return task.result()


def _no_air(error: Exception) -> DermalinkError:
    """Why nothing was heard: whatever lies under bleak may raise anything, and that stops no other way to a pen."""
    if isinstance(error, DermalinkError):
        return error
    said = str(error) or type(error).__name__
    return CannotOpen("Bluetooth gave no pen", limit=said, advice="`dermalink doctor` looks closer")


async def _heard(radio: str | None, found: Found) -> list[Nearby]:
    from dermalink.links.ble_finding import find_pens
    from dermalink.links.ble_radio import radio_of

    listened_to = radio_of(radio)
    option = _option(radio)
    once = _Once(found)
    asking = asyncio.ensure_future(_tell_held(once, own=listened_to.scanner is None))
    try:
        seen = await find_pens(listened_to, LISTEN_S, lambda seen: once.tell(seen.address, _nearby(seen, option)))
        held = await asking
    finally:
        asking.cancel()
        await asyncio.wait([asking])
    seen.sort(key=lambda each: (-each.rssi, each.serial_number, each.address))
    nearby = [(each.address, _nearby(each, option)) for each in seen]
    heard = {address for address, _ in nearby}
    return [near for _, near in nearby] + [near for address, near in held if address not in heard]


class _Once:
    """Tells of each pen once, however late its name comes; of another that announces the same one, all the same."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._told: set[str] = set()

    def tell(self, address: str, near: Nearby) -> None:
        if address not in self._told and near.url not in self._told:
            self._told.add(near.url)
            self._found(near)
        self._told.add(address)


async def _tell_held(once: _Once, *, own: bool) -> list[tuple[str, Nearby]]:
    """Those that this computer holds by its `own` adapter; a radio that was named holds none for others."""
    held = await _held() if own else []
    for address, near in held:
        once.tell(address, near)
    return held


def _nearby(seen: "Seen", option: str = "") -> Nearby:
    from dermalink.links.ble_radio import Radio

    rssi = seen.rssi if seen.rssi > UNKNOWN_DBM else None
    return Nearby(seen.url(Radio()) + option, seen.serial_number, seen.name, rssi)


async def _held() -> list[tuple[str, Nearby]]:
    """Pens that this computer is connected to, which advertise no more for that; with the address of each."""
    from dermalink.links.ble_calls import bounded
    from dermalink.links.ble_heard import printable
    from dermalink.links.ble_platform import held_devices
    from dermalink_protocol.channels import SERVICE_UUID

    try:
        held = await bounded(held_devices(str(SERVICE_UUID)), HELD_WITHIN_S, "list held pens")
    except Exception:  # noqa: BLE001 (a help to a person, never a reason to find nothing)
        return []
    return [
        (each.address, Nearby(BLE + each.address, advertised_serial(each.name), printable(each.name), None, held=True))
        for each in held
    ]


def _option(radio: str | None, mark: str = "?") -> str:
    """What a URL ends in for a radio that was named."""
    return f"{mark}radio={quote(radio, safe=PLAIN)}" if radio else ""
