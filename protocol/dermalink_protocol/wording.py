"""The table of reasons: of each code word the rule behind it, what it says, and what a person can do about it."""

from typing import Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import (
    DEPTH_CAP_UM,
    DEPTH_MIN_UM,
    LEASE_MAX_MS,
    LEASE_MIN_MS,
    SPEED_MAX_MM_S,
    SPEED_MIN_MM_S,
)
from dermalink_protocol.units import Unit


class Wording(NamedTuple):
    """One reason: its rule, what is said, what the person can do, and how its number is said (`{}`), with its unit."""

    rule: str
    said: str
    advice: str
    number: str = ""
    unit: Unit = Unit.NONE


AT_MOST: Final = "{} at most"
AT_LEAST: Final = "{} at least"
CALIBRATE: Final = "Have the maker's service calibrate the pen; until then it gives no therapy."
SERVICE: Final = "Lift the pen straight off the skin and have it serviced; it stays locked until then."
UPDATE: Final = "Host and pen speak different versions: update the older one."
REPEAT: Final = "Nothing has changed; ask again."
NEW_HEAD: Final = "Fit a fresh head."
RESUME: Final = "Resume the pass, then press the pen's button."

WORDING: Final[dict[Reason, Wording]] = {
    Reason.NONE: Wording("", "No reason is given", ""),
    # The message itself
    Reason.UNKNOWN_OPCODE: Wording("SR-SEC-4", "The pen does not know this message", UPDATE),
    Reason.WRONG_LENGTH: Wording("SR-SEC-4", "The message is too short or too long", UPDATE),
    Reason.OUT_OF_RANGE: Wording(
        "SR-SEC-4", "A value is outside its range", "Use a value within the limits of the field."
    ),
    Reason.UNKNOWN_CODEWORD: Wording("SR-SEC-4", "A field holds a word that does not exist", UPDATE),
    Reason.RESERVED_BITS: Wording("SR-SEC-4", "A command sets bits that the pen does not know", UPDATE),
    Reason.WRONG_CHANNEL: Wording("SR-SEC-4", "The message came over the wrong channel", UPDATE),
    Reason.NOT_BUILT: Wording(
        "SR-SEC-4", "This pen does not offer that", "Look at the pen's capabilities in its hello."
    ),
    Reason.BAD_CRC: Wording("SR-SEC-1", "The message was spoilt on its way", "Check cable and port; then ask again."),
    Reason.TOO_LONG: Wording("SR-SEC-4", "The message is longer than any message is", UPDATE, AT_MOST, Unit.BYTES),
    # Who, when, in what order
    Reason.NOT_AUTHENTICATED: Wording(
        "SR-SEC-1", "Only a paired and authenticated host may ask this", "Pair with the pen, or connect again."
    ),
    Reason.NOT_OWNER: Wording(
        "SR-SES-1", "The session belongs to another connection", "Adopt the session, or close it where it was opened."
    ),
    Reason.BUSY: Wording("SR-CMD-2", "Another procedure is still under way", REPEAT),
    Reason.WRONG_STATE: Wording(
        "SR-DEPTH-8", "The pen can't do this in its present state", "Look at the pen's status first."
    ),
    Reason.WRONG_SESSION: Wording(
        "SR-SES-1", "This session is not the open one", "Open a session, or adopt the open one."
    ),
    Reason.WRONG_BOOT: Wording("SR-CMD-1", "The pen was switched on anew since its hello", "Say hello again."),
    Reason.WRONG_FRAME: Wording("SR-DEPTH-8", "This is not the prepared frame", "Prepare the pass again."),
    Reason.COMMAND_LATE: Wording(
        "SR-CMD-1",
        "The command came too late",
        "The link is slow or held it back; ask again.",
        "it is good for {}",
        Unit.MS,
    ),
    Reason.COMMAND_FROM_FUTURE: Wording(
        "SR-CMD-1", "The command quotes a moment that the pen has not reached", "Ask for the pen's status first."
    ),
    Reason.TTL_TOO_LONG: Wording("SR-CMD-1", "The command asks to be good for too long", REPEAT, AT_MOST, Unit.MS),
    Reason.COMMAND_ID_NOT_NEWER: Wording(
        "SR-CMD-1",
        "The command's id is not newer than the last one",
        "Ask for the last applied command and go on from its id.",
        "the last one was {}",
        Unit.COMMAND,
    ),
    Reason.COMMAND_ID_REUSED: Wording(
        "SR-CMD-1",
        "The command's id was used for another command",
        "Ask for the last applied command and go on from its id.",
        "it was {}",
        Unit.COMMAND,
    ),
    Reason.COMMAND_ID_TOO_FAR: Wording(
        "SR-CMD-1",
        "The command's id is too far ahead of the last one",
        "Ask for the last applied command and go on from its id.",
        "the highest is {}",
        Unit.COMMAND,
    ),
    Reason.VERSION_MISMATCH: Wording(
        "SR-SEC-1", "Host and pen share no protocol version", UPDATE, "the pen speaks {}", Unit.VERSION
    ),
    Reason.LEASE_OUT_OF_RANGE: Wording(
        "SR-STOP-1",
        "The run lease asked for is shorter or longer than is allowed",
        f"Ask for {LEASE_MIN_MS} to {LEASE_MAX_MS} ms.",
        "the limit is {}",
        Unit.MS,
    ),
    Reason.RENEWAL_STALE: Wording(
        "SR-STOP-1",
        "The renewal quotes a moment that is too old",
        "The link is too slow or held it back.",
        "it may be {} old",
        Unit.MS,
    ),
    # Depth, rate, plan
    Reason.DEPTH_OVER_CAP: Wording(
        "SR-DEPTH-1", "This is deeper than any needle may go", f"Choose {DEPTH_CAP_UM} µm or less.", AT_MOST, Unit.UM
    ),
    Reason.DEPTH_UNDER_MIN: Wording(
        "SR-DEPTH-1",
        "This is shallower than the pen can be set",
        f"Choose {DEPTH_MIN_UM} µm or more.",
        AT_LEAST,
        Unit.UM,
    ),
    Reason.DEPTH_OFF_STEP: Wording(
        "SR-DEPTH-1",
        "The pen can't be set to this depth exactly",
        "Choose a whole number of steps.",
        "a step is {}",
        Unit.UM,
    ),
    Reason.DEPTH_OVER_ZONE_CAP: Wording(
        "SR-DEPTH-3", "This is deeper than this zone allows", "Choose a smaller depth for this zone.", AT_MOST, Unit.UM
    ),
    Reason.DEPTH_OVER_CARTRIDGE: Wording(
        "SR-DEPTH-2",
        "This is deeper than the fitted head reaches",
        "Choose a smaller depth, or fit a longer head.",
        "it reaches {}",
        Unit.UM,
    ),
    Reason.TOLERANCE_UNDECLARED: Wording(
        "SR-DEPTH-6",
        "The pen declares no tolerance of its drive, or too large a one",
        "This pen can't be used; its maker has to declare the tolerance.",
        AT_MOST,
        Unit.UM,
    ),
    Reason.ACCURACY_UNDECLARED: Wording(
        "SR-DEPTH-5",
        "The pen declares no accuracy of its depth sensor, or too coarse a one",
        "This pen can't be used; its maker has to declare the accuracy.",
        AT_MOST,
        Unit.UM,
    ),
    Reason.RATE_OUT_OF_RANGE: Wording(
        "SR-RATE-1",
        "The stamp rate is outside what is allowed",
        "Choose a rate within the pen's range.",
        "the limit is {}",
        Unit.HZ,
    ),
    Reason.SPEED_OUT_OF_RANGE: Wording(
        "SR-PASS-6",
        "The planned speed of the hand is outside what is allowed",
        f"Plan {SPEED_MIN_MM_S} to {SPEED_MAX_MM_S} mm/s.",
        "the limit is {}",
        Unit.MM_S,
    ),
    Reason.DENSITY_TOO_HIGH: Wording(
        "SR-PASS-6",
        "Rate, needles and speed together leave too many punctures, so no pass could cover its zone",
        "Plan a lower rate or a faster hand.",
        AT_MOST,
        Unit.PER_CM2,
    ),
    Reason.UNKNOWN_ZONE: Wording(
        "SR-DEPTH-3",
        "This is no zone in which the pen may work",
        "Zones are forehead, cheeks, chin, nose, upper lip and under-eyes; eyelids and lips are none.",
    ),
    Reason.UNKNOWN_DIRECTION: Wording(
        "SR-PASS-1", "This is no direction of a pass", "Directions are vertical, horizontal and diagonal."
    ),
    Reason.ZONE_NEEDS_STAMP: Wording(
        "SR-DEPTH-3", "This zone takes a stamp head only", "Fit a stamp head for this zone."
    ),
    Reason.FRAME_CHANGED: Wording(
        "SR-DEPTH-8", "Something of the prepared pass has changed since it was prepared", "Prepare the pass again."
    ),
    # Passes
    Reason.PASS_ALREADY_MADE: Wording(
        "SR-PASS-1", "This zone has had its pass in this direction", "Go on with another direction or zone."
    ),
    Reason.ZONE_FULL: Wording(
        "SR-PASS-1",
        "This zone has had all its passes in this session",
        "Go on with another zone.",
        AT_MOST,
        Unit.PASSES,
    ),
    Reason.PASS_IN_PROGRESS: Wording("SR-DEPTH-8", "A pass is under way", "End it first."),
    Reason.NO_PASS: Wording("SR-PASS-2", "There is no pass to do this with", "Prepare and begin a pass first."),
    Reason.RESUMES_USED_UP: Wording(
        "SR-PASS-2",
        "This pass was resumed as often as is allowed",
        "End it and go on with another.",
        AT_MOST,
        Unit.TIMES,
    ),
    Reason.RESUME_TOO_LATE: Wording(
        "SR-PASS-2", "This pass was interrupted too long ago", "End it and go on with another.", "within {}", Unit.MS
    ),
    Reason.PASS_COMPLETE: Wording("SR-PASS-3", "This pass has used its whole budget", "Go on with the next one."),
    Reason.PRESS_TIMEOUT: Wording(
        "SR-STOP-5",
        "The pen's button was not pressed in time",
        "Begin or resume again, then press.",
        "within {}",
        Unit.MS,
    ),
    Reason.PRESS_STALE: Wording(
        "SR-STOP-5",
        "The pass's begin was written down too long after the press",
        "Resume, then press again; if it keeps happening, have the pen serviced.",
    ),
    # Cartridge
    Reason.CARTRIDGE_ABSENT: Wording("SR-CART-2", "No head is fitted", NEW_HEAD),
    Reason.CARTRIDGE_USED: Wording("SR-CART-1", "This head has been used in another session", NEW_HEAD),
    Reason.CARTRIDGE_EXPIRED: Wording("SR-CART-2", "This head is past its sterile date", NEW_HEAD),
    Reason.CARTRIDGE_UNREADABLE: Wording(
        "SR-CART-2", "The head's tag can't be read", "Take the head off and fit it again, or fit another."
    ),
    Reason.CARTRIDGE_UNKNOWN_MAKER: Wording("SR-CART-2", "The head is of a maker that the pen does not know", NEW_HEAD),
    Reason.CARTRIDGE_WRONG_KIND: Wording(
        "SR-CART-2", "The head is of the wrong kind for this zone", "Fit the zone's kind."
    ),
    Reason.CARTRIDGE_OVER_CAP: Wording(
        "SR-DEPTH-2",
        "The head's needles can reach deeper than any may, however the pen is set",
        f"Fit a head that reaches {DEPTH_CAP_UM} µm or less.",
        AT_MOST,
        Unit.UM,
    ),
    Reason.CARTRIDGE_OVER_NEEDLES: Wording(
        "SR-PASS-6", "The head has too many needles", NEW_HEAD, AT_MOST, Unit.NEEDLES
    ),
    Reason.CARTRIDGE_BADLY_SEATED: Wording(
        "SR-DEPTH-6", "The head does not sit right", "Take it off, look at it, and fit it again."
    ),
    Reason.CARTRIDGE_CHANGED: Wording(
        "SR-CART-3", "The head was taken off or changed", "Prepare the next pass with the head that is fitted now."
    ),
    Reason.CARTRIDGE_WORN_OUT: Wording(
        "SR-CART-4", "This head has made all its strokes", NEW_HEAD, AT_MOST, Unit.STROKES
    ),
    Reason.LEDGER_FULL: Wording(
        "SR-RST-2", "The pen can't remember another head", "Have the pen serviced.", AT_MOST, Unit.HEADS
    ),
    # Time
    Reason.INTERVAL_NOT_OVER: Wording(
        "SR-INT-1",
        "The time that skin needs between sessions is not over",
        "Come back when it is.",
        "{} are left",
        Unit.S,
    ),
    Reason.SESSION_OVER: Wording(
        "SR-SES-1", "The session has reached its end", "Close it; the next one is after the interval.", AT_MOST, Unit.S
    ),
    Reason.CLOCK_LOST: Wording(
        "SR-INT-2",
        "The pen's clock has lost the time, so the wait starts again",
        "Set the clock.",
        "{} are left",
        Unit.S,
    ),
    Reason.CLOCK_BACK: Wording("SR-INT-1", "The pen's clock went back", "Set it forward, past the pen's last record."),
    Reason.CLOCK_BEFORE_RECORD: Wording(
        "SR-INT-2", "This date is before what the pen has already recorded", "Check the date of this computer."
    ),
    Reason.CLOCK_JUMP_NEEDS_PRESS: Wording(
        "SR-INT-2",
        "A change of the clock this large needs a press of the pen's button",
        "Press the pen's button shortly, and set the clock within ten seconds.",
        "without it {} at most",
        Unit.S,
    ),
    # Why motion stopped or paused
    Reason.HOST_STOP: Wording("SR-STOP-4", "Stopped by the host", "Begin the next pass when you are ready."),
    Reason.HOST_PAUSE: Wording("SR-PASS-2", "Paused by the host", RESUME),
    Reason.HOST_END: Wording("SR-PASS-2", "Ended by the host", "Go on with the next pass."),
    Reason.BUTTON: Wording("SR-STOP-6", "Stopped by the pen's button", RESUME),
    Reason.LEASE_LAPSED: Wording(
        "SR-STOP-1", "The host did not renew the run lease in time", f"Check the link. {RESUME}", "within {}", Unit.MS
    ),
    Reason.LINK_LOST: Wording(
        "SR-STOP-1",
        "The connection to the host is gone",
        "Connect again and adopt the session; nothing moves by itself.",
    ),
    Reason.LIFT_OFF: Wording(
        "SR-STOP-6", "The pen was lifted off the skin", f"Set it down. {RESUME}", "for {}", Unit.MS
    ),
    Reason.DWELL: Wording("SR-PASS-4", "The pen stayed in one spot", f"Keep it moving. {RESUME}"),
    Reason.FORCE_HIGH: Wording(
        "SR-PASS-5", "The pen was pressed too hard", f"Press lightly. {RESUME}", AT_MOST, Unit.MN
    ),
    Reason.FORCE_TOO_HIGH: Wording(
        "SR-PASS-5", "The pen was pressed much too hard", f"Press lightly. {RESUME}", AT_MOST, Unit.MN
    ),
    Reason.RATE_OFF: Wording("SR-RATE-1", "The stamp rate was off", RESUME, "it may be off by {}", Unit.PERCENT),
    Reason.RATE_OVER: Wording("SR-RATE-1", "The motor ran too fast", SERVICE, AT_MOST, Unit.PERCENT),
    Reason.STALLED: Wording("SR-RATE-1", "The motor stood still while it should run", SERVICE, "for {}", Unit.MS),
    Reason.SYMPTOM_PAIN: Wording(
        "SR-SYM-1",
        "Pain was reported, so this session is over",
        "If it does not ease, see a dermatologist.",
        "the next session is barred for {}",
        Unit.S,
    ),
    Reason.SYMPTOM_BLEEDING: Wording(
        "SR-SYM-1",
        "Bleeding was reported, so this session is over",
        "See a dermatologist before the next session.",
        "the next session is barred for {}",
        Unit.S,
    ),
    Reason.SYMPTOM_RASH: Wording(
        "SR-SYM-1",
        "A rash was reported, so this session is over",
        "See a dermatologist before the next session.",
        "the next session is barred for {}",
        Unit.S,
    ),
    Reason.SYMPTOM_UNSAID: Wording(
        "SR-SYM-1",
        "A symptom was reported by the pen's button, so this session is over",
        "See a dermatologist before the next session.",
        "the next session is barred for {}",
        Unit.S,
    ),
    Reason.BUDGET_REACHED: Wording(
        "SR-PASS-3", "The pass has made all its punctures and is done", "Go on with the next one."
    ),
    Reason.ARMED_IDLE: Wording(
        "SR-STOP-6", "The pen was ready for long without touching skin", RESUME, "for {}", Unit.MS
    ),
    Reason.SESSION_CLOSED: Wording("SR-SES-1", "The session was closed", "The next one is after the interval."),
    # Faults
    Reason.DEPTH_EXCEEDED: Wording(
        "SR-DEPTH-5", "A needle was measured deeper than any may go", SERVICE, AT_MOST, Unit.UM
    ),
    Reason.DEPTH_OVER_SETTING: Wording(
        "SR-DEPTH-5", "The needles were measured deeper than they were set", SERVICE, AT_MOST, Unit.UM
    ),
    Reason.SENSORS_DISAGREE: Wording("SR-DEPTH-7", "The pen's two depth sensors disagree", SERVICE, AT_MOST, Unit.UM),
    Reason.DRIVE_FAULT: Wording("SR-STOP-7", "The drive did not do what it was told", SERVICE),
    Reason.WATCHDOG: Wording(
        "SR-STOP-3", "The pen's program hung and was stopped", "Run the self-test.", "for {}", Unit.MS
    ),
    Reason.STOP_NOT_CONFIRMED: Wording(
        "SR-STOP-8", "The needles were not measured as in: the stop failed", SERVICE, "within {}", Unit.MS
    ),
    Reason.FLASH_FAILED: Wording("SR-RST-2", "The pen could not write down what it must", "Run the self-test."),
    Reason.MEMORY_FAULT: Wording("SR-BIST-1", "The pen's memory is at fault", SERVICE),
    Reason.SENSOR_FAULT: Wording(
        "SR-BIST-1", "A sensor of the pen reads what can't be", "Run the self-test; have it serviced if it comes again."
    ),
    Reason.BUTTON_STUCK: Wording("SR-STOP-5", "The pen's button is stuck", "Free the button, then run the self-test."),
    Reason.SELF_TEST_FAILED: Wording(
        "SR-POST-1", "The self-test failed", "Look at its report; fit the head again; test again."
    ),
    Reason.SELF_TEST_DUE: Wording("SR-POST-1", "A self-test is due", "Run the self-test, off the skin."),
    Reason.RETRACTION_SLOW: Wording("SR-STOP-8", "The needles go in too slowly", SERVICE, "within {}", Unit.MS),
    Reason.HISTORY_BROKEN: Wording("SR-LOG-1", "The pen's history has a gap or was altered", "Have the pen serviced."),
    Reason.HISTORY_FULL: Wording(
        "SR-RST-2", "The pen's history is full", "Read it out and keep it; have the pen serviced."
    ),
    Reason.STORE_UNREADABLE: Wording("SR-RST-2", "The pen can't read its own records", "Have the pen serviced."),
    Reason.POWER_LOST: Wording("SR-SES-1", "The pen lost power, so its session is over", "Charge the pen."),
    # Energy and condition
    Reason.BATTERY_LOW: Wording(
        "SR-PWR-1", "The battery is too low for a pass", "Charge the pen.", AT_LEAST, Unit.PERCENT
    ),
    Reason.SUPPLY_PRESENT: Wording("SR-PWR-1", "The pen is being charged", "Unplug the charger."),
    Reason.TEMPERATURE: Wording(
        "SR-PWR-1",
        "Battery or motor is too cold or too hot",
        "Let the pen reach room temperature.",
        "the limit is {}",
        Unit.CELSIUS,
    ),
    Reason.CALIBRATION_INVALID: Wording(
        "SR-CAL-1", "The calibration is missing, damaged, expired or another pen's", "Have the pen calibrated."
    ),
    Reason.CALIBRATION_MISSING: Wording("SR-CAL-1", "The pen has no calibration", CALIBRATE),
    Reason.CALIBRATION_DAMAGED: Wording("SR-CAL-1", "The pen's calibration is damaged", CALIBRATE),
    Reason.CALIBRATION_OTHER_PEN: Wording("SR-CAL-1", "The calibration in the pen is another pen's", CALIBRATE),
    Reason.CALIBRATION_EXPIRED: Wording(
        "SR-CAL-1", "The pen's calibration has expired", CALIBRATE, "it holds for {}", Unit.S
    ),
    Reason.FAULT_LATCHED: Wording(
        "SR-RST-3", "A fault is latched", "Acknowledge the fault by name, then run the self-test."
    ),
    Reason.LOCKED: Wording("SR-RST-3", "The pen is locked", "Have the pen serviced."),
    Reason.SYMPTOM_LOCK: Wording(
        "SR-SYM-1",
        "A reported symptom bars the next session",
        "If in doubt, see a dermatologist.",
        "{} are left",
        Unit.S,
    ),
    Reason.IN_CONTACT: Wording("SR-POST-1", "The pen touches skin", "Lift it off, then ask again."),
    # Evidence, owner
    Reason.EVIDENCE_MISSING: Wording("SR-SES-1", "Something that has to be declared first is missing", "Declare it."),
    Reason.EVIDENCE_STALE: Wording(
        "SR-SES-1", "Something was declared too long ago", "Do it again and declare it.", "it counts for {}", Unit.S
    ),
    Reason.NO_OWNER: Wording("SR-OWN-1", "The pen has no owner yet", "Pair the pen first."),
    Reason.OWNED: Wording(
        "SR-OWN-1",
        "The pen has an owner, and nobody else can run it",
        "The owner releases it, or whoever has the pen in hand holds its button for ten seconds and pairs anew.",
    ),
    Reason.PAIRING_SHUT: Wording(
        "SR-SEC-2", "The pen is not open for pairing", "Press its button, then pair within a minute."
    ),
    Reason.PAIRING_BARRED: Wording(
        "SR-SEC-2",
        "Wrong codes have barred pairing for a while",
        "Compare the code with the card that came with the pen, wait, and press the button again.",
        "{} are left",
        Unit.S,
    ),
    Reason.PAIRING_FAILED: Wording(
        "SR-SEC-2",
        "The pairing came to nothing, and counts as a wrong code",
        "Compare the code with the card that came with the pen, and begin again.",
    ),
}
