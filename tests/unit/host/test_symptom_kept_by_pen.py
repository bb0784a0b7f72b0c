"""A symptom that the pen keeps and the journal knows nothing of: what is written down, and what it bars (SR-SYM-1)."""

from typing import Any

import pytest

from dermalink.belief import Belief
from dermalink.errors import HostRefusal
from dermalink.journal import MemoryJournal
from dermalink.reconcile import kept_by_pen
from dermalink.records import SymptomSaid, SymptomSeen, symptom_said
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import INTERVAL_S, SYMPTOM_LOCK_S
from dermalink_protocol.messages.identity import StatusFlag
from dermalink_protocol.messages.stop import ReportSymptom
from dermalink_protocol.zones import Symptom
from tests.support.memory_pipe import MemoryPipe
from tests.support.running import in_virtual_time
from tests.unit.host.scripted_pen import AT_REST, NOW_S, SERIAL, ScriptedPen, a_pen

DAY_S = 86_400
BARS, ADVICE = StatusFlag.SYMPTOM, StatusFlag.ADVICE_DUE
NOTHING_SAID: list[tuple[Symptom, int]] = []


def script() -> ScriptedPen:
    return ScriptedPen(MemoryPipe())


def kept(journal: MemoryJournal) -> list[SymptomSaid]:
    return [entry.record for entry in journal.entries() if isinstance(entry.record, SymptomSaid)]


async def believed(said: list[tuple[Symptom, int]]) -> Belief:
    """What is believed after these symptoms, each so many days ago."""
    journal = MemoryJournal()
    for symptom, days in said:
        await journal.append(symptom_said(symptom, pen=SERIAL, sealed=True, told=True, utc_s=NOW_S - days * DAY_S))
    return Belief(journal.entries())


@pytest.mark.sr("SR-SYM-1", side="host")
@pytest.mark.parametrize(
    ("said", "flags", "wait_days", "writes"),
    [
        (NOTHING_SAID, BARS | ADVICE, 28, (Symptom.UNSAID, 28)),
        (NOTHING_SAID, BARS | ADVICE, 3, (Symptom.UNSAID, 3)),
        (NOTHING_SAID, BARS, 28, (Symptom.PAIN, 28)),
        (NOTHING_SAID, ADVICE, 0, (Symptom.UNSAID, 0)),
        (NOTHING_SAID, ADVICE, 14, (Symptom.UNSAID, 0)),  # that wait is the session's
        (NOTHING_SAID, StatusFlag(0), 14, None),
        ([(Symptom.PAIN, 2)], BARS | ADVICE, 28, (Symptom.UNSAID, 28)),
        ([(Symptom.PAIN, 2)], BARS, 26, None),
        ([(Symptom.RASH, 2)], BARS | ADVICE, 26, None),
        ([(Symptom.RASH, 60)], ADVICE, 0, None),
        ([(Symptom.RASH, 60)], BARS | ADVICE, 27, (Symptom.UNSAID, 27)),
    ],
)
@in_virtual_time
async def test_what_is_written_down(
    said: list[tuple[Symptom, int]], flags: StatusFlag, wait_days: int, writes: tuple[Symptom, int] | None
) -> None:
    far = script()
    far.status |= {"flags": AT_REST | flags, "wait_s": wait_days * DAY_S}
    async with a_pen(far, inspect_only=True) as (pen, _):
        status = await pen.status()
    belief = await believed(said)
    found = kept_by_pen(belief, status, SERIAL, NOW_S, sealed=True)
    if writes is None:
        assert not found
        return
    (record,) = found
    assert (type(record), record.symptom, record.told, record.pen) == (SymptomSaid, writes[0], True, SERIAL)
    assert max(0, record.utc_s + SYMPTOM_LOCK_S - NOW_S) == writes[1] * DAY_S


@pytest.mark.sr("SR-SYM-1", side="host")
@in_virtual_time
async def test_one_of_the_button_is_kept_once_and_bars_sessions_with_every_pen() -> None:
    journal = MemoryJournal()
    far = script()
    far.status |= {"flags": AT_REST | BARS | ADVICE, "wait_s": int(SYMPTOM_LOCK_S)}
    async with a_pen(far, journal=journal) as (pen, _):
        for _ in range(3):
            await pen.look()
        with pytest.raises(HostRefusal) as caught:
            pen.gate.open_session()
        assert caught.value.reason is Reason.SYMPTOM_LOCK
        assert caught.value.value == SYMPTOM_LOCK_S
    (record,) = kept(journal)
    assert (type(record), record.symptom) == (SymptomSeen, Symptom.UNSAID)
    async with a_pen(journal=journal) as (pen, _):
        await pen.look()
        with pytest.raises(HostRefusal) as again:
            pen.gate.open_session()
        assert again.value.reason is Reason.SYMPTOM_LOCK


@pytest.mark.sr("SR-SYM-1", side="host")
@in_virtual_time
async def test_a_report_under_way_is_not_taken_for_the_buttons() -> None:
    journal = MemoryJournal()
    far = script()
    async with a_pen(far, journal=journal) as (pen, _):

        def told(request: Any) -> Any:
            far.status |= {"flags": AT_REST | BARS, "wait_s": INTERVAL_S}
            return far.behave(request)

        far.on(ReportSymptom, told)
        append, looked = journal.append, []

        async def late(record: Any) -> Any:
            looked.append(record)
            if len(looked) == 1:
                await pen.look()  # the pen keeps it, and the journal does not yet
            return await append(record)

        journal.append = late  # type: ignore[method-assign]
        await pen.report_symptom(Symptom.PAIN)
        await pen.look()
    assert [record.symptom for record in kept(journal)] == [Symptom.PAIN]
