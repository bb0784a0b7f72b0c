"""Act one: a pen is found, and a person is led through a short plan in real time."""

import sys

from dermalink.connecting import serial_text
from dermalink.demo.act import Act, write_plan
from dermalink.demo.hand import ScriptedPerson
from dermalink.demo.stage import Stage
from dermalink.discovery import discover
from dermalink.display.live import display_for
from dermalink.display.units import count, um
from dermalink.session.outcome import Ending
from dermalink.session.runner import Session

KEYS = "a simulated person presses the button and moves the pen"


async def play(act: Act) -> None:
    """Find the pen, run the plan, show what skin and pen say."""
    stage = act.stage
    if sys.platform == "win32":
        stage.say("Windows has no pseudo-terminals, so the pen is on TCP instead of a serial port.")
    found = await _find(act, stage)
    plan = write_plan(act.folder, "vertical", "horizontal")
    async with await act.connect() as pen:
        sealed = pen.sealed
        with display_for(stage.console, keys=KEYS) as display:
            person = ScriptedPerson(act.simulator, display.show)
            try:
                summary = await Session(pen, plan, person.words, person.show).run()
            finally:
                await person.close()
    truth = await act.simulator.truth()
    passes, cap = summary.passes, 250
    punctures, peak = sum(over.punctures for over in passes), max((over.peak_um for over in passes), default=0)
    done = summary.ending is Ending.DONE and summary.closed
    good = found and done and sealed and 0 < truth.deepest_um <= cap and not truth.needles_out
    measured = f"deepest {um(peak)} as the pen measured, {um(truth.deepest_um)} in the simulated skin, cap {um(cap)}"
    stage.result(
        "a session under seal",
        f"{len(passes)} of {summary.planned} passes, {count(punctures)} punctures; {measured}",
        good=good,
    )
    stage.in_short(
        f"A session as its owner, under seal: {len(passes)} passes over the nose with {count(punctures)} punctures,"
        f" none deeper than {um(truth.deepest_um)} where {um(cap)} are allowed.",
        good=good,
    )


async def _find(act: Act, stage: Stage) -> bool:
    found = await discover([act.simulator.url])
    for pen in found.pens:
        stage.result("found by asking", f"pen {serial_text(pen.hello)} on {pen.url}", good=True)
    for silent in found.others:
        stage.result("found by asking", f"no pen on {silent.url}: {silent.why}", good=False)
    return len(found.pens) == 1
