"""Bluetooth on Linux: adapters and their switches in /sys, then BlueZ, asked over the system's D-Bus."""

import asyncio
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from dermalink.doctor.findings import Finding, ok, warning
from dermalink.links.background import in_thread

SYS: Final = Path("/sys")
ASK_WITHIN_S: Final = 3.0  # a bus that is there answers within milliseconds
VERSION_WITHIN_S: Final = 3.0
DEFAULT_BUS: Final = "unix:path=/var/run/dbus/system_bus_socket"  # the D-Bus specification's
OLDEST_BLUEZ: Final = (5, 55)  # what bleak asks for
BLUEZ: Final = "org.bluez"
GROUP: Final = "bluetooth"  # the one that Debian's and others' policy admits
ADAPTER: Final = "org.bluez.Adapter1"
DENIED: Final = ("org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.AuthFailed")
ABSENT: Final = ("org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner")
START_BLUEZ: Final = "Start it: sudo systemctl enable --now bluetooth. Not installed? It is the package bluez."

Bad = Callable[[str, str, str], Finding]


class Switch(NamedTuple):
    """A switch of the kernel (rfkill) that can hold a radio off; `hard` is one that only a hand can turn."""

    name: str
    soft: bool
    hard: bool


class Adapter(NamedTuple):
    """An adapter as BlueZ describes it."""

    name: str
    address: str
    powered: bool
    central: bool


class BusError(Exception):
    """The bus, or BlueZ behind it, said no; `name` is D-Bus's word for it."""

    def __init__(self, name: str, said: str) -> None:
        self.name: Final = name
        super().__init__(said)


async def check_linux(bad: Bad, tree: Path = SYS) -> list[Finding]:
    """All of it; what stands in the way is told by `bad`."""
    found = list(check_adapters(bad, tree))
    found += await check_bluez(bad)
    found.append(await in_thread(check_bluez_version, "ask bluetoothctl"))
    return found


def check_adapters(bad: Bad, tree: Path = SYS) -> Iterator[Finding]:
    """What the kernel has: adapters, and switches that hold them off."""
    adapters = [*kernel_adapters(tree)]
    blocked = [switch for switch in switches(tree) if switch.soft or switch.hard]
    for switch in blocked:
        if switch.hard:
            advice = "Turn on Bluetooth by the computer's own switch or key (often the one for flight mode)."
            yield bad("Bluetooth", f"{switch.name} is held off by a switch of the computer", advice)
        else:
            yield bad("Bluetooth", f"{switch.name} is switched off", "Switch it on: rfkill unblock bluetooth")
    if adapters:
        yield ok("adapters", ", ".join(adapters))
    elif blocked:
        yield bad("adapters", "none, perhaps because of the switch", "Turn the switch, and look again.")
    else:
        advice = "Plug a Bluetooth adapter in. In a container or virtual machine, hand it one of the computer's."
        yield bad("adapters", "the kernel has none", advice)


def kernel_adapters(tree: Path = SYS) -> Iterator[str]:
    """Adapters that the kernel lists, each with the bus that it hangs on."""
    for folder in sorted((tree / "class" / "bluetooth").glob("hci*")):
        if ":" in folder.name:  # a connection of hci0 is called hci0:64
            continue
        where = os.path.realpath(folder)
        bus = "USB" if "/usb" in where else "virtual" if "/virtual/" in where else ""
        yield f"{folder.name} ({bus})" if bus else folder.name


def switches(tree: Path = SYS) -> Iterator[Switch]:
    """The kernel's switches for Bluetooth; one that goes away while it is read is none."""
    for folder in sorted((tree / "class" / "rfkill").glob("rfkill*")):
        try:
            kind, name, soft, hard = (
                (folder / file).read_text(encoding="utf-8", errors="replace").strip()
                for file in ("type", "name", "soft", "hard")
            )
        except OSError:
            continue
        if kind == "bluetooth":
            yield Switch(name, soft == "1", hard == "1")


async def check_bluez(bad: Bad, within_s: float = ASK_WITHIN_S) -> list[Finding]:
    """Whether BlueZ is there, lets this user in, and has an adapter that is on."""
    refused = check_socket(bad)
    if refused is not None:
        return [refused]
    try:
        async with asyncio.timeout(within_s):
            adapters = await ask_bluez()
    except TimeoutError:
        advice = "Restart BlueZ: sudo systemctl restart bluetooth. If that does not help, restart the computer."
        return [bad("BlueZ", f"the system's D-Bus, or BlueZ on it, gave no answer within {within_s:g} s", advice)]
    except BusError as error:
        return [_bus_finding(bad, error)]
    except (OSError, EOFError) as error:
        advice = "Start D-Bus: sudo systemctl start dbus. In a container, hand it the computer's system bus."
        return [bad("D-Bus", f"the system's bus cannot be reached: {error}", advice)]
    except Exception as error:  # noqa: BLE001 (an answer that is none raises anything, and ends no other check)
        said = f"the answer was not understood: {type(error).__name__}: {error}"
        return [bad("BlueZ", said, "Restart BlueZ: sudo systemctl restart bluetooth, and update bleak.")]
    return [ok("BlueZ", "answers on the system's D-Bus"), *_judge(bad, adapters)]


