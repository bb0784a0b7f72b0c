"""Sessions in virtual time against real time, and how many pens one core carries; CPU seconds, one process."""

import time
from collections.abc import Callable, Iterator

from dermalink_protocol.codewords import State
from dermalink_protocol.messages import therapy
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.pen import SimulatedPen
from tests.benchmarks.measure import Row
from tests.support.raw_host import RENEW_EVERY_MS, RawHost

SESSION_MS = 20 * 60_000
RUNNING_MS = 2_000
PENS = 50
SETTLING_MS = 10_000
WAITING_MS = 600_000
TICK_MS = 10
CHEEKS = (Zone.LEFT_CHEEK, Zone.RIGHT_CHEEK)
PAUSE_BETWEEN_MS = 120_000  # a person who moves on to the next pass in no hurry


def rows() -> Iterator[Row]:
    """One session of 20 minutes, a pen in skin, a pen that waits."""
    spent, simulated = cpu_s(whole_session)
    yield Row(
        "20-minute session, in memory", spent, "s CPU", "real time", simulated, spent / simulated, "≤ 1 s CPU", "s"
    )
    pens = [in_skin(seed)[1] for seed in range(1, PENS + 1)]
    spent, _ = cpu_s(lambda: in_turn(pens))
    per_tick_us = spent / (RUNNING_MS / TICK_MS) / PENS * 1e6
    per_core = TICK_MS * 1e3 / per_tick_us
    yield Row(
        f"pens in skin on a core, {PENS} in turn",
        per_core,
        "pens",
        "10 ms tick",
        per_tick_us,
        per_core / 1_000,
        "≥ 1 000 pens",
        "µs",
    )
    idle = SimulatedPen(seed=2)
    idle.advance(SETTLING_MS)
    spent, _ = cpu_s(lambda: idle.advance(WAITING_MS))
    yield Row(
        "pen that waits, 10 minutes", spent * 1e3, "ms CPU", "real time", WAITING_MS, spent * 1e3 / WAITING_MS, ""
    )


def cpu_s(work: Callable[[], float | None]) -> tuple[float, float]:
    """CPU seconds of a call, and what it returned as a number."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result or 0


def in_turn(pens: list[RawHost]) -> None:
    """One tick of every pen, then the next: none keeps the caches to itself. Leases are renewed at their usual pace."""
    for now_ms in range(0, RUNNING_MS, TICK_MS):
        for host in pens:
            if now_ms % RENEW_EVERY_MS == 0:
                host.renew()
            host.pen.advance(TICK_MS)
            host.listen()


def in_skin(seed: int) -> tuple[SimulatedPen, RawHost]:
    """A pen in the middle of a pass over the forehead."""
    pen = SimulatedPen(seed=seed)
    host = RawHost(pen)
    host.to_running(Zone.FOREHEAD, Direction.VERTICAL)
    return pen, host


def whole_session() -> float:
    """Both cheeks in three directions, with pauses, until 20 minutes are over; returns simulated seconds."""
    pen = SimulatedPen(seed=3)
    host = RawHost(pen)
    host.hello()
    host.wait_for(State.IDLE)
    begun = pen.now_ms
    host.open()
    for zone in CHEEKS:
        for direction in Direction:
            prepared = host.prepare(zone, direction)
            host.begin(prepared.frame_id)
            host.wait_for(State.ARMED)
            host.run(pen.hand.sweep(zone, direction))
            pen.hand.lift()
            host.ask(therapy.EndPass(session_id=host.session_id))
            host.wait_for(State.OPEN)
            host.run(min(PAUSE_BETWEEN_MS, max(0, SESSION_MS - (pen.now_ms - begun))))
    host.run(max(0, SESSION_MS - (pen.now_ms - begun)))
    host.ask(therapy.CloseSession(session_id=host.session_id, record_number=0, record_hash=bytes(32)))
    return (pen.now_ms - begun) / 1e3
