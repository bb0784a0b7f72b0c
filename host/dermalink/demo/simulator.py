"""The demo's only way to the simulator: a process of its own, and its control channel. Nothing of it is imported."""

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from dermalink.errors import HostError

SIMULATOR: Final = (sys.executable, "-m", "dermalink_simulator.cli.start")
READY_WITHIN_S: Final = 20.0  # a second on an idle machine; a busy one may import slowly
ANSWER_WITHIN_S: Final = 10.0
ENDS_WITHIN_S: Final = 5.0
POLL_S: Final = 0.02
# No radio is needed: the host, through the same stack, is the other end of the pen's.
ON_THE_AIR: Final = ("--ble", "tcp-server:127.0.0.1:0")


class SimulatorFailed(HostError):
    """The simulated pen could not be started, or went away."""


class Truth(NamedTuple):
    """What is so, whatever the pen says; times are ms of the pen's own time."""

    now_ms: int
    needles_out: bool
    motor_turns: bool
    last_in_ms: float | None
    deepest_um: int
    punctures: int


class Simulator:
    """One simulated pen in a process of its own; `async with` starts and ends it."""

    def __init__(self, folder: Path, *options: str, door: tuple[str, ...] = ()) -> None:
        """`folder` takes the pen's state and its port; `options` are those of `dermalink-sim serve`, and so is `door`.

        Without a door named it has a serial port, or where there are no pseudo-terminals a TCP port.
        """
        self._options = options
        self._door = door or (("--tcp", "127.0.0.1:0") if sys.platform == "win32" else ("--pty", str(folder / "pen")))
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()
        self._asked = 0
        self.url = self.serial_number = self.setup_code = ""

    async def __aenter__(self) -> Self:
        words = (*SIMULATOR, "serve", *self._door, "--control", "127.0.0.1:0", "--json", *self._options)
        # A process group of its own: Ctrl-C is for the host first, which stops the pen and then ends it.
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, **apart)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                ready = await self._ready()
        except TimeoutError:
            await self._end()
            raise SimulatorFailed("The simulated pen was not ready in time", limit=f"{READY_WITHIN_S:g} s") from None
        except BaseException:
            await self._end()
            raise
        self.url, self.serial_number = ready["urls"][0], ready["serial_number"]
        self.setup_code = ready["setup_code"]  # as the card that comes with the pen has it
        host, _, port = ready["control"].rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        return self

    async def _ready(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                said: dict[str, Any] = json.loads(line)
                if said.get("event") == "ready":
                    return said
        raise SimulatorFailed(
            "The simulated pen did not start", advice="Try it by itself: dermalink-sim serve, and see what it says"
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def do(self, word: str, **arguments: Any) -> dict[str, Any]:
        """One word of the control channel. Raises `SimulatorFailed`."""
        assert self._reader is not None
        assert self._writer is not None
        async with self._turn:
            self._asked += 1
            self._writer.write(json.dumps({"id": self._asked, "do": word, "with": arguments}).encode() + b"\n")
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._writer.drain()
                    answer: dict[str, Any] = {}
                    while answer.get("id") != self._asked:  # one that nobody waited for any more goes by
                        answer = json.loads(await self._reader.readline())
            except (OSError, ValueError, TimeoutError) as error:
                raise SimulatorFailed("The simulated pen went away", limit=str(error)) from error
        if "error" in answer:
            raise SimulatorFailed(f"The simulated pen refused {word}", limit=str(answer["error"].get("message")))
        result: dict[str, Any] = answer["result"]
        return result

    async def truth(self) -> Truth:
        """What is so now."""
        found = await self.do("truth")
        last = found["last_in_us"]
        return Truth(
            now_ms=found["now_ms"],
            needles_out=found["needles_out"],
            motor_turns=found["motor_turns"],
            last_in_ms=None if last is None else last / 1_000,
            deepest_um=found["deepest_um"],
            punctures=found["punctures"],
        )

    async def until_in(self, within_s: float) -> Truth:
        """The truth once needles are in and the motor stands, or after so long all the same."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            found = await self.truth()
            if not (found.needles_out or found.motor_turns) or asyncio.get_running_loop().time() >= deadline:
                return found
            await asyncio.sleep(POLL_S)
