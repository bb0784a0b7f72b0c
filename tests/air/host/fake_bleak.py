"""A computer's Bluetooth without a radio: a pair of bleak backends that behave as bleak does on real BlueZ.

`Computer` is what BlueZ keeps for all clients on one machine, `Peripheral` a device on the air. Each way in which
BlueZ was measured to misbehave is a field that a test sets.
"""

import asyncio
import zlib
from collections.abc import Callable
from typing import Any, ClassVar, cast

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from dermalink.links.ble_radio import Radio
from dermalink_protocol.advertising import device_name
from dermalink_protocol.channels import CHANNEL_RULES, SERVICE_UUID, AttError, Channel, Gatt
from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_protocol.segmentation import ATT_MTU_MIN, Joined, Reassembler, Segmenter

FOREVER = float("inf")
DEVICE_INFORMATION = "0000180a-0000-1000-8000-00805f9b34fb"
SOFTWARE_REVISION = "00002a28-0000-1000-8000-00805f9b34fb"
WORDS: dict[Gatt, CharacteristicPropertyName] = {
    Gatt.READ: "read",
    Gatt.WRITE: "write",
    Gatt.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Gatt.INDICATE: "indicate",
    Gatt.NOTIFY: "notify",
}


class UnknownObjectError(Exception):
    """dbus-fast's own error, as it comes through bleak when the adapter vanishes."""

    type = "org.freedesktop.DBus.Error.UnknownObject"


async def pass_time(seconds: float) -> None:
    """Wait; `FOREVER` is a call that never returns."""
    if seconds == FOREVER:
        await asyncio.sleep(1e9)
    if seconds:
        await asyncio.sleep(seconds)


class Peripheral:
    """A device with a pen's table. What is written to it is kept in `written`, whole messages in `messages`."""

    def __init__(self, serial_number: str = "DP1-00042", *, name: str | None = None, address: str = "") -> None:
        self.serial_number = serial_number
        self.name = device_name(serial_number) if name is None else name
        self.address = address or f"C0:00:00:00:00:{zlib.crc32(serial_number.encode()) % 256:02X}"
        self.rssi = -50
        self.properties = {channel: rule.gatt for channel, rule in CHANNEL_RULES.items()}
        self.version = str(PROTOCOL_VERSION).encode()
        self.status: bytes | None = None  # what is read there; None is refused
        self.read: list[float] = []  # when a read of it began
        self.value_bytes = 20
        self.advertises = True
        self.interval_s = 0.1
        self.written: list[tuple[Channel, bytes, bool]] = []
        self.messages: list[tuple[Channel, bytes]] = []
        self.refuse: Callable[[Channel, bytes], int] = lambda _channel, _value: 0
        self.on_message: Callable[[Channel, bytes], None] = lambda _channel, _body: None
        self.on_link: Callable[[], None] = lambda: None
        self.on_unlink: Callable[[], None] = lambda: None
        self.on_subscribe: Callable[[Channel], None] = lambda _channel: None
        self.reassemblers: dict[Channel, Reassembler] = {}
        self.segmenters: dict[Channel, Segmenter] = {}
        self.connect_s = 0.2
        self.connect_error: Exception | None = None
        self.subscribe_error: Exception | None = None
        self.read_s = self.write_s = self.subscribe_s = 0.01
        self.write_error: BaseException | None = None
        self.without_response_error: Exception | None = None

    def begin(self) -> None:
        """A new link."""
        self.reassemblers = {channel: Reassembler() for channel in Channel}
        self.segmenters = {channel: Segmenter() for channel in Channel}
        self.on_link()

    def write(self, channel: Channel, value: bytes, *, response: bool) -> None:
        """A value comes; raises what it is refused with."""
        code = self.refuse(channel, value)
        if code:
            raise BleakGATTProtocolError(code)
        self.written.append((channel, value, response))
        if value[0] & 0x80:
            self.reassemblers[channel] = Reassembler()
        for event in self.reassemblers[channel].feed(value):
            assert isinstance(event, Joined), event
            self.messages.append((channel, event.body))
            self.on_message(channel, event.body)

    def cut(self, channel: Channel, body: bytes) -> list[bytes]:
        """The values in which a message goes out."""
        return self.segmenters[channel].cut(body, ATT_MTU_MIN)

    def services(self) -> BleakGATTServiceCollection:
        """The table as it is now."""
        table = BleakGATTServiceCollection()
        ours = BleakGATTService(None, 1, str(SERVICE_UUID))
        table.add_service(ours)
        for channel, gatt in self.properties.items():
            words = [word for flag, word in WORDS.items() if flag in gatt]
            uuid, handle = str(CHANNEL_RULES[channel].uuid), 10 * int(channel)
            table.add_characteristic(
                BleakGATTCharacteristic(channel, handle, uuid, words, lambda: self.value_bytes, ours)
            )
        information = BleakGATTService(None, 100, DEVICE_INFORMATION)
        table.add_service(information)
        table.add_characteristic(
            BleakGATTCharacteristic(None, 101, SOFTWARE_REVISION, ["read"], lambda: 20, information)
        )
        return table


