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
    """One row of the table: GATT side, and whether the channel stays in the clear once sealing exists.

    `encrypted`: whether a pen that only its owner may run has it on a link alone that Bluetooth has encrypted, with a
    key of 128 bits from LE Secure Connections. It gives no right: what is whose is decided under our own seal.
    """

    uuid: UUID
    gatt: Gatt
    clear: bool
    encrypted: bool


def _uuid(slot: int) -> UUID:
    return UUID(int=BASE_UUID.int | (slot << 96))


SERVICE_UUID: Final = _uuid(0x0001)

CHANNEL_RULES: Final[dict[Channel, ChannelRule]] = {
    Channel.PAIRING: ChannelRule(_uuid(0x0002), Gatt.WRITE | Gatt.INDICATE, clear=True, encrypted=False),
    Channel.STATUS: ChannelRule(_uuid(0x0003), Gatt.READ | Gatt.WRITE | Gatt.INDICATE, clear=True, encrypted=False),
    Channel.COMMAND: ChannelRule(_uuid(0x0004), Gatt.WRITE | Gatt.INDICATE, clear=False, encrypted=True),
    Channel.TELEMETRY: ChannelRule(_uuid(0x0005), Gatt.NOTIFY, clear=False, encrypted=True),
    Channel.RECORDS: ChannelRule(_uuid(0x0006), Gatt.WRITE | Gatt.INDICATE, clear=False, encrypted=True),
    Channel.STOP: ChannelRule(
        _uuid(0x0007), Gatt.WRITE | Gatt.WRITE_WITHOUT_RESPONSE | Gatt.INDICATE, clear=True, encrypted=False
    ),
}

# The slot of our own base by which the status characteristic is read.
STATUS_VALUE: Final = 0x0003

# Standard services beside ours and their characteristics (Bluetooth assigned numbers).
DEVICE_INFORMATION: Final = 0x180A
BATTERY_SERVICE: Final = 0x180F
CURRENT_TIME_SERVICE: Final = 0x1805

MANUFACTURER_NAME: Final = 0x2A29
MODEL_NUMBER: Final = 0x2A24
SERIAL_NUMBER: Final = 0x2A25
FIRMWARE_REVISION: Final = 0x2A26
HARDWARE_REVISION: Final = 0x2A27
SOFTWARE_REVISION: Final = 0x2A28
BATTERY_LEVEL: Final = 0x2A19
CURRENT_TIME: Final = 0x2A2B


class Readable(NamedTuple):
    """A characteristic of a standard service that anybody may read."""

    service: int
    uuid16: int
    name: str
    value: str


READABLES: Final = (
    Readable(DEVICE_INFORMATION, MANUFACTURER_NAME, "Manufacturer Name", "text"),
    Readable(DEVICE_INFORMATION, MODEL_NUMBER, "Model Number", "text"),
    Readable(DEVICE_INFORMATION, SERIAL_NUMBER, "Serial Number", "text; by it a host knows the pen again"),
    Readable(DEVICE_INFORMATION, FIRMWARE_REVISION, "Firmware Revision", "text, major.minor.patch"),
    Readable(DEVICE_INFORMATION, HARDWARE_REVISION, "Hardware Revision", "text"),
    Readable(DEVICE_INFORMATION, SOFTWARE_REVISION, "Software Revision", "text: the version of this contract"),
    Readable(BATTERY_SERVICE, BATTERY_LEVEL, "Battery Level", "u8, percent"),
    Readable(
        CURRENT_TIME_SERVICE,
        CURRENT_TIME,
        "Current Time",
        "year (u16), month, day, hours, minutes, seconds, day of week (1 is Monday), 1/256 s, adjust reason: UTC by "
        "the pen's clock; all zero, which is unknown, when that was lost",
    ),
)


class AttError(IntEnum):
    """Errors at ATT level: framing and authority are refused there, meaning is answered."""

    WRITE_NOT_PERMITTED = 0x03
    INSUFFICIENT_AUTHENTICATION = 0x05
    INVALID_LENGTH = 0x0D
    INSUFFICIENT_ENCRYPTION = 0x0F
    CRC = 0x81
    COUNTER = 0x82
    CCCD_IMPROPERLY_CONFIGURED = 0xFD
    IN_PROGRESS = 0xFE
    OUT_OF_RANGE = 0xFF


# Which of the two an unencrypted link is refused with: Core specification 5.4, Vol 3, Part C, 10.3.1.
ATT_ERROR_USES: Final[dict[AttError, str]] = {
    AttError.WRITE_NOT_PERMITTED: "a write of what can only be read or subscribed to",
    AttError.INSUFFICIENT_AUTHENTICATION: "on a link that is not encrypted, and with no bond in the pen: a write to a "
    "channel that needs it, and subscribing to one, while nobody but an owner may run the pen",
    AttError.INVALID_LENGTH: "a value longer than the ATT_MTU lets one write carry",
    AttError.INSUFFICIENT_ENCRYPTION: "the same, where the pen keeps its owner's bond",
    AttError.CRC: "kept free for sealed messages; the link layer checks what it carries by itself",
    AttError.COUNTER: "a segment that does not go on where the one before ended, or whose message never began",
    AttError.CCCD_IMPROPERLY_CONFIGURED: "a write to a channel whose answers are not subscribed to; Stop is never "
    "refused with it",
    AttError.IN_PROGRESS: "a new procedure on pairing, command or records while one there is unanswered, except what "
    "keeps alive or reduces exposure; on any channel but stop, a request for whose reply there is no room",
    AttError.OUT_OF_RANGE: "an empty segment, a message longer than any is, or one too short to be answered",
}
