"""Planted bugs: for each requirement, a safeguard taken out of the table or the gate, which the proof must find."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import State
from dermalink_protocol.zones import Symptom
from dermalink_simulator.therapy import blocks, guards, updates
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.gate import EXERCISE, FEED, GUARD, ORDER, GatePart
from dermalink_simulator.therapy.row import Row
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.table import TABLE
from tests.proof.mutants import names

Table = tuple[Row, ...]
NAMES: Final = names()


class Bug(NamedTuple):
    """What is wrong, the requirements that it breaks, and the table with it."""

    name: str
    breaks: tuple[str, ...]
    table: Table


def place(name: str) -> int:
    """A row's place in the table, by its name."""
    return NAMES.index(name)


def without(*rows: str) -> Table:
    """The table without some rows: a safeguard, and the second lines behind it."""
    numbers = {place(name) for name in rows}
    return tuple(row for number, row in enumerate(TABLE) if number not in numbers)


def changed(name: str, **fields: Any) -> Table:
    """The table with a row changed."""
    number = place(name)
    return (*TABLE[:number], TABLE[number]._replace(**fields), *TABLE[number + 1 :])


def forgets(name: str, *fields: str) -> Table:
    """The table with a row that leaves fields as they were."""
    kept = {field: update for field, update in TABLE[place(name)].updates().items() if field not in fields}
    return changed(name, blocks=(kept,))


def writes(name: str, **fields: Callable[..., int]) -> Table:
    """The table with a row that writes something else."""
    return changed(name, blocks=({**TABLE[place(name)].updates(), **fields},))


def unguarded(name: str, *behind: str) -> Table:
    """The table with a row that fits always, and without the refusals that stand before it."""
    gone = {place(other) for other in behind}
    rows = (row._replace(guard=guards.always) if number == place(name) else row for number, row in enumerate(TABLE))
    return tuple(row for number, row in enumerate(rows) if number not in gone)


