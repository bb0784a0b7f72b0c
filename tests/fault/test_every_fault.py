"""Every fault of the vocabulary, with any of its numbers, on a pen with needles in skin: what the skin got.

Two faults at once are `test_depth_faults`' and the campaigns'.
"""

from random import Random
from typing import Final

import pytest

from dermalink_protocol.limits import ZONE_RULES, pass_budget
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.campaign.drawing import values_of
from dermalink_simulator.campaign.truth import STUCK_OUT
from dermalink_simulator.faults.words import VOCABULARY, FaultKind
from tests.fault.running_pen import CAP_UM, IN_US, LEASE_US, Running

SEEDS: Final = range(4)
WORDS: Final = tuple(
    word for word in VOCABULARY if word.unit != "air"
)  # tests/fault/test_air_faults.py is over the air
HELD_BACK_US: Final = 100_000  # what a line held back may still have been fresh
SETTLES_MS: Final = 3_000


def named(word: FaultKind) -> str:
    return f"{word.unit}-{word.kind}"


def spoilt(word: FaultKind, seed: int, phase_ms: int = 0) -> Running:
    """A pen with the fault, a second and a half later."""
    random = Random(f"every fault/{word.unit}/{word.kind}/{seed}")
    running = Running(seed, phase_ms=phase_ms, depth_um=random.choice((300, 500)))
    values = values_of(word, random) if seed else {}
    running.pen.faults.inject(word.unit, word.kind, seed=seed if word.drawn else 0, **values)
    running.host.run(1_500)
    running.mark()
    return running


def over(running: Running, word: FaultKind, within_us: int) -> None:
    """The needles are in by then, unless the fault is that nothing can draw them in, and no limit was passed."""
    running.pen.advance(SETTLES_MS)
    skin = running.pen.skin
    if (word.unit, word.kind) not in STUCK_OUT:
        assert running.in_after_us() <= within_us
    assert not running.pen.motor_turns
    assert skin.protruded_um <= CAP_UM
    assert skin.deepest_in(Zone.FOREHEAD) <= ZONE_RULES[Zone.FOREHEAD].cap_um
    assert skin.punctures_in(Zone.FOREHEAD, Direction.VERTICAL) <= pass_budget(Zone.FOREHEAD)


@pytest.mark.sr("SR-STOP-1", "SR-DEPTH-5", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("word", WORDS, ids=named)
def test_a_host_that_falls_silent(word: FaultKind, seed: int) -> None:
    over(spoilt(word, seed, phase_ms=seed * 3), word, LEASE_US + HELD_BACK_US + IN_US)


@pytest.mark.sr("SR-STOP-5", "SR-DEPTH-5", side="pen")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("word", WORDS, ids=named)
def test_a_link_that_is_lost(word: FaultKind, seed: int) -> None:
    running = spoilt(word, seed, phase_ms=seed * 3)
    running.host.port.close()
    over(running, word, IN_US)


@pytest.mark.sr("SR-STOP-5", side="pen")
@pytest.mark.parametrize("word", WORDS, ids=named)
def test_a_pen_that_starts_with_it_moves_nothing_by_itself(word: FaultKind) -> None:
    running = spoilt(word, 0)
    pen = running.pen
    pen.power.cut()
    pen.advance(200)
    if (word.unit, word.kind) in STUCK_OUT:
        pen.faults.clear()
        pen.advance(100)
    punctures = pen.skin.punctures
    pen.power.restore()
    pen.advance(15_000)
    assert not pen.needles_out
    assert pen.skin.punctures == punctures
