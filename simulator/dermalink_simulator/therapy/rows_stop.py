"""Rows of what stops: they stand first, so that nothing is asked before them.

Each family says what one kind of cause does in every state: it ends the pass, pauses it, closes the session, or latches
a fault. Motion always goes through STOPPING, which only "measured in" leaves.
"""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import blocks as b
from dermalink_simulator.therapy import guards as g
from dermalink_simulator.therapy import updates as u
from dermalink_simulator.therapy.answer import Effect
from dermalink_simulator.therapy.events import EventKind as E
from dermalink_simulator.therapy.groups import (
    ALL,
    BOOT,
    CLOSING,
    DEAD,
    FAULT,
    IDLE,
    INTERRUPTED,
    LOCKED,
    OPEN,
    OPENING,
    PAUSED,
    PREPARED,
    RAISING,
    RECORDING,
    REDUCING,
    SELF_TEST,
    STOP_FAILED,
    STOPPING,
    WAITING,
    WITH_SESSION,
)
from dermalink_simulator.therapy.row import Block, Guard, Row, no, on
from dermalink_simulator.therapy.state import MOVING

CAUSED: Final[Block] = {"reason": u.caused}
TO_END: Final[Block] = {"goal": u.end, "reason": u.caused_end}
TO_PAUSE: Final[Block] = {"goal": u.pause, "reason": u.caused_pause}
TO_CLOSE: Final[Block] = {"goal": u.close, "reason": u.caused_close, "session_left_ms": u.zero}
TO_REST: Final[Block] = {"goal": u.rest, "reason": u.caused}
TO_FAULT: Final[Block] = {"goal": u.fault}
CLOSES: Final[Block] = {"writing": u.write_close, "session_left_ms": u.zero}
EXPIRED: Final[Block] = {"session_left_ms": u.zero}
"""The session's time is over: it closes as soon as it can."""


def _ends(sr: str, events: tuple[E, ...], guard: Guard, fresh: Guard, *extra: Block, effects: int = 0) -> list[Row]:
    """What ends the pass: whatever has touched skin is used, what is left of its budget comes back when written."""
    end = int(Effect.WRITE_END)
    return [
        on(sr, MOVING, events, guard, STOPPING, b.STOPPING, TO_END, *extra, effects=effects),
        on(sr, (RECORDING,), events, guard, None, TO_END, *extra, effects=effects),
        on(sr, (PREPARED,), events, guard, OPEN, b.DROP, CAUSED, *extra, effects=effects),
        on(sr, (WAITING,), events, fresh, OPEN, b.DROP, CAUSED, *extra, effects=effects),
        on(sr, INTERRUPTED, events, guard, RECORDING, b.ENDING, TO_END, *extra, effects=effects | end),
    ]


STRANGERS: Final = [
    no("SR-SEC-1", ALL, (*RAISING, *REDUCING, E.RENEW_LEASE), g.stranger, Reason.NOT_AUTHENTICATED),
    no("SR-SES-1", ALL, (E.CLOSE_SESSION, E.PAUSE_PASS, E.END_PASS), g.wrong_session, Reason.WRONG_SESSION),
    no("SR-SES-1", ALL, (E.CLOSE_SESSION, E.PAUSE_PASS, E.END_PASS), g.owned_by_other, Reason.NOT_OWNER),
]
"""Who may not even stop a pass by a command of a session; STOP itself is everybody's."""

SYMPTOMS: Final = [
    *_ends("SR-SYM-1 SR-STOP-4", (E.SYMPTOM,), g.locks, g.locks_fresh, b.LATCH, effects=int(Effect.WRITE_SYMPTOM)),
    on("SR-SYM-1", (SELF_TEST,), (E.SYMPTOM,), g.locks, STOPPING, b.STOPPING, TO_REST, b.LATCH,
       effects=int(Effect.WRITE_SYMPTOM)),
    on("SR-SYM-1", (STOPPING,), (E.SYMPTOM,), g.to_rest_locks, None, b.LATCH, effects=int(Effect.WRITE_SYMPTOM)),
    on("SR-SYM-1", (STOPPING,), (E.SYMPTOM,), g.locks, None, TO_END, b.LATCH, effects=int(Effect.WRITE_SYMPTOM)),
    on("SR-SYM-1", (BOOT, IDLE, OPENING, OPEN, CLOSING, FAULT, *DEAD), (E.SYMPTOM,), g.locks, None, b.LATCH,
       effects=int(Effect.WRITE_SYMPTOM)),
]  # fmt: skip

