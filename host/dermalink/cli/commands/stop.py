"""`dermalink stop`."""

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink stop                              every pen that is found
  dermalink stop --pen serial:/dev/ttyACM0
  dermalink stop --pen tcp:127.0.0.1:7321
"""


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@json_option()
@verbose_option
@asynchronous
async def stop(*, pen: str | None, as_json: bool) -> int:
    """Stop a pen, whoever runs it, and see the needles measured in.

    Anybody may stop a pen, in every state. Without --pen every pen that is found is stopped. If the stop can't be
    confirmed, lift the pen straight off the skin and press its button.
    """
    import asyncio

    from dermalink.cli.stopping import stop_one, urls_to_stop

    results = await asyncio.gather(*(stop_one(url) for url in await urls_to_stop(pen)))
    for result in results:
        click.echo(result.as_json() if as_json else result.sentence())
    return max((result.code for result in results), default=ExitCode.NO_PEN)
