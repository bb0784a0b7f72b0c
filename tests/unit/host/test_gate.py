"""The gate: what it refuses, that nothing goes round it, and that no checked command can be made elsewhere."""

import copy
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink.checked import Checked
from dermalink.errors import HostRefusal
from dermalink.gate import Gate
from dermalink.registry import TICKETS_MAX, Registry
from dermalink_protocol import limits
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.errors import OutOfRange
from dermalink_protocol.limits import DEPTH_CAP_UM, INTERVAL_S, ZONE_RULES
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.identity import CartridgeFlag, StatusFlag
from dermalink_protocol.zones import Direction, Head, Zone
from tests.support.running import in_virtual_time
from tests.unit.host.facts import facts, gate_and_registry, gate_with, opened
from tests.unit.host.scripted_pen import FRAME, NOW_S, a_pen, open_session

SOUND = FRAME


def refused(gate: Gate, **change: Any) -> HostRefusal:
    """The refusal of a frame with this change."""
    with pytest.raises(HostRefusal) as caught:
        gate.prepare(**(SOUND | change))
    assert caught.value.rule
    assert caught.value.advice
    return caught.value


def test_a_sound_frame_passes() -> None:
    assert type(gate_with(opened()).prepare(**SOUND)) is Checked


# Forging


@pytest.mark.sr("SR-DEPTH-1", "SR-DEPTH-8", side="host", kind="construction")
def test_a_checked_command_cannot_be_made_copied_changed_or_derived() -> None:
    ticket = gate_with(opened()).prepare(**SOUND)
    with pytest.raises(HostRefusal):
        Checked()
    with pytest.raises(HostRefusal):
        type(ticket)(therapy.Prepare)
    with pytest.raises(HostRefusal):
        copy.copy(ticket)
    with pytest.raises(HostRefusal):
        copy.deepcopy(ticket)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(HostRefusal):
            pickle.dumps(ticket, protocol)
    with pytest.raises(HostRefusal):
        ticket.__replace__(depth_um=600)
    with pytest.raises(HostRefusal):
        type("Loose", (Checked,), {})
    with pytest.raises(AttributeError):
        ticket.depth_um = 600  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        ticket.__class__ = object  # type: ignore[assignment]


@pytest.mark.sr("SR-DEPTH-1", "SR-DEPTH-8", side="host")
def test_what_python_cannot_keep_from_being_made_is_worth_nothing() -> None:
    gate, registry = gate_and_registry(opened())
    _, other = gate_and_registry(opened())
    genuine = gate.prepare(**SOUND)
    forged = object.__new__(Checked)
    for where, ticket in ((registry, forged), (other, genuine), (registry, object.__new__(type(genuine)))):
        with pytest.raises(HostRefusal) as caught:
            where.redeem(ticket, command_id=1, seen_tick_ms=1)
        assert caught.value.rule == "SR-DEPTH-8"
    assert registry.redeem(genuine, command_id=1, seen_tick_ms=1).message.as_dict()["depth_um"] == SOUND["depth_um"]


@pytest.mark.sr("SR-CMD-3", side="host")
def test_a_ticket_is_worth_one_sending() -> None:
    gate, registry = gate_and_registry(opened())
    ticket = gate.prepare(**SOUND)
    registry.redeem(ticket, command_id=1, seen_tick_ms=1)
    with pytest.raises(HostRefusal):
        registry.redeem(ticket, command_id=2, seen_tick_ms=2)


def test_a_ticket_whose_place_in_memory_is_taken_by_a_forged_one_is_not_that_one() -> None:
    gate = gate_with(opened())
    for _ in range(100):
        ticket = gate.prepare(**SOUND)
        address = id(ticket)
        del ticket
        forged = object.__new__(Checked)
        assert id(forged) != address  # the gate holds its own tickets, so their place is not free


def test_tickets_that_nobody_redeems_lose_their_worth() -> None:
    gate, registry = gate_and_registry(opened())
    tickets = [gate.prepare(**SOUND) for _ in range(TICKETS_MAX + 1)]
    with pytest.raises(HostRefusal):
        registry.redeem(tickets[0], command_id=1, seen_tick_ms=1)
    registry.redeem(tickets[1], command_id=1, seen_tick_ms=1)


