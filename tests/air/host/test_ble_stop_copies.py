"""Stop among devices that would keep it from the pen: none has the radio for longer than it takes an ordinary pen."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bleak.exc import BleakDBusError

from dermalink.cli.exit_codes import ExitCode
from dermalink.cli.stopping import StopResult, stop_one, stop_pens
from dermalink.errors import CannotOpen, PairingRefused, RadioBusy
from dermalink.links import ble_stop_first
from dermalink.links.ble_client import (
    CHECK_WITHIN_S,
    CONNECT_WITHIN_S,
    GIVE_UP_S,
    REACH_WITHIN_S,
    SUBSCRIBE_WITHIN_S,
    PenClient,
)
from dermalink.links.ble_finding import NAMESAKE_S, find_pen
from dermalink.links.ble_stop_first import HEARD_MAX, STOP_TURN_S, stop_within_s
from dermalink.links.ble_tries import PAUSE_S
from dermalink.links.ble_turns import CONNECT, TURN_WITHIN_S, Place, turn
from dermalink.links.open import open_link
from dermalink_protocol.channels import Channel
from tests.air.host.fake_bleak import FOREVER, Computer, FakeClient, FakeScanner, Peripheral
from tests.air.host.on_air import on_air
from tests.air.host.rig import opened, using
from tests.support.running import in_virtual_time

SERIAL = "DP1-00042"
URL = f"ble:{SERIAL}"
TAKES_S = 2.0  # of an ordinary pen: heard, connected, a disconnect beside it
JUST_IN_TIME_S = SUBSCRIBE_WITHIN_S - 0.2


def among(count: int, spoil: Callable[[Peripheral], None], *, strangers: bool = False) -> tuple[Computer, Peripheral]:
    """A pen, and so many nearer devices that copy its serial number, or that have their own."""
    pen = Peripheral(SERIAL, address="C0:FF:EE:00:00:01")
    others = [
        Peripheral(f"DP1-{number:05}" if strangers else SERIAL, address=f"C0:00:00:00:00:{number:02X}")
        for number in range(count)
    ]
    for other in others:
        other.rssi = -20
        spoil(other)
    return Computer(*others, pen), pen


def mute(device: Peripheral) -> None:
    """It takes the connection and answers nothing."""
    device.connect_s = FOREVER


def slow_to_subscribe(device: Peripheral) -> None:
    device.subscribe_s = JUST_IN_TIME_S


class Stops:
    """When each address had its first Stop."""

    def __init__(self, computer: Computer) -> None:
        self.at: dict[str, float] = {}
        for device in computer.peripherals:
            device.on_message = lambda channel, _body, device=device: self._note(device, channel)  # type: ignore[misc]

    def _note(self, device: Peripheral, channel: Channel) -> None:
        if channel is Channel.STOP:
            self.at.setdefault(device.address, asyncio.get_running_loop().time())


async def stop(computer: Computer, monkeypatch: pytest.MonkeyPatch, pen: str | None = URL) -> list[StopResult]:
    """What is told of it."""
    monkeypatch.setattr("dermalink.links.ble_radio.radio_of", lambda _spec=None: computer.radio())
    told: list[StopResult] = []
    with using(computer):
        await stop_pens(pen, told.append)
    return told


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_copy_that_takes_stop_and_then_its_time_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    computer, pen = among(1, slow_to_subscribe)
    stops = Stops(computer)
    told = await stop(computer, monkeypatch)
    assert stops.at[pen.address] <= NAMESAKE_S + TAKES_S
    assert len(told) == 2
    assert all(result.sent and result.code is ExitCode.NOT_CONFIRMED for result in told)


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("count", [1, 3, 6])
@in_virtual_time
async def test_copies_that_answer_nothing_cost_an_ordinary_pens_time_each(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer, pen = among(count, mute)
    stops = Stops(computer)
    told = await stop(computer, monkeypatch)
    assert stops.at[pen.address] <= count * (STOP_TURN_S + 0.5) + TAKES_S
    assert list(stops.at) == [pen.address]
    assert {result.url.split("?")[0] for result in told} == {
        URL,
        *(f"ble:{device.address}" for device in computer.peripherals if device is not pen),
    }


@in_virtual_time
async def test_a_slow_pen_is_given_more_time_while_links_of_others_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    computer, pen = among(3, slow_to_subscribe, strangers=True)
    pen.connect_s = 4.5
    mute(computer.peripherals[0])
    stops = Stops(computer)
    await stop(computer, monkeypatch, None)
    assert stops.at[pen.address] <= 2 * STOP_TURN_S + 4 * REACH_WITHIN_S + TAKES_S


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_who_keeps_all_links_that_an_adapter_bears_keeps_no_stop_away(monkeypatch: pytest.MonkeyPatch) -> None:
    computer, pen = among(6, slow_to_subscribe, strangers=True)
    stops = Stops(computer)
    connect = FakeClient.connect

    async def connect_one_of_four(client: FakeClient, pair: bool, **options: Any) -> None:
        if sum(each.up for each in computer.clients) >= 4:
            await asyncio.sleep(0.1)
            raise BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"])
        await connect(client, pair, **options)

    monkeypatch.setattr(FakeClient, "connect", connect_one_of_four)
    await stop(computer, monkeypatch, None)
    assert stops.at[pen.address] <= CHECK_WITHIN_S + computer.disconnect_s + 2 * TAKES_S
    assert not ble_stop_first._checked[computer.radio().spec]
    assert set(stops.at) == {device.address for device in computer.peripherals}


@in_virtual_time
async def test_no_stop_waits_until_another_device_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    computer, pen = among(3, mute)
    stops = Stops(computer)
    disconnect = FakeClient.disconnect

    async def disconnect_slowly(client: FakeClient) -> None:
        if client.peripheral is not pen:
            await asyncio.sleep(computer.disconnect_s)
        await disconnect(client)

    monkeypatch.setattr(FakeClient, "disconnect", disconnect_slowly)
    await stop(computer, monkeypatch)
    assert stops.at[pen.address] <= 3 * (STOP_TURN_S + 0.3) + TAKES_S


@in_virtual_time
async def test_where_nobody_is_heard_beside_a_connect_only_the_first_copy_has_all_of_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computer, pen = among(4, mute)
    stops = Stops(computer)
    hear = FakeScanner._heard

    def hear_beside_no_connect(scanner: FakeScanner, device: Peripheral) -> None:
        if not computer.connecting:
            hear(scanner, device)

    monkeypatch.setattr(FakeScanner, "_heard", hear_beside_no_connect)
    await stop(computer, monkeypatch)
    assert stops.at[pen.address] <= CONNECT_WITHIN_S + GIVE_UP_S + 3 * (STOP_TURN_S + 0.5) + TAKES_S


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("spoil", [mute, slow_to_subscribe])
@pytest.mark.parametrize("count", [2, 3, 8])
@in_virtual_time
async def test_strangers_hold_up_no_stop_to_all_for_longer(
    count: int, spoil: Callable[[Peripheral], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    computer, pen = among(count, spoil, strangers=True)
    stops = Stops(computer)
    told = await stop(computer, monkeypatch, None)
    assert stops.at[pen.address] <= count * STOP_TURN_S + TAKES_S
    assert {result.url.split("?")[0] for result in told} == {
        f"ble:{device.serial_number}" for device in computer.peripherals
    }


@pytest.mark.parametrize("strangers", [False, True])
@in_virtual_time
async def test_a_pen_that_is_slower_than_that_comes_again_with_more_time(
    strangers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer, pen = among(3, mute, strangers=strangers)
    pen.connect_s = 4.5
    stops = Stops(computer)
    await stop(computer, monkeypatch, None if strangers else URL)
    assert stops.at[pen.address] <= 4 * (STOP_TURN_S + 0.5) + 4 * (2 * REACH_WITHIN_S + GIVE_UP_S + 0.5)


@in_virtual_time
async def test_one_that_is_alone_has_the_time_that_it_has_for_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    computer, pen = among(0, mute)
    pen.connect_s = CONNECT_WITHIN_S - 0.5
    await stop(computer, monkeypatch)
    assert [client.connects for client in computer.clients] == [1]
    assert pen.written


@in_virtual_time
async def test_a_namesake_that_is_heard_while_it_connects_ends_that_time() -> None:
    computer, pen = among(1, mute)
    pen.advertises = False
    stops = Stops(computer)
    asyncio.get_running_loop().call_later(REACH_WITHIN_S + 2.0, setattr, pen, "advertises", True)
    with using(computer):
        link = await open_link(URL, stop_first=True)
    assert stops.at[pen.address] <= REACH_WITHIN_S + 2.0 + GIVE_UP_S + TAKES_S
    await link.close()


@in_virtual_time
async def test_who_has_its_stop_and_does_not_confirm_it_is_spoken_for_by_nobody_else() -> None:
    computer, pen = among(1, slow_to_subscribe)
    with using(computer), pytest.raises(CannotOpen):
        await open_link(URL, stop_first=True)
    assert {client.peripheral.address for client in computer.clients}.isdisjoint({pen.address})


@in_virtual_time
async def test_nor_does_it_wait_for_those_that_were_tried_before_it() -> None:
    computer, pen = among(1, mute)
    pen.subscribe_error = BleakDBusError("org.bluez.Error.AuthenticationFailed", [])
    with using(computer), pytest.raises(PairingRefused):
        await open_link(URL, stop_first=True)
    assert asyncio.get_running_loop().time() <= STOP_TURN_S + computer.disconnect_s + PAUSE_S + 0.5


@in_virtual_time
async def test_what_follows_stop_is_bounded_and_says_so() -> None:
    computer, pen = among(0, mute)
    slow_to_subscribe(pen)
    client = PenClient(computer.radio(), await find_pen(computer.radio(), pen.address), URL)
    await client.connect_to_stop(REACH_WITHIN_S, lambda: False)
    with pytest.raises(CannotOpen, match="could not be used within 10 s"):
        await client.check(CHECK_WITHIN_S)


@pytest.mark.parametrize("count", [2, 2 * HEARD_MAX])
@in_virtual_time
async def test_its_bound_grows_with_how_many_are_heard_and_ends(count: int) -> None:
    computer, pen = among(count, mute)
    mute(pen)
    with using(computer), pytest.raises(CannotOpen):
        await open_link(URL, stop_first=True)
    ends_s = asyncio.get_running_loop().time()
    assert count * STOP_TURN_S * 0.75 < ends_s <= stop_within_s(count + 1) + 0.5
    assert stop_within_s(2 * HEARD_MAX) == stop_within_s(HEARD_MAX) < 4 * 60


@in_virtual_time
async def test_stop_waits_behind_no_other_connect_but_the_one_under_way() -> None:
    computer, pen = among(1, lambda _device: None)
    radio = computer.radio()
    stops = Stops(computer)

    async def connect() -> None:
        async with turn(CONNECT, radio, "connecting"):
            await asyncio.sleep(CONNECT_WITHIN_S)

    others = [asyncio.ensure_future(connect()) for _ in range(4)]
    await asyncio.sleep(0)
    with using(computer):
        link = await open_link(f"ble:{pen.address}", stop_first=True)
    assert stops.at[pen.address] <= CONNECT_WITHIN_S + TAKES_S
    for other in others:
        other.cancel()
    await asyncio.wait(others)
    await link.close()


@in_virtual_time
async def test_stop_waits_for_as_long_as_the_line_moves_and_that_counts_for_nothing() -> None:
    computer, pen = among(0, mute)
    radio = computer.radio()
    pen.connect_s = CONNECT_WITHIN_S - 0.5

    async def stop_another() -> None:
        place = Place(CONNECT, radio, "stopping another", for_stop=True)
        await place.take()
        await asyncio.sleep(TURN_WITHIN_S - 1.0)
        place.give_back()

    others = [asyncio.ensure_future(stop_another()) for _ in range(3)]
    await asyncio.sleep(0)
    with using(computer):
        link = await open_link(URL, stop_first=True)
    assert asyncio.get_running_loop().time() > 3 * (TURN_WITHIN_S - 1.0)
    await asyncio.wait(others)
    await link.close()


@in_virtual_time
async def test_a_line_that_stands_still_is_told_and_by_whom() -> None:
    computer, _ = among(0, mute)
    async with turn(CONNECT, computer.radio(), "at something else"):
        with using(computer), pytest.raises(RadioBusy, match="this program is at something else"):
            await open_link(URL, stop_first=True)
        assert asyncio.get_running_loop().time() == pytest.approx(TURN_WITHIN_S, abs=TAKES_S)


@in_virtual_time
async def test_checks_and_subscriptions_of_one_link_are_in_no_other_connects_way() -> None:
    computer = Computer(Peripheral("DP1-00001"), Peripheral("DP1-00002"))
    slow, pen = computer.peripherals
    slow_to_subscribe(slow)
    slow_opens = asyncio.ensure_future(opened(computer, slow.address))
    await asyncio.sleep(1.0)
    link = await opened(computer, pen.address)
    assert asyncio.get_running_loop().time() < 3.0
    assert not slow_opens.done()
    await (await slow_opens).close()
    await link.close()


@in_virtual_time
async def test_by_air_it_says_who_says_so_and_what_to_do_if_that_is_a_copy() -> None:
    async with on_air() as desk:
        result = await stop_one(desk.url)
    assert (result.code, result.advice) == (ExitCode.DONE, "")
    assert result.said.startswith("the pen that answers here says stopped: needles in and motor off, measured ")
    assert result.said.endswith("if your pen still moves, lift it straight off the skin and press its button")
