"""Stopping pens from the command line: as many at once as there are, with no journal, no session, no question asked."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dermalink.cli.connecting import none_found
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.failures import code_for
from dermalink.cli.options import verbosity
from dermalink.cli.tracing import trace
from dermalink.connection import Connection
from dermalink.links.open import open_link
from dermalink.stopping import stop_and_confirm
from dermalink_protocol.errors import DermalinkError

if TYPE_CHECKING:
    from dermalink.discovery import Discovery


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


async def stop_pens(pen: str | None, tell: Callable[[StopResult], None]) -> list[StopResult]:
    """Stop the one that was named, or every pen that is found; `tell` is told of each at once.

    A cable does not wait for the air, and the air is listened to all the same: the pen that runs may be the one there.
    Raises `NoSuchPort` when there is none.
    """
    from dermalink.discovery import discover

    async def stop_and_tell(url: str) -> StopResult:
        result = await stop_one(url)
        tell(result)
        return result

    async def stop_found(*, ble: bool) -> "tuple[Discovery, list[StopResult]]":
        found = await discover(serial=not ble, ble=ble)
        urls = [pen.url for pen in found.pens] + [near.url for near in found.nearby]
        return found, await asyncio.gather(*(stop_and_tell(url) for url in urls))

    if pen:
        return [await stop_and_tell(pen)]
    # Both to their end, whatever becomes of the other: a mistake on the air takes no Stop from a cable.
    ways = await asyncio.gather(stop_found(ble=False), stop_found(ble=True), return_exceptions=True)
    for way in ways:
        if isinstance(way, BaseException):
            raise way
    (_, stopped), (heard, others) = (way for way in ways if not isinstance(way, BaseException))
    if not stopped and not others:
        advice = "Name it: --pen URL. If one runs, lift it straight off the skin and press its button"
        raise none_found(heard, advice)
    return stopped + others


async def stop_one(url: str) -> StopResult:
    """Send Stop before anything is asked, and wait until all is measured in; raises no `DermalinkError`."""
    try:
        connection = Connection(await open_link(url, stop_first=True))
        try:
            trace(connection, verbosity())
            connection.start()
            report = await stop_and_confirm(connection)
        finally:
            await connection.close()
    except DermalinkError as error:
        return StopResult(url, code_for(error), str(error))
    said = f"stopped: needles in and motor off, measured {report.confirmed_ms:.0f} ms after the link stood"
    return StopResult(url, ExitCode.DONE, said, round(report.confirmed_ms, 1))
