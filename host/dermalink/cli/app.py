"""The `dermalink` command: its table of commands, and the one place where every error ends."""

import contextlib
import os
import sys
from typing import Any, Final

import click

from dermalink.cli.exit_codes import ExitCode, table
from dermalink.cli.lazy import Lazy, LazyGroup
from dermalink.cli.options import COMMAND_KEY, TELLS_KEY, verbose_option, wants_json
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.version import __version__

COMMANDS: Final = {
    "scan": Lazy("dermalink.cli.commands.scan:scan", "Find pens, on serial ports and on the air."),
    "info": Lazy("dermalink.cli.commands.info:info", "Show who a pen is, its limits, its head and how it stands."),
    "pair": Lazy("dermalink.cli.commands.pair:pair", "Make a pen yours, with the code that came with it."),
    "unpair": Lazy("dermalink.cli.commands.unpair:unpair", "Give a pen up, or forget one that is lost."),
    "pens": Lazy("dermalink.cli.commands.pens:pens", "List the pens that this computer has keys of."),
    "doctor": Lazy("dermalink.cli.commands.doctor:doctor", "Check this computer and the pen; say what to do."),
    "monitor": Lazy("dermalink.cli.commands.monitor:monitor", "Watch a pen's telemetry and state."),
    "session": Lazy("dermalink.cli.commands.session:session", "Plan, check, run and close a session."),
    "stop": Lazy("dermalink.cli.commands.stop:stop", "Stop a pen, whoever runs it."),
    "symptom": Lazy("dermalink.cli.commands.symptom:symptom", "Report pain, bleeding or a rash; stops the pen."),
    "clock": Lazy("dermalink.cli.commands.clock:clock", "Show a pen's clock, or set it."),
    "acknowledge": Lazy("dermalink.cli.commands.acknowledge:acknowledge", "Acknowledge a fault, by its name."),
    "demo": Lazy("dermalink.cli.commands.demo:demo", "See a session on a simulated pen, and what it refuses."),
    "completion": Lazy("dermalink.cli.commands.completion:completion", "Print a shell's completion script."),
}


class Root(LazyGroup):
    """The whole command line; no traceback leaves it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run what was asked for, and turn every error into a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except DermalinkError as error:
            from dermalink.cli.failures import report

            ctx.exit(report(error, as_json=wants_json(ctx)))
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # whoever read our output has gone; click would call it a failure, with 1
            _mute()
            ctx.exit(ExitCode.OUTPUT_GONE)
        except KeyboardInterrupt:
            if ctx.meta.get(COMMAND_KEY) == "stop" and not ctx.meta.get(TELLS_KEY):
                _say_not_sent(as_json=wants_json(ctx))
            ctx.exit(ExitCode.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 (whatever it is, a person gets a sentence)
            from dermalink.cli.failures import report_unexpected

            ctx.exit(report_unexpected(error, as_json=wants_json(ctx)))


EPILOG: Final = f"""\b
Examples:
  dermalink demo                                  a session on a simulated pen
  dermalink scan                                  which pens are here
  dermalink info --pen serial:/dev/ttyACM0
  dermalink info --pen ble:NAME                   by Bluetooth: name, serial number or address
  dermalink pair --pen ble:NAME                   make it yours
  dermalink session plan plan.toml                an example to edit
  dermalink session run plan.toml --pen serial:/dev/ttyACM0
  dermalink stop                                  stop whatever pen is here

\b
Exit codes:
{table()}

Dermalink works with an example device. It is no medical device, and nobody has cleared or approved it.
"""


@click.group(
    cls=Root,
    lazy=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="dermalink %(version)s")
@verbose_option
def app() -> None:
    """Work with a depth-capped derma pen: on a cable, by Bluetooth, or simulated."""


def run() -> int:
    """Run the command line on this process's arguments; returns the exit code."""
    try:
        result = app.main(prog_name="dermalink", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:  # how click takes Ctrl-C before the command has begun
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else ExitCode.DONE


def _say_not_sent(*, as_json: bool) -> None:
    """Ctrl-C came before `stop` had begun."""
    from dermalink.cli.lift import INTERRUPTED, LIFT

    if as_json:
        import json

        found = {"pen": None, "stopped": False, "sent": False, "milliseconds": None, "sentence": INTERRUPTED}
        click.echo(json.dumps(found | {"advice": LIFT, "exit_code": int(ExitCode.INTERRUPTED)}))
    else:
        click.echo(INTERRUPTED, err=True)


def _mute() -> None:
    """Let what is still in stdout's buffer go nowhere, so that the interpreter's own flush at its end finds no pipe."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
