"""Every number of the contract: value, unit (in the name), rule and source.

An *assumption* is a number that nobody publishes for this kind of device: a maker may replace it with a
measured one, stricter only. Both sides read these numbers; neither side's guards live here.
"""

from typing import Final, NamedTuple

from dermalink_protocol.zones import Direction, Head, Zone

ASSUMPTION: Final = "assumption"
GUIDE: Final = "at-home microneedling guide"
CARD: Final = "product card"
CONTRACT: Final = "this contract"


class Limit(int):
    """An integer that knows its rule and source; in arithmetic it is a plain integer."""

    rule: str
    source: str

    def __new__(cls, value: int, rule: str, source: str) -> "Limit":
        """`rule` is a row of docs/requirements.toml, `source` where the number comes from."""
        limit = super().__new__(cls, value)
        limit.rule, limit.source = rule, source
        return limit

    def __reduce__(self) -> tuple[type["Limit"], tuple[int, str, str]]:
        """What copying and pickling make it from."""
        return type(self), (int(self), self.rule, self.source)


# Depth
DEPTH_CAP_UM: Final = Limit(500, "SR-DEPTH-1", CARD)
DEPTH_MIN_UM: Final = Limit(200, "SR-DEPTH-1", GUIDE)
DEPTH_STEP_UM: Final = Limit(10, "SR-DEPTH-1", ASSUMPTION)
ACCURACY_MAX_UM: Final = Limit(25, "SR-DEPTH-5", ASSUMPTION)
OVER_SETTING_STROKES: Final = Limit(3, "SR-DEPTH-5", ASSUMPTION)
TOLERANCE_MAX_UM: Final = Limit(50, "SR-DEPTH-6", ASSUMPTION)
SENSOR_DISAGREE_MAX_UM: Final = Limit(25, "SR-DEPTH-7", ASSUMPTION)

# Passes, dwell, pressure, rate
PASSES_PER_ZONE: Final = Limit(3, "SR-PASS-1", CARD)
RESUMES_PER_PASS: Final = Limit(5, "SR-PASS-2", ASSUMPTION)
RESUME_WITHIN_MS: Final = Limit(600_000, "SR-PASS-2", ASSUMPTION)
PUNCTURES_PER_CM2_PASS: Final = Limit(1_000, "SR-PASS-3", ASSUMPTION)
PUNCTURES_PER_CM2_ZONE: Final = Limit(3_000, "SR-PASS-3", ASSUMPTION)
DWELL_WINDOW_MS: Final = Limit(500, "SR-PASS-4", ASSUMPTION)
DWELL_TRAVEL_UM: Final = Limit(3_000, "SR-PASS-4", ASSUMPTION)
DWELL_PUNCTURES_PER_CM2: Final = Limit(2_000, "SR-PASS-4", ASSUMPTION)
STAMP_PRESS_MAX_MS: Final = Limit(400, "SR-PASS-4", ASSUMPTION)
FORCE_PAUSE_MN: Final = Limit(2_000, "SR-PASS-5", ASSUMPTION)
FORCE_PAUSE_AFTER_MS: Final = Limit(200, "SR-PASS-5", ASSUMPTION)
FORCE_STOP_MN: Final = Limit(4_000, "SR-PASS-5", ASSUMPTION)
DENSITY_MAX_PER_CM2: Final = Limit(650, "SR-PASS-6", ASSUMPTION)
NEEDLES_MAX: Final = Limit(16, "SR-PASS-6", ASSUMPTION)
RATE_MIN_HZ: Final = Limit(50, "SR-RATE-1", "rate range of cleared pens, widened downwards")
RATE_MAX_HZ: Final = Limit(150, "SR-RATE-1", "rate range of cleared pens")
RATE_BAND_PERCENT: Final = Limit(10, "SR-RATE-1", ASSUMPTION)
RATE_BAND_AFTER_MS: Final = Limit(200, "SR-RATE-1", ASSUMPTION)
RATE_OVER_PERCENT: Final = Limit(120, "SR-RATE-1", ASSUMPTION)
RATE_STALL_MS: Final = Limit(100, "SR-RATE-1", ASSUMPTION)
SPIN_UP_MS: Final = Limit(300, "SR-RATE-1", ASSUMPTION)
SPEED_MIN_MM_S: Final = Limit(10, "SR-PASS-6", "travel of a hand, 10-40 mm/s (assumption)")
SPEED_MAX_MM_S: Final = Limit(40, "SR-PASS-6", "travel of a hand, 10-40 mm/s (assumption)")

