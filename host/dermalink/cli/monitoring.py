"""What `monitor` prints: a line a batch, a line a change of state, and now and then how good the link is."""

import asyncio
import contextlib
import json
from typing import Any, Final

import click

from dermalink.channel.opening import not_owner, not_paired
from dermalink.display.link import link_picture, link_words
from dermalink.errors import LinkError, PenRefusal, Timeout, UnexpectedReply
from dermalink.notifications import Subscription
from dermalink.pen import Pen
from dermalink_protocol.messages.identity import StateChanged
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import ARMED, CONTACT, NEEDLES_OUT, PACK_SAMPLE, TRAVEL_UNIT_UM
from dermalink_protocol.wording import WORDING

ASK_EVERY_S: Final = 0.5  # round trips are measured with status, which changes nothing
LINK_EVERY_S: Final = 5.0


async def watch(pen: Pen, seconds: float | None, *, as_json: bool) -> None:
    """Print what the pen says for so long, or until the link or the program ends.

    Raises a `LinkError`, or `NotOwner`: a pen that is its owner's only tells its telemetry to nobody else.
    """
    if pen.stranger:
        raise not_owner(pen.serial_number) if pen.owned else not_paired(pen.serial_number)
    heard: Subscription[Telemetry | StateChanged] = pen.subscribe(Telemetry, StateChanged)
    asking = asyncio.ensure_future(_ask(pen))
    loop = asyncio.get_running_loop()
    told_s = loop.time()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in heard:
                    _say(batch(message) if isinstance(message, Telemetry) else change(message), as_json=as_json)
                    if loop.time() - told_s >= LINK_EVERY_S:
                        told_s = loop.time()
                        _say_link(pen, as_json=as_json)
    finally:
        pen.connection.forget(heard)
        asking.cancel()
        await asyncio.wait([asking])
        _say_link(pen, as_json=as_json)


async def _ask(pen: Pen) -> None:
    """Ask for the status now and then: that is what the margin is measured by. A lost link ends it."""
    with contextlib.suppress(LinkError):
        while True:
            with contextlib.suppress(Timeout, PenRefusal, UnexpectedReply):
                await pen.status()
            await asyncio.sleep(ASK_EVERY_S)


def _say(found: dict[str, Any], *, as_json: bool) -> None:
    click.echo(json.dumps(found) if as_json else line(found))


def _say_link(pen: Pen, *, as_json: bool) -> None:
    """The link in a line, and for a person its histograms as they stand."""
    found = link(pen)
    _say(found, as_json=as_json)
    if not as_json:
        for drawn in link_picture(found):
            click.echo(f"{'':>12}  {drawn}")


def link(pen: Pen) -> dict[str, Any]:
    """How good the link is, up to now."""
    counters = pen.connection.link.counters
    return {"event": "link", **pen.margin.as_dict(), "sealed": pen.sealed, "dropped": counters.unsealed()}


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
    if found["event"] == "link":
        return f"{'link':>12}  {link_words(found)}"
    seconds = f"{found['tick_ms'] / 1000:10.2f} s"
    if found["event"] == "state":
        why = "" if found["reason"] == "none" else f": {found['words']}"
        return f"{seconds}  {found['state'].replace('_', ' ')}{why}"
    where = "on the skin" if found["contact"] else "off the skin"
    needles = "needles out" if found["needles_out"] else "needles in"
    return (
        f"{seconds}  depth {found['depth_um']:4} µm  force {found['force_mn']:5} mN  {found['rate_hz']:3} Hz"
        f"  {where}, {needles}"
    )
