"""The channels of one's own pen, on a link that Bluetooth encrypts: bonded once, refused in words, never hung up on."""

import asyncio
from collections.abc import Callable

import pytest

from dermalink.errors import BondMissing, LinkLost, PairingRefused
from dermalink.links import ble_calls, ble_client, ble_secure
from dermalink.links.ble_client import OPEN_TO_ALL, THE_OTHERS
from dermalink.links.ble_link import BleLink
from dermalink.links.ble_platform import BOND_ANEW
from dermalink.links.ble_radio import Radio
from dermalink.reconnect import FOR_A_PERSON
from dermalink_protocol.channels import Channel
from tests.air.host.fake_bleak import FOREVER, Computer, Peripheral
from tests.air.host.fake_bonds import BondingComputer, OwnedPeripheral, System
from tests.air.host.rig import opened
from tests.support.running import in_virtual_time

SYSTEMS: tuple[System, ...] = ("bluez", "macos", "windows")
each_system = pytest.mark.parametrize("system", SYSTEMS)
asked_first_or_not = pytest.mark.parametrize("first", [False, True])


class Case:
    """A pen with an owner, his computer, and a link that knows it may."""

    def __init__(self, system: System, monkeypatch: pytest.MonkeyPatch, *, first: bool = False) -> None:
        self.pen = OwnedPeripheral()
        self.computer = BondingComputer(system, self.pen)
        self.subscribed: list[Channel] = []
        self.pen.on_subscribe = self.subscribed.append
        monkeypatch.setattr(ble_client, "pairs_first", lambda _radio: first)
        system_name = {"bluez": "linux", "macos": "darwin", "windows": "win32"}[system]
        monkeypatch.setattr(ble_secure, "HERE", system_name)

    def bond(self) -> None:
        self.computer.bonds.add(self.pen.address)
        self.pen.bonded = True

    async def opened(self) -> BleLink:
        return await opened(self.computer, self.pen.address)

    async def secured(self) -> BleLink:
        link = await self.opened()
        await link.secure(pairs=True)
        return link


