"""Doctor's checks of Bluetooth that are the same everywhere, and those of systems that are played by doubles."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dermalink import discovery
from dermalink.discovery import Discovery, Nearby, Silent
from dermalink.doctor import bluetooth, report
from dermalink.doctor import bluetooth_others as others
from dermalink.doctor.findings import Finding, Level, error, ok, warning
from dermalink.errors import BluetoothOff, NoRadio
from tests.support.running import in_virtual_time

RADIO = "DERMALINK_RADIO"
NEAR = Nearby("ble:DP-1", "DP-1", "Dermalink DP-1", -58)
HELD = Nearby("ble:00:11:22:33:44:55", "", "Dermalink DP-2", None, held=True)
BROKEN = Silent("ble:", BluetoothOff("this computer's Bluetooth cannot be opened", limit="it is off", advice="On!"))


def check(url: str | None = None, radio: str = "", system: str = "linux") -> list[Finding]:
    return asyncio.run(bluetooth.check_bluetooth(url, radio, system=system))


def played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each system's check as a double that notes its call and finds one thing in the way."""
    asked: list[str] = []

    def double(system: str) -> Callable[[bluetooth.Bad], Awaitable[list[Finding]]]:
        async def found(bad: bluetooth.Bad) -> list[Finding]:
            asked.append(system)
            return [bad("adapters", "none", "Get one")]

        return found

    monkeypatch.setattr(bluetooth, "SYSTEMS", {system: double(system) for system in bluetooth.SYSTEMS})
    return asked


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_each_system_has_its_own_check_and_a_lack_is_as_bad_as_it_is_needed(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = played(monkeypatch)
    assert check(None, "", system)[-1].level is Level.WARNING
    assert check("serial:COM3", "", system)[-1].level is Level.WARNING
    assert check("ble:DP-1", "", system)[-1].level is Level.ERROR
    assert asked == [system] * 3


def test_a_radio_in_its_place_leaves_the_systems_own_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = played(monkeypatch)
    findings = check("ble:DP-1", "air:room")
    assert asked == []
    assert "air:room takes its place" in findings[-1].found
    assert not bluetooth.in_the_way(findings)


def test_a_system_that_nothing_is_known_of_is_said_to_be_one() -> None:
    finding = check(system="sunos5")[-1]
    assert finding.level is Level.WARNING
    assert "sunos5" in finding.found


# bleak, and Bumble


def test_bleak_is_named_with_its_version_and_a_broken_one_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (there,) = bluetooth.check_bleak(error)
    assert there.level is Level.OK
    assert there.found[0].isdigit()

    monkeypatch.setitem(sys.modules, "bleak", None)
    (finding,) = bluetooth.check_bleak(error)
    assert finding.level is Level.ERROR
    assert "cannot be loaded: ModuleNotFoundError" in finding.found
    assert "bleak" in finding.advice


def versions(monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    monkeypatch.setattr(bluetooth, "_version", lambda _: there)
    monkeypatch.setattr(bluetooth, "requires", lambda _: ["bleak>=3.0", 'bumble==0.0.236; extra == "simulator"'])


@pytest.mark.parametrize(
    ("there", "needed", "level", "says"),
    [
        ("0.0.236", True, Level.OK, "0.0.236"),
        ("", False, Level.OK, "only a simulated pen's"),
        ("", True, Level.ERROR, "not installed"),
        ("0.0.228", False, Level.ERROR, "0.0.228, where 0.0.236 is needed"),
    ],
)
def test_bumble_is_needed_by_who_named_a_radio_and_in_one_version(
    there: str, needed: bool, level: Level, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions(monkeypatch, there)
    finding = bluetooth.check_bumble(error, needed=needed)
    assert finding.level is level
    assert says in finding.found
    assert level is Level.OK or "dermalink[simulator]" in finding.advice


def test_the_version_that_is_asked_for_is_the_one_that_this_checkout_has() -> None:
    assert bluetooth.check_bumble(error, needed=True).level is Level.OK


@pytest.mark.parametrize(
    ("url", "option", "variable", "radio"),
    [
        (None, None, "", ""),
        (None, None, " air:a ", "air:a"),
        (None, "air:b", "air:a", "air:b"),
        ("ble:DP-1", "air:b", "air:a", "air:b"),
        ("ble:DP-1?radio=air:c", "air:b", "air:a", "air:c"),
        ("ble:DP-1?radio=air:%25", None, "", "air:%"),
        ("serial:x?radio=air:c", None, "", ""),
    ],
)
def test_the_radio_is_the_urls_or_the_options_or_the_environments(
    url: str | None, option: str | None, variable: str, radio: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RADIO, variable)
    assert bluetooth.named_radio(url, option) == radio


# What is on the air


def test_pens_near_are_named_and_said_not_to_have_been_asked() -> None:
    near, held = bluetooth.judge_air((NEAR, HELD), (), "", told=False)
    assert near == ok(
        "pen near", "ble:DP-1 (Dermalink DP-1) advertises at -58 dBm; it was not asked (--pen ble:DP-1 asks it)"
    )
    assert held.level is Level.WARNING
    assert "this computer is connected to it" in held.found


def test_why_nothing_is_heard_is_said_once() -> None:
    (finding,) = bluetooth.judge_air((), (BROKEN,), "", told=False)
    assert finding == warning("Bluetooth", "this computer's Bluetooth cannot be opened; it is off", "On!")
    assert list(bluetooth.judge_air((), (BROKEN,), "", told=True)) == []


def test_a_radio_that_is_named_has_to_answer() -> None:
    (finding,) = bluetooth.judge_air((), (), "air:room", told=True)
    assert finding == ok("radio", "air:room answers")
    gone = Silent("ble:", NoRadio("the radio air:room cannot be used", limit="nobody serves it"))
    (finding,) = bluetooth.judge_air((), (gone,), "air:room", told=True)
    assert finding.level is Level.ERROR
    assert "nobody serves it" in finding.found
    assert finding.advice


class Examined:
    """`examine` with its slow neighbours doubled: the computer, the ports and the pen; the air is as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, heard: Discovery) -> None:
        self.heard, self.looked, self.pens = heard, list[dict[str, Any]](), list[str]()
        monkeypatch.setattr(report, "check_system", list)
        monkeypatch.setattr(report, "check_ports", lambda _: [])
        monkeypatch.setattr(report, "check_bluetooth", self._bluetooth)
        monkeypatch.setattr(report, "discover", self._discover)
        monkeypatch.setattr(report, "check_pen", self._pen)
        monkeypatch.delenv(RADIO, raising=False)

    async def _bluetooth(self, url: str | None, radio: str) -> list[Finding]:
        return [ok("Bluetooth", radio)]

    async def _discover(self, **how: Any) -> Discovery:
        self.looked.append(how)
        return self.heard

    async def _pen(self, url: str) -> list[Finding]:
        self.pens.append(url)
        return []


def test_without_a_pen_named_the_air_is_listened_to_and_no_pen_on_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    examined = Examined(monkeypatch, Discovery((), (), (NEAR,)))
    findings = asyncio.run(report.examine(None))
    assert examined.looked == [{"serial": True, "ble": True, "radio": None}]
    assert examined.pens == []
    assert [finding.subject for finding in findings] == ["Bluetooth", "pen near"]


def test_nothing_on_a_cable_and_nothing_on_the_air_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    Examined(monkeypatch, Discovery((), ()))
    finding = asyncio.run(report.examine(None))[-1]
    assert finding.level is Level.WARNING
    assert finding.subject == "pen"


def test_a_pen_that_is_named_is_asked_by_the_radio_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    examined = Examined(monkeypatch, Discovery((), ()))
    asyncio.run(report.examine("ble:DP-1", "air:room"))
    asyncio.run(report.examine("serial:x"))
    assert examined.pens == ["ble:DP-1?radio=air:room", "serial:x"]
    assert examined.looked == []


def test_a_radio_in_the_environment_is_tried_also_when_the_pen_is_on_a_cable(monkeypatch: pytest.MonkeyPatch) -> None:
    examined = Examined(monkeypatch, Discovery((), ()))
    monkeypatch.setenv(RADIO, "air:room")
    findings = asyncio.run(report.examine("serial:x"))
    assert examined.looked == [{"serial": False, "ble": True, "radio": None}]
    assert ok("radio", "air:room answers") in findings


def test_on_a_mac_that_would_have_to_ask_first_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluetooth, "would_ask", lambda: True)
    assert not bluetooth.may_listen("darwin")
    assert bluetooth.may_listen("linux")
    monkeypatch.setattr(bluetooth, "would_ask", lambda: False)
    assert bluetooth.may_listen("darwin")


# macOS, by a double of its binding


def core_bluetooth(monkeypatch: pytest.MonkeyPatch, authorization: Callable[[], int]) -> None:
    module: Any = ModuleType("CoreBluetooth")
    module.CBManager = SimpleNamespace(authorization=authorization)
    monkeypatch.setitem(sys.modules, "CoreBluetooth", module)


@pytest.mark.parametrize(
    ("authorization", "level", "says", "asks"),
    [
        (0, Level.WARNING, "has not yet asked", True),
        (1, Level.ERROR, "any program", False),
        (2, Level.ERROR, "does not let this program", False),
        (3, Level.OK, "may use it", False),
        (9, Level.OK, "not known", False),
    ],
)
def test_what_macos_has_decided(
    authorization: int, level: Level, says: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    core_bluetooth(monkeypatch, lambda: authorization)
    (finding,) = asyncio.run(others.check_mac(error))
    assert finding.level is level
    assert says in finding.found
    assert (level is Level.OK) != bool(finding.advice)
    assert others.would_ask() is asks


def test_a_mac_too_old_to_say_and_one_without_its_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> int:
        raise AttributeError("authorization")

    core_bluetooth(monkeypatch, unknown)
    assert asyncio.run(others.check_mac(error))[0].level is Level.OK
    assert not others.would_ask()
    monkeypatch.setitem(sys.modules, "CoreBluetooth", None)
    (finding,) = asyncio.run(others.check_mac(error))
    assert finding.level is Level.ERROR
    assert "cannot be loaded" in finding.found
    assert not others.would_ask()


# Windows, by a double of its binding


class WinRT:
    """What WinRT says of the adapter; `hang` is an answer that never comes, as on a thread with a window."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there, self.low_energy, self.central, self.state = True, True, True, "ON"
        self.hang, self.fails = False, ""
        for name in ("winrt", "winrt.windows", "winrt.windows.devices", "winrt.windows.devices.radios"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        module: Any = ModuleType("winrt.windows.devices.bluetooth")
        module.BluetoothAdapter = SimpleNamespace(get_default_async=self._adapter)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    async def _adapter(self) -> object:
        if self.hang:
            await asyncio.Event().wait()
        if self.fails:
            raise OSError(self.fails)
        adapter = SimpleNamespace(
            is_low_energy_supported=self.low_energy,
            is_central_role_supported=self.central,
            get_radio_async=self._radio,
        )
        return adapter if self.there else None

    async def _radio(self) -> object:
        return SimpleNamespace(state=SimpleNamespace(name=self.state))


@pytest.mark.parametrize(
    ("wrong", "level", "says"),
    [
        ({}, Level.OK, "one that is on"),
        ({"there": False}, Level.ERROR, "has none"),
        ({"low_energy": False}, Level.ERROR, "no BLE central"),
        ({"central": False}, Level.ERROR, "no BLE central"),
        ({"state": "OFF"}, Level.ERROR, "off"),
        ({"state": "DISABLED"}, Level.ERROR, "disabled"),
        ({"fails": "access is denied"}, Level.ERROR, "access is denied"),
        ({"hang": True}, Level.ERROR, "no answer within 3 s"),
    ],
)
@in_virtual_time
async def test_what_windows_says(
    wrong: dict[str, Any], level: Level, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    winrt = WinRT(monkeypatch)
    for name, value in wrong.items():
        setattr(winrt, name, value)
    (finding,) = await others.check_windows(error)
    assert finding.level is level
    assert says in finding.found
    assert (level is Level.OK) != bool(finding.advice)


def test_a_windows_without_its_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "winrt", None)
    (finding,) = asyncio.run(others.check_windows(error))
    assert finding.level is Level.ERROR
    assert "cannot be loaded" in finding.found


def test_advice_for_a_silent_pen_fits_the_way_to_it() -> None:
    assert "near" in discovery.look_again("ble:DP-1")
    assert "port" in discovery.look_again("serial:/dev/ttyACM0")
