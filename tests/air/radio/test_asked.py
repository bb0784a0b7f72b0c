"""What a device sends to the host that is linked to it, in order or not: no traceback, no log, nothing that grows."""

import asyncio
import logging
import struct
from random import Random

import pytest
from bleak.exc import BleakError
from bumble import att, l2cap, smp

from dermalink_simulator.hardware.air import AIR_PROFILES, AirConditions
from dermalink_simulator.radio.adapter import Adapter
from dermalink_simulator.radio.asked import ANSWERED_BELOW
from dermalink_simulator.radio.host import under_way
from tests.support.bleak_bench import Bench, bench
from tests.support.little_peripheral import INDICATE, READ, WRITE
from tests.support.running import in_virtual_time

SIGNALLING = l2cap.L2CAP_LE_SIGNALING_CID
CHANNELS = (att.ATT_CID, smp.SMP_CID, SIGNALLING, l2cap.L2CAP_SIGNALING_CID, smp.SMP_BR_CID, 0x20, 0x40, 0x7F)
# As a device sent them that broke `stop`, `info` and `doctor`.
AS_ATTACKED = [
    (smp.SMP_CID, bytes([4]) + bytes(16)),
    (smp.SMP_CID, bytes([12]) + bytes(64)),
    (smp.SMP_CID, b""),
    (smp.SMP_CID, bytes([1, 0x86, 0, 1, 16, 7, 7])),
    (smp.SMP_CID, bytes([5, 0x45])),
    (smp.SMP_CID, bytes([0x0B, 1])),
    (SIGNALLING, bytes([0x12, 1, 2, 0, 1, 1])),
    (SIGNALLING, struct.pack("<BBHHHHH", 0x12, 2, 8, 1, 9, 9, 9)),
    (SIGNALLING, b"\x12"),
    (SIGNALLING, struct.pack("<BBHHH", 0x16, 3, 4, 0x40, 9)),
    (att.ATT_CID, b""),
    (att.ATT_CID, b"\x1b"),
    (att.ATT_CID, b"\x02"),
    (att.ATT_CID, b"\x23\1\0\1\0x"),
    (att.ATT_CID, b"\xff"),
    (att.ATT_CID, b"\x70anything"),
    (att.ATT_CID, b"\x08\1\0\xff\xff\3\x28\1"),
]


def adapter_of(client: object) -> Adapter:
    adapter: Adapter = client._backend._adapter  # type: ignore[attr-defined]
    return adapter


def heard_on(room: Bench, cid: int) -> list[bytes]:
    """What the host says to the device on that channel, which the device does nothing with."""
    heard: list[bytes] = []
    room.peripheral.device.l2cap_channel_manager.register_fixed_channel(cid, lambda _, pdu: heard.append(pdu))
    return heard


def hears_no_answers(room: Bench) -> None:
    """Have the device, which stands on stock Bumble, not complain of answers to what it never asked."""
    device = room.peripheral.device

    def requests_only(handle: int, pdu: bytes) -> None:
        if not pdu[0] & 1:
            device.on_gatt_pdu(handle, pdu)

    device.l2cap_channel_manager.register_fixed_channel(att.ATT_CID, requests_only)


def noise(random: Random) -> tuple[int, bytes]:
    if random.random() < 0.3:
        return random.choice(AS_ATTACKED)
    return random.choice(CHANNELS), random.randbytes(random.choice((0, 1, 2, 3, 7, 17, 23, 65)))


