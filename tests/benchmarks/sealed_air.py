"""A sealed round trip by BLE against one in the clear: as by cable (`sealed_trip`), over an air that loses nothing."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.runner import PenRunner
from tests.benchmarks.measure import Row
from tests.benchmarks.sealed_trip import measured
from tests.support.owned import give_owner

SEED: Final = 3
AT_REST_MS: Final = 2_000  # a pen that was switched on tests itself first
WITHIN_S: Final = 60.0  # it takes 3 s


async def sealed_by_ble(att_mtu: int) -> Row:
    """Two pens, each on an air of its own, at this ATT_MTU."""
    async with AsyncExitStack() as stack:
        sealed = await a_pen(stack, "sealed", att_mtu, owned=True)
        clear = await a_pen(stack, "clear", att_mtu, owned=False)
        return await asyncio.wait_for(measured(f"BLE, ATT_MTU {att_mtu}", sealed, clear), WITHIN_S)


async def a_pen(stack: AsyncExitStack, air: str, att_mtu: int, *, owned: bool) -> str:
    """The URL of one on this air; it has an owner if `owned`."""
    pen = SimulatedPen(seed=SEED)
    pen.advance(AT_REST_MS)  # Bluetooth's own bond is made with a pen at rest
    runner = PenRunner(pen)
    stack.callback(runner.stop)
    if owned:
        runner.act(lambda: give_owner(pen))
    door = await BleDoor.open(runner, f"air:{air}", serial_number=serial_number(SEED), seed=SEED, air="perfect")
    stack.push_async_callback(door.close)
    return f"{door.url}?radio=air:[mtu={att_mtu}]{air}"
