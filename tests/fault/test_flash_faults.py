"""A flash that does not take what is written: no stroke without the record of it."""

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages import identity, stop, therapy
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.zones import Direction, Symptom, Zone
from dermalink_simulator.firmware.firmware import PenFirmware
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_host import RawHost


def begun_with(kind: str, number: int, disabled: frozenset[str] = frozenset()) -> tuple[SimulatedPen, RawHost]:
    """A pen a second after a press, on a flash that fails, or that takes its time."""
    pen = SimulatedPen(seed=1, firmware=lambda: PenFirmware(disabled=disabled))
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    host.open()
    prepared = host.prepare(Zone.NOSE, Direction.VERTICAL)
    pen.faults.inject("flash", kind, **{"operations" if kind == "write_failure" else "ms": number})
    pen.hand.sweep(Zone.NOSE, Direction.VERTICAL)
    host.begin(prepared.frame_id)
    host.run(1_000)
    return pen, host


@pytest.mark.sr("SR-CART-1", "SR-PASS-3", side="pen")
def test_no_stroke_on_a_flash_that_fails() -> None:
    pen, host = begun_with("write_failure", 1_000)
    assert pen.skin.strokes == 0
    assert host.status().state in (State.FAULT, State.LOCKED)


@pytest.mark.sr("SR-CART-1", "SR-PASS-3", side="pen")
def test_no_stroke_before_a_slow_flash_has_its_record() -> None:
    pen, host = begun_with("slow", 2_000)
    assert pen.skin.strokes == 0
    assert host.status().state is State.RECORDING


@pytest.mark.sr("SR-STOP-5", "SR-CART-1", side="pen")
def test_a_begin_written_long_after_the_press_does_not_start() -> None:
    pen, host = begun_with("slow", 2_000)
    host.run(20_000)
    status = host.status()
    assert (status.state, status.reason) == (State.PAUSED, Reason.PRESS_STALE)
    assert pen.skin.strokes == 0


@pytest.mark.sr("SR-CART-1", "SR-PASS-3", side="pen", twin=True)
def test_without_that_safeguard_power_lost_then_leaves_a_used_head_unused() -> None:
    pen, _ = begun_with("slow", 2_000, frozenset({"ledger-before-stroke"}))
    assert pen.skin.strokes > 0
    pen.power.cut()
    pen.hand.lift()
    pen.faults.clear()
    pen.power.restore()
    pen.advance(2_000)
    head = RawHost(pen).expect(identity.Cartridge, identity.GetCartridge())
    assert head.sessions_used == 0


def test_a_write_that_fails_once_is_tried_again() -> None:
    pen, host = begun_with("write_failure", 1)
    assert pen.skin.strokes > 0
    assert host.status().state is State.RUNNING


@pytest.mark.sr("SR-SES-1", side="pen")
def test_no_session_is_open_that_was_not_written() -> None:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    pen.faults.inject("flash", "write_failure", operations=1_000)
    answer = host.ask(
        host.command(therapy.OpenSession, boot_id=host.boot_id, lease_ms=500, record_number=0, record_hash=bytes(32))
    )
    assert not isinstance(answer, therapy.SessionOpened)
    assert host.status().session_id == 0


def running_pen() -> tuple[SimulatedPen, RawHost]:
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.to_running(Zone.NOSE, Direction.VERTICAL)
    host.run(200)
    return pen, host


def powered_anew(pen: SimulatedPen) -> identity.Status:
    pen.power.cut()
    pen.hand.lift()
    pen.faults.clear()
    pen.advance(100)
    pen.power.restore()
    pen.advance(2_000)
    return RawHost(pen).status()


@pytest.mark.sr("SR-SYM-1", "SR-LOG-1", "SR-RST-1", side="pen")
@pytest.mark.parametrize("slow_ms", [0, 300])
def test_a_symptom_that_was_answered_outlives_a_power_cut_in_the_same_moment(slow_ms: int) -> None:
    pen, host = running_pen()
    if slow_ms:
        pen.faults.inject("flash", "slow", ms=slow_ms)
    request = host.send(stop.ReportSymptom(symptom=Symptom.RASH))
    if slow_ms:
        host.run(30)
        assert not pen.needles_out, "the needles wait for no record"
    assert isinstance(host.answer_to(request, within_ms=10_000), stop.SymptomReported)
    assert powered_anew(pen).wait_s > 27 * 86_400


@pytest.mark.sr("SR-STOP-4", side="pen")
def test_stop_is_answered_at_once_on_a_slow_flash() -> None:
    pen, host = running_pen()
    pen.faults.inject("flash", "slow", ms=2_000)
    symptom = host.send(stop.ReportSymptom(symptom=Symptom.PAIN))
    assert isinstance(host.answer_to(host.send(stop.Stop()), within_ms=2), stop.Stopped)
    assert symptom not in host.replies


@pytest.mark.sr("SR-SYM-1", "SR-LOG-1", side="pen")
def test_a_symptom_said_again_waits_for_the_same_record() -> None:
    pen, host = running_pen()
    pen.faults.inject("flash", "slow", ms=300)
    first = host.send(stop.ReportSymptom(symptom=Symptom.RASH))
    again = host.send(stop.ReportSymptom(symptom=Symptom.RASH))
    host.run(50)
    host.listen()
    assert not {first, again} & set(host.replies)
    assert isinstance(host.answer_to(again, within_ms=10_000), stop.SymptomReported)
    assert first in host.replies
    assert powered_anew(pen).wait_s > 27 * 86_400


@pytest.mark.sr("SR-SYM-1", "SR-LOG-1", side="pen")
def test_a_symptom_that_could_not_be_written_is_not_called_taken() -> None:
    pen, host = running_pen()
    pen.faults.inject("flash", "write_failure", operations=1_000)
    answer = host.ask(stop.ReportSymptom(symptom=Symptom.PAIN))
    assert isinstance(answer, Refused)
    assert answer.reason == Reason.FLASH_FAILED
    host.run(30)
    assert not pen.needles_out


@pytest.mark.sr("SR-RST-1", "SR-DEPTH-5", side="pen")
def test_a_latched_fault_is_on_the_flash_a_few_milliseconds_later() -> None:
    pen, host = running_pen()
    pen.faults.inject("drive", "overshoot", um=300)
    while host.status().state not in (State.FAULT, State.LOCKED, State.STOPPING):
        pen.advance(1)
    pen.advance(10)
    assert powered_anew(pen).reason in (Reason.DRIVE_FAULT, Reason.DEPTH_EXCEEDED)
