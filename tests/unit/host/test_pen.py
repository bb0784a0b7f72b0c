"""The pen as others use it: connecting, therapy commands and their outcomes, Stop; over a scripted far end."""

import asyncio
from typing import Any

import pytest

from dermalink.errors import (
    HostRefusal,
    IncompatiblePen,
    JournalError,
    LinkError,
    LinkLost,
    PenRefusal,
    StopFailed,
    StopNotConfirmed,
    Timeout,
)
from dermalink.journal import Journal, MemoryJournal
from dermalink.lease import Lease
from dermalink.outcome import Applied, Refused, Unknown, Verdict
from dermalink.records import Intended, PassOver, Record, SessionOver, Settled, SymptomSaid
from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.history import decode_record, hide
from dermalink_protocol.limits import HOST_STOP_WITHIN_MS, INTERVAL_S
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.identity import GetLastCommand, GetStatus, Hello, HelloReply, StateChanged, StatusFlag
from dermalink_protocol.messages.records import GetHistory, GetHistoryState, HistoryRecord, HistoryState
from dermalink_protocol.messages.refusal import Refused as RefusedReply
from dermalink_protocol.messages.stop import ReportSymptom, Stop, Stopped
from dermalink_protocol.schema import Effect, Request
from dermalink_protocol.zones import Direction, Symptom
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import (
    FRAME,
    SERIAL,
    ScriptedPen,
    a_pen,
    begin_pass,
    connect_to,
    open_session,
)


def kept(journal: Journal, kind: type[Record]) -> list[Any]:
    """The records of this kind."""
    return [entry.record for entry in journal.entries() if isinstance(entry.record, kind)]


def script() -> ScriptedPen:
    return ScriptedPen(MemoryPipe())


# Connecting


@in_virtual_time
async def test_connecting_says_hello_then_asks_for_the_last_command() -> None:
    async with a_pen() as (pen, far):
        assert pen.serial_number == SERIAL
        assert [type(each) for each in far.seen] == [Hello, GetLastCommand]


@in_virtual_time
async def test_hello_is_said_again_when_boot_text_swallows_it() -> None:
    far = script()
    tries: list[Any] = []

    def third_time(request: Any) -> Any:
        tries.append(request)
        return far.behave(request) if len(tries) == 3 else None

    far.on(Hello, third_time)
    async with a_pen(far) as (pen, _):
        assert pen.serial_number == SERIAL


@in_virtual_time
async def test_a_port_without_a_pen_is_a_timeout_and_leaves_nothing_open() -> None:
    far = script()
    far.silent_to(Hello)
    journal = MemoryJournal()
    with pytest.raises(Timeout):
        await connect_to(far, journal=journal)
    assert far.pipe.closes == 1


LOOSER = [
    ("depth_cap_um", 510),
    ("depth_min_um", 190),
    ("depth_step_um", 5),
    ("rate_min_hz", 49),
    ("rate_max_hz", 151),
    ("needles_max", 17),
    ("passes_per_zone", 4),
    ("budget_per_cm2", 1_001),
    ("density_max_per_cm2", 651),
    ("lease_max_ms", 1_001),
    ("ttl_max_ms", 501),
    ("press_within_ms", 10_001),
    ("session_max_s", 3_601),
    ("interval_s", INTERVAL_S - 1),
]


@pytest.mark.sr("SR-DEPTH-1", "SR-PASS-1", "SR-RATE-1", "SR-INT-1", side="host")
@pytest.mark.parametrize(("claim", "value"), LOOSER)
@in_virtual_time
async def test_a_pen_with_looser_limits_is_refused_and_may_be_looked_at(claim: str, value: int) -> None:
    far = script()
    far.hello[claim] = value
    with pytest.raises(IncompatiblePen, match=f"{claim} {value}"):
        await connect_to(far)
    again = script()
    again.hello[claim] = value
    async with a_pen(again, inspect_only=True) as (pen, _):
        assert (await pen.status()).state is State.IDLE
        await pen.look()
        with pytest.raises(HostRefusal):
            pen.gate.open_session()


