"""The real simulated pen behind its BLE door, on an air in this process: reached by bleak, over all of Bluetooth."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.runner import PenRunner
from tests.unit.host.simulated import Desk

_numbers = count()


@asynccontextmanager
async def on_air(*, air: str = "perfect", options: str = "", seed: int = 1, **of_pen: Any) -> AsyncIterator[Desk]:
    """One pen on the air; `options` stand in its radio's square brackets, as `mtu=23`."""
    sim = SimulatedPen(seed=seed, **of_pen)
    runner = PenRunner(sim)
    name = f"desk{next(_numbers)}"
    try:
        door = await BleDoor.open(runner, f"air:{name}", serial_number=serial_number(seed), seed=seed, air=air)
        try:
            radio = f"air:[{options}]{name}" if options else f"air:{name}"
            yield Desk(sim, runner, f"{door.url}?radio={radio}")
        finally:
            await door.close()
    finally:
        runner.stop()
