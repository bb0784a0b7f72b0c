"""Checks of the serial ports: which there are, whether this user may open them, and who holds them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from dermalink.doctor.findings import Finding, error, ok, warning

PROBERS: Final = {
    "ModemManager": "It writes to new serial ports. Stop it, or have udev set ID_MM_DEVICE_IGNORE for the pen.",
    "brltty": "It takes some USB serial adapters for Braille displays. Remove it if nobody needs it.",
}
SERIAL_SCHEME: Final = "serial:"
PSEUDO: Final = "/dev/pts/"  # its maker keeps its far end open as well
PROC: Final = Path("/proc")


class Holder(NamedTuple):
    """A program that has a port open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def check_ports(url: str | None = None) -> Iterator[Finding]:
    """All ports that the system lists, and the one that `url` names if it is another."""
    from serial.tools.list_ports import comports

    listed = {port.device: port.description for port in comports()}
    named = device_of(url)
    if named and named not in listed:
        listed[named] = "named by --pen"
    if not listed:
        advice = "Plug the pen in, or take another cable (some only charge). For a simulated pen: dermalink-sim serve"
        yield warning("serial ports", "none", advice) if not url else ok("serial ports", "none")
    for device, description in sorted(listed.items()):
        yield check_port(device, "" if description in ("n/a", device) else description)
    yield from check_probers()


def device_of(url: str | None) -> str | None:
    """The path in a `serial:` URL; None if it names something else."""
    if url is None or not url.startswith(SERIAL_SCHEME) or "://" in url:
        return None
    return url.removeprefix(SERIAL_SCHEME).partition("?")[0]


def check_port(device: str, description: str = "") -> Finding:
    """One port: there, allowed, free?"""
    subject = f"port {device}"
    if sys.platform == "win32":
        return ok(subject, description or "there")
    path = Path(device)
    if not path.exists():
        return error(subject, "there is no such port", "Plug the pen in; `dermalink scan` shows what is there.")
    if not os.access(path, os.R_OK | os.W_OK):
        return error(subject, _forbidden(path), _allow(path))
    holders = [holder for holder in holders_of(path) if holder.pid != os.getpid()]
    if holders and os.path.realpath(path).startswith(PSEUDO):
        return ok(subject, f"a pseudo-terminal of {', '.join(map(str, holders))}")
    if holders:
        found = "held by " + ", ".join(map(str, holders))
        return warning(subject, found, "Close that program; a port has one user at a time.")
    return ok(subject, ", ".join(part for part in (description, "free, and you may open it") if part))


def holders_of(device: Path, proc: Path = PROC) -> list[Holder]:
    """Programs with `device` open, as far as this user may look; none where there is no /proc."""
    target, found = os.path.realpath(device), []
    for folder in proc.glob("[0-9]*/fd"):
        try:
            if any(os.path.realpath(link) == target for link in folder.iterdir()):
                name = (folder.parent / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found.append(Holder(int(folder.parent.name), name))
        except OSError:
            continue
    return found


def check_probers(proc: Path = PROC) -> Iterator[Finding]:
    """Programs known to open serial ports on their own."""
    running = set()
    for comm in proc.glob("[0-9]*/comm"):
        try:
            running.add(comm.read_text(encoding="utf-8", errors="replace").strip())
        except OSError:
            continue
    for name, advice in PROBERS.items():
        if name in running:
            yield warning(name, "is running", advice)


def _forbidden(path: Path) -> str:
    stat = path.stat()
    return f"you may not open it (owner {_name(stat.st_uid, user=True)}, group {_name(stat.st_gid, user=False)})"


def _allow(path: Path) -> str:
    group = _name(path.stat().st_gid, user=False)
    if sys.platform == "linux" and group not in ("root", "0"):
        return f"Join the group and log in again: sudo usermod -aG {group} $USER"
    return "Ask whoever runs this computer for the right to open it."


def _name(number: int, *, user: bool) -> str:
    if sys.platform == "win32":
        return str(number)
    import grp
    import pwd

    try:
        return pwd.getpwuid(number).pw_name if user else grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
