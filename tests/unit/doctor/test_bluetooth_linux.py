"""Bluetooth on Linux: made-up trees of the kernel's, and a bus of our own with a BlueZ on it."""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dermalink.doctor import bluetooth_linux as linux
from dermalink.doctor.findings import Finding, Level, error, warning
from tests.support.little_bus import ADDRESS, NOBODY, LittleBus, little_bus, objects
from tests.support.little_bus import error as bus_error
from tests.support.running import in_real_time

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's trees and the bus are Linux's")

ON = {"Address": "00:11:22:33:44:55", "Powered": True, "Roles": ["central", "peripheral"]}
OFF = ON | {"Powered": False}
OLD = {"Address": "00:11:22:33:44:55", "Powered": True}
DEAF = ON | {"Roles": ["peripheral"]}
DENIED = 'Rejected send message, 2 matched rules; type="method_call", sender=":1.2" (uid=1000 comm="python3 secret")'


def adapter(tree: Path, name: str, where: str) -> None:
    there = tree / "devices" / where / name
    there.mkdir(parents=True)
    (tree / "class" / "bluetooth").mkdir(parents=True, exist_ok=True)
    (tree / "class" / "bluetooth" / name).symlink_to(there)


def switch(tree: Path, number: int, name: str, *, kind: str = "bluetooth", soft: str = "0", hard: str = "0") -> None:
    folder = tree / "class" / "rfkill" / f"rfkill{number}"
    folder.mkdir(parents=True)
    for file, text in {"type": kind, "name": name, "soft": soft, "hard": hard}.items():
        (folder / file).write_text(text + "\n")


def only(findings: list[Finding], level: Level) -> list[str]:
    return [f"{finding.subject}: {finding.found}" for finding in findings if finding.level is level]


# What the kernel has


def test_adapters_are_named_with_the_bus_they_hang_on_and_connections_are_none(tmp_path: Path) -> None:
    adapter(tmp_path, "hci0", "pci0000:00/usb1/1-7/bluetooth")
    adapter(tmp_path, "hci1", "virtual/bluetooth")
    adapter(tmp_path, "hci2", "platform/serial0")
    adapter(tmp_path, "hci0:64", "pci0000:00/usb1/1-7/bluetooth/hci0")
    (finding,) = linux.check_adapters(error, tmp_path)
    assert finding == Finding(Level.OK, "adapters", "hci0 (USB), hci1 (virtual), hci2")


@pytest.mark.parametrize(("bad", "level"), [(error, Level.ERROR), (warning, Level.WARNING)])
def test_no_adapter_is_as_bad_as_it_is_needed(bad: linux.Bad, level: Level, tmp_path: Path) -> None:
    (finding,) = linux.check_adapters(bad, tmp_path)
    assert (finding.level, finding.found) == (level, "the kernel has none")
    assert "Plug" in finding.advice


def test_a_switch_in_software_is_told_with_the_command_that_turns_it(tmp_path: Path) -> None:
    adapter(tmp_path, "hci0", "usb1")
    switch(tmp_path, 0, "hci0", soft="1")
    switch(tmp_path, 1, "phy0", kind="wlan", soft="1", hard="1")
    findings = list(linux.check_adapters(error, tmp_path))
    assert only(findings, Level.ERROR) == ["Bluetooth: hci0 is switched off"]
    assert findings[0].advice == "Switch it on: rfkill unblock bluetooth"
    assert only(findings, Level.OK) == ["adapters: hci0 (USB)"]


def test_a_switch_of_the_computer_wants_a_hand_and_may_be_why_there_is_no_adapter(tmp_path: Path) -> None:
    switch(tmp_path, 0, "tpacpi_bluetooth_sw", soft="1", hard="1")
    findings = list(linux.check_adapters(error, tmp_path))
    assert only(findings, Level.ERROR) == [
        "Bluetooth: tpacpi_bluetooth_sw is held off by a switch of the computer",
        "adapters: none, perhaps because of the switch",
    ]
    assert "rfkill" not in findings[0].advice


