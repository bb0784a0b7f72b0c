"""`dermalink doctor`."""

import json

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink doctor
  dermalink doctor --pen serial:/dev/ttyACM0
  dermalink doctor --json
"""


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@json_option()
@asynchronous
async def doctor(*, pen: str | None, as_json: bool) -> int:
    """Check this computer, its serial ports and the pen, and say what to do. Changes nothing.

    What it prints is one block to paste into an issue. It ends with 9 when it found an error.
    """
    from dermalink.doctor.findings import Level
    from dermalink.doctor.report import as_text, examine, worst

    findings = await examine(pen)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings]))
    else:
        click.echo(as_text(findings))
    return ExitCode.FINDINGS if worst(findings) is Level.ERROR else ExitCode.DONE
