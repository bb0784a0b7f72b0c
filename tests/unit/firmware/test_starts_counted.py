"""Starts, self-tests and heads seen: room of their own, counted durably beyond it, told with the next therapy."""

import struct

import pytest

from dermalink_protocol.codewords import Reason
from dermalink_protocol.history import check_chain, decode_record, origin
from dermalink_protocol.history_entries import (
    HeadSeated,
    PassBegunEntry,
    PowerCause,
    PoweredUp,
    SelfTested,
    StartsCounted,
)
from dermalink_protocol.messages.identity import SelfTestStep
from dermalink_simulator.firmware import effects, history_store
from dermalink_simulator.firmware.history_store import NEWS_SLOTS, START_KINDS, START_SLOTS
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.untold import NONE_UNTOLD
from dermalink_simulator.hardware.flash import Tear
from dermalink_simulator.pen import SimulatedPen
from tests.support import raw_pen as raw
from tests.support.pairing_host import PairingHost, hold
from tests.support.raw_pen import RawClient, raw_pen
from tests.support.sealed_client import inside
from tests.unit.firmware.pens_to_pair import entries, new_pen, owned_pen

FEW, NEWS = 12, 4  # slots, where a test need not fill all that there are
TELLING = 3  # operations of the write that tells: both copies of the state, and the record


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pen whose starts have little room."""
    monkeypatch.setattr(history_store, "START_SLOTS", FEW)
    monkeypatch.setattr(history_store, "NEWS_SLOTS", NEWS)


def cycle(pen: SimulatedPen, ms: int = 2_500) -> None:
    """Off and on again."""
    pen.power.cut()
    pen.power.restore()
    pen.advance(ms)


def as_booted(pen: SimulatedPen) -> Inside:
    """What a boot finds on the flash as it is now."""
    return inside(SimulatedPen(seed=3, flash=pen.flash_image()))


def holds_together(pen: SimulatedPen) -> bool:
    """Whether the history on the flash verifies, as a boot reads it."""
    store = as_booted(pen).store
    first = origin(store.factory.serial_number)
    return store.trouble is Reason.NONE and check_chain(store.history.records, first) == []


def starts_told(pen: SimulatedPen) -> int:
    """How many records tell of starts, self-tests and heads seen."""
    return sum(inside(pen).store.history.kinds[kind] for kind in START_KINDS)


def untold(pen: SimulatedPen) -> dict[str, int]:
    """What is counted and not told yet."""
    record = inside(pen).store.record
    return {name: getattr(record, name) for name in NONE_UNTOLD}


def session(client: RawClient) -> None:
    """One that touches skin."""
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    client.ask(raw.ON_COMMAND, raw.END, struct.pack("<I", client.session_id))
    client.pen.hand.lift()
    client.live(300)
    client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", client.session_id, 0, raw.NO_HASH))
    client.pen.advance(200)


@pytest.mark.sr("SR-RST-2", "SR-LOG-1", "SR-SEC-3", side="pen")
def test_no_number_of_starts_takes_a_sessions_room() -> None:
    pen = new_pen()
    most = START_SLOTS - NEWS_SLOTS
    for _ in range(most // 2 + 100):
        cycle(pen)
    history = inside(pen).store.history
    assert starts_told(pen) == most == history.slots
    assert inside(pen).store.record.untold_starts >= 100
    assert holds_together(pen)
    client = RawClient(pen)
    client.hello()
    session(client)
    assert history.slots < most + 16
    (told,) = entries(pen, StartsCounted)
    assert isinstance(told, StartsCounted)
    assert told.starts + len(entries(pen, PoweredUp)) == most // 2 + 101
    assert told.self_tests + len(entries(pen, SelfTested)) == most // 2 + 101
    assert untold(pen) == NONE_UNTOLD
    assert holds_together(pen)


@pytest.mark.sr("SR-RST-2", "SR-TRACE-1", side="pen")
def test_a_head_that_was_told_of_is_told_of_once_over_any_number_of_starts() -> None:
    pen = new_pen()
    for _ in range(4):
        cycle(pen)
    assert len(entries(pen, HeadSeated)) == 1
    assert len(entries(pen, PoweredUp)) == 5


@pytest.mark.sr("SR-TRACE-1", "SR-RST-2", side="pen")
@pytest.mark.usefixtures("few")
def test_a_head_that_found_no_room_is_told_of_before_its_first_stroke() -> None:
    client = raw_pen()
    pen = client.pen
    told = [each.encode() for each in entries(pen, HeadSeated)]
    history = inside(pen).store.history
    for kind in START_KINDS:
        history.kinds[kind] += FEW
    inside(pen).noted_tag_id = b"another."
    effects.head_seated(inside(pen))
    pen.advance(1_000)
    assert [each.encode() for each in entries(pen, HeadSeated)] == told
    session(client)
    kinds = [type(decode_record(each).entry()) for each in history.records]
    again = [each.encode() for each in entries(pen, HeadSeated)]
    assert (again[:1], len(again)) == (told, 2)
    assert kinds.index(PassBegunEntry) > max(at for at, kind in enumerate(kinds) if kind is HeadSeated)


@pytest.mark.sr("SR-RST-2", "SR-SEC-3", side="pen")
@pytest.mark.usefixtures("few")
def test_a_watchdogs_starts_are_told_apart_longer_and_then_counted_by_their_cause() -> None:
    pen = new_pen()
    for _ in range(FEW):
        cycle(pen)
    assert starts_told(pen) == FEW - NEWS
    before = untold(pen)
    for _ in range(NEWS + 3):
        pen._board.reset()
        pen.advance(3_000)
    causes = [each.cause for each in entries(pen, PoweredUp) if isinstance(each, PoweredUp)]
    assert 1 <= causes.count(PowerCause.WATCHDOG) <= NEWS
    assert untold(pen)["untold_watchdogs"] == NEWS + 3 - causes.count(PowerCause.WATCHDOG)
    assert untold(pen)["untold_power_losses"] == before["untold_power_losses"]
    assert starts_told(pen) <= FEW
    assert holds_together(pen)


@pytest.mark.sr("SR-RST-2", "SR-POST-1", "SR-SEC-3", side="pen")
@pytest.mark.usefixtures("few")
def test_self_tests_on_request_are_counted_and_one_that_fails_anew_is_told_apart() -> None:
    client = raw_pen()
    pen = client.pen
    for _ in range(FEW + 5):
        client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header())
        pen.advance(1_500)
    assert starts_told(pen) == FEW - NEWS
    counted = untold(pen)
    assert counted["untold_self_tests"] + len(entries(pen, SelfTested)) == FEW + 6
    memory = inside(pen)
    for failed in (SelfTestStep.BUTTON, SelfTestStep.BUTTON, SelfTestStep.STORAGE):
        memory.self_test.report = memory.self_test.report._replace(failed=failed)
        effects.self_tested(memory)
        pen.advance(1_000)
    told = [each.failed for each in entries(pen, SelfTested) if isinstance(each, SelfTested)]
    assert told[-2:] == [SelfTestStep.BUTTON, SelfTestStep.STORAGE]
    assert untold(pen)["untold_failed"] == 1
    assert untold(pen)["untold_failed_steps"] == SelfTestStep.BUTTON


@pytest.mark.sr("SR-LOG-1", "SR-RST-2", side="pen")
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("tear", list(Tear), ids=lambda tear: tear.name.lower())
@pytest.mark.parametrize("cut", range(1, TELLING + 1))
def test_power_cut_while_they_are_told_of_loses_none_and_tells_none_twice(cut: int, tear: Tear) -> None:
    pen = new_pen()
    for _ in range(FEW):
        cycle(pen)
    before = inside(pen).store.record
    assert before.untold_starts
    pen.faults.inject("flash", "power_cut", operation=cut, tear=tear)
    effects.tell_untold(inside(pen))
    pen.advance(100)
    assert not pen.power.on
    pen.power.restore()
    pen.advance(2_500)
    told = sum(each.starts for each in entries(pen, StartsCounted) if isinstance(each, StartsCounted))
    assert told + inside(pen).store.record.untold_starts == before.untold_starts + 1
    assert told in (0, before.untold_starts)
    assert holds_together(pen)


@pytest.mark.sr("SR-OWN-1", "SR-RST-2", side="pen")
@pytest.mark.usefixtures("few")
def test_they_are_told_to_the_owner_in_whose_time_they_were() -> None:
    pen, _ = owned_pen()
    for _ in range(FEW):
        cycle(pen)
    before = inside(pen).store.record.untold_starts
    hold(pen)
    PairingHost(pen, "the next").pair()
    pen.advance(200)
    assert inside(pen).store.record.owners == 2
    counted = [decode_record(each) for each in inside(pen).store.history.records]
    (record,) = [each for each in counted if each.kind == StartsCounted.kind]
    entry = record.entry()
    assert isinstance(entry, StartsCounted)
    assert (record.owner, entry.starts) == (1, before)
    assert untold(pen) == NONE_UNTOLD