class Computer:
    """BlueZ on one machine: the devices on the air, who is connected, and what is left over of earlier links."""

    def __init__(self, *peripherals: Peripheral) -> None:
        self.peripherals = list(peripherals)
        self.clients: list[FakeClient] = []
        self.scanners: list[FakeScanner] = []
        self.connecting = 0
        self.disconnect_s = 2.5
        self.disconnect_error: Exception | None = None
        self.scan_error: BaseException | None = None
        self.scan_stop_s = 0.0
        self.left_over: dict[str, int] = {}  # copies of each notification that earlier links have left behind
        self.pairings = 0
        self.events: list[str] = []

    def radio(self) -> Radio:
        """What `radio_of` would give for this computer."""
        client = type("Client", (FakeClient,), {"computer": self})
        scanner = type("Scanner", (FakeScanner,), {"computer": self})
        return Radio(f"fake:{id(self)}", client, scanner)

    def linked(self, peripheral: Peripheral) -> "list[FakeClient]":
        """The clients that share the link to it."""
        return [client for client in self.clients if client.up and client.peripheral is peripheral]

    def say(self, peripheral: Peripheral, channel: Channel, body: bytes) -> None:
        """The device says a message, on every client that shares its link."""
        for value in peripheral.cut(channel, body):
            self.notify(peripheral, channel, value)

    def notify(self, peripheral: Peripheral, channel: Channel, value: bytes) -> None:
        """The device sends one value."""
        linked = self.linked(peripheral)
        copies = (1 + self.left_over.get(peripheral.address, 0)) * max(1, len(linked))
        for client in linked:
            for _ in range(copies):
                client.came(channel, value)

    def drop(self, peripheral: Peripheral, *, tell: bool = True) -> None:
        """The device hangs up, or its link is lost; a ghost is what nobody is told of."""
        linked = self.linked(peripheral)
        if linked:
            self.left_over[peripheral.address] = self.left_over.get(peripheral.address, 0) + 1
            peripheral.on_unlink()
        for client in linked:
            client.dropped(tell=tell)


