"""How a person says the code that came with a pen: typed unseen, from a pipe, or, seen by others, as an option."""

import sys
from dataclasses import dataclass
from typing import Final

import click

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.pairing.setup_code import SetupCode, parse_label

LINE_MAX: Final = 256
ASK: Final = "The code on the card that came with the pen, 9 digits (not shown)"
SEEN: Final = (
    "A code on the command line is seen by everybody on this computer, and stays in the shell's history."
    " Without it, `dermalink pair` asks."
)


@dataclass(frozen=True, slots=True)
class Said:
    """The code, and the serial number where the QR code told it; `asked`: a person can be asked again."""

    code: SetupCode
    serial_number: str = ""
    asked: bool = False


def said_code(code: str | None, qr: str | None) -> Said:
    """The code, from wherever it comes; raises `SetupCodeError`, `LabelError` or `click.UsageError`."""
    if code is not None and qr is not None:
        raise click.UsageError("--code or --qr, not both")
    if code is not None or qr is not None:
        click.echo(SEEN, err=True)
        return _parsed(code) if code is not None else _labelled(qr or "")
    if a_person_types():
        return _asked()
    line = sys.stdin.readline(LINE_MAX).strip()
    if not line:
        raise click.UsageError("No code: type it when asked, or put it on standard input, one line")
    return _parsed(line)


def a_person_types() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin.isatty()


def _asked() -> Said:
    """Asked until it can be a code: what is mistyped costs no try."""
    while True:
        typed = click.prompt(ASK, hide_input=True, err=True)
        try:
            said = _parsed(typed)
        except DermalinkError as error:
            click.echo(f"{error}", err=True)
        else:
            return Said(said.code, said.serial_number, asked=True)


def _parsed(text: str) -> Said:
    """A code, or a QR code's text: a scanner that acts as a keyboard types that."""
    return _labelled(text) if ":" in text else Said(SetupCode.parse(text))


def _labelled(text: str) -> Said:
    label = parse_label(text.strip())
    return Said(label.code, label.serial_number)
