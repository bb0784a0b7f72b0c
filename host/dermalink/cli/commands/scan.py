"""`dermalink scan`."""

import json

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink scan
  dermalink scan --json
  dermalink scan tcp:127.0.0.1:7321 serial:/tmp/pen      ask these, and no other
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("urls", metavar="[URL]...", nargs=-1)
@json_option("Print one JSON object a pen.")
@verbose_option
@asynchronous
async def scan(*, urls: tuple[str, ...], as_json: bool) -> int:
    """Find pens on serial ports, by asking: a port's name says little, a pen's answer says all."""
    from dermalink.connecting import serial_text
    from dermalink.discovery import discover

    found = await discover(urls or None)
    for pen in found.pens:
        serial_number = serial_text(pen.hello)
        if as_json:
            click.echo(json.dumps({"pen": pen.url, "serial_number": serial_number}))
        else:
            click.echo(f"{pen.url}   pen {serial_number}")
    for silent in found.others:
        click.echo(f"{silent.url}   no pen: {silent.why}", err=True)
    if not found.pens:
        click.echo("No pen answers. `dermalink doctor` looks closer.", err=True)
        return ExitCode.NO_PEN
    return ExitCode.DONE
