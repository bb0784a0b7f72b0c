"""One typed request and its reply under seal: against the same in the clear, asked of an equal pen in turn.

Each is a connection of its own to a pen of its own, both pens in one process; the one in the clear has no owner, so the
status that it tells is the same. They take turns every few trips: which processor wakes whom changes several times a
second, and would else be measured in place of the seal.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Final

from dermalink.channel.opening import open_channel
from dermalink.channel.sealable_link import SealableLink
from dermalink.connecting import say_hello, serial_text
from dermalink.connection import Connection
from dermalink.links.open import open_link
from dermalink_protocol.messages.identity import GetStatus
from tests.benchmarks.measure import Missing, Row
from tests.support.owned import keys_of

TRIPS: Final = 10
PAIRS: Final = 400
WARM_UPS: Final = 20
FAR_END: Final = "tests.benchmarks.sealed_far_end"
AIM: Final = "≤ 1.3"


def rows() -> Iterator[Row]:
    """By a PTY, and by TCP; by BLE in `bluetooth`."""
    if sys.platform == "win32":
        raise Missing("Windows has no PTY")
    for by in ("pty", "tcp"):
        with (
            tempfile.TemporaryDirectory() as folder,
            subprocess.Popen([sys.executable, "-m", FAR_END, by, folder], stdout=subprocess.PIPE, text=True) as pens,
        ):
            try:
                assert pens.stdout is not None
                sealed, clear = (pens.stdout.readline().strip() for _ in range(2))
                yield asyncio.run(measured(by.upper(), sealed, clear))
            finally:
                pens.kill()


async def measured(by: str, sealed_url: str, clear_url: str) -> Row:
    """Both over the same kind of link to a pen each."""
    sealed = await connect(sealed_url, sealed=True)
    clear = await connect(clear_url, sealed=False)
    pairs = [(await trip_s(sealed), await trip_s(clear)) for _ in range(WARM_UPS + PAIRS)][WARM_UPS:]
    for each in (sealed, clear):
        await each.close()
    mine, theirs = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / other for mine, other in pairs)
    return Row(f"sealed status round trip, {by}", mine, "µs", "in the clear", theirs, ratio, AIM)


async def trip_s(connection: Connection) -> float:
    """Seconds that asking and waiting takes."""
    begun = time.perf_counter()
    for _ in range(TRIPS):
        await connection.request(GetStatus())
    return (time.perf_counter() - begun) / TRIPS


async def connect(url: str, *, sealed: bool) -> Connection:
    """Our host's connection, with or without a handshake."""
    link = SealableLink(await open_link(url))
    connection = Connection(link)
    connection.start()
    hello = await say_hello(connection)
    if sealed:
        await open_channel(connection, link, keys_of(serial_text(hello)), hello, lambda: say_hello(connection))
    return connection
