"""With a second line alone switched off, nothing may break while the first line stands.

For each switch a world is named in which something else has to hold: what the switch is the only line against does not
happen there (its own twin shows what happens if it does), everything else does.
"""

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from dermalink_protocol.limits import INTERVAL_S, ZONE_RULES
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.firmware.safeguards import SAFEGUARDS
from tests.fault import test_campaign as campaign
from tests.fault import test_campaign_sessions as weeks
from tests.fault.test_campaign import USUAL, WILD, Campaign, World

SEEDS: Final = range(5)
IN_MS: Final = 40  # 25 ms to draw the needles in, and a tick of the main loop that sees the link go
HUNG: Final = (("main_loop", "hung"), ("monitor", "hung"))
TOO_DEEP: Final = (("drive", "overshoot"), ("cartridge", "badly_seated"))
TWICE: Final = (("link", "duplication"), ("link", "reordering"), ("link", "delay"))
OFF_RATE: Final = (("motor", "stalled"), ("motor", "overspeed"))


def link_lost(it: Campaign) -> None:
    """The link is gone: the first line, with no lease behind it."""
    it.host.port.close()
    it.pen.advance(IN_MS)
    assert not it.pen.needles_out, it.log
    campaign.adopt(it)


def ask_for_what_is_allowed(it: Campaign) -> None:
    """The host's own limit check: it never asks for more than the zone takes."""
    zone, direction = it.random.choice((Zone.NOSE, Zone.CHIN, Zone.FOREHEAD)), it.random.choice(list(Direction))
    it.renewed_ms = it.pen.now_ms
    prepared = it.host.prepare(zone, direction, ZONE_RULES[zone].cap_um)
    it.pen.hand.sweep(zone, direction)
    it.host.begin(prepared.frame_id)


def without(*left_out: Callable[[Campaign], None]) -> Sequence[Callable[[Campaign], None]]:
    return tuple(action for action in WILD if action not in left_out)


def world(
    usual: Sequence[Callable[[Campaign], None]] = USUAL,
    wild: Sequence[Callable[[Campaign], None]] = WILD,
    no_fault: Sequence[tuple[str, str]] = (),
) -> World:
    return World(usual, wild, tuple(word for word in campaign.WITHOUT_AIR if (word.unit, word.kind) not in no_fault))


LAWFUL: Final = tuple(ask_for_what_is_allowed if action is campaign.ask_for_motion else action for action in USUAL)
WORLDS: Final = {
    "lease": world(
        wild=(*[link_lost] * 4, campaign.noise, campaign.look, campaign.button, campaign.stop_or_symptom, campaign.head)
    ),  # loss of the link, while the host lives
    "monitor": world(no_fault=TOO_DEEP),  # the drive goes where it is told, and the head has its stop
    "watchdog": world(no_fault=HUNG),  # the main loop runs
    "detectors": world(wild=without(campaign.clumsy_hand), no_fault=OFF_RATE),  # the hand sweeps as it should
    "duplicate-check": world(wild=without(campaign.replay), no_fault=TWICE),  # the link brings everything once
    "button-stop": world(),  # Stop, the lease and the link
    "owner-check": world(),  # whoever says something is the owner
    "twice-kept": world(no_fault=(("memory", "flip"),)),  # memory keeps what it is given
    "limit-check": world(usual=LAWFUL),  # the host asks for what is allowed
}
ROWS: Final = {
    "lease": ("SR-STOP-5",),
    "monitor": ("SR-DEPTH-3",),
    "watchdog": ("SR-STOP-1",),
    "detectors": ("SR-PASS-3",),
    "duplicate-check": ("SR-STOP-5",),
    "button-stop": ("SR-STOP-1",),
    "owner-check": ("SR-DEPTH-3",),
    "twice-kept": ("SR-BIST-1",),
    "limit-check": ("SR-DEPTH-3",),
}
IN_WEEKS: Final = ("wait", "ledger-before-stroke")


@pytest.mark.parametrize(
    "safeguard", [pytest.param(name, marks=pytest.mark.sr(*rows, side="pen")) for name, rows in ROWS.items()]
)
def test_a_second_line_alone_may_be_missing(safeguard: str) -> None:
    strokes = 0
    for seed in SEEDS:
        it = Campaign(seed, frozenset({safeguard}), WORLDS[safeguard])
        it.run()
        strokes += it.pen.skin.strokes
        it.heal()
    assert strokes > 100


@pytest.mark.sr("SR-CART-1", "SR-INT-1", side="pen")
@pytest.mark.parametrize("safeguard", IN_WEEKS)
def test_a_second_line_of_weeks_alone_may_be_missing(safeguard: str) -> None:
    sessions = 0
    for seed in SEEDS:
        if safeguard == "wait":  # whoever opens sessions waits by himself
            calm = [weeks.end, weeks.go_on, weeks.stop_it, weeks.adopt, weeks.other_head]
            it = weeks.Weeks(seed, frozenset({safeguard}), between=calm, gaps_s=(INTERVAL_S + 7_200,))
        else:  # power stays until the session is closed, and closing writes what the head did
            kept_on = [action for action in weeks.BETWEEN if action is not weeks.cut]
            it = weeks.Weeks(seed, frozenset({safeguard}), between=kept_on, always_closes=True)
        it.run()
        assert not it.broken
        sessions += len({one.session for one in it.seen})
    assert sessions > 10


def test_every_safeguard_has_its_world() -> None:
    assert {*WORLDS, *IN_WEEKS} == SAFEGUARDS
    assert ROWS.keys() == WORLDS.keys()
