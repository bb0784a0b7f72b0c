"""The demo from beginning to end; `dermalink demo` and `make demo` run it."""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from dermalink.demo import act_air, act_losses, act_refusals, act_session, act_stranger, owning
from dermalink.demo.act import Act
from dermalink.demo.simulator import ON_THE_AIR, Simulator
from dermalink.demo.stage import Stage
from dermalink_protocol.errors import DermalinkError

ACT_WITHIN_S: Final = 60.0  # the longest takes 20 s on an idle machine

Play = Callable[[Act], Awaitable[None]]


class Scene(NamedTuple):
    """An act's name, what is played, the way to its pen, as `Simulator` has it, and how the pen is claimed before."""

    name: str
    play: Play
    door: tuple[str, ...] = ()
    check: Callable[[], None] = lambda: None  # raises a `DermalinkError` where it cannot be played
    claim: Play = owning.in_short


SCENES: Final = (
    Scene("A pen is made yours, and a session, as a person sees it", act_session.play, claim=owning.in_words),
    Scene("A stranger is refused, and his Stop is obeyed", act_stranger.play, act_stranger.BESIDE_THE_OWNER),
    Scene("Five refusals", act_refusals.play),
    Scene("The link is cut in the middle of a pass", act_losses.cut_the_link),
    Scene("The link falls silent in the middle of a pass", act_losses.silence_the_link),
    Scene("A host is killed in the middle of a pass", act_losses.kill_the_host),
    Scene("By Bluetooth, and the air is cut in the middle of a pass", act_air.play, ON_THE_AIR, act_air.check),
)
# Where a radio in software keeps its bonds; the demo's pen is a new one each time, with the same address.
BONDS_VARIABLE: Final = "DERMALINK_BONDS"
WAY: Final = "over TCP, for Windows has no pseudo-terminals" if sys.platform == "win32" else "over a serial port"


async def run_demo(console: Console | None = None) -> bool:
    """Play all acts; whether everything came as it should. Leaves nothing behind."""
    stage = Stage(console or Console(highlight=False))
    began = time.monotonic()
    stage.title(
        "Dermalink demo",
        f"A simulated pen, in a process of its own, {WAY}, and at the end by Bluetooth in software. No hardware, no"
        " adapter, nothing is kept; about a minute.",
        "An example device, not a medical one; nobody has cleared or approved it.",
    )
    for scene in SCENES:
        stage.act(scene.name)
        place = tempfile.TemporaryDirectory(prefix="dermalink-demo-", ignore_cleanup_errors=True)
        with place as folder, _bonds_in(folder):
            await _played(scene, stage, Path(folder))
    stage.summary(time.monotonic() - began)
    return stage.good


@contextlib.contextmanager
def _bonds_in(folder: str) -> Iterator[None]:
    """The person's own bonds are left alone, and none of the demo's stays."""
    before = os.environ.get(BONDS_VARIABLE)
    os.environ[BONDS_VARIABLE] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[BONDS_VARIABLE]
        else:
            os.environ[BONDS_VARIABLE] = before


async def _played(scene: Scene, stage: Stage, folder: Path) -> None:
    """One act within its time; one that goes wrong is told of, and the next one comes."""
    try:
        scene.check()
        async with (
            asyncio.timeout(ACT_WITHIN_S),
            Simulator(folder, "--state", str(folder / "state"), door=scene.door) as simulator,
        ):
            act = Act(stage, folder, simulator)
            await scene.claim(act)
            await scene.play(act)
    except TimeoutError:
        stage.in_short(f"{scene.name}: not over after {ACT_WITHIN_S:g} s.", good=False)
    except DermalinkError as error:
        stage.result("this act ended early", str(error), good=False)
        stage.in_short(f"{scene.name}: it ended early. {error}", good=False)
