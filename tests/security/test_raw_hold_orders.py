"""No order of a host takes a hold of the button away: it is a symptom or the hand-over, whoever's keys are near.

The one who has them may be a thief with the old owner's laptop, in range, while the pen's new owner holds its button.
"""

import struct
from collections.abc import Callable

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import CALIBRATION_S, HAND_OVER_HOLD_MS, PAIR_WINDOW_MS
from dermalink_protocol.messages.owner import ReleaseOwner
from dermalink_simulator.firmware.core import feed
from dermalink_simulator.firmware.flash_layout import FACTORY_S
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import PortKind
from dermalink_simulator.therapy.events import Event, EventKind
from tests.security.test_raw_hold import DAY_S, set_clock, taken
from tests.support import raw_pen as raw
from tests.support.pairing_host import PairedClient, PairingHost, hold, press
from tests.support.raw_pen import RawClient, raw_pen
from tests.support.sealed_client import inside, owned_pen, owner_of
from tests.unit.firmware.pens_to_pair import owned_pen as paired_pen
from tests.unit.firmware.test_disclosure import first_owner

EVERY_MS = 100
SEEN_MS = 20  # the pen has read its button, so the hold has begun
Order = Callable[[RawClient], int]


def self_test(client: RawClient) -> int:
    return client.ask(raw.ON_COMMAND, raw.SELF_TEST, client.header()).reason


def acknowledge(client: RawClient) -> int:
    fault = struct.pack("<H", Reason.WATCHDOG)
    return client.ask(raw.ON_COMMAND, raw.ACKNOWLEDGE, client.header() + fault).reason


def open_session(client: RawClient) -> int:
    return client.open().reason


def jump(client: RawClient) -> int:
    return set_clock(client, 2)


def small_step(client: RawClient) -> int:
    return set_clock(client, 0)


ORDERS: dict[str, tuple[Order, int]] = {
    "open a session": (open_session, Reason.BUSY),
    "self-test": (self_test, Reason.BUSY),
    "acknowledge": (acknowledge, Reason.BUSY),
    "jump of the clock": (jump, Reason.CLOCK_JUMP_NEEDS_PRESS),
    "small step of the clock": (small_step, Reason.CLOCK_JUMP_NEEDS_PRESS),
}
OTHERS: dict[str, Callable[[PairedClient], object]] = {
    "stop": lambda client: client.ask(raw.ON_STOP, raw.STOP),
    "symptom": lambda client: client.ask(raw.ON_STOP, raw.SYMPTOM, b"\1"),
    "hello": lambda client: client.say(raw.ON_STATUS, raw.HELLO, struct.pack("<HI", 1, 7)),
    "close": lambda client: client.ask(raw.ON_COMMAND, raw.CLOSE, struct.pack("<II32s", 1, 0, raw.NO_HASH)),
    "end of the link": lambda client: client.port.close(),
    "release": lambda client: client.ask(int(ReleaseOwner.channel or 0), int(ReleaseOwner.opcode)),
    "prepare": lambda client: client.prepare(),
}


def faulty(pen: SimulatedPen) -> None:
    feed(inside(pen), Event(kind=EventKind.FAULT, reason=int(Reason.WATCHDOG)))
    pen.advance(500)
    assert inside(pen).state.state == State.FAULT


def window_ms(pen: SimulatedPen) -> int:
    return inside(pen).pairing.desk.window_ms


