"""`dermalink session close`."""

import json
from pathlib import Path

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import journal_option, json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink session close
  dermalink session close --pen serial:/dev/ttyACM0 --json
"""


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@journal_option
@json_option()
@verbose_option
@asynchronous
async def close(*, pen: str | None, journal: Path | None, as_json: bool) -> None:
    """Close the session that a program left open in a pen, say because it was killed. Nothing moves.

    The session is adopted, disarmed, and closed in good order; what touched skin stays counted. With no session open
    there is nothing to do, and it ends with 0; a session that another host runs is left alone, and it ends with 5.
    """
    from dermalink.cli.connecting import connected
    from dermalink.session.left_open import close_left_open

    async with connected(pen, journal=journal) as found:
        session_id = (await found.look()).status.session_id
        closed = await close_left_open(found)
        wait_s, serial = (await found.look()).status.wait_s, found.serial_number
    if as_json:
        said = {"pen": serial, "closed": closed is not None, "session_id": session_id, "wait_s": wait_s}
        click.echo(json.dumps(said))
    elif closed is None:
        click.echo(f"No session is open in pen {serial}.")
    else:
        click.echo(f"Session {session_id:08x} of pen {serial} is closed. What touched skin stays counted.")