def test_every_limit_that_hello_carries_is_compared() -> None:
    told = {
        "protocol_version", "firmware_version", "serial_number", "boot_id", "capabilities", "suite", "calibration_id",
        "drive_tolerance_um", "sensor_accuracy_um", "tick_ms",
    }  # fmt: skip
    assert {field.name for field in HelloReply.fields} - told == {claim for claim, _ in LOOSER}


@in_virtual_time
async def test_stricter_limits_are_kept_to() -> None:
    far = script()
    far.hello |= {"depth_cap_um": 400, "rate_max_hz": 70, "depth_step_um": 50}
    async with a_pen(far) as (pen, _):
        await open_session(pen)
        await pen.look()
        for change in ({"depth_um": 410}, {"depth_um": 310}, {"rate_hz": 71}):
            with pytest.raises(HostRefusal):
                pen.gate.prepare(**(FRAME | change))
        assert pen.gate.prepare(**(FRAME | {"depth_um": 350, "rate_hz": 60})) is not None


@in_virtual_time
async def test_another_protocol_version_is_refused() -> None:
    far = script()
    far.hello["protocol_version"] = 2
    with pytest.raises(IncompatiblePen, match="version 2"):
        await connect_to(far, inspect_only=True)


# Outcomes


@pytest.mark.sr("SR-UNC-1", side="host")
@in_virtual_time
async def test_a_command_is_written_down_before_it_is_sent() -> None:
    class Watching(MemoryJournal):
        async def append(self, record: Record) -> Any:
            if isinstance(record, Intended):
                assert far.count(therapy.OpenSession) == 0
            return await super().append(record)

    far, journal = script(), Watching()
    async with a_pen(far, journal=journal) as (pen, _):
        await open_session(pen)
        assert far.count(therapy.OpenSession) == 1
    assert [record.opcode for record in kept(journal, Intended)] == [Opcode.OPEN_SESSION]
    assert [record.verdict for record in kept(journal, Settled)] == ["applied"]


@pytest.mark.sr("SR-UNC-1", side="host")
@in_virtual_time
async def test_what_cannot_be_written_down_is_not_sent() -> None:
    class Full(MemoryJournal):
        async def append(self, record: Record) -> Any:
            raise JournalError("the disk is full")

    async with a_pen(journal=Full()) as (pen, far):
        await pen.look()
        with pytest.raises(Exception, match="disk is full"):
            await pen.apply(pen.gate.open_session())
        assert far.count(therapy.OpenSession) == 0


@in_virtual_time
async def test_applied_and_refused_are_values() -> None:
    async with a_pen() as (pen, far):
        await pen.look()
        opened = await pen.apply(pen.gate.open_session())
        assert isinstance(opened, Applied)
        assert opened.reply.session_id == 41
        await pen.look()
        far.refuse(therapy.Prepare, Reason.BATTERY_LOW, 20)
        refused = await pen.apply(pen.gate.prepare(**FRAME))
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.BATTERY_LOW
        assert isinstance(refused.refusal, PenRefusal)
        assert not (await pen.look()).pen.unsettled


@pytest.mark.sr("SR-UNC-1", "SR-CMD-3", side="host")
@in_virtual_time
async def test_no_answer_is_unknown_and_bars_everything_until_the_pen_was_asked() -> None:
    async with a_pen() as (pen, far):
        await begin_pass_up_to_prepared(pen)
        far.lose_reply_to(therapy.BeginPass)
        checked = pen.gate.begin_pass()
        outcome = await pen.apply(checked)
        assert isinstance(outcome, Unknown)
        assert pen.unsettled
        assert far.count(therapy.BeginPass) == 1
        await pen.look()
        for ask in (
            pen.gate.begin_pass,
            pen.gate.resume_pass,
            pen.gate.run_self_test,
            lambda: pen.gate.prepare(**FRAME),
        ):
            with pytest.raises(HostRefusal) as caught:
                ask()
            assert caught.value.rule == "SR-UNC-1"
        assert list((await pen.settle()).values()) == [Verdict.APPLIED]
        assert not (await pen.look()).pen.unsettled


