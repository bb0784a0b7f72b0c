"""Devices that announce the same serial number: none is opened by it, and no Stop is kept from any of them."""

import asyncio
from collections.abc import Callable

import pytest
from bleak.exc import BleakDBusError

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import StopResult, stop_pens
from dermalink.discovery import discover
from dermalink.errors import CannotOpen, PairingRefused, SeveralPens
from dermalink.links.ble import namesakes
from dermalink.links.ble_client import CONNECT_WITHIN_S
from dermalink.links.ble_finding import FIND_WITHIN_S, NAMESAKE_S, find_pen, find_pens, find_whichever
from dermalink.links.ble_tries import TRIES
from dermalink.links.open import open_link
from dermalink_protocol.channels import Channel
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral
from tests.air.host.rig import opened, using
from tests.support.running import in_virtual_time

SERIAL = "DP1-00042"
URL = f"ble:{SERIAL}"
PEN, COPY, THIRD = (f"C0:FF:EE:00:00:0{number}" for number in range(1, 4))


def pair(*, copy_s: float = 0.1, pen_s: float = 0.1, serial_number: str = SERIAL) -> Computer:
    """A pen and a device that copies its serial number."""
    pen, copy = Peripheral(SERIAL, address=PEN), Peripheral(serial_number, address=COPY)
    pen.interval_s, copy.interval_s = pen_s, copy_s
    return Computer(copy, pen)


def stops(computer: Computer) -> dict[str, int]:
    """How many Stops came at each address."""
    return {
        each.address: sum(channel is Channel.STOP for channel, _, _ in each.written) for each in computer.peripherals
    }


# Opening


@pytest.mark.parametrize("wanted", [SERIAL, SERIAL.lower(), f"Dermalink {SERIAL}"])
@pytest.mark.parametrize("copied", [SERIAL, SERIAL.lower()])
@in_virtual_time
async def test_two_devices_of_one_serial_number_are_refused_with_the_address_of_each(copied: str, wanted: str) -> None:
    computer = pair(serial_number=copied)
    if wanted.startswith("Dermalink"):
        computer.peripherals[0].name = wanted
    with pytest.raises(SeveralPens, match="2 devices announce that serial number") as caught:
        await opened(computer, wanted)
    spec = computer.radio().spec
    assert set(caught.value.pens) == {f"ble:{PEN}?radio={spec}", f"ble:{COPY}?radio={spec}"}
    assert all(address in caught.value.advice for address in (PEN, COPY))
    assert not computer.clients


@in_virtual_time
async def test_each_of_them_is_opened_by_its_address() -> None:
    computer = pair()
    for pen in computer.peripherals:
        link = await opened(computer, pen.address)
        assert computer.clients[-1].peripheral is pen
        await link.close()


@in_virtual_time
async def test_a_serial_number_is_listened_for_so_long_that_a_namesake_is_heard_and_no_longer() -> None:
    await find_pen(Computer(Peripheral(SERIAL)).radio(), SERIAL)
    assert asyncio.get_running_loop().time() == pytest.approx(0.1 + NAMESAKE_S)


@in_virtual_time
async def test_a_namesake_that_is_heard_late_is_waited_for_until_it_is_known_which_it_is() -> None:
    computer = pair()
    copy, pen = computer.peripherals
    copy.advertises = False
    pen.interval_s = copy.interval_s = 0.8
    finding = asyncio.ensure_future(find_pen(computer.radio(), SERIAL))
    await asyncio.sleep(0.9)
    computer.peripherals[:] = [pen, copy]
    copy.advertises = True
    with pytest.raises(SeveralPens):
        await finding
    assert asyncio.get_running_loop().time() == pytest.approx(1.6 + NAMESAKE_S)


@in_virtual_time
async def test_a_pen_that_changes_its_address_meanwhile_is_one_under_the_new_one() -> None:
    computer = pair()
    copy, pen = computer.peripherals
    copy.advertises = False
    finding = asyncio.ensure_future(find_pen(computer.radio(), SERIAL))
    await asyncio.sleep(0.55)
    copy.advertises, pen.advertises = True, False
    seen = await finding
    assert (seen.address, seen.doubled) == (COPY, False)
    assert asyncio.get_running_loop().time() == pytest.approx(0.6 + NAMESAKE_S)


@in_virtual_time
async def test_who_changes_its_address_for_ever_holds_nobody_up_for_longer_than_a_search() -> None:
    computer = Computer(Peripheral(SERIAL, address="C0:00:00:00:00:00"))

    async def flee() -> None:
        for number in range(1, 200):
            await asyncio.sleep(0.1)
            computer.peripherals[:] = [Peripheral(SERIAL, address=f"C0:00:00:00:00:{number:02X}")]

    fleeing = asyncio.ensure_future(flee())
    assert (await find_pen(computer.radio(), SERIAL)).serial_number == SERIAL
    assert asyncio.get_running_loop().time() == pytest.approx(FIND_WITHIN_S)
    fleeing.cancel()


@in_virtual_time
async def test_both_are_listed_by_address_and_never_taken_for_two_ways_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    computer = pair()
    found = await find_pens(computer.radio(), 2.0)
    assert [(seen.address, seen.doubled) for seen in found] == [(PEN, True), (COPY, True)]
    monkeypatch.setattr("dermalink.links.ble_radio.radio_of", lambda _spec=None: computer.radio())
    heard = await discover(serial=False)
    assert heard.urls() == {f"ble:{PEN}": (f"ble:{PEN}",), f"ble:{COPY}": (f"ble:{COPY}",)}