STOPS: Final = [
    *_ends("SR-STOP-4 SR-PASS-2", (E.STOP, E.SYMPTOM), g.always, g.fresh),
    on("SR-STOP-4", (SELF_TEST,), (E.STOP, E.SYMPTOM), g.always, STOPPING, b.STOPPING, TO_REST),
    on("SR-STOP-4", (STOPPING,), (E.STOP, E.SYMPTOM), g.to_rest, None),
    on("SR-STOP-4", (STOPPING,), (E.STOP, E.SYMPTOM), g.always, None, TO_END),
    on("SR-STOP-4", ALL, (E.STOP, E.SYMPTOM), g.always, None),
]

FAULTS: Final = [
    on("SR-STOP-2 SR-RST-3", (*MOVING, SELF_TEST), (E.FAULT,), g.always, STOPPING, b.STOPPING, b.FAULTED, TO_FAULT,
       effects=int(Effect.WRITE_FAULT)),
    on("SR-STOP-2 SR-RST-3", (STOPPING, OPENING, RECORDING, CLOSING), (E.FAULT,), g.always, None, b.FAULTED, TO_FAULT,
       effects=int(Effect.WRITE_FAULT)),
    on("SR-RST-3", (BOOT, *DEAD), (E.FAULT,), g.always, None, b.FAULTED, effects=int(Effect.WRITE_FAULT)),
    on("SR-RST-3", ALL, (E.FAULT,), g.needs_service, LOCKED, b.FAULTED, b.OVER, effects=int(Effect.WRITE_FAULT)),
    on("SR-RST-3", ALL, (E.FAULT,), g.always, FAULT, b.FAULTED, b.DROP, effects=int(Effect.WRITE_FAULT)),
]  # fmt: skip

HEADS: Final = [
    *_ends("SR-CART-3 SR-PASS-2", (E.HEAD,), g.always, g.fresh, b.SEAT),
    on("SR-CART-3", (STOPPING,), (E.HEAD,), g.to_rest, None, b.SEAT),
    on("SR-CART-3", (STOPPING,), (E.HEAD,), g.always, None, TO_END, b.SEAT),
    on("SR-CART-3", ALL, (E.HEAD,), g.always, None, b.SEAT),
]

DETECTED: Final = [
    on("SR-PASS-5 SR-STOP-2", MOVING, (E.DETECTED_STOP,), g.always, STOPPING, b.STOPPING, TO_END),
    on("SR-PASS-5", (STOPPING,), (E.DETECTED_STOP,), g.to_pause, None, TO_END),
    on("SR-PASS-5", (RECORDING,), (E.DETECTED_STOP,), g.always, None, TO_END),
    on("SR-PASS-4 SR-PASS-5 SR-RATE-1", MOVING, (E.DETECTED_PAUSE,), g.always, STOPPING, b.STOPPING, TO_PAUSE),
]

BUTTON: Final = [
    on("SR-STOP-6", MOVING, (E.BUTTON,), g.always, STOPPING, b.STOPPING, TO_PAUSE),
    on("SR-STOP-6", (RECORDING,), (E.BUTTON,), g.always, None, TO_PAUSE),
    on("SR-STOP-6", (SELF_TEST,), (E.BUTTON,), g.always, STOPPING, b.STOPPING, TO_REST),
]

LINK: Final = [
    on("SR-SES-1 SR-PASS-2", MOVING, (E.LINK_LOST,), g.from_owner, STOPPING, b.STOPPING, TO_PAUSE, b.ORPHAN),
    on("SR-SES-1", (RECORDING,), (E.LINK_LOST,), g.from_owner, None, TO_PAUSE, b.ORPHAN),
    on("SR-SES-1", (PREPARED,), (E.LINK_LOST,), g.from_owner, OPEN, b.DROP, CAUSED, b.ORPHAN),
    on("SR-SES-1", (WAITING,), (E.LINK_LOST,), g.fresh_from_owner, OPEN, b.DROP, CAUSED, b.ORPHAN),
    on("SR-SES-1", (WAITING,), (E.LINK_LOST,), g.from_owner, PAUSED, b.AT_REST, CAUSED, b.ORPHAN),
    on("SR-SES-1", WITH_SESSION, (E.LINK_LOST,), g.from_owner, None, b.ORPHAN),
]