# Cartridge
HEAD_STROKES_MAX: Final = Limit(60_000, "SR-CART-4", ASSUMPTION)
LEDGER_HEADS_MAX: Final = Limit(4_000, "SR-RST-2", ASSUMPTION)

# Session and interval
SESSION_MAX_MS: Final = Limit(3_600_000, "SR-SES-1", ASSUMPTION)
INTERVAL_S: Final = Limit(14 * 86_400, "SR-INT-1", GUIDE)
INTERVAL_PLANNED_S: Final = Limit(28 * 86_400, "SR-INT-1", GUIDE)
CLOCK_JUMP_MAX_S: Final = Limit(86_400, "SR-INT-2", ASSUMPTION)
SYMPTOM_LOCK_S: Final = Limit(28 * 86_400, "SR-SYM-1", ASSUMPTION)
SYMPTOM_HOLD_MS: Final = Limit(3_000, "SR-SYM-1", ASSUMPTION)

# Stopping
LEASE_DEFAULT_MS: Final = Limit(500, "SR-STOP-1", ASSUMPTION)
LEASE_MIN_MS: Final = Limit(100, "SR-STOP-1", ASSUMPTION)
LEASE_MAX_MS: Final = Limit(1_000, "SR-STOP-1", ASSUMPTION)
WATCHDOG_MS: Final = Limit(50, "SR-STOP-3", ASSUMPTION)
ORDER_VALID_MAX_MS: Final = Limit(50, "SR-STOP-3", ASSUMPTION)
PRESS_WITHIN_MS: Final = Limit(10_000, "SR-STOP-5", ASSUMPTION)
PRESS_FRESH_MS: Final = Limit(1_000, "SR-STOP-5", ASSUMPTION)
LIFT_RETRACT_MS: Final = Limit(300, "SR-STOP-6", ASSUMPTION)
LIFT_PAUSE_MS: Final = Limit(10_000, "SR-STOP-6", ASSUMPTION)
ARMED_IDLE_MS: Final = Limit(60_000, "SR-STOP-6", ASSUMPTION)
CUT_WITHIN_MS: Final = Limit(10, "SR-STOP-7", ASSUMPTION)
IN_WITHIN_MS: Final = Limit(25, "SR-STOP-7", ASSUMPTION)
HOST_STOP_WITHIN_MS: Final = Limit(50, "SR-STOP-7", ASSUMPTION)
STOP_FAILED_MS: Final = Limit(50, "SR-STOP-8", ASSUMPTION)
BATTERY_START_PERCENT: Final = Limit(20, "SR-PWR-1", ASSUMPTION)
CALIBRATION_S: Final = Limit(365 * 86_400, "SR-CAL-1", f"{ASSUMPTION}: twelve months")
PAUSE_DISARM_MS: Final = Limit(120_000, "SR-IND-1", ASSUMPTION)

# Commands and records
TTL_MAX_MS: Final = Limit(500, "SR-CMD-1", ASSUMPTION)
COMMAND_IDS_AHEAD_MAX: Final = Limit(1_024, "SR-CMD-1", ASSUMPTION)
COMMANDS_REMEMBERED: Final = Limit(8, "SR-CMD-1", CONTRACT)
HISTORY_BYTES_MAX: Final = Limit(1_048_576, "SR-RST-2", ASSUMPTION)
RECORD_BYTES_MAX: Final = Limit(160, "SR-LOG-1", CONTRACT)

