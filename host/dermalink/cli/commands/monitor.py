"""`dermalink monitor`."""

import math

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink monitor --pen serial:/dev/ttyACM0       until Ctrl-C
  dermalink monitor --seconds 10 --json > telemetry.jsonl
"""


def _finite(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """NaN passes every comparison that a range makes, so it is refused here, with what never ends."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("it has to be a number of seconds")
    return value


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    help="Stop watching after so long.",
)
@json_option("Print one JSON object a batch, a change of state, and now and then on the link.")
@verbose_option
@asynchronous
async def monitor(*, pen: str | None, seconds: float | None, as_json: bool) -> None:
    """Watch a pen's telemetry, state and link. Watching moves nothing, and stops nothing.

    Every five seconds, and at the end, a line says how good the link is: how long answers take, how the pen's clock
    runs by this computer's, how late telemetry came, and how little was left of a running lease.
    """
    from dermalink.cli.connecting import connected
    from dermalink.cli.monitoring import watch

    async with connected(pen, inspect_only=True) as found:
        await found.secure()
        await watch(found, seconds, as_json=as_json)
