"""What differs from one operating system to the next, all of it here: names of errors, addresses, sizes, threads.

Only Linux's side could be tried; the others are built from bleak's sources for them. bleak is loaded when it is used.
"""

import asyncio
import re
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dermalink.errors import (
    BluetoothForbidden,
    BluetoothOff,
    CannotOpen,
    LinkError,
    LinkLost,
    NoBluetooth,
    NoRadio,
    NoSuchPen,
    PairingRefused,
)
from dermalink.links.ble_calls import CallCancelled
from dermalink_protocol.channels import AttError
from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.limits import BOND_WINDOW_MS
from dermalink_protocol.segmentation import ATT_HEADER_BYTES, ATT_MTU_MAX, ATT_MTU_MIN

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice

# A Bluetooth address, as Linux and Windows have it, and the UUID that macOS has in its place.
MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

PRESS_AND_AGAIN: Final = (
    f"press the pen's button once, with no session open; then the same again, within {BOND_WINDOW_MS // 1_000} s"
)
SWITCH_ON: Final = {
    "linux": "Switch it on: `bluetoothctl power on`, and `rfkill unblock bluetooth` if that is refused",
    "darwin": "Switch it on: System Settings, Bluetooth",
    "win32": "Switch it on: Settings, Bluetooth & devices",
}
ALLOW: Final = {
    "linux": "Let your user talk to BlueZ over D-Bus: a session at this computer or the group `bluetooth`",
    "darwin": "Allow it: System Settings, Privacy & Security, Bluetooth; tick the program that you started this from",
    "win32": "Allow it: Settings, Privacy & security, Radios (let desktop apps control them)",
}
GET_ONE: Final = {
    "linux": "Plug a Bluetooth adapter in, see that BlueZ runs (`systemctl status bluetooth`), or use the USB cable",
    "darwin": "Use a Mac with Bluetooth Low Energy, or the pen's USB cable",
    "win32": "Plug a Bluetooth adapter in and see that its driver runs, or use the pen's USB cable",
}
FORGET: Final = {
    "linux": "Let both forget each other: `bluetoothctl remove ADDRESS`; then connect again, with the pen at hand",
    "darwin": "If System Settings, Bluetooth lists the pen, forget it there; switch Bluetooth off and on; connect",
    "win32": "Remove the pen in Settings, Bluetooth & devices; then connect again, with the pen at hand",
}
BOND_ANEW: Final = {
    "linux": "If `bluetoothctl devices` lists the pen, let this computer forget it (`bluetoothctl remove ADDRESS`);"
    f" {PRESS_AND_AGAIN}",
    "darwin": "If System Settings, Bluetooth lists the pen, forget it there;"
    f" {PRESS_AND_AGAIN}, and say yes to what the system asks",
    "win32": f"If Settings, Bluetooth & devices lists the pen, remove it there; {PRESS_AND_AGAIN}",
}
FORGET_HERE: Final = {
    "linux": "If `bluetoothctl devices` still lists the pen: `bluetoothctl remove ADDRESS`",
    "darwin": "If System Settings, Bluetooth lists the pen, forget it there",
    "win32": "If Settings, Bluetooth & devices lists the pen, remove it there",
}
RESTART: Final = {
    "linux": "Restart BlueZ: `sudo systemctl restart bluetooth`; `dermalink doctor` looks closer",
    "darwin": "Answer the system's question about Bluetooth, if it asks one; else switch Bluetooth off and on",
    "win32": "Switch Bluetooth off and on: Settings, Bluetooth & devices",
}
NEARER: Final = "Check that the pen is on and near, and that nothing else is connected to it"
AGAIN: Final = "Check that the pen is on and near, then connect again"

# D-Bus names, of the bus itself and of BlueZ (doc/org.bluez.Adapter.rst, org.bluez.Device.rst).
NOT_RUNNING: Final = ("ServiceUnknown", "NameHasNoOwner", "NoServer", "Spawn.ServiceNotFound")
FORBIDDEN: Final = ("AccessDenied", "AuthFailed", "NotAuthorized")
GONE: Final = ("UnknownObject", "UnknownMethod", "UnknownInterface", "DoesNotExist", "NotAvailable")
PAIRING: Final = ("AuthenticationFailed", "AuthenticationRejected", "AuthenticationCanceled", "AuthenticationTimeout")
# Where a bond is asked for before anything is refused. BlueZ's own answer to a refusal was measured: with no pairing
# agent it never returns, and a bond that the pen refuses is asked for again, twice a second for 45 s. Asked outright it
# takes one no for an answer, and is content with what is bonded already.
PAIRS_FIRST: Final = ("linux",)
# CoreBluetooth has only words for a subscription that was refused (CBATTErrorDomain 5 and 15, CBErrorDomain 14 and 15).
INSUFFICIENT: Final = (
    "Authentication is insufficient",
    "Encryption is insufficient",
    "Peer removed pairing information",
    "Failed to encrypt",
)
SECURITY_CODES: Final = (0x05, 0x08, 0x0C, 0x0F)  # ATT: authentication, authorization, key size, encryption

