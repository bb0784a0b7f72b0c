"""`dermalink pens`."""

import json
from typing import TYPE_CHECKING, Any

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option

if TYPE_CHECKING:
    from dermalink.ownership.store import Listed

EPILOG = """\b
Examples:
  dermalink pens
  dermalink pens --json
"""


@click.command(cls=Command, epilog=EPILOG)
@json_option("Print one JSON object a pen.")
def pens(*, as_json: bool) -> None:
    """List the pens that this computer has keys of. No pen is asked, and no keyring is opened."""
    from dermalink.ownership.store import own_store

    listed = own_store().list()
    for each in listed:
        click.echo(json.dumps(_row(each)) if as_json else _line(each), err=not as_json and each.why is not None)
    if not listed and not as_json:
        click.echo("This computer has keys of no pen. `dermalink pair` makes one yours.", err=True)
    click.get_current_context().exit(ExitCode.KEYS if any(each.why for each in listed) else ExitCode.DONE)


def _row(listed: "Listed") -> dict[str, Any]:
    entry = listed.entry
    if entry is None:
        return {"pen": listed.name, "keys": None, "paired_s": None, "where": None, "why": str(listed.why)}
    keys = "complete" if entry.finished else "unfinished"
    return {
        "pen": entry.serial_number,
        "keys": keys,
        "paired_s": entry.paired_s or None,
        "where": entry.where.value,
        "why": None,
    }


def _line(listed: "Listed") -> str:
    from dermalink.cli.pen_info import utc

    entry = listed.entry
    if entry is None:
        return f"{listed.name}   {listed.why}"
    if not entry.finished:
        return f"{entry.serial_number}   a pairing that was not finished; `dermalink pair` goes on with it"
    return f"{entry.serial_number}   paired {utc(entry.paired_s)}, keys in the {entry.where.value}"
