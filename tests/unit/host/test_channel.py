"""Connecting to a pen with an owner: sealed or not at all, and anew each time."""

import asyncio
from typing import Any

import pytest

from dermalink.connecting import HELLO_WITHIN_S
from dermalink.errors import (
    ChannelError,
    HandshakeFailed,
    IncompatiblePen,
    KeysRefused,
    NotOwner,
    PenRefusal,
    StopFailed,
    StopNotConfirmed,
    Timeout,
)
from dermalink.journal import MemoryJournal
from dermalink.lease import Lease
from dermalink.reconnect import Reconnector
from dermalink.records import SymptomSaid
from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.envelope import Envelope, encode_envelope, peek_opcode
from dermalink_protocol.messages.identity import GetLastCommand, GetStatus, Hello, StateChanged, Status
from dermalink_protocol.messages.owner import ChannelOpened, GetOwner, OpenChannel
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.stop import ReportSymptom, Stop, Stopped
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import PACK_SAMPLE
from dermalink_protocol.zones import Symptom
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST, begin_pass
from tests.unit.host.sealed_pen import SealedPen, an_owned_pen, has_keys, no_keys, settled
from tests.unit.protocol.sealing_ends import every_flip, flipped

IN_THE_CLEAR = (Opcode.HELLO, Opcode.OPEN_CHANNEL, Opcode.SEALED)
MOVING: dict[str, Any] = {"state": State.RUNNING, "flags": AT_REST & 0}


def a_script() -> SealedPen:
    return SealedPen(MemoryPipe())


async def refused(script: SealedPen, **how: Any) -> ChannelError:
    """Why no connection came about."""
    with pytest.raises(ChannelError) as error:
        async with an_owned_pen(script, **how):
            raise AssertionError("connected")
    assert script.pipe.closes == 1
    return error.value


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_an_owner_says_hello_in_the_clear_and_all_else_under_seal() -> None:
    async with an_owned_pen() as (pen, far):
        assert pen.sealed
        assert (await pen.status()).state is State.IDLE
        await begin_pass(pen)
        await pen.report_symptom(Symptom.PAIN)
        assert [peek_opcode(body) for _, body in far.heard[:2]] == [Opcode.HELLO, Opcode.OPEN_CHANNEL]
        assert {peek_opcode(body) for _, body in far.heard[2:]} == {Opcode.SEALED}
        kinds = {type(request) for request in far.opened}
        assert {GetStatus, GetLastCommand, ReportSymptom} <= kinds
        assert pen.connection.link.counters.unsealed() == {}


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_without_an_owner_is_run_as_before() -> None:
    script = a_script()
    script.owned = False
    async with an_owned_pen(script, known=no_keys) as (pen, _):
        assert (pen.owned, pen.sealed) == (False, False)
        assert (await pen.status()).state is State.IDLE


@in_virtual_time
async def test_a_pen_that_was_built_without_owners_has_none_and_is_not_asked() -> None:
    script = a_script()
    script.hello["suite"] = 0
    script.owned = False
    async with an_owned_pen(script, known=no_keys) as (pen, _):
        assert not pen.owned
    script = a_script()
    script.owned = False
    script.refuse(GetOwner, Reason.NOT_BUILT)
    async with an_owned_pen(script, known=no_keys) as (pen, _):
        assert not pen.owned


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_somebody_elses_pen_is_refused_with_what_to_do() -> None:
    error = await refused(a_script(), known=no_keys)
    assert isinstance(error, NotOwner)
    assert error.rule == "SR-OWN-1"
    assert "dermalink pair" in error.advice


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_stranger_may_look_and_stop() -> None:
    async with an_owned_pen(known=no_keys, inspect_only=True) as (pen, far):
        assert (pen.owned, pen.sealed) == (True, False)
        assert (await pen.status()).state is State.IDLE
        assert (await pen.stop()).status.state is State.IDLE
        with pytest.raises(PenRefusal) as refusal:
            await pen.last_command()
        assert refusal.value.reason is Reason.NOT_AUTHENTICATED
        assert far.handshakes == 0