def advice_if_named(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Only what was said to be bleeding or a rash wants advice."""
    return 1 if e.symptom in (Symptom.BLEEDING, Symptom.RASH) else old


STARTING: Final = "PREPARE+BEGIN_PASS+@OPEN+PREPARED+:"
ASKED: Final = "PREPARE@OPEN+PREPARED+:"
COMMANDS: Final = "OPEN_SESSION+ADOPT_SESSION+@BOOT+SELF_TEST+:"
PRESSED: Final = int(State.SPIN_UP)

BUGS: Final = (
    Bug("0.51 mm is taken", ("SR-DEPTH-1",),
        without(f"{ASKED}over_cap", f"{ASKED}over_zone_cap", f"{ASKED}over_reach")),
    Bug("the lowest setting is not asked for", ("SR-DEPTH-1",), without(f"{ASKED}under_min")),
    Bug("a setting deeper than the head's limit is taken", ("SR-DEPTH-2",), without(f"{ASKED}over_reach")),
    Bug("0.5 mm is taken on the nose", ("SR-DEPTH-3",), without(f"{ASKED}over_zone_cap")),
    Bug("a gliding head is taken under the eye", ("SR-DEPTH-3",), without(f"{ASKED}needs_stamp")),
    Bug("a sensor without accuracy is taken", ("SR-DEPTH-5",), without(f"{STARTING}accuracy_undeclared")),
    Bug("any head is taken", ("SR-DEPTH-6", "SR-DEPTH-2", "SR-CART-2"),
        writes("HEAD@BOOT+SELF_TEST+:always", head_verdict=updates.no_reason)),
    Bug("a trip of the monitor only pauses", ("SR-DEPTH-5", "SR-DEPTH-7"),
        writes("FAULT@SPIN_UP+ARMED+:always", goal=updates.pause, fault=updates.no_reason)),
    Bug("a frame is taken while a pass runs", ("SR-DEPTH-8",),
        changed("PREPARE@WAITING+RECORDING+:always", verdict=1, then=int(State.PREPARED), blocks=(blocks.FRAME,))),
    Bug("an old frame begins", ("SR-DEPTH-8",), without("BEGIN_PASS@PREPARED:frame_other")),
    Bug("a pass is made twice", ("SR-PASS-1",), without(f"{ASKED}pass_made")),
    Bug("a touched pass is not used", ("SR-PASS-2",), forgets("TICK@ARMED+LIFTED:in_contact", "done")),
    Bug("a pass is resumed for ever", ("SR-PASS-2", "SR-IND-1"), without("TICK@PAUSED+WAITING:resume_over")),
    Bug("a pass is resumed a sixth time", ("SR-PASS-2",),
        unguarded("RESUME_PASS@PAUSED:frame_resumable", "RESUME_PASS@PAUSED:resumes_used_up")),
    Bug("the budget is not booked", ("SR-PASS-3",), forgets("BUTTON@WAITING:fresh", "spent")),
    Bug("a spent budget goes on", ("SR-PASS-3",), without("STROKES@SPIN_UP+ARMED+:budget_reached")),
    Bug("the budget comes back though the write failed", ("SR-PASS-3",), without("FLASH_DONE@RECORDING:write_failed")),
    Bug("dwelling is not stopped", ("SR-PASS-4",), without("DETECTED_PAUSE@SPIN_UP+ARMED+:always")),
    Bug("pressing hard only pauses", ("SR-PASS-5",),
        writes("DETECTED_STOP@SPIN_UP+ARMED+:always", goal=updates.pause)),
    Bug("any density is taken", ("SR-PASS-6",), without(f"{ASKED}too_dense")),
    Bug("any rate is taken", ("SR-RATE-1",), without(f"{ASKED}rate_wrong")),
    Bug("spin-up takes no time", ("SR-RATE-1",), changed("TICK@SPIN_UP:time_over", guard=guards.always)),
    Bug("motion before the begin is written", ("SR-CART-1", "SR-PASS-3", "SR-STOP-5"),
        changed("BUTTON@WAITING:fresh", then=PRESSED)),
    Bug("a head is not marked", ("SR-CART-1",), forgets("BUTTON@WAITING:fresh", "head_marked")),
    Bug("a head past its date is taken", ("SR-CART-2",), without(f"{STARTING}head_expired")),
    Bug("a pulled head is not noticed", ("SR-CART-3",), without("HEAD@SPIN_UP+ARMED+:always")),
    Bug("a worn head goes on", ("SR-CART-4",), without("STROKES@SPIN_UP+ARMED+:head_worn")),
    Bug("a session goes on after its hour", ("SR-SES-1",), without("TICK@SPIN_UP+ARMED+:session_ends")),
    Bug("anybody commands", ("SR-SES-1",), without("PREPARE+BEGIN_PASS+@BOOT+SELF_TEST+:not_owner")),
    Bug("an owner adopts again and again", ("SR-SES-1",), without("ADOPT_SESSION@OPEN+PAUSED+:owned")),
    Bug("a second session in the wait", ("SR-INT-1",), without("OPEN_SESSION@IDLE:waiting_time")),
    Bug("strokes do not start the wait", ("SR-INT-1",), forgets("STROKES@SPIN_UP+ARMED+:always", "wait_s")),
    Bug("setting the clock ends the wait", ("SR-INT-2", "SR-RST-1"),
        writes("SET_CLOCK@IDLE+OPEN:always", wait_s=updates.zero)),
    Bug("a lost clock leaves the wait as it is", ("SR-INT-2",), forgets("CLOCK_LOST@BOOT+SELF_TEST+:always", "wait_s")),
    Bug("a lapsed lease is not noticed", ("SR-STOP-1",), without("TICK@SPIN_UP+ARMED+:lease_over")),
    Bug("a renewal counts from its arrival", ("SR-STOP-1",),
        writes("RENEW_LEASE@OPEN+PREPARED+:always", lease_left_ms=updates.lease_given)),
    Bug("stopped without being measured", ("SR-STOP-2",),
        changed("STOP+SYMPTOM@SPIN_UP+ARMED+:always", then=int(State.OPEN), blocks=(blocks.DROP,))),
    Bug("a stop while writing is forgotten", ("SR-STOP-4", "SR-PASS-2"), without("STOP+SYMPTOM@RECORDING:always")),
    Bug("a pass begins without a press", ("SR-STOP-5",), changed("BEGIN_PASS@PREPARED:frame_startable", then=PRESSED)),
    Bug("a press is waited for without end", ("SR-STOP-5",),
        without("TICK@WAITING:time_over_fresh", "TICK@WAITING:time_over")),
    Bug("a press is fresh for ever", ("SR-STOP-5", "SR-CART-1"), without("TICK@RECORDING:press_old")),
    Bug("a press does not stop", ("SR-STOP-6",), without("BUTTON@SPIN_UP+ARMED+:always")),
    Bug("needles stay out after a lift", ("SR-STOP-6",), without("TICK@RUNNING:time_over")),
    Bug("a stop that fails is waited for", ("SR-STOP-8",), without("TICK@STOPPING:time_over")),
    Bug('"stop failed" is cleared', ("SR-STOP-8", "SR-RST-3"),
        changed("STROKES@STOP_FAILED:always", then=int(State.FAULT))),
    Bug("a symptom does not latch", ("SR-SYM-1",), forgets("SYMPTOM@SPIN_UP+ARMED+:locks", "symptom_s")),
    Bug("one that is told at rest locks nothing", ("SR-SYM-1",), without("SYMPTOM@BOOT+IDLE+:locks")),
    Bug("one that was not named is taken for pain", ("SR-SYM-1",),
        writes("SYMPTOM@BOOT+IDLE+:locks", advice_due=advice_if_named)),
    Bug("an old command is applied", ("SR-CMD-1",), without(f"{COMMANDS}id_old")),
    Bug("an id may use up all others", ("SR-CMD-1",), without(f"{COMMANDS}id_far")),
    Bug("a late command is applied", ("SR-CMD-1",), without(f"{COMMANDS}too_late")),
    Bug("a repeated command is applied again", ("SR-CMD-1",), without(f"{COMMANDS}repeated")),
    Bug("a session without self-test", ("SR-POST-1",), without("OPEN_SESSION@IDLE:self_test_due")),
    Bug("a press clears a fault without a test", ("SR-RST-3", "SR-RST-1"),
        changed("BUTTON@FAULT:cleared", guard=guards.always)),
    Bug("a full store opens a session", ("SR-RST-2",), without("OPEN_SESSION@IDLE:conditioned")),
    Bug("an expired calibration opens a session", ("SR-CAL-1",), without("OPEN_SESSION@IDLE:conditioned")),
    Bug("a calibration that has expired begins a pass", ("SR-CAL-1",), without(f"{STARTING}conditioned")),
    Bug("a press starts on an expired calibration", ("SR-CAL-1",), without("BUTTON@WAITING:conditioned")),
    Bug("an empty battery starts a pass", ("SR-PWR-1",), without("BUTTON@WAITING:battery_low")),
    Bug("a stranger commands", ("SR-SEC-1",), without(f"{COMMANDS}stranger")),
)  # fmt: skip


class GateBug(NamedTuple):
    """What is wrong with the gate, the requirements that it breaks, and its parts with it."""

    name: str
    breaks: tuple[str, ...]
    feed: dict[str, GatePart] = FEED
    guard: dict[str, GatePart] = GUARD
    order: dict[str, GatePart] = ORDER


def whole_depth(k: Any, g: Any, t: Any, i: Any) -> int:
    """The setting itself, tolerance and all."""
    return t.depth_um  # type: ignore[no-any-return]


def uncut(k: Any, g: Any, i: Any) -> int:
    """Nothing cuts."""
    return g.cut  # type: ignore[no-any-return]


def whole_watchdog(k: Any, g: Any, i: Any) -> int:
    """The watchdog never runs down."""
    return g.watchdog_left_ms  # type: ignore[no-any-return]


def whole_lease(k: Any, g: Any, i: Any) -> int:
    """The lease never runs down."""
    return g.lease_left_ms  # type: ignore[no-any-return]


def motor_anyway(k: Any, g: Any) -> int:
    """The motor as wanted, whatever cuts."""
    return g.motor_hz  # type: ignore[no-any-return]


def longest(k: Any, g: Any) -> int:
    """An order that does not expire with the lease."""
    return k.order_valid_max_ms  # type: ignore[no-any-return]


def exercise_anyway(k: Any, g: Any, t: Any, i: Any) -> int:
    """The exercise whenever it is asked for."""
    return EXERCISE if i.exercise != 0 else 0


GATE_BUGS: Final = (
    GateBug("the target is the setting", ("SR-DEPTH-1", "SR-DEPTH-6"), feed={**FEED, "target_um": whole_depth}),
    GateBug("nothing cuts", ("SR-DEPTH-5", "SR-STOP-6", "SR-STOP-3"), guard={**GUARD, "cut": uncut}),
    GateBug("the watchdog stands still", ("SR-STOP-3",), guard={**GUARD, "watchdog_left_ms": whole_watchdog}),
    GateBug("the lease stands still", ("SR-STOP-1",), guard={**GUARD, "lease_left_ms": whole_lease}),
    GateBug("a cut motor turns on", ("SR-STOP-2",), order={**ORDER, "motor_hz": motor_anyway}),
    GateBug("an order outlives its lease", ("SR-STOP-3",), order={**ORDER, "valid_ms": longest}),
    GateBug("the exercise in any state", ("SR-POST-1",), feed={**FEED, "wants": exercise_anyway}),
)
