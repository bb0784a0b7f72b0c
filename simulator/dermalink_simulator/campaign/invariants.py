"""What must never be, by name: each looks at the truth about the skin alone, and says in words what broke it.

Numbers are the contract's. What a pen cannot know of (sensors that lie about motion) no rule judges, and says so.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

from dermalink_protocol.limits import (
    DEPTH_CAP_UM,
    DWELL_PUNCTURES_PER_CM2,
    IN_WITHIN_MS,
    INTERVAL_S,
    LIFT_PAUSE_MS,
    PASSES_PER_ZONE,
    WATCHDOG_MS,
    ZONE_RULES,
    pass_budget,
)
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.campaign.truth import MS, Truth

FACE_MM2: Final = 28  # a disc of 6 mm, as in the numbers for the simulation
ON_THEIR_WAY: Final = 50  # punctures of strokes that were already on their way when a budget was reached
IN_US: Final = IN_WITHIN_MS * MS
WATCHED_US: Final = WATCHDOG_MS * MS
# A press of the button is a stop only; what comes after this may have been started anew, by a word and another press.
STOPPED_FOR_US: Final = 250 * MS
LIFTED_US: Final = (LIFT_PAUSE_MS + 1_000) * MS  # after a lift of up to 10 s contact brings the needles back


class Broken(NamedTuple):
    """What was broken: the invariant's name, its requirement, and what happened."""

    invariant: str
    rule: str
    says: str

    def __str__(self) -> str:
        return f"{self.invariant} [{self.rule}]: {self.says}"


class Invariant(NamedTuple):
    """A name, the requirement that it stands for, what it says, and what finds it broken (else empty)."""

    name: str
    rule: str
    says: str
    finds: Callable[[Truth], str]


def depth(truth: Truth) -> str:
    """With stop and drive both broken, none later than 25 ms after the first."""
    over = [one for one in truth.strokes if one.depth_um > DEPTH_CAP_UM]
    if not over:
        return ""
    late_us = over[-1].at_us - over[0].at_us
    if truth.stop_broken and truth.carriage_wild and late_us <= IN_US:
        return ""
    return f"a puncture of {over[-1].depth_um} µm at {over[-1].at_us} µs, {late_us} µs after the first past the cap"


def zone_cap(truth: Truth) -> str:
    """A drive that goes further than told is found within 25 ms as well; past the cap, `depth` judges."""
    over = [one for one in truth.strokes if ZONE_RULES[one.zone].cap_um < one.depth_um <= DEPTH_CAP_UM]
    if not over or (truth.carriage_wild and over[-1].at_us - over[0].at_us <= IN_US):
        return ""
    return f"a puncture of {over[-1].depth_um} µm in {over[-1].zone.name} at {over[-1].at_us} µs"


def lease(truth: Truth) -> str:
    """The lease runs from when the newest tick that a host quotes was heard by it: nothing held back buys time."""
    for one in truth.strokes:
        if one.at_us - one.renewed_us > one.lease_us + IN_US:
            return f"a puncture at {one.at_us} µs, the last renewal quotes what was heard at {one.renewed_us} µs"
    return ""


def watchdog(truth: Truth) -> str:
    """A main loop that hangs is noticed from outside it."""
    for hung in truth.hung:
        boot_us = min((at_us for at_us in truth.boots_us if at_us > hung.from_us), default=hung.until_us)
        until_us = min(hung.until_us, boot_us)
        for one in truth.strokes:
            if hung.from_us + WATCHED_US + IN_US < one.at_us <= until_us:
                return f"a puncture at {one.at_us} µs, the main loop hangs since {hung.from_us} µs"
    return ""


def used_head(truth: Truth) -> str:
    """A head that was in skin before the last loss of power, which ends every session, is never in skin again."""
    first: dict[int, int] = {}
    for one in truth.strokes:
        if one.boot != first.setdefault(one.head, one.boot):
            return f"head {one.head} in skin at {one.at_us} µs, and before in boot {first[one.head]}"
    return ""


def interval(truth: Truth) -> str:
    """True time, which no clock of the pen's goes into."""
    for before, one in zip(truth.strokes, truth.strokes[1:], strict=False):
        if one.boot != before.boot and one.true_s - before.true_s < INTERVAL_S:
            return f"skin at {one.true_s} s, and in the session before at {before.true_s} s"
    return ""


def passes(truth: Truth) -> str:
    """Each pass within its budget, no more than three a zone, by session."""
    if truth.moves_unseen:
        return ""
    made: dict[tuple[int, Zone, Direction], int] = defaultdict(int)
    for one in truth.strokes:
        made[one.boot, one.zone, one.direction] += one.needles
    zones: dict[tuple[int, Zone], int] = defaultdict(int)
    for (boot, zone, direction), punctures in made.items():
        zones[boot, zone] += 1
        if punctures > pass_budget(zone) + ON_THEIR_WAY:
            return f"{punctures} punctures in {zone.name} {direction.name}"
        if zones[boot, zone] > PASSES_PER_ZONE:
            return f"{zones[boot, zone]} passes in {zone.name}"
    return ""