class FakeClient(BaseBleakClient):
    """bleak's client on BlueZ."""

    computer: ClassVar[Computer]

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **_: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        assert isinstance(address_or_ble_device, BLEDevice)
        self.peripheral = cast(Peripheral, address_or_ble_device.details)
        self.up = self.says_connected = self.unclean = False
        self.disconnects = self.connects = 0
        self.callbacks: dict[Channel, NotifyCallback] = {}
        self.silent = False
        self.computer.clients.append(self)

    @property
    def name(self) -> str:
        return self.peripheral.name

    @property
    def mtu_size(self) -> int:
        return 23  # always, on BlueZ

    @property
    def is_connected(self) -> bool:
        return self.says_connected

    async def connect(self, pair: bool, **_: Any) -> None:
        del pair
        self.connects += 1
        computer, peripheral = self.computer, self.peripheral
        computer.events.append("connect")
        computer.connecting += 1
        try:
            if computer.connecting > 1:
                self.says_connected = True  # and it is not
                raise BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"])
            async with asyncio.timeout(self._timeout):
                await pass_time(peripheral.connect_s)
        finally:
            computer.connecting -= 1
        if peripheral.connect_error is not None:
            raise peripheral.connect_error
        self.up = self.says_connected = True
        self.services = peripheral.services()
        peripheral.begin()

    def came(self, channel: Channel, value: bytes) -> None:
        if channel in self.callbacks and not self.silent:
            self.callbacks[channel](bytearray(value))

    def dropped(self, *, tell: bool) -> None:
        self.up, self.unclean = False, True
        if tell:
            self.says_connected = False
            self.services = None
            if self._disconnected_callback is not None:
                self._disconnected_callback()

    async def disconnect(self) -> None:
        self.disconnects += 1
        computer = self.computer
        computer.events.append("disconnect")
        if self.unclean:
            self.unclean = False
            computer.left_over[self.peripheral.address] -= 1
        shared = computer.linked(self.peripheral) if self.up else []
        if shared:
            await pass_time(computer.disconnect_s)
        if computer.disconnect_error is not None:
            raise computer.disconnect_error
        for client in shared:  # either one's disconnect drops both
            client.up = client.says_connected = False
            client.services = None
            if client._disconnected_callback is not None:
                client._disconnected_callback()
        if shared:
            self.peripheral.on_unlink()

    async def pair(self, *_: Any, **__: Any) -> None:
        self.computer.pairings += 1

    async def unpair(self) -> None:
        raise NotImplementedError

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **_: Any,
    ) -> bytearray:
        if characteristic.obj is Channel.STATUS:
            self.peripheral.read.append(asyncio.get_running_loop().time())
            await pass_time(self.peripheral.read_s)
            if self.peripheral.status is None:
                raise BleakGATTProtocolError(AttError.WRITE_NOT_PERMITTED)
            return bytearray(self.peripheral.status)
        await pass_time(self.peripheral.read_s)
        assert characteristic.uuid == SOFTWARE_REVISION
        return bytearray(self.peripheral.version)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        raise NotImplementedError

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,
    ) -> None:
        assert isinstance(response, bool)  # the host always says which
        if not self.says_connected:
            raise BleakError("Not connected")
        channel = cast(Channel, characteristic.obj)
        if response:
            await pass_time(self.peripheral.write_s)
            if self.peripheral.write_error is not None:
                raise self.peripheral.write_error
        elif self.peripheral.without_response_error is not None:
            raise self.peripheral.without_response_error
        if not self.up:
            await pass_time(FOREVER)
        self.peripheral.write(channel, bytes(data), response=response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        raise NotImplementedError

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        await pass_time(self.peripheral.subscribe_s)
        if self.peripheral.subscribe_error is not None:
            self.computer.pairings += 1
            raise self.peripheral.subscribe_error
        channel = cast(Channel, characteristic.obj)
        assert channel not in self.callbacks
        self.callbacks[channel] = callback
        self.peripheral.on_subscribe(channel)

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        raise NotImplementedError


class FakeScanner(BaseBleakScanner):
    """bleak's scanner on BlueZ: a second one at the same time is refused."""

    computer: ClassVar[Computer]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        assert scanning_mode == "active"
        self._hearing: asyncio.Task[None] | None = None
        self.computer.scanners.append(self)

    @property
    def running(self) -> bool:
        return self._hearing is not None

    async def start(self) -> None:
        if self.computer.scan_error is not None:
            raise self.computer.scan_error
        if any(scanner.running for scanner in self.computer.scanners):
            raise BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"])
        self._hearing = asyncio.ensure_future(self._hear())

    async def _hear(self) -> None:
        while True:
            await asyncio.sleep(min([each.interval_s for each in self.computer.peripherals], default=0.1))
            for peripheral in self.computer.peripherals:
                if peripheral.advertises and not self.computer.linked(peripheral):
                    self._heard(peripheral)

    def _heard(self, peripheral: Peripheral) -> None:
        said = AdvertisementData(peripheral.name, {}, {}, [str(SERVICE_UUID)], None, peripheral.rssi, ())
        if self.is_allowed_uuid(said.service_uuids):
            device = self.create_or_update_device(
                peripheral.address, peripheral.address, peripheral.name, peripheral, said
            )
            self.call_detection_callbacks(device, said)

    async def stop(self) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.cancel()
            await asyncio.wait([hearing])
        await pass_time(self.computer.scan_stop_s)