async def begin_pass_up_to_prepared(pen: Any) -> None:
    await open_session(pen)
    await pen.look()
    await pen.apply(pen.gate.prepare(**FRAME))
    await pen.look()


@pytest.mark.sr("SR-UNC-1", side="host")
@in_virtual_time
async def test_a_command_that_never_arrived_is_settled_as_not_applied_once_it_has_expired() -> None:
    async with a_pen() as (pen, far):
        await begin_pass_up_to_prepared(pen)
        far.silent_to(therapy.BeginPass)
        assert isinstance(await pen.apply(pen.gate.begin_pass(), within_s=0.1), Unknown)
        began = asyncio.get_running_loop().time()
        assert list((await pen.settle()).values()) == [Verdict.NOT_APPLIED]
        assert asyncio.get_running_loop().time() - began > 0.3
        facts = await pen.look()
        assert not facts.pen.passes
        assert pen.gate.begin_pass() is not None


@pytest.mark.sr("SR-UNC-2", side="host")
@in_virtual_time
async def test_a_pen_that_lost_power_can_never_tell_so_the_pass_counts_and_the_head_is_used() -> None:
    journal = MemoryJournal()
    far = script()
    async with a_pen(far, journal=journal) as (pen, _):
        await begin_pass_up_to_prepared(pen)
        far.silent_to(therapy.BeginPass)
        assert isinstance(await pen.apply(pen.gate.begin_pass()), Unknown)
    again = script()
    again.hello["boot_id"] = 78
    async with a_pen(again, journal=journal) as (pen, _):
        assert kept(journal, Settled)[-1].verdict == "never known"
        with pytest.raises(HostRefusal) as caught:
            await open_session(pen)
        assert caught.value.reason is Reason.INTERVAL_NOT_OVER
        facts = await pen.look()
        assert facts.tag in facts.belief.used_heads


@pytest.mark.sr("SR-UNC-1", side="host")
@in_virtual_time
async def test_after_a_crash_the_pen_is_asked_before_anything_else() -> None:
    journal = MemoryJournal()
    far = script()
    async with a_pen(far, journal=journal) as (pen, _):
        await begin_pass_up_to_prepared(pen)
        far.lose_reply_to(therapy.BeginPass)
        applying = asyncio.ensure_future(pen.apply(pen.gate.begin_pass()))
        await asyncio.sleep(0.1)
        applying.cancel()
        await asyncio.wait([applying])
    again = script()
    again.last, again.status = far.last, far.status
    async with a_pen(again, journal=journal):
        assert [type(each) for each in again.seen][:3] == [Hello, GetStatus, GetLastCommand]
        assert kept(journal, Settled)[-1].verdict == "applied"


@in_virtual_time
async def test_a_link_that_breaks_before_sending_is_no_unknown() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, far):
        await pen.look()
        checked = pen.gate.open_session()
        original = journal.append

        async def append(record: Record) -> Any:
            entry = await original(record)
            if isinstance(record, Intended):
                far.pipe.cut()
                await pen.connection.wait_ended()
            return entry

        journal.append = append  # type: ignore[method-assign]
        with pytest.raises(LinkLost):
            await pen.apply(checked)
        assert kept(journal, Settled)[-1].verdict == "not sent"
        assert not pen.unsettled


@pytest.mark.sr("SR-CMD-1", side="host")
@in_virtual_time
async def test_ids_only_grow_also_over_refusals_unknowns_and_reconnection() -> None:
    far = script()
    far.last = (0, 500, 0, 0)
    async with a_pen(far) as (pen, _):
        far.refuse(therapy.RunSelfTest, Reason.BATTERY_LOW)
        await pen.look()
        await pen.apply(pen.gate.run_self_test())
        far.silent_to(therapy.RunSelfTest)
        await pen.apply(pen.gate.run_self_test())
        await pen.settle()
        await pen.look()
        await pen.apply(pen.gate.set_clock(1_800_000_000))
    sent = [each for each in far.seen if isinstance(each, therapy.TherapyCommand)]
    assert [each.command_id for each in sent] == [501, 502, 503]
    assert all(each.ttl_ms == 500 for each in sent)
    assert all(each.seen_tick_ms for each in sent)