def once(truth: Truth) -> str:
    """A pass that another came after is over: in one session nobody comes back to it."""
    made: dict[int, list[tuple[Zone, Direction]]] = defaultdict(list)
    for one in truth.strokes:
        places = made[one.boot]
        if not places or places[-1] != (one.zone, one.direction):
            if (one.zone, one.direction) in places:
                return f"{one.zone.name} {one.direction.name} again at {one.at_us} µs"
            places.append((one.zone, one.direction))
    return ""


def dwell(truth: Truth) -> str:
    """A hand that stays in one spot gets no more than what a spot may have; not judged with motion sensors that lie."""
    if truth.moves_unseen:
        return ""
    most = DWELL_PUNCTURES_PER_CM2 * FACE_MM2 // 100 + ON_THEIR_WAY
    for since_us, until_us in truth.spots():
        punctures = sum(one.needles for one in truth.strokes if since_us < one.at_us <= until_us)
        if punctures > most:
            return f"{punctures} punctures in one spot from {since_us} µs to {until_us} µs"
    return ""


def button(truth: Truth) -> str:
    """Any press while needles are out stops at once."""
    for at_us in truth.presses_us:
        for one in truth.strokes:
            if at_us + IN_US < one.at_us <= at_us + STOPPED_FOR_US:
                return f"a puncture at {one.at_us} µs, after a press at {at_us} µs"
    return ""


def fresh_word(truth: Truth) -> str:
    """After a rest that no lift explains, needles come only by a host's word that was made since."""
    for before, one in zip(truth.strokes, truth.strokes[1:], strict=False):
        rested = one.at_us - before.at_us > LIFTED_US
        if rested and not any(before.at_us < at_us <= one.at_us for at_us in truth.words_us):
            return f"a puncture at {one.at_us} µs with no new word since {before.at_us} µs"
    return ""


def self_test(truth: Truth) -> str:
    """What a self-test has to find was there when the pen started, and still is."""
    for boot, fault in truth.doomed:
        for one in truth.strokes:
            if one.boot == boot:
                return f"a puncture at {one.at_us} µs by a pen that started with {fault}"
    return ""


def owner(truth: Truth) -> str:
    """A pen that was built to be sold and has no owner is run by nobody."""
    return f"a puncture at {truth.strokes[0].at_us} µs" if truth.owner_missing and truth.strokes else ""


INVARIANTS: Final = (
    Invariant("depth", "SR-DEPTH-5", "no puncture past 500 µm; with stop and drive broken, none 25 ms later", depth),
    Invariant("zone-cap", "SR-DEPTH-3", "no puncture deeper than its zone allows", zone_cap),
    Invariant("lease", "SR-STOP-1", "no puncture later than lease + 25 ms", lease),
    Invariant("watchdog", "SR-STOP-3", "no puncture later than 50 + 25 ms after the main loop hung", watchdog),
    Invariant("used-head", "SR-CART-1", "no puncture by a head of a session that has ended", used_head),
    Invariant("interval", "SR-INT-1", "no puncture within 14 true days of the session before", interval),
    Invariant("passes", "SR-PASS-3", "each pass within its budget, three a zone", passes),
    Invariant("once", "SR-PASS-1", "each pass once, one after the other", once),
    Invariant("dwell", "SR-PASS-4", "no more punctures in one spot than a spot may have", dwell),
    Invariant("button", "SR-STOP-6", "no puncture later than 25 ms after a press", button),
    Invariant("fresh-word", "SR-CMD-1", "no motion by a command that was repeated", fresh_word),
    Invariant("self-test", "SR-POST-1", "no puncture by a pen that had to fail its self-test", self_test),
    Invariant("owner", "SR-OWN-1", "no puncture by a pen sold to nobody", owner),
)
SETTLES: Final = Invariant("settles", "SR-STOP-2", "healed, the pen comes to rest and answers", lambda _: "")
HISTORY: Final = Invariant("history", "SR-LOG-1", "counters only grow, and the history verifies", lambda _: "")
BREAKS: Final = Invariant("breaks", "SR-STOP-2", "the firmware itself does not break", lambda _: "")
ALL: Final = (*INVARIANTS, SETTLES, HISTORY, BREAKS)


def first_broken(truth: Truth) -> Broken | None:
    """The first invariant that the truth shows to be broken."""
    for one in INVARIANTS:
        says = one.finds(truth)
        if says:
            return Broken(one.name, one.rule, says)
    return None
