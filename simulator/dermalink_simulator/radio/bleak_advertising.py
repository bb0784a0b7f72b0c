"""What a device says of itself: advertisement and scan response taken apart and put together for bleak."""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from bleak.assigned_numbers import AdvertisementDataType as AdType
from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_16, normalize_uuid_32
from bumble import hci

NO_RSSI: Final = 127  # Core 5.4, Vol 4, Part E, 7.7.65.2: the controller does not know
RSSI_UNKNOWN: Final = -127  # what bleak's BlueZ backend says then

_UUID_LISTS: Final = {
    AdType.INCOMPLETE_LIST_SERVICE_UUID16: 2,
    AdType.COMPLETE_LIST_SERVICE_UUID16: 2,
    AdType.INCOMPLETE_LIST_SERVICE_UUID32: 4,
    AdType.COMPLETE_LIST_SERVICE_UUID32: 4,
    AdType.INCOMPLETE_LIST_SERVICE_UUID128: 16,
    AdType.COMPLETE_LIST_SERVICE_UUID128: 16,
}
_SERVICE_DATA: Final = {
    AdType.SERVICE_DATA_UUID16: 2,
    AdType.SERVICE_DATA_UUID32: 4,
    AdType.SERVICE_DATA_UUID128: 16,
}


@dataclass(frozen=True)
class Report:
    """One whole advertisement, or one whole scan response, of the device at `address`."""

    address: hci.Address
    data: bytes
    rssi: int
    is_scan_response: bool

    @property
    def address_text(self) -> str:
        """The address as bleak writes it."""
        return self.address.to_string(with_type_qualifier=False)


class Reassembler:
    """A long (extended) advertisement comes in parts: gives each report back once it is whole."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], bytes] = {}

    def take(
        self, report: hci.HCI_LE_Advertising_Report_Event.Report | hci.HCI_LE_Extended_Advertising_Report_Event.Report
    ) -> Report | None:
        """One report of the controller; None when more of it is to come."""
        rssi = RSSI_UNKNOWN if report.rssi == NO_RSSI else report.rssi
        if isinstance(report, hci.HCI_LE_Advertising_Report_Event.Report):
            response = report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP
            return Report(report.address, bytes(report.data), rssi, response)
        extended = hci.HCI_LE_Extended_Advertising_Report_Event
        key = (str(report.address), report.advertising_sid)
        data = self._parts.pop(key, b"") + report.data
        status = report.event_type >> 5 & 3
        if status == extended.DATA_INCOMPLETE_MORE_TO_COME and len(data) <= ADVERTISEMENT_MAX:
            self._parts[key] = data
            return None
        return Report(report.address, data, rssi, bool(report.event_type & extended.EventType.SCAN_RESPONSE))


ADVERTISEMENT_MAX: Final = 1_650  # Core 5.4, Vol 4, Part E, 7.8.54: the longest extended advertisement


@dataclass
class Spoken:
    """What one device has said since the scan began: the latest of each kind of data, as BlueZ puts it together."""

    local_name: str | None = None
    name_is_whole: bool = False
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    service_data: dict[str, bytes] = field(default_factory=dict)
    service_uuids: list[str] = field(default_factory=list)
    tx_power: int | None = None

    def hear(self, data: bytes) -> None:
        """Take in one advertisement or scan response; what is broken in it is left out."""
        for kind, value in structures(data):
            if kind in _UUID_LISTS:
                size = _UUID_LISTS[AdType(kind)]
                found = [uuid_text(value[at : at + size]) for at in range(0, len(value) - size + 1, size)]
                self.service_uuids += [uuid for uuid in found if uuid not in self.service_uuids]
            elif kind in _SERVICE_DATA and len(value) >= _SERVICE_DATA[AdType(kind)]:
                size = _SERVICE_DATA[AdType(kind)]
                self.service_data[uuid_text(value[:size])] = value[size:]
            elif kind == AdType.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:
                self.manufacturer_data[int.from_bytes(value[:2], "little")] = value[2:]
            elif kind == AdType.TX_POWER_LEVEL and len(value) == 1:
                self.tx_power = int.from_bytes(value, "little", signed=True)
            elif kind in (AdType.COMPLETE_LOCAL_NAME, AdType.SHORTENED_LOCAL_NAME):
                self._hear_name(value, whole=kind == AdType.COMPLETE_LOCAL_NAME)

    def _hear_name(self, value: bytes, *, whole: bool) -> None:
        if whole or not self.name_is_whole:
            self.local_name, self.name_is_whole = value.decode("utf-8", "replace"), whole

    def for_bleak(self, report: Report) -> AdvertisementData:
        """All of it, as bleak gives it to a user; a copy, which later advertisements don't change."""
        return AdvertisementData(
            local_name=self.local_name,
            manufacturer_data=dict(self.manufacturer_data),
            service_data=dict(self.service_data),
            service_uuids=list(self.service_uuids),
            tx_power=self.tx_power,
            rssi=report.rssi,
            platform_data=(report,),
        )


def structures(data: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each structure (Core 5.4, Vol 3, Part C, 11); ends at the first that is cut off or empty."""
    found = []
    at = 0
    while at < len(data):
        length = data[at]
        if length == 0 or at + 1 + length > len(data):
            break
        found.append((data[at + 1], data[at + 2 : at + 1 + length]))
        at += 1 + length
    return found


def uuid_text(little_endian: bytes) -> str:
    """A UUID of 2, 4 or 16 bytes as bleak writes it: 128 bits, lower case."""
    if len(little_endian) == 2:
        return normalize_uuid_16(int.from_bytes(little_endian, "little"))
    if len(little_endian) == 4:
        return normalize_uuid_32(int.from_bytes(little_endian, "little"))
    return str(UUID(bytes=little_endian[::-1]))