def test_switches_that_are_open_say_nothing_and_one_that_vanishes_is_none(tmp_path: Path) -> None:
    adapter(tmp_path, "hci0", "usb1")
    switch(tmp_path, 0, "hci0")
    (tmp_path / "class" / "rfkill" / "rfkill7").mkdir()
    assert [finding.level for finding in linux.check_adapters(error, tmp_path)] == [Level.OK]


# The bus's socket


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("unix:path=/run/dbus/system_bus_socket", Path("/run/dbus/system_bus_socket")),
        ("unix:path=/run/a%20b,guid=0123", Path("/run/a b")),
        ("unix:guid=0123,path=/run/c", Path("/run/c")),
        ("tcp:host=localhost,port=1;unix:path=/run/d", Path("/run/d")),
        ("unix:abstract=/tmp/e", None),
        ("nonsense", None),
        ("", Path("/var/run/dbus/system_bus_socket")),
    ],
)
def test_the_file_of_the_bus_is_read_from_its_address(
    address: str, path: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, address)
    assert linux.bus_path() == path


def test_a_bus_that_is_not_there_or_is_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, f"unix:path={tmp_path / 'none'}")
    absent = linux.check_socket(error)
    assert absent is not None
    assert "there is no system bus" in absent.found
    assert "start dbus" in absent.advice
    (tmp_path / "file").touch()
    monkeypatch.setenv(ADDRESS, f"unix:path={tmp_path / 'file'}")
    plain = linux.check_socket(error)
    assert plain is not None
    assert "is no socket" in plain.found


def test_a_bus_that_may_not_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        monkeypatch.setenv(ADDRESS, f"unix:path={path}")
        assert linux.check_socket(error) is None
        monkeypatch.setattr(os, "access", lambda *_: False)
        finding = linux.check_socket(error)
    assert finding is not None
    assert "you may not use the system bus" in finding.found


@in_real_time
async def test_a_socket_that_nobody_listens_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        monkeypatch.setenv(ADDRESS, f"unix:path={path}")
        (finding,) = await linux.check_bluez(error)
    assert finding.level is Level.ERROR
    assert "cannot be reached" in finding.found


@pytest.mark.parametrize("address", ["nonsense", "unix:abstract=", "carrier-pigeon:path=x"])
def test_an_address_that_is_none_is_a_finding(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, address)
    findings = asyncio.run(linux.check_bluez(error))
    assert [finding.level for finding in findings] == [Level.ERROR]


# BlueZ on the bus


async def ask(
    path: Path, monkeypatch: pytest.MonkeyPatch, bus: LittleBus, within_s: float = linux.ASK_WITHIN_S
) -> list[Finding]:
    async with little_bus(path / "bus", monkeypatch, bus):
        return await linux.check_bluez(error, within_s)


@in_real_time
async def test_a_sound_bluez_is_named_with_its_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = LittleBus(objects(hci1=OFF, hci0=ON))
    findings = await ask(tmp_path, monkeypatch, bus)
    assert only(findings, Level.OK) == [
        "BlueZ: answers on the system's D-Bus",
        "BlueZ adapter: hci0, 00:11:22:33:44:55: on",
        "BlueZ adapter: hci1, 00:11:22:33:44:55: off",
    ]
    assert len(findings) == 3
    assert bus.calls == ["Hello", "GetManagedObjects"]  # it asks, and changes nothing


