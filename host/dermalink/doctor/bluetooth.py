"""Checks of Bluetooth: bleak, what lies under it on this system, and the radio that is named in its place."""

import importlib
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final
from urllib.parse import unquote

from dermalink.discovery import BLE, Nearby, Silent
from dermalink.doctor.bluetooth_linux import check_linux
from dermalink.doctor.bluetooth_others import check_mac, check_windows, would_ask
from dermalink.doctor.findings import Finding, Level, error, ok, warning
from dermalink.links.ble_radio import ENVIRONMENT, must_name_a_radio

Bad = Callable[[str, str, str], Finding]

# By sys.platform; another Unix has BlueZ, or nothing.
SYSTEMS: Final[dict[str, Callable[[Bad], Awaitable[list[Finding]]]]] = {
    "linux": check_linux,
    "darwin": check_mac,
    "win32": check_windows,
}
SIMULATOR: Final = 'pip install "dermalink[simulator]"'


async def check_bluetooth(url: str | None = None, radio: str = "", *, system: str = sys.platform) -> list[Finding]:
    """bleak, Bumble, and the system's own Bluetooth: in the way only of who means to use it, so mostly a warning.

    With a `radio` in its place, the system's own is not looked at.
    """
    needed = url is not None and url.startswith(BLE)
    bad = error if needed else warning
    found = [*check_bleak(bad), check_bumble(error if radio else warning, needed=bool(radio))]
    if radio:
        return [*found, ok("Bluetooth", f"not looked at, since {radio} takes its place")]
    check = SYSTEMS.get(system)
    if check is None:
        return [*found, warning("Bluetooth", f"nothing is known of it on {system}", "Use the pen's USB cable.")]
    return found + await check(bad)


def named_radio(url: str | None, option: str | None) -> str:
    """The radio in place of the system's adapter: in the URL, or the option, or the environment; else empty."""
    in_url = re.search(r"[?&]radio=([^&]*)", url) if url and url.startswith(BLE) else None
    return unquote(in_url[1]) if in_url else (option or os.environ.get(ENVIRONMENT, "")).strip()


def must_be_well_named(url: str | None, option: str | None) -> None:
    """Raise `BadUrl` where a radio is named in place of the system's adapter, and the words name none."""
    in_url = url is not None and url.startswith(BLE) and "radio=" in url
    must_name_a_radio(named_radio(url, option) if in_url else option)


def check_bleak(bad: Bad) -> Iterator[Finding]:
    """bleak, which everything by Bluetooth goes through; loading it loads what lies under it as well."""
    try:
        importlib.import_module("bleak")
    except Exception as broken:  # noqa: BLE001 (a binding to the system may raise anything when it is loaded)
        said = f"cannot be loaded: {type(broken).__name__}: {broken}"
        yield bad("bleak", said, "Install it anew: python -m pip install --force-reinstall bleak")
        return
    yield ok("bleak", _version("bleak") or "there, of an unknown version")


def check_bumble(bad: Bad, *, needed: bool) -> Finding:
    """Bumble, which only simulated pens and their radios need, and in one version only."""
    there, pinned = _version("bumble"), _pinned("bumble")
    if not there:
        if needed:
            return bad("Bumble", "not installed, and the radio that is named needs it", f"Install it: {SIMULATOR}")
        return ok("Bumble", f"not installed; only a simulated pen's Bluetooth needs it ({SIMULATOR})")
    if pinned and there != pinned:
        return bad("Bumble", f"{there}, where {pinned} is needed", f"Install that one: {SIMULATOR}")
    return ok("Bumble", there)


def judge_air(nearby: tuple[Nearby, ...], silent: tuple[Silent, ...], radio: str, *, told: bool) -> Iterator[Finding]:
    """What was heard on the air; `told` when a check has said already why nothing could be."""
    broken = [each for each in silent if each.url.startswith(BLE)]
    for each in broken:
        if radio:
            yield error("radio", f"{radio}: {_said(each)}", each.why.advice or "Check that it is there.")
        elif not told:
            yield warning("Bluetooth", _said(each), each.why.advice or "Switch Bluetooth off and on.")
    if radio and not broken:
        yield ok("radio", f"{radio} answers")
    for near in nearby:
        name = f" ({near.name})" if near.name else ""
        if near.held:
            advice = "If no program of yours uses it, disconnect it in the system's Bluetooth settings."
            yield warning("pen near", f"{near.url}{name}: this computer is connected to it", advice)
        else:
            signal = "" if near.rssi is None else f" at {near.rssi} dBm"
            yield ok("pen near", f"{near.url}{name} advertises{signal}; it was not asked (--pen {near.url} asks it)")


def may_listen(system: str = sys.platform) -> bool:
    """Whether listening is sure to come to an end: on macOS it may end this program, before you were ever asked."""
    return system != "darwin" or not would_ask()


def in_the_way(findings: list[Finding]) -> bool:
    """Whether a check of Bluetooth found something wrong."""
    return any(finding.level > Level.OK for finding in findings)


def _said(silent: Silent) -> str:
    return "; ".join(part for part in (silent.why.refused, silent.why.limit) if part)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _pinned(name: str) -> str:
    """The one version of a package that this Dermalink asks for, if it is one."""
    try:
        lines = requires("dermalink") or []
    except PackageNotFoundError:
        return ""
    found = (re.match(rf"{re.escape(name)}\s*==\s*([^;\s]+)", line) for line in lines)
    return next((match[1] for match in found if match), "")
