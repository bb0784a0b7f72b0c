"""What is left in the pen's memory and counts of an earlier owner's time, and what of it the next one is told."""

import struct
from itertools import product

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.history_entries import ClockSetEntry, RefusedCount
from dermalink_protocol.pairing.owner_keys import OwnerKeys
from dermalink_protocol.sealing.keys import public_key
from dermalink_simulator.firmware.clock import SETS_MAX
from dermalink_simulator.firmware.core import NO_WORD, feed
from dermalink_simulator.firmware.sensing import CHECKPOINT_S
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.therapy.events import Event, EventKind
from tests.support import raw_pen as raw
from tests.support.pairing_host import ON_PAIRING, PairedClient, PairingHost, press
from tests.support.raw_pen import RawClient
from tests.support.sealed_client import inside
from tests.unit.firmware.pens_to_pair import owned_pen
from tests.unit.firmware.test_disclosure import (
    OWNER_RELEASED,
    RELEASE_OWNER,
    first_owner,
    flash_records,
    next_owner,
    used_pen,
)

SYMPTOMS = {1: Reason.SYMPTOM_PAIN, 2: Reason.SYMPTOM_BLEEDING, 3: Reason.SYMPTOM_RASH, 4: Reason.SYMPTOM_UNSAID}
PRESS_SPEAKS_MS = 11_000  # a press from before speaks for a clock no longer than 10 s
PAIRS = list(product(SYMPTOMS, SYMPTOMS))
WATCHDOG = struct.pack("<H", int(Reason.WATCHDOG))


def said(client: RawClient, symptom: int) -> None:
    assert client.ask(raw.ON_STOP, raw.SYMPTOM, bytes([symptom])).opcode == raw.SYMPTOM_REPORTED


def self_test(client: RawClient) -> None:
    assert client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header()).reason == 0


def changes(client: RawClient) -> list[tuple[int, int]]:
    """State and reason of each change of state that it was told of, in order."""
    client.pump()
    notes = [got for got in client.notes if got.opcode == raw.STATE_CHANGED]
    return [struct.unpack_from("<HH", got.payload, 6) for got in notes]


def pen_with(symptom: int, *, fault: bool = False) -> SimulatedPen:
    """A pen whose owner reported it in the middle of a self-test, in a fault that still stands if there is one."""
    pen, host = owned_pen()
    client = first_owner(pen, host)
    if fault:
        feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.WATCHDOG)))
        pen.advance(100)
        assert client.ask(raw.ON_COMMAND, raw.ACKNOWLEDGE, client.header() + WATCHDOG).reason == 0
    else:
        self_test(client)
    said(client, symptom)
    pen.advance(3_000)
    assert inside(pen).state.reason == SYMPTOMS[symptom]
    assert inside(pen).state.fault == (Reason.WATCHDOG if fault else Reason.NONE)
    return pen


# Why the pen last stopped


def test_the_word_that_asks_whether_a_reason_is_written_is_none() -> None:
    assert NO_WORD not in set(Reason)


