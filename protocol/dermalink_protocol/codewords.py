"""Code words: 16-bit opcodes, states, reasons and record kinds that flipped bits cannot turn into each other.

All are words of the extended Hamming code [16, 11, 4]: any two differ in at least `DISTANCE` bits, also across
the four sets, and 0x0000 and 0xFFFF, what a dead or erased memory reads as, are never valid. A word, once given,
is never given another meaning. `free_words` names the next ones.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

DISTANCE: Final = 4
NEVER_VALID: Final = frozenset({0x0000, 0xFFFF})


class Opcode(IntEnum):
    """What a message is."""

    # Identity and state: anybody may ask
    HELLO = 0xAEBF
    HELLO_REPLY = 0x7E0F
    GET_STATUS = 0xFA22
    STATUS = 0x3C27
    STATE_CHANGED = 0x9783
    GET_LAST_COMMAND = 0x0213
    LAST_COMMAND = 0xCA06
    GET_CARTRIDGE = 0xA33F
    CARTRIDGE = 0x904D
    GET_SELF_TEST = 0x0C6F
    SELF_TEST_REPORT = 0xF72F
    # Therapy
    OPEN_SESSION = 0x4B17
    SESSION_OPENED = 0x8136
    ADOPT_SESSION = 0xBC92
    SESSION_ADOPTED = 0x8C91
    CLOSE_SESSION = 0x933C
    SESSION_CLOSED = 0xD051
    PREPARE = 0xF85D
    PREPARED = 0x2C3E
    BEGIN_PASS = 0x3767
    PASS_BEGUN = 0x158F
    PAUSE_PASS = 0x1368
    PASS_PAUSED = 0x5E98
    RESUME_PASS = 0x5B29
    PASS_RESUMED = 0x25E0
    END_PASS = 0x0432
    PASS_ENDED = 0x051B
    RENEW_LEASE = 0xD1D2
    LEASE_RENEWED = 0x8302
    ACKNOWLEDGE_FAULT = 0xF93F
    FAULT_ACKNOWLEDGED = 0xEDF5
    SELF_TEST = 0x353F
    SELF_TEST_STARTED = 0x1711
    SET_CLOCK = 0x36E4
    CLOCK_SET = 0x1502
    # Stop
    STOP = 0xC7EA
    STOPPED = 0xA069
    REPORT_SYMPTOM = 0xFB40
    SYMPTOM_REPORTED = 0x7D9F
    # Telemetry and records
    TELEMETRY = 0x7884
    GET_HISTORY = 0xB17E
    HISTORY_RECORD = 0x6D2C
    GET_HISTORY_STATE = 0xD3AD
    HISTORY_STATE = 0x4E47
    # Every channel
    REFUSED = 0xDC19
    SEALED = 0x681F
    # Declared, not yet built
    DECLARE_EVIDENCE = 0xA603
    EVIDENCE_TAKEN = 0xAAE1
    GET_OWNER = 0xE1D1
    OWNER = 0xCB2F
    PAIR_STEP = 0x064D
    PAIR_REPLY = 0x591D
    RELEASE_OWNER = 0x391B
    OWNER_RELEASED = 0xE692
    OPEN_CHANNEL = 0xBD63
    CHANNEL_OPENED = 0xFED9
    GET_CALIBRATION = 0x4968
    CALIBRATION = 0x6396
    WRITE_CALIBRATION = 0x6143
    CALIBRATION_WRITTEN = 0xC977
    ENTER_UPDATE = 0x8B14
    UPDATE_ENTERED = 0x442E


class State(IntEnum):
    """Where the pen's therapy machine stands."""

    BOOT = 0xC339
    SELF_TEST = 0xE34F
    IDLE = 0xB4CF
    OPENING = 0x0DA7
    OPEN = 0xC2F1
    PREPARED = 0x5572
    WAITING = 0xD881
    RECORDING = 0x7F8C
    SPIN_UP = 0x4FC4
    ARMED = 0x177D
    RUNNING = 0x8E0F
    LIFTED = 0x0AAF
    STOPPING = 0xEA3B
    PAUSED = 0xEFE6
    CLOSING = 0xB58A
    FAULT = 0x01A4
    STOP_FAILED = 0xC416
    LOCKED = 0x0F55


