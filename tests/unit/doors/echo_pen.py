"""A pen-shaped thing without firmware, for tests of what stands in front of a pen: it echoes and beats."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds; at most 2 s."""
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110 (what it waits for belongs to the code under test)
            await asyncio.sleep(0)


class EchoPort:
    def __init__(self, pen: "EchoPen") -> None:
        self.pen = pen
        self.on_output: Callable[[bytes], None] | None = None
        self.on_hang_up: Callable[[], None] | None = None
        self.closed = 0

    def write(self, data: bytes) -> None:
        self.pen.heard.append((self.pen.now_ms, data))
        if b"break" in data:
            raise RuntimeError("a planted mistake")
        self.say(data)

    def say(self, data: bytes) -> None:
        assert self.on_output is not None
        self.on_output(data)

    def hang_up(self) -> None:
        assert self.on_hang_up is not None
        self.on_hang_up()

    def close(self) -> None:
        self.closed += 1


class EchoPen:
    """Says `beat` on every link each `beat_ms`, 0 for never."""

    def __init__(self, beat_ms: int = 0) -> None:
        self.now_ms = 0
        self.beat_ms = beat_ms
        self.ports: list[EchoPort] = []
        self.heard: list[tuple[int, bytes]] = []
        self.beats: list[int] = []

    def connect(self) -> EchoPort:
        self.ports.append(EchoPort(self))
        return self.ports[-1]

    def next_wake_ms(self) -> int:
        return self.beat_ms - self.now_ms % self.beat_ms if self.beat_ms else 1_000

    def advance(self, ms: int) -> None:
        assert ms > 0
        until = self.now_ms + ms
        while self.beat_ms and self.now_ms + self.next_wake_ms() <= until:
            self.now_ms += self.next_wake_ms()
            self.beats.append(self.now_ms)
            for port in self.ports:
                if not port.closed:
                    port.say(b"beat")
        self.now_ms = until
