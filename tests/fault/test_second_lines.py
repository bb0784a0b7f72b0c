"""With a second line alone switched off, nothing may break while the first line stands.

For each switch it is named what then has to hold: what the switch is the only line against is left out of the scripts
(test_campaign.py shows what happens if it is not), everything else stays in.
"""

from typing import Final, NamedTuple

import pytest

from dermalink_protocol.limits import ZONE_RULES
from dermalink_protocol.zones import Zone
from dermalink_simulator.campaign.playing import play
from dermalink_simulator.campaign.script import Script, Step
from dermalink_simulator.campaign.worlds import drawn, world_of
from dermalink_simulator.firmware.safeguards import SAFEGUARDS

SEEDS: Final = range(12)
REACHED: Final = 100  # strokes in skin, or it was no trial


class Second(NamedTuple):
    """A row that holds without the switch, what is left out, and who holds it then."""

    row: str
    left_out: frozenset[str]
    because: str


def second(row: str, because: str, *left_out: str) -> Second:
    return Second(row, frozenset(left_out), because)


LINES: Final = {
    "lease": second(
        "SR-STOP-5",
        "the host lives, and a link that goes is seen to go",
        *("wait", "night", "power_cut", "adopt", "replay", "link loss", "link corruption", "link delay"),
        *("link duplication", "link reordering", "link cut"),
    ),
    "monitor": second("SR-DEPTH-3", "the drive goes where it is told", "drive overshoot", "cartridge badly_seated"),
    "watchdog": second("SR-STOP-1", "the main loop runs", "main_loop hung", "main_loop slow", "monitor hung"),
    "detectors": second(
        "SR-PASS-3",
        "the hand sweeps as it should, and the motor turns as it is told",
        *("stay", "lift", "go_on", "press_hard", "motor stalled", "motor overspeed", "motor slow"),
    ),
    "duplicate-check": second(
        "SR-STOP-5",
        "the link brings everything once",
        *("replay", "say_again", "link duplication", "link reordering", "link delay"),
    ),
    "button-stop": second("SR-STOP-1", "Stop, the lease and the link", "press", "hold", "release", "resume"),
    "owner-check": second("SR-DEPTH-3", "whoever says something is the owner"),
    "twice-kept": second("SR-BIST-1", "memory keeps what it is given", "memory flip"),
    "limit-check": second("SR-DEPTH-3", "the host asks for what is allowed"),
    "wait": second("SR-INT-1", "whoever opens sessions waits by himself", "night", "power_cut", "supply glitch"),
    "ledger-before-stroke": second(
        "SR-CART-1",
        "power stays until the session is closed, and closing writes what the head did",
        "power_cut",
        "night",
    ),
}


def lawful(step: Step) -> Step:
    """The host's own limit check: it never asks for more than the zone takes."""
    if step.do != "prepare":
        return step
    zone = Zone(step.numbers["zone"])
    zone = zone if zone in (Zone.NOSE, Zone.CHIN, Zone.FOREHEAD) else Zone.CHIN
    return step._replace(numbers={**step.numbers, "zone": int(zone), "depth_um": int(ZONE_RULES[zone].cap_um)})


def words(step: Step) -> set[str]:
    return {step.do} if step.fault is None else {f"{step.fault.unit} {step.fault.kind}"}


def script_of(seed: int, safeguard: str) -> Script:
    script = drawn(seed, frozenset({safeguard}))
    steps = [step for step in script.steps if not words(step) & LINES[safeguard].left_out]
    return script._replace(steps=tuple(map(lawful, steps) if safeguard == "limit-check" else steps))


@pytest.mark.parametrize(
    "safeguard", [pytest.param(name, marks=pytest.mark.sr(line.row, side="pen")) for name, line in LINES.items()]
)
def test_a_second_line_alone_may_be_missing(safeguard: str) -> None:
    strokes = 0
    for seed in SEEDS:
        if safeguard == "owner-check" and world_of(seed) == "sold":
            continue
        result = play(script_of(seed, safeguard))
        assert result.broken is None
        strokes += result.strokes
    assert strokes > REACHED


def test_every_safeguard_has_its_line() -> None:
    assert LINES.keys() == SAFEGUARDS
