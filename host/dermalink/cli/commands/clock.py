"""`dermalink clock`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import journal_option, json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

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

    A change of more than 24 hours needs a press: hold the pen's button while the command runs.
    """
    from dermalink.cli.advice import advised
    from dermalink.cli.connecting import connected
    from dermalink.cli.pen_info import utc
    from dermalink.pen import utc_now
    from dermalink.session.upkeep import rested, set_clock
    from dermalink_protocol.messages.identity import StatusFlag

    async with connected(pen, inspect_only=wanted is None, journal=journal) as found:
        if wanted is not None:
            async with advised(found):
                await set_clock(found, wanted or utc_now())
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
