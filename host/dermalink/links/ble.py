"""`ble:<name | serial number | address>[?radio=SPEC]`: a pen over Bluetooth Low Energy, by bleak.

A pen is found by what it advertises and by nothing that was kept; which pen it is, hello tells.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import unquote

from dermalink.errors import BadUrl, ForeignTable, LinkError, NoSuchPen
from dermalink.links.ble_client import PenClient
from dermalink.links.ble_finding import find_others, find_pen
from dermalink.links.ble_heard import Seen
from dermalink.links.ble_link import BleLink
from dermalink.links.ble_radio import Radio, radio_of
from dermalink.links.ble_tries import PAUSE_S, TRIES, WORTH_ANOTHER
from dermalink.links.ble_turns import CONNECT, turn


def split(rest: str) -> tuple[str, str | None]:
    """The pen that is wanted, and the radio if one is named; raises `BadUrl`."""
    wanted, mark, options = rest.partition("?")
    radio: str | None = None
    for option in options.split("&") if mark else []:
        key, _, value = option.partition("=")
        if key != "radio":
            raise BadUrl(f"ble:{rest} was refused", limit=f"{key!r} is no option of ble:", advice="Known is ?radio=")
        radio = unquote(value)
    wanted = unquote(wanted)
    if not wanted.strip():
        advice = "Write ble: and the pen's name, serial number or address; `dermalink scan` shows those that are near"
        raise BadUrl(f"ble:{rest} was refused", limit="it names no pen", advice=advice)
    return wanted, radio


async def open_link(
    url: str, rest: str, *, stop_first: bool = False, on_stop: Callable[[str], object] = lambda _address: None
) -> BleLink:
    """Find, connect, check and subscribe; raises `BadUrl` or a kind of `CannotOpen`. The caller bounds it in time.

    With `stop_first` Stop goes out before all that is checked and subscribed, at each try; `on_stop` is told to
    which address. Whichever takes it first is opened then, or nobody: ask for its `namesakes`, and stop them as well.
    That is bounded in time by itself, and by no fixed one: see `ble_stop_first`.
    """
    wanted, option = split(rest)
    radio = radio_of(option)
    if stop_first:
        from dermalink.links.ble_stop_first import open_to_stop

        return await open_to_stop(url, wanted, radio, on_stop)
    refused: set[type[LinkError]] = set()
    for left in reversed(range(TRIES)):
        try:
            return await _connect(url, radio, await find_pen(radio, wanted))
        except LinkError as error:
            another = type(error) in WORTH_ANOTHER and not (type(error) is ForeignTable and ForeignTable in refused)
            unheard = type(error) is NoSuchPen and not refused  # it was listened for long enough
            if not left or unheard or not another:
                raise
            refused.add(type(error))
        await asyncio.sleep(PAUSE_S)
    raise AssertionError("there is a first try")


async def _connect(url: str, radio: Radio, seen: Seen) -> BleLink:
    client = PenClient(radio, seen, url)
    link = BleLink(client, url, seen.serial_number)
    async with turn(CONNECT, radio, f"connecting to {url}"):
        await client.connect()
    await client.check()
    return link


async def namesakes(url: str, address: str) -> tuple[str, ...]:
    """The URL of each device but the one at `address` that is heard in `NAMESAKE_S` and may be meant by `url`.

    The nearest first. Raises `BadUrl`, or a kind of `CannotOpen` for a broken radio.
    """
    wanted, option = split(url.partition(":")[2])
    radio = radio_of(option)
    return tuple(seen.url(radio) for seen in await find_others(radio, wanted, address))
