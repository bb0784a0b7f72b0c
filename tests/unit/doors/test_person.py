"""A simulated person presses and sweeps when the pen asks for it, and never by itself."""

from dermalink import SyncPen
from dermalink.pen import Pen
from dermalink.plan.load import plan_from_bytes
from dermalink.session.events import Event, PressAsked
from dermalink.session.outcome import Ending, Summary
from dermalink.session.runner import Session
from dermalink.session.words import WordQueue
from dermalink_simulator.person import SimulatedPerson
from dermalink_simulator.pytest_plugin import Bench, SimulatedPenDesk

NOSE = b"""plan = 1
rate_hz = 100
speed_mm_s = 40
[[zone]]
name = "nose"
directions = ["vertical", "horizontal"]
depth = "0.25 mm"
"""


def arrive(bench: Bench, desk: SimulatedPenDesk) -> SimulatedPerson:
    async def come() -> SimulatedPerson:
        return SimulatedPerson(desk.runner, desk.model)

    return bench.run(come())


def test_a_session_runs_with_nobody_else(pen: SyncPen, simulated_pen: SimulatedPenDesk, virtual_time: Bench) -> None:
    person = arrive(virtual_time, simulated_pen)
    seen: list[Event] = []

    async def lead(host: Pen) -> Summary:
        plan = plan_from_bytes(NOSE, "a nose")
        return await Session(host, plan, WordQueue(), seen.append, ask_ready=False).run()

    summary = pen.run(lead)
    assert summary.ending is Ending.DONE
    assert len([event for event in seen if isinstance(event, PressAsked)]) == 2
    assert 0 < simulated_pen.skin.deepest_um <= 250
    simulated_pen.advance(2)
    assert not simulated_pen.hand.touching
    person.leave()
    person.leave()


def test_a_pen_that_asks_for_nothing_is_left_alone(simulated_pen: SimulatedPenDesk, virtual_time: Bench) -> None:
    person = arrive(virtual_time, simulated_pen)
    simulated_pen.advance(120)
    assert simulated_pen.skin.strokes == 0
    assert simulated_pen.skin.needles_out == []
    person.leave()


def test_the_person_waits_out_a_loss_of_power(simulated_pen: SimulatedPenDesk, virtual_time: Bench) -> None:
    person = arrive(virtual_time, simulated_pen)
    simulated_pen.advance(2)
    simulated_pen.power.cut()
    simulated_pen.advance(5)
    simulated_pen.power.restore()
    simulated_pen.advance(5)
    assert simulated_pen.runner.links == 1
    person.leave()
    assert simulated_pen.runner.links == 0