@in_virtual_time
async def test_a_second_command_waits_for_the_first() -> None:
    async with a_pen() as (pen, far):
        await pen.look()
        far.silent_to(therapy.SetClock)
        checked = pen.gate.set_clock(1_800_000_000), pen.gate.run_self_test()
        first = asyncio.ensure_future(pen.apply(checked[0]))
        second = asyncio.ensure_future(pen.apply(checked[1]))
        await asyncio.sleep(0.5)
        assert far.count(therapy.RunSelfTest) == 0
        assert isinstance(await first, Unknown)
        refused = await second
        assert isinstance(refused, Refused)
        assert refused.refusal.rule == "SR-UNC-1"


# The session's way through


@pytest.mark.sr("SR-SES-1", "SR-LOG-1", side="host")
@in_virtual_time
async def test_a_session_from_open_to_close_is_kept() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, far):
        await begin_pass(pen)
        far.status |= {"punctures": 900, "peak_depth_um": 280, "wait_s": INTERVAL_S}
        await pen.end_pass()
        closed = await pen.close_session()
        assert closed.history_number == 8
    assert [record.touched for record in kept(journal, PassOver)] == [True]
    assert kept(journal, PassOver)[0].punctures == 900
    assert kept(journal, SessionOver)[-1].number == 8
    close = next(each for each in far.seen if isinstance(each, therapy.CloseSession))
    assert close.record_number == 7
    assert close.record_hash.hex() == journal.entries()[6].digest
    assert far.stops() == 0


@pytest.mark.sr("SR-PASS-1", side="host")
@in_virtual_time
async def test_a_pass_that_nobody_pressed_for_does_not_count() -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        far.status |= {"state": State.PREPARED, "reason": Reason.PRESS_TIMEOUT}
        facts = await pen.look()
        assert not facts.pen.passes
        assert not facts.belief.used_heads
        assert isinstance(await pen.apply(pen.gate.begin_pass()), Applied)


@pytest.mark.sr("SR-PASS-1", "SR-PASS-2", side="host")
@in_virtual_time
async def test_a_pass_that_touched_counts_however_it_ended() -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        far.status |= {"state": State.OPEN, "reason": Reason.HOST_STOP, "wait_s": INTERVAL_S}
        await pen.look()
        with pytest.raises(HostRefusal) as caught:
            pen.gate.prepare(**FRAME)
        assert caught.value.reason is Reason.PASS_ALREADY_MADE


@pytest.mark.sr("SR-SYM-1", side="host")
@in_virtual_time
async def test_a_symptom_said_by_the_pens_button_is_kept_and_bars_the_next_session() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, far):
        await begin_pass(pen)
        far.status |= {"state": State.OPEN, "reason": Reason.SYMPTOM_PAIN, "wait_s": INTERVAL_S}
        await pen.look()
        await pen.look()
        with pytest.raises(HostRefusal) as caught:
            pen.gate.prepare(**FRAME | {"direction": Direction.HORIZONTAL})
        assert caught.value.reason is Reason.SYMPTOM_LOCK
        await pen.close_session()
        far.status["wait_s"] = 0
        await pen.look()
        with pytest.raises(HostRefusal) as again:
            pen.gate.open_session()
        assert again.value.reason is Reason.SYMPTOM_LOCK
    assert len(kept(journal, SymptomSaid)) == 1