ATT_WORDS: Final[dict[int, str]] = {
    0x03: "it may not be written",
    0x0D: "the value's length is wrong",
    0x0E: "something unlikely went wrong",
    AttError.CRC: "its checksum is wrong",
    AttError.COUNTER: "its segments do not follow each other; something else may be writing as well",
    AttError.CCCD_IMPROPERLY_CONFIGURED: "this host is not subscribed",
    AttError.IN_PROGRESS: "another procedure is in progress",
    AttError.OUT_OF_RANGE: "it is out of range",
}


class Said(NamedTuple):
    """What an error of bleak or of the system means: which kind it is when a link is opened, and in words."""

    kind: type[CannotOpen]
    limit: str
    advice: str


def advice_for(table: dict[str, str], system: str = sys.platform) -> str:
    """The advice for this operating system; another Unix gets Linux's."""
    return table.get(system, table["linux"])


def is_address(text: str) -> bool:
    """Whether it is an address: six octets, or macOS's UUID."""
    return MAC.fullmatch(text) is not None or UUID.fullmatch(text) is not None


def meaning(error: BaseException, system: str = sys.platform) -> Said:
    """What `error` means, whatever raised it."""
    from bleak.exc import BleakBluetoothNotAvailableError, BleakDeviceNotFoundError, BleakGATTProtocolError

    if isinstance(error, BleakBluetoothNotAvailableError):
        return _not_available(error.reason.name, str(error.args[0]), system)
    if isinstance(error, BleakGATTProtocolError):
        return _att(int(error.code), system)
    if isinstance(error, BleakDeviceNotFoundError):
        return Said(NoSuchPen, "it is not there any more", NEARER)
    if isinstance(error, DermalinkError):  # a radio of another package's, which has its own words
        return Said(CannotOpen, error.limit or error.refused, error.advice or NEARER)
    name = dbus_name(error)
    if name:
        return _dbus(name, error, system)
    if isinstance(error, TimeoutError):
        return Said(CannotOpen, str(error) or "there was no answer in time", NEARER)
    if isinstance(error, CallCancelled):
        return Said(CannotOpen, "it ended while it was in use", AGAIN)
    if isinstance(error, PermissionError):
        return Said(BluetoothForbidden, f"the system does not allow it: {error}", advice_for(ALLOW, system))
    if isinstance(error, FileNotFoundError | ConnectionRefusedError) and system not in ("win32", "darwin"):
        return Said(NoBluetooth, f"there is no D-Bus to reach BlueZ by: {error}", advice_for(GET_ONE, system))
    if isinstance(error, EOFError | ConnectionError):
        return Said(NoBluetooth, "the system's Bluetooth service ended", advice_for(GET_ONE, system))
    if isinstance(error, ImportError | NotImplementedError):
        return Said(NoBluetooth, f"bleak has nothing for this system: {error}", advice_for(GET_ONE, system))
    return _plain(error, system)


def dbus_name(error: BaseException) -> str:
    """A D-Bus error's name without its domain; "" for what is none. dbus-fast's own reach us raw as well."""
    name = getattr(error, "dbus_error", None) or getattr(error, "type", None)
    text = str(getattr(name, "value", name) or "")
    for domain in ("org.freedesktop.DBus.Error.", "org.bluez.Error."):
        if text.startswith(domain):
            return text.removeprefix(domain)
    return ""


def is_busy(error: BaseException) -> bool:
    """Whether trying the same again shortly is right: a procedure of the pen's, or BlueZ's own, is under way."""
    from bleak.exc import BleakGATTProtocolError

    if isinstance(error, BleakGATTProtocolError):
        return int(error.code) == AttError.IN_PROGRESS
    return dbus_name(error) == "InProgress"


def is_refusal(error: BaseException) -> bool:
    """Whether the pen itself refused, over a link that lives."""
    from bleak.exc import BleakGATTProtocolError

    return isinstance(error, BleakGATTProtocolError)


def wants_bond(error: BaseException) -> bool:
    """Whether it says that the link is not encrypted, or that there is no bond to encrypt it with."""
    return not isinstance(error, LinkError) and meaning(error).kind is PairingRefused


