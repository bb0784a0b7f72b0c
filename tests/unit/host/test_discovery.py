"""Finding pens by asking, and connecting again."""

import asyncio
import threading
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError
from bleak.exc import BleakBluetoothNotAvailableReason as Reason

import dermalink.discovery
from dermalink.discovery import LISTEN_S, Discovery, Nearby, discover, serial_urls, with_radio
from dermalink.errors import (
    AnotherPen,
    BadUrl,
    BluetoothForbidden,
    BluetoothOff,
    CannotOpen,
    IncompatiblePen,
    LinkLost,
    NoBluetooth,
    NoRadio,
    NoSuchPen,
    NoSuchPort,
    PortBusy,
    RadioBusy,
    Timeout,
)
from dermalink.links import ble_finding, ble_platform, ble_radio
from dermalink.links.ble import split
from dermalink.links.ble_turns import LISTEN, Place
from dermalink.links.stream import StreamLink
from dermalink.pen import Pen
from dermalink.reconnect import FIRST_S, LONGEST_S, Backoff, Reconnector
from dermalink_protocol.channels import SERVICE_UUID
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.identity import Hello, HelloReply
from dermalink_simulator.doors.ble import BleDoor
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.runner import PenRunner
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_real_time, in_virtual_time
from tests.unit.host.scripted_pen import SERIAL, ScriptedPen, connect_to


