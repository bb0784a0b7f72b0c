"""Somebody on the line keeps a Stop to himself and answers it in the pen's place: what is said then to be stopped.

The pen is the simulated one, whole, and its owner runs it by another connection. However the pen stands when Stop is
sent: where a Stop is said to be proved, no needle comes out any more unless the owner says so anew.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from dermalink.channel.sealable_link import SealableLink
from dermalink.cli import stopping
from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import StopResult, stop_one
from dermalink.connecting import greet
from dermalink.errors import LinkError, PenRefusal, StopNotConfirmed
from dermalink.journal import MemoryJournal
from dermalink.lease import Lease
from dermalink.links.link import Link
from dermalink.links.open import open_link
from dermalink.ownership.store import KeyStore
from dermalink.pen import Pen
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, State
from dermalink_protocol.envelope import Envelope, encode_envelope, peek_opcode, peek_request_id
from dermalink_protocol.limits import IN_WITHIN_MS
from dermalink_protocol.messages.identity import Status
from dermalink_protocol.messages.stop import Stopped
from dermalink_protocol.zones import Direction, Zone
from tests.support.memory_pipe import MemoryPipe
from tests.support.owned import keys_of
from tests.support.running import in_virtual_time
from tests.support.sealed_client import inside
from tests.unit.host.scripted_pen import ScriptedPen
from tests.unit.host.simulated import QUICK, Desk, a_desk, applied, keep_on, ready

STARTED_S = 1.5  # its self-test at power-up is over
WATCHED_S = 1.5  # longer than a write, a spin-up and the longest lease
TELLS_STOP = {"clear": (Opcode.STOP,), "all": (Opcode.STOP, Opcode.SEALED)}
AT_REST = (State.IDLE, State.OPEN)


class Between:
    """A link with somebody on it, who withholds what says Stop, in the clear or all of it, and answers it himself.

    To whoever asks in the clear he says that the pen is at rest. Unless he `cuts`, he keeps the pen's end of the line
    up when the host lets go of its own.
    """

    def __init__(self, link: Link, desk: Desk, withheld: tuple[Opcode, ...], *, cuts: bool = True) -> None:
        self._link, self._desk, self._withheld, self._cuts = link, desk, withheld, cuts
        self._deliver: Callable[[Channel, bytes], None] = lambda _channel, _body: None
        self.swallowed = 0

    @classmethod
    def get_in(cls, pen: Pen, desk: Desk) -> "Between":
        """From now on he is on this pen's line, and withholds what says Stop in the clear."""
        sealable = cast(SealableLink, pen.connection.link)
        between = cls(sealable._link, desk, TELLS_STOP["clear"])
        between._deliver = sealable._take
        sealable._link = cast(Link, between)
        return between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def deliver_to(self, take: Callable[[Channel, bytes], None], end: Callable[[LinkError], None]) -> None:
        self._deliver = take

        def hand_on(channel: Channel, body: bytes) -> None:
            take(channel, self._lie(body) if peek_opcode(body) == Opcode.STATUS else body)

        self._link.deliver_to(hand_on, end)

    async def close(self) -> None:
        if self._cuts:
            await self.cut()

    async def cut(self) -> None:
        await self._link.close()

    def _lie(self, body: bytes) -> bytes:
        tick_ms = self._desk.do(lambda sim: inside(sim).tick_ms)  # anybody may ask the pen for it
        said = Status(**ScriptedPen(MemoryPipe()).status, tick_ms=tick_ms)
        return encode_envelope(Envelope(Channel.STATUS, peek_request_id(body), said))

    def send_now(self, channel: Channel, body: bytes) -> None:
        if not self._withholds(channel, body):
            self._link.send_now(channel, body)

    def try_send(self, channel: Channel, body: bytes, *, gather: bool = False) -> bool:
        return self._withholds(channel, body) or self._link.try_send(channel, body, gather=gather)

    async def send(self, channel: Channel, body: bytes) -> None:
        if not self._withholds(channel, body):
            await self._link.send(channel, body)

    def _withholds(self, channel: Channel, body: bytes) -> bool:
        if channel is not Channel.STOP or peek_opcode(body) not in self._withheld:
            return False
        self.swallowed += 1
        if peek_opcode(body) == Opcode.STOP:
            tick_ms = self._desk.do(lambda sim: inside(sim).tick_ms)
            answer = Envelope(Channel.STOP, peek_request_id(body), Stopped(tick_ms=tick_ms, state=State.IDLE))
            asyncio.get_running_loop().call_soon(self._deliver, Channel.STOP, encode_envelope(answer))
        return True


# How the pen stands


async def opened(_desk: Desk, pen: Pen) -> Lease:
    return pen.lease((await applied(pen, pen.gate.open_session)).session_id)


