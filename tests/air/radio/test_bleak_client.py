"""bleak's client on a Bumble radio, as anybody uses it: in virtual time, in a room's air, and over a real socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakCharacteristicNotFoundError, BleakDBusError, BleakError, BleakGATTProtocolError

from dermalink_simulator.hardware.air import AIR_PROFILES, PERFECT
from tests.support.bleak_bench import Bench, bench
from tests.support.little_peripheral import (
    ADDRESS,
    BATTERY,
    BOTH,
    COMMAND,
    INDICATE,
    LONG,
    LONG_VALUE,
    NAME,
    NOTIFY,
    READ,
    REFUSED_WITH,
    REFUSING,
    SECOND_SERVICE,
    SERVICE,
    WRITE,
)
from tests.support.running import in_real_time, in_virtual_time

Case = Callable[[Bench], Coroutine[Any, Any, None]]


async def reads_and_lists_all_there_is(room: Bench) -> None:
    async with await room.client_of() as client:
        assert client.is_connected
        assert (client.address, client.name, client.mtu_size) == (ADDRESS, NAME, 517)
        assert {SERVICE, SECOND_SERVICE} < {service.uuid for service in client.services}
        properties = {
            one.uuid: one.properties
            for one in client.services.get_service(SERVICE).characteristics  # type: ignore[union-attr]
        }
        assert properties[WRITE] == ["read", "write"]
        assert properties[COMMAND] == ["write-without-response"]
        assert properties[BOTH] == ["notify", "indicate"]
        assert await client.read_gatt_char(READ) == bytearray(b"hello")
        assert isinstance(await client.read_gatt_char(READ), bytearray)
        assert await client.read_gatt_char(LONG) == LONG_VALUE
        assert await client.read_gatt_char(BATTERY) == b"\x55"
        described = client.services.get_characteristic(READ).get_descriptor("2901")  # type: ignore[union-attr]
        assert described is not None
        assert await client.read_gatt_descriptor(described) == READ[:8].encode()
        with pytest.raises(BleakCharacteristicNotFoundError):
            await client.read_gatt_char("2a00aaaa-0000-1000-8000-00805f9b34fb")


async def writes_with_and_without_response(room: Bench) -> None:
    async with await room.client_of() as client:
        await client.write_gatt_char(WRITE, b"one", response=True)
        await client.write_gatt_char(WRITE, bytearray(512), response=True)
        await client.write_gatt_char(COMMAND, memoryview(b"two"), response=False)
        await client.write_gatt_char(COMMAND, bytes(512), response=False)
        await room.settle()
        assert room.peripheral.written == [
            (WRITE, b"one"),
            (WRITE, bytes(512)),
            (COMMAND, b"two"),
            (COMMAND, bytes(512)),
        ]


async def notifies_and_indicates(room: Bench) -> None:
    heard: list[tuple[str, bytes]] = []

    def hear(sender: BleakGATTCharacteristic, data: bytearray) -> None:
        assert isinstance(data, bytearray)
        heard.append((sender.uuid, bytes(data)))

    async def hear_later(sender: BleakGATTCharacteristic, data: bytearray) -> None:
        hear(sender, data)

    async with await room.client_of() as client:
        await client.start_notify(NOTIFY, hear)
        await client.start_notify(INDICATE, hear_later)
        await client.start_notify(BOTH, hear)
        await room.peripheral.notify(NOTIFY, b"n")
        await room.peripheral.indicate(INDICATE, b"i")
        await room.peripheral.notify(BOTH, b"b")  # notifications are preferred
        await room.settle()
        assert heard == [(NOTIFY, b"n"), (INDICATE, b"i"), (BOTH, b"b")]
        with pytest.raises(BleakError, match="started already"):
            await client.start_notify(NOTIFY, hear)
        await client.stop_notify(NOTIFY)
        await room.peripheral.notify(NOTIFY, b"unheard")
        await room.settle()
        assert len(heard) == 3
        with pytest.raises(BleakError, match="not been started"):
            await client.stop_notify(NOTIFY)
        with pytest.raises(BleakError, match="neither notifications nor indications"):
            await client.start_notify(READ, hear)
        await client.start_notify(NOTIFY, hear)
        await room.peripheral.notify(NOTIFY, b"again")
        await room.settle()
        assert heard[3:] == [(NOTIFY, b"again")]


async def refuses_as_the_device_does(room: Bench) -> None:
    async with await room.client_of() as client:
        for work in (
            client.read_gatt_char(REFUSING),
            client.write_gatt_char(REFUSING, b"x", response=True),
        ):
            with pytest.raises(BleakGATTProtocolError) as refused:
                await work
            assert refused.value.code == REFUSED_WITH
        assert client.is_connected
        assert await client.read_gatt_char(READ) == b"hello"


async def ten_connections_in_a_row_leave_nothing(room: Bench) -> None:
    ended = []
    device = await room.found()
    client = BleakClient(device, lambda one: ended.append(one.is_connected), backend=room.client)
    for number in range(1, 11):
        await client.connect()
        heard: list[bytes] = []
        await client.start_notify(NOTIFY, lambda _, data, into=heard: into.append(bytes(data)))  # type: ignore[misc]
        await room.peripheral.notify(NOTIFY, bytes([number]))
        await room.settle()
        assert heard == [bytes([number])]  # once, whatever came before
        await client.disconnect()
        assert ended == [False] * number
        assert len(asyncio.all_tasks()) <= TASKS_OF_THE_BENCH
    await client.disconnect()
    assert len(ended) == 10


async def connects_by_address_alone(room: Bench) -> None:
    async with BleakClient(ADDRESS.lower(), backend=room.client) as client:
        assert await client.read_gatt_char(READ) == b"hello"


TASKS_OF_THE_BENCH = 2  # the test itself; advertising beginning again

EVERYDAY = (
    reads_and_lists_all_there_is,
    writes_with_and_without_response,
    notifies_and_indicates,
    refuses_as_the_device_does,
    ten_connections_in_a_row_leave_nothing,
    connects_by_address_alone,
)


@pytest.mark.parametrize("case", EVERYDAY)
@pytest.mark.parametrize("profile", ["perfect", "room"])
@in_virtual_time
async def test_everyday_use_in_an_air_of_this_process(case: Case, profile: str) -> None:
    async with bench(AIR_PROFILES[profile]) as room:
        await case(room)


@pytest.mark.parametrize("case", EVERYDAY)
@in_real_time
async def test_everyday_use_over_a_socket(case: Case) -> None:
    async with bench(PERFECT, tcp=True) as room:
        await case(room)


@pytest.mark.parametrize("mtu", [23, 185, 247, 517])
@in_virtual_time
async def test_every_mtu_is_agreed_and_keeps_its_limits(mtu: int) -> None:
    async with bench() as room:
        async with await room.with_options(f"mtu={mtu}").client_of() as client:
            assert client.mtu_size == mtu
            command = client.services.get_characteristic(COMMAND)
            assert command is not None
            longest = min(mtu - 3, 512)  # no value is longer than 512 bytes
            assert command.max_write_without_response_size == longest
            await client.write_gatt_char(command, bytes(longest), response=False)
            with pytest.raises(BleakError, match=f"{longest} fit into one packet"):
                await client.write_gatt_char(command, bytes(longest + 1), response=False)
            assert await client.read_gatt_char(LONG) == LONG_VALUE
            await client.write_gatt_char(WRITE, bytes(300), response=True)
            with pytest.raises(BleakGATTProtocolError) as refused:
                await client.write_gatt_char(WRITE, bytes(513), response=True)
            assert refused.value.code == 0x0D
        assert room.peripheral.written == [(COMMAND, bytes(longest)), (WRITE, bytes(300))]


@in_virtual_time
async def test_only_the_services_asked_for_are_discovered() -> None:
    async with bench() as room:
        client = await room.connected(services=["180f"])
        assert [service.uuid for service in client.services] == [SECOND_SERVICE]
        await client.disconnect()


@in_virtual_time
async def test_a_cached_value_is_the_last_one_seen() -> None:
    async with bench() as room, await room.client_of() as client:
        assert await client.read_gatt_char(WRITE, use_cached=True) == b""
        await client.write_gatt_char(WRITE, b"new", response=True)
        assert await client.read_gatt_char(WRITE, use_cached=True) == b""
        assert await client.read_gatt_char(WRITE) == b"new"
        assert await client.read_gatt_char(WRITE, use_cached=True) == b"new"


@in_virtual_time
async def test_descriptors_are_written_and_the_cccd_only_by_start_notify() -> None:
    async with bench() as room, await room.client_of() as client:
        characteristic = client.services.get_characteristic(NOTIFY)
        assert characteristic is not None
        description, cccd = characteristic.get_descriptor("2901"), characteristic.get_descriptor("2902")
        assert description is not None
        assert cccd is not None
        await client.write_gatt_descriptor(description, b"other")
        assert await client.read_gatt_descriptor(description) == b"other"
        with pytest.raises(ValueError, match="CCCD"):
            await client.write_gatt_descriptor(cccd, b"\x01\x00")


@in_virtual_time
async def test_force_indicate_prefers_indications() -> None:
    async with bench() as room, await room.client_of() as client:
        heard: list[bytes] = []
        await client.start_notify(BOTH, lambda _, data: heard.append(bytes(data)), force_indicate=True)
        await room.peripheral.indicate(BOTH, b"i")
        await room.peripheral.notify(BOTH, b"n")
        assert heard == [b"i"]


def fails(_: BleakGATTCharacteristic, __: bytearray) -> None:
    raise ZeroDivisionError


@in_virtual_time
async def test_a_notifications_callback_that_fails_costs_the_link_nothing() -> None:
    async with bench() as room:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with await room.client_of() as client:
            await client.start_notify(INDICATE, fails)
            await room.peripheral.indicate(INDICATE, b"i")
            await room.peripheral.indicate(INDICATE, b"i")  # the first was confirmed
            assert [type(one) for one in told] == [ZeroDivisionError] * 2
            assert await client.read_gatt_char(READ) == b"hello"


@in_virtual_time
async def test_a_dead_client_says_so() -> None:
    async with bench() as room:
        client = await room.connected()
        (characteristic,) = [one for one in client.services.characteristics.values() if one.uuid == READ]
        await client.disconnect()
        for work in (
            client._backend.read_gatt_char(characteristic),
            client._backend.write_gatt_char(characteristic, b"x", response=True),
            client._backend.write_gatt_char(characteristic, b"x", response=False),
            client._backend.start_notify(characteristic, lambda _: None),
            client._backend.stop_notify(characteristic),
            client._backend.pair(),
        ):
            with pytest.raises(BleakError, match="Not connected"):
                await work
        with pytest.raises(BleakError, match="Service Discovery"):
            await client.read_gatt_char(READ)
        with pytest.raises(BleakError, match="Not connected"):
            _ = client.mtu_size


@in_virtual_time
async def test_connection_parameters_are_asked_for() -> None:
    async with bench() as room, await room.with_options("interval=7.5,latency=2,supervision=4000").client_of():
        parameters = room.peripheral.connection.parameters
        assert (parameters.connection_interval, parameters.peripheral_latency) == (7.5, 2)
        assert parameters.supervision_timeout == 4000


@in_virtual_time
async def test_the_adapters_address_is_its_own_or_the_one_given() -> None:
    async with bench() as room:
        for inside, expected in (("address=C0:00:00:00:00:07", "C0:00:00:00:00:07"), ("host=a", None)):
            one = room.with_options(inside)
            addresses = set()
            for _ in range(2):
                async with await one.client_of():
                    addresses.add(room.peripheral.connection.peer_address.to_string(with_type_qualifier=False))
            assert len(addresses) == 1
            assert expected in (None, *addresses)


@in_virtual_time
async def test_two_clients_of_one_device_are_not_let_in_through_one_adapter() -> None:
    async with bench() as room:
        first = await room.connected()
        second = BleakClient(ADDRESS, backend=room.client, timeout=5)
        room.peripheral.device.legacy_advertiser = None
        await room.peripheral.advertise()  # as one that takes several centrals
        with pytest.raises(BleakError, match="another client is connected to it through this adapter"):
            await second.connect()
        assert not second.is_connected
        assert await first.read_gatt_char(READ) == b"hello"
        other_host = room.with_options("host=another")
        third = await other_host.connected()
        assert await third.read_gatt_char(READ) == b"hello"
        await third.disconnect()
        assert first.is_connected
        await first.disconnect()
        await second.connect()
        await second.disconnect()


def encrypted(room: Bench) -> bool:
    return bool(room.peripheral.connection.is_encrypted)


@in_virtual_time
async def test_pairing_is_just_works_and_is_remembered_until_unpaired() -> None:
    async with bench() as room:
        host = room.with_options("host=pairs")
        client = await host.connected()
        assert not encrypted(room)
        await client.pair()
        assert encrypted(room)
        await client.pair()  # nothing more to do
        await client.disconnect()
        await client.connect()
        assert not encrypted(room)  # until something takes it
        await client.pair()
        assert not encrypted(room)  # paired already
        await client.disconnect()
        again = await host.connected(pair=True)
        assert encrypted(room)
        await again.unpair()
        assert not again.is_connected
        with pytest.raises(BleakError, match="is not paired"):
            await again.unpair()


@in_virtual_time
async def test_a_device_that_forgot_its_pairing_is_said_to_have() -> None:
    async with bench() as room:
        client = await room.with_options("host=forgotten").connected(pair=True)
        await client.disconnect()
        assert room.peripheral.device.keystore is not None
        await room.peripheral.device.keystore.delete_all()
        again = await room.with_options("host=forgotten").client_of(pair=True)
        for _ in range(2):
            with pytest.raises(BleakDBusError, match=r"AuthenticationFailed.*forgotten the bond"):
                await again.connect()
            assert not again.is_connected
        other = await room.with_options("host=forgotten").connected()  # which takes no encryption
        await other.unpair()
        await again.connect()
        assert encrypted(room)
        await again.unpair()
