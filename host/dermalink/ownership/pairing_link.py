"""A connection in the clear that can pair and do nothing else: greeted, with what was negotiated kept byte for byte.

Pairing raises exposure, for an owner can run the pen. No gate is opened for it: of all that raises exposure, what goes
out by this connection is the steps that were made here, each once.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from dermalink.channel.opening import open_channel
from dermalink.channel.sealable_link import SealableLink
from dermalink.connecting import last_command_id, refuse_another, say_hello, serial_text
from dermalink.connection import Connection
from dermalink.links.link import Link
from dermalink.ownership.owned_pen import OwnedPen
from dermalink_protocol.limits import TTL_MAX_MS
from dermalink_protocol.messages.identity import GetStatus, HelloReply
from dermalink_protocol.messages.owner import GetOwner, Owner, PairStep
from dermalink_protocol.schema import Request

# Four products on P-256 in a microcontroller's software are some 0.4 s each (assumption); an owner's two sectors are
# erased in 0.4 s each before he is written. Twice that.
STEP_WITHIN_S: Final = 4.0


BLE: Final = "ble"


class PairingLink:
    """See the module; `greeted` makes it."""

    def __init__(self, connection: Connection, link: SealableLink, hello: HelloReply, made: "StepsMade") -> None:
        self.connection: Final = connection
        self.hello: Final = hello
        self.serial_number: Final = serial_text(hello)
        self._link = link
        self._made = made
        self._last_id: int | None = None

    @property
    def negotiated(self) -> tuple[bytes, bytes]:
        """The bodies of hello and of its reply, as they went over the wire."""
        return self._link.negotiated

    async def standing(self) -> Owner:
        """How the pen stands to owners; raises `PenRefusal` (NOT_BUILT) for a pen that knows none, and as a request."""
        return await self.connection.request(GetOwner())

    async def step(self, number: int, share: bytes = b"") -> bytes:
        """Take a step, and return what the pen says to it; raises `PenRefusal`, `Timeout`, `LinkError` as a request."""
        if self._last_id is None:
            self._last_id = await last_command_id(self.connection) or 0
        self._last_id += 1
        status = await self.connection.request(GetStatus())
        ttl_ms = min(int(TTL_MAX_MS), self.hello.ttl_max_ms)
        fields = {"command_id": self._last_id, "ttl_ms": ttl_ms, "seen_tick_ms": status.tick_ms}
        step = self._made.make(PairStep(**fields, step=number, share=share))
        within_s = STEP_WITHIN_S + self.connection.link.late_s
        return (await self.connection.request(step, within_s=within_s)).share

    async def bond(self, owned: OwnedPen) -> None:
        """Have the link encrypted by a bond of Bluetooth's, which the press that paired serves as well; BLE alone.

        A pen keeps a bond when its owner is there, under seal, on the link that it encrypts. Raises a `LinkError`
        (`BondMissing`), a `ChannelError`, `Timeout`, or as a request; the pen is paired all the same.
        """
        if self._link.kind != BLE:
            return

        async def greeted_again() -> HelloReply:
            hello = await say_hello(self.connection)
            refuse_another(self._link, hello)
            return hello

        await open_channel(self.connection, self._link, owned, await greeted_again(), greeted_again)
        await self._link.secure(pairs=True)

    async def forget_bond(self) -> bool:
        """Let go of the link and of an old bond; see `Link.forget_bond`."""
        return await self._link.forget_bond()


class StepsMade:
    """The steps that may go out, each once; nothing else that raises exposure or keeps alive what runs."""

    def __init__(self) -> None:
        self._waiting: list[PairStep] = []

    def make(self, step: PairStep) -> PairStep:
        """This very step may go."""
        self._waiting = [step]
        return step

    def admit(self, request: Request[Any]) -> bool:
        """Whether it is that step, and has not gone."""
        if not any(held is request for held in self._waiting):
            return False
        self._waiting = []
        return True


@contextlib.asynccontextmanager
async def greeted(link: Link, trace: Callable[[Connection], None] | None = None) -> AsyncIterator[PairingLink]:
    """Say hello over a link, which is owned from here on, and closed on every way out; raises as `say_hello` does."""
    sealable, made = SealableLink(link), StepsMade()
    connection = Connection(sealable, admit=made.admit)
    try:
        if trace is not None:
            trace(connection)
        connection.start()
        hello = await say_hello(connection)
        refuse_another(link, hello)
        yield PairingLink(connection, sealable, hello, made)
    finally:
        await connection.close()
