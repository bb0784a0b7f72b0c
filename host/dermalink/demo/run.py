"""The demo from beginning to end; `dermalink demo` and `make demo` run it."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from dermalink.demo import act_losses, act_refusals, act_session
from dermalink.demo.act import Act
from dermalink.demo.simulator import Simulator
from dermalink.demo.stage import Stage
from dermalink_protocol.errors import DermalinkError

ACT_WITHIN_S: Final = 60.0  # the longest takes 20 s on an idle machine

Play = Callable[[Act], Awaitable[None]]

ACTS: Final[tuple[tuple[str, Play], ...]] = (
    ("A session, as a person sees it", act_session.play),
    ("Five refusals", act_refusals.play),
    ("The link is cut in the middle of a pass", act_losses.cut_the_link),
    ("The link falls silent in the middle of a pass", act_losses.silence_the_link),
    ("A host is killed in the middle of a pass", act_losses.kill_the_host),
)


async def run_demo(console: Console | None = None) -> bool:
    """Play all acts; whether everything came as it should. Leaves nothing behind."""
    stage = Stage(console or Console(highlight=False))
    began = time.monotonic()
    stage.title(
        "Dermalink demo",
        "A simulated pen, in a process of its own, over a serial port. No hardware, nothing is kept; about a minute.",
        "An example device, not a medical one; nobody has cleared or approved it.",
    )
    for name, play in ACTS:
        stage.act(name)
        with tempfile.TemporaryDirectory(prefix="dermalink-demo-", ignore_cleanup_errors=True) as place:
            folder = Path(place)
            async with Simulator(folder, "--state", str(folder / "state")) as simulator:
                await _played(play, Act(stage, folder, simulator))
    stage.summary(time.monotonic() - began)
    return stage.good


async def _played(play: Play, act: Act) -> None:
    """One act within its time; one that goes wrong is told of, and the next one comes."""
    try:
        async with asyncio.timeout(ACT_WITHIN_S):
            await play(act)
    except TimeoutError:
        act.stage.in_short(f"An act was not over after {ACT_WITHIN_S:g} s.", good=False)
    except DermalinkError as error:
        act.stage.result("this act ended early", str(error), good=False)
        act.stage.in_short(f"An act ended early: {error}", good=False)
