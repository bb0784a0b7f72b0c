"""An owned pen: who else may have it, how it is handed over or given up, and what stays whoever has it."""

from collections.abc import Callable
from typing import Any

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.history import check_chain, origin
from dermalink_protocol.history_entries import (
    OwnerPairedEntry,
    OwnerReleasedEntry,
)
from dermalink_protocol.pairing import steps
from dermalink_simulator.firmware.core import feed
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.owner_record import NO_OWNER
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.therapy.events import Event, EventKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import ON_PAIRING, PairedClient, PairingHost, hold, press
from tests.support.raw_pen import RawClient, raw_pen
from tests.support.sealed_client import inside
from tests.unit.firmware.pens_to_pair import entries, new_pen, offer_of, owned_pen

RELEASE_OWNER, OWNER_RELEASED = 0x391B, 0xE692


# Owned


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_an_owned_pen_is_paired_by_nobody_else_with_a_press_and_the_code() -> None:
    pen, _ = owned_pen()
    host = PairingHost(pen, "second")
    press(pen)
    for step, share in ((steps.DERIVE, b""), (steps.SHARE, bytes(81))):
        assert host.step(step, share).reason == Reason.OWNED
    assert inside(pen).owner.number == 1


@pytest.mark.sr("SR-OWN-1", side="pen")
@pytest.mark.parametrize(("ms", "opens"), [(9_800, False), (10_100, True)])
def test_ten_seconds_of_the_button_open_it_for_the_next_owner(ms: int, opens: bool) -> None:
    pen, _ = owned_pen()
    before = inside(pen).owner
    hold(pen, ms)
    host = PairingHost(pen, "second")
    assert (host.standing().window_s > 0) is opens
    if opens:
        keys = host.pair()
        owner = inside(pen).owner
        assert (owner.number, owner.host_public) == (2, keys.host)
        assert not {owner.host_public, owner.pen_private, owner.binding} & set(before[1:])
        assert [each.before for each in entries(pen, OwnerPairedEntry)] == [0, 1]  # type: ignore[attr-defined]


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_hand_over_that_nobody_takes_changes_nothing() -> None:
    pen, host = owned_pen()
    before = inside(pen).owner
    hold(pen)
    pen.advance(61_000)
    assert host.standing() == (1, 0, 0)
    assert inside(pen).owner == before


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", "SR-RST-3", side="pen")
def test_a_fault_hinders_no_hand_over_and_outlives_it() -> None:
    pen, host = owned_pen()
    host.greet()
    known = inside(pen)
    feed(known, Event(kind=EventKind.FAULT, reason=int(Reason.FLASH_FAILED)))
    pen.advance(100)
    assert known.state.state == State.FAULT
    press(pen)
    assert host.standing().window_s == 0
    hold(pen)
    PairingHost(pen, "second").pair()
    assert known.owner.number == 2
    assert (known.state.state, known.state.fault) == (State.FAULT, Reason.FLASH_FAILED)
    assert known.store.record.fault == Reason.FLASH_FAILED