async def prepared(desk: Desk, pen: Pen) -> Lease:
    lease = await opened(desk, pen)
    place = {"zone": Zone.NOSE, "direction": Direction.VERTICAL} | QUICK
    await applied(pen, lambda: pen.gate.prepare(**place))
    return lease


async def waiting(_desk: Desk, pen: Pen) -> Lease:
    return await ready(pen)


async def running(desk: Desk, pen: Pen) -> Lease:
    lease = await ready(pen)
    await keep_on(pen, lease, lambda status: status.lease_left_ms > 0)
    desk.do(lambda sim: sim.button.press())
    desk.do(lambda sim: sim.hand.touch(Zone.NOSE))
    await keep_on(pen, lease, lambda status: status.state is State.RUNNING)
    return pen.lease((await pen.status()).session_id)


async def paused(desk: Desk, pen: Pen) -> Lease:
    lease = await running(desk, pen)
    await pen.pause()
    await keep_on(pen, lease, lambda status: status.state is State.PAUSED)
    return pen.lease((await pen.status()).session_id)


async def resumed(desk: Desk, pen: Pen) -> Lease:
    lease = await paused(desk, pen)
    await applied(pen, pen.gate.resume_pass)
    return lease


async def in_self_test(_desk: Desk, pen: Pen) -> None:
    await applied(pen, pen.gate.run_self_test)


async def closing(desk: Desk, pen: Pen) -> None:
    await opened(desk, pen)
    closes = asyncio.Event()
    pen.connection.on_state.append(lambda news: closes.set() if news.state is State.CLOSING else None)
    going = asyncio.ensure_future(pen.close_session())
    await closes.wait()
    going.add_done_callback(lambda done: done.cancelled() or done.exception())


Stands = Callable[[Desk, Pen], Awaitable[Lease | None]]
GOES_ON = [prepared, waiting, running, paused, resumed]
ENDS_BY_ITSELF = [in_self_test, opened, closing]
ALL = [*GOES_ON, *ENDS_BY_ITSELF]


def state_of(desk: Desk) -> State:
    return State(desk.do(lambda sim: inside(sim).state.state))


@asynccontextmanager
async def gone_on(pen: Pen, lease: Lease | None) -> AsyncIterator[None]:
    """The owner's computer knows of no Stop: it keeps the lease alive."""
    going = asyncio.ensure_future(keep_on(pen, lease, lambda _: False)) if lease is not None else None
    try:
        yield
    finally:
        if going is not None:
            going.cancel()
            await asyncio.wait([going])
            assert going.cancelled() or isinstance(going.exception(), PenRefusal)


async def comes_out(desk: Desk) -> bool:
    """Whether a needle comes out, or the motor turns, from now on, also when somebody presses the button."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + WATCHED_S
    desk.do(lambda sim: sim.button.press())
    while loop.time() < ends_s:
        if desk.do(lambda sim: sim.needles_out or sim.motor_turns):
            return True
        await asyncio.sleep(0.002)
    return False


@asynccontextmanager
async def standing(stands: Stands) -> AsyncIterator[Desk]:
    """A pen with an owner that stands so, and goes on being run by its owner's computer."""
    async with a_desk() as desk:
        await asyncio.sleep(STARTED_S)
        desk.give_owner()
        async with await desk.connect() as pen, gone_on(pen, await stands(desk, pen)):
            yield desk


# `dermalink stop`


@pytest.fixture
def stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Desk, str], Awaitable[StopResult]]:
    """`dermalink stop` of a pen whose keys lie in a file, with somebody on the line."""
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path))

    async def stop(desk: Desk, withheld: str) -> StopResult:
        async def opens(url: str, **_: object) -> Link:
            return cast(Link, Between(await open_link(url), desk, TELLS_STOP[withheld]))

        monkeypatch.setattr(stopping, "open_link", opens)
        KeyStore(tmp_path, lambda: None).keep(keys_of(desk.sim.card.serial_number))
        return await stop_one(desk.url)

    return stop


