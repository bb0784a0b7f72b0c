"""Finding pens on the air: by what, in which order, and with one scanner."""

import asyncio
import gc
import weakref

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError, BleakError

from dermalink.errors import (
    BluetoothForbidden,
    BluetoothOff,
    CannotOpen,
    LinkError,
    NoBluetooth,
    NoRadio,
    NoSuchPen,
    SeveralPens,
)
from dermalink.links import ble_calls, ble_finding
from dermalink.links.ble_finding import FIND_WITHIN_S, NAMESAKE_S, START_WITHIN_S, STOP_WITHIN_S, find_pen, find_pens
from dermalink.links.ble_radio import Radio
from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral, pass_time
from tests.air.host.rig import opened, using
from tests.support.running import in_virtual_time

ADDRESS = "C0:FF:EE:00:00:01"
UUID = "5F0E4C1B-9B57-0D6E-7A11-CE05D3A10001"


def three() -> Computer:
    return Computer(
        Peripheral("DP1-00001", address=ADDRESS),
        Peripheral("DP1-00002", address=UUID),
        Peripheral("DP1-00003", name="My pen"),
    )


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("DP1-00001", 0),
        ("dp1-00002", 1),
        ("Dermalink DP1-00001", 0),
        ("My pen", 2),
        (ADDRESS, 0),
        (ADDRESS.lower(), 0),
        (UUID.lower(), 1),
    ],
)
@in_virtual_time
async def test_it_is_found_by_serial_number_name_or_address(wanted: str, index: int) -> None:
    computer = three()
    seen = await find_pen(computer.radio(), wanted)
    assert seen.address == computer.peripherals[index].address
    assert seen.serial_number == ("" if index == 2 else computer.peripherals[index].serial_number)
    assert asyncio.get_running_loop().time() < NAMESAKE_S + 0.3
    assert not any(scanner.running for scanner in computer.scanners)


@in_virtual_time
async def test_an_address_is_not_waited_for() -> None:
    await find_pen(three().radio(), ADDRESS)
    assert asyncio.get_running_loop().time() < 0.15


@in_virtual_time
async def test_several_pens_of_one_name_are_listed_and_none_is_taken() -> None:
    computer = Computer(
        Peripheral("A", name="Pen", address=ADDRESS), Peripheral("B", name="Pen", address="C0:FF:EE:00:00:02")
    )
    with pytest.raises(SeveralPens, match="2 pens have that name") as caught:
        await find_pen(computer.radio(), "Pen")
    radio = computer.radio().spec
    assert caught.value.pens == (
        f"ble:C0:FF:EE:00:00:01?radio={radio}",
        f"ble:C0:FF:EE:00:00:02?radio={radio}",
    )
    assert all(url in caught.value.advice for url in caught.value.pens)


@in_virtual_time
async def test_a_serial_number_goes_before_a_name() -> None:
    named = Peripheral("A", name="DP1-00001", address=ADDRESS)
    meant = Peripheral("DP1-00001", address="C0:FF:EE:00:00:02")
    assert (await find_pen(Computer(named, meant).radio(), "DP1-00001")).address == meant.address


@in_virtual_time
async def test_one_pen_under_a_new_address_is_one_pen_under_the_newest() -> None:
    old, new = Peripheral("S", address=ADDRESS), Peripheral("S", address="C0:FF:EE:00:00:02")
    computer = Computer(old)
    finding = asyncio.ensure_future(find_pens(computer.radio(), 2.0))
    await asyncio.sleep(1.05)
    computer.peripherals[:] = [new]
    assert [seen.address for seen in await finding] == [new.address]


@in_virtual_time
async def test_a_name_that_comes_in_a_later_packet_is_kept() -> None:
    pen = Peripheral("DP1-00001")
    whole, pen.name = pen.name, ""
    computer = Computer(pen)
    finding = asyncio.ensure_future(find_pens(computer.radio(), 2.0))
    for name in (whole, ""):
        await asyncio.sleep(0.55)
        pen.name = name
    assert [seen.serial_number for seen in await finding] == ["DP1-00001"]


