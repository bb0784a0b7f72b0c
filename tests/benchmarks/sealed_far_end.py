"""The simulated pen in a process of its own, with an owner whose keys are the tests': `sealed_far_end.py pty|tcp PATH`.

It prints its URL. Whoever says nothing under seal is a stranger, who may ask for the status as well.
"""

import asyncio
import sys
from pathlib import Path

from dermalink_simulator.doors.address import Address
from dermalink_simulator.doors.pty import PtyDoor
from dermalink_simulator.doors.tcp import TcpDoor
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from tests.support.owned import give_owner


async def serve(by: str, path: Path) -> None:
    """Until the process is ended."""
    pen = SimulatedPen()
    runner = PenRunner(pen)
    runner.act(lambda: give_owner(pen))
    if by == "tcp":
        url = (await TcpDoor.open(runner, Address("127.0.0.1", 0))).url
    else:
        url = f"serial:{(await PtyDoor.open(runner, path)).path}"
    print(url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