def _closes(sr: str, events: tuple[E, ...], guard: Guard, fresh: Guard, *extra: Block) -> list[Row]:
    """What closes the session, where motion, writes and passes stand in the way or do not."""
    return [
        on(sr, MOVING, events, guard, STOPPING, b.STOPPING, TO_CLOSE, *extra),
        on(sr, (OPEN, PREPARED), events, guard, CLOSING, b.DROP, CAUSED, CLOSES, *extra,
           effects=int(Effect.WRITE_CLOSE)),
        on(sr, (WAITING,), events, fresh, CLOSING, b.DROP, CAUSED, CLOSES, *extra, effects=int(Effect.WRITE_CLOSE)),
        on(sr, INTERRUPTED, events, guard, RECORDING, b.ENDING, TO_CLOSE, *extra, effects=int(Effect.WRITE_END)),
    ]  # fmt: skip


def _closes_later(sr: str, events: tuple[E, ...], *extra: Block) -> list[Row]:
    """The same, where something has to end first."""
    return [
        on(sr, (OPENING, RECORDING), events, g.always, None, TO_CLOSE, *extra),
        on(sr, (STOPPING,), events, g.to_rest, None, EXPIRED, *extra),
        on(sr, (STOPPING,), events, g.has_session, None, TO_CLOSE, *extra),
        on(sr, (FAULT, SELF_TEST), events, g.always, None, EXPIRED, *extra),
        on(sr, (CLOSING,), events, g.always, None, *extra),
    ]


CLOSE: Final = [
    *_closes("SR-SES-1", (E.CLOSE_SESSION,), g.always, g.fresh),
    *_closes_later("SR-SES-1", (E.CLOSE_SESSION,)),
]

CLOCKS: Final = [
    *_closes("SR-SES-1 SR-INT-2", (E.CLOCK_LOST,), g.always, g.fresh, b.LOST),
    *_closes_later("SR-SES-1 SR-INT-2", (E.CLOCK_LOST,), b.LOST),
    on("SR-INT-2", ALL, (E.CLOCK_LOST,), g.always, None, b.LOST),
    *_closes("SR-SES-1 SR-INT-1", (E.CLOCK_BACK,), g.always, g.fresh, b.BACK),
    *_closes_later("SR-SES-1 SR-INT-1", (E.CLOCK_BACK,), b.BACK),
    on("SR-INT-1", ALL, (E.CLOCK_BACK,), g.always, None, b.BACK),
]

PASS_COMMANDS: Final = [
    *_ends("SR-PASS-2", (E.END_PASS,), g.always, g.fresh),
    on("SR-PASS-2", (STOPPING,), (E.END_PASS,), g.has_frame, None, TO_END),
    on("SR-PASS-2", MOVING, (E.PAUSE_PASS,), g.always, STOPPING, b.STOPPING, TO_PAUSE),
    on("SR-PASS-2", (RECORDING,), (E.PAUSE_PASS,), g.always, None, TO_PAUSE),
    on("SR-PASS-2", (WAITING,), (E.PAUSE_PASS,), g.fresh, PREPARED, b.AT_REST, CAUSED),
    on("SR-PASS-2", (WAITING,), (E.PAUSE_PASS,), g.always, PAUSED, b.AT_REST, CAUSED),
    on("SR-PASS-2", (STOPPING, PAUSED), (E.PAUSE_PASS,), g.has_frame, None),
    no("SR-PASS-2", (OPEN, PREPARED, STOPPING), (E.PAUSE_PASS, E.END_PASS), g.always, Reason.NO_PASS),
]

LAPSED: Final[Block] = {"reason": u.lapsed}
LEASE_RUNS: Final[Block] = {"lease_left_ms": u.left}
TICKS: Final = [
    on("SR-STOP-8", (STOPPING,), (E.TICK,), g.time_over, STOP_FAILED, b.OVER, b.STOP_FAILED,
       effects=int(Effect.WRITE_FAULT)),
    on("SR-STOP-1", MOVING, (E.TICK,), g.lease_over, STOPPING, b.CLOCK, b.STOPPING, TO_PAUSE, LAPSED),
    *_closes("SR-SES-1", (E.TICK,), g.session_ends, g.session_ends_fresh, LEASE_RUNS),
]  # fmt: skip

ROWS: Final[tuple[Row, ...]] = (
    *TICKS,
    *STRANGERS,
    *SYMPTOMS,
    *STOPS,
    *FAULTS,
    *HEADS,
    *DETECTED,
    *BUTTON,
    *LINK,
    *CLOSE,
    *CLOCKS,
    *PASS_COMMANDS,
)