def test_only_a_redeemed_message_is_admitted_itself_and_once() -> None:
    gate, registry = gate_and_registry(opened())
    message = registry.redeem(gate.prepare(**SOUND), command_id=1, seen_tick_ms=1).message
    twin = therapy.Prepare.decode(message.encode())
    assert twin == message
    assert not registry.admit(twin)
    assert registry.admit(message)
    assert not registry.admit(message)


@in_virtual_time
async def test_the_pen_takes_no_forged_ticket() -> None:
    async with a_pen() as (pen, far):
        await open_session(pen)
        await pen.look()
        outcome = await pen.apply(object.__new__(Checked))
        assert not hasattr(outcome, "reply")
        assert far.count(therapy.Prepare) == 0


@pytest.mark.sr("SR-DEPTH-8", "SR-CART-3", side="host")
def test_what_changed_after_checking_is_checked_again_before_it_goes() -> None:
    changes: list[dict[str, Any]] = [
        {"cartridge": {"tag_id": b"otherone"}},
        {"cartridge": {"protrusion_um": 1_000}},
        {"status": {"session_id": 42}},
        {"status": {"state": State.RUNNING}},
        {"status": {"state": State.FAULT}},
        {"hello": {"depth_cap_um": 250}},
    ]
    for change in changes:
        gate, registry = gate_and_registry(opened())
        ticket = gate.prepare(**SOUND)
        registry.look(opened(**change))
        with pytest.raises(HostRefusal):
            registry.redeem(ticket, command_id=1, seen_tick_ms=1)
        registry.look(opened())
        with pytest.raises(HostRefusal):
            registry.redeem(ticket, command_id=1, seen_tick_ms=1)


def test_nothing_is_checked_before_the_pen_was_looked_at() -> None:
    with pytest.raises(HostRefusal, match="looked at"):
        Gate(Registry()).open_session()


# Depth

NO_NUMBERS: list[Any] = [
    True, 300.0, float("nan"), float("inf"), "300", "0.3 mm", b"300", None, 300 + 0j, Decimal(300), Fraction(300),
    np.int64(300), np.uint16(300), np.float32(300), [300], Zone.CHIN,
]  # fmt: skip


@pytest.mark.sr("SR-DEPTH-1", side="host")
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("field", ["depth_um", "rate_hz", "speed_mm_s"])
def test_only_a_whole_number_is_a_number(field: str, value: Any) -> None:
    refused(gate_with(opened()), **{field: value})


DEPTHS = st.one_of(st.integers(19, 52).map(lambda tens: tens * 10), st.integers(190, 520), st.integers(-70_000, 70_000))


class Sly(int):
    """An int that says it is less than everything."""

    def __le__(self, other: int) -> bool:
        return True

    __lt__ = __ge__ = __gt__ = __le__


@pytest.mark.sr("SR-DEPTH-1", side="host")
def test_an_int_that_lies_is_none() -> None:
    refused(gate_with(opened()), depth_um=Sly(900))


@pytest.mark.sr("SR-DEPTH-1", "SR-DEPTH-3", side="host")
@given(DEPTHS, st.sampled_from(list(Zone)), st.sampled_from([Head.GLIDE, Head.STAMP]))
def test_no_depth_passes_but_those_under_every_cap(depth_um: int, zone: Zone, head: Head) -> None:
    gate, registry = gate_and_registry(opened(cartridge={"head": head}))
    rule = ZONE_RULES[zone]
    fits = 200 <= depth_um <= min(500, rule.cap_um) and depth_um % 10 == 0 and head in rule.heads
    if fits:
        message = registry.redeem(
            gate.prepare(**SOUND | {"zone": zone, "depth_um": depth_um}), command_id=1, seen_tick_ms=1
        ).message
        assert message.as_dict() | {"zone": zone, "depth_um": depth_um} == message.as_dict()
    else:
        refused(gate, zone=zone, depth_um=depth_um)


@pytest.mark.sr("SR-DEPTH-1", side="host")
@pytest.mark.parametrize(
    ("depth_um", "reason", "rule"),
    [
        (501, Reason.DEPTH_OVER_CAP, "SR-DEPTH-1"),
        (510, Reason.DEPTH_OVER_CAP, "SR-DEPTH-1"),
        (65_535, Reason.DEPTH_OVER_CAP, "SR-DEPTH-1"),
        (199, Reason.DEPTH_UNDER_MIN, "SR-DEPTH-1"),
        (0, Reason.DEPTH_UNDER_MIN, "SR-DEPTH-1"),
        (-300, Reason.DEPTH_UNDER_MIN, "SR-DEPTH-1"),
        (255, Reason.DEPTH_OFF_STEP, "SR-DEPTH-1"),
    ],
)
def test_each_wrong_depth_has_its_reason(depth_um: int, reason: Reason, rule: str) -> None:
    caught = refused(gate_with(opened()), depth_um=depth_um)
    assert (caught.reason, caught.rule) == (reason, rule)