Stops = Callable[[Desk, str], Awaitable[StopResult]]


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("stands", ALL)
@in_virtual_time
async def test_a_stop_that_was_withheld_in_the_clear_reaches_the_pen_under_seal(stands: Stands, stops: Stops) -> None:
    async with standing(stands) as desk:
        result = await stops(desk, "clear")
        assert (result.code, result.proved) == (ExitCode.DONE, True), result.said
        assert not await comes_out(desk)
        assert state_of(desk) in AT_REST


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("stands", GOES_ON)
@in_virtual_time
async def test_a_stop_that_never_reached_the_pen_is_not_confirmed(stands: Stands, stops: Stops) -> None:
    async with standing(stands) as desk:
        result = await stops(desk, "all")
        assert not result.proved
        assert result.code is ExitCode.NOT_CONFIRMED, result.said
        assert "under seal the pen says" in result.said


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("stands", ENDS_BY_ITSELF)
@in_virtual_time
async def test_a_stop_that_never_reached_the_pen_is_not_proved_though_there_was_nothing_to_stop(
    stands: Stands, stops: Stops
) -> None:
    async with standing(stands) as desk:
        result = await stops(desk, "all")
        assert (result.code, result.proved) == (ExitCode.DONE, False)


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("withheld", TELLS_STOP)
@pytest.mark.parametrize("after_ms", range(0, 40, 2))
@in_virtual_time
async def test_at_no_moment_of_a_start_is_a_stop_proved_that_the_needles_come_out_after(
    after_ms: int, withheld: str, stops: Stops
) -> None:
    """Somebody presses just when the pen is asked: it records, and spins up by itself."""
    async with standing(waiting) as desk:
        loop = asyncio.get_running_loop()
        loop.call_later(after_ms / 1_000, desk.do, lambda sim: sim.button.press())
        result = await stops(desk, withheld)
        if result.proved:
            assert not await comes_out(desk)
        else:
            assert result.code is ExitCode.NOT_CONFIRMED
        assert result.proved is (withheld == "clear")


# A sealed connection's own Stop


@asynccontextmanager
async def connected(desk: Desk, withheld: str) -> AsyncIterator[Pen]:
    """The owner's second connection, sealed, with somebody on the line."""
    link = Between(await open_link(desk.url), desk, TELLS_STOP[withheld])
    utc: Callable[[], int] = lambda: desk.sim.clock.utc_s  # noqa: E731
    pen = Pen(await greet(cast(Link, link), journal=MemoryJournal(), inspect_only=True, utc=utc, known=desk.known))
    assert pen.sealed
    async with pen:
        yield pen
        assert link.swallowed


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", "SR-SEC-1", side="host")
@pytest.mark.parametrize("stands", ALL)
@in_virtual_time
async def test_a_sealed_connections_stop_that_was_withheld_in_the_clear_reaches_the_pen_under_seal(
    stands: Stands,
) -> None:
    async with standing(stands) as desk, connected(desk, "clear") as pen:
        await pen.stop()
        assert not await comes_out(desk)
        assert state_of(desk) in AT_REST


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("stands", GOES_ON)
@in_virtual_time
async def test_a_sealed_connections_stop_that_never_reached_the_pen_is_not_confirmed(stands: Stands) -> None:
    async with standing(stands) as desk, connected(desk, "all") as pen:
        with pytest.raises(StopNotConfirmed):
            await pen.stop()


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("stands", ENDS_BY_ITSELF)
@in_virtual_time
async def test_a_pen_at_rest_where_stop_changes_nothing_is_stopped_also_when_it_never_heard_of_it(
    stands: Stands,
) -> None:
    async with standing(stands) as desk, connected(desk, "all") as pen:
        assert (await pen.stop()).status.state in (*AT_REST, State.CLOSING)
        assert not await comes_out(desk)


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@pytest.mark.parametrize("withheld", TELLS_STOP)
@pytest.mark.parametrize("after_ms", range(0, 40, 2))
@in_virtual_time
async def test_at_no_moment_of_a_start_is_a_sealed_connections_stop_proved_that_the_needles_come_out_after(
    after_ms: int, withheld: str
) -> None:
    async with standing(waiting) as desk, connected(desk, withheld) as pen:
        desk.do(lambda sim: sim.button.press())
        await asyncio.sleep(after_ms / 1_000)
        proved = True
        try:
            await pen.stop()
        except StopNotConfirmed:
            proved = False
        if proved:
            assert not await comes_out(desk)
        assert proved is (withheld == "clear")


@pytest.mark.sr("SR-STOP-4", "SR-SEC-1", side="host")
@in_virtual_time
async def test_on_the_way_out_the_needles_go_in_though_stop_was_withheld_in_the_clear() -> None:
    """Who keeps it to himself keeps the pen's link up as well: without a Stop under seal its lease would run on."""
    async with a_desk() as desk:
        await asyncio.sleep(STARTED_S)
        desk.give_owner()
        link = Between(await open_link(desk.url), desk, TELLS_STOP["clear"], cuts=False)
        try:
            utc: Callable[[], int] = lambda: desk.sim.clock.utc_s  # noqa: E731
            journal = MemoryJournal()
            pen = Pen(await greet(cast(Link, link), journal=journal, utc=utc, known=desk.known))
            await running(desk, pen)
            await pen.close()
            assert link.swallowed
            await asyncio.sleep(IN_WITHIN_MS / 1_000)
            assert not desk.do(lambda sim: sim.needles_out)
        finally:
            await link.cut()
