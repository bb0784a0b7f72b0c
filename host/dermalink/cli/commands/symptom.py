"""`dermalink symptom`."""

import asyncio
import json
from typing import TYPE_CHECKING, Final, NoReturn

import click

from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, pen_option, verbose_option
from dermalink.cli.running import asynchronous

if TYPE_CHECKING:
    from dermalink.pen import Pen
    from dermalink_protocol.zones import Symptom

SYMPTOMS = ("pain", "bleeding", "rash")

EPILOG = """\b
Examples:
  dermalink symptom pain
  dermalink symptom rash --pen serial:/dev/ttyACM0
"""

NOT_WRITTEN: Final = "NOT written down here. If it is so, say it again. Lift the pen straight off the skin."
OTHERS: Final = "Whatever else answers, also over the air, is stopped as well."
HELD: Final = "The session that is running keeps it in the journal."


@click.command(cls=Command, epilog=EPILOG)
@click.argument("what", type=click.Choice(SYMPTOMS))
@pen_option
@json_option()
@verbose_option
@asynchronous
async def symptom(*, what: str, pen: str | None, as_json: bool) -> None:
    """Report pain, bleeding or a rash: the pen stops, and a session that is open gets no more passes.

    Where none is named all pens that answer are stopped, and one is told: the one that this computer has keys of, or
    where it has none, the only one. Where that is not clear it is written down to be told to the right one. A cable is
    asked before the air: name your own pen where another is on the cable.

    It can be reported at any time, also days later, and with the pen away: it is written into the journal of this
    computer as well, which keeps the next session from being opened too soon, and is told to the pen when it is back.
    """
    from dermalink.cli.connecting import AnothersPen, NotAPen, SeveralPens, connected
    from dermalink.errors import BadUrl, CannotOpen
    from dermalink_protocol.limits import SYMPTOM_LOCK_S
    from dermalink_protocol.messages.identity import Capability
    from dermalink_protocol.zones import Symptom

    said = Symptom[what.upper()]
    try:
        async with connected(pen, inspect_only=True) as found:
            if pen is None and found.foreign:
                _stop_alone(found)
            reply = await found.report_symptom(said)
            serial, url = found.serial_number, found.connection.link.url
            # A bit that anybody sets in the clear leads no symptom away from the pens that this computer has keys of.
            proved = not found.foreign or url.startswith(("tcp:", "sim:"))
            simulated = proved and Capability.CONTROL_CHANNEL in found.hello.capabilities
            sealed, told = found.sealed, found.sealed or not found.owned
    except asyncio.CancelledError:  # nobody knows how far it had come, and who called it off may have mistyped it
        click.echo(f"Interrupted: {what} may be with the pen or not, and is {NOT_WRITTEN}", err=True)
        raise
    except BadUrl:  # nobody was asked: the command was wrong
        raise
    except Exception as error:  # whatever it is, a mistake of ours among it
        there = isinstance(error, AnothersPen | NotAPen | SeveralPens)
        if there or not isinstance(error, CannotOpen):  # any obeys anybody's Stop
            await _stop(pen)
        await _write_down(said, told=False)
        click.echo("Written down here; the pen is told when it is back. Lift it off the skin.", err=True)
        raise
    note = await _write_down(said, told=told, pen=serial, sealed=sealed, simulated=simulated)
    days = SYMPTOM_LOCK_S // 86_400
    if as_json:
        click.echo(json.dumps({"pen": serial, "symptom": what, "state": reply.state.name.lower(), "wait_days": days}))
    else:
        click.echo(f"Reported to pen {serial} and written down: {what}. Have no session for {days} days.{note}")
        if not told:
            click.echo("The pen has another owner, so it has stopped and keeps no note of it.")
        click.echo("If it does not pass, or is bad, ask a dermatologist.")
    if pen is None:  # a cable goes first, and the own one: nobody knows yet whether it is the one that hurts
        click.echo(OTHERS, err=True)
        await _stop(None)


def _stop_alone(found: "Pen") -> NoReturn:
    """What is no pen of this person's gets Stop, and hears nothing of the person (SR-DATA-1)."""
    from dermalink.cli.connecting import AnothersPen

    found.stop_now()
    advice = f"If it is the one that hurts, name it: --pen {found.connection.link.url}"
    raise AnothersPen("The pen that answers is none of yours, and was told Stop alone", advice=advice)


async def _stop(pen: str | None) -> None:
    """What came of it stands before the error, and changes nothing of it."""
    from dermalink.cli.failures import mistake
    from dermalink.cli.stopping import StopResult, stop_pens
    from dermalink_protocol.errors import DermalinkError

    def tell(result: StopResult) -> None:
        click.echo(result.sentence(), err=True)

    try:
        await stop_pens(pen, tell)
    except DermalinkError as error:
        click.echo(str(error), err=True)
    except Exception as error:  # noqa: BLE001 (the symptom is still to be written down)
        click.echo(mistake(error)[0], err=True)


async def _write_down(
    said: "Symptom", *, told: bool, pen: str = "", sealed: bool = False, simulated: bool = False
) -> str:
    """After the pen was told, whatever the journal says (SR-STOP-4); what there is to say of it."""
    from dermalink.errors import JournalBusy
    from dermalink.pen import utc_now
    from dermalink.symptoms import write_down

    try:
        await write_down(said, told=told, utc_s=utc_now(), pen=pen, sealed=sealed, simulated=simulated)
    except JournalBusy:
        return f" {HELD}"
    return ""
