"""Bits that flip in what the pen keeps: each is found before it can act, cuts the drive, and locks the pen."""

from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from itertools import combinations
from random import Random
from typing import Any

import pytest

from dermalink_protocol.codewords import Reason, RecordKind, State
from dermalink_protocol.history import decode_record
from dermalink_protocol.limits import INTERVAL_S
from dermalink_protocol.messages import therapy
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.firmware.inside import Inside
from dermalink_simulator.firmware.memory import copy_bits, flip
from dermalink_simulator.firmware.memory_fault import looked
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.seam import DriveOrder, Kept, Sensors
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.gate import compiled
from tests.fault.running_pen import IN_US, LEASE_US, PHASES_MS, Running
from tests.support.raw_host import OtherAnswerError, RawHost

LEASE_LEFT_BIT = 304 + 9  # of the therapy's state: bit 9 of `lease_left_ms` is 512 ms
WAIT_BIT = 104 + 20  # of 14 days the highest bit of the seconds that remain, 2^20: what is left is two days
NOSE_CAP_BIT = 320 + 8  # of the limits: bit 8 of the nose's cap, of 250 µm, is 256
NOSE_DONE_BIT = 384  # of the therapy's state: that the nose had its vertical pass
STATES = (State.IDLE, State.WAITING, State.RUNNING, State.PAUSED)
STILL = DriveOrder()
in_each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)


def firmware_of(pen: SimulatedPen) -> PenFirmware:
    assert isinstance(pen.firmware, PenFirmware)
    return pen.firmware


@cache
def host_in(state: State) -> RawHost:
    """A pen in this state, and its host; not to be changed but by `flipped`, which takes it back."""
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    if state is State.IDLE:
        host.hello()
        host.wait_for(State.IDLE)
        return host
    if state is State.WAITING:
        host.hello()
        host.wait_for(State.IDLE)
        host.open()
        host.expect(
            therapy.PassBegun,
            host.command(
                therapy.BeginPass,
                session_id=host.session_id,
                frame_id=host.prepare(Zone.NOSE, Direction.VERTICAL).frame_id,
            ),
        )
        return host
    host.to_running(Zone.FOREHEAD, Direction.VERTICAL)
    host.run(200)
    if state is State.PAUSED:
        host.ask(therapy.PausePass(session_id=host.session_id))
        host.wait_for(State.PAUSED)
    return host


def places() -> Iterator[tuple[Kept, int]]:
    """Every bit of both copies of every variable."""
    for variable in Kept:
        yield from ((variable, bit) for bit in range(2 * copy_bits(variable)))


@pytest.fixture(autouse=True)
def written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's code is not written out anew for limits that nobody gets to use."""
    gate = compiled(LIMITS)
    monkeypatch.setattr("dermalink_simulator.firmware.memory.compiled", lambda limits: gate)


def flipped(firmware: PenFirmware, bits: list[tuple[Kept, int]], act: Callable[[], Any]) -> tuple[bool, Any]:
    """Whether flips of these bits were found by what is done next, and what that gave; then all is as it was."""
    pen: Inside = firmware._pen
    before = dict(vars(pen))
    pen.second = copy(pen.second)
    try:
        for variable, bit in bits:
            flip(pen, variable, bit)
        gave = act()
        return pen.memory_fault, gave
    finally:
        vars(pen).clear()
        vars(pen).update(before)


@pytest.mark.sr("SR-BIST-1", side="pen")
@in_each_state
def test_every_single_bit_of_either_copy_is_found_before_the_drive_is_ordered_anything(state: State) -> None:
    host = host_in(state)
    firmware = firmware_of(host.pen)
    assert firmware._pen.state.state == state
    assert (firmware.drive() != STILL) is (state is State.RUNNING)
    tried = 0
    for variable, bit in places():
        found, order = flipped(firmware, [(variable, bit)], firmware.drive)
        assert found, (variable, bit)
        assert order == STILL
        tried += 1
    assert tried == 2 * sum(copy_bits(variable) for variable in Kept) > 8_000


