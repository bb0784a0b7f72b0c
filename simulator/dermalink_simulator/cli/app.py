"""The `dermalink-sim` command: its table of commands, and the one place where every error ends."""

import contextlib
import json
import os
import sys
from typing import Any, Final

import click

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.version import __version__
from dermalink_simulator.cli.exit_codes import ExitCode, table
from dermalink_simulator.cli.lazy import Lazy, LazyGroup

COMMANDS: Final = {
    "serve": Lazy(
        "dermalink_simulator.cli.commands.serve:serve", "Run a simulated pen behind TCP, a serial port or Bluetooth."
    ),
    "control": Lazy(
        "dermalink_simulator.cli.commands.control:control", "Work a running pen: button, cartridge, hand, faults."
    ),
    "faults": Lazy("dermalink_simulator.cli.commands.faults:faults", "List the faults that can be injected."),
    "campaign": Lazy(
        "dermalink_simulator.cli.commands.campaign:campaign", "Play many sessions with faults, to find what breaks."
    ),
    "profiles": Lazy("dermalink_simulator.cli.commands.profiles:profiles", "List the kinds of pen there are."),
    "completion": Lazy("dermalink_simulator.cli.commands.completion:completion", "Print a shell's completion script."),
}

# Which exit code an error has; the names spare an import of what a command never used.
CODES: Final = {
    "AddressRefusedError": ExitCode.DOOR,
    "AddressTakenError": ExitCode.DOOR,
    "BadRadioSpec": ExitCode.USAGE,
    "BeyondThisMachine": ExitCode.DOOR,
    "BumbleMissing": ExitCode.DOOR,
    "DoorError": ExitCode.DOOR,
    "NoControlError": ExitCode.DOOR,
    "NoSuchRadio": ExitCode.DOOR,
    "NobodyThereError": ExitCode.NOBODY,
    "NotOnThisSystemError": ExitCode.DOOR,
    "PathTakenError": ExitCode.DOOR,
    "PenFailedError": ExitCode.UNEXPECTED,
    "PenOptionError": ExitCode.USAGE,
    "RadioGone": ExitCode.DOOR,
    "RefusedByControlError": ExitCode.REFUSED,
    "ScriptError": ExitCode.REFUSED,
    "StateError": ExitCode.STATE,
    "TallyError": ExitCode.STATE,
}


class Root(LazyGroup):
    """The whole command line; no traceback leaves it but that of a pen that broke."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run what was asked for, and turn every error into a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except DermalinkError as error:
            code = CODES.get(type(error).__name__, ExitCode.REFUSED)
            if ctx.meta.get("dermalink.json"):
                words = {"refused": error.refused, "rule": error.rule, "limit": error.limit, "advice": error.advice}
                click.echo(json.dumps({"error": type(error).__name__, "exit_code": int(code), **words}))
            if code is ExitCode.UNEXPECTED and error.__cause__ is not None:
                _print_traceback(error.__cause__)
            click.echo(f"dermalink-sim: {error}", err=True)
            ctx.exit(code)
        except BrokenPipeError:  # whoever read our output has gone; click would call it a failure, with 1
            _mute()
            ctx.exit(ExitCode.DONE)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)


EPILOG: Final = f"""\b
Examples:
  dermalink-sim serve                                   a pen on tcp:127.0.0.1:7321
  dermalink-sim serve --pty /tmp/pen --control :7322    on a serial port, with hands
  dermalink-sim control --at :7322 press                press its button
  dermalink-sim control --at :7322 hand sweep nose      go over the nose with it
  dermalink-sim serve --person                          with somebody who works it

\b
Exit codes:
{table()}

A simulated pen is a model of an example device, for tests. It is no medical device.
"""


@click.group(
    cls=Root,
    lazy=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="dermalink-sim %(version)s")
def app() -> None:
    """A derma pen in software: firmware, physics, a hand to hold it, and whatever can go wrong."""


def run() -> int:
    """Run the command line on this process's arguments; returns the exit code."""
    try:
        result = app.main(prog_name="dermalink-sim", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.DONE


def _mute() -> None:
    """Let what is still in stdout's buffer go nowhere, so that the interpreter's own flush at its end finds no pipe."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_traceback(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)