def opening_error(error: BaseException, what: str) -> LinkError:
    """Our error for what went wrong while `what` was opened."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, DermalinkError):
        return CannotOpen(error.refused, rule=error.rule, limit=error.limit, advice=error.advice)
    said, brought = meaning(error), error.__cause__
    if issubclass(said.kind, NoBluetooth) and isinstance(brought, DermalinkError):  # a radio of another package's
        return NoRadio(brought.refused, rule=brought.rule, limit=brought.limit, advice=brought.advice)
    return said.kind(f"{what} cannot be opened", limit=said.limit, advice=said.advice)


def lost_error(error: BaseException, url: str) -> LinkError:
    """Our error for what went wrong on a link that was open."""
    if isinstance(error, LinkError):
        return error
    said = meaning(error)
    advice = AGAIN if said.kind in (CannotOpen, NoSuchPen) else said.advice
    return LinkLost(f"The connection to {url} is gone", limit=said.limit, advice=advice)


def _not_available(reason: str, words: str, system: str) -> Said:
    if reason == "POWERED_OFF":
        return Said(BluetoothOff, "Bluetooth is switched off", advice_for(SWITCH_ON, system))
    if reason.startswith("DENIED"):
        return Said(BluetoothForbidden, f"the system does not allow it: {words}", advice_for(ALLOW, system))
    if reason == "NO_BLE_CENTRAL_ROLE":
        return Said(
            NoBluetooth, "this adapter cannot do Bluetooth Low Energy as a central", advice_for(GET_ONE, system)
        )
    if reason == "NO_BLUETOOTH":
        return Said(NoBluetooth, "this computer has no Bluetooth adapter", advice_for(GET_ONE, system))
    return Said(NoBluetooth, f"Bluetooth is not available: {words}", advice_for(GET_ONE, system))


def _att(code: int, system: str) -> Said:
    from bleak.exc import PROTOCOL_ERROR_CODES

    words = ATT_WORDS.get(code) or PROTOCOL_ERROR_CODES.get(code, "unknown").lower()
    limit = f"the pen refused with ATT error 0x{code:02X}: {words}"
    if code in SECURITY_CODES:
        return Said(PairingRefused, limit, advice_for(FORGET, system))
    return Said(CannotOpen, limit, AGAIN)


def _dbus(name: str, error: BaseException, system: str) -> Said:
    if name in NOT_RUNNING:
        return Said(NoBluetooth, "BlueZ is not running", advice_for(GET_ONE, system))
    if name in FORBIDDEN:
        return Said(BluetoothForbidden, f"D-Bus does not allow it: {error}", advice_for(ALLOW, system))
    if name in PAIRING or "Not paired" in str(error):  # BlueZ's NotPermitted is this as well
        return Said(PairingRefused, f"pairing came to nothing ({name})", advice_for(FORGET, system))
    if name == "NotReady":
        return Said(BluetoothOff, "Bluetooth is switched off", advice_for(SWITCH_ON, system))
    if name in GONE:
        return Said(NoBluetooth, "the Bluetooth adapter, or the pen on it, has vanished", advice_for(GET_ONE, system))
    if name == "InProgress":
        return Said(CannotOpen, "the Bluetooth adapter is busy", "Try again in a few seconds")
    return Said(CannotOpen, f"BlueZ says {error}", NEARER)


def _plain(error: BaseException, system: str) -> Said:
    """bleak's errors that have only words, and whatever else comes out of it."""
    text = str(error) or type(error).__name__
    if "turned on" in text:
        return Said(BluetoothOff, text, advice_for(SWITCH_ON, system))
    if "requires BlueZ" in text:
        return Said(NoBluetooth, text, "Update BlueZ")
    if any(words in text for words in INSUFFICIENT):
        return Said(PairingRefused, f"the system says {text}", advice_for(FORGET, system))
    if "Access Denied" in text:  # Windows: a service that another program holds, or one that wants pairing first
        return Said(PairingRefused, f"the system says {text}", advice_for(FORGET, system))
    if "Service Discovery has not been performed yet" in text or "ot connected" in text or "disconnected" in text:
        return Said(CannotOpen, "the connection ended", AGAIN)
    return Said(CannotOpen, f"bleak says {text}", NEARER)


def value_bytes(characteristic: "BleakGATTCharacteristic") -> int:
    """Bytes that one value may have on it; BlueZ before 5.62 says 20 whatever was agreed, and `mtu_size` 23 always."""
    least, most = ATT_MTU_MIN - ATT_HEADER_BYTES, ATT_MTU_MAX - ATT_HEADER_BYTES
    try:
        said = int(characteristic.max_write_without_response_size)
    except Exception:  # noqa: BLE001  (a backend that does not know; what always fits is never wrong)
        return least
    return max(least, min(said, most))


def client_options(system: str = sys.platform) -> dict[str, Any]:
    """What bleak is told about the system's own stack: Windows keeps tables of pens whose firmware has changed."""
    return {"winrt": {"use_cached_services": False}} if system == "win32" else {}


def on_loop(loop: asyncio.AbstractEventLoop, take: Callable[..., None]) -> Callable[..., None]:
    """`take`, called on `loop` from whichever thread: Windows calls back on threads of its own."""
    home = threading.get_ident()

    def hop(*args: object) -> None:
        if threading.get_ident() == home:
            take(*args)
        elif not loop.is_closed():
            try:
                loop.call_soon_threadsafe(take, *args)
            except RuntimeError:  # the loop closed in between: nobody listens any more
                return

    return hop


async def held_devices(service_uuid: str) -> "list[BLEDevice]":
    """Devices with this service that the system is connected to already, and which advertise no more for that."""
    try:
        from bleak import BleakAdapter

        adapter = await BleakAdapter.get()
        return await adapter.get_connected_devices([service_uuid])
    except Exception:  # noqa: BLE001  (a help to a person, never a reason to fail; older systems have no such list)
        return []
