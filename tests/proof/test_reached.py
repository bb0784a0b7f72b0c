"""A machine of Hypothesis walks on, with the real limits, from states that the walk reached: any event, any values.

From power-up such a machine would hardly ever meet RUNNING; so it begins in states of every name.
"""

from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.therapy.answer import Verdict
from dermalink_simulator.therapy.core_limits import LIMITS
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.gate import AT_REST, feed, order
from dermalink_simulator.therapy.groups import RAISING
from dermalink_simulator.therapy.row import Row
from dermalink_simulator.therapy.state import MOVING, TherapyState
from dermalink_simulator.therapy.step import MACHINE, Machine
from tests.proof.checking import broken_clauses, broken_properties
from tests.proof.planted import without
from tests.proof.running import reached
from tests.proof.symbols import EVENT_KINDS
from tests.proof.walk import FIT

STARTS = (*State, *(State(state) for state in MOVING))
"""Every name, and twice those that move."""
REASONS = st.sampled_from([int(reason) for reason in Reason])
WORDS = ("reason", "condition", "verdict")
SETTINGS = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def values(name: str) -> st.SearchStrategy[int]:
    """Any value of a field of an event, small ones and limits more often."""
    if name in WORDS:
        return REASONS
    top = EVENT_KINDS[name].top
    near = [value for value in (0, 1, 2, 5, 10, 60, 100, 250, 500, 501, 1_000, 60_000, top) if value <= top]
    return st.sampled_from(near) | st.integers(0, top)


class Core(RuleBasedStateMachine):
    """The core, its gate, and all that must hold of both."""

    machine: Machine = MACHINE

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        chance = Random(seed)
        name = chance.choice(STARTS)
        self.state: TherapyState = chance.choice([state for state in reached() if state.state == name])
        self.gate = AT_REST

    def tell(self, event: Event) -> None:
        before = self.state
        self.state, answer = self.machine.step(LIMITS, before, event)
        assert broken_properties(before, event, self.state, answer) == []
        assert broken_clauses(self.state) == []
        self.gate = feed(LIMITS, self.gate, self.state)
        told = order(LIMITS, self.gate)
        assert told.target_um <= LIMITS.depth_cap_um
        assert told.motor_hz == 0 or self.state.state in MOVING
        assert told.target_um == 0 or self.state.state == State.RUNNING
        if answer.verdict != Verdict.APPLIED:
            assert self.state is before

    def fitting(self, **changes: int) -> dict[str, int]:
        """Fields as the owner of the session would fill them."""
        state = self.state
        fields = {"authenticated": 1, "port": state.owner or 1, "session_id": state.session_id or 1, "ttl_ms": 100}
        fields |= {"command_id": state.last_id + 1, "boot_id": state.boot_id, "frame_id": state.frame_id}
        fields |= {"lease_ms": 500, "tag_low": state.tag_low, "tag_high": state.tag_high, "reason": state.fault}
        fields |= {"utc_s": 1_000, "battery_percent": 90, "accuracy_um": 10, "write": state.writing, "ok": 1}
        return {**fields, **changes}

    @rule(kind=st.sampled_from(EventKind), data=st.data())
    def anything(self, kind: EventKind, data: Any) -> None:
        names = data.draw(st.lists(st.sampled_from(Event._fields[1:]), max_size=4, unique=True))
        fields = self.fitting(**{name: data.draw(values(name), label=name) for name in names})
        self.tell(Event(kind, **fields))

    @rule(kind=st.sampled_from(EventKind))
    def what_fits(self, kind: EventKind) -> None:
        self.tell(Event(kind, **self.fitting()))

    @rule(dt_ms=st.sampled_from([1, 5, 10, 100, 300, 1_000]), contact=st.integers(0, 1))
    def time(self, dt_ms: int, contact: int) -> None:
        self.tell(Event(EventKind.TICK, dt_ms=dt_ms, contact=contact))

    @rule()
    def renew(self) -> None:
        self.tell(Event(EventKind.RENEW_LEASE, **self.fitting()))

    @rule(strokes=st.integers(0, 3))
    def strokes(self, strokes: int) -> None:
        self.tell(Event(EventKind.STROKES, strokes=strokes, punctures=12 * strokes))

    @rule(
        zone=st.integers(0, 9), direction=st.sampled_from([1, 2, 4, 7]), depth_um=st.sampled_from([200, 250, 500, 510])
    )
    def prepare(self, zone: int, direction: int, depth_um: int) -> None:
        fields = self.fitting(zone=zone, direction=direction, depth_um=depth_um, rate_hz=60, speed_mm_s=20)
        self.tell(Event(EventKind.PREPARE, **fields))

    @rule(reach_um=st.sampled_from([240, 500, 501]), marked=st.integers(0, 1))
    def seat(self, reach_um: int, marked: int) -> None:
        self.tell(FIT._replace(reach_um=reach_um, marked=marked, strokes_left=40))

    @precondition(lambda self: self.state.last_id > 0)
    @rule(kind=st.sampled_from(RAISING), digest=st.integers(0, 1))
    def again(self, kind: EventKind, digest: int) -> None:
        at = (self.state.ring_at - 1) % len(self.state.ring_ids)
        fields = self.fitting(command_id=self.state.ring_ids[at], digest=self.state.ring_digests[at] + digest)
        self.tell(Event(kind, **fields))


def run(machine: type[Core], wanted: settings = SETTINGS) -> None:
    run_state_machine_as_test(machine, settings=wanted)


def test_what_is_reached_holds_whatever_comes() -> None:
    run(Core)


@cache
def broken_core(row: str) -> type[Core]:
    table: tuple[Row, ...] = without(row)
    return type("BrokenCore", (Core,), {"machine": Machine(table)})


@pytest.mark.parametrize(
    "row",
    [
        "HEAD@SPIN_UP+ARMED+:always",
        "TICK@SPIN_UP+ARMED+:lease_over",
        "STROKES@SPIN_UP+ARMED+:budget_reached",
    ],
)
def test_a_core_without_a_safeguard_is_caught(row: str) -> None:
    with pytest.raises(AssertionError):
        run(broken_core(row), settings(SETTINGS, max_examples=1_000, phases=[Phase.generate]))
