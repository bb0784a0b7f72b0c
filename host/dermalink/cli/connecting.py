"""From `--pen` to a connected pen: the URL that was given, or the one pen that answers."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from dermalink.cli.options import PEN_VARIABLE, verbosity
from dermalink.cli.tracing import trace
from dermalink.connecting import serial_text
from dermalink.errors import CannotOpen, NoSuchPort, Timeout
from dermalink.pen import Pen


class NotAPen(CannotOpen):
    """Something is there, and it does not answer as a pen does."""


@contextlib.asynccontextmanager
async def connected(url: str | None, *, inspect_only: bool = False, journal: Path | None = None) -> AsyncIterator[Pen]:
    """A pen, stopped and closed on every way out. Raises what `Pen.connect` raises, or `NotAPen`."""
    pen = await connect(url, inspect_only=inspect_only, journal=journal)
    async with pen:
        yield pen


async def connect(url: str | None, *, inspect_only: bool = False, journal: Path | None = None) -> Pen:
    """The same pen, for the caller to close."""
    wanted = url or await the_one_pen()
    level = verbosity()
    kept = None
    if journal is not None:
        from dermalink.journal_file import FileJournal

        kept = FileJournal(journal)
    try:
        return await Pen.connect(
            wanted, journal=kept, inspect_only=inspect_only, trace=lambda connection: trace(connection, level)
        )
    except Timeout as error:
        raise NotAPen(
            f"Nothing on {wanted} answers as a pen does",
            limit=error.limit,
            advice="Check that the pen is on and that this is its port; `dermalink doctor` looks closer",
        ) from error


async def the_one_pen() -> str:
    """The URL of the only pen that answers here. Raises `NoSuchPort` when there is none, or more than one."""
    from dermalink.discovery import discover

    pens = (await discover()).pens
    if len(pens) == 1:
        return pens[0].url
    name_it = f"Name it: --pen URL, or set {PEN_VARIABLE}"
    if not pens:
        raise NoSuchPort("No pen answers on any serial port", advice=f"Plug it in and switch it on. {name_it}")
    urls = ", ".join(f"{pen.url} ({serial_text(pen.hello)})" for pen in pens)
    raise NoSuchPort(f"{len(pens)} pens answer: {urls}", advice=name_it)
