"""Stop over slow air: proved on any link that is up, in bounded time, and sent no oftener than it does any good."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from dermalink.errors import StopNotConfirmed
from dermalink.links.ble_link import LATE_S
from dermalink.pen import Pen
from dermalink.stopping import CONFIRM_WITHIN_S, confirm_within_s, is_stopped
from dermalink_protocol.channels import Channel
from dermalink_protocol.limits import LEASE_MAX_MS
from dermalink_protocol.zones import Zone
from dermalink_simulator.doors.ble_link import BleLink
from tests.air.host.on_air import on_air
from tests.support.running import in_virtual_time
from tests.unit.host.simulated import MOVING, Desk, keep_on, ready

TRIES = 40
PHASE_S = 0.0137  # from one try to the next, so that each meets another moment between two connection events
# A Stop, and at most: its copy while nothing is known of the link yet, the host's own for want of telemetry, its copy.
STOPS_MAX = 4


class Air(NamedTuple):
    """How often the two meet, and how late everything comes besides."""

    interval_ms: int
    delay_ms: int = 0

    def __str__(self) -> str:
        return f"{self.interval_ms}ms+{self.delay_ms}ms"

    def begin(self, desk: Desk) -> None:
        """From now on it is so."""
        desk.do(lambda sim: sim.faults.inject("air", "interval", us=self.interval_ms * 1_000))
        if self.delay_ms:
            desk.do(lambda sim: sim.faults.inject("air", "delay", ms=self.delay_ms))


SLOW = [Air(50), Air(75), Air(100), Air(30, 90)]
WORST = [Air(100), Air(30, 90)]


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The Stops that come to the pen, copies included."""
    came: list[bytes] = []
    write = BleLink.write

    def note_write(link: BleLink, channel: Channel, segment: bytes) -> int:
        if channel is Channel.STOP:
            came.append(segment)
        return write(link, channel, segment)

    monkeypatch.setattr(BleLink, "write", note_write)
    return came


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", side="host")
@pytest.mark.parametrize("mtu", [23, 247])
@pytest.mark.parametrize("air", SLOW, ids=str)
@in_virtual_time
async def test_of_a_pen_at_rest_it_is_proved_each_time_and_sent_once(air: Air, mtu: int, stops: list[bytes]) -> None:
    async with on_air(options=f"mtu={mtu}") as desk, await desk.connect(inspect_only=True) as pen:
        air.begin(desk)
        await pen.status()
        for number in range(TRIES):
            await asyncio.sleep(1 + PHASE_S * number)
            assert is_stopped((await pen.stop()).status)
        assert len(stops) <= TRIES + 1  # its first copy: nothing was known of this air


@contextlib.asynccontextmanager
async def in_a_pass(desk: Desk) -> AsyncIterator[Pen]:
    """The needles go in and out on skin, and a session's loop goes on asking and renewing."""
    async with await desk.connect() as pen:
        lease = await ready(pen)
        await keep_on(pen, lease, lambda status: status.lease_left_ms > 0)
        desk.do(lambda sim: sim.button.press())
        await keep_on(pen, lease, lambda status: status.state in MOVING)
        desk.do(lambda sim: sim.hand.touch(Zone.NOSE))
        await keep_on(pen, lease, lambda status: status.punctures > 0)
        going = asyncio.ensure_future(keep_on(pen, lease, lambda _: False))
        try:
            yield pen
        finally:
            going.cancel()
            await asyncio.wait([going])
            assert going.cancelled() or going.exception() is not None


@pytest.mark.sr("SR-STOP-2", "SR-STOP-4", side="host")
@pytest.mark.parametrize("mtu", [23, 247])
@pytest.mark.parametrize("air", WORST, ids=str)
@in_virtual_time
async def test_in_a_pass_whose_session_asks_on_it_is_proved_each_time(air: Air, mtu: int, stops: list[bytes]) -> None:
    sent = []
    for number in range(TRIES):
        async with on_air(options=f"mtu={mtu}") as desk, in_a_pass(desk) as pen:
            air.begin(desk)
            await asyncio.sleep(0.05 + PHASE_S * number)
            stops.clear()
            assert is_stopped((await pen.stop()).status)
            sent.append(len(stops))
    assert max(sent) <= STOPS_MAX
    assert sum(sent) <= 3 * TRIES


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_on_air_that_is_gone_the_advice_comes_when_the_longest_lease_is_over_too() -> None:
    async with on_air(options="supervision=4000") as desk, await desk.connect(inspect_only=True) as pen:
        bound_s = confirm_within_s(pen.connection.link)
        assert bound_s == CONFIRM_WITHIN_S + LATE_S <= 2 * LEASE_MAX_MS / 1_000
        desk.do(lambda sim: sim.faults.inject("air", "silence"))
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(StopNotConfirmed, match="Lift the pen straight off"):
            await pen.stop()
        assert loop.time() - began == pytest.approx(bound_s, abs=0.01)
