"""That a place stays free on the pen's radio: who gives way to whom, and that Stop is taken whoever holds the links."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from bumble import hci

from dermalink_protocol.channels import SERIAL_NUMBER, Channel
from dermalink_protocol.limits import IN_WITHIN_MS
from dermalink_protocol.messages import identity, stop
from dermalink_simulator.doors.ble_link import BleLink
from dermalink_simulator.doors.ble_places import LOOK_S, Places
from dermalink_simulator.pen import serial_number
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, RawCentral, bench, central_on

LOW_RESOURCES = hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_LOW_RESOURCES_ERROR
# As docs/bluetooth.md says, and not as the code has it: eight places, and who said nothing for 3 s gives way.
LINKS_MAX = 8
IDLE_S = 3.0
STOP_ANSWERED_S = 1.0  # for so long whose Stop is answered is spared, and once in so many:
STOP_SPARED_EVERY_S = 10.0
LATE_MS = 4 * 30  # up to three connection events of the room lost in a row
FOUND_S = 0.5  # an advertisement every 100 ms, some of them lost


async def connect_only(central: RawCentral, pen: Bench) -> None:
    """A link on which nothing is said."""
    async with asyncio.timeout(20):
        central.connection = await central.device.connect(pen.address, timeout=15)
    central.connection.on(central.connection.EVENT_DISCONNECTION, central._over)


async def advertises(pen: Bench, within_s: float) -> bool:
    """Whether hosts can find the pen, or can within that time."""
    until_s = asyncio.get_running_loop().time() + within_s
    while not pen.door.advertising and asyncio.get_running_loop().time() < until_s:  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.01)
    return pen.door.advertising


def link_of(pen: Bench, host: RawCentral) -> BleLink:
    (link,) = [
        link
        for connection, link in pen.door._server.links.items()
        if connection.peer_address == host.device.random_address
    ]
    return link


@asynccontextmanager
async def idlers(pen: Bench, number: int, first: int = 100) -> AsyncIterator[list[RawCentral]]:
    """So many strangers with a link each, who say nothing."""
    async with AsyncExitStack() as stack:
        hosts = []
        for each in range(number):
            hosts.append(await stack.enter_async_context(central_on(pen.air, first + each)))
            await connect_only(hosts[-1], pen)
        yield hosts


# Idle links


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("air", ["perfect", "room"])
def test_as_many_idle_links_as_there_are_keep_nobody_from_stop(air: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench(air) as pen, pen.host() as owner:
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing(), idlers(pen, LINKS_MAX - 1) as idle:
                assert await advertises(pen, IDLE_S + LOOK_S + FOUND_S)
                async with pen.host(2, mtu=0) as stranger:
                    assert pen.runner.act(lambda: pen.pen.needles_out)
                    since_ms = pen.now_ms
                    stranger.stop_now()
                    await asyncio.sleep(0.4)
                    in_us = pen.pen.skin.last_in_us
                    assert in_us is not None
                    assert in_us - since_ms * 1_000 <= (IN_WITHIN_MS + LATE_MS) * 1_000
                assert owner.ended is None
                assert LOW_RESOURCES in [one.ended for one in idle]

    test()


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@in_virtual_time
async def test_with_every_place_taken_who_is_idle_goes_at_once_and_who_has_just_come_stays() -> None:
    async with bench() as pen, idlers(pen, LINKS_MAX - 1) as idle:
        await asyncio.sleep(IDLE_S)
        async with idlers(pen, 1, first=200) as (late,):
            assert await advertises(pen, FOUND_S)
            await asyncio.sleep(LOOK_S)
            assert [one.ended for one in idle] == [LOW_RESOURCES] + [None] * (LINKS_MAX - 2), "who came first"
            assert late.ended is None
            assert pen.door.links == LINKS_MAX - 1 == pen.runner.links
            await asyncio.sleep(60)
            assert [one.ended for one in idle].count(None) == LINKS_MAX - 2, "one free place is enough"


@in_virtual_time
async def test_links_that_have_just_come_are_left_alone_until_they_are_idle() -> None:
    async with bench() as pen, idlers(pen, LINKS_MAX) as hosts:
        first = min(link.heard_s for link in pen.door._server.links.values())
        while pen.door.links == LINKS_MAX:
            assert not pen.door.advertising
            await asyncio.sleep(0.01)
        assert 0 <= asyncio.get_running_loop().time() - first - IDLE_S <= LOOK_S + 0.1
        assert [one.ended for one in hosts] == [LOW_RESOURCES] + [None] * (LINKS_MAX - 1)


@in_virtual_time
async def test_seven_hosts_that_are_idle_for_an_hour_are_left_alone() -> None:
    async with bench() as pen, idlers(pen, LINKS_MAX - 1) as hosts:
        await asyncio.sleep(3_600)
        assert [one.ended for one in hosts] == [None] * (LINKS_MAX - 1)
        assert pen.door.advertising


@in_virtual_time
async def test_who_never_said_anything_goes_before_who_did_long_ago() -> None:
    async with bench() as pen, pen.host() as host:
        await host.subscribe(*Channel)
        await host.ask(identity.GetStatus())
        await asyncio.sleep(60)
        async with idlers(pen, LINKS_MAX - 1) as silent:
            await asyncio.sleep(2 * IDLE_S)
            assert host.ended is None
            assert [one.ended for one in silent].count(LOW_RESOURCES) == 1
            assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()


# Links of hosts that talk


@asynccontextmanager
async def talkers(pen: Bench, number: int, first: int = 100) -> AsyncIterator[list[RawCentral]]:
    """So many strangers who say something all the time."""
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(pen.host(first + each)) for each in range(number)]

        async def talk(host: RawCentral) -> None:
            await host.subscribe(*Channel)
            while host.ended is None:
                await host.ask(identity.GetStatus())
                await asyncio.sleep(0.5)

        tasks = [asyncio.create_task(talk(host)) for host in hosts]
        try:
            yield hosts
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@in_virtual_time
async def test_as_many_talking_links_as_there_are_keep_nobody_from_stop_nor_push_out_the_owner() -> None:
    async with bench("room") as pen, pen.host() as owner:
        await owner.subscribe(*Channel)
        await owner.to_running(pen.runner)
        async with owner.renewing(), talkers(pen, LINKS_MAX - 1) as others:
            assert await advertises(pen, IDLE_S + 2 * LOOK_S + FOUND_S)
            assert pen.runner.act(lambda: pen.pen.needles_out)
            assert [one.ended for one in others].count(LOW_RESOURCES) == 1
            async with pen.host(2) as stranger:
                await stranger.subscribe(*Channel)
                assert isinstance(await stranger.answer_to(stranger.stop_now(), within_s=1), stop.Stopped)
            assert owner.ended is None


@pytest.mark.sr("SR-STOP-4", "SR-SEC-5", side="pen")
@in_virtual_time
async def test_strangers_who_come_all_the_time_push_out_no_owner_slow_no_stop_and_leave_a_place() -> None:
    async with bench("room") as pen, pen.host() as owner, AsyncExitStack() as stack:
        await owner.subscribe(*Channel)
        # Whom of those who listen a place is given to is the air's affair; in this one, to who was there first.
        stranger = await stack.enter_async_context(central_on(pen.air, 2))
        await owner.to_running(pen.runner)
        came, numbers = [0], count(50)

        async def come() -> None:
            async with central_on(pen.air, next(numbers)) as central:
                while True:
                    central.ended = None
                    await connect_only(central, pen)
                    came[0] += 1
                    await central.until_ended()

        storm = [asyncio.create_task(come()) for _ in range(2 * LINKS_MAX)]

        async def calm() -> None:
            for task in storm:
                task.cancel()
            await asyncio.gather(*storm, return_exceptions=True)

        stack.push_async_callback(calm)
        async with owner.renewing():
            await asyncio.sleep(8)  # the pass lasts 13 s
            assert came[0] > 2 * LINKS_MAX, "they do give way to each other"
            assert pen.runner.act(lambda: pen.pen.needles_out)
            came_s = asyncio.get_running_loop().time()
            await connect_only(stranger, pen)
            assert asyncio.get_running_loop().time() - came_s < IDLE_S + LOOK_S + FOUND_S
            assert owner.ended is None
            since_ms = pen.now_ms
            number = owner.stop_now()
            assert isinstance(await owner.answer_to(number, within_s=0.5), stop.Stopped)
            in_us = pen.pen.skin.last_in_us
            assert in_us is not None
            assert in_us - since_ms * 1_000 <= (IN_WITHIN_MS + LATE_MS) * 1_000


@pytest.mark.sr("SR-STOP-4", side="pen")
@in_virtual_time
async def test_whose_stop_is_being_answered_does_not_give_way_but_keeps_no_place_by_it() -> None:
    async with bench() as pen, pen.host() as host:
        loop, link = asyncio.get_running_loop(), link_of(pen, host)
        assert (link.spoke, link.spared_until_s) == (False, 0.0)
        host.stop_now()
        await asyncio.sleep(0.1)
        assert link.spoke
        first_s = link.heard_s
        assert link.spared_until_s == first_s + STOP_ANSWERED_S
        while loop.time() < first_s + STOP_SPARED_EVERY_S - 0.2:
            host.stop_now()
            await asyncio.sleep(0.1)
        assert link.spared_until_s == first_s + STOP_ANSWERED_S
        await asyncio.sleep(0.3)
        host.stop_now()
        await asyncio.sleep(0.1)
        assert link.spared_until_s == link.heard_s + STOP_ANSWERED_S > first_s + STOP_SPARED_EVERY_S


# The rule by itself


@dataclass(eq=False)  # each is itself
class Seat:
    """What the rule knows of a link."""

    heard_s: float = 0.0
    spoke: bool = False
    is_owner: bool = False
    gone: bool = False
    ended_s: float = 0.0
    spared_until_s: float = 0.0


def places(seats: list[Seat]) -> tuple[Places, list[Seat]]:
    """The rule over those seats; and who was hung up on, who stays in the list as one who does not hear it does."""
    went: list[Seat] = []

    def hang_up(seat: Any) -> None:
        seat.gone, seat.ended_s = True, asyncio.get_running_loop().time()
        went.append(seat)

    links: Any = dict(enumerate(seats))
    return Places(links, hang_up), went


@in_virtual_time
async def test_the_owner_and_whose_stop_is_answered_are_spared_and_else_the_longest_silent_goes() -> None:
    await asyncio.sleep(100)
    seats = [Seat(heard_s=90.0 + number) for number in range(LINKS_MAX)]
    seats[0].is_owner = True
    seats[1].spared_until_s = 110.0
    rule, went = places(seats)
    rule.look(refused=False)
    assert went == [], "not in the middle of what the pen does"
    await asyncio.sleep(0)
    assert went == [seats[2]]
    rule.close()


@in_virtual_time
async def test_the_next_one_goes_where_the_first_does_not_end_and_nobody_in_the_meantime() -> None:
    seats = [Seat() for _ in range(LINKS_MAX)]
    rule, went = places(seats)
    await asyncio.sleep(IDLE_S)
    rule.look(refused=False)
    await asyncio.sleep(IDLE_S - LOOK_S)
    assert went == seats[:1]
    await asyncio.sleep(2 * LOOK_S)
    assert went == seats[:2]
    rule.close()


@in_virtual_time
async def test_hosts_that_talk_are_left_alone_until_all_places_were_taken_for_long() -> None:
    loop = asyncio.get_running_loop()
    seats = [Seat(spoke=True, heard_s=1e9) for _ in range(LINKS_MAX)]
    seats[5].heard_s = 1e8
    rule, went = places(seats)
    rule.look(refused=False)
    await asyncio.sleep(IDLE_S - LOOK_S)
    assert went == []
    while not went:  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.01)
    assert loop.time() == pytest.approx(IDLE_S, abs=LOOK_S + 0.02)
    assert went == [seats[5]]
    rule.close()


@in_virtual_time
async def test_with_a_place_free_nobody_goes_and_nothing_is_watched() -> None:
    rule, went = places([Seat() for _ in range(LINKS_MAX - 1)])
    rule.look(refused=False)
    await asyncio.sleep(100)
    assert went == []
    assert rule._timer is None
    assert rule.free


@pytest.mark.parametrize(("links", "gone"), [(1, 0), (2, 1), (3, 1)])
def test_a_controller_that_has_fewer_links_is_left_one_free_unless_it_has_one_only(links: int, gone: int) -> None:
    @in_virtual_time
    async def test() -> None:
        seats = [Seat() for _ in range(links)]
        rule, went = places(seats)
        await asyncio.sleep(100)
        rule.look(refused=True)
        await asyncio.sleep(IDLE_S - LOOK_S)
        assert went == [], "it may yet take one"
        await asyncio.sleep(2 * LOOK_S)
        assert went == seats[:gone]
        rule.look(refused=False)
        await asyncio.sleep(100)
        assert went == seats[:gone]

    test()


@in_virtual_time
async def test_a_controller_that_refuses_to_advertise_at_its_limit_does_so_again_after_somebody_gave_way() -> None:
    async with bench() as pen:
        device = pen.door._device
        start = device.start_advertising

        async def limited(**options: Any) -> None:
            if len(device.connections) >= 3:
                raise hci.HCI_Error(hci.HCI_ErrorCode.CONNECTION_LIMIT_EXCEEDED_ERROR)  # type: ignore[no-untyped-call]
            await start(**options)

        device.start_advertising = limited  # type: ignore[method-assign, assignment]
        async with idlers(pen, 3) as hosts:
            assert not await advertises(pen, IDLE_S - 0.2)
            assert await advertises(pen, 3)
            assert [one.ended for one in hosts] == [LOW_RESOURCES, None, None]
