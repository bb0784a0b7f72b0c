"""What somebody in reach of the radio sends beside ATT, or against its rules: answered within a link's share or not."""

import asyncio
import logging
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from bumble import att, hci, l2cap, smp

from dermalink_protocol.channels import SERIAL_NUMBER, Channel
from dermalink_protocol.limits import IN_WITHIN_MS
from dermalink_protocol.messages import stop
from dermalink_simulator.doors.ble_link import OWED_MAX, BleLink
from dermalink_simulator.hardware.air import AirConditions
from dermalink_simulator.pen import serial_number
from dermalink_simulator.radio.besides_att import COMMAND_REJECT, rejected
from dermalink_simulator.radio.controller import OVERFLOW, PACKETS
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, RawCentral, bench

SIGNALLING = l2cap.L2CAP_LE_SIGNALING_CID
PAIRING_REQUEST = bytes([1, 3, 0, 1, 16, 7, 7])
LATE_MS = 4 * 30  # up to three connection events of the room lost in a row
BY_THE_PEN = hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR


def command(code: int, data: bytes, identifier: int = 1) -> bytes:
    """A command of the signalling channel."""
    return struct.pack("<BBH", code, identifier, len(data)) + data


ECHO = command(0x08, b"x" * 19)
UPDATE = command(0x12, struct.pack("<HHHH", 6, 6, 0, 100))
CONNECT = command(0x14, struct.pack("<HHHHH", 0x80, 0x40, 64, 64, 1))
CONNECT_MORE = command(0x17, struct.pack("<HHHHH", 0x80, 64, 64, 1, 0x40))
UNKNOWN = command(0x40, b"")


def say(host: RawCentral, cid: int, pdu: bytes) -> None:
    assert host.connection is not None
    host.device.send_l2cap_pdu(host.connection.handle, cid, pdu)


def link_of(pen: Bench, host: RawCentral) -> BleLink:
    (link,) = [
        link
        for connection, link in pen.door._server.links.items()
        if connection.peer_address == host.device.random_address
    ]
    return link


def heard_on(host: RawCentral, cid: int) -> list[bytes]:
    """What the pen says on another channel than ATT's."""
    heard: list[bytes] = []
    host.device.l2cap_channel_manager.register_fixed_channel(cid, lambda _, pdu: heard.append(pdu))
    return heard


def waiting(pen: Bench) -> int:
    """How many packets wait in the one queue of all links."""
    queue = pen.door._device.host.le_acl_packet_queue
    assert queue is not None
    return len(queue._packets)


# What is answered, and that it is one


@pytest.mark.parametrize("request_", [ECHO, UPDATE, CONNECT, CONNECT_MORE, UNKNOWN, command(0x0A, b"\2\0")])
def test_a_request_on_the_signalling_channel_is_rejected_as_not_understood(request_: bytes) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench() as pen, pen.host() as host:
            answers = heard_on(host, SIGNALLING)
            say(host, SIGNALLING, request_)
            await asyncio.sleep(1)
            assert answers == [bytes([COMMAND_REJECT, 1, 2, 0, 0, 0])]

    test()


@pytest.mark.parametrize(
    "pdu",
    [
        b"",
        b"\x08",
        b"\x08\x01\x00",
        b"\x08\x01\x01\x00",
        command(0x08, b"") + b"x",
        command(0x08, b"", identifier=0),
        command(0x01, b"\0\0"),
        command(0x13, b"\0\0"),
        command(0x15, bytes(10)),
        command(0x16, b"\x40\0\1\0"),
    ],
)
def test_what_is_malformed_or_an_answer_is_not_answered(pdu: bytes) -> None:
    assert rejected(pdu) == b""


# Floods