@pytest.mark.sr("SR-SYM-1", "SR-STOP-4", side="host")
@in_virtual_time
async def test_a_symptom_is_sent_first_and_kept_whether_or_not_it_was_heard() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, far):
        far.silent_to(ReportSymptom)
        with pytest.raises(Timeout):
            await pen.report_symptom(Symptom.BLEEDING)
        assert [record.told for record in kept(journal, SymptomSaid)] == [False]
    again = script()
    async with a_pen(again, journal=journal) as (pen, _):
        assert [each.symptom for each in again.seen if isinstance(each, ReportSymptom)] == [Symptom.BLEEDING]
        assert kept(journal, SymptomSaid)[-1].told
        with pytest.raises(HostRefusal) as caught:
            await open_session(pen)
        assert caught.value.reason is Reason.SYMPTOM_LOCK


def cut(older: ScriptedPen) -> None:
    shorter = HistoryState(first_number=1, last_number=2, last_hash=bytes(32), first_hole=0)
    older.on(GetHistoryState, lambda _: shorter)


def another(older: ScriptedPen) -> None:
    older.history_seed = 2


def altered(older: ScriptedPen) -> None:
    record = bytearray(older.record(8)[0])
    record[20] ^= 1
    older.on(GetHistory, lambda _: HistoryRecord(number=8, record=bytes(record)))


def misplaced(older: ScriptedPen) -> None:
    older.on(GetHistory, lambda _: HistoryRecord(number=8, record=older.record(7)[0]))


def hidden_of(older: ScriptedPen) -> HistoryRecord:
    return HistoryRecord(number=8, record=hide(decode_record(older.record(8)[0])))


def hidden(older: ScriptedPen) -> None:
    """The same record, as another owner is told it."""
    older.on(GetHistory, lambda _: hidden_of(older))


def another_hidden(older: ScriptedPen) -> None:
    another(older)
    hidden(older)


@pytest.mark.sr("SR-LOG-1", side="host")
@in_virtual_time
async def test_a_record_that_is_an_earlier_owners_by_now_is_known_by_its_hash() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, _):
        await open_session(pen)
        await pen.close_session()
    older = script()
    hidden(older)
    async with a_pen(older, journal=journal) as (pen, _):
        assert (await pen.look()).history_fault == ""


@pytest.mark.sr("SR-LOG-1", "SR-RST-1", side="host")
@pytest.mark.parametrize("change", [cut, another, altered, misplaced, another_hidden])
@in_virtual_time
async def test_a_pen_that_does_not_hold_what_was_seen_of_it_gets_no_therapy(change: Any) -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, _):
        await open_session(pen)
        await pen.close_session()
    older = script()
    change(older)
    async with a_pen(older, journal=journal) as (pen, _):
        with pytest.raises(HostRefusal) as caught:
            await open_session(pen)
        assert caught.value.reason is Reason.HISTORY_BROKEN


@in_virtual_time
async def test_a_pen_that_has_folded_its_oldest_records_is_no_broken_one() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, _):
        await open_session(pen)
        await pen.close_session()
    folded = script()
    folded.on(GetHistoryState, lambda _: HistoryState(first_number=9, last_number=9, last_hash=bytes(32), first_hole=0))
    async with a_pen(folded, journal=journal) as (pen, _):
        await open_session(pen)


@in_virtual_time
async def test_a_history_that_may_not_be_asked_for_now_is_no_broken_one() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, _):
        await open_session(pen)
        await pen.close_session()
    other = script()
    other.refuse(GetHistoryState, Reason.NOT_OWNER)
    async with a_pen(other, journal=journal) as (pen, _):
        await open_session(pen)


# Stop


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_stopped_means_disarmed_needles_in_and_motor_off_all_measured() -> None:
    async with a_pen() as (pen, far):
        steps = [
            StatusFlag.ARMED | StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF,
            StatusFlag.NEEDLES_IN,
            StatusFlag.MOTOR_OFF,
            StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF,
        ]
        asked: list[Any] = []

        def step(request: Any) -> Any:
            far.status["flags"] = steps[min(len(asked), 3)]
            asked.append(request)
            return far.behave(request)

        far.on(GetStatus, step)
        report = await pen.stop()
        assert len(asked) == 4
        assert report.confirmed_ms == pytest.approx(30)
        assert report.pen_ms == 30