# Stop


@in_virtual_time
async def test_whoever_is_heard_first_takes_stop_at_once() -> None:
    computer = pair()
    await find_whichever(computer.radio(), SERIAL)
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
    with using(computer):
        await (await open_link(URL, stop_first=True)).close()
    assert sum(stops(computer).values()) == 1


@pytest.mark.parametrize("named", [True, False])
@in_virtual_time
async def test_each_of_them_is_stopped(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    computer = pair()
    monkeypatch.setattr("dermalink.links.ble_radio.radio_of", lambda _spec=None: computer.radio())
    told: list[StopResult] = []
    with using(computer):
        await stop_pens(URL if named else None, told.append)
    assert all(stops(computer).values())
    assert len(told) == 2
    assert told[0].url == URL
    assert told[1].url.split("?")[0] in (f"ble:{PEN}", f"ble:{COPY}")


@in_virtual_time
async def test_a_copy_that_holds_up_the_first_stop_keeps_none_from_the_pen() -> None:
    computer = pair()
    copy, pen = computer.peripherals
    copy.rssi = -20
    copy.without_response_error = OSError("queue full")
    with using(computer):
        await stop_pens(URL, lambda _result: None)
    assert stops(computer)[pen.address] > 0


@in_virtual_time
async def test_one_that_is_alone_is_stopped_once() -> None:
    computer = Computer(Peripheral(SERIAL))
    told: list[StopResult] = []
    with using(computer):
        await stop_pens(URL, told.append)
        assert await namesakes(f"ble:{PEN}", COPY) == ()
    assert [result.url for result in told] == [URL]
    assert [client.connects for client in computer.clients] == [1]


def _hangs(copy: Peripheral) -> None:
    copy.connect_s = FOREVER


def _wants_to_pair(copy: Peripheral) -> None:
    copy.subscribe_error = BleakDBusError("org.bluez.Error.AuthenticationFailed", [])


def _is_no_pen(copy: Peripheral) -> None:
    copy.properties.clear()


@pytest.mark.parametrize("spoil", [_hangs, _wants_to_pair, _is_no_pen])
@in_virtual_time
async def test_a_copy_that_cannot_be_opened_keeps_no_stop_from_the_pen(spoil: Callable[[Peripheral], None]) -> None:
    computer = pair()
    copy, pen = computer.peripherals
    copy.rssi = -20  # it is taken first, whenever it is heard
    spoil(copy)
    came_s: list[float] = []
    pen.on_message = lambda _channel, _body: came_s.append(asyncio.get_running_loop().time())
    with using(computer):
        await stop_pens(URL, lambda _result: None)
    assert stops(computer)[pen.address] > 0
    assert came_s[0] < CONNECT_WITHIN_S + 5.0


@in_virtual_time
async def test_many_copies_that_cannot_be_opened_use_up_no_tries() -> None:
    computer = pair()
    copy, pen = computer.peripherals
    copies = [copy, *(Peripheral(SERIAL, address=f"C0:00:00:00:00:0{number}") for number in range(2 * TRIES))]
    for each in copies:
        each.rssi = -20
        each.connect_error = BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"])
    computer.peripherals[:] = [*copies, pen]
    with using(computer):
        link = await open_link(URL, stop_first=True)
    assert stops(computer)[pen.address] == 1
    await link.close()


@in_virtual_time
async def test_one_that_fails_alone_is_tried_as_often_as_for_anything_else() -> None:
    device = Peripheral(SERIAL)
    device.connect_error = BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"])
    computer = Computer(device)
    with using(computer), pytest.raises(CannotOpen, match="abort-by-local"):
        await open_link(URL, stop_first=True)
    assert [client.disconnects for client in computer.clients] == [1] * TRIES


@in_virtual_time
async def test_one_that_wants_to_pair_is_not_asked_twice() -> None:
    device = Peripheral(SERIAL)
    _wants_to_pair(device)
    computer = Computer(device)
    with using(computer), pytest.raises(PairingRefused):
        await open_link(URL, stop_first=True)
    assert len(computer.clients) == 1


@in_virtual_time
async def test_a_radio_that_is_busy_for_a_moment_is_tried_again() -> None:
    computer = Computer(Peripheral(SERIAL))
    computer.scan_error = BleakDBusError("org.bluez.Error.InProgress", [])
    asyncio.get_running_loop().call_later(0.3, setattr, computer, "scan_error", None)
    with using(computer):
        await (await open_link(URL, stop_first=True)).close()
    assert sum(stops(computer).values()) == 1


@in_virtual_time
async def test_a_name_is_no_way_to_keep_a_stop_away_either() -> None:
    computer = Computer(Peripheral("A", name="My pen", address=PEN), Peripheral("B", name="My pen", address=COPY))
    told: list[StopResult] = []
    with using(computer):
        results = await stop_pens("ble:My%20pen", told.append)
    assert all(stops(computer).values())
    assert len(results) == 2
    assert all(result.code is not ExitCode.DONE for result in results)  # they answer nothing, and it is said of each
