"""Serves a simulated pen until it is told to end: the doors, the runner, the state folder and the signals together."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dermalink_simulator.control.server import ControlDoor, NoControlError
from dermalink_simulator.doors.address import parse_address
from dermalink_simulator.doors.pty import PtyDoor
from dermalink_simulator.doors.tcp import TcpDoor
from dermalink_simulator.faults.spelling import FaultScript
from dermalink_simulator.making import KeptPen, check_options, make_pen
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.profile import profile_named
from dermalink_simulator.radio.specs import FOR_PROCESSES, check_spec
from dermalink_simulator.radio.transports import must_have_bumble
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.state_folder import Identity


class Wanted(NamedTuple):
    """What a person asked for; `given` names those of seed and profile that were said and not assumed."""

    tcp: str | None
    pty: Path | None
    ble: str | None
    air: str | None
    control: str | None
    state: Path | None
    seed: int
    profile: str
    given: frozenset[str]
    head: str | None
    follow_wall: bool
    speed: int
    person: bool
    faults: Path | None
    beyond_this_machine: bool


def _settle_memory() -> Callable[[], None]:
    """Look no more through what stays until the end; gives back what takes that back.

    Looking through it all at once takes 11 ms (measured), more than a Stop may take to the drive's cut (SR-STOP-7).
    """
    gc.collect()
    gc.freeze()
    return gc.unfreeze


class Serving:
    """One run of a simulated pen behind its doors; `say(event, **facts)` gets what a person or script should know."""

    def __init__(self, wanted: Wanted, say: Callable[..., None]) -> None:
        """Nothing is opened before `run`."""
        self._wanted, self._say = wanted, say
        self._urls: list[str] = []
        self._control = self._radio = ""

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM; raises what keeps a door or the folder shut, or `PenFailedError`."""
        wanted = self._wanted
        script = self._faults()
        async with contextlib.AsyncExitStack() as stack:
            told = stack.enter_context(_told_to_end())
            kept, pen = self._pen(stack)
            if script.faults and not pen.profile.control_channel:
                raise NoControlError("Faults were refused", rule="SR-SEC-4", limit="a product has no tester's door")
            runner = PenRunner(pen, speed=wanted.speed)
            stack.callback(runner.stop)
            if kept is not None:
                kept.follow(runner)
            ended = asyncio.ensure_future(told.wait())
            stack.callback(ended.cancel)
            if await _unless_told(self._open_doors(stack, runner, pen), ended):
                runner.act(lambda: pen.faults.play(script.faults))
                stack.callback(_settle_memory())
                self._say_ready(pen, kept, script)
                await asyncio.wait((ended, runner.failed), return_when=asyncio.FIRST_COMPLETED)
            if runner.failed.done():
                runner.failed.result()
            self._say("ending", says="ending, as told")

    def _faults(self) -> FaultScript:
        """What is to break; none where no file was named."""
        if self._wanted.faults is None:
            return FaultScript("", ())
        from dermalink_simulator.faults.file import load_faults  # a quarter of a second, which only a file costs

        return load_faults(self._wanted.faults)

    def _pen(self, stack: contextlib.AsyncExitStack) -> tuple[KeptPen | None, SimulatedPen]:
        wanted = self._wanted
        check_options(wanted.profile, wanted.seed, wanted.head)
        if wanted.state is None:
            return None, make_pen(wanted.profile, wanted.seed, wanted.head)
        identity = Identity(wanted.profile, wanted.seed)
        kept = KeptPen.open(wanted.state, identity, wanted.given, wanted.head, follow_wall=wanted.follow_wall)
        stack.callback(kept.close)
        return kept, kept.pen

    async def _open_doors(self, stack: contextlib.AsyncExitStack, runner: PenRunner, pen: SimulatedPen) -> None:
        wanted = self._wanted
        if wanted.control is not None:
            control = await ControlDoor.open(runner, pen, parse_address(wanted.control))
            stack.push_async_callback(control.close)
            self._control = str(control.address)
        if wanted.person:
            from dermalink_simulator.person import SimulatedPerson

            if not pen.profile.control_channel:
                raise NoControlError(
                    "A simulated person was refused", rule="SR-SEC-4", limit="a product has no tester's door"
                )
            person = SimulatedPerson(runner, pen)
            stack.callback(person.leave)
        if wanted.tcp is not None:
            address = parse_address(wanted.tcp)
            tcp = await TcpDoor.open(runner, address, beyond_this_machine=wanted.beyond_this_machine)
            stack.push_async_callback(tcp.close)
            self._urls.append(tcp.url)
        if wanted.pty is not None:
            pty = await PtyDoor.open(runner, wanted.pty)
            stack.push_async_callback(pty.close)
            self._urls.append(pty.url)
        if wanted.ble is not None:
            await self._open_ble(stack, runner, pen, wanted.ble)

    async def _open_ble(
        self, stack: contextlib.AsyncExitStack, runner: PenRunner, pen: SimulatedPen, spec: str
    ) -> None:
        check_spec(spec, FOR_PROCESSES)
        must_have_bumble()
        from dermalink_simulator.doors.ble import BleDoor  # a third of a second, which only this door costs

        ble = await BleDoor.open(
            runner,
            spec,
            serial_number=serial_number(pen.seed),
            seed=pen.seed,
            beyond_this_machine=self._wanted.beyond_this_machine,
            air=self._wanted.air,
        )
        stack.push_async_callback(ble.close)
        self._radio = ble.radio
        self._urls.append(f"{ble.url}?radio={ble.radio}" if ble.radio else ble.url)

    def _say_ready(self, pen: SimulatedPen, kept: KeptPen | None, script: FaultScript) -> None:
        self._say(
            "ready",
            urls=self._urls,
            radio=self._radio,
            control=self._control,
            faults=len(script.faults),
            faults_from=script.source,
            state="" if kept is None else str(kept.folder.path),
            serial_number=serial_number(pen.seed),
            profile=profile_named(pen.profile.name).name,
            seed=pen.seed,
            setup_code=pen.card.code.printed,
            card=pen.card.text,
            pid=os.getpid(),
        )


async def _unless_told(opening: Coroutine[Any, Any, None], told: "asyncio.Future[Any]") -> bool:
    """Whether the doors were opened before somebody wanted an end: a radio that does not answer takes 10 s."""
    task = asyncio.ensure_future(opening)
    try:
        await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.cancelled():
        return False
    task.result()
    return True


@contextlib.contextmanager
def _told_to_end() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C and SIGTERM set; the second Ctrl-C ends at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":  # no handlers there; asyncio.run turns Ctrl-C into a cancellation
        yield told
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def once(number: int) -> None:
        loop.remove_signal_handler(number)
        told.set()

    for number in numbers:
        loop.add_signal_handler(number, once, number)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
