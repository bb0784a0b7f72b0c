"""One typed request and its reply under seal: against the same in the clear, asked of the same simulated pen.

Each is a connection of its own to one pen in a process of its own; it answers a stranger's question for its status too.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dermalink.channel.opening import open_channel
from dermalink.channel.sealable_link import SealableLink
from dermalink.connecting import say_hello, serial_text
from dermalink.connection import Connection
from dermalink.links.open import open_link
from tests.benchmarks.measure import Missing, Row, seconds_for
from tests.benchmarks.round_trip import far_end, in_pairs, one_by_one
from tests.support.owned import keys_of

TRIPS = 200
FAR_END = "tests.benchmarks.sealed_far_end"


def rows() -> Iterator[Row]:
    """By a PTY, and by TCP."""
    if sys.platform == "win32":
        raise Missing("Windows has no PTY")
    for by in ("pty", "tcp"):
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
            words = (sys.executable, "-m", FAR_END, by)
            with far_end(*words, Path(folder, "sealed")) as url, far_end(*words, Path(folder, "clear")) as other:
                yield measured(by, runner, url, other)


def measured(by: str, runner: asyncio.Runner, url: str, other: str) -> Row:
    """Both in turn, over the same kind of link to a pen each."""
    sealed, clear = (runner.run(connect(each, sealed=each is url)) for each in (url, other))

    def trip(connection: Connection) -> float:
        return seconds_for(lambda: runner.run(one_by_one(connection, TRIPS)), 1) / TRIPS

    mine, theirs, ratio = in_pairs(lambda: trip(sealed), lambda: trip(clear))
    for each in (sealed, clear):
        runner.run(each.close())
    return Row(
        f"sealed status round trip, {by.upper()}", mine * 1e6, "µs", "in the clear", theirs * 1e6, ratio, "≤ 1.3"
    )


async def connect(url: str, *, sealed: bool) -> Connection:
    """Our host's connection, with or without a handshake."""
    link = SealableLink(await open_link(url))
    connection = Connection(link)
    connection.start()
    hello = await say_hello(connection)
    if sealed:
        await open_channel(connection, link, keys_of(serial_text(hello)), hello, lambda: say_hello(connection))
    return connection
