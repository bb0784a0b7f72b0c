"""States that tests start from, reached by the core's own steps with the real limits."""

from functools import cache

from dermalink_protocol.codewords import State
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import POWER_UP, TherapyState, Write
from dermalink_simulator.therapy.step import step
from tests.proof.walk import CONDITIONS, EVERYTHING, FIT, HEADER, OWNER, WAITS, prepare

REACHED_FROM_EACH = 400


def steps(state: TherapyState, *events: Event) -> TherapyState:
    """The state after events that must all be applied."""
    for event in events:
        state, answer = step(LIMITS, state, event)
        assert answer.verdict == 1, (EventKind(event.kind), answer)
    return state


def opened() -> TherapyState:
    """A session is open, a head is seated, a lease runs."""
    head = FIT._replace(strokes_left=60_000)
    return steps(
        POWER_UP,
        Event(EventKind.LOADED, boot_id=1),
        head,
        Event(EventKind.SELF_TEST_DONE, ok=1),
        Event(EventKind.OPEN_SESSION, **HEADER, command_id=1, boot_id=1, lease_ms=500),
        Event(EventKind.FLASH_DONE, write=Write.OPEN, ok=1),
        Event(EventKind.RENEW_LEASE, **OWNER),
    )


@cache
def running() -> TherapyState:
    """Needles are out in contact: forehead, vertical, 250 µm."""
    state = steps(
        opened(),
        prepare(1, 1, command_id=2),
        Event(EventKind.BEGIN_PASS, **HEADER, command_id=3, frame_id=1),
        Event(EventKind.BUTTON, **CONDITIONS),
        Event(EventKind.FLASH_DONE, write=Write.BEGIN, ok=1),
        Event(EventKind.TICK, dt_ms=300),
        Event(EventKind.RENEW_LEASE, **OWNER),
        Event(EventKind.TICK, dt_ms=10, contact=1),
    )
    assert state.state == State.RUNNING
    return state


@cache
def reached() -> tuple[TherapyState, ...]:
    """States of every name, with the real limits: what events of the walk make of a session on its way."""
    found: dict[TherapyState, None] = {}
    events = [*EVERYTHING.events, *WAITS.events]
    spinning = steps(running(), Event(EventKind.BUTTON), Event(EventKind.MEASURED_IN))
    for start in (POWER_UP, opened(), running(), running()._replace(pass_left=20, head_strokes=30), spinning):
        order = [start]
        found[start] = None
        for state in order:
            for event in events:
                for dt_ms in (10, 300) if event.dt_ms else (0,):
                    after, answer = step(LIMITS, state, fitting(state, event)._replace(dt_ms=dt_ms))
                    if answer.verdict == 1 and after not in found:
                        found[after] = None
                        order.append(after)
            if len(order) > REACHED_FROM_EACH:
                break
    return tuple(found)


def fitting(state: TherapyState, event: Event) -> Event:
    """An event of the walk with the ids that this state waits for."""
    if event.authenticated and event.command_id:
        return event._replace(command_id=state.last_id + 1, frame_id=state.frame_id, lease_ms=500)
    return event
