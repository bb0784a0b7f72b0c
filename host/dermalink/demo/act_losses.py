"""Acts three to five: in the middle of a pass the link is cut, falls silent, and a host is killed."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from dermalink.demo.act import Act, write_plan
from dermalink.demo.hand import READS_S, ScriptedPerson
from dermalink.demo.simulator import Truth
from dermalink.errors import LinkError
from dermalink.ownership.store import KEYS_VARIABLE
from dermalink.session import events
from dermalink.session.events import Event
from dermalink.session.runner import Session
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import StatusFlag
from dermalink_protocol.wording import WORDING

MIDDLE_PERCENT: Final = 25
IN_WITHIN_S: Final = 3.0
LONGEST_MS: Final = int(LEASE_DEFAULT_MS) + int(IN_WITHIN_MS)
HOST: Final = (sys.executable, "-m", "dermalink.cli.start", "session", "run")


async def cut_the_link(act: Act) -> None:
    """The cable is pulled while needles are out: the pen sees it at once."""
    cut_at_ms = await lose(act, "The cable is pulled.", unit="link", kind="cut")
    truth = await act.simulator.until_in(IN_WITHIN_S)
    measured(act, "the link cut in the middle of a pass", cut_at_ms, truth)
    await act.simulator.do("fault.clear")
    await pen_says(act)


async def silence_the_link(act: Act) -> None:
    """From one moment on no byte gets through, and neither side is told: only the lease can know."""
    now = "From now on no byte gets through."
    silent_at_ms = await lose(act, now, unit="link", kind="loss", values={"permille": 1_000})
    truth = await act.simulator.until_in(IN_WITHIN_S)
    measured(act, "the link silent in the middle of a pass", silent_at_ms, truth)
    await act.simulator.do("fault.clear")
    await pen_says(act)


async def lose(act: Act, now: str, show: Callable[[Event], None] | None = None, **fault: Any) -> list[int]:
    """Run a session whose link breaks in the middle of its pass; when that was, in ms of the pen's time.

    `now` is said at that moment. `show` sees the session as a person would; without it only the loss is told of.
    """
    plan = write_plan(act.folder, "vertical")
    at_ms: list[int] = []

    async def lose() -> None:
        at_ms.append((await act.simulator.truth()).now_ms)
        await act.simulator.do("fault.inject", **fault)
        act.stage.say(now, style="bold")

    losing: list[asyncio.Task[None]] = []

    def tell(event: Event) -> None:
        if isinstance(event, events.LinkGone):
            act.stage.say(f"The host says: {event.words.rstrip('.')}.", style="dim")

    def watch(event: Event) -> None:
        (show or tell)(event)
        if isinstance(event, events.Progress) and event.coverage_percent >= MIDDLE_PERCENT and not losing:
            losing.append(asyncio.ensure_future(lose()))

    person = ScriptedPerson(act.simulator, watch)
    try:
        with contextlib.suppress(LinkError):
            async with await act.connect() as pen:
                await Session(pen, plan, person.words, person.show).run()
        await asyncio.gather(*losing)
    finally:
        await person.close()
    return at_ms


async def kill_the_host(act: Act) -> None:
    """`kill -9`: no handler, no farewell, nothing sent."""
    write_plan(act.folder, "vertical")
    options = ("--no-ask", "--json", "--pen", act.simulator.url, "--journal", str(act.folder / "journal.jsonl"))
    host = await asyncio.create_subprocess_exec(
        *HOST, str(act.folder / "plan.toml"), *options,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {KEYS_VARIABLE: str(act.keys_folder)},
    )  # fmt: skip
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
    measured(act, "a host killed in the middle of a pass", killed_at_ms, truth)
    await act.simulator.do("hand.lift")
    await pen_says(act)


def measured(act: Act, what: str, at_ms: list[int], truth: Truth) -> None:
    """How long after the loss the needles were measured in, by the simulator's truth, and the limit beside it."""
    if not at_ms or truth.last_in_ms is None:
        act.stage.result(what, "the needles are not measured in", good=False)
        act.stage.in_short(f"{what.capitalize()}: the needles are not measured in.", good=False)
        return
    after = truth.last_in_ms - at_ms[0]
    good = 0 < after <= LONGEST_MS and not truth.motor_turns
    act.stage.result(what, f"needles measured in {after:.0f} ms later; at most {LONGEST_MS} ms are allowed", good=good)
    said = f"{what[0].upper()}{what[1:]}: needles in after {after:.0f} ms ({LONGEST_MS} ms are allowed)."
    act.stage.in_short(said, good=good)


async def pen_says(act: Act) -> None:
    """Connect again, and ask."""
    async with await act.inspect() as pen:
        status = await pen.status()
    both = StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF
    inside = status.flags & both == both and StatusFlag.ARMED not in status.flags
    needles = "needles in and motor off" if inside else "NOT measured in"
    why = WORDING[status.reason].said
    said = f"{status.state.name.lower()} ({why}), {needles}; it goes on only by the host's word and a press"
    if not act.stage.result("connected again, the pen says", said, good=inside):
        act.stage.in_short("Connected again, the pen did not say that its needles are in.", good=False)
