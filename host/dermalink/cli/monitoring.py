"""What `monitor` prints: a line a batch and a line a change of state."""

import asyncio
import contextlib
import json
from typing import Any

import click

from dermalink.notifications import Subscription
from dermalink.pen import Pen
from dermalink_protocol.messages.identity import StateChanged
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import ARMED, CONTACT, NEEDLES_OUT, PACK_SAMPLE, TRAVEL_UNIT_UM
from dermalink_protocol.wording import WORDING


async def watch(pen: Pen, seconds: float | None, *, as_json: bool) -> None:
    """Print what the pen says for so long, or until the link or the program ends; raises a `LinkError`."""
    heard: Subscription[Telemetry | StateChanged] = pen.subscribe(Telemetry, StateChanged)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in heard:
                    found = batch(message) if isinstance(message, Telemetry) else change(message)
                    click.echo(json.dumps(found) if as_json else line(found))
    finally:
        pen.connection.forget(heard)


def batch(message: Telemetry) -> dict[str, Any]:
    """A batch in short: the deepest, the hardest, the last of the rest."""
    samples = list(PACK_SAMPLE.iter_unpack(message.samples))
    flags = samples[-1][3]
    return {
        "event": "telemetry",
        "tick_ms": message.tick_ms,
        "samples": len(samples),
        "depth_um": max(sample[0] for sample in samples),
        "force_mn": max(sample[1] for sample in samples),
        "rate_hz": samples[-1][2],
        "contact": bool(flags & CONTACT),
        "needles_out": bool(flags & NEEDLES_OUT),
        "armed": bool(flags & ARMED),
        "dx_um": sum(sample[4] for sample in samples) * TRAVEL_UNIT_UM,
        "dy_um": sum(sample[5] for sample in samples) * TRAVEL_UNIT_UM,
    }


def change(message: StateChanged) -> dict[str, Any]:
    """A change of state, with its reason in words."""
    return {
        "event": "state",
        "tick_ms": message.tick_ms,
        "state": message.state.name.lower(),
        "reason": message.reason.name.lower(),
        "words": WORDING[message.reason].said,
    }


def line(found: dict[str, Any]) -> str:
    """The same as a line for a person."""
    seconds = f"{found['tick_ms'] / 1000:10.2f} s"
    if found["event"] == "state":
        return f"{seconds}  {found['state'].replace('_', ' ')}: {found['words']}"
    where = "on the skin" if found["contact"] else "off the skin"
    needles = "needles out" if found["needles_out"] else "needles in"
    return (
        f"{seconds}  depth {found['depth_um']:4} µm  force {found['force_mn']:5} mN  {found['rate_hz']:3} Hz"
        f"  {where}, {needles}"
    )
