"""A clock chip that runs wrongly while the pen is on: its own ticks are the second clock."""

import pytest

from dermalink_protocol.codewords import State
from dermalink_protocol.messages import therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from tests.support.raw_host import RawHost

HOUR_S = 3_600
ROUNDING_S = 2  # the pen's first second, and the one that the look falls into


def waited_s(ppm: int) -> int:
    """By how much an hour of a pen that is on, with a clock chip that gains so much, shortens the wait."""
    pen = SimulatedPen(seed=1)
    host = RawHost(pen)
    host.to_running(Zone.NOSE, Direction.VERTICAL)
    pen.hand.lift()
    host.expect(therapy.PassEnded, therapy.EndPass(session_id=host.session_id))
    host.wait_for(State.OPEN)
    closing = therapy.CloseSession(session_id=host.session_id, record_number=0, record_hash=bytes(32))
    host.expect(therapy.SessionClosed, closing)
    host.session_id = 0
    host.wait_for(State.IDLE)
    before_s = host.status().wait_s
    if ppm:
        pen.faults.inject("clock", "drift", ppm=ppm)
    pen.advance(HOUR_S * 1_000)
    return before_s - host.status().wait_s


@pytest.mark.sr("SR-BIST-1", "SR-INT-1", "SR-INT-2", side="pen")
@pytest.mark.parametrize("ppm", [50_000, 200_000, 1_000_000])
def test_a_clock_that_runs_fast_shortens_no_wait_while_the_pen_is_on(ppm: int) -> None:
    assert waited_s(ppm) <= HOUR_S + ROUNDING_S


@pytest.mark.sr("SR-INT-2", side="pen")
def test_a_sound_clock_is_believed_and_a_slow_one_lengthens_the_wait() -> None:
    assert abs(waited_s(0) - HOUR_S) <= ROUNDING_S
    assert abs(waited_s(-500_000) - HOUR_S // 2) <= ROUNDING_S
