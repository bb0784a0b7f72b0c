"""The therapy core's state: one flat record of unsigned integers, and what its small numbers mean.

"No reason" is the code word `Reason.NONE`; any other field that means nothing in a state is zero there, as the field's
sentence says and `invariant.py` proves. Times are milliseconds left and stop at 0; waits are seconds left.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.wire import U8, U16, U32
from dermalink_simulator.therapy.widths import RING_CELLS, ZONE_CELLS, Bits8, RingU32, ZoneBits, ZoneU32


class Goal(IntEnum):
    """Where STOPPING, or a write under way, leads; the greater one wins, and nothing leads away from FAULT."""

    GO = 0
    REST = 1
    PAUSE = 2
    END = 3
    CLOSE = 4
    FAULT = 5


class Write(IntEnum):
    """Which write the core waits for."""

    NONE = 0
    OPEN = 1
    BEGIN = 2
    END = 3
    CLOSE = 4


class Clock(IntEnum):
    """What is wrong with the pen's clock, if anything."""

    SOUND = 0
    LOST = 1
    BACK = 2


class TherapyState(NamedTuple):
    """Everything that decides whether needles move.

    Machine
      state            a code word of `State`.
      reason           why it last refused to go on, paused, stopped or latched: a code word of `Reason`, or NONE.
      goal             a `Goal`: in STOPPING 1 to 5, in OPENING, RECORDING and CLOSING 0 to 5, zero elsewhere.
      timer_ms         of the state: SELF_TEST until it counts as failed; WAITING for the press; RECORDING a begin
                       until the press is no longer fresh; SPIN_UP until armed;
                       ARMED without contact; RUNNING out of contact (whole while in contact); LIFTED until a pause;
                       STOPPING until "stop failed". Zero elsewhere.
      writing          a `Write`: OPEN in OPENING, BEGIN or END in RECORDING, CLOSE in CLOSING, zero elsewhere.
      fault            the latched fault's code word; not NONE in FAULT, LOCKED, STOP_FAILED and on the way there;
                       may also be latched during SELF_TEST.
      self_tested      1: a self-test passed since power-up, since the last session and since the last fault.
    Waits (all states; the ledger keeps them over power-off)
      wait_s           until a session may be opened; whole at every stroke, shorter only by TIME_RAN.
      symptom_s        the same after a symptom.
      advice_due       1: bleeding or rash was reported, and no clinician's advice is recorded since.
      clock            a `Clock`.
      boot_id          this power-up's; zero in BOOT.
    Session (zero with no session; none in BOOT, IDLE, LOCKED, STOP_FAILED)
      session_id       the open session's number.
      owner            its connection: port + 1; 0 is ownerless, or no session.
      session_left_ms  until it is over.
      lease_ms         the lease that was asked for; 100 to 1000.
      lease_left_ms    of the running lease, at most lease_ms.
      symptom          1: a symptom was reported in this session: no pass any more.
      frame_id         the newest frame's number; counts on in a session, 65535 is followed by 1.
      done             for each zone (index is `Zone`, cell 0 unused) a bit for each direction whose pass touched skin.
      spent            for each zone the punctures that are booked as made; an open pass is booked whole.
    Head (zero without one that is fit for therapy)
      head_verdict     NONE: fit; else why the seated head is refused, CARTRIDGE_ABSENT without one.
      tag_low/high     the tag's identity, low and high half of its eight bytes read as a little-endian number.
      head_kind        a `Head`, as a bit.
      head_needles     1 to 16.
      head_width_um    at least 1.
      head_reach_um    greatest possible protrusion, tolerance included; at most 500.
      head_tolerance_um drive and head together; 1 to 50.
      head_sterile_s   UTC until which it is sterile.
      head_strokes     strokes that it may still make.
      head_marked      1: this session has marked it used (or tried to).
    Frame (zero with none; one is held in PREPARED, WAITING, SPIN_UP to LIFTED, PAUSED, RECORDING, and in STOPPING
    unless it leads to REST or is without one)
      zone, direction, depth_um, rate_hz, speed_mm_s   as prepared.
    Pass (zero unless one is begun: as Frame, without PREPARED, and in WAITING only when it waits to resume)
      pass_left        punctures that it may still make.
      pass_ms          how long it may still be resumed: in PAUSED and WAITING, zero elsewhere.
      resumes          how often it was resumed; at most 5.
      written          1: "session begun, head used, pass and whole budget spent" is confirmed as written.
    Commands (all states)
      last_id          the newest applied command's id; grows from 0 at power-up.
      ring_at          the cell of the ring that is written next; 0 to 7.
      ring_ids, ring_digests   id and content of the last eight applied commands; 0 is an empty cell.
    """

    state: U16 = int(State.BOOT)
    reason: U16 = int(Reason.NONE)
    goal: U8 = 0
    timer_ms: U32 = 0
    writing: U8 = 0
    fault: U16 = int(Reason.NONE)
    self_tested: U8 = 0
    wait_s: U32 = 0
    symptom_s: U32 = 0
    advice_due: U8 = 0
    clock: U8 = 0
    boot_id: U32 = 0
    session_id: U32 = 0
    owner: U8 = 0
    session_left_ms: U32 = 0
    lease_ms: U16 = 0
    lease_left_ms: U16 = 0
    symptom: U8 = 0
    frame_id: U16 = 0
    done: ZoneBits = (0,) * ZONE_CELLS
    spent: ZoneU32 = (0,) * ZONE_CELLS
    head_verdict: U16 = int(Reason.CARTRIDGE_ABSENT)
    tag_low: U32 = 0
    tag_high: U32 = 0
    head_kind: Bits8 = 0
    head_needles: U8 = 0
    head_width_um: U16 = 0
    head_reach_um: U16 = 0
    head_tolerance_um: U16 = 0
    head_sterile_s: U32 = 0
    head_strokes: U32 = 0
    head_marked: U8 = 0
    zone: U8 = 0
    direction: Bits8 = 0
    depth_um: U16 = 0
    rate_hz: U8 = 0
    speed_mm_s: U8 = 0
    pass_left: U32 = 0
    pass_ms: U32 = 0
    resumes: U8 = 0
    written: U8 = 0
    last_id: U32 = 0
    ring_at: U8 = 0
    ring_ids: RingU32 = (0,) * RING_CELLS
    ring_digests: RingU32 = (0,) * RING_CELLS


POWER_UP: Final = TherapyState()

MOVING: Final = (int(State.SPIN_UP), int(State.ARMED), int(State.RUNNING), int(State.LIFTED))
"""The motor turns: "armed", in the words of the requirements. Needles are out in RUNNING alone."""