async def took_s(work: Callable[[], object]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await work()  # type: ignore[misc]
    return loop.time() - began


@asked_first_or_not
@each_system
@in_virtual_time
async def test_after_a_press_the_two_bond_once_and_then_encrypt(
    system: System, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(system, monkeypatch, first=first and system == "bluez")
    case.pen.pressed = True
    link = await case.secured()
    assert set(case.subscribed) == {*OPEN_TO_ALL, *THE_OTHERS}
    assert case.pen.pairings == 1
    await link.close()
    case.pen.pressed = False
    link = await case.secured()
    assert case.pen.pairings == 1
    case.computer.say(case.pen, Channel.TELEMETRY, b"sample")
    assert await link.receive() == (Channel.TELEMETRY, b"sample")
    await link.close()


@each_system
@in_virtual_time
async def test_a_stranger_brings_no_system_to_pair(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(system, monkeypatch, first=True)
    case.pen.pressed = True
    link = await case.opened()
    await link.send(Channel.STATUS, b"hello")
    link.send_now(Channel.STOP, b"stop")
    await asyncio.sleep(1)
    await link.close()
    assert set(case.subscribed) == set(OPEN_TO_ALL)
    assert (case.pen.pairings, case.computer.pairings) == (0, 0)


@in_virtual_time
async def test_a_pen_that_is_anybodys_is_not_asked_to_bond(monkeypatch: pytest.MonkeyPatch) -> None:
    computer = Computer(Peripheral())
    link = await opened(computer)
    await link.secure(pairs=False)
    assert computer.pairings == 0
    await link.close()
    case = Case("windows", monkeypatch, first=True)
    case.pen.pressed = True
    link = await case.opened()
    with pytest.raises(PairingRefused):
        await link.secure(pairs=False)
    assert (case.pen.pairings, case.computer.pairings) == (0, 0)
    await link.close()


@each_system
@in_virtual_time
async def test_without_a_press_it_is_refused_in_words_and_let_go_of_at_once(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(system, monkeypatch, first=system == "bluez")
    link = await case.opened()

    async def refused() -> None:
        with pytest.raises(BondMissing, match="does not encrypt") as caught:
            await link.secure(pairs=True)
        said = {
            "bluez": f"bluetoothctl remove {case.pen.address}`",
            "macos": "System Settings",
            "windows": "Settings, Bluetooth & devices",
        }
        assert said[system] in caught.value.advice
        assert ("Authentication is insufficient" in caught.value.limit) is (system == "macos")
        assert "press the pen's button once, with no session open" in caught.value.advice
        assert "within 60 s" in caught.value.advice
        assert isinstance(caught.value, FOR_A_PERSON)

    assert await took_s(refused) < 1.0 + case.computer.disconnect_s
    assert case.pen.pairings == 1
    assert [client.disconnects for client in case.computer.clients] == [1]
    await link.close()


@in_virtual_time
async def test_a_bluez_that_asks_again_and_again_is_ended_by_whoever_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("bluez", monkeypatch)
    link = await case.opened()

    async def lost() -> None:
        with pytest.raises(LinkLost, match="before Bluetooth had encrypted it") as caught:
            await link.secure(pairs=True)
        assert BOND_ANEW["linux"].replace("ADDRESS", case.pen.address) in caught.value.advice

    assert await took_s(lost) < 3.0
    assert case.pen.pairings == 3
    assert [client.disconnects for client in case.computer.clients] == [1]
    await link.close()


@pytest.mark.parametrize("hangs", ["no agent", "no answer", "no end"])
@in_virtual_time
async def test_what_never_ends_is_over_after_ten_seconds(hangs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("bluez", monkeypatch, first=hangs == "no answer")
    case.computer.has_agent = hangs != "no agent"
    case.pen.answers_pairing = hangs != "no answer"
    case.pen.hangs_up = False
    link = await case.opened()

    async def given_up() -> None:
        with pytest.raises(BondMissing, match="took longer than 10 s"):
            await link.secure(pairs=True)

    assert await took_s(given_up) == pytest.approx(10.0 + case.computer.disconnect_s, abs=0.3)
    await link.close()
    assert ble_calls.left() == 0


@in_virtual_time
async def test_a_person_has_time_to_answer_what_macos_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("macos", monkeypatch)
    case.pen.pressed = True
    case.computer.asks_s = 25.0
    await (await case.secured()).close()
    case.computer.asks_s = FOREVER
    case.computer.bonds.clear()
    with pytest.raises(BondMissing, match="took longer than 30 s"):
        await case.secured()


@asked_first_or_not
@each_system
@in_virtual_time
async def test_a_pen_that_has_lost_the_bond_is_told_as_that(
    system: System, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(system, monkeypatch, first=first)
    case.bond()
    case.pen.bonded = False
    link = await case.opened()
    with pytest.raises((BondMissing, LinkLost)) as caught:
        await link.secure(pairs=True)
    assert "press the pen's button" in caught.value.advice
    assert isinstance(caught.value, PairingRefused) is (system != "bluez")
    assert case.pen.pairings == 0
    assert case.computer.pairings <= 1
    await link.close()


@in_virtual_time
async def test_the_system_is_asked_once_whatever_is_refused_then(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("windows", monkeypatch)
    case.pen.pressed = True
    case.pen.never_satisfied = Channel.RECORDS
    with pytest.raises(BondMissing):
        await case.secured()
    assert case.subscribed[-2:] == [Channel.COMMAND, Channel.TELEMETRY]
    assert case.computer.pairings == 1


@pytest.mark.parametrize("after_s", [0.0, 1.0, 9.0])
@in_virtual_time
async def test_a_link_that_ends_meanwhile_is_lost_at_once(after_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("bluez", monkeypatch, first=True)
    case.pen.answers_pairing = False
    link = await case.opened()
    asyncio.get_running_loop().call_later(after_s, case.computer.drop, case.pen)

    async def lost() -> None:
        with pytest.raises(LinkLost):
            await link.secure(pairs=True)

    assert await took_s(lost) <= after_s + 0.5
    await link.close()


@each_system
@in_virtual_time
async def test_a_computer_that_has_lost_the_bond_bonds_again_after_a_press_alone(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(system, monkeypatch, first=system == "bluez")
    case.bond()
    case.computer.bonds.clear()
    with pytest.raises(BondMissing):
        await case.secured()
    case.pen.pressed = True
    await (await case.secured()).close()


@pytest.mark.sr("SR-STOP-4", side="host")
@each_system
@in_virtual_time
async def test_stop_never_waits_for_a_bond(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(system, monkeypatch, first=True)
    case.pen.answers_pairing = False
    link = await case.opened()
    securing = asyncio.ensure_future(link.secure(pairs=True))
    await asyncio.sleep(0.2)
    link.send_now(Channel.STOP, b"stop")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert case.pen.messages == [(Channel.STOP, b"stop")]
    securing.cancel()
    await asyncio.wait([securing])
    await link.close()


@each_system
@in_virtual_time
async def test_whoever_is_cancelled_while_it_bonds_leaves_no_link_behind(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(40):
        case = Case(system, monkeypatch, first=system == "bluez")
        case.pen.pressed = True
        link = await case.opened()
        securing = asyncio.ensure_future(link.secure(pairs=True))
        await asyncio.sleep(step * 0.01)
        securing.cancel()
        await asyncio.wait([securing])
        await link.close()
        await asyncio.sleep(case.computer.disconnect_s + 0.1)
        assert not case.computer.linked(case.pen)
        assert [client.disconnects for client in case.computer.clients] == [1]
    assert ble_calls.left() == 0


def test_only_bluez_itself_is_asked_to_bond_before_anything_is_refused() -> None:
    assert ble_secure.pairs_first(Radio(), "linux")
    assert not ble_secure.pairs_first(Radio(), "darwin")
    assert not ble_secure.pairs_first(Radio(), "win32")
    assert not ble_secure.pairs_first(Computer().radio(), "linux")


@each_system
@in_virtual_time
async def test_a_bond_is_forgotten_where_a_program_may_and_the_link_is_let_go_of(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(system, monkeypatch)
    case.bond()
    link = await case.secured()
    assert await link.forget_bond() is (system != "macos")
    assert (case.pen.address in case.computer.bonds) is (system == "macos")
    assert not case.computer.linked(case.pen)
    await link.close()


@in_virtual_time
async def test_a_system_that_does_not_forget_is_given_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("bluez", monkeypatch)
    case.bond()
    link = await case.secured()
    await link.close()
    case.computer.forgets_s = FOREVER

    async def refused() -> None:
        assert not await link.forget_bond()

    assert await took_s(refused) == pytest.approx(5.0)
    await asyncio.sleep(0.1)
    assert ble_calls.left() == 0
