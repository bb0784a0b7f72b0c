"""How the commands find pens: what `scan` prints, which pen is taken without `--pen`, and which ones `stop` stops."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dermalink import discovery
from dermalink.cli import connecting
from dermalink.cli.app import app
from dermalink.cli.exit_codes import ExitCode
from dermalink.discovery import Discovery, Found, FoundPen, Nearby, Silent
from dermalink.errors import BluetoothOff, NoSuchPort, PortBusy
from dermalink.ownership.store import own_store
from dermalink_protocol.messages.identity import HelloReply
from tests.support.memory_pipe import MemoryPipe
from tests.support.owned import keys_of
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import ScriptedPen

HELLO = HelloReply(**ScriptedPen(MemoryPipe()).hello, tick_ms=0)
OWN = HELLO.serial_number.rstrip(b"\0").decode()
CABLE = FoundPen("serial:/dev/ttyACM0", HELLO)
SAME = Nearby(f"ble:{OWN}", OWN, f"Dermalink {OWN}", -58)
OTHER = Nearby("ble:DP-2", "DP-2", "Dermalink DP-2", -71)
NAMELESS = Nearby("ble:00:11:22:33:44:55", "", "", None)
HELD = Nearby("ble:00:11:22:33:44:66", "DP-3", "Dermalink DP-3", None, held=True)
BUSY = Silent("serial:/dev/ttyS0", PortBusy("It is held", advice="Close it"))
OFF = Silent("ble:", BluetoothOff("this computer's Bluetooth cannot be opened", limit="it is switched off"))


class Room:
    """What `discover` finds: by cable, by air, each with how it was asked for; and how long it listens on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pens: tuple[FoundPen, ...] = ()
        self.nearby: tuple[Nearby, ...] = ()
        self.others: tuple[Silent, ...] = ()
        self.asked: list[dict[str, Any]] = []
        self.listen_s = 0.0
        self.mistake: Exception | None = None
        monkeypatch.setattr(discovery, "discover", self.discover)

    async def discover(self, urls: list[str] | None = None, found: Found = lambda _pen: None, **how: Any) -> Discovery:
        self.asked.append(how | ({"urls": urls} if urls else {}))
        serial, ble = how.get("serial", True), how.get("ble", True)
        for pen in self.pens if serial else ():
            found(pen)
        for near in self.nearby if ble else ():
            found(near)
        if ble:
            await asyncio.sleep(self.listen_s)
        if self.mistake is not None:
            raise self.mistake
        others = (silent for silent in self.others if (ble if silent.url.startswith("ble:") else serial))
        return Discovery(self.pens if serial else (), tuple(others), self.nearby if ble else ())


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


# scan


def test_a_pen_by_both_ways_is_one_and_what_gave_none_is_told_apart(room: Room) -> None:
    room.pens, room.nearby, room.others = (CABLE,), (SAME, OTHER, NAMELESS, HELD), (BUSY, OFF)
    result = run("scan")
    assert result.exit_code == ExitCode.DONE
    assert result.stdout.splitlines() == [
        f'serial:/dev/ttyACM0   pen {OWN}   "Dermalink {OWN}", -58 dBm',
        f"                      also ble:{OWN}",
        'ble:DP-2   pen DP-2   "Dermalink DP-2", -71 dBm',
        "ble:00:11:22:33:44:55   a pen",
        'ble:00:11:22:33:44:66   pen DP-3   "Dermalink DP-3", this computer is connected to it',
    ]
    assert result.stderr.splitlines() == [
        "serial:/dev/ttyS0   no pen: It is held. Close it",
        "ble:   no pen: this computer's Bluetooth cannot be opened; it is switched off",
    ]


def test_json_has_every_field_on_every_line(room: Room) -> None:
    room.pens, room.nearby, room.others = (CABLE,), (SAME, HELD), (OFF,)
    result = run("scan", "--json")
    one, held, off = (json.loads(line) for line in result.stdout.splitlines())
    assert one == {
        "kind": "serial",
        "url": "serial:/dev/ttyACM0",
        "serial_number": OWN,
        "name": f"Dermalink {OWN}",
        "rssi": -58,
        "held": False,
        "also": [f"ble:{OWN}"],
        "why": None,
    }
    assert (held["kind"], held["rssi"], held["held"]) == ("ble", None, True)
    assert one.keys() == held.keys() == off.keys()
    assert off["kind"] == "ble"
    assert "switched off" in off["why"]
    assert off["serial_number"] is None
    assert result.stderr == ""