@in_virtual_time
async def test_all_are_listed_in_order_and_those_that_are_connected_are_silent() -> None:
    computer = three()
    found = await find_pens(computer.radio(), 3.0)
    assert [seen.name for seen in found] == ["Dermalink DP1-00001", "Dermalink DP1-00002", "My pen"]
    assert {seen.rssi for seen in found} == {-50}
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)


@in_virtual_time
async def test_who_is_not_heard_is_said_with_who_was() -> None:
    computer = three()
    with pytest.raises(NoSuchPen) as caught:
        await find_pen(computer.radio(), "DP1-77777")
    assert "within 10 s" in str(caught.value)
    assert "My pen" in str(caught.value)
    assert "DP1-00002" in str(caught.value)
    assert asyncio.get_running_loop().time() == pytest.approx(FIND_WITHIN_S)


@pytest.mark.parametrize("held", [True, False, None])
@in_virtual_time
async def test_a_pen_that_this_computer_is_connected_to_already_is_said(
    held: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computer = Computer()
    radio = computer.radio()
    system = Radio("", radio.client, None)

    async def devices(_: str) -> list[BLEDevice]:
        if held is None:
            raise asyncio.CancelledError  # the bus ended meanwhile
        if not held:
            await pass_time(FOREVER)
        return [BLEDevice(ADDRESS, "Dermalink DP1-00001", None)]

    monkeypatch.setattr(ble_finding, "held_devices", devices)
    monkeypatch.setattr(ble_finding, "backend_of", lambda _backend: {"backend": radio.scanner})
    with pytest.raises(NoSuchPen) as caught:
        await find_pen(system, "DP1-00001")
    assert ("is connected to Dermalink DP1-00001 (C0:FF:EE:00:00:01) already" in str(caught.value)) is bool(held)


# One scanner


@in_virtual_time
async def test_all_who_listen_at_the_same_time_share_one_scanner() -> None:
    computer = three()
    radio = computer.radio()
    found = await asyncio.gather(find_pens(radio, 2.0), find_pens(radio, 1.0), find_pen(radio, "DP1-00001"))
    assert [len(each) for each in found[:2]] == [3, 3]
    assert len(computer.scanners) == 1
    await find_pens(radio, 1.0)
    assert len(computer.scanners) == 2


@in_virtual_time
async def test_who_comes_while_a_scanner_is_being_stopped_waits_for_it() -> None:
    computer = three()
    computer.scan_stop_s = 0.5
    radio = computer.radio()
    first = asyncio.ensure_future(find_pens(radio, 1.0))
    await asyncio.sleep(1.2)
    second = asyncio.ensure_future(find_pens(radio, 1.0))
    await asyncio.sleep(0.2)
    assert len(computer.scanners) == 1, "the one before it has not stopped yet"
    assert [len(found) for found in await asyncio.gather(first, second)] == [3, 3]
    assert len(computer.scanners) == 2


@pytest.mark.parametrize("after_s", [0.0, 0.05, 1.0])
@in_virtual_time
async def test_a_listener_that_is_cancelled_takes_nothing_from_the_others(after_s: float) -> None:
    computer = three()
    radio = computer.radio()
    first, second = asyncio.ensure_future(find_pens(radio, 2.0)), asyncio.ensure_future(find_pens(radio, 2.0))
    await asyncio.sleep(after_s)
    first.cancel()
    assert len(await second) == 3
    await asyncio.wait([first])
    await asyncio.sleep(0.1)
    assert not any(scanner.running for scanner in computer.scanners)


@in_virtual_time
async def test_a_scanner_that_does_not_stop_holds_up_nobody_for_long() -> None:
    computer = three()
    computer.scan_stop_s = FOREVER
    loop = asyncio.get_running_loop()
    await find_pens(computer.radio(), 1.0)
    assert loop.time() == pytest.approx(1.0 + STOP_WITHIN_S)


@in_virtual_time
async def test_a_scanner_that_never_starts_is_given_up_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    computer = three()
    radio = computer.radio()
    assert radio.scanner is not None
    start = radio.scanner.start
    monkeypatch.setattr(radio.scanner, "start", lambda _self: pass_time(FOREVER))
    with pytest.raises(CannotOpen):
        await find_pens(radio, 1.0)
    assert asyncio.get_running_loop().time() == pytest.approx(START_WITHIN_S)
    monkeypatch.setattr(radio.scanner, "start", start)
    assert len(await find_pens(radio, 1.0)) == 3
    assert ble_calls.left() == 0


class _BroughtError(DermalinkError):
    """Another package's own."""


REASONS = BleakBluetoothNotAvailableReason


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (BleakBluetoothNotAvailableError("none", REASONS.NO_BLUETOOTH), NoBluetooth, "no Bluetooth adapter"),
        (BleakBluetoothNotAvailableError("no", REASONS.NO_BLE_CENTRAL_ROLE), NoBluetooth, "as a central"),
        (BleakBluetoothNotAvailableError("off", REASONS.POWERED_OFF), BluetoothOff, "switched off"),
        (BleakBluetoothNotAvailableError("no", REASONS.DENIED_BY_USER), BluetoothForbidden, "does not allow"),
        (BleakBluetoothNotAvailableError("no", REASONS.DENIED_BY_SYSTEM), BluetoothForbidden, "does not allow"),
        (BleakBluetoothNotAvailableError("no", REASONS.DENIED_BY_UNKNOWN), BluetoothForbidden, "does not allow"),
        (BleakBluetoothNotAvailableError("hm", REASONS.UNKNOWN), NoBluetooth, "hm"),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["x"]), NoBluetooth, "BlueZ is not running"),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["x"]), BluetoothForbidden, "D-Bus"),
        (BleakDBusError("org.bluez.Error.NotReady", ["x"]), BluetoothOff, "switched off"),
        (BleakDBusError("org.bluez.Error.InProgress", ["x"]), CannotOpen, "busy"),
        (BleakDBusError("org.bluez.Error.Failed", ["odd"]), CannotOpen, "odd"),
        (PermissionError(13, "Permission denied"), BluetoothForbidden, "Permission denied"),
        (FileNotFoundError(2, "No such file"), NoBluetooth, "no D-Bus"),
        (ConnectionRefusedError(111, "refused"), NoBluetooth, "no D-Bus"),
        (EOFError(), NoBluetooth, "service ended"),
        (ImportError("no backend"), NoBluetooth, "no backend"),
        (BleakError("Failed to start scanner. Is Bluetooth turned on?"), BluetoothOff, "turned on"),
        (BleakError("Bleak requires BlueZ >= 5.55."), NoBluetooth, "5.55"),
        (AssertionError(), CannotOpen, "AssertionError"),
        (KeyError("Roles"), CannotOpen, "Roles"),
    ],
)
@in_virtual_time
async def test_each_reason_why_nothing_can_be_heard(error: Exception, kind: type[LinkError], says: str) -> None:
    computer = three()
    computer.scan_error = error
    with pytest.raises(CannotOpen) as caught:
        await find_pens(computer.radio(), 1.0)
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert caught.value.advice
    computer.scan_error = None
    assert len(await find_pens(computer.radio(), 1.0)) == 3


@in_virtual_time
async def test_a_radio_of_another_package_s_has_its_own_words() -> None:
    computer = three()
    missing = BleakBluetoothNotAvailableError("gone", REASONS.NO_BLUETOOTH)
    missing.__cause__ = _BroughtError("the radio was refused", limit="nobody listens there", advice="Start it")
    computer.scan_error = missing
    with pytest.raises(NoRadio, match="nobody listens there"):
        await find_pens(computer.radio(), 1.0)


def test_nothing_keeps_a_loop_that_was_used_here() -> None:
    async def use() -> weakref.ref[asyncio.AbstractEventLoop]:
        computer = three()
        with using(computer):
            links = await asyncio.gather(*(opened(computer, pen.serial_number) for pen in computer.peripherals[:2]))
        await asyncio.gather(*(link.close() for link in links))
        return weakref.ref(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.run(use())
    del runner
    gc.collect()
    assert loop() is None
