"""Stopping pens from the command line: as many at once as there are, with no journal, no session, no question asked.

Whatever becomes of a Stop is told as soon as it is known; where the needles are not measured in, what to do about it
comes first (SR-STOP-2).
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dermalink.channel.sealable_link import SealableLink
from dermalink.cli.connecting import none_found
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.failures import code_for, mistake
from dermalink.cli.lift import INTERRUPTED, LIFT, NOT_CONFIRMED, NOT_SENT
from dermalink.cli.options import verbosity
from dermalink.cli.tracing import trace
from dermalink.connection import Connection
from dermalink.errors import BadUrl, LinkError, NoRadio, PortBusy, StopNotConfirmed
from dermalink.links.open import open_link
from dermalink.stop_proof import prove_stopped
from dermalink.stopping import StopReport, confirm_within_s, stop_and_confirm
from dermalink_protocol.errors import DermalinkError, sentence

if TYPE_CHECKING:
    from dermalink.discovery import Discovery, FoundPen, Nearby, Silent

IF_ONE_RUNS: Final = "If one runs, lift it straight off the skin and press its button"
NOT_YET: Final = f"{IF_ONE_RUNS}. Not every Stop is confirmed yet"
# An ordinary pen has confirmed by then on any link: by air 1 s to be heard, 1 s to connect, 2 s for the proof.
ADVISE_AFTER_S: Final = 5.0
TCP: Final = "tcp:"
# In a storm of 200 connections a second a pen takes one Stop in four at the first attempt, and none of twenty once in
# three hundred times. More often would be a storm itself.
AGAIN_FOR_S: Final = 2.0
AGAIN_AFTER_S: Final = 0.05  # and as long until a link that was hung up on is given up
MAY_BE_A_COPY: Final = (
    ". By air a copy may answer: if your pen still moves, lift it straight off the skin and press its button"
)


class StopResult(NamedTuple):
    """What came of stopping one pen, or of looking for pens (no URL).

    `milliseconds` is None when it was not confirmed, and then `advice` says what to do; `sent` is whether Stop was
    handed to the system, `proved` whether a pen that this computer has keys of said so under seal.
    """

    url: str
    code: ExitCode
    said: str
    milliseconds: float | None = None
    sent: bool = True
    advice: str = ""
    proved: bool = False

    def as_json(self) -> str:
        """One line of JSON."""
        found: dict[str, Any] = {"pen": self.url or None, "stopped": self.milliseconds is not None, "sent": self.sent}
        found |= {"proved": self.proved, "milliseconds": self.milliseconds, "sentence": self.said}
        found["advice"] = self.advice
        return json.dumps(found | {"exit_code": int(self.code)})

    def sentence(self) -> str:
        """One line for a person."""
        return f"{self.url}: {self.said}" if self.url else self.said


Tell = Callable[[StopResult], object]


async def stop_pens(
    pen: str | None, tell: Tell, advise: Callable[[str], object] = lambda _advice: None
) -> list[StopResult]:
    """Stop the one that was named, or each that is found as soon as it is found; `tell` is told of each at once.

    None waits for another, nor for the end of looking: the one that runs may be found first or last. Raises
    `NoSuchPort` when there is none. When this is cancelled, `tell` is told what became of each Stop. `advise` is told
    what to do meanwhile when one is not confirmed after `ADVISE_AFTER_S`.
    """
    waited_for: set[str] = set()

    def told(result: StopResult) -> None:
        waited_for.discard(result.url)
        tell(result)

    def look() -> None:
        if waited_for:
            advise(NOT_YET)

    late = asyncio.get_running_loop().call_later(ADVISE_AFTER_S, look)
    try:
        if not pen:
            return await _stop_all(told, waited_for)
        waited_for.add(pen)
        return await stop_each(pen, told)
    finally:
        late.cancel()


async def _stop_all(tell: Tell, waited_for: set[str]) -> list[StopResult]:
    from dermalink.discovery import discover

    stopping: list[asyncio.Task[list[StopResult]]] = []

    def begin(found: "FoundPen | Nearby") -> None:
        waited_for.add(found.url)
        stopping.append(asyncio.ensure_future(stop_each(found.url, tell)))

    looking = asyncio.ensure_future(discover(found=begin))
    try:
        await asyncio.wait([looking])
        if stopping:
            await asyncio.wait(stopping)
    except asyncio.CancelledError:
        if not looking.done():
            tell(_looking_interrupted(any_found=bool(stopping)))
        raise
    finally:
        for task in (looking, *stopping):
            task.cancel()
        await asyncio.wait([looking, *stopping])
    heard = looking.result()
    results = [result for task in stopping for result in task.result()]
    for silent in heard.others:
        if isinstance(silent.why, PortBusy) or (stopping and isinstance(silent.why, BadUrl | NoRadio)):
            results.append(_not_looked_at(silent))
            tell(results[-1])
    if not results:
        raise none_found(_of_no_port(heard), f"{IF_ONE_RUNS}. To name it: --pen URL")
    return results


async def stop_each(url: str, tell: Tell) -> list[StopResult]:
    """Stop whoever answers to `url` first, and while that is confirmed look for whoever else may be meant by it.

    Anybody can announce a serial number or a name, and confirm a Stop; that keeps no Stop from another address. Who
    copies the address as well takes the Stop, and nothing here can tell.
    """
    others: list[asyncio.Task[list[StopResult]]] = []

    def look_for_others(address: str) -> None:
        if not others:
            others.append(asyncio.ensure_future(_stop_namesakes(url, address, tell)))

    try:
        results = [await stop_one(url, tell, look_for_others)]
        return results + [result for task in others for result in await task]
    finally:
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)


async def _stop_namesakes(url: str, address: str, tell: Tell) -> list[StopResult]:
    from dermalink.discovery import BLE
    from dermalink.links.ble import namesakes

    try:
        urls = await namesakes(url, address) if url.startswith(BLE) else ()
    except Exception:  # noqa: BLE001 (the pen that answered has its Stop, and that is told)
        return []
    return await asyncio.gather(*(stop_one(each, tell) for each in urls))


async def stop_one(
    url: str, tell: Tell = lambda _result: None, at: Callable[[str], object] = lambda _address: None
) -> StopResult:
    """Send Stop before anything is asked, and wait until all is measured in; `tell` is told before the link is closed.

    `at` is told each time that Stop is handed over, and the address where that was before the link stood (BLE). Raises
    nothing but `CancelledError`, and then `tell` was told whether Stop had gone out.
    """
    sent = False

    def note(address: str = "") -> None:
        nonlocal sent
        sent = True
        at(address)

    async with contextlib.AsyncExitStack() as opened:
        try:
            stopped = await _stop(url, note, opened)
        except asyncio.CancelledError:
            tell(_interrupted(url, sent=sent))
            raise
        except DermalinkError as error:
            result = _unproved(url, error, sent=sent)
        except Exception as error:  # noqa: BLE001 (a person who wanted Stop gets advice, whatever is wrong)
            result = _failed(url, ExitCode.UNEXPECTED, mistake(error)[0], sent=sent)
        else:
            try:
                result = await _proved(url, stopped)
            except asyncio.CancelledError:
                tell(_confirmed(url, stopped.report))
                raise
        tell(result)
    return result


class _Stopped(NamedTuple):
    """A Stop that was confirmed in the clear, and the connection on which it may be proved until `until_s`."""

    report: StopReport
    connection: Connection
    link: SealableLink
    until_s: float


async def _proved(url: str, stopped: _Stopped) -> StopResult:
    """What the pen's owner hears under seal; what was said in the clear, where there are no keys or no time for it."""
    try:
        serial_number = await prove_stopped(stopped.connection, stopped.link, stopped.until_s)
    except DermalinkError as error:
        return _unproved(url, error, sent=True)
    return _confirmed(url, stopped.report, serial_number)