@pytest.mark.sr("SR-STOP-2", side="host")
@pytest.mark.parametrize("state", [State.SPIN_UP, State.ARMED, State.RUNNING, State.LIFTED, State.STOPPING])
@in_virtual_time
async def test_a_pen_in_a_moving_state_is_not_stopped_whatever_it_measures(state: State) -> None:
    async with a_pen() as (pen, far):
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=state))
        far.status |= {"state": state, "flags": StatusFlag.NEEDLES_IN | StatusFlag.MOTOR_OFF}
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        far.status["state"] = State.OPEN
        await pen.stop()


@in_virtual_time
async def test_stop_is_sent_again_until_it_is_answered() -> None:
    async with a_pen() as (pen, far):
        far.silent_to(Stop)
        stopping = asyncio.ensure_future(pen.stop())
        await asyncio.sleep(0.35)
        assert far.stops() == 4
        far.scripts.clear()
        await stopping


@pytest.mark.sr("SR-STOP-2", side="host")
@in_virtual_time
async def test_a_stop_that_is_not_confirmed_is_an_error_and_never_called_stopped() -> None:
    async with a_pen() as (pen, far):
        far.silent_to(Stop)
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        far.scripts.clear()
        far.status["flags"] = StatusFlag.MOTOR_OFF
        far.on(Stop, lambda _: Stopped(tick_ms=far.tick, state=State.STOPPING))
        with pytest.raises(StopNotConfirmed):
            await pen.stop()
        far.status["state"] = State.STOP_FAILED
        with pytest.raises(StopFailed):
            await pen.stop()
        far.pipe.cut()
        with pytest.raises(StopNotConfirmed):
            await pen.stop()


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@in_virtual_time
async def test_stop_is_handed_over_at_once_with_every_queue_full_and_every_lock_held() -> None:
    async with a_pen() as (pen, far):
        await open_session(pen)
        await pen.look()
        checked = pen.gate.prepare(**FRAME)
        far.pipe.clog()
        stuck: list[asyncio.Future[Any]] = [asyncio.ensure_future(pen.apply(checked))]
        stuck += [asyncio.ensure_future(pen.pause()) for _ in range(100)]
        stuck += [asyncio.ensure_future(pen.status()) for _ in range(400)]
        await asyncio.sleep(0.1)
        before = len(far.pipe.held)
        assert before == 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        pen.stop_now()
        assert (loop.time() - began) * 1000 <= HOST_STOP_WITHIN_MS
        assert len(far.pipe.held) == 2
        far.pipe.unclog()
        await asyncio.sleep(0)
        assert far.stops() == 1
        for each in stuck:
            each.cancel()
        await asyncio.wait(stuck)


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("leave", ["exception", "cancellation", "return"])
@in_virtual_time
async def test_stop_is_sent_on_every_way_out_of_a_session(leave: str) -> None:
    far = script()

    async def use() -> None:
        async with await connect_to(far) as pen:
            await begin_pass(pen)
            if leave == "exception":
                raise ZeroDivisionError
            if leave == "cancellation":
                await asyncio.sleep(100)

    task = asyncio.ensure_future(use())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert far.stops() == 1
    assert far.pipe.closes == 1


@in_virtual_time
async def test_looking_at_a_pen_never_stops_somebody_elses_session() -> None:
    far = script()
    far.status |= {"state": State.RUNNING, "session_id": 9}
    async with a_pen(far, inspect_only=True) as (pen, _):
        await pen.status()
    assert far.stops() == 0


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_lost_link_on_the_way_out_is_no_error_of_closing() -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        far.pipe.cut()
        await pen.connection.wait_ended()
        await pen.close()
        await pen.close()


