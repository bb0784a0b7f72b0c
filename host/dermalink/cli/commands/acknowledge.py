"""`dermalink acknowledge`."""

import json
from pathlib import Path

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import journal_option, json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink acknowledge watchdog
  dermalink acknowledge button_stuck --pen serial:/dev/ttyACM0
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("fault")
@pen_option
@journal_option
@json_option()
@verbose_option
@asynchronous
async def acknowledge(*, fault: str, pen: str | None, journal: Path | None, as_json: bool) -> None:
    """Acknowledge the latched FAULT, by the name that `dermalink info` shows.

    The pen tests itself then: keep it off the skin, and let go of its button. When the test has passed, a press of the
    pen's button clears the fault. Faults of depth, drive and memory stay: the pen has to be serviced.
    """
    from dermalink.cli.advice import advised
    from dermalink.cli.connecting import connected
    from dermalink.session import upkeep
    from dermalink_protocol.codewords import Reason

    name = fault.upper().replace("-", "_").replace(" ", "_")
    if name not in Reason.__members__:
        raise click.BadParameter(f"{fault!r} names no fault. `dermalink info` shows the one that is latched.")
    async with connected(pen, journal=journal) as found, advised(found):
        if not as_json:
            click.echo("Keep the pen off the skin, and let go of its button.", err=True)
        cleared = await upkeep.acknowledge(found, Reason[name])
    if as_json:
        said = {"pen": found.serial_number, "fault": name.lower(), "self_test": "passed", "press_needed": not cleared}
        click.echo(json.dumps(said))
    elif cleared:
        click.echo(f"The self-test of pen {found.serial_number} passed, and {name.lower()} is cleared.")
    else:
        click.echo(
            f"The self-test of pen {found.serial_number} passed. Press the pen's button to clear {name.lower()}."
        )
