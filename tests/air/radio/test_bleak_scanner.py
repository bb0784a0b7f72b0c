"""bleak's scanner on a Bumble radio, as anybody uses it."""

import asyncio

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakError

from dermalink_simulator.hardware.air import AIR_PROFILES
from dermalink_simulator.radio.backends import backends
from tests.support.bleak_bench import bench
from tests.support.little_peripheral import (
    ADDRESS,
    COMPANY,
    NAME,
    READ,
    SECOND_SERVICE,
    SERVICE,
    little_peripheral,
)
from tests.support.running import in_real_time, in_virtual_time


@in_virtual_time
async def test_a_device_is_found_by_name_address_and_filter() -> None:
    async with bench() as room:
        for found in (
            await BleakScanner.find_device_by_name(NAME, backend=room.scanner),
            await BleakScanner.find_device_by_address(ADDRESS.lower(), backend=room.scanner),
            await BleakScanner.find_device_by_filter(lambda _, ad: SERVICE in ad.service_uuids, backend=room.scanner),
        ):
            assert found is not None
            assert found.address == ADDRESS
        before = asyncio.get_running_loop().time()
        assert await BleakScanner.find_device_by_name("Nobody", timeout=3, backend=room.scanner) is None
        assert 3 <= asyncio.get_running_loop().time() - before < 3.1


@in_virtual_time
async def test_what_a_device_says_in_both_packets_is_put_together() -> None:
    async with bench() as room, little_peripheral(room.air, "F0:00:00:00:00:02", "Other"):
        seen = await BleakScanner.discover(2, return_adv=True, backend=room.scanner)
        assert set(seen) == {ADDRESS, "F0:00:00:00:00:02"}
        device, advertisement = seen[ADDRESS]
        assert device.name == NAME
        assert advertisement.local_name == NAME
        assert advertisement.service_uuids == [SERVICE]
        assert advertisement.manufacturer_data == {COMPANY: b"abc"}
        assert advertisement.service_data == {SECOND_SERVICE: b"\x55"}
        assert advertisement.tx_power == -4
        assert -127 < advertisement.rssi < 20


@in_virtual_time
async def test_a_passive_scanner_asks_nothing_even_beside_an_active_one() -> None:
    async with bench() as room:
        async with (
            BleakScanner(scanning_mode="passive", backend=room.scanner) as passive,
            BleakScanner(backend=room.scanner) as active,
        ):
            await asyncio.sleep(1)
        (heard,) = passive.discovered_devices_and_advertisement_data.values()
        assert heard[1].local_name is None
        assert heard[1].service_uuids == [SERVICE]
        (asked,) = active.discovered_devices_and_advertisement_data.values()
        assert asked[1].local_name == NAME


@in_virtual_time
async def test_a_radio_scans_as_actively_as_its_most_active_scanner() -> None:
    async with bench() as room:
        scans = []

        def note() -> None:
            (radio,) = (one for one in room.air.members if one is not room.peripheral.controller)
            scans.append((bool(radio.le_scan_enable), bool(radio.le_scan_type)))

        passive = BleakScanner(scanning_mode="passive", backend=room.scanner)
        active = BleakScanner(backend=room.scanner)
        await passive.start()
        note()
        await active.start()
        note()
        await active.stop()
        note()
        await active.start()
        await passive.stop()
        note()
        await active.stop()
        assert scans == [(True, False), (True, True), (True, False), (True, True)]
        assert room.air.members == [room.peripheral.controller]  # the radio is closed


@in_virtual_time
async def test_only_devices_of_the_services_asked_for_are_told() -> None:
    async with bench() as room:
        for uuids, expected in (([SERVICE.upper()], 1), (["180f"], 0), ([], 1)):
            found = await BleakScanner.discover(1, service_uuids=uuids, backend=room.scanner)
            assert len(found) == expected


@in_virtual_time
async def test_a_scan_begins_anew_and_a_second_start_is_refused() -> None:
    async with bench() as room:
        scanner = BleakScanner(backend=room.scanner)
        await scanner.stop()  # nothing to stop
        await scanner.start()
        await asyncio.sleep(1)
        with pytest.raises(BleakError, match="has been started"):
            await scanner.start()
        assert scanner.discovered_devices
        await scanner.stop()
        assert scanner.discovered_devices  # still there to be looked at
        await scanner.start()
        assert not scanner.discovered_devices
        await scanner.stop()
        await scanner.stop()


@in_virtual_time
async def test_scanning_goes_on_while_connected_and_connecting_while_scanning() -> None:
    async with bench(AIR_PROFILES["room"]) as room, little_peripheral(room.air, "F0:00:00:00:00:02", "Other"):
        async with BleakScanner(backend=room.scanner) as scanner:
            client = await room.connected()
            other = await BleakScanner.find_device_by_name("Other", backend=room.scanner)
            assert other is not None
            assert await client.read_gatt_char(READ) == b"hello"
            await client.disconnect()
            async with BleakClient(other, backend=room.client) as second:
                assert second.is_connected
        assert {device.name for device in scanner.discovered_devices} == {NAME, "Other"}


@in_virtual_time
async def test_a_callback_that_fails_stops_neither_the_scan_nor_other_callbacks() -> None:
    async with bench() as room:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        def fails(_: BLEDevice, __: AdvertisementData) -> None:
            raise ZeroDivisionError

        async with BleakScanner(fails, backend=room.scanner), BleakScanner(backend=room.scanner) as other:
            await asyncio.sleep(1)
        assert other.discovered_devices
        assert all(isinstance(one, ZeroDivisionError) for one in told)
        assert len(told) > 2


@in_virtual_time
async def test_no_such_air_is_no_bluetooth() -> None:
    _, scanner = backends("air:nowhere")
    with pytest.raises(BleakBluetoothNotAvailableError, match="air:nowhere was not found"):
        await BleakScanner.discover(1, backend=scanner)


@in_real_time
async def test_nobody_listening_at_a_port_is_no_bluetooth() -> None:
    _, scanner = backends("tcp-client:127.0.0.1:1")
    with pytest.raises(BleakBluetoothNotAvailableError, match=r"tcp-client:127\.0\.0\.1:1"):
        await BleakScanner.discover(1, backend=scanner)


@in_real_time
async def test_a_scan_over_a_socket_outlives_its_radio_in_peace_and_the_next_one_fails_or_finds() -> None:
    async with bench(tcp=True) as room:
        scanner = BleakScanner(backend=room.scanner)
        await scanner.start()
        await asyncio.sleep(0.3)
        assert [device.name for device in scanner.discovered_devices] == [NAME]
        await room.room.aclose()
        await asyncio.sleep(0.05)
        await scanner.stop()
        with pytest.raises(BleakBluetoothNotAvailableError):
            await scanner.start()