# Whoever stands in between before the handshake


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("way", ["hello", "reply"])
@in_virtual_time
async def test_no_bit_of_hello_can_be_altered(way: str) -> None:
    """Another version, suite, feature, limit, serial number or boot: none is talked to, under seal or in the clear."""
    first = a_script()
    said: dict[str, bytes] = {}

    def listen(_: Channel, body: bytes) -> list[bytes]:
        said.setdefault("hello" if peek_opcode(body) == Opcode.HELLO else "reply", body)
        return [body]

    first.mangle = first.mangle_asked = listen
    async with an_owned_pen(first):
        pass
    for bit in range(8 * 4, 8 * len(said[way])):  # the envelope only says whose answer it is
        script = a_script()

        def alter(_: Channel, body: bytes, bit: int = bit) -> list[bytes]:
            kind = Opcode.HELLO if way == "hello" else Opcode.HELLO_REPLY
            return [flipped(body, bit) if peek_opcode(body) == kind else body]

        if way == "hello":
            script.mangle_asked = alter
        else:
            script.mangle = alter
        with pytest.raises((ChannelError, IncompatiblePen, Timeout)):
            async with an_owned_pen(script):
                raise AssertionError(f"connected with bit {bit} altered")
        assert script.opened == []


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_that_claims_to_know_no_sealed_channel_is_not_talked_to_in_the_clear() -> None:
    script = a_script()
    script.hello["suite"] = 0
    error = await refused(script)
    assert "no sealed channel" in error.limit
    assert {type(request) for request in script.seen} == {Hello}


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("bit", [0, 8 * 31, 8 * 32, 8 * 48 - 1])
@in_virtual_time
async def test_an_altered_answer_to_the_handshake_ends_it(bit: int) -> None:
    script = a_script()

    def alter(_: Channel, body: bytes) -> list[bytes]:
        return [flipped(body, 32 + bit) if peek_opcode(body) == Opcode.CHANNEL_OPENED else body]

    script.mangle = alter
    assert type(await refused(script)) is HandshakeFailed


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("reason", [Reason.NO_OWNER, Reason.NOT_AUTHENTICATED])
@in_virtual_time
async def test_a_pen_that_has_let_go_of_this_owner_says_what_to_do(reason: Reason) -> None:
    script = a_script()
    script.refuse(OpenChannel, reason)
    error = await refused(script)
    assert isinstance(error, KeysRefused)
    assert error.reason is reason
    assert "dermalink pair" in error.advice


@pytest.mark.parametrize("reason", [Reason.FLASH_FAILED, Reason.HISTORY_BROKEN])
@in_virtual_time
async def test_a_pen_whose_memory_is_at_fault_is_not_said_to_want_pairing(reason: Reason) -> None:
    script = a_script()
    script.refuse(OpenChannel, reason)
    error = await refused(script)
    assert type(error) is HandshakeFailed
    assert "Switch the pen off and on" in error.advice
    assert "dermalink pair" not in error.advice


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.parametrize("what", ["private", "host_public", "binding"])
@in_virtual_time
async def test_with_keys_of_another_pairing_nothing_is_opened(what: str) -> None:
    script = a_script()
    setattr(script, what, bytes(range(50, 82)))
    assert isinstance(await refused(script), HandshakeFailed)
    assert script.opened == []


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_an_answer_from_an_earlier_connection_is_none() -> None:
    first = a_script()
    async with an_owned_pen(first):
        pass
    recorded: list[bytes] = []
    again = a_script()

    def record(_: Channel, body: bytes) -> list[bytes]:
        if peek_opcode(body) == Opcode.CHANNEL_OPENED:
            recorded.append(body[4:])
        return [body]

    again.mangle = record
    async with an_owned_pen(again):
        pass
    replaying = a_script()
    replaying.on(OpenChannel, lambda _: ChannelOpened(message=recorded[0]))
    assert type(await refused(replaying)) is HandshakeFailed


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_reply_that_was_lost_costs_another_hello_and_no_trust() -> None:
    script = a_script()
    lost: list[bytes] = []

    def lose_first(_: Channel, body: bytes) -> list[bytes]:
        if peek_opcode(body) == Opcode.CHANNEL_OPENED and not lost:
            lost.append(body)
            return []
        return [body]

    script.mangle = lose_first
    async with an_owned_pen(script) as (pen, far):
        assert pen.sealed
        assert far.handshakes == 2
        hellos = [body for _, body in far.heard if peek_opcode(body) == Opcode.HELLO]
        assert len(set(hellos)) == 2