class Ports:
    """Ports by URL: each a scripted pen, or the error that opening gives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pens: dict[str, ScriptedPen | Exception | None] = {}
        monkeypatch.setattr(dermalink.discovery, "open_link", self.open)

    async def open(self, url: str) -> StreamLink:
        there = self.pens[url]
        if isinstance(there, Exception):
            raise there
        if there is None:
            await asyncio.Event().wait()
        assert isinstance(there, ScriptedPen)
        return StreamLink(there.pipe, url)


def silent() -> ScriptedPen:
    pen = ScriptedPen(MemoryPipe())
    pen.silent_to(Hello)
    return pen


def old() -> ScriptedPen:
    pen = ScriptedPen(MemoryPipe())
    pen.hello["protocol_version"] = 9
    return pen


@in_virtual_time
async def test_every_port_is_asked_at_once_and_a_broken_one_stops_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Ports(monkeypatch)
    ports.pens = {
        "serial:A": ScriptedPen(MemoryPipe()),
        "serial:B": PortBusy("held"),
        "serial:C": None,
        "serial:D": silent(),
        "serial:E": ScriptedPen(MemoryPipe()),
        "serial:F": old(),
    }
    found = await discover(ports.pens)
    assert asyncio.get_running_loop().time() <= 2.5
    assert [(pen.url, pen.hello.serial_number[:11]) for pen in found.pens] == [
        ("serial:A", SERIAL.encode()),
        ("serial:E", SERIAL.encode()),
    ]
    assert [(other.url, type(other.why)) for other in found.others] == [
        ("serial:B", PortBusy),
        ("serial:C", CannotOpen),
        ("serial:D", Timeout),
        ("serial:F", IncompatiblePen),
    ]
    assert all(pen.pipe.closes == 1 for pen in ports.pens.values() if isinstance(pen, ScriptedPen))


@in_virtual_time
async def test_asking_changes_nothing_in_a_pen(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Ports(monkeypatch)
    pen = ScriptedPen(MemoryPipe())
    ports.pens = {"serial:A": pen}
    await discover(["serial:A", "serial:A"])
    assert [type(each) for each in pen.seen] == [Hello]


@in_real_time
async def test_the_systems_ports_are_listed() -> None:
    assert all(url.startswith("serial:") for url in await serial_urls())


@pytest.mark.parametrize(("broken", "says"), [(OSError("a driver's own words"), "own words"), (None, "within 0.1 s")])
@in_real_time
async def test_a_list_of_ports_that_fails_or_hangs_is_told_and_stops_nothing(
    broken: OSError | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serial.tools import list_ports

    ended = threading.Event()

    def comports() -> list[Any]:
        if broken is not None:
            raise broken
        ended.wait(60)
        return []

    monkeypatch.setattr(list_ports, "comports", comports)
    monkeypatch.setattr(dermalink.discovery, "LIST_WITHIN_S", 0.1)
    try:
        found = await discover(ble=False)
    finally:
        ended.set()
    (silent,) = found.others
    assert silent.url == "serial:"
    assert says in str(silent.why)


# On the air


class Ether(BaseBleakScanner):
    """A scanner that hears what the test says, or fails, or hangs, in place of bleak's for this system."""

    heard: tuple[tuple[str, str, int], ...] = ()
    later: tuple[tuple[str, str, int], ...] = ()
    start_fails: Exception | None = None
    hangs = False
    clings = False  # does not let itself be cancelled
    runs = 0

    def __init__(self, detection_callback: Any, service_uuids: list[str] | None, *_: Any, **__: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        assert service_uuids == [str(SERVICE_UUID)]

    async def start(self) -> None:
        cls = type(self)
        cls.runs += 1
        if cls.start_fails is not None:
            raise cls.start_fails
        while cls.hangs:
            try:
                await asyncio.sleep(60 if cls.clings else 3_600)
            except asyncio.CancelledError:
                if not cls.clings:
                    raise
        self._hear(cls.heard)
        asyncio.get_running_loop().call_later(1.0, self._hear, cls.later)

    def _hear(self, heard: tuple[tuple[str, str, int], ...]) -> None:
        for address, name, rssi in heard:
            said = AdvertisementData(name, {}, {}, [str(SERVICE_UUID)], None, rssi, ())
            device = self.create_or_update_device(address, address, name, None, said)
            self.call_detection_callbacks(device, said)

    async def stop(self) -> None:
        type(self).runs -= 1


@pytest.fixture
def ether(monkeypatch: pytest.MonkeyPatch) -> type[Ether]:
    """The system's radio, played; nothing on a cable, and nothing that the system holds."""
    played = type("Played", (Ether,), {})

    def radio_of(spec: str | None = None) -> ble_radio.Radio:
        return ble_radio.Radio(spec or "", None, played)

    async def no_ports() -> tuple[str, ...]:
        return ()

    monkeypatch.setattr(ble_radio, "radio_of", radio_of)
    monkeypatch.setattr(dermalink.discovery, "serial_urls", no_ports)
    return played


FIRST, SECOND, THIRD = "00:11:22:33:44:01", "00:11:22:33:44:02", "00:11:22:33:44:03"


@in_virtual_time
async def test_pens_on_the_air_are_told_by_what_they_advertise_the_strongest_first(ether: type[Ether]) -> None:
    ether.heard = ((FIRST, "Dermalink DP-1", -70), (SECOND, "Dermalink DP-2", -50), (FIRST[:-1] + "9", "Odd", -127))
    found = await discover()
    assert found.nearby == (
        Nearby("ble:DP-2", "DP-2", "Dermalink DP-2", -50),
        Nearby("ble:DP-1", "DP-1", "Dermalink DP-1", -70),
        Nearby("ble:00:11:22:33:44:09", "", "Odd", None),
    )
    assert not found.pens
    assert not found.others
    assert ether.runs == 0  # stopped as often as started


@in_virtual_time
async def test_a_name_that_would_move_a_terminal_is_told_without_what_does(ether: type[Ether]) -> None:
    ether.heard = ((FIRST, "\x1b[2JPen\n\x07 é\u202e", -70),)
    (near,) = (await discover()).nearby
    assert near.name == "?[2JPen?? é?"


@in_virtual_time
async def test_a_radio_that_was_named_is_in_the_urls(ether: type[Ether]) -> None:
    ether.heard = ((FIRST, "Dermalink DP-1", -70),)
    found = await discover(radio="air:[interval=30]a&b")
    assert [near.url for near in found.nearby] == ["ble:DP-1?radio=air:[interval%3D30]a%26b"]
    assert split(found.nearby[0].url.removeprefix("ble:")) == ("DP-1", "air:[interval=30]a&b")


@in_virtual_time
async def test_cables_and_air_are_looked_at_at_the_same_time(
    ether: type[Ether], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = Ports(monkeypatch)
    ports.pens = {"serial:A": ScriptedPen(MemoryPipe()), "serial:B": None}
    ether.heard = ((FIRST, f"Dermalink {SERIAL}", -40), (SECOND, "Dermalink DP-2", -50))

    async def urls() -> tuple[str, ...]:
        return tuple(ports.pens)

    monkeypatch.setattr(dermalink.discovery, "serial_urls", urls)
    found = await discover()
    assert asyncio.get_running_loop().time() <= LISTEN_S + 0.1
    assert [pen.url for pen in found.pens] == ["serial:A"]
    assert [other.url for other in found.others] == ["serial:B"]
    # One pen by both ways is one, by the cable first.
    assert found.urls() == {SERIAL: ("serial:A", f"ble:{SERIAL}"), "DP-2": ("ble:DP-2",)}


@in_virtual_time
async def test_each_pen_is_told_of_once_and_at_once_while_others_are_still_looked_for(
    ether: type[Ether], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = Ports(monkeypatch)
    ports.pens = {"serial:A": ScriptedPen(MemoryPipe()), "serial:B": None}

    async def urls() -> tuple[str, ...]:
        return tuple(ports.pens)

    monkeypatch.setattr(dermalink.discovery, "serial_urls", urls)
    ether.heard = ((FIRST, "", -70), (SECOND, "Dermalink DP-2", -50))
    ether.later = ((FIRST, "Dermalink DP-1", -70), (SECOND, "Dermalink DP-2", -40), (THIRD, "Dermalink DP-2", -40))
    told: dict[str, float] = {}
    found = await discover(found=lambda pen: told.setdefault(pen.url, asyncio.get_running_loop().time()))
    assert set(told) == {"serial:A", f"ble:{FIRST}", "ble:DP-2"}  # by its address, whose name came late
    assert max(told.values()) < 0.01
    assert {near.serial_number for near in found.nearby} == {"DP-1", "DP-2"}
    assert asyncio.get_running_loop().time() >= LISTEN_S


@in_virtual_time
async def test_one_that_announces_anothers_name_hides_it_from_nobody(ether: type[Ether]) -> None:
    ether.heard = ((FIRST, "", -70),)
    ether.later = ((FIRST, "Dermalink DP-1", -70), (SECOND, "Dermalink DP-1", -50))
    told: list[str] = []
    await discover(found=lambda pen: told.append(pen.url))
    assert told == [f"ble:{FIRST}", "ble:DP-1"]


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (BleakBluetoothNotAvailableError("x", Reason.POWERED_OFF), BluetoothOff, "switched off"),
        (BleakBluetoothNotAvailableError("x", Reason.NO_BLUETOOTH), NoBluetooth, "no Bluetooth adapter"),
        (BleakBluetoothNotAvailableError("x", Reason.DENIED_BY_USER), BluetoothForbidden, "does not allow"),
        (PermissionError(13, "Permission denied"), BluetoothForbidden, "does not allow"),
        (ZeroDivisionError("of somebody's"), CannotOpen, "of somebody's"),
    ],
)
@in_virtual_time
async def test_a_radio_that_is_broken_off_or_absent_is_one_line_and_stops_no_port(
    error: Exception, kind: type[Exception], says: str, ether: type[Ether], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = Ports(monkeypatch)
    ports.pens = {"serial:A": ScriptedPen(MemoryPipe())}

    async def urls() -> tuple[str, ...]:
        return tuple(ports.pens)

    monkeypatch.setattr(dermalink.discovery, "serial_urls", urls)
    ether.start_fails = error
    found = await discover()
    assert [pen.url for pen in found.pens] == ["serial:A"]
    (silent,) = found.others
    assert silent.url == "ble:"
    assert isinstance(silent.why, kind)
    assert says in str(silent.why)
    assert silent.why.advice


@pytest.mark.parametrize("clings", [False, True])
@in_virtual_time
async def test_a_scanner_that_hangs_is_given_up_in_bounded_time(clings: bool, ether: type[Ether]) -> None:
    ether.hangs, ether.clings = True, clings
    found = await discover()
    assert asyncio.get_running_loop().time() <= 5.1
    (silent,) = found.others
    assert silent.url == "ble:"
    assert isinstance(silent.why, NoBluetooth)
    assert "did not begin to listen within 5 s" in str(silent.why)
    found = await discover(radio="air:hall")
    assert [type(silent.why) for silent in found.others] == [NoRadio]
    ether.hangs = False  # whoever clings lets go now
    await asyncio.sleep(120)


@in_virtual_time
async def test_a_radio_that_cannot_be_had_is_told_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await discover(serial=False, radio="air:nobody")
    (silent,) = found.others
    assert silent.url == "ble:?radio=air:nobody"
    assert isinstance(silent.why, NoRadio)
    monkeypatch.setenv("DERMALINK_RADIO", "air:nobody")
    (silent,) = (await discover(serial=False)).others
    assert silent.url == "ble:"
    assert isinstance(silent.why, NoRadio)


@in_virtual_time
async def test_who_looks_at_cables_alone_touches_no_radio_and_the_other_way_round(
    ether: type[Ether], monkeypatch: pytest.MonkeyPatch
) -> None:
    ether.start_fails = AssertionError("it was touched")
    assert await discover(ble=False) == Discovery((), ())
    assert [silent.url for silent in (await discover(["nonsense"])).others] == ["nonsense"]

    async def touched() -> tuple[str, ...]:
        raise AssertionError("ports were touched")

    ether.start_fails = None
    monkeypatch.setattr(dermalink.discovery, "serial_urls", touched)
    assert await discover(serial=False) == Discovery((), ())


@in_virtual_time
async def test_a_pen_on_the_air_that_is_named_is_listened_for_and_not_connected_to(
    ether: type[Ether], monkeypatch: pytest.MonkeyPatch
) -> None:
    ether.heard = ((FIRST, "Dermalink DP-1", -70), (SECOND, "Dermalink DP-2", -50))

    async def no_link(url: str) -> StreamLink:
        raise AssertionError(f"{url} was connected to")

    monkeypatch.setattr(dermalink.discovery, "open_link", no_link)
    found = await discover(["ble:DP-2", f"ble:{FIRST}", "ble:DP-9", "ble:"])
    assert [(near.url, near.serial_number, near.rssi) for near in found.nearby] == [
        ("ble:DP-2", "DP-2", -50),
        (f"ble:{FIRST}", "DP-1", -70),
    ]
    assert [(silent.url, type(silent.why)) for silent in found.others] == [("ble:DP-9", NoSuchPen), ("ble:", BadUrl)]


@in_virtual_time
async def test_pens_that_this_computer_is_connected_to_are_named_though_they_are_silent(
    ether: type[Ether], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ble_radio, "radio_of", lambda spec=None: ble_radio.Radio())
    monkeypatch.setattr(ble_radio, "backend_of", lambda backend: {"backend": ether})
    monkeypatch.setattr(ble_finding, "backend_of", lambda backend: {"backend": ether})
    ether.heard = ((FIRST, "Dermalink DP-1", -70),)

    async def held(service: str) -> list[BLEDevice]:
        assert service == str(SERVICE_UUID)
        return [BLEDevice(FIRST, "Dermalink DP-1", None), BLEDevice(SECOND, "Dermalink DP-2", None)]

    monkeypatch.setattr(ble_platform, "held_devices", held)
    told: dict[str, float] = {}
    found = await discover(found=lambda pen: told.setdefault(pen.url, asyncio.get_running_loop().time()))
    assert max(told.values()) < 0.01
    assert f"ble:{SECOND}" in told
    assert found.nearby[1:] == (Nearby(f"ble:{SECOND}", "DP-2", "Dermalink DP-2", None, held=True),)

    async def hung(service: str) -> list[BLEDevice]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(ble_platform, "held_devices", hung)
    began = asyncio.get_running_loop().time()
    assert [near.url for near in (await discover()).nearby] == ["ble:DP-1"]
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0), "as long as is listened, and no longer"


def test_a_radio_that_another_loop_listens_by_for_ever_is_told_as_that(ether: type[Ether]) -> None:
    async def hold() -> None:
        await Place(LISTEN, ble_radio.Radio(), "listening for pens").take()

    async def look() -> None:
        (silent,) = (await discover()).others
        assert isinstance(silent.why, RadioBusy)
        assert "this program is listening for pens" in str(silent.why)

    with asyncio.Runner() as here, asyncio.Runner(loop_factory=VirtualTimeLoop) as there:
        here.run(hold())
        there.run(look())
    assert ether.runs == 0


@in_virtual_time
async def test_whoever_stops_looking_leaves_no_scanner_running(ether: type[Ether]) -> None:
    looking = asyncio.ensure_future(discover())
    await asyncio.sleep(1)
    assert ether.runs == 1
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert ether.runs == 0  # now, and not later: the loop may end here


@in_virtual_time
async def test_a_pen_on_the_air_in_use_is_heard_over_the_whole_stack_and_not_disturbed() -> None:
    runner = PenRunner(SimulatedPen(seed=7))
    door = await BleDoor.open(runner, "air:hall", serial_number="DL-SIM-00000007", seed=7, air="perfect")
    try:
        async with await Pen.connect("ble:DL-SIM-00000007?radio=air:hall", inspect_only=True) as pen:
            found = await discover(serial=False, radio="air:hall")
            assert [near.url for near in found.nearby] == ["ble:DL-SIM-00000007?radio=air:hall"]
            assert not found.others
            assert door.links == 1
            assert pen.connection.error is None
            await pen.status()
    finally:
        await door.close()
        runner.stop()


@pytest.mark.parametrize(
    ("url", "radio", "comes"),
    [
        ("ble:DP-1", None, "ble:DP-1"),
        ("ble:DP-1", "usb:0", "ble:DP-1?radio=usb:0"),
        ("ble:DP-1?radio=air:a", "usb:0", "ble:DP-1?radio=air:a"),
        ("serial:x", "usb:0", "serial:x"),
    ],
)
def test_a_radio_is_put_into_urls_that_need_one(url: str, radio: str | None, comes: str) -> None:
    assert with_radio(url, radio) == comes


# Connecting again


class Coming:
    """A pen that is there at some tries; each try and each close is noted."""

    def __init__(self, *tries: Exception | None) -> None:
        self.tries = list(tries)
        self.at: list[float] = []
        self.closed = 0

    async def connect(self) -> "Coming":
        self.at.append(asyncio.get_running_loop().time())
        error = self.tries.pop(0) if self.tries else None
        if error is not None:
            raise error
        return self

    async def close(self) -> None:
        self.closed += 1


def test_pauses_double_up_to_a_longest() -> None:
    backoff = Backoff()
    pauses = [backoff.next_s() for _ in range(9)]
    assert pauses[0] == FIRST_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S
    backoff.reset()
    assert backoff.next_s() == FIRST_S


@in_virtual_time
async def test_an_absent_pen_is_tried_again_with_growing_pauses() -> None:
    coming = Coming(*[NoSuchPort("gone")] * 7)
    told: list[float] = []
    async for connected in Reconnector(coming.connect, on_failure=lambda _, pause: told.append(pause)):
        assert connected is coming
        break
    assert told == [0.25, 0.5, 1, 2, 4, 8, 8]
    assert [later - earlier for earlier, later in zip(coming.at, coming.at[1:], strict=False)] == told


@in_virtual_time
async def test_each_turn_is_a_new_connection_and_the_old_one_is_closed() -> None:
    coming = Coming()
    turns = 0
    async for _ in Reconnector(coming.connect):
        assert coming.closed == turns
        turns += 1
        if turns == 3:
            break
        await asyncio.sleep(60)
    await asyncio.sleep(0)
    assert len(coming.at) == 3


class Claimed(Coming):
    """Says who it is."""

    def __init__(self, serial_number: str, *, sealed: bool) -> None:
        super().__init__()
        self.serial_number, self.sealed = serial_number, sealed


@pytest.mark.sr("SR-SES-1", "SR-SEC-1", side="host")
@in_virtual_time
async def test_only_the_same_pen_proved_as_before_is_taken_for_it() -> None:
    ours, again = Claimed("A", sealed=True), Claimed("A", sealed=True)
    other, stripped = Claimed("B", sealed=True), Claimed("A", sealed=False)
    coming = iter((ours, other, stripped, again))
    told: list[object] = []

    async def connect() -> Claimed:
        return next(coming)

    taken: list[Claimed] = []
    async for connected in Reconnector(connect, on_failure=lambda error, _: told.append((type(error), error.rule))):
        taken.append(connected)
        if len(taken) == 2:
            break
    assert taken == [ours, again]
    assert told == [(AnotherPen, "SR-SES-1"), (AnotherPen, "SR-SEC-1")]
    assert (other.closed, stripped.closed) == (1, 1)


async def first(reconnector: Reconnector[Coming]) -> Coming:
    """What it connects to first."""
    async for connected in reconnector:
        return connected
    raise AssertionError("it ended without an error")


@in_virtual_time
async def test_it_gives_up_when_told_to_and_at_once_on_what_waiting_does_not_mend() -> None:
    coming = Coming(*[LinkLost("gone")] * 9)
    with pytest.raises(LinkLost):
        await first(Reconnector(coming.connect, tries=3))
    assert len(coming.at) == 3
    refused = Coming(IncompatiblePen("too new"))
    with pytest.raises(IncompatiblePen):
        await first(Reconnector(refused.connect))


@in_virtual_time
async def test_a_connection_that_breaks_at_once_is_not_hammered() -> None:
    coming = Coming()
    async for _ in Reconnector(coming.connect):
        if len(coming.at) == 6:
            break
    assert coming.at[-1] >= 0.25 + 0.5 + 1 + 2 + 4


@pytest.mark.sr("SR-STOP-5", side="host")
@in_virtual_time
async def test_connecting_again_resumes_nothing() -> None:
    scripts: list[ScriptedPen] = []

    async def connect() -> Pen:
        scripts.append(ScriptedPen(MemoryPipe()))
        return await connect_to(scripts[-1])

    async for pen in Reconnector(connect):
        scripts[-1].pipe.cut()
        await pen.connection.wait_ended()
        if len(scripts) == 4:
            break
    sent: list[Any] = [each for script in scripts for each in script.seen]
    assert not [each for each in sent if isinstance(each, therapy.TherapyCommand | therapy.RenewLease)]
    assert not [each for each in sent if isinstance(each, HelloReply)]
