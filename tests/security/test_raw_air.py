"""Somebody in reach of the radio who throws whatever ATT can carry at a pen in a pass; by the skin's own account."""

import asyncio
import logging
import struct
from random import Random

import pytest
from bumble import att, hci, l2cap, smp

from dermalink_protocol.channels import Channel
from dermalink_protocol.limits import DEPTH_CAP_UM, IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.messages import stop
from dermalink_protocol.segmentation import FIRST, LAST
from tests.support.running import in_virtual_time
from tests.unit.doors.ble_central import Bench, RawCentral, bench

LATE_MS = 4 * 30  # up to three connection events of the room lost in a row
HUNG_UP = int(hci.HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR)
THROWN = 60
PAUSES_S = (0, 0.03, 0.06)  # what is thrown faster waits in the thrower's own radio
DRAINED_S = 0.6
SEEDS = range(8)
MTUS = (23, 185, 247, 517)
# No writes to Stop: whoever says Stop badly still says it, and the pass would be over (SR-STOP-4).
QUIET = tuple(channel for channel in Channel if channel is not Channel.STOP)


def junk(chance: Random, host: RawCentral) -> bytes:
    """An ATT packet that a host may send, or must not: any handle, any length, half a message, an odd subscription."""
    handles = [host.handle(channel) for channel in QUIET]
    avoided = {host.handle(Channel.STOP)}
    handle = chance.choice([*handles, *(each for each in range(1, 60) if each not in avoided)])
    segment = bytes([chance.choice([0, FIRST, LAST, FIRST | LAST, chance.randrange(256)])])
    value = segment + chance.randbytes(chance.choice([0, 1, 3, 19, 40, 250, 511]))
    write = struct.pack("<H", handle) + value
    kind = chance.randrange(8)
    if kind < 3:
        return bytes([att.Opcode.ATT_WRITE_REQUEST]) + write
    if kind == 3:
        return bytes([att.Opcode.ATT_WRITE_COMMAND]) + write
    if kind == 4:
        return struct.pack("<BHH", att.Opcode.ATT_PREPARE_WRITE_REQUEST, handle, chance.randrange(600)) + value[:18]
    if kind == 5:
        return struct.pack("<BH", att.Opcode.ATT_READ_REQUEST, handle)
    if kind == 6:
        return struct.pack("<BH", att.Opcode.ATT_EXCHANGE_MTU_REQUEST, chance.randrange(600))
    return chance.randbytes(chance.randrange(1, 24))


def refusing_stop(pdu: bytes, host: RawCentral) -> bool:
    """Whether a packet of pure chance is no write to Stop after all."""
    return len(pdu) < 3 or int.from_bytes(pdu[1:3], "little") != host.handle(Channel.STOP)


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", "SR-DEPTH-1", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
def test_junk_from_a_stranger_moves_nothing_and_holds_up_no_stop(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    @in_virtual_time
    async def test() -> None:
        chance = Random(seed)
        async with bench("room") as pen, pen.host() as owner:
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing(), pen.host(2, mtu=chance.choice(MTUS)) as stranger:
                stranger.confirms = chance.random() < 0.5
                await throw(chance, stranger)
                await asyncio.sleep(DRAINED_S)
                assert stranger.ended is None, "it has no link left to say Stop by"
                assert pen.runner.act(lambda: pen.pen.needles_out), "the owner's pass was ended by a stranger's junk"
                since_ms = pen.now_ms
                if chance.random() < 0.5:
                    stranger.stop_now()
                else:
                    _, (segment,) = stranger.segments(stop.Stop(), 1)
                    handle = struct.pack("<H", stranger.handle(Channel.STOP))
                    stranger.send(bytes([att.Opcode.ATT_WRITE_REQUEST]) + handle + segment)
                await asyncio.sleep(0.5)
                assert_in(pen, since_ms, IN_WITHIN_MS + LATE_MS)

    test()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR and record.exc_info]


