"""Bluetooth's own encryption is no substitute for ours: who has a bond, or shares the owner's link, is a stranger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.envelope import Envelope, encode_envelope
from dermalink_protocol.limits import BOND_WINDOW_MS, IN_WITHIN_MS, LEASE_DEFAULT_MS, PROTOCOL_VERSION
from dermalink_protocol.messages import identity, owner, refusal, stop, therapy
from dermalink_protocol.messages.sealed import Sealed
from dermalink_protocol.schema import Message
from dermalink_protocol.sealing.handshake import HostHandshake, Keys, Negotiated, Session
from dermalink_protocol.sealing.keys import public_key
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.effects import UNTRACKED
from dermalink_simulator.firmware.flash_store import Transaction
from dermalink_simulator.pen import SimulatedPen
from tests.support.running import in_virtual_time
from tests.support.sealed_client import BINDING, HOST, PEN, chance, inside
from tests.unit.doors.ble_central import RawCentral
from tests.unit.doors.smp_central import SmpCentral, bonding_bench, central, kept, keys_of_links, press

LATE_MS = 4 * 30  # up to three connection events of a room lost in a row
RESET_S = 1.0


def owners_orders(host: RawCentral) -> list[Message]:
    """What only the owner may order or ask, as he would say it."""
    return [
        host.command(
            therapy.OpenSession,
            boot_id=host.boot_id,
            lease_ms=int(LEASE_DEFAULT_MS),
            record_number=0,
            record_hash=bytes(32),
        ),
        host.command(
            therapy.Prepare,
            session_id=1,
            zone=Zone.NOSE,
            direction=Direction.VERTICAL,
            depth_um=250,
            rate_hz=60,
            speed_mm_s=20,
            tag_id=bytes(8),
        ),
        therapy.CloseSession(session_id=1, record_number=0, record_hash=bytes(32)),
        owner.ReleaseOwner(),
        identity.GetCartridge(),
    ]


async def greet(host: RawCentral) -> None:
    """Hello, which anybody may say."""
    await host.expect(identity.HelloReply, identity.Hello(protocol_version=int(PROTOCOL_VERSION), host_nonce=1))


async def is_refused(host: RawCentral, message: Message) -> None:
    answer = await host.ask(message)
    assert isinstance(answer, refusal.Refused), answer
    assert answer.reason == Reason.NOT_AUTHENTICATED


@asynccontextmanager
async def sealed(host: RawCentral) -> AsyncIterator[Session]:
    """The owner's sealed channel, on that host's link."""
    hello = identity.Hello(protocol_version=int(PROTOCOL_VERSION), host_nonce=1)
    number = await host.send_message(hello)
    reply = await host.answer_to(number)
    said = tuple(encode_envelope(Envelope(Channel.STATUS, number, each)) for each in (hello, reply))
    handshake = HostHandshake(Keys(HOST, public_key(PEN), chance("bonds")), Negotiated(said[0], said[1], BINDING))
    answer = await host.expect(owner.ChannelOpened, owner.OpenChannel(message=handshake.begin()))
    yield handshake.finish(answer.message)


async def under_seal(host: RawCentral, session: Session) -> None:
    """Ask for the status as the owner, and see that it is answered under seal."""
    body = encode_envelope(Envelope(Channel.STATUS, 77, identity.GetStatus()))
    record = Sealed(record=session.sealer.seal(Channel.STATUS, body))
    before = len(host.said)
    _, segments = host.segments(record, 0, Channel.STATUS)
    for segment in segments:
        await host.write(host.handle(Channel.STATUS), segment)
    async with asyncio.timeout(5):
        while not any(isinstance(each, Sealed) for each in host.said[before:]):  # noqa: ASYNC110
            await asyncio.sleep(0.03)


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@in_virtual_time
async def test_a_central_that_has_bonded_and_is_not_paired_is_a_stranger_still() -> None:
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        key = await one.pair()
        await one.encrypt(key)
        assert keys_of_links(pen) == [key]
        await one.host.subscribe(*Channel)
        await greet(one.host)
        for order in owners_orders(one.host):
            await is_refused(one.host, order)
        assert inside(pen.pen).owner.owned
        assert (await one.host.status()).state is State.IDLE
        assert isinstance(await one.host.answer_to(one.host.stop_now()), stop.Stopped)
        await asyncio.sleep(2)
        assert not one.host.said, "a stranger is told nothing unasked"
        assert kept(pen) == bytes(16)
        assert key not in pen.pen.flash_image()


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@in_virtual_time
async def test_a_second_program_that_shares_the_owners_encrypted_link_is_a_stranger_still() -> None:
    """As on BlueZ, where whatever runs on the owner's computer may write to the characteristics that he has open."""
    async with bonding_bench() as pen, central(pen) as one:
        await press(pen)
        await one.encrypt(await one.pair())
        await one.host.subscribe(*Channel)
        async with sealed(one.host) as session:
            await under_seal(one.host, session)
            await asyncio.sleep(1)
            assert kept(pen) == one.key, "the owner is there, and his bond is kept"
            for order in owners_orders(one.host):
                await is_refused(one.host, order)
            await under_seal(one.host, session)  # what the other program said took nothing from him
            assert inside(pen.pen).owner.owned