@pytest.mark.sr("SR-BIST-1", side="pen")
@in_each_state
def test_every_single_bit_of_either_copy_is_found_by_the_timer_interrupt(state: State) -> None:
    host = host_in(state)
    firmware = firmware_of(host.pen)

    def interrupt() -> DriveOrder:
        firmware.guard_tick(5, Sensors(head_present=1, contact=1))
        return firmware.drive()

    for variable, bit in places():
        found, order = flipped(firmware, [(variable, bit)], interrupt)
        assert found, (variable, bit)
        assert order == STILL


@pytest.mark.sr("SR-BIST-1", side="pen")
@in_each_state
def test_every_single_bit_is_found_by_the_main_loop_which_goes_to_rest_under_the_fault(state: State) -> None:
    firmware = firmware_of(host_in(state).pen)

    def look() -> tuple[int, int]:
        pen = looked(firmware._pen)
        return pen.state.state, pen.state.fault

    for variable, bit in places():
        found, told = flipped(firmware, [(variable, bit)], look)
        assert found, (variable, bit)
        assert told == (State.STOPPING, Reason.MEMORY_FAULT)


@pytest.mark.sr("SR-BIST-1", side="pen")
@in_each_state
def test_two_bits_that_flip_at_once_are_found_unless_they_are_one_bit_in_both_copies(state: State) -> None:
    firmware = firmware_of(host_in(state).pen)
    small = [place for place in places() if place[0] in (Kept.GATE, Kept.SETTING, Kept.MONITOR)]
    drawn = Random(1)
    everywhere = list(places())
    pairs = [*combinations(small, 2), *(tuple(drawn.sample(everywhere, 2)) for _ in range(5_000))]
    hidden = 0
    for one, other in pairs:
        found, _ = flipped(firmware, [one, other], lambda: looked(firmware._pen))
        same = one[0] == other[0] and abs(one[1] - other[1]) == copy_bits(one[0])
        assert found is not same, (one, other)
        hidden += same
    assert hidden >= len(small) // 2


