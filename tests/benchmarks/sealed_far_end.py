"""Two simulated pens in a process of their own: `sealed_far_end.py BY FOLDER`; it prints both URLs.

The first has an owner whose keys are the tests', the second none, so that it tells anybody who asks the same status; a
stranger would be told another. `BY` is `pty` or `tcp`. Both live in one process, so that neither has a processor to
itself that the other must do without.
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


async def serve(by: str, folder: Path) -> None:
    """Until the process is ended."""
    for name in ("sealed", "clear"):
        pen = SimulatedPen()
        runner = PenRunner(pen)
        if name == "sealed":
            runner.act(lambda pen=pen: give_owner(pen))  # type: ignore[misc]
        if by == "tcp":
            url = (await TcpDoor.open(runner, Address("127.0.0.1", 0))).url
        else:
            url = (await PtyDoor.open(runner, folder / name)).url
        print(url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
