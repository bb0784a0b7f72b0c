"""What somebody on the line can do to a pen's records on their way to its owner's computer: it believes none of it."""

import asyncio
from collections.abc import Iterable
from typing import Final

import pytest

from dermalink.errors import HandshakeFailed, Timeout
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.envelope import peek_opcode
from dermalink_protocol.framing import encode_frame
from dermalink_protocol.messages.identity import GetStatus, StateChanged
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import PACK_SAMPLE
from dermalink_protocol.schema import Message
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST, begin_pass
from tests.unit.host.sealed_pen import SealedPen, an_owned_pen, settled
from tests.unit.protocol.sealing_ends import every_flip

Said = list[tuple[Channel, bytes]]
SAMPLES: Final = PACK_SAMPLE.pack(300, 300, 60, 7, 10, 0)


def recorded(far: SealedPen) -> Said:
    """All that the pen says from here on, as it went over the line."""
    said: Said = []

    def listen(channel: Channel, body: bytes) -> list[bytes]:
        said.append((channel, body))
        return [body]

    far.mangle = listen
    return said


def play(far: SealedPen, said: Iterable[tuple[Channel, bytes]]) -> int:
    """Send what is said as it is; how many there were."""
    count = 0
    for channel, body in said:
        far.pipe.feed(encode_frame(channel, body))
        count += 1
    return count


def tell(far: SealedPen, kind: type[Message]) -> None:
    """The pen says one of these unasked."""
    if kind is Telemetry:
        far.notify(Telemetry, tick_ms=far.tick, samples=SAMPLES)
    else:
        far.notify(StateChanged, tick_ms=far.tick, state=State.OPEN, reason=Reason.NONE, flags=AT_REST)


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("kind", [Telemetry, StateChanged])
@in_virtual_time
async def test_no_notification_with_any_bit_altered_or_cut_at_any_length_is_believed(kind: type[Message]) -> None:
    async with an_owned_pen() as (pen, far):
        heard = pen.subscribe(Telemetry, StateChanged)
        tick = pen.connection.newest_tick
        held: Said = []

        def hold(channel: Channel, body: bytes) -> list[bytes]:
            held.append((channel, body))
            return []

        far.mangle = hold
        tell(far, kind)
        [(channel, body)] = held
        altered = [*every_flip(body), *(body[:size] for size in range(4, len(body))), body + b"\0"]
        sent = play(far, ((channel, each) for each in altered))
        await settled()
        assert heard.take_waiting() == []
        assert pen.connection.newest_tick == tick
        assert sum(pen.connection.link.counters.unsealed().values()) == sent
        play(far, held)
        await settled()
        assert [type(each) for each in heard.take_waiting()] == [kind]


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_no_answer_with_any_bit_altered_is_taken() -> None:
    async with an_owned_pen() as (pen, far):
        far.mangle = lambda _, body: every_flip(body)
        with pytest.raises(Timeout):
            await pen.status()
        far.mangle = lambda _, body: [body]
        assert (await pen.status()).state is State.IDLE


@pytest.mark.sr("SR-SEC-1", "SR-STOP-2", side="host")
@pytest.mark.parametrize(
    "part", [slice(None), slice(None, None, 3), slice(None, None, -1)], ids=["whole", "in part", "backwards"]
)
@in_virtual_time
async def test_what_the_pen_said_played_back_in_the_same_connection_is_believed_once(part: slice) -> None:
    async with an_owned_pen() as (pen, far):
        heard = pen.subscribe(Telemetry, StateChanged)
        said = recorded(far)
        await begin_pass(pen)
        for kind in (Telemetry, StateChanged, Telemetry):
            tell(far, kind)
        await pen.status()
        assert len(heard.take_waiting()) == 3
        tick = pen.connection.newest_tick
        again = [each for each in said if peek_opcode(each[1]) == Opcode.SEALED][part]
        sent = play(far, again)
        await settled()
        assert heard.take_waiting() == []
        assert pen.connection.newest_tick == tick
        assert sum(pen.connection.link.counters.unsealed().values()) == sent > 1
        assert (await pen.status()).state


@pytest.mark.sr("SR-SEC-1", "SR-STOP-2", side="host")
@pytest.mark.parametrize("later", [True, False], ids=["after the handshake", "before it"])
@in_virtual_time
async def test_what_the_pen_said_in_another_connection_is_believed_in_none(*, later: bool) -> None:
    async with an_owned_pen() as (pen, far):
        said = recorded(far)
        await begin_pass(pen)
        tell(far, StateChanged)
        await pen.status()
    again = SealedPen(MemoryPipe())
    again.handshakes = 7  # another ephemeral key, as each connection has
    if not later:
        play(again, said)
    async with an_owned_pen(again) as (pen, far):
        heard = pen.subscribe(Telemetry, StateChanged)
        if later:
            sent = play(far, said)
            await settled()
            assert sum(pen.connection.link.counters.unsealed().values()) == sent > 1
        assert heard.take_waiting() == []
        assert not pen.connection.says_moving
        assert (await pen.status()).state is State.IDLE


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_the_hosts_own_words_sent_back_to_it_are_no_pens() -> None:
    async with an_owned_pen() as (pen, far):
        await begin_pass(pen)
        mine = [each for each in far.heard if peek_opcode(each[1]) == Opcode.SEALED]
        heard = pen.subscribe(Telemetry, StateChanged)
        sent = play(far, mine)
        await settled()
        assert heard.take_waiting() == []
        assert sum(pen.connection.link.counters.unsealed().values()) == sent > 1


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_with_its_own_records_sent_back_and_none_of_the_pens_there_is_no_connection() -> None:
    script = SealedPen(MemoryPipe())

    def send_back(channel: Channel, body: bytes) -> list[bytes]:
        if peek_opcode(body) == Opcode.SEALED:
            play(script, [(channel, body)])
        return [body]

    script.mangle_asked = send_back
    script.mangle = lambda _, body: [] if peek_opcode(body) == Opcode.SEALED else [body]
    with pytest.raises(HandshakeFailed, match="nothing sealed came back"):
        async with an_owned_pen(script):
            raise AssertionError("connected")


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_answers_that_change_places_on_the_way_are_each_the_answer_to_their_question() -> None:
    async with an_owned_pen() as (pen, far):
        held: Said = []

        def hold(channel: Channel, body: bytes) -> list[bytes]:
            held.append((channel, body))
            return []

        far.mangle = hold
        asked = [asyncio.ensure_future(pen.connection.request(GetStatus())) for _ in range(3)]
        await settled()
        play(far, held[::-1])
        answers = [await each for each in asked]
        ticks = [answer.tick_ms for answer in answers]
        assert ticks == sorted(ticks)
        assert pen.connection.link.counters.unsealed() == {}
