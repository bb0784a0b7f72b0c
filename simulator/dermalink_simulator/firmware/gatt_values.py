"""What the readable characteristics hold: the status, and the standard services that any BLE browser reads."""

from collections.abc import Callable
from struct import pack
from typing import Final

from dermalink_protocol import channels
from dermalink_protocol.channels import Channel
from dermalink_protocol.envelope import UNASKED, Envelope, encode_envelope
from dermalink_protocol.limits import PROTOCOL_VERSION
from dermalink_simulator.firmware import replies
from dermalink_simulator.firmware.identity import FIRMWARE_VERSION
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.therapy.state import Clock

MANUFACTURER: Final = "Dermalink"
MODEL: Final = "Dermalink pen, simulated"
HARDWARE: Final = "simulated 1"

DAY_S: Final = 86_400
UNKNOWN_TIME: Final = bytes(10)
THURSDAY: Final = 3  # of the days from Monday as 0: 1970-01-01 was one
ERA_DAYS: Final = 146_097  # 400 years, after which the calendar repeats
BEFORE_1970_DAYS: Final = 719_468  # from 0000-03-01, where an era begins


def value_of(pen: Inside, uuid16: int) -> bytes:
    """The present value; empty for a characteristic that the pen does not have."""
    read = _VALUES.get(uuid16)
    return read(pen) if read is not None else b""


def current_time(utc_s: int) -> bytes:
    """Current Time's value: the calendar, day of week, no fraction, no reason; all zero is unknown, as for 0."""
    if utc_s == 0:
        return UNKNOWN_TIME
    days, second = divmod(utc_s, DAY_S)
    year, month, day = civil(days)
    weekday = (days + THURSDAY) % 7 + 1
    return pack("<HBBBBBBBB", year, month, day, second // 3_600, second // 60 % 60, second % 60, weekday, 0, 0)


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of the Gregorian calendar, so many days after 1970-01-01.

    A year is counted from March, so that the leap day is its last; each five months from March have 153 days.
    """
    era, of_era = divmod(days + BEFORE_1970_DAYS, ERA_DAYS)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return era * 400 + year + (month <= 2), month, day


def _status(pen: Inside) -> bytes:
    return encode_envelope(Envelope(Channel.STATUS, UNASKED, replies.status(pen, to_stranger=pen.owners_only)))


def _serial_number(pen: Inside) -> bytes:
    return pen.store.factory.serial_number.rstrip(b"\0")


def _time(pen: Inside) -> bytes:
    return current_time(pen.sensors.utc_s if pen.clock.trouble == Clock.SOUND else 0)


def _text(text: str) -> Callable[[Inside], bytes]:
    value = text.encode("ascii")
    return lambda _: value


_VALUES: Final[dict[int, Callable[[Inside], bytes]]] = {
    channels.STATUS_VALUE: _status,
    channels.MANUFACTURER_NAME: _text(MANUFACTURER),
    channels.MODEL_NUMBER: _text(MODEL),
    channels.SERIAL_NUMBER: _serial_number,
    channels.FIRMWARE_REVISION: _text(".".join(map(str, FIRMWARE_VERSION.to_bytes(3, "big")))),
    channels.HARDWARE_REVISION: _text(HARDWARE),
    channels.SOFTWARE_REVISION: _text(str(int(PROTOCOL_VERSION))),
    channels.BATTERY_LEVEL: lambda pen: bytes([pen.sensors.battery_percent]),
    channels.CURRENT_TIME: _time,
}
