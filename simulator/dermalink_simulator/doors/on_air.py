"""A running pen on an air of this process: hosts in the same process reach it by a `ble:` URL, over all of Bluetooth.

No socket, no adapter, no thread: everything waits for nothing but the loop's time, so it may be virtual. With the
same seeds and the same doings at the same times, every run of the pen, its skin and what its hosts are told is the
same; what isn't is only what nobody decides by: the keys of Bluetooth's own pairing are drawn from the system, and
bleak's adapter has an address that belongs to its process unless `address=` gives it one.
"""

import contextlib
from collections.abc import AsyncIterator
from itertools import count
from typing import Final

from dermalink_simulator.pen import SimulatedPen, serial_number
from dermalink_simulator.radio.spaces import is_published
from dermalink_simulator.radio.transports import must_have_bumble
from dermalink_simulator.runner import PenRunner

AIR_DEFAULT: Final = "room"


class OnAir:
    """Where a pen on an air of this process is found."""

    def __init__(self, serial: str, name: str) -> None:
        """Made by `on_air`."""
        self.serial, self.name = serial, name

    @property
    def url(self) -> str:
        """What a host in this process opens."""
        return f"ble:{self.serial}?radio=air:{self.name}"

    def url_of(self, host: str, **options: object) -> str:
        """The same for a host with an adapter of its own, as on a second computer; `options` are its radio's.

        One adapter has one connection to the pen. `host` is a label; `interval=7.5`, `supervision=4000`, `mtu=23`,
        `latency=0` and `address=` are options (`radio/bleak_options.py`).
        """
        inside = ",".join(f"{name}={value}" for name, value in {"host": host, **options}.items())
        return f"ble:{self.serial}?radio=air:[{inside}]{self.name}"


@contextlib.asynccontextmanager
async def on_air(
    runner: PenRunner, pen: SimulatedPen, *, air: str = AIR_DEFAULT, name: str = ""
) -> AsyncIterator[OnAir]:
    """Put the pen that `runner` runs on an air of that profile ("room", "perfect") until the end of the `async with`.

    Faults of unit `air` are possible meanwhile. Raises a `RadioError` for a profile or a name that can't be.
    """
    must_have_bumble()
    from dermalink_simulator.doors.ble import BleDoor  # a third of a second, for whoever uses it

    serial = serial_number(pen.seed)
    name = name or _free_name(serial)
    door = await BleDoor.open(runner, f"air:{name}", serial_number=serial, seed=pen.seed, air=air)
    try:
        yield OnAir(serial, name)
    finally:
        await door.close()


def _free_name(serial: str) -> str:
    """The serial number, or with a number behind it where another pen of this process has the same."""
    names = (serial if number == 1 else f"{serial}-{number}" for number in count(1))
    return next(name for name in names if not is_published(name))
