"""Links to the pen over BLE: how they begin and end, how many there are, and that nobody makes the pen run over."""

import asyncio
import struct
from contextlib import AsyncExitStack
from random import Random

import pytest
from bumble import att, hci, l2cap, smp

from dermalink_protocol.channels import SERIAL_NUMBER, Channel
from dermalink_protocol.codewords import State
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.messages import identity
from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.doors.ble_link import (
    CONFIRMED_WITHIN_S,
    INDICATIONS_WAIT_MAX,
    PACKETS_WAIT_MAX,
    BleLink,
)
from dermalink_simulator.doors.ble_places import LINKS_MAX
from dermalink_simulator.doors.errors import AddressRefusedError
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.hardware.board import PenOffError
from dermalink_simulator.hardware.places import GRACE_MS
from dermalink_simulator.hardware.port import GATT_VALUES_MAX
from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.radio.errors import BadRadioSpec, NoSuchRadio, RadioGone
from dermalink_simulator.radio.spaces import find_air
from dermalink_simulator.runner import PenRunner
from tests.support.running import in_real_time, in_virtual_time
from tests.unit.doors.ble_central import RawCentral, bench, central_on

BY_THE_PEN = hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR
POWER_OFF = hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR
LOW_RESOURCES = hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_LOW_RESOURCES_ERROR
READ_STATUS = att.Opcode.ATT_READ_REQUEST


@pytest.mark.sr("SR-STOP-5", "SR-PWR-1", side="pen")
@in_virtual_time
async def test_power_cut_in_the_middle_ends_the_links_and_the_next_host_finds_the_pen_again() -> None:
    async with bench("room") as pen:
        async with pen.host() as host, pen.host(2) as other:
            await host.subscribe(*Channel)
            await host.to_running(pen.runner)
            pen.runner.act(pen.pen.power.cut)
            assert await host.until_ended(5) == POWER_OFF
            assert await other.until_ended(5) == POWER_OFF
            assert pen.door.links == 0
            await asyncio.sleep(1)
            assert not pen.runner.act(lambda: pen.pen.needles_out)
            assert not pen.door.advertising
        pen.runner.act(pen.pen.power.restore)
        async with pen.host(3) as host:
            await host.subscribe(*Channel)
            await host.hello()
            assert (await host.wait_for(State.IDLE, State.LOCKED, State.FAULT)).session_id == 0
            await asyncio.sleep(2)
            assert not pen.runner.act(lambda: pen.pen.needles_out), "coming back moves nothing"


@in_virtual_time
async def test_a_pen_that_starts_again_by_itself_is_found_again() -> None:
    async with bench() as pen:
        async with pen.host() as host:
            pen.runner.act(lambda: pen.pen.faults.inject("main_loop", "hung"))
            assert await host.until_ended(20) == POWER_OFF
        async with pen.host(2) as host:
            await host.subscribe(*Channel)
            await host.hello()


@in_virtual_time
async def test_weeks_in_a_drawer_end_the_links_and_the_pen_is_there_afterwards() -> None:
    async with bench() as pen:
        async with pen.host() as host:
            pen.runner.act(lambda: pen.pen.clock.advance(14 * 86_400))
            await host.until_ended(5)
        async with pen.host(2) as host:
            assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()


@in_virtual_time
async def test_an_hour_passes_with_the_link_up() -> None:
    async with bench("room") as pen, pen.host() as host:
        await asyncio.sleep(3_600)
        assert host.ended is None
        assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()


@in_virtual_time
async def test_as_many_hosts_as_the_pen_has_ports_are_offered_a_link_and_none_while_they_have_just_come() -> None:
    async with bench() as pen, AsyncExitStack() as stack:
        hosts: list[RawCentral] = []
        for number in range(1, LINKS_MAX + 1):
            assert await _advertising_soon(pen.door)
            hosts.append(await stack.enter_async_context(pen.host(number)))
        await asyncio.sleep(0.2)
        assert pen.door.links == LINKS_MAX == pen.runner.links
        assert not pen.door.advertising
        for host in hosts:
            assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()
        await hosts[3].disconnect()
        assert await _advertising_soon(pen.door)
        async with pen.host(100) as late:
            assert await late.read(SERIAL_NUMBER) == serial_number(7).encode()


async def _advertising_soon(door: BleDoor) -> bool:
    for _ in range(100):
        if door.advertising:
            return True
        await asyncio.sleep(0.01)
    return False


@in_virtual_time
async def test_a_silent_host_gives_way_to_one_on_another_door_and_hears_why() -> None:
    async with bench() as pen, pen.host() as silent:
        await asyncio.sleep(2 * GRACE_MS / 1_000)
        for _ in range(LINKS_MAX):
            pen.runner.connect(lambda _: None, lambda: None)
        assert await silent.until_ended(5) == LOW_RESOURCES
        assert pen.door.links == 0


