"""What the therapy core is told: one flat record of unsigned integers for every kind of event.

The wrapper (the firmware around the core) fills the fields that the kind's line names, and leaves the rest zero.
It judges nothing that the core can judge: limits, ages, ranges and who may do what are compared in the core.
"""

from enum import IntEnum
from typing import NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.wire import U8, U16, U32
from dermalink_simulator.therapy.widths import Bits8


class EventKind(IntEnum):
    """Kinds of event, with the fields that each reads.

    From the pen
      LOADED          the ledger was read at power-up: boot_id, wait_s, symptom_s, advice_due, and as `reason` the fault
                      that is still latched (NONE for none; after service none; STORE_UNREADABLE when the store is no
                      store). Leads to the self-test. CLOCK_LOST or CLOCK_BACK follows it where the clock is not sound,
                      TIME_RAN with what the clock ran while the pen was off, HEAD with the seated head.
      SELF_TEST_DONE  ok; if not ok, `reason` is the step's (SELF_TEST_FAILED, RETRACTION_SLOW, BUTTON_STUCK, ...).
                      Says ok only with needles measured in and motor off.
      TICK            dt_ms, contact (level, debounced). Every main loop; at most 10 ms apart while MOVING or STOPPING.
      TIME_RAN        seconds that the pen's clock really ran since the last one, also while off. Each second in a
                      session, before STROKES, so that nothing from before a stroke counts after it.
      STROKES         strokes, and punctures = those in contact x needles, since the last one. Before MEASURED_IN.
      MEASURED_IN     needles measured in and motor measured off, now; in STOPPING whenever it is so, before TICK.
      BUTTON          a press's edge, debounced. (One held for a symptom is SYMPTOM as well: port 0, UNSAID,
                      authenticated.) utc_s, battery_percent, supply, condition as for commands.
      HEAD            the seated head changed, or its tag reads differently: verdict, tag_low, tag_high, head_kind,
                      needles, width_um, reach_um, tolerance_um (drive and head together; 0: undeclared),
                      sterile_until_s, sessions_allowed, sessions_used (those that marked it, without the open one),
                      strokes_left (of the tag's own), marked (1: the open session marked it), utc_s. `verdict` is what
                      only the wrapper can see: NONE, CARTRIDGE_ABSENT, CARTRIDGE_UNREADABLE, CARTRIDGE_UNKNOWN_MAKER,
                      CARTRIDGE_BADLY_SEATED.
      FAULT           reason: monitor trips (DEPTH_EXCEEDED, DEPTH_OVER_SETTING, SENSORS_DISAGREE), RATE_OVER, STALLED,
                      WATCHDOG, MEMORY_FAULT, SENSOR_FAULT, DRIVE_FAULT, BUTTON_STUCK, ... Unknown ones need service.
      DETECTED_PAUSE  reason: DWELL, FORCE_HIGH, RATE_OFF.
      DETECTED_STOP   reason: FORCE_TOO_HIGH, BATTERY_LOW, SUPPLY_PRESENT, TEMPERATURE, ...: ends the pass.
      CLOCK_LOST      the clock stood still or was lost: ends the session, the waits start again.
      CLOCK_BACK      the clock is before the last record: ends the session.
      FLASH_DONE      write (the `Write` that ended), ok.
      LINK_LOST       port: its connection is gone, or said hello anew.
    From anybody, in the clear
      STOP            port.
      SYMPTOM         port (0: the pen's own button), symptom (a `Symptom`), authenticated.
    From a host: all with port, authenticated; those that raise exposure with the header command_id, ttl_ms, age_ms,
    future, digest
      OPEN_SESSION    header, boot_id, lease_ms, session_id (the ledger's number for the new session), condition.
      ADOPT_SESSION   header, session_id, lease_ms.
      CLOSE_SESSION   session_id.
      PREPARE         header, session_id, zone, direction, depth_um, rate_hz, speed_mm_s, tag_low, tag_high, conditions.
      BEGIN_PASS      header, session_id, frame_id, conditions.
      RESUME_PASS     header, session_id, conditions.
      PAUSE_PASS, END_PASS   session_id.
      RENEW_LEASE     session_id, age_ms, future.
      ACKNOWLEDGE_FAULT      header, reason (the fault's name), contact.
      RUN_SELF_TEST   header, contact.
      SET_CLOCK       header, utc_s (wanted), clock_now_s (0: lost), clock_floor_s (the latest of build, calibration and
                      last sound record), pressed (1: a short press for it has ended within PRESS_WITHIN_MS).
    Conditions: utc_s (0: lost), battery_percent, supply, accuracy_um (of the depth monitor's sensor; 0: undeclared),
    condition (NONE, or why the pen starts nothing: TEMPERATURE, CALIBRATION_INVALID, HISTORY_FULL, LEDGER_FULL, ...).
    """

    LOADED = 1
    SELF_TEST_DONE = 2
    TICK = 3
    TIME_RAN = 4
    STROKES = 5
    MEASURED_IN = 6
    BUTTON = 7
    HEAD = 8
    FAULT = 9
    DETECTED_PAUSE = 10
    DETECTED_STOP = 11
    CLOCK_LOST = 12
    CLOCK_BACK = 13
    FLASH_DONE = 14
    LINK_LOST = 15
    STOP = 16
    SYMPTOM = 17
    OPEN_SESSION = 18
    ADOPT_SESSION = 19
    CLOSE_SESSION = 20
    PREPARE = 21
    BEGIN_PASS = 22
    RESUME_PASS = 23
    PAUSE_PASS = 24
    END_PASS = 25
    RENEW_LEASE = 26
    ACKNOWLEDGE_FAULT = 27
    RUN_SELF_TEST = 28
    SET_CLOCK = 29