class Reason(IntEnum):
    """Why something was refused, paused, stopped or latched."""

    # No reason to give
    NONE = 0xF64D
    # The message itself
    UNKNOWN_OPCODE = 0x8C57
    WRONG_LENGTH = 0x7CFD
    OUT_OF_RANGE = 0x3FDB
    UNKNOWN_CODEWORD = 0x3669
    RESERVED_BITS = 0x738F
    WRONG_CHANNEL = 0x3F1D
    NOT_BUILT = 0xAE15
    BAD_CRC = 0xBD7D
    TOO_LONG = 0x2097
    # Who, when, in what order
    NOT_AUTHENTICATED = 0xFBCD
    NOT_OWNER = 0x15C4
    BUSY = 0x1863
    WRONG_STATE = 0xB75F
    WRONG_SESSION = 0xB282
    WRONG_BOOT = 0xED14
    WRONG_FRAME = 0xD01A
    COMMAND_LATE = 0x77D1
    COMMAND_FROM_FUTURE = 0x3622
    TTL_TOO_LONG = 0xA395
    COMMAND_ID_NOT_NEWER = 0xE6FE
    COMMAND_ID_REUSED = 0x89C1
    COMMAND_ID_TOO_FAR = 0x8C58
    VERSION_MISMATCH = 0xD2E8
    LEASE_OUT_OF_RANGE = 0xEECF
    RENEWAL_STALE = 0xEAFD
    # Depth, rate, plan
    DEPTH_OVER_CAP = 0xE03E
    DEPTH_UNDER_MIN = 0xDCB3
    DEPTH_OFF_STEP = 0x9377
    DEPTH_OVER_ZONE_CAP = 0x494F
    DEPTH_OVER_CARTRIDGE = 0xC08E
    TOLERANCE_UNDECLARED = 0x99B4
    ACCURACY_UNDECLARED = 0x01EF
    RATE_OUT_OF_RANGE = 0xE8A5
    SPEED_OUT_OF_RANGE = 0x62BF
    DENSITY_TOO_HIGH = 0x8504
    UNKNOWN_ZONE = 0x69FF
    UNKNOWN_DIRECTION = 0x25C7
    ZONE_NEEDS_STAMP = 0x19AB
    FRAME_CHANGED = 0xCF1D
    # Passes
    PASS_ALREADY_MADE = 0xD98F
    ZONE_FULL = 0xCAC0
    PASS_IN_PROGRESS = 0x4507
    NO_PASS = 0x94F2
    RESUMES_USED_UP = 0xF6AC
    RESUME_TOO_LATE = 0xB1F3
    PASS_COMPLETE = 0x9CE4
    PRESS_TIMEOUT = 0xEBD4
    PRESS_STALE = 0x8C61
    # Cartridge
    CARTRIDGE_ABSENT = 0x3595
    CARTRIDGE_USED = 0xACE7
    CARTRIDGE_EXPIRED = 0x631B
    CARTRIDGE_UNREADABLE = 0x987C
    CARTRIDGE_UNKNOWN_MAKER = 0x2D17
    CARTRIDGE_WRONG_KIND = 0xB3C7
    CARTRIDGE_OVER_CAP = 0xA6C5
    CARTRIDGE_OVER_NEEDLES = 0xD58C
    CARTRIDGE_BADLY_SEATED = 0x0B2C
    CARTRIDGE_CHANGED = 0xB841
    CARTRIDGE_WORN_OUT = 0x9AA9
    LEDGER_FULL = 0x79AD
    # Time
    INTERVAL_NOT_OVER = 0xB520
    SESSION_OVER = 0xBC54
    CLOCK_LOST = 0xA3B2
    CLOCK_BACK = 0x3ED5
    CLOCK_BEFORE_RECORD = 0x222E
    CLOCK_JUMP_NEEDS_PRESS = 0x970E
    # Why motion stopped or paused
    HOST_STOP = 0x14CA
    HOST_PAUSE = 0x03DB
    HOST_END = 0xF1EF
    BUTTON = 0x5D85
    LEASE_LAPSED = 0x1F20
    LINK_LOST = 0x67EF
    LIFT_OFF = 0xB409
    DWELL = 0xDBF0
    FORCE_HIGH = 0xC2BA
    FORCE_TOO_HIGH = 0xBD9C
    RATE_OFF = 0x1A91
    RATE_OVER = 0x9185
    STALLED = 0x4BBD
    SYMPTOM_PAIN = 0xE9AB
    SYMPTOM_BLEEDING = 0xD34C
    SYMPTOM_RASH = 0x991E
    SYMPTOM_UNSAID = 0x5AFC
    BUDGET_REACHED = 0xF3B7
    ARMED_IDLE = 0xC8D3
    SESSION_CLOSED = 0x8652
    # Faults
    DEPTH_EXCEEDED = 0x33B4
    DEPTH_OVER_SETTING = 0x4A19
    SENSORS_DISAGREE = 0xA8D5
    DRIVE_FAULT = 0x1E42
    WATCHDOG = 0x5761
    STOP_NOT_CONFIRMED = 0xBAF8
    FLASH_FAILED = 0xC048
    MEMORY_FAULT = 0x438C
    SENSOR_FAULT = 0xF5B1
    BUTTON_STUCK = 0xECFB
    SELF_TEST_FAILED = 0x0F93
    SELF_TEST_DUE = 0x4D36
    RETRACTION_SLOW = 0xAF3C
    HISTORY_BROKEN = 0x327C
    HISTORY_FULL = 0x9D2C
    STORE_UNREADABLE = 0x5186
    POWER_LOST = 0xCB85
    # Energy and condition
    BATTERY_LOW = 0xD2CF
    SUPPLY_PRESENT = 0x6FDE
    TEMPERATURE = 0x70B5
    CALIBRATION_INVALID = 0xAD64
    CALIBRATION_MISSING = 0x6498
    CALIBRATION_DAMAGED = 0xCD92
    CALIBRATION_OTHER_PEN = 0x91CB
    CALIBRATION_EXPIRED = 0xB22B
    FAULT_LATCHED = 0x80D9
    LOCKED = 0xAED3
    SYMPTOM_LOCK = 0x39FA
    IN_CONTACT = 0x7DB8
    # Evidence, owner
    EVIDENCE_MISSING = 0xC161
    EVIDENCE_STALE = 0x4CD9
    NO_OWNER = 0x85AE
    OWNED = 0x6A71
    PAIRING_SHUT = 0xA4F1
    PAIRING_BARRED = 0xA7A7
    PAIRING_FAILED = 0x2A37


