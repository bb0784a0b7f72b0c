"""A link over BLE to a device in the test's hand, on a computer that behaves as BlueZ does."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from unittest.mock import patch

from dermalink.links import ble
from dermalink.links.ble_link import BleLink
from dermalink.links.open import open_link
from tests.air.host.fake_bleak import Computer, FakeClient, Peripheral


@contextlib.contextmanager
def using(computer: Computer) -> Iterator[None]:
    """While it holds, every `ble:` URL goes by this computer."""
    with patch.object(ble, "radio_of", lambda _option: computer.radio()):
        yield


async def opened(computer: Computer, wanted: str = "", *, within_s: float | None = None) -> BleLink:
    """A link to the computer's first device, or to the one that is wanted."""
    with using(computer):
        link = await open_link(f"ble:{wanted or computer.peripherals[0].serial_number}", within_s=within_s)
    assert isinstance(link, BleLink)
    return link


class Bench:
    """One device, the computer, and a link that was opened to it."""

    def __init__(self, computer: Computer, link: BleLink) -> None:
        self.computer, self.link = computer, link
        self.device: Peripheral = computer.peripherals[0]

    @property
    def client(self) -> FakeClient:
        """The newest client."""
        return self.computer.clients[-1]


@contextlib.asynccontextmanager
async def bench(device: Peripheral | None = None) -> AsyncIterator[Bench]:
    """See `Bench`; the link is closed at the end."""
    computer = Computer(device or Peripheral())
    link = await opened(computer)
    try:
        await link.secure(pairs=False)
        yield Bench(computer, link)
    finally:
        await link.close()
