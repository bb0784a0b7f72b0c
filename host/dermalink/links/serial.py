"""`serial:` with a port's name or any URL that pyserial takes.

Where the port has a descriptor and the system is POSIX, the event loop reads and writes it (1.9 x a bare C round trip;
polling every 5 ms costs 92 x); else a reader and a writer thread do.
"""

import asyncio
import contextlib
import errno
import os
import sys
from typing import Any, Final
from urllib.parse import parse_qs

import serial

from dermalink.errors import BadUrl, CannotOpen, LinkError, NoSuchPort, PortBusy, PortForbidden
from dermalink.links.background import in_thread
from dermalink.links.link import BytePipe
from dermalink_protocol.limits import Limit

# 100 samples a second in batches of ten are about 1 kB/s with their frames: a tenth of what this rate carries.
BAUD_DEFAULT: Final = Limit(115_200, "SR-CMD-2", "usual rate of a CDC or UART bridge; a CDC port ignores it")
CLOSE_WITHIN_S: Final = 1.0  # pyserial's socket:// and rfc2217:// sleep 0.3 s in close(); a tty may drain for 30 s


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
    port, baud = split_options(rest)
    opened = await in_thread(lambda: open_port(port, baud), "open serial port")
    descriptor = None if port.startswith("spy://") else _descriptor(opened)
    if descriptor is None:
        from dermalink.links.serial_threads import ThreadPipe

        return ThreadPipe(opened, asyncio.get_running_loop())
    from dermalink.links.serial_descriptor import DescriptorPipe

    return DescriptorPipe(opened, descriptor, asyncio.get_running_loop())


def _descriptor(port: Any) -> int | None:
    """The descriptor that an event loop can watch, where there is one."""
    if sys.platform == "win32":
        return None
    try:
        number = port.fileno()
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return None
    return int(number)


def open_port(name: str, baud: int) -> Any:
    """pyserial's object, open and ours alone; lines are set low before: opening raises them and resets boards."""
    try:
        port = serial.serial_for_url(name, baudrate=baud, timeout=0, exclusive=True, do_not_open=True)
        port.dtr = port.rts = False
        port.open()
    except ValueError as error:
        raise BadUrl(f"serial:{name} was refused", limit=str(error)) from error
    except (OSError, serial.SerialException) as error:
        raise _opening_error(name, error) from error
    try:
        _claim(name, port)
    except LinkError:
        close_port(port)
        raise
    return port


def _claim(name: str, port: Any) -> None:
    """`exclusive` is only an advisory lock; TIOCEXCL keeps out those who do not ask for it as well."""
    number = _descriptor(port)
    if number is None or sys.platform == "win32" or not os.isatty(number):
        return
    import fcntl
    import termios

    try:
        fcntl.ioctl(number, termios.TIOCEXCL)
    except OSError as error:
        raise _opening_error(name, error) from error


def close_port(port: Any) -> None:
    """Close pyserial's object, whatever state it is in; may sleep, so it is called in a thread.

    pyserial 3.5's socket:// leaves its socket open when the far end hung up first (`shutdown` raises before `close`).
    """
    left_open = getattr(port, "_socket", None)
    with contextlib.suppress(OSError, serial.SerialException):  # hung up already
        port.close()
    if left_open is not None:
        left_open.close()


def _opening_error(name: str, error: Exception) -> CannotOpen:
    """What kept the port from opening, as a type of its own; `dermalink doctor` looks further."""
    number = getattr(error, "errno", None)
    text = str(error)
    refused = f"serial:{name} cannot be opened"
    if number in {errno.EAGAIN, errno.EBUSY} or "PermissionError(13" in text:
        return PortBusy(refused, limit="another program holds the port", advice="Close it; `dermalink doctor` names it")
    if number in {errno.EACCES, errno.EPERM}:
        advice = "On Linux: sudo usermod -a -G dialout $USER, then log in again; `dermalink doctor` says more"
        return PortForbidden(refused, limit="this user may not open the port", advice=advice)
    gone = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO}
    if number in gone or "FileNotFoundError(2" in text or "Connection refused" in text:
        return NoSuchPort(
            refused, limit="nothing is there", advice="Check cable and name: `dermalink scan` lists ports"
        )
    return CannotOpen(refused, limit=text, advice="`dermalink doctor` says more")