class RecordKind(IntEnum):
    """What a record of the pen's history tells."""

    # The pen itself
    POWERED_UP = 0xBCB5
    SELF_TESTED = 0x0234
    CLOCK_SET = 0x9B46
    # Sessions
    SESSION_OPENED = 0xA374
    SESSION_ADOPTED = 0x066A
    SESSION_CLOSED = 0x7111
    # Heads
    HEAD_SEATED = 0xBFA8
    HEAD_USED = 0x931B
    # Passes
    PASS_BEGUN = 0xC31E
    PASS_INTERRUPTED = 0x4228
    PASS_RESUMED = 0x2EEB
    PASS_ENDED = 0x97A4
    # Faults and symptoms
    STOPPED = 0x6FB2
    FAULT_LATCHED = 0x306F
    FAULT_CLEARED = 0x7809
    SYMPTOM = 0xDA38
    # Counted, not listed
    REFUSED_COUNT = 0x203D
    STARTS_COUNTED = 0x77CA
    # Owner
    OWNER_PAIRED = 0x8E28
    OWNER_RELEASED = 0x1D41
    PAIRING_BARRED = 0xCCB4
    WRONG_CODES = 0xFDC7


WORD_SETS: Final = (Opcode, State, Reason, RecordKind)


def distance(one: int, other: int) -> int:
    """Number of bits in which two words differ."""
    return (one ^ other).bit_count()


def free_words() -> Iterator[int]:
    """Words that keep `DISTANCE` from all that are given, in rising order."""
    given = {*NEVER_VALID, *(word for words in WORD_SETS for word in words)}
    return (word for word in range(0x10000) if all(distance(word, other) >= DISTANCE for other in given))
