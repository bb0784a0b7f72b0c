"""`dermalink symptom`."""

import json

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

SYMPTOMS = ("pain", "bleeding", "rash")

EPILOG = """\b
Examples:
  dermalink symptom pain
  dermalink symptom rash --pen serial:/dev/ttyACM0
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("what", type=click.Choice(SYMPTOMS))
@pen_option
@json_option()
@verbose_option
@asynchronous
async def symptom(*, what: str, pen: str | None, as_json: bool) -> None:
    """Report pain, bleeding or a rash: the pen stops, and a session that is open gets no more passes.

    It can be reported at any time, also days later. It is written into the journal of this computer as well, which
    keeps the next session from being opened too soon.
    """
    from dermalink.cli.connecting import connected
    from dermalink_protocol.limits import SYMPTOM_LOCK_S
    from dermalink_protocol.zones import Symptom

    async with connected(pen) as found:
        reply = await found.report_symptom(Symptom[what.upper()])
        serial = found.serial_number
    days = SYMPTOM_LOCK_S // 86_400
    if as_json:
        click.echo(json.dumps({"pen": serial, "symptom": what, "state": reply.state.name.lower(), "wait_days": days}))
        return
    click.echo(f"Reported to pen {serial} and written down: {what}. Have no session for {days} days.")
    click.echo("If it does not pass, or is bad, ask a dermatologist.")