class Event(NamedTuple):
    """One event; `EventKind` says which fields a kind reads.

    `port` is the connection's number + 1, 0 is the pen itself. `age_ms` is now less the quoted tick, by the pen's own
    ticks (as the difference of two u32, so it does not wrap within 49 days); `future` is 1 when the quoted tick is
    still to come, and `age_ms` is 0 then. `digest` is a CRC-32 over opcode and body. Reasons are code words.
    """

    kind: U8
    authenticated: U8 = 0
    port: U8 = 0
    command_id: U32 = 0
    ttl_ms: U16 = 0
    age_ms: U32 = 0
    future: U8 = 0
    digest: U32 = 0
    session_id: U32 = 0
    boot_id: U32 = 0
    lease_ms: U16 = 0
    frame_id: U16 = 0
    zone: U8 = 0
    direction: Bits8 = 0
    depth_um: U16 = 0
    rate_hz: U8 = 0
    speed_mm_s: U8 = 0
    tag_low: U32 = 0
    tag_high: U32 = 0
    reason: U16 = int(Reason.NONE)
    symptom: U8 = 0
    dt_ms: U16 = 0
    contact: U8 = 0
    seconds: U32 = 0
    strokes: U16 = 0
    punctures: U16 = 0
    ok: U8 = 0
    write: U8 = 0
    utc_s: U32 = 0
    battery_percent: U8 = 0
    supply: U8 = 0
    accuracy_um: U16 = 0
    condition: U16 = int(Reason.NONE)
    verdict: U16 = int(Reason.NONE)
    head_kind: Bits8 = 0
    needles: U8 = 0
    width_um: U16 = 0
    reach_um: U16 = 0
    tolerance_um: U16 = 0
    sterile_until_s: U32 = 0
    sessions_allowed: U8 = 0
    sessions_used: U16 = 0
    strokes_left: U32 = 0
    marked: U8 = 0
    wait_s: U32 = 0
    symptom_s: U32 = 0
    advice_due: U8 = 0
    clock_now_s: U32 = 0
    clock_floor_s: U32 = 0
    pressed: U8 = 0