@pytest.mark.sr("SR-OWN-1", side="pen")
@in_virtual_time
async def test_the_owners_bond_outlives_a_loss_of_power_and_goes_with_the_hand_over() -> None:
    async with bonding_bench() as pen:
        async with central(pen) as one:
            await press(pen)
            key = await one.pair()
            await one.encrypt(key)
            await one.host.subscribe(*Channel)
            async with sealed(one.host) as session:
                await under_seal(one.host, session)
            await asyncio.sleep(RESET_S)
        pen.runner.act(pen.pen.power.cut)
        await asyncio.sleep(RESET_S)
        pen.runner.act(pen.pen.power.restore)
        await asyncio.sleep(2)
        async with central(pen, 5) as again:
            await again.encrypt(key)
            await again.host.subscribe(*Channel)
        released = Transaction(UNTRACKED, {"owned": 0}, own=frozenset({"owned"}))
        pen.runner.act(lambda: inside(pen.pen).store.submit(released))
        await asyncio.sleep(RESET_S)
        assert kept(pen) == bytes(16)
        assert key not in pen.pen.flash_image()


@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", side="pen")
@in_virtual_time
async def test_a_strangers_bond_ends_with_its_window_and_his_link_with_it() -> None:
    async with bonding_bench() as pen, central(pen) as one, central(pen, 2) as stranger:
        await press(pen)
        await one.encrypt(await one.pair())
        await one.host.subscribe(*Channel)
        await stranger.encrypt(await stranger.pair())
        async with sealed(one.host) as session:
            await under_seal(one.host, session)
        await asyncio.sleep(BOND_WINDOW_MS / 1_000 + 2)
        assert stranger.host.ended is not None
        assert one.host.ended is None
        assert kept(pen) == one.key
        assert keys_of_links(pen) == [one.key]


# Floods

NONSENSE = [
    bytes([1, 3, 0, 9, 16, 0, 0]),
    bytes([0x0C]) + bytes(range(64)),
    bytes([4]) + bytes(16),
    bytes([0x0D]) + bytes(16),
    bytes([0x0B, 9]),
    bytes([5, 8]),
]


@pytest.mark.sr("SR-SEC-5", "SR-STOP-4", "SR-STOP-7", side="pen")
@pytest.mark.parametrize("flood", ["pairing", "encryption"])
def test_a_flood_of_pairings_or_of_keys_starves_no_owner_and_holds_up_no_stop(flood: str) -> None:
    @in_virtual_time
    async def test() -> None:
        raised: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        async with bonding_bench(SimulatedPen(seed=7), "room") as pen, pen.host() as owner, pen.host(2) as stranger:
            await owner.subscribe(*Channel)
            await stranger.subscribe(*Channel)
            await pen.at_rest()
            await press(pen)
            async with central(pen, 3) as flooder:
                key = await flooder.pair()
                await flooder.encrypt(key)
                await owner.to_running(pen.runner)
                async with owner.renewing():
                    work = asyncio.create_task(_flood(flooder, flood, key))
                    await asyncio.sleep(3)
                    assert pen.runner.act(lambda: pen.pen.needles_out), "the owner's lease lapsed"
                    since_ms = pen.now_ms
                    number = stranger.stop_now()
                    assert isinstance(await stranger.answer_to(number, within_s=0.5), stop.Stopped)
                    in_us = pen.pen.skin.last_in_us
                    assert in_us is not None
                    assert in_us - since_ms * 1_000 <= (IN_WITHIN_MS + LATE_MS) * 1_000
                    work.cancel()
                    await asyncio.wait([work])
        assert not raised

    test()


async def _flood(flooder: SmpCentral, flood: str, key: bytes) -> None:
    """As many as its own radio takes, until it is hung up on."""
    while flooder.host.ended is None:
        if flood == "pairing":
            flooder.say(*NONSENSE)
            await asyncio.sleep(0.03)
        else:
            await flooder.encrypt(key)
