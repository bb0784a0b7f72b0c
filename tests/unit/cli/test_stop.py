"""`dermalink stop`: each pen as soon as it is found, and what a person is told whatever becomes of it."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dermalink.cli import stopping
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import ADVISE_AFTER_S, StopResult, stop_one, stop_pens
from dermalink.discovery import Silent
from dermalink.errors import BadUrl, BluetoothOff, CannotOpen, LinkLost, NoSuchPen, NoSuchPort, PortBusy, PortForbidden
from dermalink.links.link import Link
from dermalink.links.stream import StreamLink
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages.identity import GetStatus
from dermalink_protocol.messages.stop import Stop
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.cli.test_finding import BUSY, CABLE, HELD, OFF, OTHER, Room
from tests.unit.host.scripted_pen import ScriptedPen

URL = "serial:/dev/ttyACM0"
LIFT = "Lift the pen straight off the skin and press its button"


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


class Way:
    """What `open_link` does for `dermalink stop`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.early = False  # Stop goes out while the link is set up, as by Bluetooth
        self.hangs = False
        self.pen: ScriptedPen | None = None
        self.changed: Callable[[ScriptedPen], None] = lambda _pen: None
        monkeypatch.setattr(stopping, "open_link", self.open)

    async def open(self, url: str, *, stop_first: bool, on_stop: Callable[[str], object]) -> Link:
        assert stop_first
        if self.early:
            on_stop("")
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.pen = ScriptedPen(MemoryPipe())
        self.changed(self.pen)
        return StreamLink(self.pen.pipe, url)


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Way:
    return Way(monkeypatch)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["stop", *words])


class HangsUp(MemoryPipe):
    """A far end that hangs up on whoever comes."""

    def write(self, data: bytes) -> None:
        self.cut()


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="host")
@in_virtual_time
async def test_by_tcp_another_connection_is_made_where_the_pen_hangs_up_on_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipes: list[MemoryPipe] = []
    hangs_up = 5

    async def open_link(url: str, **_: object) -> Link:
        pipes.append(HangsUp() if len(pipes) < hangs_up else ScriptedPen(MemoryPipe()).pipe)
        return StreamLink(pipes[-1], url)

    monkeypatch.setattr(stopping, "open_link", open_link)
    result = await stop_one("tcp:127.0.0.1:7321")
    assert (result.code, len(pipes)) == (ExitCode.DONE, hangs_up + 1)
    pipes.clear()
    assert (await stop_one(URL)).code is ExitCode.NOT_CONFIRMED
    assert len(pipes) == 1
    pipes.clear()
    hangs_up = 1_000
    began_s = asyncio.get_running_loop().time()
    assert (await stop_one("tcp:127.0.0.1:7321")).code is ExitCode.NOT_CONFIRMED
    assert 2.0 <= asyncio.get_running_loop().time() - began_s < 3.5
    assert 15 <= len(pipes) <= 21


# What cannot be delivered


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoSuchPen("It was not heard"), ExitCode.NO_PEN),
        (BluetoothOff("It cannot be opened", limit="it is switched off"), ExitCode.NO_PEN),
        (NoSuchPort("It cannot be opened"), ExitCode.NO_PEN),
        (PortBusy("It is held", advice="Close it"), ExitCode.NO_PEN),
        (PortForbidden("It may not be opened"), ExitCode.NO_PEN),
        (CannotOpen("It cannot be opened"), ExitCode.NO_PEN),
        (LinkLost("It is gone"), ExitCode.LINK_LOST),
        (BadUrl("It names no link"), ExitCode.USAGE),
        (ZeroDivisionError("of ours"), ExitCode.UNEXPECTED),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_a_stop_that_is_not_delivered_says_so_and_what_to_do_first_whatever_the_error(
    error: Exception, code: ExitCode, early: bool, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "mistake", lambda error: (repr(error), ""))
    way.error, way.early = error, early
    said, as_json = run("--pen", URL), run("--pen", URL, "--json")
    what = "Stop was sent and is NOT CONFIRMED" if early else "Stop was NOT SENT"
    why = str(error) if isinstance(error, DermalinkError) else repr(error)
    assert said.stdout == f"{URL}: {LIFT}. {what}: {why}\n"
    if early and isinstance(error, DermalinkError):
        code = ExitCode.NOT_CONFIRMED
    assert said.exit_code == as_json.exit_code == code
    assert json.loads(as_json.stdout) == {
        "pen": URL,
        "stopped": False,
        "sent": early,
        "proved": False,
        "milliseconds": None,
        "sentence": f"{LIFT}. {what}: {why}",
        "advice": LIFT,
        "exit_code": code,
    }


