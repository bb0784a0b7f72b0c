"""`dermalink scan`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.lazy import Command
from dermalink.cli.options import json_option, radio_option, verbose_option
from dermalink.cli.running import asynchronous

if TYPE_CHECKING:
    from dermalink.discovery import Discovery, Nearby

EPILOG = """\b
Examples:
  dermalink scan
  dermalink scan --json
  dermalink scan --serial                                cables only; no Bluetooth is touched
  dermalink scan --ble --radio tcp-client:127.0.0.1:7322
  dermalink scan tcp:127.0.0.1:7321 serial:/tmp/pen      ask these, and no other
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--serial", is_flag=True, help="Look at serial ports only, or beside --ble as well.")
@click.option("--ble", is_flag=True, help="Listen for Bluetooth only, or beside --serial as well.")
@radio_option
@json_option("Print one JSON object a pen, and one a port or radio that gave none.")
@verbose_option
@asynchronous
async def scan(*, urls: tuple[str, ...], serial: bool, ble: bool, radio: str | None, as_json: bool) -> int:
    """Find pens: on serial ports by asking each, and at the same time on the air by what they advertise.

    Nobody connects to a pen on the air, so one in use is not disturbed. What is broken, busy or switched off is
    named on stderr, and stops nothing else.
    """
    from dermalink.cli.connecting import badly_named
    from dermalink.cli.progress import progress
    from dermalink.discovery import discover, with_radio
    from dermalink.links.ble_radio import must_name_a_radio

    if urls and (serial or ble):
        raise click.UsageError("Name URLs, or look by --serial and --ble; not both")
    both = serial == ble
    if not urls and (ble or both):
        must_name_a_radio(radio)
    asked = [with_radio(url, radio) for url in urls] or None
    with progress("Looking for pens"):
        found = await discover(asked, serial=serial or both, ble=ble or both, radio=radio)
    rows = [*pen_rows(found)]
    for row in rows:
        click.echo(json.dumps(row._asdict()) if as_json else row.sentence())
    for silent in found.others:
        if as_json:
            click.echo(json.dumps(Row(kind_of(silent.url), silent.url, why=str(silent.why))._asdict()))
        else:
            click.echo(f"{silent.url}   no pen: {silent.why}", err=True)
    if badly_named(found):
        return ExitCode.USAGE
    if not rows:
        click.echo("No pen is found. `dermalink doctor` looks closer.", err=True)
        return ExitCode.NO_PEN
    return ExitCode.DONE


class Row(NamedTuple):
    """One pen, or what gave none and why; what does not apply or is not known is None."""

    kind: str
    url: str
    serial_number: str | None = None
    name: str | None = None
    rssi: int | None = None
    held: bool | None = None
    also: tuple[str, ...] = ()
    why: str | None = None

    def sentence(self) -> str:
        """One line for a person, and another for each other way to the same pen."""
        said = [f'"{self.name}"'] if self.name else []
        said += [f"{self.rssi} dBm"] if self.rssi is not None else []
        said += ["this computer is connected to it"] if self.held else []
        who = f"pen {self.serial_number}" if self.serial_number else "a pen"
        line = f"{self.url}   {who}" + (f"   {', '.join(said)}" if said else "")
        return "\n".join([line, *(f"{'':>{len(self.url)}}   also {url}" for url in self.also)])


def pen_rows(found: "Discovery") -> Iterator[Row]:
    """Each pen once, however many ways lead to it."""
    near: dict[str, Nearby] = {each.url: each for each in found.nearby}
    for who, ways in found.urls().items():
        heard = next((near[url] for url in ways if url in near), None)
        details: dict[str, Any] = {}
        if heard is not None:
            details = {"name": heard.name or None, "rssi": heard.rssi, "held": heard.held}
        known = None if who == ways[0] else who
        yield Row(kind_of(ways[0]), ways[0], known, also=ways[1:], **details)


def kind_of(url: str) -> str:
    """What kind of link a URL names."""
    return url.partition(":")[0]
