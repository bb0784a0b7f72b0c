"""The pen's GATT table: our own service as the contract declares it, and the standard ones that every browser knows.

Every value is read from the pen at the moment at which it is asked for.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from bumble import att, gatt
from bumble.core import UUID
from bumble.profiles.gap import GenericAccessService
from bumble.profiles.gatt_service import GenericAttributeProfileService

from dermalink_protocol.channels import (
    BATTERY_LEVEL,
    CHANNEL_RULES,
    CURRENT_TIME,
    READABLES,
    SERVICE_UUID,
    STATUS_VALUE,
    Channel,
    Gatt,
)
from dermalink_protocol.errors import DermalinkError

# Bluetooth assigned numbers.
USER_DESCRIPTION: Final = 0x2901
APPEARANCE: Final = 0  # unknown: no category of the assigned numbers fits a derma pen
# Battery Service 1.1, 3.1, and Current Time Service 1.1, 3.1: both can be subscribed to.
NOTIFIED: Final = (BATTERY_LEVEL, CURRENT_TIME)

# What a generic browser shows beside a characteristic that it doesn't know.
WORDS: Final = {
    Channel.PAIRING: "Pairing",
    Channel.STATUS: "Status",
    Channel.COMMAND: "Commands",
    Channel.TELEMETRY: "Telemetry",
    Channel.RECORDS: "Records",
    Channel.STOP: "Stop: needles in",
}
PROPERTIES: Final = {
    Gatt.READ: gatt.Characteristic.Properties.READ,
    Gatt.WRITE: gatt.Characteristic.Properties.WRITE,
    Gatt.WRITE_WITHOUT_RESPONSE: gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
    Gatt.INDICATE: gatt.Characteristic.Properties.INDICATE,
    Gatt.NOTIFY: gatt.Characteristic.Properties.NOTIFY,
}

ReadValue = Callable[[int], bytes]


class Table(NamedTuple):
    """The services in their order, and the characteristics that have more to them than a value that is read."""

    services: tuple[gatt.Service, ...]
    channels: dict[Channel, gatt.Characteristic[bytes]]
    battery: gatt.Characteristic[bytes]
    clock: gatt.Characteristic[bytes]
    features: gatt.Characteristic[bytes]


def make_table(read: ReadValue, name: str) -> Table:
    """The table of a pen of that name; `read` gives the value of a slot of ours or of an assigned number."""
    attributes = GenericAttributeProfileService()
    features = attributes.client_supported_features_characteristic
    assert features is not None
    values = {one.uuid16: _readable(read, one.uuid16) for one in READABLES}
    standard: dict[int, list[gatt.Characteristic[bytes]]] = {}
    for one in READABLES:
        standard.setdefault(one.service, []).append(values[one.uuid16])
    channels = {channel: _channel(read, channel) for channel in Channel}
    services = (
        GenericAccessService(name, APPEARANCE),
        attributes,
        *(gatt.Service(UUID.from_16_bits(number), each) for number, each in standard.items()),
        gatt.Service(UUID(str(SERVICE_UUID)), list(channels.values())),
    )
    return Table(services, channels, values[BATTERY_LEVEL], values[CURRENT_TIME], features)


def _readable(read: ReadValue, number: int) -> gatt.Characteristic[bytes]:
    properties = gatt.Characteristic.Properties.READ
    if number in NOTIFIED:
        properties |= gatt.Characteristic.Properties.NOTIFY
    permissions = gatt.Characteristic.Permissions.READABLE
    return gatt.Characteristic(UUID.from_16_bits(number), properties, permissions, _live(read, number))


def _channel(read: ReadValue, channel: Channel) -> gatt.Characteristic[bytes]:
    rule = CHANNEL_RULES[channel]
    properties = gatt.Characteristic.Properties(0)
    for declared, property_ in PROPERTIES.items():
        if declared in rule.gatt:
            properties |= property_
    permissions = gatt.Characteristic.Permissions(0)
    if Gatt.READ in rule.gatt:
        permissions |= gatt.Characteristic.Permissions.READABLE
    if rule.gatt & (Gatt.WRITE | Gatt.WRITE_WITHOUT_RESPONSE):
        permissions |= gatt.Characteristic.Permissions.WRITEABLE
    words = gatt.Descriptor(
        UUID.from_16_bits(USER_DESCRIPTION), gatt.Descriptor.Permissions.READABLE, WORDS[channel].encode()
    )
    value = _live(read, STATUS_VALUE) if Gatt.READ in rule.gatt else _not_readable()
    return gatt.Characteristic(UUID(str(rule.uuid)), properties, permissions, value, [words])


def _live(read: ReadValue, number: int) -> att.AttributeValue[bytes]:
    """A value that the pen is asked for; a pen without power has none."""

    def value(_: object) -> bytes:
        try:
            return read(number)
        except DermalinkError as error:
            raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR) from error

    return att.AttributeValue(read=value)


def _not_readable() -> att.AttributeValue[bytes]:
    def value(_: object) -> bytes:
        raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)

    return att.AttributeValue(read=value)
