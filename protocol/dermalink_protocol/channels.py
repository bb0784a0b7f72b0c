"""The channels, and where each lives: a GATT characteristic over BLE, a channel byte in a serial frame.

Sources: the split follows the Bluetooth therapy services (status, command and record control points); the
128-bit base UUID is this project's own, and only its third and fourth octets (the 16-bit slot) vary.
"""

from enum import Flag, IntEnum, auto
from typing import Final, NamedTuple
from uuid import UUID

BASE_UUID: Final = UUID("d3a10000-5f0e-4c1b-9b57-0d6e7a11ce05")


class Channel(IntEnum):
    """A way between host and pen; the number is the channel byte of a serial frame."""

    PAIRING = 1
    STATUS = 2
    COMMAND = 3
    TELEMETRY = 4
    RECORDS = 5
    STOP = 6


class Gatt(Flag):
    """What a characteristic can do, as GATT names it."""

    READ = auto()
    WRITE = auto()
    WRITE_WITHOUT_RESPONSE = auto()
    INDICATE = auto()
    NOTIFY = auto()


class ChannelRule(NamedTuple):
    """One row of the table: GATT side, and whether the channel stays in the clear once sealing exists."""

    uuid: UUID
    gatt: Gatt
    clear: bool


def _uuid(slot: int) -> UUID:
    return UUID(int=BASE_UUID.int | (slot << 96))


SERVICE_UUID: Final = _uuid(0x0001)

CHANNEL_RULES: Final[dict[Channel, ChannelRule]] = {
    Channel.PAIRING: ChannelRule(_uuid(0x0002), Gatt.WRITE | Gatt.INDICATE, clear=True),
    Channel.STATUS: ChannelRule(_uuid(0x0003), Gatt.READ | Gatt.WRITE | Gatt.INDICATE, clear=True),
    Channel.COMMAND: ChannelRule(_uuid(0x0004), Gatt.WRITE | Gatt.INDICATE, clear=False),
    Channel.TELEMETRY: ChannelRule(_uuid(0x0005), Gatt.NOTIFY, clear=False),
    Channel.RECORDS: ChannelRule(_uuid(0x0006), Gatt.WRITE | Gatt.INDICATE, clear=False),
    Channel.STOP: ChannelRule(_uuid(0x0007), Gatt.WRITE | Gatt.WRITE_WITHOUT_RESPONSE | Gatt.INDICATE, clear=True),
}

# Standard services beside ours (Bluetooth assigned numbers).
DEVICE_INFORMATION: Final = 0x180A
BATTERY_SERVICE: Final = 0x180F
CURRENT_TIME_SERVICE: Final = 0x1805


class AttError(IntEnum):
    """Application errors at ATT level: framing and authority are refused there, meaning is answered."""

    CRC = 0x81
    COUNTER = 0x82
    CCCD_IMPROPERLY_CONFIGURED = 0xFD
    IN_PROGRESS = 0xFE
    OUT_OF_RANGE = 0xFF
