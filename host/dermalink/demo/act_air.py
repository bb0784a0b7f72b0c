"""The last act: the same pen by Bluetooth, across two processes, and the air is cut in the middle of a pass."""

import time
from typing import Final

from dermalink.demo.act import Act
from dermalink.demo.act_losses import IN_WITHIN_S, lose, measured, pen_says
from dermalink.demo.act_session import KEYS
from dermalink.discovery import discover
from dermalink.display.live import display_for
from dermalink.errors import HostError
from dermalink.links.ble_radio import radio_of

ANY_RADIO: Final = "tcp-client:127.0.0.1:1"  # nobody connects to it: whether there could be one is asked


def check() -> None:
    """Raise a `DermalinkError` that says what to install, where there is no Bluetooth in software."""
    radio_of(ANY_RADIO)


async def play(act: Act) -> None:
    """Hear the pen, connect, run a pass, cut the air, and connect again."""
    stage = act.stage
    stage.say("Both sides stand on Bluetooth in software, and a socket is the air between the two processes.")
    stage.say("Listening for what is on the air ...", style="dim")
    await _hear(act)
    stage.say("Connecting, and asking what the pen is ...", style="dim")
    began = time.monotonic()
    async with await act.inspect() as pen:
        facts = await pen.look()
        took_s = time.monotonic() - began
    stage.result(
        "connected",
        f"pen {facts.serial_number} said hello after {took_s:.1f} s, and all is under seal",
        good=pen.sealed,
    )
    now = "The air is cut: nothing passes any more, and neither side is told."
    with display_for(stage.console, keys=KEYS) as display:
        cut_at_ms = await lose(act, now, display.show, unit="air", kind="silence")
    truth = await act.simulator.until_in(IN_WITHIN_S)
    measured(act, "the air cut in the middle of a pass", cut_at_ms, truth)
    await act.simulator.do("fault.clear")
    stage.say("The air is back. Connecting again ...", style="dim")
    await pen_says(act)


async def _hear(act: Act) -> None:
    found = await discover([act.simulator.url])
    if not found.nearby:
        why = "; ".join(str(silent.why) for silent in found.others)
        raise HostError("The simulated pen was not found on the air", limit=why or "nothing was heard")
    for near in found.nearby:
        strength = "" if near.rssi is None else f", at {near.rssi} dBm"
        act.stage.result("heard", f"{near.name}{strength}, which is ble:{near.serial_number}", good=True)
