"""The services of a device, found out and put into bleak's form."""

from typing import Final

from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bumble.core import UUID
from bumble.gatt import Characteristic
from bumble.gatt_client import CharacteristicProxy, ServiceProxy

from dermalink_simulator.radio.bleak_advertising import uuid_text
from dermalink_simulator.radio.bleak_att import VALUE_MAX, AttClient

WRITE_OVERHEAD: Final = 3  # Core 5.4, Vol 3, Part F, 3.4.5.3: opcode and handle of a write command

_PROPERTIES: Final[dict[Characteristic.Properties, CharacteristicPropertyName]] = {
    Characteristic.Properties.BROADCAST: "broadcast",
    Characteristic.Properties.READ: "read",
    Characteristic.Properties.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Characteristic.Properties.WRITE: "write",
    Characteristic.Properties.NOTIFY: "notify",
    Characteristic.Properties.INDICATE: "indicate",
    Characteristic.Properties.AUTHENTICATED_SIGNED_WRITES: "authenticated-signed-writes",
    Characteristic.Properties.EXTENDED_PROPERTIES: "extended-properties",
}


async def discover(att: AttClient, only: set[str] | None) -> BleakGATTServiceCollection:
    """All primary services, or those whose UUIDs are in `only`, with all that is in them.

    A handle is the one that is read and written: a characteristic's is that of its value.
    """
    found = BleakGATTServiceCollection()
    for proxy in await att.discover_services():
        if only is None or text_of(proxy.uuid) in only:
            service = BleakGATTService(proxy, proxy.handle, text_of(proxy.uuid))
            found.add_service(service)
            await _discover_characteristics(att, proxy, service, found)
    return found


async def _discover_characteristics(
    att: AttClient, proxy: ServiceProxy, service: BleakGATTService, found: BleakGATTServiceCollection
) -> None:
    for item in await att.discover_characteristics((), proxy):
        characteristic = BleakGATTCharacteristic(
            item,
            item.handle,
            text_of(item.uuid),
            properties_of(item),
            lambda: longest_command(att),
            service,
        )
        found.add_characteristic(characteristic)
        for descriptor in await att.discover_descriptors(item):
            found.add_descriptor(
                BleakGATTDescriptor(descriptor, descriptor.handle, text_of(descriptor.type), characteristic)
            )


def longest_command(att: AttClient) -> int:
    """How many bytes fit into a write without response."""
    return min(att.mtu - WRITE_OVERHEAD, VALUE_MAX)


def properties_of(item: "CharacteristicProxy[bytes]") -> list[CharacteristicPropertyName]:
    """The names that bleak uses."""
    return [name for bit, name in _PROPERTIES.items() if bit in item.properties]


def text_of(uuid: UUID) -> str:
    """A UUID of Bumble's as bleak writes it."""
    return uuid_text(uuid.to_bytes())
