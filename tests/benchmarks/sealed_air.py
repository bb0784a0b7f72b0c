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


async def sealed_by_ble() -> Row:
    """Two pens, each on an air of its own; the ATT_MTU is the 247 that the pen and the host agree."""
    async with AsyncExitStack() as stack:
        sealed = await a_pen(stack, "air:sealed", owned=True)
        clear = await a_pen(stack, "air:clear", owned=False)
        return await asyncio.wait_for(measured("BLE", sealed, clear), WITHIN_S)


async def a_pen(stack: AsyncExitStack, air: str, *, owned: bool) -> str:
    """The URL of one on this air; it has an owner if `owned`."""
    pen = SimulatedPen(seed=SEED)
    pen.advance(AT_REST_MS)  # Bluetooth's own bond is made with a pen at rest
    runner = PenRunner(pen)
    stack.callback(runner.stop)
    if owned:
        runner.act(lambda: give_owner(pen))
    door = await BleDoor.open(runner, air, serial_number=serial_number(SEED), seed=SEED, air="perfect")
    stack.push_async_callback(door.close)
    return f"{door.url}?radio={door.radio}"