def _confirmed(url: str, report: StopReport, proved_by: str = "") -> StopResult:
    """Only what is known: Stop and its answer go in the clear, and by air anybody may answer as this pen."""
    from dermalink.discovery import BLE

    measured = f"needles in and motor off, measured {report.confirmed_ms:.0f} ms after the link stood"
    if proved_by:
        said = f"your pen {proved_by} says stopped, and proves under seal that it is: {measured}"
    else:
        said = f"the pen that answers here says stopped: {measured}{MAY_BE_A_COPY if url.startswith(BLE) else ''}"
    return StopResult(url, ExitCode.DONE, said, round(report.confirmed_ms, 1), proved=bool(proved_by))


async def _stop(url: str, note_sent: Callable[..., None], opened: contextlib.AsyncExitStack) -> _Stopped:
    """Stop, by another connection where the pen hung up on one: it turns some away in a storm of them (SR-SEC-5)."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + AGAIN_FOR_S
    first: StopNotConfirmed | None = None
    while True:
        try:
            return await _stop_once(url, note_sent, opened)
        except StopNotConfirmed as error:
            first = first or error
            hung_up = isinstance(error.__cause__, LinkError) and url.startswith(TCP)
            if not hung_up or loop.time() >= until_s:
                raise first from None
        except LinkError as error:
            raise first or error from None
        await asyncio.sleep(AGAIN_AFTER_S)


async def _stop_once(url: str, note_sent: Callable[..., None], opened: contextlib.AsyncExitStack) -> _Stopped:
    link = SealableLink(await open_link(url, stop_first=True, on_stop=note_sent))
    connection = Connection(link)
    opened.push_async_callback(_close, connection)
    trace(connection, verbosity())
    connection.start()
    until_s = asyncio.get_running_loop().time() + confirm_within_s(link)
    note_sent()  # the first step of what follows
    return _Stopped(await stop_and_confirm(connection), connection, link, until_s)


async def _close(connection: Connection) -> None:
    """What is wrong with a link that was told all it had to be told is no news to anybody."""
    with contextlib.suppress(DermalinkError):
        await connection.close()


def _unproved(url: str, error: DermalinkError, *, sent: bool) -> StopResult:
    if isinstance(error, StopNotConfirmed):
        advice = error.advice or LIFT
        said = f"{advice}. {sentence(error.refused, error.limit, error.rule)}"
        return StopResult(url, code_for(error), said, advice=advice)
    return _failed(url, ExitCode.NOT_CONFIRMED if sent else code_for(error), str(error), sent=sent)


def _failed(url: str, code: ExitCode, why: str, *, sent: bool, advice: str = LIFT) -> StopResult:
    said = f"{advice}. {NOT_CONFIRMED if sent else NOT_SENT}: {why}"
    return StopResult(url, code, said, sent=sent, advice=advice)


def _interrupted(url: str, *, sent: bool) -> StopResult:
    code = ExitCode.NOT_CONFIRMED if sent else ExitCode.INTERRUPTED
    return _failed(url, code, "this was interrupted", sent=sent)


def _looking_interrupted(*, any_found: bool) -> StopResult:
    if any_found:
        why = "this was interrupted while it still looked for others"
        return _failed("", ExitCode.INTERRUPTED, why, sent=False, advice=IF_ONE_RUNS.replace("one", "another"))
    return StopResult("", ExitCode.INTERRUPTED, INTERRUPTED, sent=False, advice=LIFT)


def _not_looked_at(silent: "Silent") -> StopResult:
    """A port that a program holds, for the pen that runs is the likeliest to be held; or a radio that was named."""
    return _failed(silent.url, code_for(silent.why), str(silent.why), sent=False, advice=IF_ONE_RUNS)


def _of_no_port(heard: "Discovery") -> "Discovery":
    """Why there is no air, and no list of ports; each port that is no pen's would be noise."""
    from dermalink.discovery import BLE, SERIAL

    return heard._replace(others=tuple(each for each in heard.others if each.url == SERIAL or each.url.startswith(BLE)))
