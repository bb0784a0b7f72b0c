"""`serial:` with a port's name or any URL that pyserial takes.

Where the port has a descriptor and the system is POSIX, the event loop reads and writes it (1.9 x a bare C round trip;
polling every 5 ms costs 92 x); else a reader and a writer thread do.
"""

import asyncio
from typing import Final
from urllib.parse import parse_qs

from dermalink.errors import BadUrl
from dermalink.links.background import in_thread
from dermalink.links.link import BytePipe
from dermalink.links.serial_port import descriptor, open_port

# A usual rate of UART bridges; a CDC port ignores it. 100 samples a second in batches of ten are about 1 kB/s.
BAUD_DEFAULT: Final = 115_200


def split_options(rest: str) -> tuple[str, int]:
    """Port and baud rate of what stands behind `serial:`; a pyserial URL keeps its own options. Raises `BadUrl`."""
    if not rest:
        raise BadUrl("serial: was refused", limit="it names no port", advice="Write serial:/dev/ttyACM0 or serial:COM3")
    if "://" in rest:
        return rest, BAUD_DEFAULT
    port, mark, query = rest.partition("?")
    if not mark:
        return port, BAUD_DEFAULT
    options = parse_qs(query, keep_blank_values=True)
    baud = options.pop("baud", [""])
    if options or len(baud) != 1 or not (baud[0].isascii() and baud[0].isdigit() and int(baud[0]) > 0):
        raise BadUrl(f"serial:{rest} was refused", limit="the only option is ?baud=115200")
    return port, int(baud[0])


async def open_pipe(rest: str) -> BytePipe:
    """Open the port, exclusively, with DTR and RTS low; raises `BadUrl`, `NoSuchPort`, `PortBusy`, `PortForbidden`."""
    name, baud = split_options(rest)
    port = await in_thread(lambda: open_port(name, baud), "open serial port")
    number = None if name.startswith("spy://") else descriptor(port)
    if number is None:
        from dermalink.links.serial_threads import ThreadPipe

        return ThreadPipe(port, asyncio.get_running_loop())
    from dermalink.links.serial_descriptor import DescriptorPipe

    return DescriptorPipe(port, number, asyncio.get_running_loop())
