"""Opening and closing pyserial's object, and what keeps a port from opening."""

import contextlib
import errno
import os
import sys
from typing import Any, Final

import serial

from dermalink.errors import BadUrl, CannotOpen, LinkError, NoSuchPort, PortBusy, PortForbidden

ADVICE_FORBIDDEN: Final = "On Linux: sudo usermod -a -G dialout $USER, then log in again; `dermalink doctor` says more"


def descriptor(port: Any) -> int | None:
    """The descriptor that an event loop can watch, where there is one."""
    if sys.platform == "win32":
        return None
    try:
        number = port.fileno()
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return None
    return int(number)


def open_port(name: str, baud: int) -> Any:
    """pyserial's object, open and ours alone; lines are set low before: opening raises them and resets boards.

    Raises `BadUrl` or a `CannotOpen`.
    """
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
    number = descriptor(port)
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
        return PortForbidden(refused, limit="this user may not open the port", advice=ADVICE_FORBIDDEN)
    gone = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO}
    if number in gone or "FileNotFoundError(2" in text or "Connection refused" in text:
        advice = "Check cable and name: `dermalink scan` lists ports"
        return NoSuchPort(refused, limit="nothing is there", advice=advice)
    return CannotOpen(refused, limit=text, advice="`dermalink doctor` says more")