FLOODS = {
    "pairing": [(smp.SMP_CID, PAIRING_REQUEST)],
    "signalling": [(SIGNALLING, pdu) for pdu in (ECHO, UPDATE, CONNECT, CONNECT_MORE, UNKNOWN)],
    "both, and what is no ATT": [(smp.SMP_CID, PAIRING_REQUEST), (SIGNALLING, ECHO), (att.ATT_CID, b"\x12\1")],
}


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", side="pen")
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_beside_att_grows_nothing_starves_no_owner_and_holds_up_no_stopped(flood: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench("room") as pen, pen.host() as owner, pen.host(2) as stranger:
            await owner.subscribe(*Channel)
            await stranger.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing(), pen.host(3, interval_ms=7.5) as flooder:
                link = link_of(pen, flooder)
                peak = await throw(pen, flooder, link, FLOODS[flood], 3.0)
                assert pen.runner.act(lambda: pen.pen.needles_out), "the owner's lease lapsed under a stranger's flood"
                assert peak <= PACKETS + OWED_MAX
                since_ms = pen.now_ms
                number = stranger.stop_now()
                await throw(pen, flooder, link, FLOODS[flood], 0.4)
                assert isinstance(stranger.replies.get(number), stop.Stopped), "Stopped was held up"
                in_us = pen.pen.skin.last_in_us
                assert in_us is not None
                assert in_us - since_ms * 1_000 <= (IN_WITHIN_MS + LATE_MS) * 1_000

    test()


async def throw(pen: Bench, host: RawCentral, link: BleLink, what: list[tuple[int, bytes]], seconds: float) -> int:
    """As much as the host's controller takes without waiting for room, for so long; the most that waited in the pen."""
    assert host.connection is not None
    assert host.controller is not None
    peak, until = 0, asyncio.get_running_loop().time() + seconds
    packets = [acl(host.connection.handle, struct.pack("<HH", len(pdu), cid) + pdu) for cid, pdu in what]
    while asyncio.get_running_loop().time() < until:
        while host.ended is None and taken(host) < OVERFLOW - len(packets):
            for packet in packets:
                host.controller.on_packet(packet)
        await asyncio.sleep(0.0075)
        peak = max(peak, waiting(pen) + len(link._out))
    return peak


def acl(handle: int, data: bytes, *, first: bool = True) -> bytes:
    """A packet of data, as a host hands it to its controller."""
    return bytes(hci.HCI_AclDataPacket(handle, 0 if first else 1, 0, len(data), data))


def taken(host: RawCentral) -> int:
    """How many packets lie in a host's controller."""
    assert host.controller is not None
    links = [(end.air_link, end.side) for end in host.controller._ends.values() if end.air_link is not None]
    return sum(link.waiting(side) for link, side in links) if links else OVERFLOW


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_links_that_get_stuck_one_after_another_leave_the_owner_its_place_in_the_controller() -> None:
    async with bench("room") as pen, pen.host() as owner, AsyncExitStack() as stack:
        await owner.subscribe(*Channel)
        strangers = []
        for number in range(6):
            strangers.append(await stack.enter_async_context(pen.host(10 + number)))
            if number < 4:  # as many as it may have, which is less the more there are
                await get_stuck(pen, strangers[-1])
        await owner.to_running(pen.runner)
        async with owner.renewing():
            for stranger in strangers[4:]:
                await get_stuck(pen, stranger)
            await asyncio.sleep(2)
            assert pen.door.links == 7, "none has been found to be lost"
            queue = pen.door._device.host.le_acl_packet_queue
            assert queue is not None
            assert queue._in_flight >= queue.max_in_flight - 1
            assert pen.runner.act(lambda: pen.pen.needles_out), "the owner's lease lapsed"
            assert isinstance(await owner.answer_to(owner.stop_now(), within_s=0.5), stop.Stopped)


async def get_stuck(pen: Bench, host: RawCentral) -> None:
    """Be told as much as goes, and take no more of it; the link is lost when the air says so."""
    link = link_of(pen, host)
    pen.air.conditions.become(AirConditions(interval_us=30_000, supervision_ms=30_000))
    host.die()
    for _ in range(20):
        link._send(bytes([att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION, 1, 0, 0]))
    await asyncio.sleep(0.1)


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_one_pairing_and_one_signalling_answer_wait_at_most() -> None:
    async with bench("room") as pen, pen.host() as host:
        link = link_of(pen, host)
        for _ in range(40):
            link.notify(pen.door._table.battery, b"x")
            pen.door._device.l2cap_channel_manager.fixed_channels[smp.SMP_CID](link.connection.handle, PAIRING_REQUEST)  # type: ignore[misc]
            pen.door._device.l2cap_channel_manager.fixed_channels[SIGNALLING](link.connection.handle, ECHO)  # type: ignore[misc]
        assert sorted(cid for cid, _ in link._out) == [SIGNALLING, smp.SMP_CID]
        assert link.under_way == 1
        assert waiting(pen) == 0


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("pdu", [b"\x12", b"\x3e\0\0", struct.pack("<BHHH", 0x08, 1, 0xFFFF, 0x2803), b"\x02\x05\x02"])
def test_who_is_owed_too_many_answers_is_hung_up_on_whatever_was_asked(pdu: bytes) -> None:
    @in_virtual_time
    async def test() -> None:
        async with bench("room") as pen, pen.host() as host:
            link, server, peak = link_of(pen, host), pen.door._server, 0
            for _ in range(4 * OWED_MAX):
                server.take(link.connection.handle, pdu)
                await asyncio.sleep(0)
                peak = max(peak, len(link._out))
            assert link.gone
            assert OWED_MAX - 1 <= peak <= OWED_MAX
            assert await host.until_ended(5) == BY_THE_PEN

    test()


@pytest.mark.sr("SR-SEC-5", side="pen")
@in_virtual_time
async def test_a_link_that_is_being_ended_is_owed_nothing_however_much_is_asked_on_it() -> None:
    async with bench("room") as pen, pen.host() as host:
        link = link_of(pen, host)
        link.end(BY_THE_PEN)
        for _ in range(1_000):
            pen.door._server.take(link.connection.handle, struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, 3))
            pen.door._server.take(link.connection.handle, b"\x12")
        await asyncio.sleep(0.01)
        assert not link._out


