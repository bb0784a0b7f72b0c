"""`dermalink clock`."""

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import journal_option, json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

if TYPE_CHECKING:
    from dermalink.pen import Pen

PRESSED_WITHIN_S: Final = 60.0  # to find the pen's button (assumption)
TRY_EVERY_S: Final = 3.0  # a press speaks for ten seconds, so three tries hear of it
EPILOG = """\b
Examples:
  dermalink clock
  dermalink clock --set now --pen serial:/dev/ttyACM0
  dermalink clock --set 2026-01-31T12:00:00
"""


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Seconds since 1970 of a date and time, which without an offset is UTC; 0 for `now`."""
    if value is None or value == "now":
        return None if value is None else 0
    try:
        moment = datetime.fromisoformat(value)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is neither `now` nor a date and time like 2026-01-31T12:00:00") from None


@click.command(cls=Command, epilog=EPILOG)
@click.option("--set", "wanted", metavar="now|UTC", callback=_moment, help="Set it: `now`, or a date and time in UTC.")
@pen_option
@journal_option
@json_option()
@verbose_option
@asynchronous
async def clock(*, wanted: int | None, pen: str | None, journal: Path | None, as_json: bool) -> None:
    """Show a pen's clock, and with --set set it. No wait between sessions becomes shorter by it.

    A change of more than 24 hours needs a short press of the pen's button, at most 10 seconds before; in a terminal the
    command waits for it. (Held for three seconds, the button reports a symptom.)
    """
    from dermalink.cli.advice import advised
    from dermalink.cli.connecting import connected
    from dermalink.cli.pen_info import utc
    from dermalink.pen import utc_now
    from dermalink.session.upkeep import rested
    from dermalink_protocol.messages.identity import StatusFlag

    async with connected(pen, inspect_only=wanted is None, journal=journal) as found:
        if wanted is not None:
            async with advised(found):
                await set_once_pressed(found, lambda: wanted or utc_now(), waits=sys.stdin.isatty())
        status, here_s = (await rested(found)).status, utc_now()
    valid = StatusFlag.CLOCK_VALID in status.flags
    if as_json:
        said = {"pen": found.serial_number, "utc_s": status.utc_s, "valid": valid, "computer_utc_s": here_s}
        click.echo(json.dumps(said | {"was_set": wanted is not None}))
        return
    if wanted is not None:
        click.echo("Set. No wait became shorter by it.")
    click.echo(f"The clock of pen {found.serial_number} says {utc(status.utc_s)}, this computer {utc(here_s)}.")
    if not valid:
        click.echo("It can't be relied on. Set it: dermalink clock --set now")


async def set_once_pressed(pen: "Pen", utc: Callable[[], int], *, waits: bool) -> None:
    """Set the clock; where that needs a press, ask for it and wait, if anybody is there to be asked."""
    from dermalink.errors import PenRefusal
    from dermalink.session.upkeep import set_clock
    from dermalink_protocol.codewords import Reason

    loop = asyncio.get_running_loop()
    until_s = loop.time() + PRESSED_WITHIN_S
    asked = False
    while True:
        try:
            await set_clock(pen, utc())
        except PenRefusal as refusal:
            if refusal.reason is not Reason.CLOCK_JUMP_NEEDS_PRESS or not waits or loop.time() >= until_s:
                raise
        else:
            return
        if not asked:
            asked = True
            click.echo("Press the pen's button now, shortly: so large a change needs it.", err=True)
        await asyncio.sleep(TRY_EVERY_S)
