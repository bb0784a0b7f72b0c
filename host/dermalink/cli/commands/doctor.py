"""`dermalink doctor`."""

import json

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, radio_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink doctor
  dermalink doctor --pen serial:/dev/ttyACM0
  dermalink doctor --pen ble:NAME
  dermalink doctor --radio tcp-client:127.0.0.1:7322     a radio in place of the computer's own
  dermalink doctor --json
"""


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@radio_option
@json_option()
@asynchronous
async def doctor(*, pen: str | None, radio: str | None, as_json: bool) -> int:
    """Check this computer, its serial ports, its Bluetooth and the pen, and say what to do. Changes nothing.

    Without --pen it asks every pen on a cable, and names those that it hears on the air.

    What it prints is one block to paste into an issue. It ends with 9 when it found an error, and with 2, unlooked,
    where the name of a radio is none.
    """
    from dermalink.cli.progress import progress
    from dermalink.doctor.bluetooth import must_be_well_named
    from dermalink.doctor.findings import Level
    from dermalink.doctor.report import as_text, examine, worst

    must_be_well_named(pen, radio)
    with progress(f"Checking this computer and {pen}" if pen else "Checking this computer, and looking for pens"):
        findings = await examine(pen, radio)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings]))
    else:
        click.echo(as_text(findings))
    return ExitCode.FINDINGS if worst(findings) is Level.ERROR else ExitCode.DONE