# Owner
PAIR_WINDOW_MS: Final = Limit(60_000, "SR-SEC-2", ASSUMPTION)
PAIR_TRIES: Final = Limit(3, "SR-SEC-2", ASSUMPTION)
PAIR_BARRED_S: Final = Limit(600, "SR-SEC-2", ASSUMPTION)
PAIR_BARRED_MAX_S: Final = Limit(600 << 12, "SR-SEC-2", "ten minutes doubled twelve times, four weeks (assumption)")
HAND_OVER_HOLD_MS: Final = Limit(10_000, "SR-OWN-1", ASSUMPTION)
BOND_WINDOW_MS: Final = Limit(60_000, "SR-SEC-1", f"{ASSUMPTION}: from a press on, as for a code")
BONDS_PER_WINDOW: Final = Limit(6, "SR-SEC-5", f"{ASSUMPTION}: Bluetooth's own pairings that are begun, for each press")

# Wire
PROTOCOL_VERSION: Final = Limit(1, "SR-SEC-1", CONTRACT)
MESSAGE_BYTES_MAX: Final = Limit(244, "SR-CMD-2", "one ATT value at ATT_MTU 247, a common data-length limit")
SEAL_WINDOW_RECORDS: Final = Limit(64, "SR-SEC-1", "RFC 4303, section 3.4.3")
HANDSHAKE_EVERY_MS: Final = Limit(1_000, "SR-SEC-5", ASSUMPTION)
HANDSHAKES_AT_ONCE: Final = Limit(3, "SR-SEC-5", ASSUMPTION)
SEAL_RECORDS_PER_KEY: Final = Limit(65_536, "SR-SEC-1", CONTRACT)
TELEMETRY_HZ: Final = Limit(100, "SR-DEPTH-5", CONTRACT)
TELEMETRY_BATCH: Final = Limit(10, "SR-DEPTH-5", CONTRACT)
TELEMETRY_IDLE_MS: Final = Limit(1_000, "SR-DEPTH-5", CONTRACT)


class ZoneRule(NamedTuple):
    """What a zone allows (SR-DEPTH-3): cap in µm, area in mm² (assumption), heads that may work there."""

    cap_um: int
    area_mm2: int
    heads: tuple[Head, ...]


ANY_HEAD: Final = (Head.GLIDE, Head.STAMP)
STAMP_ONLY: Final = (Head.STAMP,)

ZONE_RULES: Final[dict[Zone, ZoneRule]] = {
    Zone.FOREHEAD: ZoneRule(500, 6_000, ANY_HEAD),
    Zone.LEFT_CHEEK: ZoneRule(500, 4_500, ANY_HEAD),
    Zone.RIGHT_CHEEK: ZoneRule(500, 4_500, ANY_HEAD),
    Zone.CHIN: ZoneRule(500, 2_500, ANY_HEAD),
    Zone.NOSE: ZoneRule(250, 1_200, ANY_HEAD),
    Zone.UPPER_LIP: ZoneRule(250, 800, STAMP_ONLY),
    Zone.LEFT_UNDER_EYE: ZoneRule(250, 600, STAMP_ONLY),
    Zone.RIGHT_UNDER_EYE: ZoneRule(250, 600, STAMP_ONLY),
}

DIRECTIONS: Final = (Direction.VERTICAL, Direction.HORIZONTAL, Direction.DIAGONAL)


def pass_budget(zone: Zone) -> int:
    """Punctures that one pass over `zone` may make (SR-PASS-3); exact, since areas are whole mm²."""
    return PUNCTURES_PER_CM2_PASS * ZONE_RULES[zone].area_mm2 // 100


def density_per_cm2(rate_hz: int, needles: int, width_um: int, speed_mm_s: int) -> int:
    """Punctures per cm² that one sweep leaves, rounded up (SR-PASS-6); `width_um` and `speed_mm_s` > 0."""
    return -(-rate_hz * needles * 100_000 // (width_um * speed_mm_s))