@pytest.mark.parametrize("reason", [Reason.BUSY, Reason.WRONG_STATE])
@in_virtual_time
async def test_a_pen_whose_handshakes_are_used_up_by_others_is_asked_again(reason: Reason) -> None:
    script = a_script()

    def refuse_once(_: object) -> Refused:
        del script.scripts[OpenChannel]
        return Refused(refused_opcode=int(OpenChannel.opcode), reason=reason, limit=900)

    script.on(OpenChannel, refuse_once)
    async with an_owned_pen(script) as (pen, _):
        assert pen.sealed
        assert asyncio.get_running_loop().time() == pytest.approx(0.9, abs=0.1)
    script = a_script()
    script.refuse(OpenChannel, reason, 900)
    assert type(await refused(script)) is HandshakeFailed
    assert script.count(OpenChannel) == 3


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_handshake_that_is_never_answered_is_given_up() -> None:
    script = a_script()
    script.silent_to(OpenChannel)
    began = asyncio.get_running_loop().time()
    assert "waited" in (await refused(script)).limit
    assert asyncio.get_running_loop().time() - began < 10 * HELLO_WITHIN_S


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_handshake_after_which_nothing_opens_is_no_connection() -> None:
    script = a_script()
    script.mangle = lambda _, body: [flipped(body, 300) if peek_opcode(body) == Opcode.SEALED else body]
    assert "nothing sealed came back" in (await refused(script)).limit


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_what_was_said_before_the_handshake_is_forgotten() -> None:
    script = a_script()
    ahead = 1 << 20

    def shake_hands_and_lie(_: Channel, body: bytes) -> list[bytes]:
        if peek_opcode(body) != Opcode.CHANNEL_OPENED:
            return [body]
        lie = StateChanged(sequence=30_000, tick_ms=script.tick + ahead, reason=Reason.NONE, **MOVING)
        script.pipe.feed(_frame(encode_envelope(Envelope(Channel.STATUS, 0, lie))))
        return [body]

    script.mangle = shake_hands_and_lie
    async with an_owned_pen(script) as (pen, far):
        assert not pen.connection.says_moving
        assert pen.connection.newest_tick is not None
        assert pen.connection.newest_tick < script.tick + ahead // 2
        changes = pen.subscribe(StateChanged)
        far.notify(StateChanged, tick_ms=far.tick, state=State.OPEN, reason=Reason.NONE, flags=AT_REST)
        assert (await changes.next()).state is State.OPEN


def _frame(body: bytes, channel: Channel = Channel.STATUS) -> bytes:
    from dermalink_protocol.framing import encode_frame

    return encode_frame(channel, body)


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_each_connection_has_its_own_handshake() -> None:
    records: list[set[bytes]] = []

    async def connect() -> Any:
        script = a_script()
        script.handshakes = len(records)
        entered = an_owned_pen(script)
        pen, far = await entered.__aenter__()
        records.append({body for _, body in far.heard if peek_opcode(body) != Opcode.HELLO})
        assert far.handshakes == len(records)
        return pen

    async for pen in Reconnector(connect):
        assert pen.sealed
        if len(records) == 2:
            break
    first, second = records
    assert not first & second