@pytest.mark.sr("SR-DEPTH-3", side="host")
@pytest.mark.parametrize("zone", list(Zone))
def test_each_zone_ends_at_its_own_cap(zone: Zone) -> None:
    cap, head = ZONE_RULES[zone].cap_um, ZONE_RULES[zone].heads[-1]
    gate = gate_with(opened(cartridge={"head": head}))
    gate.prepare(**SOUND | {"zone": zone, "depth_um": cap})
    wanted = Reason.DEPTH_OVER_CAP if cap == DEPTH_CAP_UM else Reason.DEPTH_OVER_ZONE_CAP
    assert refused(gate, zone=zone, depth_um=cap + 10).reason is wanted


def test_the_named_limit_is_a_number_too() -> None:
    assert gate_with(opened()).prepare(**SOUND | {"depth_um": DEPTH_CAP_UM}) is not None


@pytest.mark.sr("SR-DEPTH-3", side="host")
@pytest.mark.parametrize("zone", [0, 2, 9, 255, "left cheek", None, Direction.VERTICAL, True])
def test_what_is_no_zone_is_refused(zone: Any) -> None:
    assert refused(gate_with(opened()), zone=zone).reason is Reason.UNKNOWN_ZONE


@pytest.mark.sr("SR-PASS-1", side="host")
@pytest.mark.parametrize("direction", [0, 1, 3, 8, "vertical", None, Zone.FOREHEAD])
def test_what_is_no_direction_is_refused(direction: Any) -> None:
    assert refused(gate_with(opened()), direction=direction).reason is Reason.UNKNOWN_DIRECTION


@pytest.mark.sr("SR-DEPTH-3", side="host")
@pytest.mark.parametrize("zone", [zone for zone, rule in ZONE_RULES.items() if Head.GLIDE not in rule.heads])
def test_thin_skin_needs_a_stamp_head(zone: Zone) -> None:
    assert refused(gate_with(opened()), zone=zone, depth_um=250).reason is Reason.ZONE_NEEDS_STAMP
    gate_with(opened(cartridge={"head": Head.STAMP})).prepare(**SOUND | {"zone": zone, "depth_um": 250})


# Passes, rate, density


@pytest.mark.sr("SR-PASS-1", side="host")
def test_a_zone_takes_each_direction_once_and_three_in_all() -> None:
    one = (Zone.LEFT_CHEEK, Direction.VERTICAL)
    assert refused(gate_with(opened(passes=[one]))).reason is Reason.PASS_ALREADY_MADE
    gate_with(opened(passes=[one])).prepare(**SOUND | {"direction": Direction.HORIZONTAL})
    gate_with(opened(passes=[one])).prepare(**SOUND | {"zone": Zone.RIGHT_CHEEK})
    all_three = [(Zone.LEFT_CHEEK, direction) for direction in Direction]
    for direction in Direction:
        assert refused(gate_with(opened(passes=all_three)), direction=direction).reason is Reason.ZONE_FULL


@pytest.mark.sr("SR-RATE-1", side="host")
@given(st.integers(-300, 300), st.integers(50, 150), st.integers(50, 150))
def test_no_rate_passes_but_those_that_host_and_pen_both_have(rate_hz: int, one: int, other: int) -> None:
    low, high = min(one, other), max(one, other)
    gate = gate_with(opened(hello={"rate_min_hz": low, "rate_max_hz": high}, cartridge={"needles": 1}))
    if low <= rate_hz <= high:
        gate.prepare(**SOUND | {"rate_hz": rate_hz})
    else:
        assert refused(gate, rate_hz=rate_hz).reason is Reason.RATE_OUT_OF_RANGE


