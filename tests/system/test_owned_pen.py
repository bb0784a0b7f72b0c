"""A pen with an owner, and its owner's computer, in whole sessions: sealed, beside strangers, the seal stripped."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dermalink.channel.sealable_link import SealableLink
from dermalink.errors import (
    AnotherPen,
    HandshakeFailed,
    HostError,
    LinkLost,
    NotOwner,
    NotSecured,
    PenRefusal,
    WrongPen,
)
from dermalink.journal import MemoryJournal
from dermalink.pen import Pen
from dermalink.session import events
from dermalink.session.outcome import Ending
from dermalink.session.words import Word
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Reason
from dermalink_protocol.envelope import SEALED_HEADER
from dermalink_protocol.limits import IN_WITHIN_MS, LEASE_DEFAULT_MS
from dermalink_protocol.messages.identity import GetCartridge
from dermalink_protocol.messages.therapy import CloseSession
from dermalink_protocol.zones import Symptom
from dermalink_simulator.doors.address import Address
from dermalink_simulator.doors.tcp import TcpDoor
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk, desk
from dermalink_simulator.runner import PenRunner
from tests.support.owned import give_owner, keys_of, keys_only_of, no_keys
from tests.support.running import in_real_time
from tests.system.guided_session import SEALED, SEALED_ROOM, STREAM, Guided, Tell, Way, by_ways


@by_ways(SEALED_ROOM)
@pytest.mark.sr("SR-SEC-1")
def test_a_plan_is_led_through_over_the_air_under_seal(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        async with await world.pen() as pen:
            assert pen.sealed
            summary = await world.session(pen).run()
            assert pen.connection.link.counters.unsealed() == {}
        assert (summary.ending, summary.closed, summary.confirmed) == (Ending.DONE, True, True)
        assert summary.lost == 0
        assert 0 < world.sim.skin.deepest_um <= 250

    guided(story)


@by_ways(SEALED_ROOM)
@pytest.mark.sr("SR-STOP-2", side="host")
def test_a_stop_over_the_air_is_proved_under_seal(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        world.halfway(lambda: world.person.say(Word.STOP))
        summary = await world.run()
        assert (summary.ending, summary.confirmed) == (Ending.STOPPED, True)
        assert world.in_after_stop_ms() <= IN_WITHIN_MS

    guided(story)


@by_ways(SEALED_ROOM)
@pytest.mark.sr("SR-SEC-1", side="host")
def test_after_a_lost_link_there_is_another_handshake_and_only_then_is_anything_believed(guided: Tell) -> None:
    async def story(world: Guided) -> None:
        sealed: list[bool] = []

        async def again() -> Pen:
            pen = await world.pen()
            sealed.append(pen.sealed)
            return pen

        world.reactions[events.PassPaused] = lambda _: asyncio.get_running_loop().call_later(
            5, world.person.say, Word.RESUME
        )
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        world.reactions[events.LinkGone] = lambda _: world.do(lambda: world.sim.faults.clear("link"))
        summary = await world.run(connect=again)
        assert summary.ending is Ending.DONE
        assert sealed == [True]

    guided(story)


async def left_open_elsewhere(other: SimulatedPenDesk) -> None:
    """Another pen, whose own session has the number that the first one's has."""
    utc = lambda: other.model.clock.utc_s  # noqa: E731
    async with await Pen.connect(other.url, journal=MemoryJournal(), utc=utc, known=no_keys) as pen:
        await pen.look()
        await pen.apply(pen.gate.open_session())


async def led_elsewhere(world: Guided, other: SimulatedPenDesk, *, stops: bool) -> None:
    """The host's end of the line alone is lost, the pen works on, and who answers next is the other pen."""
    loop = asyncio.get_running_loop()
    met: list[Pen] = []

    async def elsewhere() -> Pen:
        pen = await Pen.connect(
            other.url, journal=world.journal, utc=lambda: world.sim.clock.utc_s, known=keys_only_of(world.sim)
        )
        if stops:
            world.person.say(Word.STOP)
        met.append(pen)
        return pen

    world.halfway(lambda: loop.call_soon(pen.connection._end, LinkLost("this end of the line is gone")))
    async with await world.pen() as pen:
        session = world.session(pen, connect=elsewhere)
        if stops:
            assert not (await session.run()).confirmed
        else:
            with pytest.raises(AnotherPen, match=other.model.card.serial_number):
                await session.run()
    assert met
    assert all(pen.connection.error for pen in met)
    assert not world.said(events.LinkBack)
    assert not any(stop.confirmed for stop in world.said(events.StopConfirmed))


@pytest.mark.sr("SR-SEC-1", "SR-STOP-2", "SR-SES-1", side="host")
@pytest.mark.parametrize("stops", [True, False], ids=["stop", "waiting"])
@pytest.mark.parametrize("way", [SEALED, STREAM], ids=str)
def test_another_pen_that_answers_after_a_lost_link_is_believed_nothing(way: Way, *, stops: bool) -> None:
    with (
        contextlib.closing(Bench(virtual=True)) as bench,
        desk(bench, SimulatedPen()) as made,
        desk(bench, SimulatedPen(seed=9)) as other,
    ):

        async def story() -> None:
            await asyncio.sleep(2)
            await left_open_elsewhere(other)
            await led_elsewhere(Guided(made, way), other, stops=stops)

        bench.run(story())