# Whoever stands in between afterwards


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_with_the_seal_stripped_nothing_is_believed() -> None:
    async with an_owned_pen() as (pen, far):
        heard = pen.subscribe(Telemetry, StateChanged)
        tick = pen.connection.newest_tick
        far.in_the_clear = True
        far.status |= MOVING
        far.notify(StateChanged, tick_ms=far.tick + 1_000, reason=Reason.NONE, **MOVING)
        far.notify(Telemetry, tick_ms=far.tick + 1_000, samples=PACK_SAMPLE.pack(300, 300, 60, 7, 10, 0))
        with pytest.raises(Timeout):
            await pen.status()
        assert heard.take_waiting() == []
        assert not pen.connection.says_moving
        assert pen.connection.newest_tick == tick
        assert pen.connection.link.counters.unsealed() == {"in_the_clear": 3}


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_refusal_in_the_clear_is_no_answer() -> None:
    async with an_owned_pen() as (pen, far):
        asked = asyncio.ensure_future(pen.report_symptom(Symptom.PAIN))
        await asyncio.sleep(0)
        for request_id in range(1, 40):
            refusal = Refused(refused_opcode=0, reason=Reason.BUSY, limit=0)
            far.say_clear(request_id, refusal, Channel.STOP)
        assert (await asked).state is State.IDLE


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_spoilt_record_costs_one_reply_and_the_connection_goes_on() -> None:
    async with an_owned_pen() as (pen, far):
        good = far.mangle
        far.mangle = lambda _, body: every_flip(body)[32 : 32 + 8]
        with pytest.raises(Timeout):
            await pen.status()
        far.mangle = good
        assert (await pen.status()).state is State.IDLE
        assert sum(pen.connection.link.counters.unsealed().values()) == 8


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_stop_goes_in_the_clear_and_is_proved_under_seal() -> None:
    async with an_owned_pen() as (pen, far):
        await begin_pass(pen)
        before, asked = len(far.heard), far.opened.count(GetStatus())
        report = await pen.stop()
        assert far.opened.count(GetStatus()) == asked + 1  # its answer says stopped, so there is nothing more to ask
        stops = [peek_opcode(body) for channel, body in far.heard[before:] if channel is Channel.STOP]
        assert stops == [Opcode.STOP]
        assert type(far.opened[-1]) is GetStatus
        assert report.status.state is State.OPEN
        assert pen.connection.link.counters.unsealed() == {}


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_a_lie_in_the_clear_proves_no_stop() -> None:
    async with an_owned_pen() as (pen, far):
        await begin_pass(pen)
        far.session = None  # somebody else answers from here on
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.IDLE))
        far.on(GetStatus, lambda _: Status(**far.status | {"state": State.IDLE, "flags": AT_REST}, tick_ms=far.tick))

        def lie() -> None:
            far.notify(StateChanged, tick_ms=far.tick + 5, state=State.IDLE, reason=Reason.NONE, flags=AT_REST)
            for request_id in range(1, 60):
                far.say_clear(request_id, far.scripts[GetStatus](None))  # type: ignore[arg-type]

        asyncio.get_running_loop().call_later(0.1, lie)
        with pytest.raises(StopNotConfirmed):
            await pen.stop()


@pytest.mark.sr("SR-SEC-1", side="host")
@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("tick_ms", [0, 10_000])
@pytest.mark.parametrize("truly", [MOVING, {"state": State.WAITING, "flags": AT_REST}], ids=str)
@in_virtual_time
async def test_neither_a_forged_answer_nor_what_was_held_back_proves_a_stop(
    truly: dict[str, Any], tick_ms: int
) -> None:
    """Stop never comes to the pen; somebody else answers it, and lets a true word of before go only now."""
    async with an_owned_pen() as (pen, far):
        held: list[tuple[Channel, bytes]] = []

        def hold(channel: Channel, body: bytes) -> list[bytes]:
            held.append((channel, body))
            return []

        far.mangle = hold
        far.notify(StateChanged, tick_ms=far.tick, state=State.IDLE, reason=Reason.NONE, flags=AT_REST)
        far.mangle = lambda _, body: [body]
        await asyncio.sleep(0.02)
        far.status |= truly

        def lie(_: object) -> Stopped:
            asyncio.get_running_loop().call_soon(lambda: [far.say(*each) for each in held])
            return Stopped(tick_ms=tick_ms, state=State.IDLE)

        far.on(Stop, lie)
        tick = pen.connection.newest_tick
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        assert pen.connection.newest_tick is not None
        assert tick is not None
        assert 0 < pen.connection.newest_tick - tick < 2_000


