"""Whose packets may lie in the pen's controller: few places, and those of a silent link are kept until it is lost."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from bumble import att, hci
from bumble.core import PhysicalTransport
from bumble.device import ConnectionParametersPreferences
from bumble.host import DataPacketQueue

from dermalink_protocol.channels import SERIAL_NUMBER, Channel
from dermalink_protocol.messages import identity, stop, telemetry
from dermalink_simulator.doors.ble_places import LINKS_MAX
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.pen import serial_number
from dermalink_simulator.radio.controller import PACKETS
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, RawCentral, bench, central_on

READ_SOMETHING = struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, 3)
LONGEST_SUPERVISION_MS = 32_000  # what a central may ask for at most
EVENT_S = 0.03


def places(pen: Bench, how_many: int = PACKETS) -> DataPacketQueue:
    """The one queue of all links, into a controller with so many places."""
    queue = pen.door._device.host.le_acl_packet_queue
    assert queue is not None
    queue.max_in_flight = how_many
    return queue


@asynccontextmanager
async def stranger_of(pen: Bench, number: int) -> AsyncIterator[RawCentral]:
    """A central that has a link, and says nothing."""
    wanted = ConnectionParametersPreferences(supervision_timeout=LONGEST_SUPERVISION_MS)
    wanted.connection_interval_min = wanted.connection_interval_max = EVENT_S * 1_000
    async with central_on(pen.air, number) as stranger:
        stranger.connection = await stranger.device.connect(
            pen.address, PhysicalTransport.LE, connection_parameters_preferences={hci.Phy.LE_1M: wanted}
        )
        yield stranger


async def get_stuck(stranger: RawCentral) -> None:
    """Ask for much, and take none of it."""
    for _ in range(30):
        stranger.send(READ_SOMETHING)
    await asyncio.sleep(EVENT_S + 0.001)
    stranger.die()
    await asyncio.sleep(0.1)


async def is_served(pen: Bench, number: int) -> bool:
    """Whether whoever comes now is answered."""
    try:
        async with asyncio.timeout(1.5), pen.host(number) as newcomer:
            return await newcomer.read(SERIAL_NUMBER) == serial_number(7).encode()
    except TimeoutError:
        return False


def is_out(pen: Bench) -> bool:
    return pen.runner.act(lambda: pen.pen.needles_out)


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@pytest.mark.parametrize("stuck", [3, LINKS_MAX - 1])
def test_strangers_that_got_stuck_hold_a_place_each_and_the_next_who_comes_is_served(stuck: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000))
            for number in range(stuck):
                await get_stuck(await stack.enter_async_context(stranger_of(pen, 10 + number)))
            assert pen.door.links == places(pen).pending == stuck
            assert await is_served(pen, 2)

    test()


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@pytest.mark.parametrize(("how_many", "stuck"), [(PACKETS, LINKS_MAX - 2), (PACKETS, 3), (3, 1), (2, 0), (1, 0)])
def test_beside_an_owner_and_stuck_strangers_the_next_who_comes_is_served(how_many: int, stuck: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as owner, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000))
            places(pen, how_many)
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing():
                for number in range(stuck):
                    await get_stuck(await stack.enter_async_context(stranger_of(pen, 10 + number)))
                assert await is_served(pen, 2)
                assert pen.door.links == stuck + 1
                assert is_out(pen), "the owner's lease lapsed"
                assert isinstance(await owner.answer_to(owner.stop_now(), within_s=0.5), stop.Stopped)

    test()


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@pytest.mark.parametrize(("owner_comes", "stuck"), [("never", 6), ("first", 6), ("last", 5)])
def test_one_indication_at_most_lies_there_with_its_answer_and_the_next_who_comes_is_served(
    owner_comes: str, stuck: int
) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=LONGEST_SUPERVISION_MS))
            if owner_comes == "first":
                await own(await stack.enter_async_context(pen.host()))
            for number in range(stuck):
                stranger = await stack.enter_async_context(pen.host(10 + number))
                await stranger.subscribe(*Channel)
                asked = asyncio.create_task(stranger.send_message(identity.GetStatus()))
                await asyncio.sleep(EVENT_S + 0.001)
                stranger.die()
                asked.cancel()
                await asyncio.sleep(0.1)
            assert places(pen).pending == stuck + (owner_comes != "first")
            if owner_comes == "last":
                await own(await stack.enter_async_context(pen.host()))
            assert await is_served(pen, 2)

    test()


async def own(host: RawCentral) -> None:
    await host.subscribe(*Channel)
    await host.hello()
    await host.open()


@in_virtual_time
async def test_who_is_alone_has_the_answer_and_its_indication_in_one_event() -> None:
    async with bench() as pen, pen.host() as host:
        pen.air.conditions.become(AirConditions(interval_us=100_000))
        await host.subscribe(*Channel)
        asked_s = asyncio.get_running_loop().time()
        await host.status()
        assert (
            asyncio.get_running_loop().time() - asked_s <= 0.2
        )  # an event for the request, one for all that comes of it


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("how_many", [2, 3, PACKETS])
def test_however_many_strangers_are_stuck_one_place_is_the_owners(how_many: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as owner, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000))
            queue = places(pen, how_many)
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing():
                for number in range(LINKS_MAX - 1):
                    await get_stuck(await stack.enter_async_context(stranger_of(pen, 10 + number)))
                assert queue.pending >= how_many - 1
                assert is_out(pen), "the owner's lease lapsed"
                assert isinstance(await owner.answer_to(owner.stop_now(), within_s=0.5), stop.Stopped)

    test()


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@pytest.mark.parametrize(("before", "after"), [(0, PACKETS // 2 - 1), (LINKS_MAX - 3, 0), (LINKS_MAX - 2, 0)])
def test_an_owner_that_fell_silent_beside_stuck_strangers_leaves_a_place_for_who_comes(before: int, after: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host(mtu=0) as owner, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=LONGEST_SUPERVISION_MS))
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing():
                for number in range(before):
                    await get_stuck(await stack.enter_async_context(stranger_of(pen, 10 + number)))
            owner.die()
            await asyncio.sleep(0.1)
            assert places(pen).pending == before + min(PACKETS // 2, PACKETS - 1 - before)
            for number in range(after):
                await get_stuck(await stack.enter_async_context(stranger_of(pen, 20 + number)))
            assert await is_served(pen, 2)

    test()


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("idle", [0, 1, 3, LINKS_MAX - 1])
def test_an_owner_with_the_smallest_packets_keeps_its_lease_beside_idle_strangers(idle: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host(mtu=0) as owner, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000))
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing():
                for number in range(idle):
                    await stack.enter_async_context(stranger_of(pen, 10 + number))
                owner.said.clear()
                await asyncio.sleep(2.5)
                assert pen.door.links == idle + 1
                assert is_out(pen), "the owner's lease lapsed"
            numbers = [one.sequence for one in owner.said if isinstance(one, telemetry.Telemetry)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "telemetry was dropped"
            assert len(numbers) >= 20

    test()


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("how_many", [1, 2])
def test_who_asks_without_end_has_a_place_in_its_turn(how_many: int) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, AsyncExitStack() as stack:
            pen.air.conditions.become(AirConditions(interval_us=30_000))
            flooders = [await stack.enter_async_context(stranger_of(pen, 10 + number)) for number in range(3)]
            places(pen, how_many)
            async with pen.host(2) as other:
                for flooder in flooders:
                    for _ in range(50):
                        flooder.send(READ_SOMETHING)
                await asyncio.sleep(3 * EVENT_S)
                asked_s = asyncio.get_running_loop().time()
                assert await other.read(SERIAL_NUMBER) == serial_number(7).encode()
                assert asyncio.get_running_loop().time() - asked_s <= (len(flooders) + 2) * EVENT_S

    test()


@in_virtual_time
async def test_the_place_of_a_link_that_is_lost_goes_to_who_waits_for_one() -> None:
    async with bench() as pen, AsyncExitStack() as stack:
        pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=5_000))
        places(pen, 1)
        await get_stuck(await stack.enter_async_context(stranger_of(pen, 10)))
        waits = await stack.enter_async_context(stranger_of(pen, 11))
        waits.send(READ_SOMETHING)
        await asyncio.sleep(1)
        assert waits._responses.empty()
        await asyncio.sleep(5)
        assert not waits._responses.empty()