@pytest.mark.sr("SR-BIST-1", "SR-RST-3", "SR-STOP-2", side="pen")
@pytest.mark.parametrize("phase_ms", PHASES_MS)
@pytest.mark.parametrize("variable", Kept)
@pytest.mark.parametrize("second", [0, 1])
def test_a_flip_under_way_draws_the_needles_in_and_locks_for_good(variable: Kept, second: int, phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    pen = running.pen
    pen.faults.inject("memory", "flip", variable=variable, bit=second * copy_bits(variable))
    running.host.run(500)
    assert running.in_after_us() <= IN_US
    status = running.host.status()
    assert (status.state, status.reason) == (State.LOCKED, Reason.MEMORY_FAULT)
    told = [decode_record(record).kind for record in firmware_history(pen)]
    latched = told.index(RecordKind.FAULT_LATCHED)
    assert told.count(RecordKind.FAULT_LATCHED) == told.count(RecordKind.SESSION_CLOSED) == 1
    assert RecordKind.SESSION_CLOSED in told[latched:]
    pen.power.cut()
    pen.power.restore()
    pen.advance(5_000)
    again = RawHost(pen)
    again.hello()
    status = again.status()
    assert (status.state, status.reason) == (State.LOCKED, Reason.MEMORY_FAULT)
    assert status.wait_s > INTERVAL_S - 3_600
    pen.button.press()
    pen.advance(1_000)
    assert isinstance(again.ask(again.command(therapy.AcknowledgeFault, fault=Reason.MEMORY_FAULT)), Refused)
    assert again.status().state is State.LOCKED


def firmware_history(pen: SimulatedPen) -> list[bytes]:
    """The records of the pen's history as its firmware has them."""
    inner = getattr(pen.firmware, "_firmware", pen.firmware)
    assert isinstance(inner, PenFirmware)
    return list(inner._pen.store.history.records)


@pytest.mark.sr("SR-BIST-1", "SR-STOP-8", side="pen")
def test_needles_that_do_not_come_in_after_a_flip_are_a_failed_stop() -> None:
    running = Running()
    running.pen.faults.inject("spring", "broken")
    running.pen.faults.inject("drive", "stuck")
    running.pen.faults.inject("memory", "flip", variable=Kept.THERAPY, bit=0)
    running.host.run(500)
    assert running.host.status().state is State.STOP_FAILED


@pytest.mark.sr("SR-BIST-1", side="pen")
def test_a_flip_before_the_pen_has_started_locks_as_well() -> None:
    for variable in Kept:
        pen = SimulatedPen(seed=1)
        pen.faults.inject("memory", "flip", variable=variable, bit=3)
        pen.advance(15_000)
        host = RawHost(pen)
        host.hello()
        assert host.status().state is State.LOCKED, variable
        assert host.status().reason is Reason.MEMORY_FAULT


@pytest.mark.sr("SR-STOP-1", "SR-BIST-1", side="pen")
@pytest.mark.parametrize("second", [0, 1])
def test_a_bit_of_the_lease_that_flips_does_not_lengthen_it(second: int) -> None:
    running = Running()
    running.host.renew()
    running.mark()
    bit = LEASE_LEFT_BIT + second * copy_bits(Kept.THERAPY)
    running.pen.faults.inject("memory", "flip", variable=Kept.THERAPY, bit=bit)
    running.pen.advance(2_000)
    assert running.in_after_us() <= LEASE_US + IN_US


@pytest.mark.sr("SR-BIST-1", side="pen", twin=True)
def test_without_that_safeguard_a_flipped_bit_lengthens_the_lease() -> None:
    running = Running(disabled=frozenset({"twice-kept"}))
    running.host.renew()
    running.mark()
    running.pen.faults.inject("memory", "flip", variable=Kept.THERAPY, bit=LEASE_LEFT_BIT)
    running.pen.advance(2_000)
    assert running.in_after_us() > LEASE_US + IN_US


@pytest.mark.sr("SR-INT-1", "SR-BIST-1", side="pen")
def test_a_bit_of_the_wait_that_flips_is_not_believed() -> None:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.to_running(Zone.NOSE, Direction.VERTICAL)
    pen.hand.lift()
    host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
    host.wait_for(State.OPEN)
    closing = therapy.CloseSession(session_id=host.session_id, record_number=0, record_hash=bytes(32))
    host.expect(therapy.SessionClosed, closing)
    host.session_id = 0
    host.run(500)
    pen.faults.inject("memory", "flip", variable=Kept.THERAPY, bit=WAIT_BIT)
    assert host.status().wait_s > INTERVAL_S - 3_600


@pytest.mark.sr("SR-DEPTH-3", "SR-BIST-1", side="pen")
def test_a_bit_of_a_zones_cap_that_flips_lets_no_needle_deeper_there() -> None:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    host.open()
    pen.faults.inject("memory", "flip", variable=Kept.LIMITS, bit=NOSE_CAP_BIT)
    with pytest.raises(OtherAnswerError):
        host.prepare(Zone.NOSE, Direction.VERTICAL, depth_um=500)


@pytest.mark.sr("SR-PASS-1", "SR-BIST-1", side="pen")
def test_a_bit_of_the_passes_made_that_flips_frees_none() -> None:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.to_running(Zone.NOSE, Direction.VERTICAL)
    pen.hand.lift()
    host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
    host.wait_for(State.OPEN)
    pen.faults.inject("memory", "flip", variable=Kept.THERAPY, bit=NOSE_DONE_BIT)
    with pytest.raises(OtherAnswerError):
        host.prepare(Zone.NOSE, Direction.VERTICAL)
