"""Who subscribes to what over the air: a stranger to what a pen tells anybody, an owner to the rest, each once."""

import asyncio

import pytest

from dermalink.cli.stopping import stop_one
from dermalink.doctor.pen import check_pen
from dermalink.errors import HandshakeFailed, NotOwner
from dermalink.links.ble_client import OPEN_TO_ALL, THE_OTHERS, PenClient
from dermalink.links.ble_writer import Writer
from dermalink_protocol.channels import CHANNEL_RULES, Channel
from tests.air.host.on_air import on_air
from tests.support.owned import keys_of, no_keys
from tests.support.running import in_virtual_time

STARTED_S = 1.5  # its self-test at power-up is over
OPEN, OTHERS = list(OPEN_TO_ALL), list(THE_OTHERS)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Channel | str]:
    """Each subscription, and each first message on a channel that has to be subscribed to first, in their order."""
    kept: list[Channel | str] = []
    subscribe_to, write_turn = PenClient.subscribe_to, Writer.send

    async def subscribing(client: PenClient, channel: Channel) -> None:
        kept.append(channel)
        await subscribe_to(client, channel)

    async def sending(writer: Writer, channel: Channel, body: bytes) -> None:
        if CHANNEL_RULES[channel].encrypted and f"to {channel.name}" not in kept:
            kept.append(f"to {channel.name}")
        await write_turn(writer, channel, body)

    monkeypatch.setattr(PenClient, "subscribe_to", subscribing)
    monkeypatch.setattr(Writer, "send", sending)
    return kept


def test_what_wants_encryption_is_what_only_an_owner_has() -> None:
    assert OPEN == [Channel.PAIRING, Channel.STATUS, Channel.STOP]
    assert OTHERS == [Channel.COMMAND, Channel.TELEMETRY, Channel.RECORDS]


@in_virtual_time
async def test_a_stranger_who_looks_and_stops_asks_for_nothing_that_would_pair(done: list[Channel | str]) -> None:
    async with on_air() as desk:
        await asyncio.sleep(STARTED_S)
        desk.give_owner()
        async with await desk.connect(inspect_only=True, known=no_keys) as pen:
            assert pen.stranger
            await pen.stop()
        assert done == OPEN
        done.clear()
        await stop_one(desk.url)
        assert done == OPEN
        done.clear()
        with pytest.raises(NotOwner):
            await desk.connect(known=no_keys)
        assert done == OPEN


@in_virtual_time
async def test_a_doctor_who_is_a_stranger_asks_for_nothing_that_would_pair(done: list[Channel | str]) -> None:
    async with on_air() as desk:
        await asyncio.sleep(STARTED_S)
        desk.give_owner()
        assert await check_pen(desk.url)
        assert done == OPEN


@in_virtual_time
async def test_of_a_pen_that_is_anybodys_all_is_heard_before_anything_is_said_there(
    done: list[Channel | str],
) -> None:
    async with on_air() as desk:
        await asyncio.sleep(STARTED_S)
        async with await desk.connect() as pen:
            await pen.look()
            await pen.apply(pen.gate.run_self_test())
        assert done == [*OPEN, *OTHERS, "to COMMAND"]


@in_virtual_time
async def test_a_pen_that_nobody_may_run_before_it_is_paired_is_looked_at_as_a_stranger(
    done: list[Channel | str],
) -> None:
    async with on_air(profile="product") as desk:
        await asyncio.sleep(STARTED_S)
        async with await desk.connect(inspect_only=True) as pen:
            assert pen.stranger
        with pytest.raises(NotOwner):
            await desk.connect()
        assert done == [*OPEN, *OPEN]


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_who_does_not_prove_to_be_ones_own_pen_is_not_bonded_with(done: list[Channel | str]) -> None:
    async with on_air() as desk:
        await asyncio.sleep(STARTED_S)
        with pytest.raises(HandshakeFailed):
            await desk.connect(known=keys_of)
        with pytest.raises(HandshakeFailed):
            await desk.connect(known=keys_of, inspect_only=True)
        assert done == [*OPEN, *OPEN]
