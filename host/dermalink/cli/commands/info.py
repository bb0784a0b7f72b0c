"""`dermalink info`."""

import json

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink info
  dermalink info --pen serial:/dev/ttyACM0 --json
  dermalink info --pen ble:NAME                      its name, serial number or address
  DERMALINK_PEN=tcp:127.0.0.1:7321 dermalink info -v
"""


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@json_option()
@verbose_option
@asynchronous
async def info(*, pen: str | None, as_json: bool) -> None:
    """Show who a pen is, its limits, its head and how it stands. Asking changes nothing."""
    from dermalink.cli.connecting import connected
    from dermalink.cli.pen_info import PenInfo

    async with connected(pen, inspect_only=True) as found:
        read = await PenInfo.read(found)
    if as_json:
        click.echo(json.dumps(read.as_dict()))
        return
    for number, (heading, rows) in enumerate(read.sections()):
        click.echo(("\n" if number else "") + click.style(heading, bold=True))
        for name, value in rows:
            click.echo(f"  {name:<20} {value}")
