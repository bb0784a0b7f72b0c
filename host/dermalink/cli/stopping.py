"""Stopping pens from the command line: as many at once as there are, with no journal, no session, no question asked."""

import json
from typing import NamedTuple

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.failures import code_for
from dermalink.cli.options import verbosity
from dermalink.cli.tracing import trace
from dermalink.connection import Connection
from dermalink.errors import NoSuchPort
from dermalink.links.open import open_link
from dermalink.stopping import stop_and_confirm
from dermalink_protocol.errors import DermalinkError


class StopResult(NamedTuple):
    """What came of stopping one pen; `milliseconds` is None when it was not confirmed."""

    url: str
    code: ExitCode
    said: str
    milliseconds: float | None = None

    def as_json(self) -> str:
        """One line of JSON."""
        found = {"pen": self.url, "stopped": self.milliseconds is not None, "milliseconds": self.milliseconds}
        return json.dumps(found | {"sentence": self.said, "exit_code": int(self.code)})

    def sentence(self) -> str:
        """One line for a person."""
        return self.said if self.said.startswith(self.url) else f"{self.url}: {self.said}"


async def urls_to_stop(pen: str | None) -> list[str]:
    """The one that was named, or all that answer; raises `NoSuchPort` when none does."""
    if pen:
        return [pen]
    from dermalink.discovery import discover

    found = [each.url for each in (await discover()).pens]
    if not found:
        advice = "Name it: --pen URL. If one runs, lift it straight off the skin and press its button"
        raise NoSuchPort("No pen answers on any serial port", advice=advice)
    return found


async def stop_one(url: str) -> StopResult:
    """Send Stop before anything is asked, and wait until all is measured in; raises no `DermalinkError`."""
    try:
        connection = Connection(await open_link(url))
        try:
            trace(connection, verbosity())
            connection.start()
            report = await stop_and_confirm(connection)
        finally:
            await connection.close()
    except DermalinkError as error:
        return StopResult(url, code_for(error), str(error))
    said = f"stopped: needles in and motor off, measured {report.confirmed_ms:.0f} ms after Stop was sent"
    return StopResult(url, ExitCode.DONE, said, round(report.confirmed_ms, 1))