@pytest.mark.parametrize("words", [("--penn", URL), (URL,), ("--pen",)])
def test_one_that_is_mistyped_says_so_as_well(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert f"Error: {LIFT}. Stop was NOT SENT: " in result.stderr


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_one_that_is_not_confirmed_begins_with_what_to_do_and_one_that_is_does_not(way: Way) -> None:
    way.changed = lambda pen: pen.silent_to(GetStatus)
    result = await stop_one(URL)
    assert result.code is ExitCode.NOT_CONFIRMED
    assert result.said.startswith("Lift the pen straight off the skin; press its button. Stop was sent and could not")
    assert result.said.count("Lift") == 1
    assert result.sent
    assert result.advice
    way.changed = lambda _pen: None
    result = await stop_one(URL)
    assert (result.code, result.advice, result.sent) == (ExitCode.DONE, "", True)


@in_virtual_time
async def test_it_is_told_before_the_link_is_closed_which_takes_seconds_by_bluetooth(way: Way) -> None:
    told: list[int] = []

    def tell(_result: StopResult) -> None:
        assert way.pen is not None
        told.append(way.pen.pipe.closes)

    await stop_one(URL, tell)
    assert told == [0]
    assert way.pen is not None
    assert way.pen.pipe.closes == 1


# Ctrl-C


async def interrupted(pen: str | None, after_s: float) -> list[StopResult]:
    """What was told when the command was interrupted so late."""
    told: list[StopResult] = []
    stop = asyncio.ensure_future(stop_pens(pen, told.append))
    await asyncio.sleep(after_s)
    stop.cancel()
    await asyncio.wait([stop])
    assert stop.cancelled()
    return told


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("early", [False, True])
@in_virtual_time
async def test_ctrl_c_while_the_link_is_opened_says_whether_stop_had_gone_out(early: bool, way: Way) -> None:
    way.hangs, way.early = True, early
    (result,) = await interrupted(URL, 1.0)
    assert result.said.startswith(f"{LIFT}. {'Stop was sent and is NOT CONFIRMED' if early else 'Stop was NOT SENT'}")
    assert result.code == (ExitCode.NOT_CONFIRMED if early else ExitCode.INTERRUPTED)
    assert (result.sent, result.advice, result.milliseconds) == (early, LIFT, None)


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_ctrl_c_before_the_pen_has_answered_says_sent_and_not_confirmed(way: Way) -> None:
    way.changed = lambda pen: pen.silent_to(Stop)
    (result,) = await interrupted(URL, 0.5)
    assert result.said.startswith(f"{LIFT}. Stop was sent and is NOT CONFIRMED")
    assert way.pen is not None
    assert way.pen.pipe.closes == 1


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_ctrl_c_while_pens_are_looked_for_says_that_no_other_was_sent_stop(room: Room, way: Way) -> None:
    room.listen_s = 3.0
    (none,) = await interrupted(None, 1.0)
    assert none.said.startswith(f"{LIFT}. Stop was NOT SENT")
    assert json.loads(none.as_json())["pen"] is None
    room.pens = (CABLE,)
    confirmed, looking = await interrupted(None, 1.0)
    assert confirmed.milliseconds is not None
    assert looking.said.startswith("If another runs, lift it straight off the skin")
    way.hangs = True
    assert [result.url for result in await interrupted(None, 1.0)] == ["", CABLE.url]
    assert [result.url for result in await interrupted(None, 4.0)] == [CABLE.url]


# What is told meanwhile


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_who_waits_for_a_stop_is_told_meanwhile_what_to_do_and_once_it_is_confirmed_no_more(
    room: Room, way: Way
) -> None:
    advice: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()

    async def stop(pen: str | None, for_s: float = ADVISE_AFTER_S + 1.0) -> None:
        stopping_it = asyncio.ensure_future(
            stop_pens(pen, lambda _result: None, lambda said: advice.append((said, loop.time())))
        )
        await asyncio.sleep(for_s)
        stopping_it.cancel()
        await asyncio.wait([stopping_it])

    room.pens, room.listen_s = (CABLE,), ADVISE_AFTER_S + 2.0
    await stop(URL)
    await stop(None)
    assert advice == []
    way.hangs = True
    await stop(URL, 1.0)  # and it says nothing when it is over
    await asyncio.sleep(ADVISE_AFTER_S)
    began = loop.time()
    await stop(URL)
    await stop(None)
    assert [at - began for _, at in advice] == pytest.approx([ADVISE_AFTER_S, 2 * ADVISE_AFTER_S + 1.0])
    assert all(said.startswith("If one runs, lift it straight off the skin and press its button") for said, _ in advice)


@pytest.fixture
def with_ctrl_c() -> Iterator[None]:
    """As in a terminal: a shell that starts something in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("with_ctrl_c")
@pytest.mark.parametrize(("early", "code"), [(True, ExitCode.NOT_CONFIRMED), (False, ExitCode.INTERRUPTED)])
def test_its_exit_code_says_that_needles_are_not_known_to_be_in(
    early: bool, code: ExitCode, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    way.early, way.hangs = early, True

    async def open_and_interrupt(url: str, **how: Any) -> Link:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        return await way.open(url, **how)

    monkeypatch.setattr(stopping, "open_link", open_and_interrupt)
    result = run("--pen", URL)
    assert result.exit_code == code
    assert result.stdout.startswith(f"{URL}: {LIFT}. ")
    assert result.stderr == ""


# Without a pen that was named


class Stops:
    """`stop_one` doubled: which pens were stopped, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, float] = {}
        self.takes_s = 0.0
        monkeypatch.setattr(stopping, "stop_one", self.stop)

    async def stop(self, url: str, tell: stopping.Tell, _at: object) -> StopResult:
        self.at[url] = asyncio.get_running_loop().time()
        await asyncio.sleep(self.takes_s)
        result = StopResult(url, ExitCode.DONE, "stopped", 1.0)
        tell(result)
        return result


