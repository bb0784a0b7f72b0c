"""What one scanner has heard: which pens, under which addresses, and which of them cannot be one and the same.

A pen's address may change, as privacy has it, and its serial number tells that it is the same one. An address that is
left is never heard again, though: two that are heard by turns are two devices, and one of them copies the other.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from dermalink.links.ble_platform import is_address
from dermalink.links.ble_radio import Radio
from dermalink_protocol.advertising import advertised_serial

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData


class Seen(NamedTuple):
    """A pen that was heard: what it says of itself, where it is, how strongly it came in, and bleak's own object.

    One that is `doubled` shares its serial number with another device, so that only its address leads to it.
    """

    name: str
    serial_number: str
    address: str
    rssi: int
    device: "BLEDevice"
    doubled: bool = False

    def url(self, radio: Radio) -> str:
        """The URL that leads to this very pen by this radio."""
        option = f"?radio={quote(radio.spec, safe=':/,.@[]')}" if radio.spec else ""
        return f"ble:{quote((not self.doubled and self.serial_number) or self.address, safe=':')}{option}"


class Heard:
    """Each address once, in the order in which they were heard last."""

    def __init__(self) -> None:
        self._by_address: Final[dict[str, Seen]] = {}
        self._first_s: Final[dict[str, float]] = {}
        self._doubled: Final[set[str]] = set()  # serial numbers, in one case, for they are asked for in any

    def take(self, device: "BLEDevice", said: "AdvertisementData", now_s: float) -> None:
        """Only take note. The name is in another packet than the service, so one that was known is kept."""
        address = device.address
        before = self._by_address.get(address)
        name = printable(said.local_name or device.name) or (before.name if before else "")
        seen = Seen(name, advertised_serial(name), address, said.rssi, device)
        if before is not None and seen.serial_number:
            self._note_doubled(seen)
        self._by_address.pop(address, None)
        self._by_address[address] = seen
        self._first_s.setdefault(address, now_s)

    def _note_doubled(self, again: Seen) -> None:
        """Whatever comes behind it was heard since it was heard last: it has not left this address for that one."""
        serial_number = again.serial_number.casefold()
        for other in reversed(self._by_address.values()):
            if other.address == again.address:
                return
            if other.serial_number.casefold() == serial_number:
                self._doubled.add(serial_number)
                return

    def addresses(self) -> list[Seen]:
        """Each address, the one that was heard last at the end."""
        return [
            seen._replace(doubled=seen.serial_number.casefold() in self._doubled) for seen in self._by_address.values()
        ]

    def pens(self) -> list[Seen]:
        """Each pen once: one that changed its address under the newest one, those that are doubled under each."""
        pens: dict[str, Seen] = {}
        for seen in self.addresses():
            key = seen.address if seen.doubled else seen.serial_number or seen.address
            pens.pop(key, None)
            pens[key] = seen
        return list(pens.values())

    def newest_s(self, seen: Iterable[Seen]) -> float:
        """When the one that came last of these was heard first."""
        return max(self._first_s[each.address] for each in seen)


def meant(seen: Iterable[Seen], wanted: str) -> list[Seen]:
    """Those that `wanted` may mean: an address, else a serial number in any case, else a name as it is written."""
    fold = wanted.casefold()
    if is_address(wanted):
        return [each for each in seen if each.address.casefold() == fold]
    seen = list(seen)
    by_serial = [
        each for each in seen if each.serial_number and (each.serial_number.casefold() == fold or each.name == wanted)
    ]
    return by_serial or [each for each in seen if each.name == wanted]


def printable(name: str | None) -> str:
    """A name from the air, which anybody may have sent, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in name or "")
