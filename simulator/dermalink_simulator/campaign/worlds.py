"""The worlds that a script is drawn from: what happens in each, and how often each is drawn.

The same seed gives the same script, whatever the pen makes of it. Worlds take turns by chance, so that each rule has
seeds that come near it.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from dermalink_protocol.limits import INTERVAL_S, LEASE_DEFAULT_MS, LEASE_MAX_MS
from dermalink_protocol.zones import Direction, Symptom, Zone
from dermalink_simulator.campaign.drawing import STOPS, WEEK_WORDS, WORDS, Drawer, named
from dermalink_simulator.campaign.script import FAULT, Script, Step
from dermalink_simulator.faults.spelling import spell
from dermalink_simulator.seam import Kept

DAY_S: Final = 86_400
WILD_PERCENT: Final = 6
WILD_KINDS: Final = 5  # few things at a time, others with each seed, go deeper than all at once
EVENING_STEPS: Final = 300
EVENINGS: Final = 4
PLACES: Final = ((Zone.NOSE, 250), (Zone.CHIN, 500), (Zone.LEFT_CHEEK, 500))
GAPS_S: Final = (60, 3_600, DAY_S, 13 * DAY_S, INTERVAL_S - 7_200, INTERVAL_S + 7_200, INTERVAL_S + 7_200, 20 * DAY_S)
FULL_PASS_MS: Final = 25_000  # longer than the budget of the nose lasts
PAUSES_MS: Final = (1, 4, 10, 37, 80, 150)


# Evenings: a session, and few things that go wrong in it again and again


def _evening(it: Drawer) -> None:
    wild = it.random.sample(WILD, WILD_KINDS)
    it.add("start")
    it.prepare(Zone.CHIN, Direction.VERTICAL, 500)
    it.add("run", ms=900)
    for _ in range(EVENING_STEPS):
        from_wild = it.random.randrange(100) < WILD_PERCENT
        it.random.choice(wild if from_wild else USUAL)(it, it.random.choice(PAUSES_MS))


def _renew(it: Drawer, then_ms: int) -> None:
    it.add("renew", then_ms)


def _ask_for_motion(it: Drawer, then_ms: int) -> None:
    zone, direction = it.random.choice(list(Zone)), it.random.choice(list(Direction))
    it.prepare(zone, direction, it.random.choice((200, 250, 260, 500, 500)), then_ms)


def _resume(it: Drawer, then_ms: int) -> None:
    it.add("resume", then_ms)


def _end_or_pause(it: Drawer, then_ms: int) -> None:
    it.add(it.random.choice(("end_pass", "pause_pass")), then_ms)


def _mend(it: Drawer, then_ms: int) -> None:
    it.add("mend", then_ms)


def _silence(it: Drawer, then_ms: int) -> None:
    it.add("wait", then_ms, ms=3_000)


def _adopt(it: Drawer, then_ms: int) -> None:
    lease_ms = it.random.choice((int(LEASE_DEFAULT_MS), int(LEASE_MAX_MS)))
    it.add("adopt", then_ms, lease_ms=lease_ms, keeps=it.random.randrange(2))


def _replay(it: Drawer, then_ms: int) -> None:
    it.add("replay", then_ms, older_ms=it.random.choice((0, 300, 5_000)))


def _stop_or_symptom(it: Drawer, then_ms: int) -> None:
    if it.random.randrange(2):
        it.add("stop", then_ms)
    else:
        it.add("symptom", then_ms, which=int(it.random.choice(list(Symptom))))


def _noise(it: Drawer, then_ms: int) -> None:
    it.add("noise", then_ms, seed=it.random.randrange(1 << 31), length=it.random.choice((1, 30, 400)))


def _look(it: Drawer, then_ms: int) -> None:
    it.add("look", then_ms)


def _clumsy_hand(it: Drawer, then_ms: int) -> None:
    which = it.random.choice(("lift", "stay", "go_on", "press_hard"))
    it.add(which, then_ms, **({"mn": it.random.choice((1_500, 2_500, 4_500))} if which == "press_hard" else {}))


def _button(it: Drawer, then_ms: int) -> None:
    it.add(it.random.choice(("press", "press", "hold", "release")), then_ms)


def _head(it: Drawer, then_ms: int) -> None:
    it.add("head", then_ms, kind=it.random.choice((0, 1, 1, 2, 4)))


def _power(it: Drawer, then_ms: int) -> None:
    it.add("power_cut", then_ms, ms=it.random.choice((1, 30, 500)))


def _clock(it: Drawer, then_ms: int) -> None:
    it.add("tamper", then_ms, seconds=it.random.choice((-5_000, 5_000, INTERVAL_S)))


def _any_fault(it: Drawer, then_ms: int) -> None:
    it.fault(it.random.choice(WORDS), then_ms)


_Draw = Callable[[Drawer, int], None]
USUAL: Final[Sequence[_Draw]] = (*[_renew] * 24, _ask_for_motion, _ask_for_motion, _resume, _end_or_pause, _mend)
WILD: Final[Sequence[_Draw]] = (
    *(_silence, _silence, _adopt, _replay, _stop_or_symptom, _noise, _look, _clumsy_hand, _button, _head, _power),
    *(_clock, _any_fault, _any_fault),
)


# Weeks: sessions, heads, clocks and power as it comes


def _weeks(it: Drawer) -> None:
    random = it.random
    for _ in range(EVENINGS):
        if random.random() < 0.3:
            it.add("stranger")
        it.add("set_clock_right")
        if random.random() < 0.7:
            _change_head(it)
        it.add("start")
        for _ in range(random.randrange(1, 7)):
            it.add("lift")
            zone, depth_um = random.choice(PLACES)
            it.prepare(zone, random.choice(list(Direction)), depth_um)
            it.add("run", ms=FULL_PASS_MS if random.random() < 0.2 else random.randrange(900, 2_500))
            random.choice(BETWEEN)(it)
        it.add("lift")
        if random.random() < 0.7:
            it.add("close", 500)
        if random.random() < 0.4:
            _tamper(it)
        it.add("night", seconds=random.choice(GAPS_S))


def _change_head(it: Drawer) -> None:
    if it.random.random() < 0.4:
        it.add("old_head", 500, which=it.random.randrange(5))
    else:
        it.add("head", 500, kind=1)


def _end_and_lift(it: Drawer) -> None:
    it.add("end_pass")
    it.add("lift")
    it.add("run", ms=200)


def _go_on(it: Drawer) -> None:
    it.add("resume")
    it.add("run", ms=1_000)


def _stop(it: Drawer) -> None:
    it.add("stop")
    it.add("lift")
    it.add("run", ms=1_500)


def _cut_and_start(it: Drawer) -> None:
    it.add("power_cut", 2_000, ms=it.random.choice((1, 30, 500)))
    it.add("lift")
    it.add("start")


def _lose_and_adopt(it: Drawer) -> None:
    it.add("lift")
    it.add("lose_link", 200)
    it.add("adopt", lease_ms=int(LEASE_DEFAULT_MS), keeps=0)


def _close_and_open(it: Drawer) -> None:
    it.add("lift")
    it.add("close", 500)
    it.add("ask_self_test", 1_500)
    it.add("start")


def _end_and_change(it: Drawer) -> None:
    it.add("end_pass")
    it.add("lift")
    _change_head(it)


def _tamper(it: Drawer) -> None:
    if it.random.random() < 0.25:
        it.add("lose_clock", 2_000)
    else:
        it.add("tamper", 2_000, seconds=it.random.choice((-20 * DAY_S, -DAY_S, DAY_S, 20 * DAY_S)))


def _week_fault(it: Drawer) -> None:
    it.fault(it.random.choice(WEEK_WORDS))


def _week_mend(it: Drawer) -> None:
    it.add("mend")


BETWEEN: Final[Sequence[Callable[[Drawer], None]]] = (
    *(_end_and_lift, _end_and_lift, _end_and_lift, _end_and_lift, _go_on, _stop, _cut_and_start, _lose_and_adopt),
    *(_close_and_open, _end_and_change, _end_and_change, _week_fault, _week_fault, _week_mend, _week_mend),
)


# One thing long enough: stop and drive broken, a word that is repeated, a pen that nobody owns


def _begin_pass(it: Drawer, zone: Zone, depth_um: int) -> None:
    it.add("start")
    it.prepare(zone, it.random.choice(list(Direction)), depth_um)
    it.add("run", ms=it.random.randrange(900, 2_000))


def _deep(it: Drawer) -> None:
    """The stop is gone and the drive goes too far, early or late; other sensors hold."""
    zone, depth_um = it.random.choice(PLACES)
    if it.random.randrange(2):
        _begin_pass(it, zone, depth_um)
    stop = it.random.choice(sorted(STOPS))
    it.fault(named(*stop), it.random.choice(PAUSES_MS))
    if it.random.randrange(4):
        it.fault(named("drive", "overshoot"), it.random.choice(PAUSES_MS))
    for _ in range(3):
        it.add("run", ms=it.random.randrange(100, 1_500))
        it.random.choice((_ask_for_motion, _resume, _button, _renew))(it, 10)
    _begin_pass(it, zone, depth_um)


def _old_words(it: Drawer) -> None:
    """The last word for motion comes again, long after."""
    zone, depth_um = it.random.choice(PLACES)
    _begin_pass(it, zone, depth_um)
    for _ in range(it.random.randrange(1, 4)):
        it.add("pause_pass", 50)
        it.add("run", ms=it.random.choice((200, 1_000)))
        it.add("resume")
        it.add("run", ms=1_200)
    it.add(it.random.choice(("pause_pass", "stop", "press", "end_pass")), 50)
    it.add("run", ms=it.random.choice((12_000, 13_000, 30_000)))
    for _ in range(3):
        it.add("say_again", 10)
        it.add("run", ms=1_500)


def _one_spot(it: Drawer) -> None:
    """A hand that stays where it is, and goes on asking."""
    zone, depth_um = it.random.choice(PLACES)
    _begin_pass(it, zone, depth_um)
    it.add("stay")
    for _ in range(3):
        it.add("run", ms=it.random.randrange(300, 3_000))
        it.random.choice((_resume, _renew, _ask_for_motion))(it, 10)
    it.add("run", ms=1_000)


def _hung(it: Drawer) -> None:
    """The main loop stands still with needles in skin, or the timer interrupt does."""
    zone, depth_um = it.random.choice(PLACES)
    _begin_pass(it, zone, depth_um)
    for _ in range(2):
        hangs = it.random.choice(
            (("main_loop", "hung"), ("main_loop", "hung"), ("main_loop", "slow"), ("monitor", "hung"))
        )
        if it.random.randrange(2):
            it.fault_now(*hangs)
        else:
            it.fault(named(*hangs))
        it.add("run", ms=it.random.randrange(100, 700))
        it.random.choice((_silence, _resume, _renew, _mend))(it, 10)


def _sold(it: Drawer) -> None:
    """Whoever comes along tries to run a pen that was built to be sold, and has no owner."""
    for _ in range(it.random.randrange(1, 4)):
        zone, depth_um = it.random.choice(PLACES)
        _begin_pass(it, zone, depth_um)
        it.random.choice((_adopt, _power, _noise, _head, _resume))(it, 100)


def _ask_too_deep(it: Drawer, then_ms: int) -> None:
    it.add("end_pass", 100)
    it.prepare(it.random.choice((Zone.NOSE, Zone.FOREHEAD)), it.random.choice(list(Direction)), 500, then_ms)
    it.add("run", ms=900)


def _flips(it: Drawer) -> None:
    """Bits of what the firmware keeps flip, in a pass and between."""
    zone, depth_um = it.random.choice(PLACES)
    if it.random.randrange(2):
        it.add("night", seconds=INTERVAL_S)
    _begin_pass(it, zone, depth_um)
    for _ in range(it.random.randrange(1, 12)):
        for _ in range(it.random.choice((1, 1, 10, 30))):
            variable = int(it.random.choice((0, Kept.LIMITS, Kept.THERAPY)))
            flip = spell("memory", "flip", values={"variable": variable}, seed=it.random.randrange(1, 1 << 31))
            it.steps.append(Step(FAULT, {}, 0, flip))
        it.add("run", ms=it.random.randrange(50, 400))
        it.random.choice((_silence, _resume, _ask_too_deep, _ask_too_deep, _renew, _stop_or_symptom))(it, 10)
    it.add("wait", ms=2_000)


class WorldKind(NamedTuple):
    """A kind of world: its name, how often of a hundred it is drawn, what draws its steps."""

    name: str
    weight: int
    draw: Callable[[Drawer], None]
    sold: bool = False


WORLDS: Final = (
    WorldKind("evening", 45, _evening),
    WorldKind("weeks", 20, _weeks),
    WorldKind("deep", 10, _deep),
    WorldKind("old words", 6, _old_words),
    WorldKind("one spot", 5, _one_spot),
    WorldKind("hung", 5, _hung),
    WorldKind("flips", 5, _flips),
    WorldKind("sold", 4, _sold, sold=True),
)


def drawn(seed: int, without: frozenset[str] = frozenset()) -> Script:
    """The script of a seed."""
    random = Random(f"campaign/{seed}")
    world = random.choices(WORLDS, [one.weight for one in WORLDS])[0]
    drawer = Drawer(random)
    world.draw(drawer)
    return Script(seed, tuple(drawer.steps), world.sold, without)


def world_of(seed: int) -> str:
    """The name of the world that a seed is drawn into."""
    return Random(f"campaign/{seed}").choices(WORLDS, [one.weight for one in WORLDS])[0].name
