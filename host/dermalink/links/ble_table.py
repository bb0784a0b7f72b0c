"""The table of characteristics that a pen shows, held against the contract's.

A system may keep an old table of a pen whose firmware has changed, and then reads and writes go to characteristics
that are others by now, and notifications end in silence. So the protocol version is read by the table as well.
"""

from typing import TYPE_CHECKING, Final

from dermalink.errors import ForeignTable
from dermalink.links.ble_platform import FORGET, advice_for
from dermalink_protocol.channels import (
    CHANNEL_RULES,
    DEVICE_INFORMATION,
    SERVICE_UUID,
    SOFTWARE_REVISION,
    Channel,
    Gatt,
)
from dermalink_protocol.limits import PROTOCOL_VERSION

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection

_ASSIGNED: Final = "0000{:04x}-0000-1000-8000-00805f9b34fb"  # Core, Vol 3, Part B, 2.5.1
PROTOCOL_VERSION_SERVICE: Final = _ASSIGNED.format(DEVICE_INFORMATION)
PROTOCOL_VERSION_UUID: Final = _ASSIGNED.format(SOFTWARE_REVISION)
NAMES: Final[dict[Gatt, str]] = {
    Gatt.READ: "read",
    Gatt.WRITE: "write",
    Gatt.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Gatt.INDICATE: "indicate",
    Gatt.NOTIFY: "notify",
}
Table = dict[Channel, "BleakGATTCharacteristic"]


def check_table(services: "BleakGATTServiceCollection", url: str) -> Table:
    """Each channel's characteristic; raises `ForeignTable` unless all are there and can do what they must."""
    ours = [service for service in services if service.uuid == str(SERVICE_UUID)]
    if len(ours) != 1:
        raise foreign(url, f"it has {len(ours) or 'no'} service{'s' if len(ours) > 1 else ''} of this contract")
    table: Table = {}
    faults = []
    for channel in Channel:
        found = _of_channel(ours[0], channel)
        if isinstance(found, str):
            faults.append(found)
        else:
            table[channel] = found
    if faults:
        raise foreign(url, "; ".join(faults))
    return table


def _of_channel(service: "BleakGATTService", channel: Channel) -> "BleakGATTCharacteristic | str":
    """Its characteristic, or what is wrong with it."""
    rule, name = CHANNEL_RULES[channel], channel.name.lower()
    found = [each for each in service.characteristics if each.uuid == str(rule.uuid)]
    if len(found) != 1:
        return f"{name} is there {len(found)} times" if found else f"{name} is missing"
    lacking = [word for gatt, word in NAMES.items() if gatt in rule.gatt and word not in found[0].properties]
    return f"{name} lacks {', '.join(lacking)}" if lacking else found[0]


def version_of(services: "BleakGATTServiceCollection") -> "BleakGATTCharacteristic | None":
    """The characteristic that tells the protocol version, if there is exactly one."""
    found = [each for each in services.characteristics.values() if each.uuid == PROTOCOL_VERSION_UUID]
    return found[0] if len(found) == 1 else None


def check_version(value: bytes, url: str) -> None:
    """Raise `ForeignTable` unless it is this host's protocol version: else the table is old, or the pen is another."""
    if value.rstrip(b"\0") != str(PROTOCOL_VERSION).encode():
        raise foreign(url, f"it says protocol version {value[:32]!r}, this host speaks {PROTOCOL_VERSION}")


def foreign(url: str, limit: str) -> ForeignTable:
    """The one error of this module."""
    advice = f"Update the older of the two. If the pen was updated lately: {advice_for(FORGET)}"
    return ForeignTable(f"{url}: its table of characteristics was refused", limit=limit, advice=advice)