def test_nothing_found_has_its_exit_code_in_both_forms(room: Room) -> None:
    room.others = (OFF,)
    for words in (["scan"], ["scan", "--json"]):
        result = run(*words)
        assert result.exit_code == ExitCode.NO_PEN
        assert "No pen is found" in result.stderr
    room.nearby = (OTHER,)
    assert run("scan").exit_code == ExitCode.DONE


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ([], {"serial": True, "ble": True, "radio": None}),
        (["--serial"], {"serial": True, "ble": False, "radio": None}),
        (["--ble"], {"serial": False, "ble": True, "radio": None}),
        (["--serial", "--ble"], {"serial": True, "ble": True, "radio": None}),
        (["--radio", " usb:0 "], {"serial": True, "ble": True, "radio": "usb:0"}),
    ],
)
def test_where_to_look_is_chosen(words: list[str], how: dict[str, Any], room: Room) -> None:
    run("scan", *words)
    assert room.asked == [how]


def test_urls_that_are_named_get_the_radio_and_are_asked_alone(room: Room) -> None:
    run("scan", "ble:DP-1", "serial:x", "--radio", "usb:0")
    assert room.asked[0]["urls"] == ["ble:DP-1?radio=usb:0", "serial:x"]


@pytest.mark.parametrize("words", [["ble:DP-1", "--ble"], ["serial:x", "--serial"], ["--radio", ""], ["--radio", " "]])
def test_words_that_contradict_each_other_are_a_mistake_of_usage(words: list[str], room: Room) -> None:
    assert run("scan", *words).exit_code == ExitCode.USAGE
    assert room.asked == []


def test_looking_at_cables_alone_imports_no_bluetooth() -> None:
    code = (
        "import sys; from dermalink import discovery\n"
        "async def none(): return ()\n"
        "discovery.serial_urls = none\n"
        "from dermalink.cli.app import app\n"
        "try: app(['scan', '--serial'])\n"
        "except SystemExit: pass\n"
        "print('found', sorted({'bleak', 'bumble', 'dbus_fast'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "found []"


# Which pen, when none is named


@in_virtual_time
async def test_a_cable_goes_first_and_nobody_listens_who_has_one(room: Room) -> None:
    room.pens, room.nearby = (CABLE,), (OTHER,)
    assert await connecting.the_one_pen() == CABLE.url
    assert room.asked == [{"ble": False}]


@in_virtual_time
async def test_without_a_cable_the_only_pen_on_the_air_is_taken_but_none_that_is_held(room: Room) -> None:
    room.nearby = (OTHER, HELD)
    assert await connecting.the_one_pen() == OTHER.url
    room.nearby = (HELD,)
    with pytest.raises(NoSuchPort, match="this computer is connected to Dermalink DP-3 already"):
        await connecting.the_one_pen()


@in_virtual_time
async def test_two_of_a_kind_are_named_and_none_is_taken(room: Room) -> None:
    room.pens = (CABLE, FoundPen("serial:/dev/ttyACM1", HELLO))
    with pytest.raises(
        connecting.SeveralPens, match=r"2 pens answer: serial:/dev/ttyACM0 .*, serial:/dev/ttyACM1 .*--pen URL"
    ):
        await connecting.the_one_pen()
    room.pens, room.nearby = (), (OTHER, SAME)
    with pytest.raises(connecting.SeveralPens, match=rf"2 pens are heard: ble:DP-2 \(DP-2\), ble:{OWN} .*--pen URL"):
        await connecting.the_one_pen()


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_of_several_the_only_one_that_this_computer_has_keys_of_is_taken(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMALINK_KEYS", str(tmp_path / "keys"))
    own_store().keep(keys_of(SAME.serial_number))
    room.nearby = (OTHER, SAME)
    assert await connecting.the_one_pen() == SAME.url
    with pytest.raises(connecting.SeveralPens):
        await connecting.the_one_pen(own_first=False)
    room.nearby = (OTHER, SAME, SAME._replace(url="ble:false"))
    with pytest.raises(connecting.SeveralPens):
        await connecting.the_one_pen()


@in_virtual_time
async def test_none_at_all_says_why_the_air_gave_none(room: Room) -> None:
    room.others = (BUSY, OFF)
    with pytest.raises(NoSuchPort, match="none is heard on the air; it is switched off"):
        await connecting.the_one_pen()