def check_socket(bad: Bad) -> Finding | None:
    """What keeps this user from the system bus's socket; None when nothing does, or when it is no file."""
    path = bus_path()
    if path is None:
        return None
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except OSError as error:
        advice = "Start D-Bus: sudo systemctl start dbus. In a container, hand it /run/dbus of the computer."
        return bad("D-Bus", f"there is no system bus: {path}: {error.strerror}", advice)
    if not is_socket:
        return bad("D-Bus", f"{path} is no socket", "Set DBUS_SYSTEM_BUS_ADDRESS to the system bus, or unset it.")
    if not os.access(path, os.W_OK):
        return bad(
            "D-Bus", f"you may not use the system bus at {path}", "Ask whoever runs this computer for the right."
        )
    return None


def bus_path() -> Path | None:
    """The file of the system bus's socket; None when it is no file or the address is none."""
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or DEFAULT_BUS
    paths = [unquote(found) for found in re.findall(r"(?:^|;)unix:(?:[^;]*,)?path=([^,;]*)", address)]
    return Path(paths[0]) if paths else None


async def ask_bluez() -> list[Adapter]:
    """The adapters that BlueZ has. Raises `BusError`, `OSError`, `EOFError`."""
    from bleak.backends.bluezdbus.utils import get_dbus_authenticator
    from dbus_fast import AuthError, BusType, InvalidAddressError, Message, MessageType
    from dbus_fast.aio import MessageBus

    ask = Message(
        destination=BLUEZ, path="/", interface="org.freedesktop.DBus.ObjectManager", member="GetManagedObjects"
    )
    try:
        bus = MessageBus(bus_type=BusType.SYSTEM, auth=get_dbus_authenticator())
        try:
            await bus.connect()
            reply = await bus.call(ask)
        finally:
            bus.disconnect()
    except InvalidAddressError as error:
        raise OSError(str(error)) from error
    except AuthError as error:
        raise BusError(DENIED[1], str(error)) from error
    if reply is None:
        raise EOFError("the bus gave no answer")
    if reply.message_type is MessageType.ERROR:
        raise BusError(reply.error_name or "", " ".join(map(str, reply.body)))
    found = sorted(reply.body[0].items())
    return [_adapter(path, interfaces[ADAPTER]) for path, interfaces in found if ADAPTER in interfaces]


def _adapter(path: str, properties: dict[str, Any]) -> Adapter:
    def value(name: str, default: object) -> Any:
        return properties[name].value if name in properties else default

    return Adapter(
        path.rpartition("/")[2],
        str(value("Address", "")),
        bool(value("Powered", False)),
        "central" in value("Roles", ["central"]),  # BlueZ before 5.50 does not say
    )


def _judge(bad: Bad, adapters: list[Adapter]) -> Iterator[Finding]:
    """Each adapter that BlueZ has; with one that is on and can connect to pens, the others are not in the way."""
    usable = [adapter for adapter in adapters if adapter.powered and adapter.central]
    if not adapters:
        yield bad(
            "BlueZ adapter", "BlueZ has none", "Plug one in; sudo systemctl restart bluetooth looks for it again."
        )
    for adapter in adapters:
        said = f"{adapter.name}, {adapter.address}"
        tell = bad if not usable else lambda subject, found, _: ok(subject, found)
        if not adapter.central:
            yield tell("BlueZ adapter", f"{said}: it cannot connect to pens (no BLE central)", "Take another adapter.")
        elif not adapter.powered:
            yield tell("BlueZ adapter", f"{said}: off", "Switch it on: bluetoothctl power on")
        else:
            yield ok("BlueZ adapter", f"{said}: on")


def _bus_finding(bad: Bad, error: BusError) -> Finding:
    if error.name in DENIED:
        said = str(error).partition(";")[0]  # the rest is the command line and the numbers of whoever asked
        return bad("BlueZ", f"D-Bus does not let you use it: {said}", allow())
    if error.name in ABSENT:
        return bad("BlueZ", "it is not running (nobody is org.bluez on the system's D-Bus)", START_BLUEZ)
    if error.name.startswith("org.freedesktop.DBus.Error.Spawn") or error.name.endswith(".TimedOut"):
        return bad("BlueZ", f"D-Bus could not start it: {error}", START_BLUEZ)
    return bad("BlueZ", f"{error.name}: {error}", "Restart it: sudo systemctl restart bluetooth")


def allow() -> str:
    """How this user is let in: by the group `bluetooth`, where the system has one that they are not in."""
    if may_join(GROUP):
        return "Join the group and log in again: sudo usermod -aG bluetooth $USER"
    return (
        "The system's policy (bluetooth.conf in dbus-1/system.d) has to let you send to org.bluez; a sandbox (snap,"
        " flatpak, container) has to let the system's bus through."
    )


def may_join(name: str) -> bool:
    """Whether the system has this group and the user is not in it."""
    if sys.platform == "win32":
        return False
    import grp

    try:
        number = grp.getgrnam(name).gr_gid
    except KeyError:
        return False
    return number not in {os.getegid(), *os.getgroups()}


def check_bluez_version(program: str = "bluetoothctl") -> Finding:
    """BlueZ's version by its own tool, as bleak finds it out; the D-Bus interface does not tell."""
    path = shutil.which(program)
    if path is None:
        return ok("BlueZ version", f"not known: {program} is not installed here")
    try:
        done = subprocess.run(  # noqa: S603 (the system's own tool, with no argument of anybody's)
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return ok("BlueZ version", f"not known: {program} gave no answer ({type(error).__name__})")
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    if found is None:
        return ok("BlueZ version", f"not known: {program} gave no number")
    if (int(found[1]), int(found[2])) < OLDEST_BLUEZ:
        advice = "Update the system: bleak asks for 5.55 or newer."
        return warning("BlueZ version", found[0], advice)
    return ok("BlueZ version", found[0])
