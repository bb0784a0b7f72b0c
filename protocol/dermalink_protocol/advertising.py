"""What a pen says of itself over the air before anybody connects: that it is a pen, and which.

The advertisement has flags and the service's UUID, so that a host can look for pens alone; a host that listens actively
is told the name as well. The name ends in the serial number: whatever lists names tells pens apart, on every system,
and it needs no company's identifier. It is a claim: who the pen is, is what it answers to hello.
Source of the numbers: Bluetooth Core Specification Supplement, Part A (1.1, 1.2, 1.3), and its assigned numbers.
"""

from typing import Final, NamedTuple

from dermalink_protocol.channels import SERVICE_UUID
from dermalink_protocol.errors import OutOfRange

ADVERTISING_BYTES_MAX: Final = 31  # of legacy advertising, which every host hears
SERIAL_BYTES_MAX: Final = 16  # as in hello
NAME_PREFIX: Final = "Dermalink "

FLAGS: Final = 0x01
COMPLETE_SERVICES_128: Final = 0x07
COMPLETE_NAME: Final = 0x09
GENERAL_DISCOVERABLE: Final = 0x02
NO_CLASSIC: Final = 0x04


class Field(NamedTuple):
    """One field of an advertisement: its type's assigned number and its data."""

    kind: int
    data: bytes


class Advertised(NamedTuple):
    """What was read of an advertisement and a scan response; the texts are empty where nothing was said."""

    is_pen: bool
    name: str
    serial_number: str


def device_name(serial_number: str) -> str:
    """The pen's name, over the air and in its GAP service; raises `OutOfRange` for a serial number that can't be."""
    printable = serial_number.isascii() and serial_number.isprintable()
    if not printable or not 1 <= len(serial_number) <= SERIAL_BYTES_MAX:
        limit = f"it has 1 to {SERIAL_BYTES_MAX} printable ASCII characters"
        raise OutOfRange(f"serial number {serial_number!r} was refused", limit=limit)
    return NAME_PREFIX + serial_number


def advertisement() -> bytes:
    """What the pen sends at each advertising interval."""
    uuid = SERVICE_UUID.bytes[::-1]
    return _packed(Field(FLAGS, bytes([GENERAL_DISCOVERABLE | NO_CLASSIC])), Field(COMPLETE_SERVICES_128, uuid))


def scan_response(serial_number: str) -> bytes:
    """What the pen answers to a host that asks for more."""
    return _packed(Field(COMPLETE_NAME, device_name(serial_number).encode("ascii")))


def advertised_serial(name: str | None) -> str:
    """The serial number that a pen's name ends in; empty for any other name."""
    if name is None or not name.startswith(NAME_PREFIX):
        return ""
    serial_number = name.removeprefix(NAME_PREFIX)
    try:
        device_name(serial_number)
    except OutOfRange:
        return ""
    return serial_number


def read_advertised(advertisement_data: bytes, scan_response_data: bytes = b"") -> Advertised:
    """What raw advertising says; anything may be in it, and what can't be read is as if it were not said."""
    is_pen, name = False, ""
    for field in (*fields_of(advertisement_data), *fields_of(scan_response_data)):
        if field.kind == COMPLETE_SERVICES_128:
            uuids = [field.data[at : at + 16] for at in range(0, len(field.data), 16)]
            is_pen = is_pen or SERVICE_UUID.bytes[::-1] in uuids
        elif field.kind == COMPLETE_NAME:
            name = field.data.decode("utf-8", "replace")
    return Advertised(is_pen, name, advertised_serial(name))


def fields_of(data: bytes) -> list[Field]:
    """The fields in advertising data, until its end or until a length that can't be."""
    fields = []
    while data and 0 < data[0] < len(data):
        fields.append(Field(data[1], data[2 : data[0] + 1]))
        data = data[data[0] + 1 :]
    return fields


def _packed(*fields: Field) -> bytes:
    return b"".join(bytes([len(field.data) + 1, field.kind]) + field.data for field in fields)


_LONGEST: Final = "S" * SERIAL_BYTES_MAX
assert len(advertisement()) <= ADVERTISING_BYTES_MAX, "the advertisement fits"
assert len(scan_response(_LONGEST)) <= ADVERTISING_BYTES_MAX, "the scan response fits"