@pytest.mark.sr("SR-STOP-5", side="host")
@in_virtual_time
async def test_a_new_connection_begins_and_resumes_nothing() -> None:
    journal = MemoryJournal()
    far = script()
    async with a_pen(far, journal=journal) as (pen, _):
        await begin_pass(pen)
    again = script()
    again.last, again.status = far.last, far.status | {"state": State.PAUSED, "session_id": 41}
    async with a_pen(again, journal=journal):
        await asyncio.sleep(60)
        assert not [each for each in again.seen if isinstance(each, therapy.TherapyCommand | therapy.RenewLease)]


# Adoption


@pytest.mark.sr("SR-SES-1", side="host")
@in_virtual_time
async def test_a_session_of_this_host_is_adopted_with_the_passes_it_made() -> None:
    journal = MemoryJournal()
    far = script()
    async with a_pen(far, journal=journal) as (pen, _):
        await begin_pass(pen)
        far.status |= {"wait_s": INTERVAL_S}
        await pen.end_pass()
        far.pipe.cut()
        await pen.connection.wait_ended()
    again = script()
    again.last, again.status = far.last, far.status
    async with a_pen(again, journal=journal) as (pen, _):
        await pen.look()
        assert isinstance(await pen.apply(pen.gate.adopt_session(41)), Applied)
        facts = await pen.look()
        assert facts.pen.passes == {(FRAME["zone"], FRAME["direction"])}
        with pytest.raises(HostRefusal):
            pen.gate.prepare(**FRAME)


@in_virtual_time
async def test_a_session_that_the_pen_does_not_have_is_not_adopted() -> None:
    async with a_pen() as (pen, far):
        far.status |= {"state": State.OPEN, "session_id": 9, "session_left_s": 100}
        await pen.look()
        for number in (8, 0, True, 9.0, "9"):
            with pytest.raises(HostRefusal):
                pen.gate.adopt_session(number)  # type: ignore[arg-type]


COMMAND: dict[str, Any] = {"command_id": 99, "ttl_ms": 500, "seen_tick_ms": 1}
FORBIDDEN: list[Any] = [
    therapy.OpenSession(**COMMAND, boot_id=1, lease_ms=500, record_number=0, record_hash=bytes(32)),
    therapy.AdoptSession(**COMMAND, session_id=41, lease_ms=500),
    therapy.Prepare(**COMMAND, **FRAME, session_id=41, tag_id=bytes(8)),
    therapy.BeginPass(**COMMAND, session_id=41, frame_id=1),
    therapy.ResumePass(**COMMAND, session_id=41),
    therapy.AcknowledgeFault(**COMMAND, fault=Reason.STALLED),
    therapy.RunSelfTest(**COMMAND),
    therapy.SetClock(**COMMAND, utc_s=1_800_000_000),
    therapy.RenewLease(session_id=41, seen_tick_ms=1),
]


@pytest.mark.sr("SR-DEPTH-8", "SR-UNC-1", "SR-STOP-1", side="host")
@pytest.mark.parametrize("request_", FORBIDDEN, ids=lambda each: type(each).__name__)
@in_virtual_time
async def test_what_raises_exposure_or_keeps_it_alive_is_refused_as_a_plain_request(request_: Any) -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        before = far.count(type(request_))
        for ask in (pen.request, pen.connection.request):
            with pytest.raises(HostRefusal) as caught:
                await ask(request_)
            assert caught.value.rule in ("SR-DEPTH-8", "SR-STOP-1")
        with pytest.raises(HostRefusal):
            pen.connection.exchange(request_)
        with pytest.raises(HostRefusal):
            pen.connection.request_now(request_)
        assert far.count(type(request_)) == before


def test_every_effect_that_needs_admission_is_tried() -> None:
    requests = [each for each in vars(therapy).values() if isinstance(each, type) and issubclass(each, Request)]
    needs = {each for each in requests if getattr(each, "effect", None) in (Effect.RAISES, Effect.KEEPS_ALIVE)}
    assert {each for each in needs if hasattr(each, "opcode")} == {type(each) for each in FORBIDDEN}


