"""bleak's two backends on a Bumble radio, for anybody's bleak code: no adapter, no operating system's Bluetooth.

Client, Scanner = backends("tcp-client:127.0.0.1:9000")
device = await BleakScanner.find_device_by_name("Pen", backend=Scanner)
async with BleakClient(device, backend=Client) as client: ...
"""

from functools import cache
from typing import TYPE_CHECKING

from dermalink_simulator.radio.errors import BumbleMissing

if TYPE_CHECKING:
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.scanner import BaseBleakScanner


@cache
def backends(spec: str) -> "tuple[type[BaseBleakClient], type[BaseBleakScanner]]":
    """The client and the scanner of the radio `spec`: the same two types each time, which share one adapter.

    Raises `BadRadioSpec` or `BumbleMissing`; whether the radio is there shows when it is first used.
    """
    from dermalink_simulator.radio.bleak_options import read_options

    radio = read_options(spec)
    try:
        import bumble  # noqa: F401
    except ImportError:
        raise BumbleMissing from None
    from dermalink_simulator.radio.bleak_client import BumbleBleakClient
    from dermalink_simulator.radio.bleak_scanner import BumbleBleakScanner

    shared: dict[str, object] = {"radio": radio, "__module__": __name__}
    return (
        type("BleakClientBumble", (BumbleBleakClient,), {**shared, "__doc__": BumbleBleakClient.__doc__}),
        type("BleakScannerBumble", (BumbleBleakScanner,), {**shared, "__doc__": BumbleBleakScanner.__doc__}),
    )
