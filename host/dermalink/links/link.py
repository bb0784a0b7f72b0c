"""What a link is: whole messages to and from one pen, however they travel.

A message-sized interface, so that a stream of bytes (`stream.StreamLink` on a `BytePipe`) and BLE characteristics
fit behind it alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dermalink.errors import LinkError
from dermalink_protocol.channels import Channel

SENT = "->"
RECEIVED = "<-"
UNSEALED = ("in_the_clear", "forged", "replayed", "too_old", "too_far_ahead", "no_record")


@dataclass(slots=True)
class LinkCounters:
    """What went over a link since it was opened; `broken_frames` and `noise_bytes` came in and were no message.

    `repeated` values came twice over BLE, as BlueZ delivers them after a lost link, and were dropped.

    Once the link is sealed (SR-SEC-1) these count what was dropped: messages `in_the_clear`, and records that were
    `forged` (their seal is wrong), `replayed`, `too_old`, `too_far_ahead`, or by their length `no_record`.
    """

    frames_sent: int = 0
    frames_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    broken_frames: int = 0
    noise_bytes: int = 0
    repeated: int = 0
    in_the_clear: int = 0
    forged: int = 0
    replayed: int = 0
    too_old: int = 0
    too_far_ahead: int = 0
    no_record: int = 0

    def unsealed(self) -> dict[str, int]:
        """What a sealed link dropped, by kind; kinds that never came are left out."""
        counts = {kind: int(getattr(self, kind)) for kind in UNSEALED}
        return {kind: count for kind, count in counts.items() if count}


@dataclass(slots=True)
class Tap:
    """Who watches a link; each is called with `SENT` or `RECEIVED` first. What is None costs nothing.

    `on_frame` gets a channel and a body, `on_bytes` raw bytes, `on_noise` what came in between frames (boot text).
    `on_dropped` gets what a sealed link did not believe: which of `UNSEALED`, the channel, and the body as it came.
    """

    on_frame: Callable[[str, Channel, bytes], None] | None = None
    on_bytes: Callable[[str, bytes], None] | None = None
    on_noise: Callable[[bytes], None] | None = None
    on_dropped: Callable[[str, Channel, bytes], None] | None = None


class Link(Protocol):
    """A way to one pen. Opened once; closed once or more often; never opened again."""

    counters: LinkCounters
    tap: Tap

    @property
    def url(self) -> str:
        """The URL that it was opened by."""

    @property
    def kind(self) -> str:
        """The URL's scheme."""

    @property
    def promised_serial(self) -> str:
        """The serial number of the pen that the way is said to lead to; "" when nothing was said."""

    @property
    def stop_again_s(self) -> float:
        """After how long without an answer a Stop is worth sending again; long where the link itself delivers."""

    @property
    def late_s(self) -> float:
        """How much later than by a cable a Stop may be proved while the link is up and loses nothing for good."""

    async def send(self, channel: Channel, body: bytes) -> None:
        """Hand one message to the system; waits its turn while the link is clogged.

        Raises `LinkLost` or `LinkClosed`. Cancelled before its turn, nothing of it was sent; after, all of it will be.
        """

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        """Hand one message on if it would not have to wait, and say whether it was; raises as `send` does.

        With `gather` it may go out at the end of the loop's turn, together with others.
        """

    def send_now(self, channel: Channel, body: bytes) -> None:
        """Hand one message on before all that waits (Stop); never waits, and raises nothing for a full queue.

        Raises `LinkLost` or `LinkClosed`.
        """

    async def read_status(self) -> bytes | None:
        """The body of a status of now, read past all that the pen has to say yet; None where a link has no such way.

        Raises nothing; whoever gives it up stops no read that has begun.
        """

    async def receive(self) -> tuple[Channel, bytes]:
        """The next message, for one caller at a time; raises `LinkLost` at the end, `LinkClosed` after `close`."""

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        """In place of `receive`: call `take` with each message as it comes, and `end` once, with what `receive` raises.

        Both only take note. It saves two turns of the loop a message.
        """

    async def secure(self, *, pairs: bool) -> None:
        """Have the channels too that a pen may keep for an encrypted link: over BLE, elsewhere there is nothing to do.

        Called when the pen is known to be this host's to run; with `pairs` a bond is made if it takes one. Bounded
        in time, and Stop never waits for it. Raises `BondMissing` or another `LinkError`, and has let go of the link.
        """

    async def forget_bond(self) -> bool:
        """Let go of the link, and have this computer forget its bond with this pen; whether there was one to forget.

        False as well where no program can have it forgotten (macOS). Bounded in time; raises nothing.
        """

    async def close(self) -> None:
        """Let go of everything, in bounded time; may be called again, and while others send or receive."""


class BytePipe(Protocol):
    """A stream of bytes both ways; what a serial port, a TCP connection and a simulated pen have in common."""

    @property
    def clogged(self) -> bool:
        """Whether `drain` would have to wait."""

    def write(self, data: bytes) -> None:
        """Take `data`, without waiting; raises `LinkLost` when the far end is known to be gone."""

    async def drain(self) -> None:
        """Wait until all that was written is in the system's hands; raises `LinkLost` when it never will be."""

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the far end's end. One caller at a time."""

    def push_to(self, data: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """In place of `read`: call `data` with what comes, as it comes, and `end` once."""

    async def close(self) -> None:
        """Let go of everything, in bounded time; may be called again."""