@pytest.mark.parametrize("seed", range(12))
def test_noise_of_a_device_raises_nothing_and_is_written_into_no_log(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[object] = []

    @in_virtual_time
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with bench(AIR_PROFILES["room"] if seed % 2 else AirConditions()) as room:
            random = Random(seed)
            async with await room.with_options(f"host=noise{seed}").client_of() as client:
                for cid in (smp.SMP_CID, SIGNALLING):
                    heard_on(room, cid)
                hears_no_answers(room)
                caplog.clear()
                for _ in range(30):
                    for cid, pdu in [*AS_ATTACKED, *(noise(random) for _ in range(10))]:
                        room.peripheral.connection.send_l2cap_pdu(cid, pdu)
                    await asyncio.sleep(0.1)
                await asyncio.sleep(1)
                assert await client.read_gatt_char(READ) == b"hello"
                said = [one.getMessage() for one in caplog.records if one.levelno >= logging.INFO]
                assert said == []

    test()
    assert not raised


@pytest.mark.parametrize("seed", range(12))
def test_noise_while_the_host_pairs_ends_the_pairing_and_no_more(seed: int) -> None:
    raised: list[object] = []

    @in_virtual_time
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with bench(AIR_PROFILES["room"]) as room:
            random = Random(seed)
            async with await room.with_options(f"host=pairing{seed}").client_of() as client:
                pairing = asyncio.create_task(client.pair())
                await asyncio.sleep(0.03 * (seed % 4))
                for _ in range(20):
                    code = bytes([random.randrange(2, 14)])
                    pdu = code + random.randbytes(random.choice((1, 6, 7, 16, 64)))
                    room.peripheral.connection.send_l2cap_pdu(smp.SMP_CID, pdu)
                await asyncio.wait([pairing])
                assert pairing.exception() is None or isinstance(pairing.exception(), BleakError)
                await client.disconnect()

    test()
    assert not raised


@in_virtual_time
async def test_a_pairing_that_the_device_begins_is_refused_as_not_supported() -> None:
    async with bench() as room, await room.client_of():
        answers = heard_on(room, smp.SMP_CID)
        room.peripheral.connection.send_l2cap_pdu(smp.SMP_CID, bytes([1, 3, 0, 1, 16, 7, 7]))
        await room.settle()
        assert answers == [bytes([5, 5])]


@pytest.mark.parametrize(
    ("wanted", "adopted"),
    [((24, 40, 0, 400), True), ((40, 24, 0, 400), False), ((1, 9, 0, 400), False), ((24, 40, 499, 10), False)],
)
def test_a_device_has_the_connection_parameters_that_it_wishes_if_there_are_such(
    wanted: tuple[int, int, int, int], adopted: bool
) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench(AirConditions(interval_us=0)) as room, await room.client_of():
            answers = heard_on(room, SIGNALLING)
            before = room.peripheral.connection.parameters.connection_interval
            room.peripheral.connection.send_l2cap_pdu(SIGNALLING, struct.pack("<BBHHHHH", 0x12, 7, 8, *wanted))
            await asyncio.sleep(1)
            assert answers == [bytes([0x13, 7, 2, 0, not adopted, 0])]
            assert (room.peripheral.connection.parameters.connection_interval != before) == adopted

    test()


@in_virtual_time
async def test_the_hosts_name_may_be_read_and_nothing_be_written() -> None:
    async with bench() as room, await room.client_of():
        answers = heard_on(room, att.ATT_CID)
        ask = room.peripheral.connection.send_l2cap_pdu
        ask(att.ATT_CID, struct.pack("<BHHH", att.Opcode.ATT_READ_BY_TYPE_REQUEST, 1, 0xFFFF, 0x2A00))
        await room.settle()
        assert answers[0][4:] == b"bleak"
        for code in (att.Opcode.ATT_WRITE_REQUEST, att.Opcode.ATT_PREPARE_WRITE_REQUEST):
            ask(att.ATT_CID, struct.pack("<BHH", code, 3, 0) + b"mine")
            await room.settle()
            assert answers[-1] == struct.pack("<BBHB", 1, code, 0, att.ErrorCode.REQUEST_NOT_SUPPORTED)


@pytest.mark.parametrize("what", ["requests", "indications", "signalling", "pairing"])
def test_a_device_that_takes_no_answers_makes_nothing_grow(what: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench(AIR_PROFILES["room"]) as room, await room.client_of() as client:
            await client.start_notify(INDICATE, lambda *_: None)
            handle = room.peripheral.characteristics[INDICATE].handle
            cid, pdu = {
                "requests": (att.ATT_CID, struct.pack("<BHHH", 0x08, 1, 0xFFFF, 0x2803)),
                "indications": (att.ATT_CID, struct.pack("<BH", 0x1D, handle) + b"x"),
                "signalling": (SIGNALLING, struct.pack("<BBH", 0x08, 1, 0)),
                "pairing": (smp.SMP_CID, bytes([1, 3, 0, 1, 16, 7, 7])),
            }[what]
            device = adapter_of(client).device
            (connection,) = device.connections.values()
            queue = connection.data_packet_queue
            assert queue is not None
            for _ in range(200):
                device.host.fixed_channels[cid](connection.handle, pdu)  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            assert under_way(queue, connection.handle) == ANSWERED_BELOW
            await asyncio.sleep(2)
            assert await client.read_gatt_char(READ) == b"hello"

    test()


def answering_mtu_with(room: Bench, answer: bytes) -> None:
    """Have the device answer the host's first request with that."""
    device = room.peripheral.device

    def on_att(handle: int, pdu: bytes) -> None:
        if pdu[0] == att.Opcode.ATT_EXCHANGE_MTU_REQUEST:
            device.send_l2cap_pdu(handle, att.ATT_CID, answer)
        else:
            device.on_gatt_pdu(handle, pdu)

    device.l2cap_channel_manager.register_fixed_channel(att.ATT_CID, on_att)


@in_virtual_time
async def test_an_answer_about_the_mtu_that_is_none_is_an_error_of_bleaks() -> None:
    async with bench() as room:
        answering_mtu_with(room, b"\x03")
        with pytest.raises(BleakError, match="out of order"):
            await room.connected()


@in_virtual_time
async def test_an_mtu_below_the_least_is_the_least() -> None:
    async with bench() as room:
        answering_mtu_with(room, b"\x03\0\0")
        async with await room.client_of() as client:
            assert client.mtu_size == att.ATT_DEFAULT_MTU
            await client.write_gatt_char(WRITE, bytes(100), response=True)
            assert room.peripheral.written == [(WRITE, bytes(100))]


@pytest.mark.parametrize("when", [0.0, 0.01, 0.5])
def test_a_radio_that_goes_while_a_link_is_being_ended_raises_nothing(when: float) -> None:
    raised: list[object] = []

    @in_virtual_time
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with bench(AIR_PROFILES["room"]) as room:
            client = await room.with_options("supervision=6000").connected()
            room.peripheral.vanish()
            ending = asyncio.create_task(client.disconnect())
            await asyncio.sleep(when)
            await room.room.aclose()
            room.air.close()
            await ending
            assert not client.is_connected

    test()
    assert not raised