@pytest.mark.sr("SR-OWN-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("reason", [Reason.FLASH_FAILED, Reason.WATCHDOG])
def test_a_fault_in_a_session_shuts_the_hand_over_until_the_sessions_time_is_over(reason: Reason) -> None:
    pen, host = owned_pen()
    client = PairedClient(pen, host.private, host.keys).connect()
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(reason)))
    client.port.close()
    pen.advance(1_000)
    left_ms = inside(pen).state.session_left_ms
    assert left_ms > 60_000
    hold(pen)
    assert PairingHost(pen, "early").standing().window_s == 0
    pen.advance(left_ms)
    assert (inside(pen).state.state, inside(pen).state.session_left_ms) == (State.FAULT, 0)
    hold(pen)
    PairingHost(pen, "next").pair()
    known = inside(pen)
    assert (known.owner.number, known.state.state, known.state.fault) == (2, State.FAULT, reason)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_locked_pen_is_handed_over_to_nobody() -> None:
    pen, host = owned_pen()
    client = PairedClient(pen, host.private, host.keys).connect()
    assert client.open().opcode == raw.OPENED
    client.run_pass()
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.DEPTH_EXCEEDED)))
    client.port.close()
    pen.advance(1_000)
    assert inside(pen).state.state == State.LOCKED
    hold(pen)
    assert PairingHost(pen, "next").standing().window_s == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_button_that_was_down_at_power_up_opens_no_hand_over() -> None:
    pen, _ = owned_pen()
    pen.button.hold()
    pen.power.cut()
    pen.power.restore()
    pen.advance(30_000)
    assert PairingHost(pen).standing().window_s == 0


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_lost_last_answer_can_be_had_again_and_after_a_loss_of_power_the_hand_over_is_the_way() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    confirmed = host.agree()
    key = confirmed.key.take()
    offer = offer_of(host, key)
    share = steps.HostOffered(confirmed.confirmation, offer.sealed).pack()
    host.send_step(steps.CONFIRM, share)
    pen.advance(100)
    assert inside(pen).owner.owned
    got = host.step(steps.CONFIRM, share)
    assert offer_of(host, key).finish(got.payload[1:]).host == inside(pen).owner.host_public
    host.port.close()
    again = PairingHost(pen, "host again")
    got = again.step(steps.CONFIRM, share)
    assert offer.finish(got.payload[1:]).host == inside(pen).owner.host_public
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    third = PairingHost(pen, "third")
    assert third.step(steps.CONFIRM, share).reason == Reason.OWNED
    hold(pen)
    assert third.pair().host == inside(pen).owner.host_public
    third.greet()
    assert third.step(steps.CONFIRM, share).reason == Reason.OWNED


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", side="pen")
def test_only_the_owner_gives_the_pen_up_and_hears_that_it_was_taken() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    assert host.ask(ON_PAIRING, RELEASE_OWNER).reason == Reason.NO_OWNER
    press(pen)
    keys = host.pair()
    assert host.ask(ON_PAIRING, RELEASE_OWNER).reason == Reason.NOT_AUTHENTICATED
    first, second = (PairedClient(pen, host.private, keys).connect() for _ in range(2))
    assert first.open().opcode == raw.OPENED
    assert first.ask(ON_PAIRING, RELEASE_OWNER).reason == Reason.WRONG_STATE
    first.live(100)
    first.ask(raw.ON_COMMAND, raw.CLOSE, first.session_id.to_bytes(4, "little") + bytes(36))
    assert first.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    known = inside(pen)
    assert known.owner == NO_OWNER
    assert entries(pen, OwnerReleasedEntry) == [OwnerReleasedEntry(owner_number=1)]
    assert not any(port.seal.number for port in known.ports.values())
    for client in (first, second):
        with pytest.raises(AssertionError, match="no reply"):
            client.ask(raw.ON_STATUS, raw.GET_STATUS)
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    assert inside(pen).owner == NO_OWNER
    press(pen)
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_a_pen_that_was_given_up_tells_its_history_to_nobody_until_it_has_an_owner_again() -> None:
    pen = new_pen()
    asked = ((raw.GET_HISTORY, (1).to_bytes(4, "little")), (raw.GET_HISTORY_STATE, b""))

    def told(client: RawClient) -> list[int]:
        return [client.ask(raw.ON_RECORDS, *each).reason for each in asked]

    host = PairingHost(pen)
    host.greet()
    assert told(host) == [0, 0]  # a pen for tests that nobody has had yet
    press(pen)
    client = PairedClient(pen, host.private, host.pair()).connect()
    assert told(client) == [0, 0]
    assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    stranger = RawClient(pen)
    stranger.hello()
    assert told(stranger) == [Reason.NO_OWNER] * 2
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    stranger = RawClient(pen)
    stranger.hello()
    assert told(stranger) == [Reason.NO_OWNER] * 2
    press(pen)
    following = PairingHost(pen, "next")
    assert told(PairedClient(pen, following.private, following.pair()).connect()) == [0, 0]


