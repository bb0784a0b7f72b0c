"""Rows of the pen itself: power-up, self-test, faults and how they clear, the clock, time that runs."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import blocks as b
from dermalink_simulator.therapy import checks as c
from dermalink_simulator.therapy import guards as g
from dermalink_simulator.therapy import updates as u
from dermalink_simulator.therapy import updates_wait as w
from dermalink_simulator.therapy.answer import Effect
from dermalink_simulator.therapy.events import EventKind as E
from dermalink_simulator.therapy.groups import (
    ALL,
    BOOT,
    CLOSING,
    FAULT,
    IDLE,
    LOCKED,
    OPEN,
    SELF_TEST,
    STOPPING,
    WITH_SESSION,
)
from dermalink_simulator.therapy.row import Block, Row, no, on

TESTS: Final[Block] = {"timer_ms": u.test_time, "self_tested": u.zero}
LOADED: Final[Block] = {
    "boot_id": u.boot_given, "wait_s": w.loaded_wait, "symptom_s": w.loaded_symptom, "advice_due": w.loaded_advice,
    "fault": u.loaded_fault, "reason": u.loaded_fault,
}  # fmt: skip
POWER_UP: Final = [
    on("SR-RST-1 SR-RST-3", (BOOT,), (E.LOADED,), g.loaded_service, LOCKED, LOADED),
    on("SR-POST-1", (BOOT,), (E.LOADED,), g.always, SELF_TEST, LOADED, TESTS, effects=int(Effect.START_SELF_TEST)),
]

PASSED: Final[Block] = {"timer_ms": u.zero, "self_tested": u.one}
FAILED: Final[Block] = {"fault": u.test_failed, "reason": u.test_failed, "goal": u.fault}
LATE: Final[Block] = {"fault": u.test_late, "reason": u.test_late, "goal": u.fault}
SELF_TESTS: Final = [
    no("SR-POST-1", (IDLE, FAULT), (E.RUN_SELF_TEST, E.ACKNOWLEDGE_FAULT), c.in_touch, Reason.IN_CONTACT),
    on("SR-POST-1", (IDLE,), (E.RUN_SELF_TEST,), g.always, SELF_TEST, TESTS, b.COMMAND,
       effects=int(Effect.START_SELF_TEST)),
    on("SR-POST-1", (SELF_TEST,), (E.SELF_TEST_DONE,), g.tested_sound, IDLE, PASSED),
    on("SR-POST-1 SR-RST-3", (SELF_TEST,), (E.SELF_TEST_DONE,), g.tested_faulty, FAULT, PASSED),
    on("SR-POST-1", (SELF_TEST,), (E.SELF_TEST_DONE,), g.always, STOPPING, FAILED, b.STOPPING,
       effects=int(Effect.WRITE_FAULT)),
    on("SR-POST-1", (SELF_TEST,), (E.TICK,), g.time_over, STOPPING, b.CLOCK, LATE, b.STOPPING,
       effects=int(Effect.WRITE_FAULT)),
]  # fmt: skip

PRESS: Final = (E.BUTTON,)
CLOSES: Final[Block] = {"writing": u.write_close}
FAULTS: Final = [
    no("SR-SES-1", (FAULT,), (E.ACKNOWLEDGE_FAULT,), g.owned_by_other, Reason.NOT_OWNER),
    no("SR-RST-3", (FAULT,), (E.ACKNOWLEDGE_FAULT,), g.other_fault, Reason.FAULT_LATCHED),
    on("SR-RST-3", (FAULT,), (E.ACKNOWLEDGE_FAULT,), g.always, SELF_TEST, TESTS, b.COMMAND,
       effects=int(Effect.START_SELF_TEST)),
    on("SR-RST-3", (FAULT,), PRESS, g.cleared_open, OPEN, b.CLEARED, effects=int(Effect.WRITE_CLEARED)),
    on("SR-RST-3", (FAULT,), PRESS, g.cleared_over, CLOSING, b.CLEARED, CLOSES,
       effects=int(Effect.WRITE_CLEARED | Effect.WRITE_CLOSE)),
    on("SR-RST-3", (FAULT,), PRESS, g.cleared, IDLE, b.CLEARED, effects=int(Effect.WRITE_CLEARED)),
    no("SR-RST-3", (FAULT,), PRESS, g.always, Reason.SELF_TEST_DUE),
]  # fmt: skip

SET: Final = (E.SET_CLOCK,)
SOUND: Final[Block] = {"clock": u.zero}
CLOCK: Final = [
    no("SR-INT-2", (IDLE, OPEN), SET, g.before_record, Reason.CLOCK_BEFORE_RECORD),
    no("SR-INT-2", (IDLE, OPEN), SET, g.jump_unpressed, Reason.CLOCK_JUMP_NEEDS_PRESS),
    on("SR-INT-2", (IDLE, OPEN), SET, g.always, None, SOUND, b.COMMAND, effects=int(Effect.SET_CLOCK)),
]

RAN: Final[Block] = {"wait_s": w.ran, "symptom_s": w.ran}
TIME: Final = [
    on("SR-INT-2 SR-SYM-1", tuple(state for state in ALL if state != BOOT), (E.TIME_RAN,), g.always, None, RAN),
    on("SR-STOP-1 SR-SES-1", WITH_SESSION, (E.TICK,), g.always, None, b.CLOCK),
]

ROWS: Final[tuple[Row, ...]] = (*POWER_UP, *SELF_TESTS, *FAULTS, *CLOCK, *TIME)
