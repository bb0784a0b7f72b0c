"""A pen-shaped thing without firmware, for tests of what stands in front of a pen: it echoes and beats."""

import asyncio
from collections.abc import Callable

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.seam import PortKind


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds; at most 2 s."""
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110 (what it waits for belongs to the code under test)
            await asyncio.sleep(0)


class EchoPort:
    """Keeps what it has to say while its link is clogged, up to `KEEPS` bytes, and counts what it drops."""

    KEEPS = 1_000
    is_owner = False

    def __init__(self, pen: "EchoPen") -> None:
        self.pen = pen
        self.on_output: Callable[[bytes], None] | None = None
        self.on_hang_up: Callable[[], None] | None = None
        self.closed = False
        self.ends = 0
        self.dropped = 0
        self.clogged = False
        self.told: list[tuple[str, int]] = []
        self._out = bytearray()

    def write(self, data: bytes) -> None:
        self.pen.heard.append((self.pen.now_ms, data))
        if b"break" in data:
            raise RuntimeError("a planted mistake")
        self.say(data)

    def say(self, data: bytes) -> None:
        if self.clogged and len(self._out) + len(data) > self.KEEPS:
            self.dropped += len(data)
            return
        self._out += data
        if not self.clogged:
            self._send()

    def clog(self, *, clogged: bool) -> None:
        self.clogged = clogged
        if self._out and not clogged:
            self._send()

    def vanish(self) -> None:
        self.closed = True
        if self.on_hang_up is not None:
            self.on_hang_up()

    def close(self) -> None:
        self.closed = True
        self.ends += 1

    def refusal(self, value: bytes) -> int:
        return 0x82 if b"no" in value else 0

    def agree_mtu(self, att_mtu: int) -> None:
        self.told.append(("mtu", att_mtu))

    def subscribe(self, channel: int, *, on: bool) -> int:
        self.told.append(("subscribe", channel * 2 + on))
        return 0

    def bonding(self, *, begins: bool) -> bool:
        return False

    def encrypted(self, key: bytes) -> None:
        self.told.append(("encrypted", len(key)))

    def bond_key(self) -> bytes:
        return b""

    def handed_on(self) -> None:
        self.told.append(("handed on", 1))

    def _send(self) -> None:
        assert self.on_output is not None
        data = bytes(self._out)
        self._out.clear()
        self.on_output(data)


class EchoPen:
    """Says `beat` on every link each `beat_ms`, 0 for never."""

    def __init__(self, beat_ms: int = 0) -> None:
        self.now_ms = 0
        self.beat_ms = beat_ms
        self.ports: list[EchoPort] = []
        self.kinds: list[PortKind] = []
        self.heard: list[tuple[int, bytes]] = []
        self.beats: list[int] = []
        self.off = False

    def connect(self, kind: PortKind = PortKind.STREAM) -> EchoPort:
        if self.off:
            raise DermalinkError("the pen is off")
        self.kinds.append(kind)
        self.ports.append(EchoPort(self))
        return self.ports[-1]

    def read_gatt(self, uuid16: int) -> bytes:
        if self.off:
            raise DermalinkError("the pen is off")
        return uuid16.to_bytes(2, "little")

    def clogged(self, port: int) -> bool:
        return self.ports[port].clogged

    def next_wake_ms(self) -> int:
        return self._to_beat() if self.beat_ms else 60_000

    def _to_beat(self) -> int:
        return self.beat_ms - self.now_ms % self.beat_ms

    def advance(self, ms: int) -> None:
        assert ms > 0
        until = self.now_ms + ms
        while self.beat_ms and self.now_ms + self._to_beat() <= until:
            self.now_ms += self._to_beat()
            self.beats.append(self.now_ms)
            for port in self.ports:
                if not port.closed:
                    port.say(b"beat")
        self.now_ms = until
