"""Acts three and four: the link is cut in the middle of a pass, and a host is killed in the middle of one."""

import asyncio
import contextlib
import json
import sys
from typing import Final

from dermalink.demo.act import Act, write_plan
from dermalink.demo.hand import READS_S, ScriptedPerson
from dermalink.demo.simulator import Truth
from dermalink.errors import LinkError
from dermalink.pen import Pen
from dermalink.session import events
from dermalink.session.events import Event
from dermalink.session.runner import Session
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import StatusFlag

MIDDLE_PERCENT: Final = 25
IN_WITHIN_S: Final = 3.0
LONGEST_MS: Final = int(LEASE_DEFAULT_MS) + int(IN_WITHIN_MS)
HOST: Final = (sys.executable, "-m", "dermalink.cli.start", "session", "run")


async def cut_the_link(act: Act) -> None:
    """The cable is pulled while needles are out."""
    plan = write_plan(act.folder, "vertical")
    cut_at_ms: list[int] = []

    async def cut() -> None:
        cut_at_ms.append((await act.simulator.truth()).now_ms)
        await act.simulator.do("fault.inject", unit="link", kind="cut")

    cutting: list[asyncio.Task[None]] = []

    def watch(event: Event) -> None:
        if isinstance(event, events.Progress) and event.coverage_percent >= MIDDLE_PERCENT and not cutting:
            cutting.append(asyncio.ensure_future(cut()))

    person = ScriptedPerson(act.simulator, watch)
    try:
        with contextlib.suppress(LinkError):
            async with await act.connect() as pen:
                await Session(pen, plan, person.words, person.show).run()
        await asyncio.gather(*cutting)
    finally:
        await person.close()
    truth = await act.simulator.until_in(IN_WITHIN_S)
    _measured(act, "the link cut in the middle of a pass", cut_at_ms, truth)
    await act.simulator.do("fault.clear")
    await _pen_says(act)


async def kill_the_host(act: Act) -> None:
    """`kill -9`: no handler, no farewell, nothing sent."""
    write_plan(act.folder, "vertical")
    options = ("--no-ask", "--json", "--pen", act.simulator.url, "--journal", str(act.folder / "journal.jsonl"))
    host = await asyncio.create_subprocess_exec(
        *HOST, str(act.folder / "plan.toml"), *options, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    killed_at_ms: list[int] = []
    try:
        assert host.stdout is not None
        async for line in host.stdout:
            said = json.loads(line)
            if said["event"] == "press_asked":
                await asyncio.sleep(READS_S)
                await act.simulator.do("button.press")
            elif said["event"] == "pass_started":
                await act.simulator.do("hand.sweep", zone="nose", direction="vertical", speed_mm_s=40)
            elif said["event"] == "progress" and said["coverage_percent"] >= MIDDLE_PERCENT:
                killed_at_ms.append((await act.simulator.truth()).now_ms)
                host.kill()
                break
    finally:
        with contextlib.suppress(ProcessLookupError):
            host.kill()
        await host.wait()
    truth = await act.simulator.until_in(IN_WITHIN_S)
    _measured(act, f"a host killed (process {host.pid}) in the middle of a pass", killed_at_ms, truth)
    await act.simulator.do("hand.lift")
    await _pen_says(act)


def _measured(act: Act, what: str, at_ms: list[int], truth: Truth) -> None:
    if not at_ms or truth.last_in_ms is None:
        act.stage.result(what, "the needles are not measured in", good=False)
        return
    after = truth.last_in_ms - at_ms[0]
    came = f"needles measured in {after:.0f} ms later, by the pen's own lease of {int(LEASE_DEFAULT_MS)} ms"
    act.stage.result(what, came, good=0 < after <= LONGEST_MS and not truth.motor_turns)


async def _pen_says(act: Act) -> None:
    """Connect again, and ask."""
    async with await Pen.connect(act.simulator.url, inspect_only=True) as pen:
        status = await pen.status()
    measured = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF
    inside = status.flags & measured == measured
    needles = "needles in and motor off" if inside else "NOT measured in"
    said = f"{status.state.name.lower()}, {needles}; nothing goes on without the host's word and a press"
    act.stage.result("connected again, the pen says", said, good=inside and StatusFlag.ARMED not in status.flags)
