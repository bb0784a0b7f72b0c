"""What it takes to become a pen's owner, and to prove it at each connection: both sides in this process, by TCP.

A person's part (reading the code, pressing the button) is over before the time begins.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dermalink.links.open import open_link
from dermalink.ownership.pairing import Pairing
from dermalink.ownership.pairing_link import greeted
from dermalink.ownership.results import Paired
from dermalink.ownership.store import KeyStore
from dermalink_simulator.doors.address import Address
from dermalink_simulator.doors.tcp import TcpDoor
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from tests.benchmarks.measure import Row
from tests.benchmarks.sealed_trip import connect
from tests.support.owned import give_owner

TIMES: Final = 7
CONNECTIONS: Final = 5
AT_REST_MS: Final = 2_000  # a pen that was switched on tests itself first
UTC_S: Final = 1_800_000_000
PAIRING_MS: Final = 2_000
HANDSHAKE_MS: Final = 50


def rows() -> Iterator[Row]:
    """Wall time of a pairing; CPU time of a connection under seal beyond one in the clear."""
    pairing_ms = statistics.median(asyncio.run(pairing_s()) * 1e3 for _ in range(TIMES))
    yield Row("pairing, TCP", pairing_ms, "ms", "allowed", PAIRING_MS, pairing_ms / PAIRING_MS, "≤ 2 s")
    asyncio.run(handshake_cpu_s())  # loads the libraries
    cost_ms = statistics.median(asyncio.run(handshake_cpu_s()) * 1e3 for _ in range(TIMES))
    ratio = cost_ms / HANDSHAKE_MS
    yield Row("handshake and first word, both sides", cost_ms, "ms CPU", "allowed", HANDSHAKE_MS, ratio, "≤ 50 ms CPU")


@asynccontextmanager
async def a_pen(pen: SimulatedPen) -> AsyncIterator[tuple[PenRunner, str]]:
    """At rest, behind a TCP port."""
    pen.advance(AT_REST_MS)
    runner = PenRunner(pen)
    door = await TcpDoor.open(runner, Address("127.0.0.1", 0))
    try:
        yield runner, door.url
    finally:
        await door.close()
        runner.stop()


async def pairing_s() -> float:
    """From the first question to the keys in both stores."""
    pen = SimulatedPen()
    with tempfile.TemporaryDirectory() as folder:
        store = KeyStore(Path(folder), lambda: None)
        async with a_pen(pen) as (runner, url), greeted(await open_link(url)) as link:
            runner.act(pen.button.press)
            runner.act(lambda: pen.advance(AT_REST_MS))
            begun = time.perf_counter()
            result = await Pairing(link, store, utc=lambda: UTC_S).attempt(pen.card.code)
            spent = time.perf_counter() - begun
    assert isinstance(result, Paired), result
    return spent


async def handshake_cpu_s() -> float:
    """What a connection costs both sides under seal more than in the clear."""
    pen = SimulatedPen()
    async with a_pen(pen) as (runner, url):
        runner.act(lambda: give_owner(pen))
        runner.act(lambda: pen.advance(AT_REST_MS))
        spent = {}
        for sealed in (False, True):
            begun = time.process_time()
            connection = await connect(url, sealed=sealed)
            spent[sealed] = time.process_time() - begun
            await connection.close()
    return spent[True] - spent[False]