@pytest.mark.sr("SR-STOP-2", "SR-SEC-1", side="host")
@in_virtual_time
async def test_what_records_has_stopped_only_if_it_says_under_seal_that_it_heard_stop() -> None:
    """Before a start a pen writes as after an end, and spins up by itself then."""
    async with an_owned_pen() as (pen, far):
        before = len(far.heard)
        far.status |= {"state": State.RECORDING}
        far.on(Stop, lambda _: None)

        def lie() -> None:
            for request_id in range(1, 200):
                far.say_clear(request_id, Stopped(tick_ms=far.tick, state=State.IDLE))

        asyncio.get_running_loop().call_later(0.1, lie)
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        stops = [peek_opcode(body) for channel, body in far.heard[before:] if channel is Channel.STOP]
        assert {*stops} == {Opcode.STOP, Opcode.SEALED}
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.RECORDING))
        assert (await pen.stop()).status.state is State.RECORDING
        assert Stop() in far.opened


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_what_the_pen_says_unasked_proves_a_stop_once_it_has_answered_under_seal() -> None:
    async with an_owned_pen() as (pen, far):
        asked: list[int] = []

        def once(_: object) -> Status | None:
            asked.append(far.tick)
            return Status(**far.status | {"state": State.STOPPING}, tick_ms=far.tick) if len(asked) == 1 else None

        far.on(GetStatus, once)

        def news() -> None:
            far.notify(StateChanged, tick_ms=far.tick, state=State.OPEN, reason=Reason.NONE, flags=AT_REST)

        asyncio.get_running_loop().call_later(0.03, news)
        report = await pen.stop()
        assert isinstance(report.status, StateChanged)
        assert report.pen_ms == pytest.approx(30, abs=1)
        assert report.confirmed_ms == pytest.approx(30, abs=1)


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_a_question_that_is_lost_is_asked_again_and_one_that_failed_says_so() -> None:
    async with an_owned_pen() as (pen, far):
        far.lose_reply_to(GetStatus)
        asyncio.get_running_loop().call_later(0.15, lambda: far.scripts.pop(GetStatus))
        assert (await pen.stop()).confirmed_ms == pytest.approx(200, abs=10)
        far.status |= {"state": State.STOP_FAILED}
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.STOPPING))
        with pytest.raises(StopFailed):
            await pen.stop()
        far.status |= {"state": State.IDLE}
        far.silent_to(Stop)
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        assert pen.connection.on_state == []


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("kind", [Stop, GetStatus])
@in_virtual_time
async def test_a_link_that_is_lost_meanwhile_leaves_a_stop_unconfirmed_and_no_task_behind(kind: Any) -> None:
    async with an_owned_pen() as (pen, far):
        far.silent_to(kind)
        asyncio.get_running_loop().call_later(0.05, far.pipe.cut)
        with pytest.raises(StopNotConfirmed, match="memory: is gone"):
            await pen.stop()
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_that_refuses_its_owner_under_seal_is_not_connected_to() -> None:
    script = a_script()
    script.refuse(GetLastCommand, Reason.NOT_AUTHENTICATED)
    with pytest.raises(PenRefusal):
        async with an_owned_pen(script):
            raise AssertionError("connected")


@pytest.mark.sr("SR-SYM-1", side="host")
@pytest.mark.parametrize("known", [has_keys, no_keys])
@in_virtual_time
async def test_a_symptom_that_a_stranger_told_stays_to_be_told_by_its_owner(known: Any) -> None:
    journal = MemoryJournal()
    async with an_owned_pen(known=known, inspect_only=True, journal=journal) as (pen, far):
        await pen.report_symptom(Symptom.PAIN)
        (entry,) = journal.entries()
        assert isinstance(entry.record, SymptomSaid)
        assert entry.record.told is (known is has_keys)
        assert far.status["state"] is State.IDLE


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_lease_is_renewed_under_seal_and_earned_by_nothing_else() -> None:
    async with an_owned_pen() as (pen, far):
        await begin_pass(pen)
        lease = pen.lease(41)
        assert isinstance(lease, Lease)
        batches = pen.telemetry()
        far.in_the_clear = True
        far.telemetry(250)
        await settled()
        assert batches.take_waiting() == []
        far.in_the_clear = False
        far.telemetry(250)
        await settled()
        (batch,) = batches.take_waiting()
        lease.earn(batch)
        await lease.renew()
        await lease.close()
        assert has_keys("another") is None