@pytest.mark.sr("SR-PASS-6", side="host")
@given(st.integers(50, 120), st.integers(1, 16), st.integers(1_000, 20_000), st.integers(10, 40))
def test_no_density_passes_over_650(rate_hz: int, needles: int, width_um: int, speed_mm_s: int) -> None:
    gate = gate_with(opened(cartridge={"needles": needles, "width_um": width_um}))
    exactly = Fraction(rate_hz * needles * 100_000, width_um * speed_mm_s)
    if exactly <= 650:
        gate.prepare(**SOUND | {"rate_hz": rate_hz, "speed_mm_s": speed_mm_s})
    else:
        assert refused(gate, rate_hz=rate_hz, speed_mm_s=speed_mm_s).reason is Reason.DENSITY_TOO_HIGH


@pytest.mark.sr("SR-PASS-6", side="host")
@pytest.mark.parametrize("speed", [9, 41, 0, -20])
def test_a_hand_is_neither_too_slow_nor_too_fast(speed: int) -> None:
    assert refused(gate_with(opened()), speed_mm_s=speed).reason is Reason.SPEED_OUT_OF_RANGE


# Cartridge

GOOD = CartridgeFlag.PRESENT | CartridgeFlag.READABLE | CartridgeFlag.MAKER_KNOWN


@pytest.mark.sr("SR-CART-1", "SR-CART-2", "SR-DEPTH-2", side="host")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flags": CartridgeFlag(0)}, Reason.CARTRIDGE_ABSENT),
        ({"flags": CartridgeFlag.PRESENT}, Reason.CARTRIDGE_UNREADABLE),
        ({"flags": CartridgeFlag.PRESENT | CartridgeFlag.READABLE}, Reason.CARTRIDGE_UNKNOWN_MAKER),
        ({"flags": GOOD | CartridgeFlag.USED_IN_LEDGER}, Reason.CARTRIDGE_USED),
        ({"flags": GOOD | CartridgeFlag.EXPIRED}, Reason.CARTRIDGE_EXPIRED),
        ({"sterile_until_s": NOW_S}, Reason.CARTRIDGE_EXPIRED),
        ({"sterile_until_s": 0}, Reason.CARTRIDGE_EXPIRED),
        ({"protrusion_um": 501}, Reason.CARTRIDGE_OVER_CAP),
        ({"protrusion_um": 1_000}, Reason.CARTRIDGE_OVER_CAP),
        ({"protrusion_um": 0}, Reason.CARTRIDGE_OVER_CAP),
        ({"protrusion_um": 299}, Reason.DEPTH_OVER_CARTRIDGE),
        ({"needles": 17}, Reason.CARTRIDGE_OVER_NEEDLES),
        ({"needles": 0}, Reason.CARTRIDGE_OVER_NEEDLES),
        ({"head": 0}, Reason.CARTRIDGE_WRONG_KIND),
        ({"head": 3}, Reason.CARTRIDGE_WRONG_KIND),
        ({"width_um": 0}, Reason.CARTRIDGE_WRONG_KIND),
        ({"reason": Reason.CARTRIDGE_BADLY_SEATED}, Reason.CARTRIDGE_BADLY_SEATED),
        ({"reason": Reason.CARTRIDGE_WORN_OUT}, Reason.CARTRIDGE_WORN_OUT),
    ],
)
def test_each_unfit_head_has_its_reason(change: dict[str, Any], reason: Reason) -> None:
    assert refused(gate_with(opened(cartridge=change))).reason is reason


@pytest.mark.sr("SR-CART-1", side="host")
def test_a_head_used_in_either_place_is_used_but_serves_its_own_session() -> None:
    used_now = GOOD | CartridgeFlag.USED_IN_LEDGER | CartridgeFlag.USED_THIS_SESSION
    gate_with(opened(cartridge={"flags": used_now}, used_in_session=41)).prepare(**SOUND)
    assert refused(gate_with(opened(used_in_session=40))).reason is Reason.CARTRIDGE_USED
    assert refused(gate_with(opened(cartridge={"flags": used_now}, used_in_session=40))).reason is Reason.CARTRIDGE_USED


# Sessions