@in_virtual_time
async def test_a_pen_that_takes_no_link_hangs_up_at_once() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PenOffError("A connection was refused")

    async with bench("room") as pen, central_on(pen.air) as central:
        pen.runner.connect = refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(ConnectionError):
            await central.connect(pen.address)
        assert await central.until_ended(5) == LOW_RESOURCES
        assert pen.door.turned_away == 1
        assert pen.door.links == 0


@in_virtual_time
async def test_a_door_that_closes_tells_its_hosts_and_leaves_the_air() -> None:
    async with bench("room") as pen, pen.host() as host:
        await pen.door.close()
        await pen.door.close()
        assert await host.until_ended(5) == BY_THE_PEN
        assert pen.door.links == pen.runner.links == 0
        assert not pen.air.members
        with pytest.raises(NoSuchRadio):
            find_air("bench 7")


@in_virtual_time
async def test_hosts_come_and_go_a_hundred_times() -> None:
    async with bench() as pen:
        for number in range(100):
            async with central_on(pen.air, number % 3 + 1) as host:
                await host.connect(pen.address)
                if number % 2:
                    host.die()
        await asyncio.sleep(40)
        assert pen.door.links == pen.runner.links == 0
        assert not pen.door._tasks
        assert not pen.door._server.links
        assert pen.door.advertising


# Nobody makes it run over


@in_virtual_time
async def test_who_never_confirms_is_told_nothing_more_and_hung_up_on_after_thirty_seconds() -> None:
    async with bench() as pen, pen.host() as host:
        await host.subscribe(*Channel)
        host.confirms = False
        started = asyncio.get_running_loop().time()
        await host.send_message(identity.GetStatus())
        assert await host.until_ended(60) == BY_THE_PEN
        assert asyncio.get_running_loop().time() - started == pytest.approx(CONFIRMED_WITHIN_S, abs=1)
        assert host.indications == 1


@pytest.mark.sr("SR-STOP-1", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("seconds", [1.5, 10])
def test_an_owner_who_confirms_nothing_has_telemetry_for_a_while_and_then_its_lease_lapses(seconds: float) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as host:
            await host.subscribe(*Channel)
            await host.to_running(pen.runner)
            (link,) = pen.door._server.links.values()
            async with host.renewing():
                host.confirms = False
                numbers = [await host.send_message(identity.GetStatus()) for _ in range(12)]
                await asyncio.sleep(seconds)
                out = pen.runner.act(lambda: pen.pen.needles_out)
                assert out == link_is_free(link) == (seconds < 2), "who takes no answers can't keep its lease for long"
                assert len(link._others) + len(link._stops) <= INDICATIONS_WAIT_MAX + GATT_VALUES_MAX
                assert len(link._out) <= PACKETS_WAIT_MAX + GATT_VALUES_MAX
                host.confirms = True
                host.confirm()
                await asyncio.sleep(1)
            assert set(numbers) <= set(host.replies), "no reply is lost"
            assert host.broken == []

    test()


def link_is_free(link: BleLink) -> bool:
    return not link._clogged


@in_virtual_time
async def test_who_asks_on_without_taking_answers_is_hung_up_on() -> None:
    async with bench("room") as pen, pen.host(mtu=517) as host, pen.host(2) as other:
        handle = host.handle(Channel.STATUS)
        (link,) = [
            one for peer, one in pen.door._server.links.items() if peer.peer_address == host.device.random_address
        ]
        peak, longest_s = 0, 0.0
        for _ in range(64 * 4):
            for _ in range(8):
                host.send(struct.pack("<BH", READ_STATUS, handle))
            asked_s = asyncio.get_running_loop().time()
            assert await other.read(SERIAL_NUMBER) == serial_number(7).encode()
            longest_s = max(longest_s, asyncio.get_running_loop().time() - asked_s)
            peak = max(peak, len(link._out))
            if host.ended is not None:
                break
        assert host.ended == BY_THE_PEN
        assert 64 - 8 <= peak <= 64, "not before, and not after"
        assert longest_s < 0.2
        async with asyncio.timeout(5):
            while pen.door.links > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with pen.host(3) as later:
            assert await later.read(SERIAL_NUMBER) == serial_number(7).encode()


@in_virtual_time
async def test_a_link_that_is_stuck_blocks_no_other() -> None:
    async with bench("room") as pen, pen.host() as stuck, pen.host(2) as other:
        pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=30_000))
        await stuck.subscribe(*Channel)
        stuck.die()
        (link,) = [
            link for one, link in pen.door._server.links.items() if one.peer_address == stuck.device.random_address
        ]
        for _ in range(40):
            link.notify(pen.door._table.battery, b"x")
            link._send(bytes([att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION, 1, 0, 0]))
        started = asyncio.get_running_loop().time()
        assert await other.read(SERIAL_NUMBER) == serial_number(7).encode()
        assert asyncio.get_running_loop().time() - started < 0.5