@by_ways(SEALED)
@pytest.mark.sr("SR-SEC-1", "SR-STOP-5", side="host")
@pytest.mark.parametrize("first", [AnotherPen, HandshakeFailed, NotOwner, WrongPen])
def test_who_answers_first_after_a_lost_link_keeps_the_own_pen_from_nothing(
    guided: Tell, first: type[HostError]
) -> None:
    async def story(world: Guided) -> None:
        answers: list[str] = []

        async def again() -> Pen:
            answers.append("asked")
            if len(answers) == 1:
                raise first("It is not the pen")
            return await world.pen()

        world.reactions[events.PassPaused] = lambda _: asyncio.get_running_loop().call_later(
            5, world.person.say, Word.RESUME
        )
        world.halfway(lambda: world.do(lambda: world.sim.faults.inject("link", "cut")))
        world.reactions[events.LinkGone] = lambda _: world.do(lambda: world.sim.faults.clear("link"))
        summary = await world.run(connect=again)
        assert summary.ending is Ending.DONE
        assert len(answers) == 2

    guided(story)


@by_ways(SEALED, SEALED_ROOM)
@pytest.mark.sr("SR-SEC-1", "SR-OWN-1", "SR-SYM-1")
@pytest.mark.parametrize("stops", [True, False], ids=["stop", "symptom"])
def test_a_stranger_beside_the_owner_may_look_and_stop_and_locks_nothing(guided: Tell, *, stops: bool) -> None:
    async def story(world: Guided) -> None:
        with pytest.raises(NotOwner):
            await Pen.connect(world.other_url, journal=MemoryJournal(), known=no_keys)

        async def meddle() -> None:
            options: dict[str, Any] = {"journal": MemoryJournal(), "inspect_only": True, "known": no_keys}
            async with await Pen.connect(world.other_url, **options) as stranger:
                assert (await stranger.status()).session_id
                with pytest.raises(PenRefusal) as refusal:
                    await stranger.request(GetCartridge())
                assert refusal.value.reason is Reason.NOT_AUTHENTICATED
                with pytest.raises((PenRefusal, NotSecured)):
                    await stranger.request(CloseSession(session_id=0, record_number=0, record_hash=bytes(32)))
                assert world.said(events.Progress)[-1].step.number == 1  # it goes on, whatever was refused
                if stops:
                    await stranger.stop()
                else:
                    await stranger.report_symptom(Symptom.BLEEDING)

        meddling: list[asyncio.Future[None]] = []
        world.halfway(lambda: meddling.append(asyncio.ensure_future(meddle())))
        summary = await world.run()
        await meddling[0]
        assert (summary.ending, summary.closed, summary.confirmed) == (Ending.STOPPED, True, True)
        assert not world.sim.needles_out
        async with await world.pen() as pen:
            assert (await pen.look()).belief.symptom_lock_s(world.sim.clock.utc_s) == 0

    guided(story)


@contextlib.contextmanager
def stripped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever stands in between opens what the pen seals, and hands it on in the clear."""
    with monkeypatch.context() as patched:
        incoming = SealableLink._incoming

        def strip(link: SealableLink, channel: Channel, body: bytes) -> bytes | None:
            if body[:4] == SEALED_HEADER and link._opener is not None:
                body = getattr(link._opener.open(channel, body[4:]), "body", b"")
            return incoming(link, channel, body)

        patched.setattr(SealableLink, "_incoming", strip)
        yield


@by_ways(SEALED)
@pytest.mark.sr("SR-SEC-1", side="host")
def test_with_the_seal_stripped_in_a_pass_the_host_sees_nothing_and_the_needles_go_in(
    guided: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: Guided) -> None:
        with contextlib.ExitStack() as attack:
            world.halfway(lambda: attack.enter_context(stripped(monkeypatch)))
            with pytest.raises(LinkLost, match="silent"):
                await world.run()
        assert not any(stop.confirmed for stop in world.said(events.StopConfirmed))
        assert world.in_after_ms() <= LEASE_DEFAULT_MS + IN_WITHIN_MS

    guided(story)


@in_real_time
async def test_over_tcp_the_owner_is_sealed_and_others_are_told_whose_pen_it_is() -> None:
    sim = SimulatedPen()
    runner = PenRunner(sim)
    door = await TcpDoor.open(runner, Address("127.0.0.1", 0))
    try:
        runner.act(lambda: give_owner(sim))
        async with await Pen.connect(door.url, journal=MemoryJournal(), known=keys_of) as pen:
            assert pen.sealed
            await pen.look()
            assert (await pen.stop()).status
        with pytest.raises(NotOwner):
            await Pen.connect(door.url, journal=MemoryJournal(), known=no_keys)
        another = lambda serial: replace(keys_of(serial), binding=bytes(32))  # noqa: E731
        with pytest.raises(HandshakeFailed):
            await Pen.connect(door.url, journal=MemoryJournal(), known=another)
    finally:
        await door.close()
        runner.stop()