@pytest.mark.sr("SR-STOP-1", side="host")
@in_virtual_time
async def test_a_renewal_goes_out_as_the_pens_own_lease_has_earned_it_and_no_other_way() -> None:
    async with a_pen() as (pen, far):
        await begin_pass(pen)
        made_elsewhere = Lease(pen.connection, 41, 500)
        for lease, goes in ((made_elsewhere, 0), (pen.lease(41), 1)):
            lease.earn(await pen.status())
            await lease.renew()
            await asyncio.sleep(0.1)
            assert far.count(therapy.RenewLease) == goes
            await lease.close()


@pytest.mark.sr("SR-DEPTH-8", "SR-UNC-1", side="host")
@in_virtual_time
async def test_the_gate_that_a_pen_shows_only_issues_tickets() -> None:
    makers = {
        "facts", "open_session", "adopt_session", "prepare", "begin_pass", "resume_pass", "acknowledge_fault",
        "run_self_test", "set_clock",
    }  # fmt: skip
    async with a_pen() as (pen, _):
        assert {name for name in dir(pen.gate) if not name.startswith("_")} == makers
        assert not [name for name in dir(pen) if not name.startswith("_") and name in ("registry", "redeem", "admit")]


@pytest.mark.sr("SR-STOP-4", side="host")
@pytest.mark.parametrize("way", ["status", "notification"])
@in_virtual_time
async def test_a_pen_that_moves_after_its_session_was_closed_is_stopped_on_the_way_out(way: str) -> None:
    moving: dict[str, Any] = {"state": State.RUNNING, "flags": StatusFlag.ARMED}
    async with a_pen() as (pen, far):
        await open_session(pen)
        await pen.close_session()
        if way == "status":
            far.status |= moving
            await pen.status()
        else:
            far.notify(StateChanged, tick_ms=far.tick, reason=Reason.NONE, **moving)
            await asyncio.sleep(0.01)
        await pen.close()
        assert far.stops() == 1


@pytest.mark.sr("SR-STOP-4", side="host")
@in_virtual_time
async def test_a_session_of_this_host_that_moves_is_stopped_by_whoever_finds_it() -> None:
    journal = MemoryJournal()
    async with a_pen(journal=journal) as (pen, far):
        await begin_pass(pen)
        far.pipe.cut()
    again = script()
    again.last = far.last
    again.status = far.status | {"state": State.RUNNING, "flags": StatusFlag.ARMED}
    async with a_pen(again, journal=journal) as (pen, _):
        await pen.status()
        await pen.close()
        assert again.stops() == 1


@pytest.mark.sr("SR-SES-1", side="host")
@pytest.mark.parametrize("inspect_only", [True, False])
@in_virtual_time
async def test_another_hosts_pass_goes_on_when_who_has_looked_at_it_leaves(inspect_only: bool) -> None:
    async with a_pen(inspect_only=inspect_only) as (pen, far):
        far.status |= {"state": State.RUNNING, "flags": StatusFlag.ARMED, "session_id": 7}
        await pen.look()
        await pen.close()
        assert far.stops() == 0


@in_virtual_time
async def test_waiting_for_a_state_is_bounded() -> None:
    async with a_pen() as (pen, far):
        with pytest.raises(Timeout, match="IDLE"):
            await pen.wait_for(State.OPEN, within_s=0.5)
        far.status["state"] = State.OPEN
        assert (await pen.wait_for(State.OPEN, within_s=0.5)).state is State.OPEN


@in_virtual_time
async def test_a_refusal_reply_to_a_command_that_is_not_its_own_is_no_refusal() -> None:
    async with a_pen() as (pen, far):
        far.on(therapy.RunSelfTest, lambda _: RefusedReply(refused_opcode=Opcode.STOP, reason=Reason.BUSY, limit=0))
        await pen.look()
        assert isinstance(await pen.apply(pen.gate.run_self_test()), Unknown)


def test_all_link_errors_are_of_one_family() -> None:
    assert issubclass(LinkLost, LinkError)
