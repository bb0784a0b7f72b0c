"""What a hold of the button means: a table of holds, every way through it, and the walk that finds planted mistakes."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink_simulator.firmware.button import AT_POWER_UP, Button, button_step
from dermalink_simulator.firmware.hold import NO_HOLD, Hold, Meaning, hold_step
from tests.unit.firmware.hold_walk import ButtonStep, HoldStep, walk

NOTHING, SYMPTOM, HAND_OVER = Meaning
RESTS, BUSY = 1, 0
Part = tuple[int, int, int]
"""For how long, whether down, whether the pen rests."""


def meanings(*parts: Part, step_ms: int = 10) -> list[Meaning]:
    """What came of a free button that was then worked like this, in order."""
    button, hold, found = AT_POWER_UP, NO_HOLD, []
    for ms, down, idle in ((100, 0, RESTS), *parts, (100, 0, parts[-1][2])):
        for _ in range(ms // step_ms + 1):  # the look that sees a change is where its time begins
            button, _ = button_step(button, step_ms, down)
            hold, button, meaning = hold_step(hold, button, idle)
            found += [meaning] if meaning is not NOTHING else []
    return found


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen")
@pytest.mark.parametrize(
    ("parts", "becomes"),
    [
        ([(2_990, 1, BUSY)], []),
        ([(3_000, 1, BUSY)], [SYMPTOM]),
        ([(60_000, 1, BUSY)], [SYMPTOM]),
        ([(2_990, 1, RESTS)], []),
        ([(3_000, 1, RESTS)], [SYMPTOM]),
        ([(9_990, 1, RESTS)], [SYMPTOM]),
        ([(10_000, 1, RESTS)], [HAND_OVER]),
        ([(70_000, 1, RESTS)], [HAND_OVER]),
        ([(4_000, 1, BUSY), (8_000, 1, RESTS)], [SYMPTOM]),  # the session ends meanwhile: counted once
        ([(1_000, 1, BUSY), (11_000, 1, RESTS)], [SYMPTOM]),  # the same, before it is a symptom
        ([(5_000, 1, RESTS), (10, 1, BUSY), (11_000, 1, RESTS)], [SYMPTOM]),  # a session begins meanwhile
        ([(2_000, 1, BUSY), (20, 0, BUSY), (2_000, 1, BUSY)], []),  # let go, and pressed anew
        ([(2_000, 1, BUSY), (10, 0, BUSY), (1_000, 1, BUSY)], [SYMPTOM]),  # a bounce
        ([(5_000, 1, RESTS), (10, 0, RESTS), (5_000, 1, RESTS)], [HAND_OVER]),
        ([(3_000, 1, BUSY), (100, 0, BUSY), (3_000, 1, BUSY)], [SYMPTOM, SYMPTOM]),
        ([(3_000, 1, RESTS), (100, 0, RESTS), (10_000, 1, RESTS)], [SYMPTOM, HAND_OVER]),
    ],
)
def test_what_a_hold_becomes(parts: list[Part], becomes: list[Meaning]) -> None:
    assert meanings(*parts) == becomes


@pytest.mark.sr("SR-SYM-1", side="pen")
def test_in_a_session_it_is_one_while_the_button_is_still_held() -> None:
    button, hold, told = Button(0, 0, 100), NO_HOLD, []
    for look in range(400):
        button, _ = button_step(button, 10, 1)
        hold, button, meaning = hold_step(hold, button, BUSY)
        told += [look] if meaning is SYMPTOM else []
    assert told == [300]


@pytest.mark.sr("SR-SYM-1", "SR-STOP-5", side="pen")
@pytest.mark.parametrize("idle", [BUSY, RESTS])
@pytest.mark.parametrize("gap", [[], [0], [0, 1, 0, 1, 1, 0]], ids=["held", "one bounce", "bounces"])
def test_a_button_that_is_down_from_power_up_is_no_hold(gap: list[int], idle: int) -> None:
    button, hold = AT_POWER_UP, NO_HOLD
    for down in [1] * 50 + gap + [1] * 2_000 + [0] * 10:
        button, _ = button_step(button, 10, down)
        hold, button, meaning = hold_step(hold, button, idle)
        assert meaning is NOTHING


@pytest.mark.sr("SR-SYM-1", side="pen")
def test_a_contact_that_only_bounces_is_never_a_hold() -> None:
    assert meanings(*[(10, 1, BUSY), (10, 0, BUSY)] * 3_000, step_ms=5) == []


@pytest.mark.sr("SR-SYM-1", side="pen")
def test_a_hold_that_ends_while_nobody_looks_is_told_all_the_same() -> None:
    button = Button(0, 0, 100)
    for down in [1] * 400 + [0] * 10 + [1] * 10:
        button, _ = button_step(button, 10, down)
    hold, button, meaning = hold_step(NO_HOLD, button, RESTS)
    assert meaning is SYMPTOM
    assert hold_step(hold, button, RESTS)[2] is NOTHING


levels = st.lists(st.tuples(st.integers(1, 1_500), st.integers(0, 1), st.integers(0, 1)), max_size=40)


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen")
@given(levels)
def test_no_hold_becomes_two_things_and_none_before_its_time(moves: list[Part]) -> None:
    button, hold, down_ms, said = AT_POWER_UP, NO_HOLD, 0, 0
    for dt_ms, down, idle in moves:
        button, pressed = button_step(button, dt_ms, down)
        if pressed:
            down_ms, said = 0, 0
        down_ms += dt_ms * down  # never less than what was held
        hold, button, meaning = hold_step(hold, button, idle)
        said += meaning is not NOTHING
        assert said <= 1
        assert meaning is not SYMPTOM or down_ms >= 3_000
        assert meaning is not HAND_OVER or (down_ms >= 10_000 and idle)


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen", kind="proof")
def test_every_way_through_a_hold_keeps_the_rules() -> None:
    assert walk(button_step, hold_step) > 5_000


# Planted mistakes

Stepped = tuple[Button, int]
Became = tuple[Hold, Button, Meaning]


def ended_by_a_bounce(button: Button, dt_ms: int, down: int) -> Stepped:
    after, pressed = button_step(button, dt_ms, down)
    return (after._replace(holds=0, held_ms=0, ended_ms=after.held_ms) if not down else after), pressed


def restarted_by_a_bounce(button: Button, dt_ms: int, down: int) -> Stepped:
    after, pressed = button_step(button, dt_ms, down)
    return (after._replace(held_ms=0) if down and not button.down else after), pressed


def made_of_bounces(button: Button, dt_ms: int, down: int) -> Stepped:
    after, pressed = button_step(button, dt_ms, down)
    return (after._replace(held_ms=after.held_ms + dt_ms) if after.holds and after.down_ms < 20 else after), pressed


def held_since_power_up(button: Button, dt_ms: int, down: int) -> Stepped:
    after, pressed = button_step(button, dt_ms, down)
    return after._replace(holds=after.down or after.holds, held_ms=after.held_ms or min(after.down_ms, 10_000)), pressed


def told_at_three_seconds_though_it_rests(hold: Hold, button: Button, idle: int) -> Became:
    return hold_step(hold, button, 0)


def told_when_let_go_though_in_a_session(hold: Hold, button: Button, idle: int) -> Became:
    return hold_step(hold, button, 1)


def judged_by_the_last_look(hold: Hold, button: Button, idle: int) -> Became:
    return hold_step(hold._replace(rests=1), button, idle)


def told_again(hold: Hold, button: Button, idle: int) -> Became:
    return hold_step(hold._replace(counted=0), button, idle)


def symptom_before_the_hand_over(hold: Hold, button: Button, idle: int) -> Became:
    after, button, meaning = hold_step(hold, button, idle)
    early = hold.rests and not hold.counted and button.held_ms >= 3_000 and meaning is NOTHING
    return after, button, SYMPTOM if early else meaning


def forgotten_when_let_go(hold: Hold, button: Button, idle: int) -> Became:
    after, left, meaning = hold_step(hold, button, idle)
    return after, left, NOTHING if button.ended_ms else meaning


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen", kind="proof", twin=True)
@pytest.mark.parametrize("mistake", [ended_by_a_bounce, restarted_by_a_bounce, made_of_bounces, held_since_power_up])
def test_the_walk_finds_each_mistake_planted_in_the_button(mistake: ButtonStep) -> None:
    with pytest.raises(AssertionError, match="in place of"):
        walk(mistake, hold_step)


HOLDS: Iterable[HoldStep] = (
    told_at_three_seconds_though_it_rests,
    told_when_let_go_though_in_a_session,
    judged_by_the_last_look,
    told_again,
    symptom_before_the_hand_over,
    forgotten_when_let_go,
)


@pytest.mark.sr("SR-SYM-1", "SR-OWN-1", side="pen", kind="proof", twin=True)
@pytest.mark.parametrize("mistake", HOLDS)
def test_the_walk_finds_each_mistake_planted_in_the_hold(mistake: HoldStep) -> None:
    with pytest.raises(AssertionError, match="in place of"):
        walk(button_step, mistake)
