"""Connecting again over BLE: what is tried again, and what is left to a person."""

import asyncio

import pytest
from bleak.exc import BleakDBusError

from dermalink.errors import (
    BadUrl,
    BluetoothForbidden,
    BluetoothOff,
    ForeignTable,
    LinkError,
    LinkLost,
    NoRadio,
    NoSuchPen,
    PairingRefused,
    SeveralPens,
)
from dermalink.journal import MemoryJournal
from dermalink.links.ble_link import BleLink
from dermalink.pen import Pen
from dermalink.reconnect import Reconnector
from dermalink_protocol.codewords import State
from tests.air.host.fake_bleak import Computer, Peripheral
from tests.air.host.on_air import on_air
from tests.air.host.rig import opened
from tests.support.running import in_virtual_time


@pytest.mark.parametrize("kind", [BadUrl, BluetoothForbidden, ForeignTable, PairingRefused, SeveralPens])
@in_virtual_time
async def test_what_needs_a_person_is_not_tried_again(kind: type[LinkError]) -> None:
    tries: list[None] = []

    async def connect() -> BleLink:
        tries.append(None)
        raise kind("refused")

    with pytest.raises(kind):
        async for _ in Reconnector(connect):
            pass
    assert len(tries) == 1


@pytest.mark.parametrize("kind", [NoSuchPen, NoRadio, BluetoothOff, LinkLost])
@in_virtual_time
async def test_what_may_come_back_is_tried_again(kind: type[LinkError]) -> None:
    computer = Computer(Peripheral())
    tries: list[None] = []

    async def connect() -> BleLink:
        tries.append(None)
        if len(tries) < 4:
            raise kind("not now")
        return await opened(computer)

    async for link in Reconnector(connect):
        await link.send(2, b"hello")  # type: ignore[arg-type]
        break
    assert len(tries) == 4


@in_virtual_time
async def test_a_refused_pairing_costs_one_try() -> None:
    device = Peripheral()
    device.subscribe_error = BleakDBusError("org.bluez.Error.AuthenticationFailed", ["Authentication Failed"])
    computer = Computer(device)
    with pytest.raises(PairingRefused):
        async for _ in Reconnector(lambda: opened(computer)):
            pass
    await asyncio.sleep(60)
    assert computer.pairings == 1


@pytest.mark.sr("SR-STOP-5", side="host")
@in_virtual_time
async def test_a_pen_that_was_off_is_connected_to_again_and_nothing_is_resumed() -> None:
    async with on_air() as desk:
        turns = 0
        async for pen in Reconnector(lambda: Pen.connect(desk.url, journal=MemoryJournal())):
            turns += 1
            if turns == 3:
                assert (await pen.status()).state is State.IDLE
                break
            desk.do(lambda sim: sim.power.cut())
            async with asyncio.timeout(30):
                assert isinstance(await pen.connection.wait_ended(), LinkLost)
            asyncio.get_running_loop().call_later(20, desk.do, lambda sim: sim.power.restore())
        await pen.close()
