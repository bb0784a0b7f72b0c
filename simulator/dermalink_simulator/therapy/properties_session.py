"""Properties of sessions, waits, the clock and commands."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Symptom
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Effect, Verdict
from dermalink_simulator.therapy.claim import Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.guards import symptom_counts
from dermalink_simulator.therapy.state import MOVING, Clock, Goal, TherapyState, Write
from dermalink_simulator.therapy.subset import apart, helper, less, most

# Sessions


@helper
def opens(e: Event, r: Answer) -> bool:
    """A session is opened."""
    return e.kind == EventKind.OPEN_SESSION and r.verdict == Verdict.APPLIED


@proves("SR-INT-1", "SR-INT-2", "SR-SYM-1", "SR-POST-1", "SR-SES-1", "SR-RST-2", "SR-RST-1", "SR-CAL-1")
def opening_needs_conditions(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session opens idle, tested, with no wait, no lock, a sound clock, for this power-up, and is written."""
    return not opens(e, r) or (
        b.state == at.IDLE
        and b.wait_s == 0
        and b.symptom_s == 0
        and b.advice_due == 0
        and b.clock == Clock.SOUND
        and b.self_tested == 1
        and e.boot_id == b.boot_id
        and e.condition == Reason.NONE
        and e.session_id != 0
        and a.state == at.OPENING
        and a.session_id == e.session_id
        and a.owner == e.port
        and e.port != 0
        and a.session_left_ms == k.session_max_ms
        and a.lease_ms == e.lease_ms
        and a.lease_left_ms == 0
        and r.effects == Effect.WRITE_OPEN
    )