@pytest.mark.parametrize(
    ("adapters", "bad"),
    [
        ({}, ["BlueZ adapter: BlueZ has none"]),
        ({"hci0": OFF}, ["BlueZ adapter: hci0, 00:11:22:33:44:55: off"]),
        ({"hci0": DEAF}, ["BlueZ adapter: hci0, 00:11:22:33:44:55: it cannot connect to pens (no BLE central)"]),
        ({"hci0": DEAF, "hci1": ON}, []),
        ({"hci0": OLD}, []),
    ],
)
@in_real_time
async def test_adapters_that_cannot_do_it(
    adapters: dict[str, dict[str, Any]], bad: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = await ask(tmp_path, monkeypatch, LittleBus(objects(**adapters)))
    assert only(findings, Level.ERROR) == bad
    assert all(finding.advice for finding in findings if finding.level is Level.ERROR)


@pytest.mark.parametrize(
    ("name", "said", "found", "advice"),
    [
        (NOBODY, "The name org.bluez was not provided by any .service files", "not running", "systemctl enable --now"),
        ("org.freedesktop.DBus.Error.AccessDenied", DENIED, "Rejected send message", "bluetooth"),
        ("org.freedesktop.DBus.Error.Spawn.ChildExited", "it exited", "could not start it", "systemctl enable --now"),
        ("org.bluez.Error.Failed", "no luck", "org.bluez.Error.Failed: no luck", "restart bluetooth"),
    ],
)
@in_real_time
async def test_each_no_of_the_bus_is_worded_with_what_to_do(
    name: str, said: str, found: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finding,) = await ask(tmp_path, monkeypatch, LittleBus(bus_error(name, said)))
    assert finding.level is Level.ERROR
    assert found in finding.found
    assert "secret" not in finding.found
    assert advice in finding.advice


@in_real_time
async def test_a_bus_that_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = await ask(tmp_path, monkeypatch, LittleBus(objects(), refuse=True))
    assert finding.level is Level.ERROR
    assert "D-Bus does not let you use it" in finding.found


@in_real_time
async def test_a_bus_that_hangs_before_or_after_letting_in_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bus in (LittleBus(objects(), deaf=True), LittleBus(lambda _: None)):
        began = time.monotonic()
        (finding,) = await ask(tmp_path, monkeypatch, bus, within_s=0.2)
        assert finding.level is Level.ERROR
        assert "no answer within 0.2 s" in finding.found
        assert time.monotonic() - began < 2
        (tmp_path / "bus").unlink(missing_ok=True)


@in_real_time
async def test_an_answer_that_is_none_ends_no_other_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbus_fast import Message

    odd = LittleBus(lambda call: Message.new_method_return(call, "s", ["hci0, of course"]))
    (finding,) = await ask(tmp_path, monkeypatch, odd)
    assert finding.level is Level.ERROR
    assert "not understood" in finding.found


@pytest.mark.parametrize(("joined", "says"), [(True, "usermod -aG bluetooth"), (False, "bluetooth.conf")])
def test_the_group_is_named_where_it_helps(joined: bool, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "may_join", lambda name: joined)
    assert says in linux.allow()


def test_a_group_that_there_is_not_and_one_that_one_is_in_cannot_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    import grp

    own = grp.getgrgid(os.getegid()).gr_name
    assert not linux.may_join("no-such-group-here")
    assert not linux.may_join(own)
    monkeypatch.setattr(os, "getegid", lambda: 999_999)
    monkeypatch.setattr(os, "getgroups", list)
    assert linux.may_join(own)


# BlueZ's version


def tool(folder: Path, script: str) -> None:
    path = folder / "bluetoothctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "level", "found"),
    [
        ("echo 'bluetoothctl: 5.66'", Level.OK, "5.66"),
        ("echo 5.55", Level.OK, "5.55"),
        ("echo 5.54", Level.WARNING, "5.54"),
        ("echo 4.101", Level.WARNING, "4.101"),
        ("echo 6.0", Level.OK, "6.0"),
        ("echo oh dear; exit 1", Level.OK, "not known: bluetoothctl gave no number"),
    ],
)
def test_the_version_by_bluez_own_tool(
    script: str, level: Level, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = linux.check_bluez_version()
    assert (finding.level, finding.found) == (level, found)


def test_a_tool_that_is_missing_or_hangs_is_no_reason_to_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not installed" in linux.check_bluez_version("no-such-program-here").found
    tool(tmp_path, "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(linux, "VERSION_WITHIN_S", 0.2)
    began = time.monotonic()
    assert "gave no answer" in linux.check_bluez_version().found
    assert time.monotonic() - began < 5
