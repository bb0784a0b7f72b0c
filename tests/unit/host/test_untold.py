"""Which symptoms a pen is told of that is back, or that answers in its place."""

import pytest

from dermalink.belief import Belief
from dermalink.journal import Entry
from dermalink.records import Record, SessionOver, SymptomSaid, symptom_said, symptom_seen
from dermalink_protocol.limits import SYMPTOM_LOCK_S
from dermalink_protocol.zones import Symptom

NOW = 1_000_000_000
OURS, OTHER, NOBODY = "OURS", "OTHER", ""
SEALED, CLEAR = True, False


def said(pen: str, *, sealed: bool, told: bool, ago_s: int = 0) -> SymptomSaid:
    return symptom_said(Symptom.RASH, pen=pen, sealed=sealed, told=told, utc_s=NOW - ago_s)


def seen(pen: str) -> SymptomSaid:
    """The pen says in the clear that it keeps one."""
    return symptom_seen(Symptom.RASH, pen=pen, sealed=False, utc_s=NOW)


def met(pen: str) -> Record:
    """The journal knows this pen."""
    return SessionOver(pen=pen, utc_s=1, session_id=1)


def waits(records: list[Record], pen: str, *, sealed: bool) -> bool:
    entries = [Entry(number, record, "") for number, record in enumerate(records, start=1)]
    return bool(Belief(entries).symptoms.waiting(pen, sealed=sealed, utc_s=NOW))


@pytest.mark.sr("SR-SYM-1", "SR-SEC-1", "SR-DATA-1", side="host")
@pytest.mark.parametrize(
    ("records", "pen", "sealed", "told_now"),
    [
        # under seal it is settled, and nothing else settles it for the person's own pens
        ([said(OURS, sealed=True, told=True)], OURS, SEALED, False),
        ([said(OTHER, sealed=False, told=True)], OURS, SEALED, True),
        ([said(OURS, sealed=False, told=True)], OURS, SEALED, True),
        ([said(OTHER, sealed=False, told=True, ago_s=SYMPTOM_LOCK_S)], OURS, SEALED, False),
        ([said(OTHER, sealed=False, told=True), said(OURS, sealed=True, told=True)], OURS, SEALED, False),
        # what a pen says of itself in the clear is told to none, and answers nothing that waits
        ([seen(OTHER)], OURS, SEALED, False),
        ([seen(OURS)], OURS, SEALED, False),
        ([seen(OTHER)], OTHER, CLEAR, False),
        ([said(OTHER, sealed=False, told=False), seen(OTHER)], OURS, SEALED, True),
        ([said(OTHER, sealed=False, told=False), seen(OTHER)], OTHER, CLEAR, True),
        # a stranger's word to somebody else's pen
        ([said(OTHER, sealed=False, told=False)], OURS, SEALED, True),
        # one that waits for a pen under seal waits for that one, and is sent to none in the clear
        ([said(OURS, sealed=True, told=False)], OURS, SEALED, True),
        ([said(OURS, sealed=True, told=False)], OTHER, SEALED, False),
        ([said(OURS, sealed=True, told=False)], OURS, CLEAR, False),
        ([said(OURS, sealed=True, told=False)], OTHER, CLEAR, False),
        ([said(OURS, sealed=True, told=False), said(OTHER, sealed=True, told=True)], OURS, SEALED, True),
        # in the clear only to the pen that it was reported to
        ([said(OTHER, sealed=False, told=False)], OTHER, CLEAR, True),
        ([said(OTHER, sealed=False, told=False)], "A THIRD", CLEAR, False),
        ([said(OTHER, sealed=False, told=False), said(OTHER, sealed=False, told=True)], OTHER, CLEAR, False),
        ([said(OTHER, sealed=False, told=True)], OTHER, CLEAR, False),
        # with no pen at hand: under seal, or to the only pen that is known
        ([said(NOBODY, sealed=False, told=False)], OURS, SEALED, True),
        ([said(NOBODY, sealed=False, told=False)], OTHER, CLEAR, False),
        ([met(OURS), said(NOBODY, sealed=False, told=False)], OTHER, CLEAR, False),
        ([met(OURS), met(OTHER), said(NOBODY, sealed=False, told=False)], OTHER, CLEAR, False),
        ([met(OTHER), said(NOBODY, sealed=False, told=False)], OTHER, CLEAR, True),
        (
            [met(OTHER), said(NOBODY, sealed=False, told=False), said(OTHER, sealed=False, told=True)],
            OTHER,
            CLEAR,
            False,
        ),
        (
            [met(OURS), said(NOBODY, sealed=False, told=False), said(OTHER, sealed=False, told=True, ago_s=0)],
            OURS,
            SEALED,
            True,
        ),
    ],
)
def test_who_is_told(records: list[Record], pen: str, *, sealed: bool, told_now: bool) -> None:
    assert waits(records, pen, sealed=sealed) is told_now


@pytest.mark.sr("SR-SYM-1", side="host")
def test_a_record_from_before_there_was_a_seal_is_read_as_it_was_meant() -> None:
    told = SymptomSaid(pen=OURS, utc_s=NOW, symptom=int(Symptom.RASH), told=True)
    assert not waits([told], OURS, sealed=True)
    assert not waits([told], OURS, sealed=False)