@pytest.mark.sr("SR-INT-1", "SR-SES-1", "SR-STOP-1", side="host")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": {"wait_s": 1}}, Reason.INTERVAL_NOT_OVER),
        ({"last_touch_utc_s": NOW_S - INTERVAL_S + 1}, Reason.INTERVAL_NOT_OVER),
        ({"last_touch_utc_s": NOW_S + 100}, Reason.INTERVAL_NOT_OVER),
        ({"last_touch_utc_s": NOW_S + 1_000}, Reason.CLOCK_BACK),
        ({"status": {"session_id": 4}}, Reason.WRONG_STATE),
        ({"status": {"state": State.OPEN}}, Reason.WRONG_STATE),
        ({"status": {"state": State.FAULT}}, Reason.FAULT_LATCHED),
        ({"status": {"state": State.LOCKED}}, Reason.LOCKED),
        ({"status": {"state": State.STOP_FAILED}}, Reason.STOP_NOT_CONFIRMED),
        ({"status": {"flags": StatusFlag.NEEDLES_IN}}, Reason.CLOCK_LOST),
        ({"status": {"utc_s": 0}}, Reason.CLOCK_LOST),
        ({"hello": {"drive_tolerance_um": 0}}, Reason.TOLERANCE_UNDECLARED),
        ({"hello": {"drive_tolerance_um": 51}}, Reason.TOLERANCE_UNDECLARED),
        ({"hello": {"sensor_accuracy_um": 0}}, Reason.ACCURACY_UNDECLARED),
        ({"hello": {"sensor_accuracy_um": 26}}, Reason.ACCURACY_UNDECLARED),
        ({"history_fault": "cut"}, Reason.HISTORY_BROKEN),
        ({"inspect_only": True}, Reason.NOT_OWNER),
    ],
)
def test_each_reason_why_no_session_is_opened(change: dict[str, Any], reason: Reason) -> None:
    gate_with(facts()).open_session()
    with pytest.raises(HostRefusal) as caught:
        gate_with(facts(**change)).open_session()
    assert caught.value.reason is reason


@pytest.mark.sr("SR-INT-1", side="host")
def test_fourteen_days_to_the_second() -> None:
    gate_with(facts(last_touch_utc_s=NOW_S - INTERVAL_S)).open_session()


@pytest.mark.sr("SR-STOP-1", side="host")
@pytest.mark.parametrize("lease_ms", [0, 99, 1_001, -1, True, 500.0, "500", None])
def test_a_lease_is_short_and_never_off(lease_ms: Any) -> None:
    with pytest.raises(HostRefusal) as caught:
        gate_with(facts()).open_session(lease_ms=lease_ms)
    assert caught.value.reason is Reason.LEASE_OUT_OF_RANGE


def test_a_lease_is_no_longer_than_the_pen_allows() -> None:
    gate = gate_with(facts(hello={"lease_max_ms": 600}))
    gate.open_session(lease_ms=600)
    with pytest.raises(HostRefusal):
        gate.open_session(lease_ms=601)


@pytest.mark.sr("SR-SES-1", side="host")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": {"session_id": 40}}, Reason.WRONG_SESSION),
        ({"status": {"session_id": 0}}, Reason.WRONG_SESSION),
        ({"status": {"session_left_s": 0}}, Reason.SESSION_OVER),
        ({"status": {"state": State.RUNNING, "flags": StatusFlag.PASS_OPEN}}, Reason.PASS_IN_PROGRESS),
        ({"status": {"state": State.IDLE}}, Reason.WRONG_STATE),
    ],
)
def test_a_frame_is_prepared_in_ones_own_session_while_no_pass_runs(change: dict[str, Any], reason: Reason) -> None:
    assert refused(gate_with(opened(**change))).reason is reason


# Passes begun and resumed


HELD = {"state": State.PREPARED, "zone": 2, "direction": 1, "depth_um": 300, "rate_hz": 60}


@pytest.mark.sr("SR-DEPTH-8", "SR-CART-3", side="host")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": HELD | {"state": State.OPEN}}, Reason.WRONG_FRAME),
        ({"status": HELD | {"depth_um": 310}}, Reason.FRAME_CHANGED),
        ({"status": HELD | {"zone": 3}}, Reason.FRAME_CHANGED),
        ({"status": HELD | {"direction": 2}}, Reason.FRAME_CHANGED),
        ({"status": HELD | {"rate_hz": 61}}, Reason.FRAME_CHANGED),
        ({"cartridge": {"tag_id": b"otherone"}}, Reason.CARTRIDGE_CHANGED),
        ({"cartridge": {"protrusion_um": 250}}, Reason.DEPTH_OVER_CARTRIDGE),
        ({"cartridge": {"needles": 16}}, Reason.DENSITY_TOO_HIGH),
        ({"passes": [(Zone.LEFT_CHEEK, Direction.VERTICAL)]}, Reason.PASS_ALREADY_MADE),
        ({"frame": None}, Reason.WRONG_FRAME),
        ({"frame": {"frame_id": 0}}, Reason.WRONG_FRAME),
    ],
)
def test_a_pass_begins_only_as_it_was_prepared(change: dict[str, Any], reason: Reason) -> None:
    sound: dict[str, Any] = {"status": HELD, "frame": {}}
    gate_with(opened(**sound)).begin_pass()
    with pytest.raises(HostRefusal) as caught:
        gate_with(opened(**(sound | change))).begin_pass()
    assert caught.value.reason is reason


