"""What differs per operating system, and what a person is told on each."""

import asyncio

import pytest
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.service import BleakGATTService
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from dermalink.errors import CannotOpen, LinkLost, NoSuchPen, PairingRefused, PenRestarted
from dermalink.links import ble_platform
from dermalink.links.ble_platform import (
    advice_for,
    client_options,
    held_devices,
    is_address,
    is_busy,
    lost_error,
    meaning,
    on_loop,
    opening_error,
    value_bytes,
)
from dermalink_protocol.errors import DermalinkError
from tests.air.host.fake_bleak import UnknownObjectError
from tests.support.running import in_virtual_time

OFF = BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason.POWERED_OFF)
DENIED = BleakBluetoothNotAvailableError("no", BleakBluetoothNotAvailableReason.DENIED_BY_USER)
NONE = BleakBluetoothNotAvailableError("none", BleakBluetoothNotAvailableReason.NO_BLUETOOTH)


@pytest.mark.parametrize(
    ("error", "system", "advice"),
    [
        (OFF, "linux", "bluetoothctl power on"),
        (OFF, "darwin", "System Settings"),
        (OFF, "win32", "Settings, Bluetooth & devices"),
        (OFF, "freebsd14", "bluetoothctl"),
        (DENIED, "linux", "group `bluetooth`"),
        (DENIED, "darwin", "Privacy & Security"),
        (DENIED, "win32", "Radios"),
        (NONE, "linux", "systemctl status bluetooth"),
        (NONE, "darwin", "a Mac with"),
        (NONE, "win32", "driver"),
        (BleakGATTProtocolError(0x05), "linux", "bluetoothctl remove"),
        (BleakGATTProtocolError(0x0F), "darwin", "forget it there"),
        (BleakError("Could not get GATT services: Access Denied"), "win32", "Remove the pen"),
    ],
)
def test_the_advice_is_this_system_s(error: Exception, system: str, advice: str) -> None:
    assert advice in meaning(error, system).advice


@pytest.mark.parametrize("table", ["SWITCH_ON", "ALLOW", "GET_ONE", "FORGET"])
def test_every_system_has_its_advice(table: str) -> None:
    known = getattr(ble_platform, table)
    assert set(known) == {"linux", "darwin", "win32"}
    assert advice_for(known, "cygwin") == known["linux"]


@pytest.mark.parametrize("text", ["C0:00:00:00:00:01", "c0:00:00:00:00:01", "5f0e4c1b-9b57-0d6e-7a11-ce05d3a10001"])
def test_what_is_an_address(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["", "DP1-00042", "C0:00:00:00:00", "C0:00:00:00:00:01:02", "C0-00-00-00-00-01", "g"])
def test_what_is_none(text: str) -> None:
    assert not is_address(text)


def test_what_is_busy_is_tried_again_and_nothing_else() -> None:
    assert is_busy(BleakGATTProtocolError(0xFE))
    assert is_busy(BleakDBusError("org.bluez.Error.InProgress", []))
    for error in (
        BleakGATTProtocolError(0xFD),
        BleakDBusError("org.bluez.Error.Failed", []),
        OSError(),
        TimeoutError(),
    ):
        assert not is_busy(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BleakDeviceNotFoundError("C0", "not found"), NoSuchPen),
        (BleakDBusError("org.bluez.Error.AuthenticationFailed", ["x"]), PairingRefused),
        (BleakDBusError("org.bluez.Error.AuthenticationCanceled", ["x"]), PairingRefused),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"]), PairingRefused),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["Notify acquired"]), CannotOpen),
        (TimeoutError(), CannotOpen),
        (RuntimeError("odd"), CannotOpen),
    ],
)
def test_errors_while_opening(error: Exception, kind: type[CannotOpen]) -> None:
    ours = opening_error(error, "ble:pen")
    assert type(ours) is kind
    assert "ble:pen" in str(ours)
    assert ours.advice


@pytest.mark.parametrize(
    "error",
    [
        OFF,
        NONE,
        BleakDeviceNotFoundError("C0", "not found"),
        BleakError("Not connected"),
        BleakError("disconnected"),
        UnknownObjectError("gone"),
        TimeoutError(),
        EOFError(),
        OSError(1, "odd"),
        RuntimeError("odd"),
        DermalinkError("refused", limit="nothing is there", advice="Look"),
    ],
)
def test_whatever_happens_on_an_open_link_is_a_lost_link(error: Exception) -> None:
    ours = lost_error(error, "ble:pen")
    assert type(ours) is LinkLost
    assert "ble:pen" in str(ours)
    assert ours.limit
    assert ours.advice


def test_our_own_errors_stay_as_they_are() -> None:
    ours = PenRestarted("x")
    assert lost_error(ours, "ble:pen") is ours
    assert opening_error(ours, "ble:pen") is ours


def characteristic(size: object) -> BleakGATTCharacteristic:
    return BleakGATTCharacteristic(None, 1, "x", [], size, BleakGATTService(None, 1, "y"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "used"),
    [(20, 20), (244, 244), (512, 512), (514, 514), (4_000, 514), (0, 20), (-1, 20), (None, 20)],
)
def test_the_size_of_a_value_is_never_one_that_cannot_be(said: int | None, used: int) -> None:
    assert value_bytes(characteristic(lambda: said)) == used


def test_windows_does_not_keep_tables() -> None:
    assert client_options("win32") == {"winrt": {"use_cached_services": False}}
    assert client_options("linux") == client_options("darwin") == {}


@in_virtual_time
async def test_a_call_on_the_loop_s_own_thread_is_made_at_once() -> None:
    got: list[int] = []
    on_loop(asyncio.get_running_loop(), got.append)(1)
    assert got == [1]


def test_a_call_from_elsewhere_after_the_loop_s_end_is_dropped() -> None:
    loop = asyncio.new_event_loop()
    got: list[int] = []
    hop: list[object] = []

    async def make() -> None:
        hop.append(on_loop(loop, got.append))

    import threading

    thread = threading.Thread(target=lambda: loop.run_until_complete(make()))
    thread.start()
    thread.join()
    loop.close()
    hop[0](1)  # type: ignore[operator]
    assert got == []


@in_virtual_time
async def test_a_system_that_has_no_list_of_devices_holds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import bleak

    monkeypatch.delattr(bleak, "BleakAdapter")
    assert await held_devices("0000") == []
