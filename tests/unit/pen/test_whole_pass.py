"""A whole pass by a simulated hand, in virtual time, with the pen's own firmware."""

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import STAMP_ONLY, ZONE_RULES, pass_budget
from dermalink_protocol.messages import identity, therapy
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.messages.telemetry import Telemetry
from dermalink_protocol.samples import view_samples
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_host import RawHost


def begun(zone: Zone, direction: Direction, seed: int, **frame: int) -> tuple[SimulatedPen, RawHost]:
    pen = SimulatedPen(seed=seed)
    if ZONE_RULES[zone].heads == STAMP_ONLY:
        pen.cartridge.fit("stamp")
    host = RawHost(pen)
    host.to_running(zone, direction, **frame)
    return pen, host


@pytest.mark.sr("SR-PASS-3", "SR-DEPTH-6", side="pen")
@pytest.mark.parametrize("zone", [Zone.NOSE, Zone.UPPER_LIP, Zone.LEFT_UNDER_EYE])
def test_a_pass_ends_at_its_budget_with_its_zone_covered(zone: Zone) -> None:
    pen, host = begun(zone, Direction.VERTICAL, seed=int(zone), depth_um=250)
    status = host.wait_for(State.OPEN, State.PAUSED, within_ms=40_000)
    assert status.state is State.OPEN
    assert status.reason == Reason.BUDGET_REACHED
    assert 0.9 * pass_budget(zone) < pen.skin.punctures <= pass_budget(zone)
    assert pen.skin.punctures == pen.skin.punctures_in(zone, Direction.VERTICAL)
    assert pen.hand.covered_percent(zone, Direction.VERTICAL) >= 90
    tolerance_um = pen.profile.physics.drive_tolerance_um
    assert 250 - 2 * tolerance_um <= pen.skin.deepest_um <= 250
    assert not pen.motor_turns


@pytest.mark.sr("SR-PASS-1", side="pen")
def test_three_passes_of_a_zone_and_no_fourth() -> None:
    pen, host = begun(Zone.NOSE, Direction.VERTICAL, seed=1)
    for direction in (Direction.HORIZONTAL, Direction.DIAGONAL):
        host.run(400)
        host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
        host.wait_for(State.OPEN)
        pen.hand.sweep(Zone.NOSE, direction)
        host.begin(host.prepare(Zone.NOSE, direction).frame_id)
        host.wait_for(State.RUNNING)
    host.run(400)
    host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
    host.wait_for(State.OPEN)
    assert all(pen.skin.punctures_in(Zone.NOSE, direction) > 0 for direction in Direction)
    for direction in Direction:
        with pytest.raises(AssertionError, match=r"PASS_ALREADY_MADE|ZONE_FULL"):
            host.prepare(Zone.NOSE, direction)


@pytest.mark.sr("SR-DEPTH-5", side="pen")
def test_telemetry_tells_what_the_skin_got() -> None:
    pen, host = begun(Zone.CHIN, Direction.DIAGONAL, seed=4, depth_um=300)
    host.run(3_000)
    batches = [note for note in host.notes if isinstance(note, Telemetry) and len(note.samples) == 80]
    assert len(batches) > 25
    peaks = [int(peak) for batch in batches for peak in view_samples(batch.samples)["depth_um"]]
    assert abs(max(peaks) - pen.skin.protruded_um) <= pen.profile.physics.sensor_noise_um


@pytest.mark.sr("SR-PASS-4", side="pen")
def test_a_hand_that_stays_is_paused() -> None:
    pen, host = begun(Zone.CHIN, Direction.VERTICAL, seed=1)
    host.run(500)
    pen.hand.stay()
    status = host.wait_for(State.PAUSED, within_ms=1_500)
    assert status.reason == Reason.DWELL


@pytest.mark.sr("SR-PASS-5", side="pen")
@pytest.mark.parametrize(("force_mn", "reason"), [(2_600, Reason.FORCE_HIGH), (4_600, Reason.FORCE_TOO_HIGH)])
def test_a_hand_that_presses_too_hard(force_mn: int, reason: Reason) -> None:
    pen, host = begun(Zone.CHIN, Direction.VERTICAL, seed=1)
    pen.hand.press_hard(force_mn)
    host.run(500)
    assert host.status().reason == reason
    assert not pen.needles_out


@pytest.mark.sr("SR-PASS-2", "SR-STOP-5", side="pen")
def test_a_paused_pass_goes_on_by_the_hosts_word_and_a_press() -> None:
    pen, host = begun(Zone.CHIN, Direction.VERTICAL, seed=1)
    host.run(500)
    pen.button.press()
    host.wait_for(State.PAUSED)
    before = pen.skin.punctures
    host.run(1_000)
    pen.button.press()
    host.run(1_000)
    assert pen.skin.punctures == before
    host.expect(therapy.PassResumed, host.command(therapy.ResumePass, session_id=host.session_id))
    host.run(1_000)
    assert pen.skin.punctures == before
    pen.button.press()
    host.wait_for(State.RUNNING)
    host.run(500)
    assert pen.skin.punctures > before


@pytest.mark.sr("SR-INT-1", "SR-INT-2", side="pen")
@pytest.mark.parametrize(("days", "opens"), [(13, False), (15, True)])
def test_the_next_session_has_to_wait_fourteen_days(days: int, opens: bool) -> None:
    pen, host = begun(Zone.NOSE, Direction.VERTICAL, seed=1)
    host.run(300)
    host.expect(
        therapy.SessionClosed,
        therapy.CloseSession(session_id=host.session_id, record_number=0, record_hash=bytes(32)),
    )
    pen.hand.lift()
    pen.cartridge.fit("glide")
    pen.clock.advance(days * 86_400)
    pen.advance(3_000)
    again = RawHost(pen)
    again.hello()
    answer = again.ask(
        again.command(therapy.OpenSession, boot_id=again.boot_id, lease_ms=500, record_number=0, record_hash=bytes(32))
    )
    assert isinstance(answer, therapy.SessionOpened if opens else Refused)


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_clock_that_is_moved_forward_shortens_nothing() -> None:
    pen, host = begun(Zone.NOSE, Direction.VERTICAL, seed=1)
    host.run(300)
    host.stop()
    host.run(300)
    pen.hand.lift()
    waited = host.status().wait_s
    pen.clock.set(pen.clock.utc_s + 20 * 86_400)
    pen.power.cut()
    pen.power.restore()
    pen.advance(3_000)
    assert waited - 30 <= RawHost(pen).expect(identity.Status, identity.GetStatus()).wait_s <= waited
