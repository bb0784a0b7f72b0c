"""`dermalink stop`."""

import asyncio

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.lift import LIFT, NOT_SENT
from dermalink.cli.options import TELLS_KEY, json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink stop                              every pen that is found, on a cable and on the air
  dermalink stop --pen serial:/dev/ttyACM0
  dermalink stop --pen ble:NAME               that one, and no other
"""


class Stop(Command):
    """Whoever mistypes it wanted a pen stopped, and gets the advice as well."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises `UsageError`."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{LIFT}. {NOT_SENT}: {error.format_message()}", ctx=ctx) from error


@click.command(cls=Stop, epilog=EPILOG)
@pen_option
@json_option()
@verbose_option
@asynchronous
async def stop(*, pen: str | None, as_json: bool) -> int:
    """Stop a pen, whoever runs it, and see the needles measured in.

    Anybody may stop a pen, in every state. Without --pen every pen is stopped as soon as it is found. If the stop can't
    be sent or confirmed, lift the pen straight off the skin and press its button.
    """
    from dermalink.cli.progress import progress
    from dermalink.cli.stopping import StopResult, stop_pens

    codes: list[ExitCode] = []

    def tell(result: StopResult) -> None:
        codes.append(result.code)
        if pen:  # there is no other to wait for
            doing.wipe()
        with doing.aside():
            click.echo(result.as_json() if as_json else result.sentence())

    def advise(advice: str) -> None:
        with doing.aside():
            click.echo(advice, err=True)

    click.get_current_context().meta[TELLS_KEY] = True
    try:
        with progress(f"Stopping {pen}" if pen else "Looking for pens, and stopping each as it is found") as doing:
            await stop_pens(pen, tell, advise)
    except asyncio.CancelledError:
        if ExitCode.NOT_CONFIRMED in codes:
            return ExitCode.NOT_CONFIRMED
        raise
    return max(codes, default=ExitCode.NO_PEN)
