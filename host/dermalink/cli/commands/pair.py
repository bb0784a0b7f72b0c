"""`dermalink pair`."""

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option

EPILOG = """\b
Examples:
  dermalink pair
  dermalink pair --pen ble:NAME                      its name, serial number or address
  dermalink pair --pen tcp:127.0.0.1:7321 < code.txt

\b
The keys go into the system's keyring; where there is none, into a file that nobody else can
read. The command says which. DERMALINK_KEYS names a folder to use instead.
"""


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@click.option("--code", metavar="CODE", help="The code. Others can see it here; without it you are asked.")
@click.option("--qr", metavar="TEXT", help="The text of the QR code on the card. Others can see it here as well.")
@json_option()
@verbose_option
def pair(*, pen: str | None, code: str | None, qr: str | None, as_json: bool) -> None:
    """Make a pen yours, with the code on the card that came with it and a press of its button.

    From then on it does what this computer says, and nobody else's does more than look at it and stop it. The code is
    asked for and not shown, or read from a pipe, one line. Three wrong ones bar pairing for ten minutes, then for twice
    as long each time.
    """
    from dermalink.cli.pairing import Led, may_ask_again, show
    from dermalink.cli.running import run_to_end
    from dermalink.cli.setup_code import said_code
    from dermalink.ownership.store import own_store

    led = Led(pen, own_store())
    context = click.get_current_context()
    while True:
        said = said_code(code, qr)
        ended = run_to_end(led.attempt(said))
        result = led.result
        if ended or result is None:
            context.exit(ended)
        if not (said.asked and may_ask_again(result)):
            context.exit(show(led, result, as_json=as_json))
        click.echo(f"{result.said} {result.advice.rstrip('.')}.", err=True)
