"""How long the host goes on, waits and lets others wait: each number as it is written down, not as the code has it."""

import asyncio
from itertools import pairwise

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError

from dermalink.errors import CannotOpen, LinkLost, NoSuchPen, PairingRefused, RadioBusy
from dermalink.links import ble_calls, ble_client, ble_finding
from dermalink.links.ble_radio import Radio
from dermalink.links.ble_turns import CONNECT, Place
from dermalink_protocol.channels import AttError, Channel
from dermalink_simulator.virtual_time import VirtualTimeLoop
from tests.air.host.fake_bleak import FOREVER, Computer, FakeClient, Peripheral, pass_time
from tests.air.host.rig import bench, opened
from tests.support.running import in_virtual_time

STEP_S = 0.05  # what a test looks by
COPY_S = 0.16  # a copy of Stop waits for 150 ms, and its answer takes 10 ms


class Attempts:
    """When each value came that a device refused."""

    def __init__(self, device: Peripheral, code: AttError) -> None:
        self.at_s: list[float] = []
        self._code = code
        device.refuse = self._refuse

    def _refuse(self, _channel: Channel, _value: bytes) -> int:
        self.at_s.append(asyncio.get_running_loop().time())
        return int(self._code)


def disconnecting() -> bool:
    """Whether a link is still being let go of."""
    return any("disconnect" in task.get_name() for task in asyncio.all_tasks())


async def lets_go_after_s() -> float:
    """How long from now on one is."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while disconnecting():  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(STEP_S)
    return loop.time() - began


# Writes


@in_virtual_time
async def test_a_stop_that_goes_on_being_refused_loses_the_link_after_one_second() -> None:
    async with bench() as at:
        refused = Attempts(at.device, AttError.COUNTER)
        at.link.send_now(Channel.STOP, b"stop")
        with pytest.raises(LinkLost, match="0x82"):
            await at.link.receive()
        first_answer_s, last_answer_s = refused.at_s[1], refused.at_s[-1]
        assert 1.0 <= last_answer_s - first_answer_s <= 1.0 + COPY_S


@in_virtual_time
async def test_what_nobody_waits_for_is_tried_for_one_second_while_the_pen_is_busy() -> None:
    async with bench() as at:
        busy = Attempts(at.device, AttError.IN_PROGRESS)
        began = asyncio.get_running_loop().time()
        assert at.link.try_send(Channel.COMMAND, b"by nobody")
        await asyncio.sleep(5)
        assert 1.0 <= busy.at_s[-1] - began < 1.1
        assert at.link.try_send(Channel.STATUS, b"it lives")


@in_virtual_time
async def test_a_renewal_waits_behind_four_gathered_messages_at_most() -> None:
    async with bench() as at:
        at.device.write_s = 1.0
        assert [at.link.try_send(Channel.STATUS, b"x", gather=True) for _ in range(6)] == [True] * 4 + [False] * 2


# Letting go


@in_virtual_time
async def test_a_close_takes_three_seconds_and_a_disconnect_twelve_at_most() -> None:
    async with bench() as at:
        at.device.write_s = at.computer.disconnect_s = FOREVER
        assert at.link.try_send(Channel.STATUS, b"handed over, and never answered")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await at.link.close()
        assert loop.time() - began == pytest.approx(0.25 + 2.7)
        assert 2.7 + await lets_go_after_s() == pytest.approx(12.0, abs=2 * STEP_S)
    assert ble_calls.left() == 0


@in_virtual_time
async def test_whoever_could_not_open_a_link_is_told_so_three_seconds_later_at_most() -> None:
    device = Peripheral()
    device.subscribe_error = BleakDBusError("org.bluez.Error.AuthenticationFailed", [])
    computer = Computer(device)
    computer.disconnect_s = FOREVER
    loop = asyncio.get_running_loop()
    with pytest.raises(PairingRefused):
        await opened(computer, device.address)
    stands_s = device.interval_s + device.connect_s + device.read_s + device.subscribe_s
    assert loop.time() == pytest.approx(stands_s + 3.0)
    await lets_go_after_s()


@in_virtual_time
async def test_a_disconnect_that_is_cancelled_is_begun_once_more_for_three_seconds() -> None:
    async with bench() as at:
        at.computer.disconnect_s = FOREVER
        closing = asyncio.ensure_future(at.link.close())
        await asyncio.sleep(1.0)
        (letting_go,) = ble_client._disconnecting
        letting_go.cancel()
        assert await lets_go_after_s() == pytest.approx(3.0, abs=2 * STEP_S)
        await closing
        assert at.client.disconnects == 2


# Opening


@in_virtual_time
async def test_half_a_second_lies_between_two_tries_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Peripheral()
    device.connect_error = BleakError("le-connection-abort-by-local")
    loop, connect, tried_s = asyncio.get_running_loop(), FakeClient.connect, list[float]()

    async def timed(client: FakeClient, pair: bool) -> None:
        tried_s.append(loop.time())
        await connect(client, pair)

    monkeypatch.setattr(FakeClient, "connect", timed)
    with pytest.raises(CannotOpen):
        await opened(Computer(device), device.address)
    between_s = device.connect_s + 0.5 + device.interval_s
    assert [late - early for early, late in pairwise(tried_s)] == pytest.approx([between_s] * 2)


@in_virtual_time
async def test_the_system_is_given_two_seconds_to_say_which_pens_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    computer = Computer()
    radio = computer.radio()

    async def hung(_: str) -> list[BLEDevice]:
        await pass_time(FOREVER)
        return []

    monkeypatch.setattr(ble_finding, "held_devices", hung)
    monkeypatch.setattr(ble_finding, "backend_of", lambda _backend: {"backend": radio.scanner})
    with pytest.raises(NoSuchPen, match="not heard within 10 s"):
        await ble_finding.find_pen(Radio("", radio.client, None), "DP1-00001")
    assert asyncio.get_running_loop().time() == pytest.approx(10.0 + 2.0)


def test_a_turn_at_the_radio_is_waited_for_for_twenty_seconds() -> None:
    radio = Radio("air:hall")

    async def take() -> Place:
        place = Place(CONNECT, radio, "busy")
        await place.take()
        return place

    async def wait() -> None:
        with pytest.raises(RadioBusy, match="within 20 s"):
            await take()
        assert asyncio.get_running_loop().time() == pytest.approx(20.0)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as here, asyncio.Runner(loop_factory=VirtualTimeLoop) as there:
        first = here.run(take())
        there.run(wait())
        first.give_back()