@pytest.mark.sr("SR-OWN-1", "SR-SEC-1", side="pen")
def test_every_channel_of_the_old_owner_ends_when_the_next_one_is_paired() -> None:
    pen = new_pen()
    host = PairingHost(pen)
    press(pen)
    keys = host.pair()
    clients = [PairedClient(pen, host.private, keys).connect() for _ in range(2)]
    hold(pen)
    PairingHost(pen, "second").pair()
    assert not any(port.seal.number for port in inside(pen).ports.values())
    for client in clients:
        with pytest.raises(AssertionError, match="no reply"):
            client.ask(raw.ON_STATUS, raw.GET_STATUS)
    stale = PairedClient(pen, host.private, keys)
    stale.hello()
    assert stale.open_channel().opcode == raw.REFUSED


# What stays


def spent_pen() -> SimulatedPen:
    """A pen with a session behind it: a head used, a wait running, a symptom's lock, a history."""
    client = raw_pen(seed=3)
    client.open()
    client.run_pass()
    client.pen.hand.lift()
    client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([1]))
    client.live(500)
    client.ask(raw.ON_COMMAND, raw.CLOSE, client.session_id.to_bytes(4, "little") + bytes(36))
    client.pen.advance(2_000)
    client.port.close()
    return client.pen


def given_up(pen: SimulatedPen, host: PairingHost) -> None:
    client = PairedClient(pen, host.private, host.keys).connect()
    assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
    client.port.close()


def hand_over(pen: SimulatedPen, _host: PairingHost) -> None:
    hold(pen)
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2


def lost_power(pen: SimulatedPen, _host: PairingHost) -> None:
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)


def kept(pen: Inside) -> dict[str, Any]:
    """All that no owner may change."""
    record, state = pen.store.record, pen.state
    fields = {name: value for name, value in record._asdict().items() if name.startswith(("head_", "reserved"))}
    fields |= {name: getattr(record, name) for name in ("fault", "session_id", "advice_due", "clock_trouble")}
    fields |= {name: getattr(state, name) for name in ("fault", "advice_due", "head_verdict", "spent", "done")}
    return fields | {"heads": pen.store.ledger.find(record.head_tag_id), "limits": pen.limits}


@pytest.mark.sr("SR-RST-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("change", [given_up, hand_over, lost_power])
def test_no_change_of_owner_frees_or_shortens_anything(change: Callable[[SimulatedPen, PairingHost], None]) -> None:
    pen = spent_pen()
    host = PairingHost(pen)
    press(pen)
    state = inside(pen).state
    assert state.wait_s > 0
    assert state.symptom_s > 0
    before, history = kept(inside(pen)), list(inside(pen).store.history.records)
    waits, then_ms = (state.wait_s, state.symptom_s), pen.now_ms
    host.pair()
    change(pen, host)
    after = inside(pen)
    assert kept(after) == before
    assert after.store.history.records[: len(history)] == history
    passed_s = (pen.now_ms - then_ms) // 1_000 + 2
    assert waits[0] - passed_s <= after.state.wait_s <= waits[0]
    assert waits[1] - passed_s <= after.state.symptom_s <= waits[1]
    for durable, waited in ((after.store.record.wait_s, waits[0]), (after.store.record.lock_s, waits[1])):
        assert waited - passed_s <= durable <= waited


@pytest.mark.sr("SR-SYM-1", "SR-STOP-4", "SR-OWN-1", side="pen")
@pytest.mark.parametrize("later_ms", range(0, 10, 2))
def test_a_symptom_said_while_an_owner_is_written_down_is_written_as_well_and_neither_is_lost(later_ms: int) -> None:
    pen = new_pen()
    host, other = PairingHost(pen), RawClient(pen)
    press(pen)
    _, share = host.offer(host.agree())
    host.send_step(steps.CONFIRM, share)
    pen.advance(later_ms)
    counts = not inside(pen).owner.owned  # from then on a stranger's locks nothing
    assert counts or later_ms
    assert other.ask(raw.ON_STOP, raw.SYMPTOM, bytes([1])).opcode == raw.SYMPTOM_REPORTED
    pen.advance(100)
    for known in (inside(pen), inside(SimulatedPen(seed=3, flash=pen.flash_image()))):
        assert known.store.owner.number == 1
        assert known.store.trouble is Reason.NONE
        assert check_chain(known.store.history.records, origin(known.store.factory.serial_number)) == []
    assert len(entries(pen, OwnerPairedEntry)) == 1
    assert (inside(pen).store.record.lock_s > 0) is counts
