"""A session in this terminal: connect, show, listen to keys, stop on signals, end with the exit code that fits."""

import functools
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from dermalink.cli.advice import advised
from dermalink.cli.connecting import connect, connected
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.keys import words_from
from dermalink.cli.signals import stop_on_signals
from dermalink.display.live import Display, JsonDisplay, display_for
from dermalink.plan.load import Plan
from dermalink.rules import check_own_lease
from dermalink.session.outcome import Ending, Summary
from dermalink.session.runner import Session

CODES: Final = {
    Ending.DONE: ExitCode.DONE,
    Ending.STOPPED: ExitCode.STOPPED,
    Ending.SYMPTOM: ExitCode.STOPPED,
    Ending.PEN: ExitCode.STOPPED,
    Ending.NOBODY: ExitCode.STOPPED,
    Ending.OUTSIDE: ExitCode.TERMINATED,
    Ending.LINK: ExitCode.LINK_LOST,
}


async def run_session(
    plan: Plan, url: str | None, journal: Path | None, *, ask_ready: bool, lease_ms: int, as_json: bool
) -> int:
    """Run `plan` with the pen at `url`; the exit code. A lease out of range is refused before anything is opened."""
    check_own_lease("Running a session", lease_ms)
    display: Display = JsonDisplay() if as_json else display_for(Console(highlight=False))
    async with connected(url, journal=journal) as pen, advised(pen):
        with display:
            async with words_from(sys.stdin) as person:
                again = functools.partial(connect, url or pen.connection.link.url, journal=journal)
                session = Session(
                    pen, plan, person, display.show, ask_ready=ask_ready, connect=again, lease_ms=lease_ms
                )
                with stop_on_signals(session) as received:
                    summary = await session.run()
    return exit_code(summary, received.code)


def exit_code(summary: Summary, signalled: ExitCode | None) -> ExitCode:
    """Needles that are not known to be in come before everything else."""
    if not summary.confirmed:
        return ExitCode.NOT_CONFIRMED
    if summary.ending is Ending.OUTSIDE and signalled is not None:
        return signalled
    return CODES[summary.ending]
