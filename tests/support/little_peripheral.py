"""A small peripheral of our own on Bumble, which is no pen: what bleak's backends are tried against."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bumble import att, hci
from bumble.core import AdvertisingData
from bumble.device import Connection, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Descriptor, Service

from dermalink_simulator.radio.air import Air
from dermalink_simulator.radio.corrections import make_controller, make_device

NAME = "Little"
ADDRESS = "F0:F1:F2:F3:F4:F5"
COMPANY = 0xFFFF
SERVICE = "aa000000-1111-4222-8333-444444444444"
SECOND_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"


def uuid(slot: int) -> str:
    return f"aa0000{slot:02x}-1111-4222-8333-444444444444"


READ, LONG, WRITE, COMMAND, NOTIFY, INDICATE, BOTH, REFUSING, SLOW = (uuid(slot) for slot in range(1, 10))
BATTERY = "00002a19-0000-1000-8000-00805f9b34fb"
LONG_VALUE = bytes(range(256)) + bytes(44)
REFUSED_WITH = 0x81

Props = Characteristic.Properties
READABLE, WRITEABLE = Characteristic.READABLE, Characteristic.WRITEABLE


class LittlePeripheral:
    """A device with one characteristic of each sort; it keeps what was written, and may stop answering."""

    def __init__(self, air: Air, address: str = ADDRESS, name: str = NAME) -> None:
        self.written: list[tuple[str, bytes]] = []
        self.silent = asyncio.Event()  # set while a read of SLOW waits
        self.go_on = asyncio.Event()
        self.name = name
        self.controller = make_controller(name, air)
        config = DeviceConfiguration(classic_enabled=False)
        ends: Any = self.controller  # source and sink in one, which Bumble's types leave out
        self.device = make_device(name, hci.Address(address), ends, ends, config=config)
        self.characteristics = {
            READ: self._make(READ, Props.READ, READABLE, b"hello"),
            LONG: self._make(LONG, Props.READ, READABLE, LONG_VALUE),
            WRITE: self._make(WRITE, Props.READ | Props.WRITE, READABLE | WRITEABLE, self._kept(WRITE)),
            COMMAND: self._make(COMMAND, Props.WRITE_WITHOUT_RESPONSE, WRITEABLE, self._kept(COMMAND)),
            NOTIFY: self._make(NOTIFY, Props.NOTIFY, READABLE, b""),
            INDICATE: self._make(INDICATE, Props.INDICATE, READABLE, b""),
            BOTH: self._make(BOTH, Props.NOTIFY | Props.INDICATE, READABLE, b""),
            REFUSING: self._make(
                REFUSING, Props.READ | Props.WRITE, READABLE | WRITEABLE, CharacteristicValue(_refuse, _refuse)
            ),
            SLOW: self._make(SLOW, Props.READ, READABLE, CharacteristicValue(self._slowly)),
        }
        self.device.add_service(Service(SERVICE, list(self.characteristics.values())))
        battery = Characteristic("2A19", Props.READ | Props.NOTIFY, READABLE, b"\x55")
        self.device.add_service(Service("180F", [battery]))

    def _make(self, which: str, properties: Props, permissions: Any, value: Any) -> "Characteristic[bytes]":
        described = Descriptor("2901", Descriptor.READABLE | Descriptor.WRITEABLE, which[:8].encode())
        return Characteristic(which, properties, permissions, value, [described])

    def _kept(self, which: str) -> "CharacteristicValue[bytes]":
        def read(_: Connection | None) -> bytes:
            return self.written[-1][1] if self.written else b""

        def write(_: Connection | None, value: bytes) -> None:
            self.written.append((which, bytes(value)))

        return CharacteristicValue(read, write)

    async def _slowly(self, _: Connection | None) -> bytes:
        self.silent.set()
        await self.go_on.wait()
        return b"at last"

    async def advertise(self) -> None:
        company = COMPANY.to_bytes(2, "little")
        self.device.advertising_data = bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, b"\x06"),
                    (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, _le(SERVICE)),
                    (AdvertisingData.TX_POWER_LEVEL, b"\xfc"),
                ]
            )
        )
        self.device.scan_response_data = bytes(
            AdvertisingData(
                [
                    (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()),
                    (AdvertisingData.MANUFACTURER_SPECIFIC_DATA, company + b"abc"),
                    (AdvertisingData.SERVICE_DATA_16_BIT_UUID, b"\x0f\x18\x55"),
                ]
            )
        )
        await self.device.start_advertising(
            auto_restart=True, advertising_interval_min=100, advertising_interval_max=100
        )

    @property
    def connection(self) -> Connection:
        return next(iter(self.device.connections.values()))

    async def notify(self, which: str, value: bytes) -> None:
        await self.device.gatt_server.notify_subscribers(self.characteristics[which], value)

    async def indicate(self, which: str, value: bytes) -> None:
        await self.device.gatt_server.indicate_subscribers(self.characteristics[which], value)

    def vanish(self) -> None:
        """As when its battery falls out."""
        self.controller.leave()


def _refuse(*_: Any) -> Any:
    raise att.ATT_Error(error_code=REFUSED_WITH)


def _le(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))[::-1]


@asynccontextmanager
async def little_peripheral(air: Air, address: str = ADDRESS, name: str = NAME) -> AsyncIterator[LittlePeripheral]:
    """One that advertises, until the end of the block."""
    one = LittlePeripheral(air, address, name)
    await one.device.power_on()
    await one.advertise()
    try:
        yield one
    finally:
        one.go_on.set()
        one.vanish()
        await asyncio.sleep(0)