@in_virtual_time
async def test_every_pen_is_stopped_when_it_is_found_and_the_air_is_listened_to_all_the_same(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops, told = Stops(monkeypatch), list[tuple[str, float]]()
    room.pens, room.nearby, room.listen_s = (CABLE,), (OTHER, HELD), 3.0

    def tell(result: StopResult) -> None:
        told.append((result.url, asyncio.get_running_loop().time()))

    results = await stop_pens(None, tell)
    assert stops.at == {CABLE.url: 0.0, OTHER.url: 0.0, HELD.url: 0.0}
    assert told == [(CABLE.url, 0.0), (OTHER.url, 0.0), (HELD.url, 0.0)]
    assert [result.url for result in results] == [CABLE.url, OTHER.url, HELD.url]
    assert asyncio.get_running_loop().time() == 3.0


@in_virtual_time
async def test_stop_with_a_pen_named_looks_for_no_other_and_without_any_says_so(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = Stops(monkeypatch)
    await stop_pens("ble:DP-2", lambda _: None)
    assert list(stops.at) == ["ble:DP-2"]
    assert room.asked == []
    room.others = (OFF,)
    with pytest.raises(NoSuchPort, match=r"switched off.*lift it straight off"):
        await stop_pens(None, lambda _: None)


@in_virtual_time
async def test_what_could_not_be_looked_at_is_told_for_the_pen_that_runs_may_be_there(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stops(monkeypatch)
    wrong = Silent("ble:?radio=x", BadUrl("It names no radio"))
    room.nearby, room.others = (OTHER,), (BUSY, OFF, wrong)
    told: list[StopResult] = []
    await stop_pens(None, told.append)
    assert [(result.url, result.code) for result in told] == [
        (OTHER.url, ExitCode.DONE),
        (BUSY.url, ExitCode.NO_PEN),
        (wrong.url, ExitCode.USAGE),
    ]
    assert told[1].said.startswith("If one runs, lift it straight off the skin and press its button. Stop was NOT SENT")


@in_virtual_time
async def test_a_mistake_in_looking_takes_no_stop_from_a_pen_that_was_found(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops, told = Stops(monkeypatch), list[StopResult]()
    stops.takes_s = 0.3
    room.pens, room.mistake = (CABLE,), ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await stop_pens(None, told.append)
    assert [result.url for result in told] == [CABLE.url]