# Radios


@pytest.mark.parametrize(
    ("spec", "air", "error"),
    [
        ("nothing", None, BadRadioSpec),
        ("", None, BadRadioSpec),
        ("air:x", "foggy", BadRadioSpec),
        ("usb:0", "room", BadRadioSpec),
        ("tcp-server:nowhere", None, BadRadioSpec),
        ("tcp-server:0.0.0.0:0", None, AddressRefusedError),
        ("tcp-client:127.0.0.1:1", None, NoSuchRadio),
        ("hci-socket:77", None, NoSuchRadio),
        ("usb:77", None, NoSuchRadio),
        ("serial:/dev/nothing", None, NoSuchRadio),
    ],
)
def test_a_radio_that_is_none_is_an_error_that_says_what_to_do(
    spec: str, air: str | None, error: type[DermalinkError]
) -> None:
    @in_real_time
    async def test() -> None:
        runner = PenRunner(SimulatedPen())
        with pytest.raises(error) as caught:
            await BleDoor.open(runner, spec, serial_number=serial_number(0), seed=0, air=air)
        assert caught.value.limit
        assert not runner.after
        runner.stop()

    test()


@in_real_time
async def test_a_controller_that_goes_away_ends_the_serving_with_a_sentence() -> None:
    """The pen on somebody else's controller, across TCP; then that process is gone."""
    async with bench("perfect", seed=1) as far:
        from dermalink_simulator.radio.transports import serve_controllers

        runner = PenRunner(SimulatedPen(seed=2))
        async with serve_controllers("tcp-server:127.0.0.1:0", far.air) as served:
            door = await BleDoor.open(runner, served.reach, serial_number=serial_number(2), seed=2)
            assert door.radio == ""
            await asyncio.sleep(0.1)
            assert door.advertising
        with pytest.raises(RadioGone, match="is gone"):
            async with asyncio.timeout(20):
                await runner.failed
        await door.close()
        runner.stop()


# Strangers


@in_virtual_time
async def test_pairing_of_bluetooths_own_is_refused_as_not_supported() -> None:
    async with bench() as pen, pen.host() as host:
        answers: list[bytes] = []
        host.device.l2cap_channel_manager.register_fixed_channel(smp.SMP_CID, lambda _, pdu: answers.append(pdu))
        assert host.connection is not None
        host.device.send_l2cap_pdu(host.connection.handle, smp.SMP_CID, bytes([1, 3, 0, 1, 16, 0, 0]))
        await asyncio.sleep(1)
        assert answers == [b"\5\5"]
        host.device.send_l2cap_pdu(host.connection.handle, smp.SMP_CID, b"\5\1")
        await asyncio.sleep(1)
        assert answers == [b"\5\5"], "a failure is answered by nothing, else the two would go on for ever"
        assert await host.read(SERIAL_NUMBER) == serial_number(7).encode()


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("seed", range(3))
def test_noise_on_every_channel_raises_nothing_and_harms_nobody(seed: int) -> None:
    raised: list[object] = []
    random = Random(seed)

    def noise(cid: int) -> bytes:
        data = bytearray(random.randbytes(random.choice([0, 1, 2, 3, 5, 7, 17, 65, 100])))
        if data and cid == smp.SMP_CID:
            data[0] = random.randrange(1, 15)
        if len(data) >= 4 and cid == l2cap.L2CAP_LE_SIGNALING_CID:
            data[:4] = bytes([random.randrange(1, 26), data[1]]) + (len(data) - 4).to_bytes(2, "little")
        return bytes(data)

    @in_virtual_time
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with bench() as pen, pen.host() as stranger, pen.host(2) as other:
            for cid in (smp.SMP_CID, l2cap.L2CAP_LE_SIGNALING_CID):
                stranger.device.l2cap_channel_manager.register_fixed_channel(cid, lambda *_: None)
            for _ in range(500):
                if stranger.ended is not None or stranger.connection is None:
                    break
                cid = random.choice([4, 4, 5, 5, 6, 6, 7, 0x40, 1, 2, 3, 0x3F, 0x27])
                stranger.device.send_l2cap_pdu(stranger.connection.handle, cid, noise(cid))
                await asyncio.sleep(0.01)
            assert await other.read(SERIAL_NUMBER) == serial_number(7).encode()
            assert not pen.runner.failed.done()

    test()
    assert not raised