@pytest.mark.sr("SR-OWN-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize(("former", "mine"), PAIRS)
def test_a_symptom_of_ones_own_brings_no_earlier_owners_back(former: int, mine: int) -> None:
    pen = pen_with(former)
    following = next_owner(pen)
    following.notes.clear()
    said(following, mine)
    pen.advance(500)
    told = {reason for _, reason in changes(following)} | {following.status()["reason"]}
    assert told == {Reason.NONE}


@pytest.mark.sr("SR-OWN-1", "SR-SYM-1", side="pen")
def test_a_symptom_of_ones_own_does_not_tell_how_an_earlier_owners_session_ended() -> None:
    pen, client = used_pen()
    assert client.status()["reason"] not in (0, Reason.NONE)
    following = next_owner(pen)
    said(following, 1)
    pen.advance(500)
    assert following.status()["reason"] == Reason.NONE


@pytest.mark.sr("SR-OWN-1", "SR-SYM-1", side="pen")
@pytest.mark.parametrize(("former", "mine"), PAIRS)
def test_why_the_new_owners_self_test_stopped_he_is_told_also_by_the_same_word(former: int, mine: int) -> None:
    pen = pen_with(former)
    following = next_owner(pen)
    self_test(following)
    following.notes.clear()
    said(following, mine)
    pen.advance(500)
    assert following.status()["reason"] == SYMPTOMS[mine]
    assert {reason for _, reason in changes(following)} == {SYMPTOMS[mine]}


@pytest.mark.sr("SR-OWN-1", "SR-RST-3", side="pen")
@pytest.mark.parametrize("former", SYMPTOMS)
def test_of_a_fault_that_stands_the_new_owner_is_told_the_fault_and_nothing_from_under_it(former: int) -> None:
    pen = pen_with(former, fault=True)
    following = next_owner(pen)
    assert following.status()["reason"] == Reason.WATCHDOG
    following.notes.clear()
    assert following.ask(raw.ON_COMMAND, raw.ACKNOWLEDGE, following.header() + WATCHDOG).reason == 0
    pen.advance(3_000)
    press(pen)
    pen.advance(1_000)
    fault = int(Reason.WATCHDOG)
    assert changes(following) == [(State.SELF_TEST, fault), (State.FAULT, fault), (State.IDLE, Reason.NONE)]
    assert following.status()["reason"] == Reason.NONE


# Counts


@pytest.mark.sr("SR-OWN-1", "SR-LOG-1", side="pen")
@pytest.mark.parametrize("released", [False, True])
def test_refusals_are_counted_to_the_owner_in_whose_time_they_were(*, released: bool) -> None:
    pen, client = used_pen()
    for _ in range(37):
        assert client.open().reason == Reason.INTERVAL_NOT_OVER
    if released:
        assert client.ask(ON_PAIRING, RELEASE_OWNER).opcode == OWNER_RELEASED
        press(pen)
        host = PairingHost(pen, "next")
        host.pair()
        following = first_owner(pen, host)
    else:
        following = next_owner(pen)
    for _ in range(3):
        assert following.open().reason == Reason.INTERVAL_NOT_OVER
    pen.advance(CHECKPOINT_S * 1_000 + 2_000)
    counts = [(each.owner, each.entry()) for each in flash_records(pen) if each.kind == RefusedCount.kind]
    told = [(owner, entry.refusals) for owner, entry in counts if isinstance(entry, RefusedCount)]
    assert told == [(1, 37), (2, 3)]


def sets_left(client: RawClient) -> int:
    """How often the clock can be set yet with no press, by a second each, asked until it is refused."""
    client.pen.advance(PRESS_SPEAKS_MS)
    for done in range(SETS_MAX + 1):
        ahead = struct.pack("<I", client.status()["utc"] + 1)
        answer = client.ask(raw.ON_COMMAND, raw.SET_CLOCK, client.header() + ahead)
        if answer.opcode != raw.CLOCK_SET:
            assert answer.reason == Reason.CLOCK_JUMP_NEEDS_PRESS
            return done
        client.pen.advance(1_000)
    pytest.fail("set more often than it may be")


def rebooted(pen: SimulatedPen, client: PairedClient) -> PairedClient:
    """His next connection, after the pen was without power."""
    pen.power.cut()
    pen.power.restore()
    pen.advance(1_000)
    again = PairedClient(pen, client.host, OwnerKeys(public_key(client.host), client.pen_public, client.binding))
    again.connect()
    again.command_id = 1 + struct.unpack_from("<I", again.ask(raw.ON_STATUS, raw.GET_LAST).payload, 8)[0]
    return again


@pytest.mark.sr("SR-OWN-1", "SR-INT-2", side="pen")
@pytest.mark.parametrize("without_power", [False, True])
def test_how_often_an_earlier_owner_set_the_clock_nobody_finds_by_setting_it(*, without_power: bool) -> None:
    pen, host = owned_pen()
    assert sets_left(first_owner(pen, host)) == SETS_MAX
    following = next_owner(pen)
    if without_power:
        following = rebooted(pen, following)
    assert sets_left(following) == SETS_MAX
    assert {each.owner for each in flash_records(pen) if each.kind == ClockSetEntry.kind} == {1, 2}


@pytest.mark.sr("SR-INT-2", side="pen")
def test_an_owners_own_settings_count_over_a_loss_of_power() -> None:
    pen, _ = owned_pen()
    following = next_owner(pen)
    assert sets_left(following) == SETS_MAX
    assert sets_left(rebooted(pen, following)) == 0