@pytest.mark.sr("SR-STOP-1", "SR-DEPTH-1", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
def test_an_owner_who_sends_junk_and_renews_no_more_has_its_needles_in_with_the_lease(seed: int) -> None:
    @in_virtual_time
    async def test() -> None:
        chance = Random(1_000 + seed)
        async with bench("room") as pen, pen.host(mtu=chance.choice(MTUS)) as owner:
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing():
                await asyncio.sleep(0.3)
            since_ms = pen.now_ms  # no renewal on its way can quote a later tick
            await throw(chance, owner)
            await asyncio.sleep(1)
            assert_in(pen, since_ms, LEASE_DEFAULT_MS + IN_WITHIN_MS)

    test()


def beside_att(chance: Random) -> tuple[int, bytes]:
    """What belongs to another channel than ATT's: a pairing, a channel, an answer to nothing; well-formed or not."""
    cid = chance.choice([smp.SMP_CID, l2cap.L2CAP_LE_SIGNALING_CID, chance.randrange(1, 0x80)])
    data = chance.randbytes(chance.choice([0, 1, 4, 10, 23, 64, 240]))
    if cid == smp.SMP_CID:
        return cid, bytes([chance.randrange(16)]) + data
    if cid == l2cap.L2CAP_LE_SIGNALING_CID and chance.random() < 0.8:
        return cid, struct.pack("<BBH", chance.randrange(0x1B), chance.randrange(256), len(data)) + data
    return (cid, data) if cid != att.ATT_CID else (cid, b"")


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
def test_junk_beside_att_moves_nothing_ends_no_pass_and_holds_up_no_stop(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[object] = []

    @in_virtual_time
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        chance = Random(2_000 + seed)
        async with bench("room") as pen, pen.host() as owner:
            await owner.subscribe(*Channel)
            await owner.to_running(pen.runner)
            async with owner.renewing(), pen.host(2, mtu=chance.choice(MTUS)) as stranger:
                connection, controller = stranger.connection, stranger.controller
                assert connection is not None
                assert controller is not None
                for cid in (smp.SMP_CID, l2cap.L2CAP_LE_SIGNALING_CID):
                    stranger.device.l2cap_channel_manager.register_fixed_channel(cid, lambda *_: None)
                caplog.clear()
                for _ in range(4 * THROWN):
                    if stranger.ended is not None:
                        break
                    stranger.device.send_l2cap_pdu(connection.handle, *beside_att(chance))
                    if chance.random() < 0.2:
                        begin = hci.HCI_LE_Enable_Encryption_Command(connection.handle, bytes(8), 0, bytes(16))
                        controller.on_packet(bytes(begin))
                    await asyncio.sleep(chance.choice((0, 0, 0.01)))
                assert stranger.ended in (None, HUNG_UP), "for pairings, again and again"
                assert pen.runner.act(lambda: pen.pen.needles_out), "the owner's pass was ended by a stranger's junk"
                since_ms = pen.now_ms
                owner.stop_now()
                await asyncio.sleep(0.5)
                assert_in(pen, since_ms, IN_WITHIN_MS + LATE_MS)
                assert [each.getMessage() for each in caplog.records if each.levelno >= logging.INFO] == []

    test()
    assert not raised


async def throw(chance: Random, host: RawCentral) -> None:
    """Much of it, without waiting for answers."""
    for _ in range(THROWN):
        pdu = junk(chance, host)
        if refusing_stop(pdu, host) and host.ended is None:
            host.send(pdu)
        await asyncio.sleep(chance.choice(PAUSES_S))


def assert_in(pen: Bench, since_ms: int, within_ms: int) -> None:
    """The needles came in, in time, and were never deeper than any may go."""
    in_us = pen.runner.act(lambda: pen.pen.skin.last_in_us)
    assert in_us is not None, "the needles are out"
    assert in_us - since_ms * 1_000 <= within_ms * 1_000
    assert pen.pen.skin.protruded_um <= DEPTH_CAP_UM
    assert not pen.pen.motor_turns
    assert not pen.runner.stopped
