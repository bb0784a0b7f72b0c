"""`dermalink unpair`."""

import asyncio
import json
from typing import Final

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

EPILOG = """\b
Examples:
  dermalink unpair --pen ble:NAME
  dermalink unpair --forget DL-00000007              the pen is lost, or somebody else's by now
"""

UNSETTLED: Final = (
    "The link was lost: pen {} may have let go of its owner, or not. The keys are kept; run this again. If the pen says"
    " that it has no owner: dermalink unpair --forget {}"
)

CALLED_OFF: Final = (
    "Interrupted: pen {} has no owner any more, and its keys may be on this computer still, where they open nothing. To"
    " remove them: dermalink unpair --forget {}"
)


def _complete_serial(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The pens that this computer has keys of."""
    from dermalink.ownership.store import own_store

    return [each.name for each in own_store().list() if each.name.startswith(incomplete)]


@click.command(cls=Command, epilog=EPILOG)
@pen_option
@click.option(
    "--forget",
    "lost",
    metavar="SERIAL",
    shell_complete=_complete_serial,
    help="Remove the keys of this pen here, and tell no pen: it may be lost.",
)
@json_option()
@verbose_option
@asynchronous
async def unpair(*, pen: str | None, lost: str | None, as_json: bool) -> int:
    """Give a pen up: it has no owner then, and the keys here are removed.

    What it counts, waits for and remembers stays with it. With --forget the pen is not asked: it keeps its owner, and
    is taken over by whoever has it in hand and knows its code.
    """
    from dermalink.ownership.asking import asked
    from dermalink.ownership.store import own_store

    store = own_store()
    if lost is not None:
        if not await asked(store.forget, lost):
            raise click.UsageError(f"This computer has no keys of a pen {lost}; `dermalink pens` lists those it has")
        return _told(lost, released=False, as_json=as_json)
    from dermalink.cli.releasing import NoAnswer, release

    try:
        released = await release(pen)
    except NoAnswer as gone:
        _said(gone.serial_number, "unsettled", UNSETTLED.format(*[gone.serial_number] * 2), ExitCode.UNSETTLED, as_json)
        return ExitCode.UNSETTLED
    serial = released.serial_number
    try:
        await asked(store.forget, serial)
    except asyncio.CancelledError:  # a keyring asked the person to unlock it, say
        click.echo(CALLED_OFF.format(*[serial] * 2), err=True)
        raise
    return _told(serial, released=True, bond=await released.forget_bond(), as_json=as_json)


def _told(serial: str, *, released: bool, bond: str = "", as_json: bool) -> int:
    sentence = f"The keys of pen {serial} are removed from this computer."
    if released:
        sentence = f"Pen {serial} has no owner any more. {sentence} {bond}".rstrip()
    _said(serial, "released" if released else "forgotten", sentence, ExitCode.DONE, as_json)
    return ExitCode.DONE


def _said(serial: str, result: str, sentence: str, code: ExitCode, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"pen": serial, "result": result, "sentence": sentence, "exit_code": int(code)}))
    else:
        click.echo(sentence, err=code is not ExitCode.DONE)
