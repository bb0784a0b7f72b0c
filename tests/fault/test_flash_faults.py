"""A flash that does not take what is written: no stroke without the record of it."""

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.zones import Direction, Zone
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
