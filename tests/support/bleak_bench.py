"""A room with a radio and a little peripheral in it: the same by an air of this process and over a TCP socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import BaseBleakScanner

from dermalink_simulator.hardware.air import PERFECT, AirConditions
from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.backends import backends
from dermalink_simulator.radio.spaces import published_air
from dermalink_simulator.radio.transports import serve_controllers
from tests.support.little_peripheral import NAME, LittlePeripheral, little_peripheral

_numbers = count(1)


@dataclass
class Bench:
    """What a test has in its hands."""

    air: Air
    peripheral: LittlePeripheral
    spec: str
    client: type[BaseBleakClient]
    scanner: type[BaseBleakScanner]
    room: AsyncExitStack
    settled_s: float

    async def settle(self) -> None:
        """Until a notification that was sent has arrived."""
        await asyncio.sleep(self.settled_s)

    async def found(self, name: str = NAME) -> BLEDevice:
        device = await BleakScanner.find_device_by_name(name, backend=self.scanner)
        assert device is not None
        return device

    async def client_of(self, **options: Any) -> BleakClient:
        """A client of the peripheral, not connected yet."""
        return BleakClient(await self.found(), backend=self.client, **options)

    async def connected(self, **options: Any) -> BleakClient:
        client = await self.client_of(**options)
        await client.connect()
        return client

    def with_options(self, inside: str) -> "Bench":
        """The same room, its radio used with those options."""
        scheme, _, rest = self.spec.partition(":")
        spec = f"{scheme}:[{inside}]{rest}"
        return Bench(self.air, self.peripheral, spec, *backends(spec), self.room, self.settled_s)


@asynccontextmanager
async def bench(conditions: AirConditions = PERFECT, *, tcp: bool = False, seed: int = 0) -> AsyncIterator[Bench]:
    """The room; `room.aclose()` takes the radio away."""
    air = Air(conditions, seed)
    name = f"bench {next(_numbers)}"
    async with little_peripheral(air) as peripheral, AsyncExitStack() as room:
        spec = f"air:{name}"
        if tcp:
            spec = (await room.enter_async_context(serve_controllers("tcp-server:127.0.0.1:0", air))).reach
        else:
            room.enter_context(published_air(name, air))
        yield Bench(air, peripheral, spec, *backends(spec), room, 0.05 if tcp else 0.5)
    air.close()
