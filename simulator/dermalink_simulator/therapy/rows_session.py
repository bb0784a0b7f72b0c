"""Rows of who may do what when: the header of commands, sessions, the lease."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import blocks as b
from dermalink_simulator.therapy import guards as g
from dermalink_simulator.therapy import guards_command as h
from dermalink_simulator.therapy import updates as u
from dermalink_simulator.therapy.answer import Effect, Verdict
from dermalink_simulator.therapy.events import EventKind as E
from dermalink_simulator.therapy.groups import (
    ALL,
    CLOSING,
    DEAD,
    FAULT,
    IDLE,
    LOCKED,
    OPEN,
    OPENING,
    OWNERS,
    PAUSED,
    RAISING,
    RENEWABLE,
    WITH_SESSION,
)
from dermalink_simulator.therapy.row import Block, Row, no, on

HEADER: Final = [
    no("SR-CMD-1", ALL, RAISING, h.no_id, Reason.COMMAND_ID_NOT_NEWER),
    no("SR-CMD-1", ALL, RAISING, h.repeated, Reason.NONE)._replace(verdict=Verdict.REPEATED),
    no("SR-CMD-1", ALL, RAISING, h.id_reused, Reason.COMMAND_ID_REUSED),
    no("SR-CMD-1", ALL, RAISING, h.id_old, Reason.COMMAND_ID_NOT_NEWER),
    no("SR-CMD-1", ALL, RAISING, h.id_far, Reason.COMMAND_ID_TOO_FAR),
    no("SR-CMD-1", ALL, RAISING, h.ttl_wrong, Reason.TTL_TOO_LONG),
    no("SR-CMD-1", ALL, RAISING, h.from_future, Reason.COMMAND_FROM_FUTURE),
    no("SR-CMD-1", ALL, RAISING, h.too_late, Reason.COMMAND_LATE),
]

BELONGING: Final = [
    no("SR-SES-1", ALL, (*OWNERS, E.ADOPT_SESSION), g.wrong_session, Reason.WRONG_SESSION),
    no("SR-SES-1", ALL, OWNERS, g.not_owner, Reason.NOT_OWNER),
    no("SR-SES-1", ALL, (E.ADOPT_SESSION,), g.owned_by_other, Reason.NOT_OWNER),
]

ASK: Final = (E.OPEN_SESSION,)
OPENINGS: Final = [
    no("SR-RST-3", DEAD, (*ASK, E.RUN_SELF_TEST, E.ACKNOWLEDGE_FAULT), g.always, Reason.LOCKED),
    no("SR-RST-3", (FAULT,), (*ASK, E.RUN_SELF_TEST), g.always, Reason.FAULT_LATCHED),
    no("SR-SES-1", WITH_SESSION, ASK, g.always, Reason.BUSY),
    no("SR-SES-1", (IDLE,), ASK, g.other_boot, Reason.WRONG_BOOT),
    no("SR-SES-1", (IDLE,), ASK, g.no_session_id, Reason.WRONG_SESSION),
    no("SR-STOP-1", (IDLE,), ASK, g.lease_wrong, Reason.LEASE_OUT_OF_RANGE),
    no("SR-INT-2", (IDLE,), ASK, g.clock_lost, Reason.CLOCK_LOST),
    no("SR-INT-1", (IDLE,), ASK, g.clock_back, Reason.CLOCK_BACK),
    no("SR-SYM-1", (IDLE,), ASK, g.symptom_locked, Reason.SYMPTOM_LOCK),
    no("SR-INT-1", (IDLE,), ASK, g.waiting_time, Reason.INTERVAL_NOT_OVER),
    no("SR-POST-1", (IDLE,), ASK, g.self_test_due, Reason.SELF_TEST_DUE),
    no("SR-RST-2", (IDLE,), ASK, g.conditioned, u.refused_condition),
    on(
        "SR-SES-1",
        (IDLE,),
        ASK,
        g.always,
        OPENING,
        b.SESSION,
        b.COMMAND,
        {"writing": u.write_open},
        effects=int(Effect.WRITE_OPEN),
    ),
]

TAKE: Final = (E.ADOPT_SESSION,)
ADOPTIONS: Final = [
    no("SR-SES-1", (OPEN, PAUSED, FAULT), TAKE, g.owned, Reason.BUSY),
    no("SR-STOP-1", (OPEN, PAUSED, FAULT), TAKE, g.lease_wrong, Reason.LEASE_OUT_OF_RANGE),
    on("SR-SES-1", (OPEN, PAUSED, FAULT), TAKE, g.always, None, b.ADOPT, b.COMMAND),
    no("SR-SES-1", ALL, TAKE, g.always, Reason.BUSY),
]

DONE: Final = (E.FLASH_DONE,)
NEXT_CLOSE: Final[Block] = {"goal": u.zero, "writing": u.write_close}
WRITES: Final = [
    no("SR-SES-1", (OPENING, CLOSING), DONE, g.other_write, Reason.WRONG_STATE),
    on("SR-STOP-2", (OPENING, CLOSING), DONE, g.to_service, LOCKED, b.OVER, b.AT_REST),
    on("SR-SES-1", (OPENING, CLOSING), DONE, g.write_failed, FAULT, b.FLASH_FAILED, b.OVER, b.AT_REST,
       effects=int(Effect.WRITE_FAULT)),
    on("SR-STOP-2", (CLOSING,), DONE, g.to_fault, FAULT, b.OVER, b.AT_REST),
    on("SR-STOP-2", (OPENING,), DONE, g.to_fault, FAULT, b.AT_REST),
    on("SR-SES-1", (OPENING,), DONE, g.to_close, CLOSING, NEXT_CLOSE, effects=int(Effect.WRITE_CLOSE)),
    on("SR-SES-1", (OPENING,), DONE, g.always, OPEN, b.AT_REST),
    on("SR-SES-1", (CLOSING,), DONE, g.always, IDLE, b.OVER, b.AT_REST),
]  # fmt: skip

KEEP: Final = (E.RENEW_LEASE,)
RENEWED: Final[Block] = {"lease_left_ms": u.renewed}
RENEWALS: Final = [
    no("SR-STOP-1", RENEWABLE, KEEP, h.from_future, Reason.COMMAND_FROM_FUTURE),
    no("SR-STOP-1", RENEWABLE, KEEP, g.renewal_stale, Reason.RENEWAL_STALE),
    on("SR-STOP-1", RENEWABLE, KEEP, g.always, None, RENEWED),
]

ROWS: Final[tuple[Row, ...]] = (*HEADER, *BELONGING, *OPENINGS, *ADOPTIONS, *WRITES, *RENEWALS)
