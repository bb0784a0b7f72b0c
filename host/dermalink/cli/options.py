"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PEN_VARIABLE: Final = "DERMALINK_PEN"
RADIO_VARIABLE: Final = "DERMALINK_RADIO"
JSON_KEY: Final = "dermalink.json"
VERBOSITY_KEY: Final = "dermalink.verbosity"
COMMAND_KEY: Final = "dermalink.command"  # its name, from before it is imported
TELLS_KEY: Final = "dermalink.tells"  # whether the command itself says what an interrupt meant


def pen_option(function: F) -> F:
    """`--pen URL`, also from the environment; without either the one pen that answers is taken."""
    return click.option(
        "--pen",
        metavar="URL",
        envvar=PEN_VARIABLE,
        show_envvar=True,
        shell_complete=_complete_url,
        help="The pen: serial:/dev/ttyACM0, serial:COM3, ble:NAME (or its serial number, or address),"
        " tcp:127.0.0.1:7321. Without it, the one that answers on a cable, or else the one that is heard on the air.",
    )(function)


def radio_option(function: F) -> F:
    """`--radio SPEC`, for `ble:` alone; the environment is read by whoever opens the radio, and stays out of URLs."""
    return click.option(
        "--radio",
        metavar="SPEC",
        callback=_no_blank,
        help="Use this radio for ble:, not the computer's own: tcp-client:127.0.0.1:7322, usb:0."
        f"  [env var: {RADIO_VARIABLE}]",
    )(function)


def journal_option(function: F) -> F:
    """`--journal FILE`; without it the journal is this person's own."""
    return click.option(
        "--journal",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Keep the journal in this file, not in your own.",
    )(function)


def json_option(help_text: str = "Print JSON for a script.") -> Callable[[F], F]:
    """`--json`; that it was given is also known to whatever has to report an error."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta[JSON_KEY] = ctx.meta.get(JSON_KEY, False) or value
        return value

    return click.option("--json", "as_json", is_flag=True, is_eager=True, callback=remember, help=help_text)


def verbose_option(function: F) -> F:
    """`-v` messages, `-vv` frames, `-vvv` bytes, on stderr; counted over the group and the command."""

    def count(ctx: click.Context, _: click.Parameter, value: int) -> None:
        ctx.meta[VERBOSITY_KEY] = ctx.meta.get(VERBOSITY_KEY, 0) + value

    text = "Show what goes over the link, on stderr: -v messages, -vv frames, -vvv bytes."
    return click.option("-v", "--verbose", count=True, expose_value=False, callback=count, help=text)(function)


def wants_json(ctx: click.Context) -> bool:
    """Whether `--json` was given."""
    return bool(ctx.meta.get(JSON_KEY, False))


def verbosity() -> int:
    """How many times `-v` was given to the command that runs."""
    ctx = click.get_current_context(silent=True)
    return int(ctx.meta.get(VERBOSITY_KEY, 0)) if ctx else 0


def _no_blank(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("it names no radio; leave it away to use the computer's own")
    return value.strip() if value else value


def _complete_url(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Serial ports that are there, and the other kinds of URL."""
    from serial.tools.list_ports import comports

    known = [*(f"serial:{port.device}" for port in comports()), "serial:", "ble:", "tcp:127.0.0.1:", "sim:"]
    return [url for url in known if url.startswith(incomplete)]
