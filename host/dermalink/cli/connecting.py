"""From `--pen` to a connected pen: the URL that was given, or the one pen that answers."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dermalink.cli.options import PEN_VARIABLE, verbosity
from dermalink.cli.progress import progress
from dermalink.cli.tracing import trace
from dermalink.connecting import serial_text
from dermalink.errors import BadUrl, CannotOpen, NoSuchPort, Timeout
from dermalink.pen import Pen

if TYPE_CHECKING:
    from dermalink.discovery import Discovery, Silent


class NotAPen(CannotOpen):
    """Something is there, and it does not answer as a pen does."""


class SeveralPens(NoSuchPort):
    """None was named, and more than one answers."""


class AnothersPen(NoSuchPort):
    """None was named, and the one that answers is none of those that this computer has keys of."""


@contextlib.asynccontextmanager
async def connected(url: str | None, *, inspect_only: bool = False, journal: Path | None = None) -> AsyncIterator[Pen]:
    """A pen, stopped and closed on every way out; what is done until it is there is shown.

    Raises what `Pen.connect` raises, or `NotAPen`.
    """
    with progress() as doing:
        wanted = url or await the_one_pen(doing.say)
        doing.say(f"Listening for {wanted}, and connecting" if wanted.startswith("ble:") else f"Connecting to {wanted}")
        pen = await connect(wanted, inspect_only=inspect_only, journal=journal)
    async with pen:
        yield pen


async def connect(url: str, *, inspect_only: bool = False, journal: Path | None = None) -> Pen:
    """The same pen, for the caller to close, with nothing shown."""
    from dermalink.discovery import look_again

    level = verbosity()
    kept = None
    if journal is not None:
        from dermalink.journal_file import FileJournal

        kept = FileJournal(journal)
    try:
        return await Pen.connect(
            url, journal=kept, inspect_only=inspect_only, trace=lambda connection: trace(connection, level)
        )
    except Timeout as error:
        raise NotAPen(
            f"Nothing on {url} answers as a pen does",
            limit=error.limit,
            advice=f"{look_again(url)}; `dermalink doctor` looks closer",
        ) from error


async def the_one_pen(say: Callable[[str], object] = lambda _doing: None, *, own_first: bool = True) -> str:
    """The URL of the only pen that answers on a cable, or else of the only one that is heard on the air.

    A cable is plugged in on purpose, so it goes first, and nobody listens for long who has one. Of several the only one
    that this computer has keys of is taken (whoever takes its name has to prove it), unless not `own_first`. Raises
    `NoSuchPort` when there is none, and `SeveralPens`. `say` is told what is being done.
    """
    from dermalink.discovery import LISTEN_S, discover

    name_it = f"Name it: --pen URL, or set {PEN_VARIABLE}"
    say("Asking every serial port for a pen")
    pens = [(pen.url, serial_text(pen.hello)) for pen in (await discover(ble=False)).pens]
    pens = _own_of(pens) if own_first else pens
    if len(pens) > 1:
        raise SeveralPens(f"{len(pens)} pens answer: {_named(pens)}", advice=name_it)
    if pens:
        return pens[0][0]
    say(f"No pen on a cable; listening for one on the air, {LISTEN_S:.0f} s")
    heard = await discover(serial=False)
    near = [(each.url, each.serial_number or each.name) for each in heard.nearby if not each.held]
    near = _own_of(near) if own_first else near
    if len(near) > 1:
        raise SeveralPens(f"{len(near)} pens are heard: {_named(near)}", advice=name_it)
    if near:
        return near[0][0]
    if wrong := badly_named(heard):
        raise wrong[0].why
    raise none_found(heard, f"Plug it in, or bring it near, and switch it on. {name_it}")


def _own_of(pens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of several the one that this computer has keys of; all, where that is none or not the only one."""
    if len(pens) < 2:
        return pens
    from dermalink.ownership.store import own_store
    from dermalink_protocol.errors import DermalinkError

    try:
        listed = own_store().list()  # small files, read before anything is connected; no keyring is asked
    except DermalinkError:
        return pens
    known = {each.name.casefold() for each in listed if each.entry is not None and each.entry.finished}
    own = [pen for pen in pens if pen[1].casefold() in known]
    return own if len(own) == 1 else pens


def badly_named(found: "Discovery") -> list["Silent"]:
    """What was not looked at since the words that should name it do not: a mistake in the command, not in the pen."""
    return [silent for silent in found.others if isinstance(silent.why, BadUrl)]


def none_found(heard: "Discovery", advice: str) -> NoSuchPort | BadUrl:
    """That no pen answers on a cable, and why none is heard on the air; or that the words for the radio name none."""
    if wrong := badly_named(heard):
        why = wrong[0].why
        return BadUrl(why.refused, rule=why.rule, limit=why.limit, advice=f"{why.advice}. {advice}")
    said = "No pen answers on any serial port, and none is heard on the air"
    held = [f"this computer is connected to {each.name or each.url} already" for each in heard.nearby if each.held]
    broken = [silent.why.limit or silent.why.refused for silent in heard.others]
    return NoSuchPort(said, limit="; ".join(held + broken), advice=advice)


def _named(pens: list[tuple[str, str]]) -> str:
    return ", ".join(f"{url} ({who})" for url, who in pens)
