"""Why an adapter or a dongle can't be taken over, in words: what holds it, and what to type.

Pen and host need the whole adapter, which on Linux the system's own Bluetooth service has by default. Each table goes
by what the system, libusb or Bumble says; what is in none of them is said as it came.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from dermalink_simulator.radio.errors import NoSuchRadio

IS_IT_THERE: Final = "Is it plugged in or being served, and may this user open it?"
OTHERS: Final = "Use usb:0, or a radio in software: serve a pen by tcp-server:127.0.0.1:7323"
STOP_BLUEZ: Final = "Run: sudo systemctl stop bluetooth, then: sudo hciconfig {} down"
# Of `hci-socket:N`, by errno (Linux, net/bluetooth/hci_sock.c: the user channel takes an adapter that is down).
SOCKET: Final = {
    errno.EBUSY: ("{} is held by bluetoothd, or is up", STOP_BLUEZ),
    errno.EALREADY: ("{} is held by bluetoothd, or is up", STOP_BLUEZ),
    errno.EUSERS: ("another program has {} for itself", "End that program"),
    errno.EPERM: ("only who has CAP_NET_ADMIN may take {} for itself", "Run it as root"),
    errno.EACCES: ("only who has CAP_NET_ADMIN may take {} for itself", "Run it as root"),
    errno.ENODEV: ("there is no adapter {}", "Run hciconfig -a to see which there are"),
    errno.EAFNOSUPPORT: ("this kernel has no Bluetooth", OTHERS),
}
# Of `usb:N`, by the name of libusb's error.
USB: Final = {
    "USBErrorAccess": ("this user may not open that USB device", "Give yourself a udev rule for it, or run it as root"),
    "USBErrorBusy": ("the kernel's driver or another program holds that USB device", STOP_BLUEZ.format("hci0")),
    "USBErrorNoDevice": ("the USB device was pulled out", "Plug it in"),
    "USBErrorNotFound": ("there is no such USB device", "Plug it in, or count again: the first is usb:0"),
    "USBErrorOther": ("this system shows no USB devices", "Is this a container? Give it /dev/bus/usb"),
}
# By what Bumble says.
SAID: Final = {
    "device not found": ("there is no such USB device", "Plug it in, or count again: the first is usb:0"),
    "no compatible interface": (
        "that USB device is no Bluetooth controller",
        "Name another one: usb:1, or usb:VID:PID",
    ),
    "HCI sockets not supported": (
        "this system's Python has no Bluetooth sockets",
        OTHERS,
    ),
    "No backend available": ("libusb is missing", 'Run: pip install "dermalink[simulator]", and use usb:0'),
    "No module named 'grpc'": ("it needs grpcio", "Run: pip install grpcio protobuf"),
}


def must_be_a_device(path: str) -> None:
    """Raise `NoSuchRadio` for what holds data, where a `file:` must be what a controller writes to while it is read.

    One that is not there is left to whoever opens it.
    """
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return
    if not any(is_one(mode) for is_one in (stat.S_ISCHR, stat.S_ISFIFO, stat.S_ISSOCK)):
        raise NoSuchRadio(
            f"The radio {f'file:{path}'!r} was not opened",
            limit=f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'a file that holds data'}, no device",
            advice="Name a device, as in file:/dev/vhci",
        )


def not_opened(spec: str, cause: Exception) -> NoSuchRadio:
    """The error for a radio that is well named and was not opened, with what is known about the cause."""
    known = _known(spec, cause)
    if known is None:
        return NoSuchRadio(f"The radio {spec!r} can't be opened", limit=_words(cause), advice=IS_IT_THERE)
    name = f"hci{spec.partition(':')[2] or 0}"
    return NoSuchRadio(f"The radio {spec!r} was not opened", limit=known[0].format(name), advice=known[1].format(name))


def _known(spec: str, cause: Exception) -> tuple[str, str] | None:
    known = USB.get(type(cause).__name__)
    if known is None and isinstance(cause, OSError) and spec.startswith("hci-socket"):
        known = SOCKET.get(cause.errno or 0)
    return known or next((words for said, words in SAID.items() if said in str(cause)), None)


def _words(error: Exception) -> str:
    """What the system says, without what a library puts around it; else what the library says."""
    said = error.strerror if isinstance(error, OSError) else None
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        said = os.strerror(error.errno or 0)
    return (said or str(error) or type(error).__name__).rstrip(".")
