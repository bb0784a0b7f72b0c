"""The ledger of heads."""

from typing import Any

import pytest

from dermalink_protocol.limits import LEDGER_HEADS_MAX
from dermalink_simulator.firmware.flash_layout import HeadRecord
from dermalink_simulator.firmware.heads import SeatedHead
from dermalink_simulator.firmware.ledger import Ledger, LedgerError
from dermalink_simulator.seam import Tag

TAG = Tag(b"HEAD0001", 1, 7, 1, 12, 6_000, 500, 1_900_000_000, 1, 60_000)


def record(number: int, sessions: int = 1, strokes: int = 0, motor_s: int = 0) -> HeadRecord:
    return HeadRecord(number.to_bytes(8, "little"), sessions, strokes, motor_s, 1)


@pytest.mark.sr("SR-CART-4", side="pen")
@pytest.mark.parametrize("change", [{"sessions": 0}, {"strokes": 9}, {"motor_s": 4}])
def test_no_number_ever_goes_back(change: dict[str, Any]) -> None:
    ledger = Ledger()
    held = record(1, 1, 10, 5)
    ledger.hold(held)
    with pytest.raises(LedgerError, match="go back"):
        ledger.hold(held._replace(**change))
    assert ledger.find(held.tag_id) == held


@pytest.mark.sr("SR-RST-2", side="pen")
def test_a_full_ledger_takes_no_new_head_and_still_knows_the_old_ones() -> None:
    ledger = Ledger()
    for number in range(1, LEDGER_HEADS_MAX + 1):
        assert ledger.has_room(number.to_bytes(8, "little"))
        ledger.hold(record(number))
    assert len(ledger) == LEDGER_HEADS_MAX
    assert not ledger.has_room(b"a new one")
    assert ledger.has_room((1).to_bytes(8, "little"))


@pytest.mark.sr("SR-CART-1", side="pen")
def test_a_head_is_marked_once_a_session_and_told_so() -> None:
    head, ledger = SeatedHead(), Ledger()
    head.tick(10, 1)
    head.read(TAG)
    event = head.event(ledger, 7, 30, 1_800_000_000)
    assert (event.sessions_used, event.marked) == (0, 0)
    assert head.begin(7)
    assert not head.begin(7)
    event = head.event(ledger, 7, 30, 1_800_000_000)
    assert (event.sessions_used, event.marked) == (0, 1)
    ledger.hold(head.record)
    event = head.event(ledger, 8, 30, 1_800_000_000)
    assert (event.sessions_used, event.marked) == (1, 0)


@pytest.mark.sr("SR-CART-5", side="pen")
def test_the_tag_is_read_again_at_least_every_half_second() -> None:
    head = SeatedHead()
    head.tick(10, 1)
    assert head.wanted()
    assert not head.wanted()
    head.read(TAG)
    waited = 0
    while not head.wanted():
        head.tick(10, 1)
        waited += 10
    assert waited <= 500


@pytest.mark.sr("SR-CART-3", side="pen")
def test_a_tag_that_reads_differently_is_a_change_and_the_same_one_is_none() -> None:
    head, ledger = SeatedHead(), Ledger()
    head.tick(10, 1)
    head.read(TAG)
    head.event(ledger, 0, 30, 1)
    told = []
    for tag in (TAG, TAG._replace(protrusion_um=300), TAG._replace(protrusion_um=300), None):
        head.read(tag)
        told.append(head.changed)
        head.event(ledger, 0, 30, 1)
    assert told == [False, True, False, True]


@pytest.mark.sr("SR-CART-4", side="pen")
def test_strokes_and_time_of_the_motor_add_up() -> None:
    head, ledger = SeatedHead(), Ledger()
    head.tick(10, 1)
    head.read(TAG)
    head.event(ledger, 0, 30, 1)
    for _ in range(250):
        head.strokes(1, 10)
    assert (head.record.strokes, head.record.motor_s) == (250, 2)
