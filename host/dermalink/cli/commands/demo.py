"""`dermalink demo`."""

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink demo
  NO_COLOR=1 dermalink demo > demo.txt
"""


@click.command(cls=Command, epilog=EPILOG)
@asynchronous
async def demo() -> int:
    """See a simulated pen paired, a session on it, what is refused, and what happens when link or host are lost.

    Takes about a minute, needs no hardware, keeps nothing, and leaves your own keys alone.
    """
    from dermalink.demo.run import run_demo

    return ExitCode.DONE if await run_demo() else ExitCode.UNEXPECTED
