"""A stranger beside the owner: no session for him, and his Stop is obeyed in the middle of the owner's pass."""

import asyncio
from typing import Final

from dermalink.demo.act import Act, write_plan
from dermalink.demo.act_losses import IN_WITHIN_S, MIDDLE_PERCENT
from dermalink.demo.hand import ScriptedPerson
from dermalink.errors import NotOwner
from dermalink.pen import Pen
from dermalink.session import events
from dermalink.session.events import Event
from dermalink.session.outcome import Ending
from dermalink.session.runner import Session
from dermalink.stopping import CONFIRM_WITHIN_S

BESIDE_THE_OWNER: Final = ("--tcp", "127.0.0.1:0")  # a serial port has one host
SAID_WITHIN_MS: Final = CONFIRM_WITHIN_S * 1_000


def no_keys(_serial_number: str) -> None:
    """A computer that has paired with no pen."""


async def play(act: Act) -> None:
    """Refuse the stranger a session, and obey his Stop."""
    act.stage.say("Now another computer, which has no keys, reaches the same pen.")
    await _refused(act)
    act.stage.say("Its owner begins a pass; in the middle of it the stranger says Stop.")
    said_at_ms, ending = await _stopped(act)
    await _obeyed(act, said_at_ms, ending)


async def _refused(act: Act) -> None:
    try:
        async with await Pen.connect(act.simulator.url, known=no_keys):
            said, good = "it was let in", False
    except NotOwner as refused:
        said, good = str(refused), True
    act.stage.result("a session for a stranger", said, good=good)
    act.stage.in_short("Refused: a session for a computer that has no keys of the pen.", good=good)


async def _stopped(act: Act) -> tuple[list[int], Ending]:
    """Run the owner's pass until the stranger stops it: when, in ms of the pen's time, and how that session ended."""
    said_at_ms: list[int] = []
    plan = write_plan(act.folder, "vertical")

    async def stop() -> None:
        async with await Pen.connect(act.simulator.url, inspect_only=True, known=no_keys) as stranger:
            said_at_ms.append((await act.simulator.truth()).now_ms)
            await stranger.stop()

    stopping: list[asyncio.Task[None]] = []

    def watch(event: Event) -> None:
        if isinstance(event, events.Progress) and event.coverage_percent >= MIDDLE_PERCENT and not stopping:
            stopping.append(asyncio.ensure_future(stop()))

    person = ScriptedPerson(act.simulator, watch)
    try:
        async with await act.connect() as pen:
            summary = await Session(pen, plan, person.words, person.show).run()
        await asyncio.gather(*stopping)
    finally:
        await person.close()
    return said_at_ms, summary.ending


async def _obeyed(act: Act, said_at_ms: list[int], ending: Ending) -> None:
    truth = await act.simulator.until_in(IN_WITHIN_S)
    after_ms = truth.last_in_ms - said_at_ms[0] if said_at_ms and truth.last_in_ms is not None else -1.0
    inside = not (truth.needles_out or truth.motor_turns)
    good = inside and 0 < after_ms <= SAID_WITHIN_MS and ending is Ending.STOPPED
    what = "stranger's Stop in the middle of the owner's pass"
    allowed = f"at most {SAID_WITHIN_MS:.0f} ms are allowed, the link included"
    came = f"needles measured in {after_ms:.0f} ms later" if good else "the needles did not come in by it"
    act.stage.result(f"a {what}", f"{came}; {allowed}", good=good)
    act.stage.in_short(f"A {what}: {came}.", good=good)