PAUSED = HELD | {"state": State.PAUSED, "punctures_left": 5, "resumes_left": 1}


@pytest.mark.sr("SR-PASS-2", "SR-CART-3", side="host")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": PAUSED | {"state": State.OPEN}}, Reason.NO_PASS),
        ({"running": None}, Reason.NO_PASS),
        ({"status": PAUSED | {"zone": 3}}, Reason.FRAME_CHANGED),
        ({"status": PAUSED | {"resumes_left": 0}}, Reason.RESUMES_USED_UP),
        ({"resumes": limits.RESUMES_PER_PASS}, Reason.RESUMES_USED_UP),
        ({"paused_for_ms": limits.RESUME_WITHIN_MS + 1}, Reason.RESUME_TOO_LATE),
        ({"status": PAUSED | {"punctures_left": 0}}, Reason.PASS_COMPLETE),
        ({"cartridge": {"tag_id": b"otherone"}}, Reason.CARTRIDGE_CHANGED),
        ({"cartridge": {"flags": CartridgeFlag(0)}}, Reason.CARTRIDGE_ABSENT),
    ],
)
def test_a_pass_goes_on_only_as_the_same_pass(change: dict[str, Any], reason: Reason) -> None:
    sound: dict[str, Any] = {"status": PAUSED, "running": {}}
    gate_with(opened(**sound)).resume_pass()
    with pytest.raises(HostRefusal) as caught:
        gate_with(opened(**(sound | change))).resume_pass()
    assert caught.value.reason is reason


# Faults, self-test, clock


def test_a_fault_is_acknowledged_by_its_own_name_only() -> None:
    at_fault = facts(status={"state": State.FAULT, "reason": Reason.DEPTH_EXCEEDED})
    gate_with(at_fault).acknowledge_fault(Reason.DEPTH_EXCEEDED)
    for fault in (Reason.STALLED, int(Reason.DEPTH_EXCEEDED), None):
        with pytest.raises(HostRefusal):
            gate_with(at_fault).acknowledge_fault(fault)  # type: ignore[arg-type]
    with pytest.raises(HostRefusal):
        gate_with(facts()).acknowledge_fault(Reason.NONE)


@pytest.mark.sr("SR-POST-1", side="host")
def test_no_self_test_in_contact_or_in_a_session() -> None:
    gate_with(facts()).run_self_test()
    for change in ({"flags": StatusFlag.CONTACT}, {"session_id": 3}):
        with pytest.raises(HostRefusal):
            gate_with(facts(status=change)).run_self_test()


@pytest.mark.parametrize("utc_s", [0, -1, 1 << 32, True, 1.8e9, "now"])
def test_a_time_is_a_whole_number_of_seconds(utc_s: Any) -> None:
    gate_with(facts()).set_clock(NOW_S)
    with pytest.raises(HostRefusal):
        gate_with(facts()).set_clock(utc_s)


def test_a_time_before_the_journals_last_record_is_refused() -> None:
    with pytest.raises(HostRefusal) as caught:
        gate_with(facts(last_touch_utc_s=NOW_S - 1_000)).set_clock(NOW_S - 2_000)
    assert caught.value.reason is Reason.CLOCK_BEFORE_RECORD


@pytest.mark.sr("SR-DEPTH-1", side="host", twin=True)
def test_with_the_gates_own_depth_check_off_the_codec_still_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two guards that share no code: with the first off, the second is seen to hold."""
    monkeypatch.setattr("dermalink.rules.check_depth", lambda _facts, _what, _zone, _head, depth_um: depth_um)
    gate, registry = gate_and_registry(opened())
    ticket = gate.prepare(**SOUND | {"depth_um": 510})
    with pytest.raises(OutOfRange):
        registry.redeem(ticket, command_id=1, seen_tick_ms=1)
    nose = gate.prepare(**SOUND | {"zone": Zone.NOSE, "depth_um": 300})
    assert registry.redeem(nose, command_id=2, seen_tick_ms=1).message.as_dict()["depth_um"] == 300
