"""What the pen shows by itself, with no host to say it: each state, a low battery, and which fault."""

import pytest

from dermalink_protocol.codewords import Reason, State
from dermalink_simulator.firmware import indicator
from dermalink_simulator.firmware.indicator import FAULTS, PATTERNS
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.therapy.guards import CLEARABLE
from tests.support import raw_pen as raw
from tests.support.raw_pen import raw_pen, states

READY, PRESS_ME, RUNNING, PAUSED, LOW_BATTERY, STALLED, SENSORS_DISAGREE = 1, 2, 3, 4, 8, 20, 17
NEED_SERVICE = (
    Reason.DEPTH_EXCEEDED,
    Reason.DEPTH_OVER_SETTING,
    Reason.SENSORS_DISAGREE,
    Reason.RETRACTION_SLOW,
    Reason.STOP_NOT_CONFIRMED,
    Reason.MEMORY_FAULT,
    Reason.HISTORY_BROKEN,
    Reason.STORE_UNREADABLE,
)


@pytest.mark.sr("SR-IND-1", side="pen")
def test_the_states_that_a_person_has_to_tell_apart_look_and_feel_apart() -> None:
    told = (State.IDLE, State.WAITING, State.RUNNING, State.PAUSED, State.STOPPING, State.FAULT, State.STOP_FAILED)
    assert len({PATTERNS[state].light for state in told}) == len(told)
    assert all(PATTERNS[state].vibration for state in (State.PAUSED, State.STOPPING, State.FAULT, State.STOP_FAILED))


@pytest.mark.sr("SR-IND-1", side="pen")
def test_a_pen_in_each_state_shows_its_own() -> None:
    seen = {client.status()["state"]: client.pen.indicator.light for _, client in states()}
    for state, light in (
        (raw.IDLE, READY),
        (raw.WAITING, PRESS_ME),
        (raw.RUNNING, RUNNING),
        (raw.PAUSED_STATE, PAUSED),
    ):
        assert seen[state] == light


@pytest.mark.sr("SR-IND-1", "SR-PWR-1", side="pen")
@pytest.mark.parametrize(("percent", "light"), [(19, LOW_BATTERY), (21, READY)])
def test_a_battery_too_low_for_a_pass_shows_while_nothing_runs(percent: int, light: int) -> None:
    pen = SimulatedPen()
    pen.faults.inject("battery", "low", percent=percent)
    pen.advance(2_000)
    assert pen.indicator.light == light


@pytest.mark.sr("SR-IND-1", side="pen")
def test_every_fault_says_which_it_is() -> None:
    assert {*CLEARABLE, *NEED_SERVICE} == set(FAULTS)
    assert all(FAULTS[fault].light not in {each.light for each in PATTERNS.values()} for fault in FAULTS)
    assert all(shown.vibration == indicator.FAULT.vibration for shown in FAULTS.values())


@pytest.mark.sr("SR-IND-1", side="pen")
@pytest.mark.parametrize(
    ("unit", "kind", "light"), [("motor", "stalled", STALLED), ("depth_sensor", "offset", SENSORS_DISAGREE)], ids=str
)
def test_a_fault_in_a_pass_shows_which(unit: str, kind: str, light: int) -> None:
    client = raw_pen()
    client.open()
    client.run_pass()
    client.pen.faults.inject(unit, kind)
    client.live(1_000)
    assert client.status()["state"] in (raw.FAULT, raw.LOCKED)
    assert client.pen.indicator.light == light
