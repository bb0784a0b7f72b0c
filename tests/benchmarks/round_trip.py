"""One typed request and its reply over a PTY: against C that only reads and writes, and against smpclient.

The far end is the same small C program for our host and for the floor, so what differs is the asking side alone.
smpclient's far end is a Python process of its own (`smp_responder`); its decoding is a hundredth of what is measured.
"""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dermalink.connection import Connection
from dermalink.links.open import open_link
from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.framing import encode_frame
from dermalink_protocol.messages.identity import GetStatus, Status
from tests.benchmarks.codec import a_status
from tests.benchmarks.floor import build
from tests.benchmarks.measure import ROUNDS, WARM_UPS, Missing, Row, seconds_for

TRIPS = 1_000
SMP_TRIPS = 20
PIPELINED = 64
BURSTS = 100


@contextmanager
def far_end(*words: object) -> Iterator[str]:
    """A process that opens a PTY and prints its path; ends with the block."""
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def in_pairs(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float, float]:
    """Medians of ours, theirs, and the ratio pair by pair; each call returns seconds a trip."""
    pairs = [(ours(), theirs()) for _ in range(ROUNDS + WARM_UPS)][WARM_UPS:]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return medians[0], medians[1], statistics.median(mine / other for mine, other in pairs)


def rows() -> Iterator[Row]:
    """Round trips one at a time and pipelined."""
    if sys.platform == "win32":
        raise Missing("Windows has no PTY")
    floor = build("pty")
    payload = int(Status.opcode).to_bytes(2, "little") + a_status().encode()
    asked = encode_frame(Channel.STATUS, encode_envelope(Envelope(Channel.STATUS, 1, GetStatus())))
    with far_end(floor, "respond", payload.hex()) as path, asyncio.Runner() as runner:
        connection = runner.run(connect(path))

        # Our connection holds its port exclusively, so the floor asks a far end of its own.
        with far_end(floor, "respond", payload.hex()) as other:
            bare_words = [str(floor), "ask", other, asked.hex(), str(TRIPS)]

            def bare_trip() -> float:
                done = subprocess.run(bare_words, check=True, capture_output=True, text=True)
                return int(done.stdout) / 1e9

            def our_trip() -> float:
                return seconds_for(lambda: runner.run(one_by_one(connection, TRIPS)), 1) / TRIPS

            def our_burst() -> float:
                return seconds_for(lambda: runner.run(pipelined(connection)), 1) / (PIPELINED * BURSTS)

            mine, theirs, ratio = in_pairs(our_trip, bare_trip)
            yield Row("status round trip, PTY", mine * 1e6, "µs", "C read/write", theirs * 1e6, ratio, "≤ 2.2")
            burst, single, ratio = in_pairs(our_burst, our_trip)
            yield Row(
                f"{PIPELINED} pipelined, requests a second",
                1 / burst,
                "/s",
                "one by one",
                1 / single,
                ratio,
                "≥ 20 000 /s",
            )
            yield from against_smpclient(our_trip)
        runner.run(connection.close())


async def connect(path: str) -> Connection:
    """Our host's connection over the serial link."""
    connection = Connection(await open_link(f"serial:{path}"))
    connection.start()
    return connection


async def one_by_one(connection: Connection, trips: int) -> None:
    """Ask, wait, ask again."""
    for _ in range(trips):
        await connection.request(GetStatus())


async def pipelined(connection: Connection) -> None:
    """Ask many at once, wait for all, ask again."""
    for _ in range(BURSTS):
        await asyncio.gather(*(connection.request(GetStatus()) for _ in range(PIPELINED)))


def against_smpclient(our_trip: Callable[[], float]) -> Iterator[Row]:
    """The same by smpclient: its echo, with as many bytes as a status has."""
    try:
        from smpclient import SMPClient
        from smpclient.requests.os_management import EchoWrite
        from smpclient.transport.serial import SMPSerialTransport
    except ImportError as missing:
        raise Missing(f"{missing} (the extra `bench` has it)") from missing
    text = "x" * Status.size[0]
    with far_end(sys.executable, Path(__file__).with_name("smp_responder.py")) as path, asyncio.Runner() as runner:
        client = SMPClient(SMPSerialTransport(), path)
        runner.run(client.connect())

        async def trips() -> None:
            for _ in range(SMP_TRIPS):
                await client.request(EchoWrite(d=text))

        def their_trip() -> float:
            return seconds_for(lambda: runner.run(trips()), 1) / SMP_TRIPS

        mine, theirs, ratio = in_pairs(our_trip, their_trip)
        yield Row("status round trip, PTY", mine * 1e6, "µs", "smpclient", theirs * 1e6, ratio, "≤ 0.029 (35 x)")
        runner.run(client.disconnect())