# Logs


def as_attacked() -> dict[str, Callable[[RawCentral], None]]:
    def unknown_codes(host: RawCentral) -> None:
        for code in range(256):
            say(host, SIGNALLING, command(code, bytes(8), identifier=code or 1))

    def other_channels(host: RawCentral) -> None:
        for cid in (1, 2, 3, 7, 0x20, 0x3F, 0x40, 0x41, 0x7F, 0xFFFF):
            say(host, cid, b"anything")

    def att_that_is_none(host: RawCentral) -> None:
        for code in range(256):
            if code not in (0x52, 0x12):
                host.send(bytes([code]))
                host.send(bytes([code]) + bytes(20))
        host.send(b"\xd2\x25\0" + bytes(13))

    def too_long(host: RawCentral) -> None:
        assert host.connection is not None
        handle, queue = host.connection.handle, host.device.host.le_acl_packet_queue
        assert queue is not None
        for size, data in ((4, bytes(20)), (0, b"x"), (300, bytes(200))):
            head = struct.pack("<HH", size, att.ATT_CID)
            queue.enqueue(acl(handle, head + data), handle)  # type: ignore[arg-type]
            queue.enqueue(acl(handle, bytes(200), first=False), handle)  # type: ignore[arg-type]

    def encryption(host: RawCentral) -> None:
        assert host.connection is not None
        assert host.controller is not None
        for _ in range(20):
            begin = hci.HCI_LE_Enable_Encryption_Command(host.connection.handle, bytes(8), 0, bytes(16))
            host.controller.on_packet(bytes(begin))

    return {
        "unknown signalling codes": unknown_codes,
        "channels that nobody opened": other_channels,
        "what is no ATT": att_that_is_none,
        "packets longer than they say": too_long,
        "encryption begun many times": encryption,
    }


ATTACKS = as_attacked()


@pytest.mark.sr("SR-SEC-5", side="pen")
@pytest.mark.parametrize("air", ["perfect", "room"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_stranger_sends_is_written_into_a_log(
    attack: str, air: str, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[object] = []

    @in_virtual_time
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with bench(air) as pen, pen.host() as other:
            async with pen.host(2) as stranger:
                for cid in (smp.SMP_CID, SIGNALLING):
                    heard_on(stranger, cid)
                caplog.clear()
                ATTACKS[attack](stranger)
                await asyncio.sleep(3)
                said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
                assert said == []
            assert await other.read(SERIAL_NUMBER) == serial_number(7).encode()

    test()
    assert not raised
