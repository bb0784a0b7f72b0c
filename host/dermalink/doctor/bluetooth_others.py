"""Bluetooth on macOS and on Windows, asked through the bindings that bleak brings there.

Neither could be tried here: this is built from bleak's sources and the vendors' manuals, and tested with doubles.
"""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, Final

from dermalink.doctor.findings import Finding, ok, warning

ASK_WITHIN_S: Final = 3.0
REINSTALL: Final = "Install it anew: python -m pip install --force-reinstall bleak"
ALLOW_MAC: Final = "System Settings, Privacy & Security, Bluetooth: tick the program that you started this from."
ALLOW_WINDOWS: Final = "Settings, Privacy & security, Radios: let desktop apps control them."
# CBManagerAuthorization
NOT_ASKED, RESTRICTED, DENIED, ALLOWED = range(4)

Bad = Callable[[str, str, str], Finding]


async def check_mac(bad: Bad) -> list[Finding]:
    """Whether CoreBluetooth is there and lets this program in; asking for that shows no dialogue."""
    try:
        allowed = mac_authorization()
    except ImportError as error:
        return [bad("Bluetooth", f"CoreBluetooth cannot be loaded: {error}", REINSTALL)]
    match allowed:
        case 3:
            return [ok("Bluetooth", "CoreBluetooth is there, and this program may use it")]
        case 2:
            return [bad("Bluetooth", "macOS does not let this program use it", ALLOW_MAC)]
        case 1:
            return [bad("Bluetooth", "macOS is not allowed to let any program use it", "Ask who manages this Mac.")]
        case 0:
            advice = f"`dermalink scan --ble` makes it ask. If that only ends in `abort`: {ALLOW_MAC}"
            return [warning("Bluetooth", "macOS has not yet asked you whether this program may use it", advice)]
        case _:
            return [ok("Bluetooth", "CoreBluetooth is there; whether this program may use it is not known")]


def would_ask() -> bool:
    """Whether using Bluetooth now makes macOS ask the user.

    A program that was started from a terminal without a reason to use Bluetooth is killed there instead of asked
    about, so nothing that must come to its end may try.
    """
    try:
        return mac_authorization() == NOT_ASKED
    except ImportError:
        return False


def mac_authorization() -> int:
    """What macOS has decided about this program; -1 where it does not say. Raises `ImportError` on other systems."""
    core: Any = importlib.import_module("CoreBluetooth")
    try:
        return int(core.CBManager.authorization())
    except Exception:  # noqa: BLE001 (macOS before 10.15 has no such thing, and the binding its own errors)
        return -1


async def check_windows(bad: Bad, within_s: float = ASK_WITHIN_S) -> list[Finding]:
    """Whether WinRT is there, and has an adapter that is on and can connect to pens."""
    try:
        bluetooth: Any = importlib.import_module("winrt.windows.devices.bluetooth")
        importlib.import_module("winrt.windows.devices.radios")
    except ImportError as error:
        return [bad("Bluetooth", f"WinRT cannot be loaded: {error}", REINSTALL)]
    try:
        async with asyncio.timeout(within_s):
            return [await _judge_windows(bad, bluetooth)]
    except TimeoutError:
        advice = (
            "Switch Bluetooth off and on. Inside another program: it has to use this from a thread without windows."
        )
        return [bad("Bluetooth", f"Windows gave no answer within {within_s:g} s", advice)]
    except OSError as error:
        return [bad("Bluetooth", f"Windows says: {error}", ALLOW_WINDOWS)]


async def _judge_windows(bad: Bad, bluetooth: Any) -> Finding:
    adapter = await bluetooth.BluetoothAdapter.get_default_async()
    if adapter is None:
        return bad("adapters", "Windows has none", "Plug a Bluetooth adapter in, and see that its driver runs.")
    if not (adapter.is_low_energy_supported and adapter.is_central_role_supported):
        return bad("adapters", "it cannot connect to pens (no BLE central)", "Take another adapter.")
    state = (await adapter.get_radio_async()).state
    if getattr(state, "name", str(state)) != "ON":
        advice = "Switch it on: Settings, Bluetooth & devices."
        return bad("adapters", f"its radio is {getattr(state, 'name', str(state)).lower()}", advice)
    return ok("adapters", "one that is on")
