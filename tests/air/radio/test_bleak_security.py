"""A link that bleak's client on a Bumble radio encrypts: when, with which key, and what comes of it where it fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError
from bumble import smp
from bumble.gatt import Characteristic
from bumble.pairing import PairingConfig, PairingDelegate

from dermalink_simulator.radio.bleak_client import PAIRING_S
from dermalink_simulator.radio.bleak_security import Bonds
from tests.air.radio.test_asked import adapter_of, heard_on
from tests.support.bleak_bench import Bench, bench
from tests.support.little_peripheral import READ, WRITE
from tests.support.running import in_virtual_time


def encrypted(room: Bench) -> bool:
    return bool(room.peripheral.connection.is_encrypted)


@asynccontextmanager
async def secret_bench() -> AsyncIterator[Bench]:
    """A room whose device has one characteristic for encrypted links alone."""
    async with bench() as room:
        of = Characteristic.Permissions
        room.peripheral.characteristics[WRITE].permissions |= of.READ_REQUIRES_ENCRYPTION | of.WRITE_REQUIRES_ENCRYPTION
        yield room


def counting_pairings(room: Bench) -> list[bytes]:
    """The requests for a pairing that come to the device, which goes on as it does."""
    asked: list[bytes] = []
    device = room.peripheral.device

    def on_smp(handle: int, pdu: bytes) -> None:
        if pdu[:1] == b"\x01":
            asked.append(pdu)
        device.on_smp_pdu(handle, pdu)

    device.l2cap_channel_manager.register_fixed_channel(smp.SMP_CID, on_smp)
    return asked


def refusing(room: Bench) -> None:
    """Have the device refuse each pairing."""

    class No(PairingDelegate):
        async def accept(self) -> bool:
            return False

    room.peripheral.device.pairing_config_factory = lambda _: PairingConfig(delegate=No())


@in_virtual_time
async def test_what_is_refused_for_want_of_encryption_is_done_after_a_pairing() -> None:
    async with secret_bench() as room:
        asked = counting_pairings(room)
        host = room.with_options("host=needs")
        async with await host.client_of() as client:
            assert await client.read_gatt_char(READ) == b"hello"
            assert (encrypted(room), asked) == (False, [])
            await client.write_gatt_char(WRITE, b"mine", response=True)
            assert encrypted(room)
            assert await client.read_gatt_char(WRITE) == b"mine"
        async with await host.client_of() as client:
            assert not encrypted(room)
            assert await client.read_gatt_char(WRITE) == b"mine"
            assert encrypted(room)
            await client.unpair()
        assert len(asked) == 1


@in_virtual_time
async def test_two_that_are_refused_at_once_pair_once() -> None:
    async with secret_bench() as room:
        asked = counting_pairings(room)
        async with await room.with_options("host=two").client_of() as client:
            changes: list[None] = []
            room.peripheral.connection.on("connection_encryption_change", lambda: changes.append(None))
            await asyncio.gather(*(client.read_gatt_char(WRITE) for _ in range(3)))
            assert (len(asked), len(changes)) == (1, 1)
            await client.unpair()


@in_virtual_time
async def test_a_pairing_that_is_refused_is_named_as_bluez_names_it_and_tried_once() -> None:
    async with secret_bench() as room:
        asked = counting_pairings(room)
        refusing(room)
        async with await room.with_options("host=refused").client_of() as client:
            with pytest.raises(BleakDBusError, match="not supported") as caught:
                await client.pair()
            assert caught.value.dbus_error == "org.bluez.Error.AuthenticationFailed"
            assert len(asked) == 1
        async with await room.with_options("host=refused").client_of() as client:
            with pytest.raises(BleakDBusError, match="Not paired") as caught:
                await client.read_gatt_char(WRITE)
            assert caught.value.dbus_error == "org.bluez.Error.NotPermitted"
            for _ in range(3):
                with pytest.raises(BleakGATTProtocolError):
                    await client.read_gatt_char(WRITE)
            assert len(asked) == 2
            assert await client.read_gatt_char(READ) == b"hello"


@in_virtual_time
async def test_a_device_that_has_forgotten_is_hung_up_on_and_not_paired_with_anew() -> None:
    async with secret_bench() as room:
        asked = counting_pairings(room)
        host = room.with_options("host=old")
        async with await host.client_of() as client:
            await client.pair()
        keystore = room.peripheral.device.keystore
        assert keystore is not None
        await keystore.delete_all()
        client = await host.connected()
        with pytest.raises(BleakDBusError, match="Not paired"):
            await client.read_gatt_char(WRITE)
        assert not client.is_connected
        assert len(asked) == 1
        again = await host.connected()
        await again.unpair()


@in_virtual_time
async def test_another_key_under_the_same_address_ends_the_link_and_is_an_error_of_bleaks() -> None:
    async with secret_bench() as room:
        host = room.with_options("host=wrong")
        async with await host.client_of() as client:
            await client.pair()
            bonds: Bonds = bonds_of_client(client)
            bonds.keep(str(client._backend._target), bytes(16))  # type: ignore[attr-defined]
        client = await host.connected()
        with pytest.raises(BleakDBusError):
            await client.read_gatt_char(WRITE)
        assert not client.is_connected
        await (await host.connected()).unpair()


def bonds_of_client(client: BleakClient) -> Bonds:
    from dermalink_simulator.radio.adapter import bonds_of

    return bonds_of(adapter_of(client).options)


@in_virtual_time
async def test_a_device_that_says_nothing_is_given_thirty_seconds() -> None:
    async with secret_bench() as room, await room.with_options("host=mute").client_of() as client:
        heard_on(room, smp.SMP_CID)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(BleakDBusError) as caught:
            await client.pair()
        assert caught.value.dbus_error == "org.bluez.Error.AuthenticationTimeout"
        assert loop.time() - began == pytest.approx(PAIRING_S, abs=0.1)
        assert await client.read_gatt_char(READ) == b"hello"


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2])
def test_a_link_that_ends_meanwhile_ends_the_pairing(after_s: float) -> None:
    @in_virtual_time
    async def test() -> None:
        async with secret_bench() as room:
            client = await room.with_options(f"host=cut{after_s}").connected()
            asyncio.get_running_loop().call_later(after_s, room.peripheral.vanish)
            heard_on(room, smp.SMP_CID)
            with pytest.raises(BleakError):
                await client.pair()
            assert not client.is_connected

    test()


@pytest.mark.parametrize(
    "pdu",
    [
        bytes([1, 3, 0, 9, 16, 7, 7]),
        bytes([2, 3, 0, 9, 16, 0, 0]),
        bytes([0x0B, 9]),
        bytes([9, 1]) + bytes.fromhex("F0F1F2F3F4F5"),
    ],
    ids=["request", "response", "security request", "identity"],
)
def test_nothing_that_a_device_begins_pairs_or_reaches_bumbles_own(pdu: bytes) -> None:
    @in_virtual_time
    async def test() -> None:
        async with secret_bench() as room, await room.with_options("host=asked").client_of() as client:
            reached: list[object] = []
            device = adapter_of(client).device
            device.smp_manager.on_smp_pdu = lambda *said: reached.append(said)  # type: ignore[method-assign]
            answers = heard_on(room, smp.SMP_CID)
            for _ in range(5):
                room.peripheral.connection.send_l2cap_pdu(smp.SMP_CID, pdu)
            await room.settle()
            assert not encrypted(room)
            assert bonds_of_client(client).of(str(client._backend._target)) is None  # type: ignore[attr-defined]
            assert reached == []
            assert answers == ([bytes([5, 5])] * 5 if pdu[0] == 1 else [])

    test()


@in_virtual_time
async def test_other_things_are_read_while_it_pairs() -> None:
    async with secret_bench() as room, await room.with_options("host=meanwhile").client_of() as client:
        heard_on(room, smp.SMP_CID)
        pairing = asyncio.ensure_future(client.pair())
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await client.read_gatt_char(READ) == b"hello"
        assert loop.time() - began < 0.5
        assert not pairing.done()
        pairing.cancel()
        await asyncio.wait([pairing])


def test_no_repr_shows_a_key() -> None:
    bonds = Bonds()
    bonds.keep("C0", b"0123456789abcdef")
    assert "0123" not in repr(bonds)
