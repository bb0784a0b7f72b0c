"""`dermalink session`: the group."""

import click

from dermalink.cli.lazy import Lazy, LazyGroup

COMMANDS = {
    "plan": Lazy("dermalink.cli.commands.session_plan:plan", "Print an example plan, or write it to a file."),
    "check": Lazy("dermalink.cli.commands.session_plan:check", "Check a plan file; needs no pen."),
    "run": Lazy("dermalink.cli.commands.session_run:run", "Run a plan with a pen, pass by pass."),
    "close": Lazy("dermalink.cli.commands.session_close:close", "Close a session that was left open in a pen."),
}

EPILOG = """\b
Examples:
  dermalink session plan plan.toml
  dermalink session check plan.toml
  dermalink session run plan.toml --pen serial:/dev/ttyACM0
  dermalink session close --pen serial:/dev/ttyACM0
"""


@click.group(cls=LazyGroup, lazy=COMMANDS, epilog=EPILOG)
def session() -> None:
    """Plan, check and run a session, and close one that was left open."""