@pytest.mark.sr("SR-OWN-1", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("in_fault", [False, True], ids=["at rest", "in a fault"])
@pytest.mark.parametrize("name", ORDERS)
def test_nothing_that_the_old_owner_orders_at_any_moment_of_the_hold_keeps_it_from_the_hand_over(
    name: str, in_fault: bool
) -> None:
    order, reason = ORDERS[name]
    pen = owned_pen()
    thief = owner_of(pen, PortKind.STREAM)
    if in_fault:
        faulty(pen)
    pen.button.hold()
    begun_ms = pen.now_ms
    pen.advance(SEEN_MS)
    for at_ms in range(0, int(HAND_OVER_HOLD_MS), EVERY_MS):
        said = order(thief)
        assert said != 0, f"taken after {at_ms} ms"
        if not in_fault or reason == Reason.BUSY:
            assert said == reason
        assert inside(pen).state.state == (State.FAULT if in_fault else State.IDLE)
        pen.advance(max(0, at_ms + EVERY_MS + begun_ms - pen.now_ms))
    pen.advance(EVERY_MS)
    assert window_ms(pen) > 0
    pen.button.release()
    pen.advance(200)
    assert not taken(pen)
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2


@pytest.mark.sr("SR-OWN-1", "SR-SEC-5", side="pen")
@pytest.mark.parametrize("name", [*ORDERS, *OTHERS])
def test_nor_a_single_one_whenever_it_comes(name: str) -> None:
    order = OTHERS.get(name) or ORDERS[name][0]
    for at_ms in range(SEEN_MS, int(HAND_OVER_HOLD_MS), 1_100):
        pen, host = paired_pen()
        thief = first_owner(pen, host)
        pen.button.hold()
        pen.advance(at_ms)
        order(thief)
        pen.advance(int(HAND_OVER_HOLD_MS) + 100 - at_ms)
        assert window_ms(pen) > 0, f"kept from it by {name} after {at_ms} ms"
        pen.button.release()
        pen.advance(200)


@pytest.mark.sr("SR-OWN-1", "SR-SEC-5", "SR-POST-1", side="pen")
@pytest.mark.parametrize("begins_ms", [SEEN_MS, 300, 700, 1_000, 1_500])
def test_nor_self_tests_without_end(begins_ms: int) -> None:
    pen = owned_pen()
    thief = owner_of(pen, PortKind.STREAM)
    assert self_test(thief) == 0
    pen.advance(begins_ms)
    pen.button.hold()
    for _ in range(int(HAND_OVER_HOLD_MS) // EVERY_MS + 1):
        self_test(thief)
        pen.advance(EVERY_MS)
    assert window_ms(pen) > 0
    pen.button.release()
    pen.advance(200)
    assert not taken(pen)
    PairingHost(pen, "next").pair()
    assert inside(pen).owner.number == 2


@pytest.mark.sr("SR-OWN-1", "SR-SEC-5", side="pen")
def test_nor_a_session_that_is_opened_as_soon_as_the_pen_is_switched_on() -> None:
    pen = owned_pen()
    pen.power.cut()
    pen.advance(100)
    pen.power.restore()
    pen.advance(SEEN_MS)
    assert inside(pen).state.state == State.SELF_TEST
    pen.advance(2 * SEEN_MS)
    pen.button.hold()
    thief = owner_of(pen, PortKind.STREAM)
    for _ in range(int(HAND_OVER_HOLD_MS) // EVERY_MS + 1):
        assert open_session(thief) != 0
        pen.advance(EVERY_MS)
    assert window_ms(pen) > 0


@pytest.mark.sr("SR-SYM-1", "SR-POST-1", side="pen")
def test_a_hold_in_a_self_test_that_is_let_go_is_a_symptom() -> None:
    pen = owned_pen()
    assert self_test(owner_of(pen, PortKind.STREAM)) == 0
    pen.advance(SEEN_MS)
    pen.button.press(4_000)
    pen.advance(4_300)
    assert taken(pen)


@pytest.mark.sr("SR-OWN-1", side="pen")
def test_when_the_hand_over_is_shut_again_orders_are_taken_though_the_button_stays_down() -> None:
    pen = owned_pen()
    owner = owner_of(pen, PortKind.STREAM)
    pen.button.hold()
    pen.advance(int(HAND_OVER_HOLD_MS) - 100)
    assert open_session(owner) == Reason.BUSY
    pen.advance(int(PAIR_WINDOW_MS))
    assert window_ms(pen) > 0
    assert open_session(owner) == Reason.BUSY
    pen.advance(500)
    assert open_session(owner) == 0


@pytest.mark.sr("SR-SYM-1", "SR-INT-2", side="pen")
@pytest.mark.parametrize("in_session", [False, True], ids=["at rest", "in a session"])
@pytest.mark.parametrize("gap_ms", [0, 10, 100, 500, 900, 1_100])
def test_a_hold_that_begins_right_after_the_clock_was_set_counts(gap_ms: int, in_session: bool) -> None:
    client = raw_pen()
    if in_session:
        client.open()
    client.pen.button.press()
    client.pen.advance(200)
    assert set_clock(client, 2) == 0
    client.pen.advance(gap_ms)
    client.pen.button.hold()
    client.pen.advance(3_500)
    client.pen.button.release()
    client.pen.advance(300)
    assert taken(client.pen, client.session_id if in_session else 0)


@pytest.mark.sr("SR-SYM-1", "SR-INT-2", side="pen")
@pytest.mark.parametrize("days", [0, 2], ids=["needs no press", "needs one"])
def test_a_hold_in_a_session_is_a_symptom_whatever_another_connection_sets(days: int) -> None:
    client = raw_pen()
    client.open()
    other = RawClient(client.pen)
    other.hello()
    other.command_id = client.command_id
    client.pen.button.hold()
    client.pen.advance(1_500)
    assert set_clock(other, days) == Reason.CLOCK_JUMP_NEEDS_PRESS
    client.pen.advance(9_000)
    client.pen.button.release()
    client.pen.advance(300)
    assert taken(client.pen, client.session_id)


@pytest.mark.sr("SR-SYM-1", "SR-INT-2", side="pen")
def test_what_was_held_speaks_for_no_clock_and_is_a_symptom() -> None:
    client = raw_pen()
    client.pen.button.hold()
    client.pen.advance(4_000)
    assert set_clock(client, 2) == Reason.CLOCK_JUMP_NEEDS_PRESS
    client.pen.button.release()
    client.pen.advance(200)
    assert set_clock(client, 2) == Reason.CLOCK_JUMP_NEEDS_PRESS
    assert taken(client.pen)


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_press_that_cleared_a_fault_or_served_a_bond_speaks_for_no_clock() -> None:
    client = raw_pen()
    faulty(client.pen)
    assert acknowledge(client) == 0
    client.pen.advance(3_000)
    press(client.pen)
    assert inside(client.pen).state.state == State.IDLE
    assert set_clock(client, 2) == Reason.CLOCK_JUMP_NEEDS_PRESS
    press(client.pen)
    assert client.pen.connect(PortKind.GATT).bonding(begins=True)
    assert set_clock(client, 2) == Reason.CLOCK_JUMP_NEEDS_PRESS


@pytest.mark.sr("SR-INT-2", "SR-OWN-1", side="pen")
def test_the_press_and_the_hold_that_served_the_pairing_speak_for_no_clock() -> None:
    pen, host = paired_pen()
    assert jump(first_owner(pen, host)) == Reason.CLOCK_JUMP_NEEDS_PRESS
    hold(pen)
    assert jump(first_owner(pen, host)) == Reason.CLOCK_JUMP_NEEDS_PRESS


@pytest.mark.sr("SR-INT-2", "SR-CAL-1", side="pen")
def test_no_press_sends_the_clock_past_the_end_of_the_calibration() -> None:
    client = raw_pen()
    left = (FACTORY_S + int(CALIBRATION_S) - client.pen.clock.utc_s) // DAY_S
    for days in (25 * 365, left + 1):
        press(client.pen)
        assert set_clock(client, days) == Reason.CALIBRATION_EXPIRED
    press(client.pen)
    assert set_clock(client, left - 1) == 0
    assert set_clock(client, 2) == Reason.CALIBRATION_EXPIRED