@proves("SR-STOP-1")
def lease_is_within(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A lease is asked for when a session opens or is adopted, and within its limits."""
    return (
        a.lease_ms == b.lease_ms
        or a.session_id == 0
        or (e.kind in (EventKind.OPEN_SESSION, EventKind.ADOPT_SESSION) and a.lease_ms == e.lease_ms)
    ) and (
        e.kind not in (EventKind.OPEN_SESSION, EventKind.ADOPT_SESSION)
        or r.verdict != Verdict.APPLIED
        or k.lease_min_ms <= e.lease_ms <= k.lease_max_ms
    )


@proves("SR-SES-1")
def session_begins_by_opening(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session's number changes when one opens, or ends; no other takes its place."""
    return a.session_id == b.session_id or (b.session_id == 0 and opens(e, r)) or a.session_id == 0


@proves("SR-SES-1")
def session_ends_written(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session ends when its end is written, or by a fault; it ends at all only with nothing moving."""
    return (
        a.session_id == b.session_id
        or a.session_id != 0
        or (
            b.state == at.CLOSING
            and e.kind == EventKind.FLASH_DONE
            and e.write == Write.CLOSE
            and a.state in (at.IDLE, at.FAULT, at.LOCKED)
        )
        or a.state in (at.FAULT, at.LOCKED, at.STOP_FAILED)
    ) and (b.state not in MOVING or a.session_id != 0)


@proves("SR-SES-1")
def session_survives(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """What is no service fault, failed write or failed stop takes no session away."""
    return (
        a.session_id == b.session_id
        or a.session_id != 0
        or b.state == at.CLOSING
        or a.state in at.DEAD
        or (e.kind == EventKind.FLASH_DONE and e.ok != 1)
    )


@proves("SR-SES-1")
def owner_changes_by_adoption(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """An owner comes by opening or adopting, never in another's place, and goes with its link or the session."""
    return (
        a.owner == b.owner
        or (opens(e, r) and a.owner == e.port)
        or (
            e.kind == EventKind.ADOPT_SESSION
            and b.owner == 0
            and a.owner == e.port
            and e.port != 0
            and e.session_id == b.session_id
        )
        or (a.owner == 0 and ((e.kind == EventKind.LINK_LOST and e.port == b.owner) or a.session_id == 0))
    ) and (
        e.kind != EventKind.ADOPT_SESSION
        or r.verdict != Verdict.APPLIED
        or (
            b.owner == 0 and a.lease_left_ms == 0 and a.state not in MOVING and a.state == b.state and a.owner == e.port
        )
    )


@proves("SR-SES-1")
def session_time_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session's time is whole at its opening, runs down whole, and is never given back."""
    return (
        opens(e, r)
        or a.session_left_ms == 0
        or (a.session_left_ms == (less(b.session_left_ms, e.dt_ms) if e.kind == EventKind.TICK else b.session_left_ms))
    )


@proves("SR-SES-1")
def session_time_is_kept(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session's time ends early only by closing it, by the clock, or with it."""
    return (
        a.session_left_ms == b.session_left_ms
        or a.session_left_ms != 0
        or (e.kind == EventKind.TICK and (b.session_left_ms <= e.dt_ms or a.state == at.STOP_FAILED))
        or e.kind in (EventKind.CLOSE_SESSION, EventKind.CLOCK_LOST, EventKind.CLOCK_BACK)
        or a.session_id == 0
    )


@proves("SR-SES-1")
def session_over_closes(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """When a session's time is over, nothing of it goes on: it closes, or stops and writes to close."""
    return (
        e.kind != EventKind.TICK
        or b.session_left_ms > e.dt_ms
        or b.state not in (at.OPEN, at.PREPARED, at.WAITING, at.PAUSED, *MOVING)
        or a.state == at.CLOSING
        or (a.state in (at.STOPPING, at.RECORDING) and (a.goal == Goal.CLOSE or b.lease_left_ms <= e.dt_ms))
    )


@proves("SR-SES-1", "SR-INT-2", "SR-INT-1")
def clock_closes(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A lost or turned clock, and a host's close, take the session's time away, wherever it stands."""
    return (
        (e.kind not in (EventKind.CLOCK_LOST, EventKind.CLOCK_BACK) or a.session_left_ms == 0)
        and (e.kind != EventKind.CLOSE_SESSION or r.verdict != Verdict.APPLIED or a.session_left_ms == 0)
        and (
            e.kind not in (EventKind.CLOCK_LOST, EventKind.CLOCK_BACK, EventKind.CLOSE_SESSION)
            or r.verdict != Verdict.APPLIED
            or a.state not in (at.OPEN, at.PREPARED, at.WAITING, at.PAUSED)
        )
    )


@proves("SR-SES-1")
def close_is_written(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session's end is written once, when it closes, and what had no time left never opens again."""
    return ((a.writing == Write.CLOSE and b.writing != Write.CLOSE) == ((r.effects & Effect.WRITE_CLOSE) != 0)) and (
        b.state != at.CLOSING or a.state in (at.CLOSING, at.IDLE, at.FAULT, at.LOCKED)
    )


@proves("SR-SES-1")
def open_comes_from(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """OPEN is reached when the opening is written, a pass has ended, a frame is dropped, or a fault cleared in time."""
    return (
        a.state != at.OPEN
        or b.state in (at.OPEN, at.PREPARED)
        or (b.state == at.OPENING and e.kind == EventKind.FLASH_DONE and e.ok == 1 and b.goal == Goal.GO)
        or (b.state == at.RECORDING and e.kind == EventKind.FLASH_DONE and e.ok == 1 and b.goal == Goal.END)
        or (b.state == at.WAITING and b.written == 0)
        or (b.state == at.FAULT and e.kind == EventKind.BUTTON and b.session_left_ms != 0)
    )


@proves("SR-SES-1", "SR-SEC-1")
def commands_are_the_owners(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A session's commands are obeyed for this session alone, from its owner; to reduce, from anybody without one.

    One that is owned is not there to be adopted, not even by its owner.
    """
    return (
        r.verdict != Verdict.APPLIED
        or e.kind not in (*at.OWNERS, *at.REDUCING, EventKind.ADOPT_SESSION)
        or (
            b.session_id != 0
            and e.session_id == b.session_id
            and e.authenticated == 1
            and e.port != 0
            and (
                b.owner == 0
                if e.kind == EventKind.ADOPT_SESSION
                else (e.port == b.owner or (b.owner == 0 and e.kind in at.REDUCING))
            )
        )
    )


@proves("SR-SEC-1")
def strangers_are_refused(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Who is not authenticated gets nothing done but Stop."""
    return (
        e.authenticated == 1
        or e.kind not in (*at.RAISING, *at.REDUCING, EventKind.RENEW_LEASE)
        or r.verdict == Verdict.REFUSED
    )


# Waits and the clock


@helper
def ran(e: Event, r: Answer) -> bool:
    """Time that the clock really ran."""
    return e.kind == EventKind.TIME_RAN and r.verdict == Verdict.APPLIED


@proves("SR-INT-1", "SR-INT-2", "SR-SES-1", "SR-RST-1")
def wait_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A wait gets shorter by time that the clock really ran, by just that, and by nothing else; the ledger gives it."""
    return (
        b.state == at.BOOT
        or a.wait_s == (less(b.wait_s, e.seconds) if ran(e, r) else b.wait_s)
        or a.wait_s == k.interval_s
    ) and (e.kind != EventKind.LOADED or r.verdict != Verdict.APPLIED or a.wait_s >= least_wait(k, e))


@helper
def least_wait(k: CoreLimits, e: Event) -> int:
    """The wait that the ledger gives, or a whole one."""
    return k.interval_s if e.wait_s > k.interval_s else e.wait_s


@proves("SR-INT-1")
def wait_begins_by_touch(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A wait begins or starts again by needles on skin, or by a lost clock that found one running."""
    return (
        a.wait_s <= b.wait_s
        or a.state == at.RUNNING
        or e.kind in (EventKind.STROKES, EventKind.LOADED)
        or (e.kind == EventKind.CLOCK_LOST and b.wait_s != 0)
    )


@proves("SR-INT-2", "SR-SYM-1")
def lost_clock_starts_again(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """After the clock was lost, the waits that were running are whole again, and no session opens until it is set."""
    return e.kind != EventKind.CLOCK_LOST or (
        a.clock == Clock.LOST
        and (b.wait_s == 0 or a.wait_s == k.interval_s)
        and (b.symptom_s == 0 or a.symptom_s == k.symptom_lock_s)
    )


@proves("SR-INT-1", "SR-INT-2")
def late_strokes_count(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Strokes of a drive that would not stop start the wait again as well; a loaded wait is whole without a clock."""
    return (
        e.kind != EventKind.STROKES or e.punctures == 0 or b.state != at.STOP_FAILED or a.wait_s == k.interval_s
    ) and (
        e.kind != EventKind.LOADED
        or b.state != at.BOOT
        or b.clock != Clock.LOST
        or ((e.wait_s == 0 or a.wait_s == k.interval_s) and (e.symptom_s == 0 or a.symptom_s == k.symptom_lock_s))
    )


@proves("SR-SYM-1", "SR-RST-1")
def symptom_wait_runs_down(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """The wait after a symptom gets shorter by time that really ran alone; what is due stays due; both survive boot."""
    return (
        (
            a.symptom_s == (less(b.symptom_s, e.seconds) if ran(e, r) else b.symptom_s)
            or a.symptom_s == k.symptom_lock_s
            or (e.kind == EventKind.LOADED and a.symptom_s == most(b.symptom_s, e.symptom_s))
        )
        and a.advice_due >= b.advice_due
        and (e.kind != EventKind.LOADED or b.state != at.BOOT or e.advice_due == 0 or a.advice_due == 1)
        and (a.symptom >= b.symptom or a.session_id == 0)
    )


@proves("SR-SYM-1")
def symptom_begins_by_report(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A symptom's wait and latch begin by a report that counts; bleeding and rash want advice, pain does not."""
    return (
        (
            a.symptom_s <= b.symptom_s
            or (e.kind == EventKind.SYMPTOM and symptom_counts(b, e))
            or e.kind == EventKind.LOADED
            or (e.kind == EventKind.CLOCK_LOST and b.symptom_s != 0)
        )
        and (a.symptom <= b.symptom or (e.kind == EventKind.SYMPTOM and symptom_counts(b, e)))
        and (
            a.advice_due <= b.advice_due
            or (e.kind == EventKind.SYMPTOM and symptom_counts(b, e) and e.symptom != Symptom.PAIN)
            or (e.kind == EventKind.LOADED and e.advice_due != 0)
        )
        and (e.kind != EventKind.SYMPTOM or not symptom_counts(b, e) or e.symptom == Symptom.PAIN or a.advice_due == 1)
    )


@proves("SR-INT-1", "SR-INT-2")
def clock_is_set_soundly(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """The clock is set past the last record, over a day only with the button; nothing else mends it."""
    return (
        e.kind != EventKind.SET_CLOCK
        or r.verdict != Verdict.APPLIED
        or (
            e.utc_s >= e.clock_floor_s
            and (e.pressed != 0 or apart(e.utc_s, e.clock_now_s) <= k.clock_jump_max_s)
            and b.state in (at.IDLE, at.OPEN)
            and r.effects == Effect.SET_CLOCK
            and a.clock == Clock.SOUND
        )
    ) and (
        a.clock == b.clock
        or (e.kind == EventKind.SET_CLOCK and a.clock == Clock.SOUND)
        or (e.kind == EventKind.CLOCK_LOST and a.clock == Clock.LOST)
        or (e.kind == EventKind.CLOCK_BACK and a.clock == Clock.BACK and b.clock == Clock.SOUND)
    )


@proves("SR-INT-1")
def turned_clock_locks(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A clock that moved back is known from then on."""
    return e.kind != EventKind.CLOCK_BACK or a.clock != Clock.SOUND


# Power-up


@proves("SR-RST-1", "SR-RST-3", "SR-POST-1")
def loading_keeps(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Power-up loads the ledger once, keeps its fault, and leads to the self-test, or stays locked."""
    return (
        (e.kind != EventKind.LOADED or b.state != at.BOOT or (a.state in (at.SELF_TEST, at.LOCKED)))
        and (
            e.kind != EventKind.LOADED
            or b.state != at.BOOT
            or (a.boot_id == e.boot_id and (e.reason == Reason.NONE or a.fault != Reason.NONE))
        )
        and (b.state != at.BOOT or a.state == at.BOOT or e.kind == EventKind.LOADED)
        and (b.state == at.BOOT or a.boot_id == b.boot_id)
    )


SESSIONS: Final[tuple[Property, ...]] = (
    opening_needs_conditions, lease_is_within, session_begins_by_opening, session_ends_written, session_survives,
    owner_changes_by_adoption, session_time_runs_down, session_time_is_kept, session_over_closes, clock_closes,
    close_is_written, open_comes_from, commands_are_the_owners, strangers_are_refused, wait_runs_down,
    wait_begins_by_touch, lost_clock_starts_again, late_strokes_count, symptom_wait_runs_down,
    symptom_begins_by_report, clock_is_set_soundly, turned_clock_locks, loading_keeps,
)  # fmt: skip
