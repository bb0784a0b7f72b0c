"""A central that speaks Bluetooth's own pairing by hand, packet by packet, and holds to no rule a test doesn't want.

The functions of the toolbox are Bumble's (f4, f5, f6); nothing here is the pen's or our host's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bumble import crypto, hci, smp
from bumble.device import Connection

from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.pen import SimulatedPen
from tests.support.sealed_client import inside, owned_pen
from tests.unit.doors.ble_central import ANSWER_S, Bench, RawCentral, bench

SEED = 7
# IO capability, OOB, AuthReq (bonding, Secure Connections), key size, keys of either side.
REQUEST = bytes([1, 3, 0, 0x09, 16, 0, 0])
RESPONSE = bytes([2, 3, 0, 0x09, 16, 0, 0])
PUBLIC_KEY, CONFIRM, RANDOM, CHECK, FAILED = 0x0C, 0x03, 0x04, 0x0D, 0x05
NA = bytes(range(16))


class NotEncrypted(Exception):
    """The link is not encrypted, and this is why (an HCI error code)."""


class SmpCentral:
    """One link's Security Manager channel; `said` is all that the pen sends there."""

    def __init__(self, host: RawCentral) -> None:
        self.host = host
        self.own = crypto.EccKey.generate()  # type: ignore[attr-defined]
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.key = b""
        host.device.l2cap_channel_manager.register_fixed_channel(smp.SMP_CID, lambda _, pdu: self.said.put_nowait(pdu))

    @property
    def connection(self) -> Connection:
        assert self.host.connection is not None
        return self.host.connection

    def say(self, *pdus: bytes) -> None:
        for pdu in pdus:
            if self.host.ended is None:
                self.host.device.send_l2cap_pdu(self.connection.handle, smp.SMP_CID, pdu)

    async def answer(self) -> bytes:
        async with asyncio.timeout(ANSWER_S):
            return await self.said.get()

    async def ask(self, pdu: bytes) -> bytes:
        self.say(pdu)
        return await self.answer()

    async def hears_nothing(self, seconds: float = 1.0) -> bool:
        await asyncio.sleep(seconds)
        return self.said.empty()

    # A pairing, step by step

    @property
    def public_key(self) -> bytes:
        return bytes([PUBLIC_KEY]) + self.own.x[::-1] + self.own.y[::-1]

    def address(self, peer: bool) -> bytes:
        address = self.connection.peer_address if peer else self.connection.self_address
        return bytes(address) + bytes([address.is_random])

    async def to_response(self) -> None:
        assert await self.ask(REQUEST) == RESPONSE

    async def to_keys(self) -> None:
        """Both public keys, and what the pen commits to."""
        theirs = await self.ask(self.public_key)
        assert theirs[0] == PUBLIC_KEY
        self.theirs = theirs[1:33]
        self.dh = self.own.dh(theirs[1:33][::-1], theirs[33:][::-1])[::-1]
        confirm = await self.answer()
        assert confirm[0] == CONFIRM
        self.committed = confirm[1:]

    async def to_random(self) -> None:
        said = await self.ask(bytes([RANDOM]) + NA)
        assert said[0] == RANDOM
        self.nb = said[1:]
        assert crypto.f4(self.theirs, self.own.x[::-1], self.nb, b"\0") == self.committed
        a, b = self.address(False), self.address(True)
        mac_key, self.ltk = crypto.f5(self.dh, NA, self.nb, a, b)
        self.check = crypto.f6(mac_key, NA, self.nb, bytes(16), REQUEST[1:4], a, b)
        self.expected = crypto.f6(mac_key, self.nb, NA, bytes(16), RESPONSE[1:4], b, a)

    async def to_check(self) -> None:
        assert await self.ask(bytes([CHECK]) + self.check) == bytes([CHECK]) + self.expected
        self.key = self.ltk

    async def pair(self) -> bytes:
        """The whole of it; the key."""
        for step in self.steps:
            await step()
        return self.key

    @property
    def steps(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        return self.to_response, self.to_keys, self.to_random, self.to_check

    # Encryption

    async def encrypt(self, key: bytes, *, random: bytes = bytes(8), diversifier: int = 0) -> None:
        """Encrypt the link with this key, or anew; raises `NotEncrypted`, or `ConnectionError` where the link ends."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def ended(code: int) -> None:
            if not done.done():
                done.set_result(code)

        connection = self.connection
        heard: dict[str, Callable[..., None]] = {
            connection.EVENT_CONNECTION_ENCRYPTION_CHANGE: lambda: ended(0),
            connection.EVENT_CONNECTION_ENCRYPTION_KEY_REFRESH: lambda: ended(0),
            connection.EVENT_CONNECTION_ENCRYPTION_FAILURE: ended,
            connection.EVENT_DISCONNECTION: lambda _: ended(-1),
        }
        for event, handler in heard.items():
            connection.on(event, handler)
        try:
            await self.host.device.host.send_async_command(
                hci.HCI_LE_Enable_Encryption_Command(
                    connection_handle=connection.handle,
                    random_number=random,
                    encrypted_diversifier=diversifier,
                    long_term_key=key,
                )
            )
            async with asyncio.timeout(ANSWER_S):
                code = await done
        finally:
            for event, handler in heard.items():
                connection.remove_listener(event, handler)
        if code == -1:
            raise ConnectionError
        if code:
            raise NotEncrypted(code)


@asynccontextmanager
async def bonding_bench(pen: SimulatedPen | None = None, air: str = "perfect") -> AsyncIterator[Bench]:
    """A pen with an owner, at its door."""
    async with bench(air, SEED, pen or owned_pen(seed=SEED)) as made:
        yield made


async def press(pen: Bench) -> None:
    """A finger's press, and what the pen makes of it."""
    pen.runner.act(pen.pen.button.press)
    await asyncio.sleep(1)


@asynccontextmanager
async def central(pen: Bench, number: int = 1) -> AsyncIterator[SmpCentral]:
    """One that is connected."""
    async with pen.host(number) as host:
        yield SmpCentral(host)


def inside_of(pen: Bench) -> PenFirmware:
    """Its firmware."""
    assert isinstance(pen.pen.firmware, PenFirmware)
    return pen.pen.firmware


def kept(pen: Bench) -> bytes:
    """The bond that the pen keeps; zeros for none."""
    return inside_of(pen).bond_key()


def keys_of_links(pen: Bench) -> list[bytes]:
    """What the links are encrypted with, as the firmware knows it."""
    return [port.key for port in inside(pen.pen).ports.values() if isinstance(port, GattPort)]
