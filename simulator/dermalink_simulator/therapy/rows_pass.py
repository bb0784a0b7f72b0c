"""Rows of a pass: prepare, begin, press, write, spin up, contact, lift, budget, pause, resume, end."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import blocks as b
from dermalink_simulator.therapy import checks as c
from dermalink_simulator.therapy import guards as g
from dermalink_simulator.therapy import updates as u
from dermalink_simulator.therapy import updates_pass as p
from dermalink_simulator.therapy.answer import Effect
from dermalink_simulator.therapy.events import EventKind as E
from dermalink_simulator.therapy.groups import (
    ARMED,
    CLOSING,
    FAULT,
    IDLE,
    LIFTED,
    LOCKED,
    OPEN,
    PAUSED,
    PREPARED,
    RECORDING,
    RUNNING,
    SPIN_UP,
    STARTING,
    STOP_FAILED,
    STOPPING,
    WAITING,
)
from dermalink_simulator.therapy.row import Block, Row, no, on
from dermalink_simulator.therapy.state import MOVING

START: Final = (E.BEGIN_PASS, E.RESUME_PASS)
PRESS: Final = (E.BUTTON,)

FRAMES: Final = [
    no("SR-DEPTH-8", (WAITING, RECORDING, *MOVING, STOPPING, PAUSED), (E.PREPARE,), g.always, Reason.PASS_IN_PROGRESS),
    no("SR-PASS-2", (OPEN, PREPARED), (E.RESUME_PASS,), g.always, Reason.NO_PASS),
    no("SR-DEPTH-8", (OPEN,), (E.BEGIN_PASS,), g.always, Reason.NO_PASS),
    no("SR-DEPTH-8", (PREPARED,), (E.BEGIN_PASS,), c.frame_other, Reason.WRONG_FRAME),
    no("SR-PASS-2", (PAUSED,), (E.RESUME_PASS,), g.resumes_used_up, Reason.RESUMES_USED_UP),
]

READY: Final = (OPEN, PREPARED, PAUSED)
CONDITIONS: Final = [
    no("SR-SYM-1", READY, STARTING, g.symptom_locked, Reason.SYMPTOM_LOCK),
    no("SR-CART-2", READY, STARTING, c.clock_unset, Reason.CLOCK_LOST),
    no("SR-DEPTH-5", READY, STARTING, c.accuracy_undeclared, Reason.ACCURACY_UNDECLARED),
    no("SR-PWR-1", READY, STARTING, c.battery_low, Reason.BATTERY_LOW),
    no("SR-PWR-1", READY, STARTING, c.supplied, Reason.SUPPLY_PRESENT),
    no("SR-CAL-1", READY, STARTING, g.conditioned, u.refused_condition),
    no("SR-CART-2", READY, STARTING, c.head_unfit, u.refused_head),
    no("SR-CART-2", READY, STARTING, c.head_expired, Reason.CARTRIDGE_EXPIRED),
    no("SR-CART-4", READY, STARTING, c.head_worn_out, Reason.CARTRIDGE_WORN_OUT),
]

ASK: Final = (E.PREPARE,)
PREPARES: Final = [
    no("SR-DEPTH-3", READY, ASK, c.zone_unknown, Reason.UNKNOWN_ZONE),
    no("SR-PASS-1", READY, ASK, c.direction_unknown, Reason.UNKNOWN_DIRECTION),
    no("SR-DEPTH-1", READY, ASK, c.over_cap, Reason.DEPTH_OVER_CAP),
    no("SR-DEPTH-1", READY, ASK, c.under_min, Reason.DEPTH_UNDER_MIN),
    no("SR-DEPTH-1", READY, ASK, c.off_step, Reason.DEPTH_OFF_STEP),
    no("SR-DEPTH-3", READY, ASK, c.over_zone_cap, Reason.DEPTH_OVER_ZONE_CAP),
    no("SR-DEPTH-8", READY, ASK, c.head_other, Reason.CARTRIDGE_CHANGED),
    no("SR-DEPTH-2", READY, ASK, c.over_reach, Reason.DEPTH_OVER_CARTRIDGE),
    no("SR-DEPTH-3 SR-CART-2", READY, ASK, c.needs_stamp, Reason.ZONE_NEEDS_STAMP),
    no("SR-RATE-1", READY, ASK, c.rate_wrong, Reason.RATE_OUT_OF_RANGE),
    no("SR-PASS-6", READY, ASK, c.speed_wrong, Reason.SPEED_OUT_OF_RANGE),
    no("SR-PASS-6", READY, ASK, c.too_dense, Reason.DENSITY_TOO_HIGH),
    no("SR-PASS-1", READY, ASK, c.pass_made, Reason.PASS_ALREADY_MADE),
    no("SR-PASS-3", READY, ASK, c.zone_full, Reason.ZONE_FULL),
    on("SR-DEPTH-8", (OPEN, PREPARED), ASK, g.always, PREPARED, b.FRAME, b.COMMAND),
]

TO_PRESS: Final[Block] = {"timer_ms": u.press_time}
STARTS: Final = [
    on("SR-DEPTH-8 SR-STOP-5", (PREPARED,), (E.BEGIN_PASS,), c.frame_startable, WAITING, TO_PRESS, b.COMMAND),
    on("SR-PASS-2 SR-STOP-5", (PAUSED,), (E.RESUME_PASS,), c.frame_resumable, WAITING, TO_PRESS, b.COMMAND),
]

SPIN: Final[Block] = {"timer_ms": u.spin_time, "pass_ms": u.zero, "reason": u.no_reason}
RESUMED: Final[Block] = {"resumes": p.one_more}
PRESSES: Final = [
    no("SR-SES-1", (WAITING,), PRESS, g.session_over, Reason.SESSION_OVER),
    no("SR-STOP-1", (WAITING,), PRESS, g.no_lease, Reason.LEASE_LAPSED),
    no("SR-CART-2", (WAITING,), PRESS, c.clock_unset, Reason.CLOCK_LOST),
    no("SR-PWR-1", (WAITING,), PRESS, c.battery_low, Reason.BATTERY_LOW),
    no("SR-PWR-1", (WAITING,), PRESS, c.supplied, Reason.SUPPLY_PRESENT),
    no("SR-CAL-1", (WAITING,), PRESS, g.conditioned, u.refused_condition),
    no("SR-CART-2", (WAITING,), PRESS, c.head_expired, Reason.CARTRIDGE_EXPIRED),
    on("SR-STOP-5 SR-CART-1 SR-PASS-3", (WAITING,), PRESS, g.fresh, RECORDING, b.SPEND,
       effects=int(Effect.WRITE_BEGIN)),
    on("SR-STOP-5 SR-PASS-2", (WAITING,), PRESS, c.frame_resumable, SPIN_UP, SPIN, RESUMED),
]  # fmt: skip

INTERRUPT: Final[Block] = {"timer_ms": u.zero, "goal": u.zero, "pass_ms": u.resume_time}
LAPSED: Final[Block] = {"reason": u.lapsed_or_over}
NEXT_END: Final[Block] = {"written": u.one, "writing": u.write_end, "timer_ms": u.zero}
NEXT_CLOSE: Final[Block] = {"goal": u.zero, "writing": u.write_close, "session_left_ms": u.zero}
DONE: Final = (E.FLASH_DONE,)
WRITES: Final = [
    no("SR-CART-1", (RECORDING,), DONE, g.other_write, Reason.WRONG_STATE),
    on("SR-STOP-2", (RECORDING,), DONE, g.to_service, LOCKED, b.OVER, b.AT_REST),
    on("SR-CART-1", (RECORDING,), DONE, g.write_failed, FAULT, b.FLASH_FAILED, b.OVER, b.AT_REST,
       effects=int(Effect.WRITE_FAULT)),
    on("SR-STOP-2", (RECORDING,), DONE, g.to_fault, FAULT, b.DROP, b.AT_REST),
    on("SR-PASS-3", (RECORDING,), DONE, g.end_written, OPEN, b.GIVE_BACK, b.AT_REST),
    on("SR-PASS-3", (RECORDING,), DONE, g.end_written_close, CLOSING, b.GIVE_BACK, NEXT_CLOSE,
       effects=int(Effect.WRITE_CLOSE)),
    on("SR-CART-1 SR-PASS-3 SR-RATE-1", (RECORDING,), DONE, g.begin_written, SPIN_UP, b.WRITTEN, SPIN),
    on("SR-STOP-1", (RECORDING,), DONE, g.begin_written_lapsed, PAUSED, INTERRUPT, LAPSED, b.WRITTEN),
    on("SR-PASS-2", (RECORDING,), DONE, g.to_pause, PAUSED, INTERRUPT, b.WRITTEN),
    on("SR-PASS-2", (RECORDING,), DONE, g.always, None, NEXT_END, effects=int(Effect.WRITE_END)),
]  # fmt: skip

TICK: Final = (E.TICK,)
TO_IDLE: Final[Block] = {"timer_ms": u.idle_time}
TO_LIFT: Final[Block] = {"timer_ms": u.lift_time}
TO_RETURN: Final[Block] = {"timer_ms": u.return_time}
PAUSES: Final[Block] = {"goal": u.pause}
IDLED: Final[Block] = {"reason": u.idled, **PAUSES}
LIFTS: Final[Block] = {"reason": u.lifted, **PAUSES}
ENDS: Final[Block] = {"goal": u.end}
TOO_LATE: Final[Block] = {"reason": u.resumed_too_late, **ENDS}
UNPRESSED: Final[Block] = {"reason": u.unpressed}
STALE: Final[Block] = {"reason": u.written_late, **PAUSES}
NO_TIMER: Final[Block] = {"timer_ms": u.zero}
MOTION: Final = [
    on("SR-RATE-1", (SPIN_UP,), TICK, g.time_over, ARMED, b.CLOCK, TO_IDLE),
    on("SR-STOP-6 SR-PASS-2 SR-INT-1", (ARMED, LIFTED), TICK, g.in_contact, RUNNING, b.CLOCK, TO_LIFT, b.TOUCH),
    on("SR-STOP-6", (RUNNING,), TICK, g.in_contact, None, b.CLOCK, TO_LIFT),
    on("SR-STOP-6", (ARMED,), TICK, g.time_over, STOPPING, b.CLOCK, b.STOPPING, IDLED),
    on("SR-STOP-6", (RUNNING,), TICK, g.time_over, LIFTED, b.CLOCK, TO_RETURN),
    on("SR-STOP-6", (LIFTED,), TICK, g.time_over, STOPPING, b.CLOCK, b.STOPPING, LIFTS),
    on("SR-PASS-2", (PAUSED, WAITING), TICK, g.resume_over, RECORDING, b.CLOCK, b.ENDING, TOO_LATE,
       effects=int(Effect.WRITE_END)),
    on("SR-STOP-5", (WAITING,), TICK, g.time_over_fresh, PREPARED, b.CLOCK, NO_TIMER, UNPRESSED),
    on("SR-STOP-5", (WAITING,), TICK, g.time_over, PAUSED, b.CLOCK, NO_TIMER, UNPRESSED),
    on("SR-STOP-5", (RECORDING,), TICK, g.press_old, None, b.CLOCK, STALE),
]  # fmt: skip

STRUCK: Final = (E.STROKES,)
BUDGET: Final[Block] = {"reason": u.budget_spent, **ENDS}
WORN: Final[Block] = {"reason": u.worn_out, **ENDS}
STROKES: Final = [
    on("SR-CART-4 SR-PASS-3", MOVING, STRUCK, g.head_worn, STOPPING, b.STROKE, b.STOPPING, WORN),
    on("SR-PASS-3", MOVING, STRUCK, g.budget_reached, STOPPING, b.STROKE, b.STOPPING, BUDGET),
    on("SR-PASS-3 SR-INT-1", MOVING, STRUCK, g.always, None, b.STROKE),
    on("SR-PASS-3", (STOPPING,), STRUCK, g.budget_reached_framed, None, b.STROKE, ENDS),
    on("SR-PASS-3 SR-INT-1", (STOPPING,), STRUCK, g.has_frame, None, b.STROKE),
    on("SR-INT-1", (STOP_FAILED,), STRUCK, g.always, None, b.STROKE_LATE),
]

IN: Final = (E.MEASURED_IN,)
STOPPED: Final = [
    on("SR-STOP-2", (STOPPING,), IN, g.to_rest_faulty, FAULT, b.AT_REST),
    on("SR-STOP-2", (STOPPING,), IN, g.to_rest, IDLE, b.AT_REST),
    on("SR-STOP-2 SR-PASS-2", (STOPPING,), IN, g.to_pause, PAUSED, INTERRUPT),
    on("SR-STOP-2 SR-PASS-3", (STOPPING,), IN, g.to_end_or_close, RECORDING, b.ENDING, effects=int(Effect.WRITE_END)),
    on("SR-STOP-2 SR-RST-3", (STOPPING,), IN, g.to_service, LOCKED, b.OVER, b.AT_REST),
    on("SR-STOP-2 SR-RST-3", (STOPPING,), IN, g.always, FAULT, b.DROP, b.AT_REST),
]

ROWS: Final[tuple[Row, ...]] = (
    *FRAMES,
    *CONDITIONS,
    *PREPARES,
    *STARTS,
    *PRESSES,
    *WRITES,
    *MOTION,
    *STROKES,
    *STOPPED,
)
