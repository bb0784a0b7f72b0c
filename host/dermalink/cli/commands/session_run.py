"""`dermalink session run`."""

from pathlib import Path

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import journal_option, json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous
from dermalink_protocol.limits import LEASE_DEFAULT_MS, LEASE_MAX_MS, LEASE_MIN_MS

EPILOG = """\b
Examples:
  dermalink session run plan.toml --pen serial:/dev/ttyACM0
  dermalink session run plan.toml --pen tcp:127.0.0.1:7321 --json | tee session.jsonl
  dermalink session run plan.toml --pen ble:DL-00000007 --lease 1000

\b
While it runs, single keys (in a terminal) or lines (from a pipe) are your words:
  Enter    go        begin the next pass (the pen's own button starts it)
  space    pause     needles in; the pass can go on
  r        resume    go on with the paused pass (again with the button)
  e        end       end this pass
  s, Esc   stop      stop and end the session
  1 2 3    pain, bleeding, rash: stop, and no more passes
Ctrl-C takes the needles in before anything else.
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("plan", type=click.Path(path_type=Path))
@pen_option
@journal_option
@click.option(
    "--no-ask", is_flag=True, help="Begin each pass without waiting for Enter; the pen's button still starts it."
)
@click.option(
    "--lease",
    "lease_ms",
    type=int,
    metavar="MS",
    default=int(LEASE_DEFAULT_MS),
    show_default=True,
    help=f"How long the pen runs without a renewal, {LEASE_MIN_MS:d} to {LEASE_MAX_MS:d} ms. A slow link needs more, as"
    " `dermalink doctor --pen` says; a lost one then leaves the needles out for longer.",
)
@json_option("Print each event as one JSON line on stdout.")
@verbose_option
@asynchronous
async def run(*, plan: Path, pen: str | None, journal: Path | None, no_ask: bool, lease_ms: int, as_json: bool) -> int:
    """Run the plan file PLAN with a pen, pass by pass.

    The whole plan is checked against the pen and its head first. Each pass waits for you, then for a press of the
    pen's own button; while needles may be out, this program renews the pen's lease, and when it can't, the pen takes
    the needles in by itself.
    """
    from dermalink.cli.session_running import run_session
    from dermalink.plan.load import load_plan

    return await run_session(load_plan(plan), pen, journal, ask_ready=not no_ask, lease_ms=lease_ms, as_json=as_json)
