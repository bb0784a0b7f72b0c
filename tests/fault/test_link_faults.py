"""A bad line and a pen that crashes: nothing is done twice, nothing goes on by itself, and stopping still stops."""

import pytest

from dermalink_protocol.codewords import Opcode, Reason, State
from dermalink_protocol.limits import LEASE_DEFAULT_MS
from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from tests.fault.running_pen import CAP_UM, IN_US, LEASE_US, PHASES_MS, Running
from tests.support.raw_host import RawHost

BAD_LINES = [
    ("loss", {"permille": 30}),
    ("loss", {"permille": 300}),
    ("corruption", {"permille": 30}),
    ("duplication", {"permille": 500}),
    ("reordering", {"permille": 500}),
    ("delay", {"ms": 90}),
]


@pytest.mark.sr("SR-CMD-1", "SR-STOP-1", side="pen")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "values"), BAD_LINES)
def test_needles_are_out_only_while_fresh_renewals_get_through(kind: str, values: dict[str, int], seed: int) -> None:
    running = Running(seed, depth_um=300)
    pen, host = running.pen, running.host
    pen.faults.inject("link", kind, host.port.number, **values)
    host.run(3_000)
    pen.faults.inject("link", "loss", host.port.number, permille=1_000, way=1)
    running.mark()
    pen.advance(2_000)
    assert running.in_after_us() <= LEASE_US + 100_000 + IN_US  # what was held back may still have been fresh
    assert not pen.motor_turns
    assert pen.skin.protruded_um <= CAP_UM


@pytest.mark.sr("SR-STOP-1", side="pen")
@pytest.mark.parametrize("after", [0, 1, 7, 20, 63])
def test_a_link_cut_at_a_byte(after: int) -> None:
    running = Running()
    running.pen.faults.inject("link", "cut", running.host.port.number, bytes=after, way=1)
    running.host.run(1_000)
    running.pen.advance(1_000)
    assert running.host.port.closed
    assert running.in_after_us() <= LEASE_DEFAULT_MS * 1_000 + IN_US


@pytest.mark.sr("SR-STOP-5", "SR-SES-1", side="pen")
@pytest.mark.parametrize("phase_ms", PHASES_MS)
@pytest.mark.parametrize("kind", ["crash_before", "crash_after"])
def test_a_crash_in_the_middle_of_a_pass(kind: str, phase_ms: int) -> None:
    running = Running(phase_ms=phase_ms)
    pen = running.pen
    pen.faults.inject("firmware", kind)
    running.host.send(therapy.PausePass(session_id=running.host.session_id))
    assert running.host.port.closed
    pen.advance(100)
    assert running.in_after_us() <= IN_US
    pen.hand.lift()
    pen.advance(5_000)
    host = RawHost(pen)
    host.hello()
    status = host.status()
    assert status.session_id == 0
    assert status.wait_s > 0
    pen.button.press()
    host.run(1_000)
    assert not pen.needles_out


@pytest.mark.sr("SR-CMD-1", side="pen")
@pytest.mark.parametrize(("kind", "sessions"), [("crash_before", 0), ("crash_after", 1)])
def test_a_crash_on_opening_a_session_is_on_the_side_that_it_says(kind: str, sessions: int) -> None:
    pen = SimulatedPen(seed=2)
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    pen.faults.inject("firmware", kind, opcode=int(Opcode.OPEN_SESSION))
    host.send(
        host.command(therapy.OpenSession, boot_id=host.boot_id, lease_ms=500, record_number=0, record_hash=bytes(32))
    )
    pen.advance(3_000)
    assert host.port.closed
    again = RawHost(pen)
    again.hello()
    assert again.status().session_id == 0
    status = again.status()
    if status.reason == Reason.WATCHDOG:
        return
    assert again.open() == sessions + 1


@pytest.mark.sr("SR-CMD-1", side="pen")
def test_a_line_that_says_everything_twice_changes_nothing() -> None:
    once, twice = SimulatedPen(seed=3), SimulatedPen(seed=3)
    strokes = []
    for pen in (once, twice):
        host = RawHost(pen)
        if pen is twice:
            pen.faults.inject("link", "duplication", permille=1_000)
        host.to_running(Zone.CHIN, Direction.VERTICAL, depth_um=300)
        host.run(1_000)
        host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
        host.wait_for(State.OPEN)
        strokes.append(pen.skin.strokes)
        assert host.expect(identity.Cartridge, identity.GetCartridge()).sessions_used <= 1
    assert abs(strokes[0] - strokes[1]) <= 2
