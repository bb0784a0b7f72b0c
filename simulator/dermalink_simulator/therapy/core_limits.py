"""The numbers that the therapy core is held to, handed in from here alone; exploration runs with smaller ones."""

from typing import Final, NamedTuple

from dermalink_protocol import limits
from dermalink_protocol.zones import Zone

SELF_TEST_WITHIN_MS: Final = 10_000
"""A self-test that did not end by then counts as failed (assumption)."""

LIFT_SEEN_WITHIN_MS: Final = 20
"""A lift is seen a turn of the main loop late, and contact is believed for one turn more."""


class CoreLimits(NamedTuple):
    """As `dermalink_protocol.limits` has them, by the names used there; tuples are indexed by `Zone`, cell 0 is none.

    `lift_retract_ms` is short of the limit by the time that seeing it and the needles take, since they are to be in by
    then. A pen that declares a narrower range of rates hands in its own `rate_min_hz` and `rate_max_hz`.
    """

    depth_cap_um: int
    depth_min_um: int
    depth_step_um: int
    accuracy_max_um: int
    tolerance_max_um: int
    zone_cap_um: tuple[int, ...]
    zone_heads: tuple[int, ...]
    pass_budget: tuple[int, ...]
    zone_budget: tuple[int, ...]
    rate_min_hz: int
    rate_max_hz: int
    speed_min_mm_s: int
    speed_max_mm_s: int
    needles_max: int
    density_max_per_cm2: int
    head_strokes_max: int
    resumes_max: int
    resume_within_ms: int
    press_within_ms: int
    press_fresh_ms: int
    spin_up_ms: int
    armed_idle_ms: int
    lift_retract_ms: int
    lift_pause_ms: int
    stop_failed_ms: int
    self_test_within_ms: int
    session_max_ms: int
    lease_min_ms: int
    lease_max_ms: int
    interval_s: int
    symptom_lock_s: int
    clock_jump_max_s: int
    ttl_max_ms: int
    ids_ahead_max: int
    battery_start_percent: int
    order_valid_max_ms: int
    watchdog_ms: int


def _by_zone(value: dict[Zone, int]) -> tuple[int, ...]:
    return (0, *(int(value[zone]) for zone in Zone))


def _limits() -> CoreLimits:
    rules = limits.ZONE_RULES
    budget = {zone: limits.pass_budget(zone) for zone in Zone}
    return CoreLimits(
        depth_cap_um=int(limits.DEPTH_CAP_UM),
        depth_min_um=int(limits.DEPTH_MIN_UM),
        depth_step_um=int(limits.DEPTH_STEP_UM),
        accuracy_max_um=int(limits.ACCURACY_MAX_UM),
        tolerance_max_um=int(limits.TOLERANCE_MAX_UM),
        zone_cap_um=_by_zone({zone: rules[zone].cap_um for zone in Zone}),
        zone_heads=_by_zone({zone: sum(rules[zone].heads) for zone in Zone}),
        pass_budget=_by_zone(budget),
        zone_budget=_by_zone({z: limits.PUNCTURES_PER_CM2_ZONE * rules[z].area_mm2 // 100 for z in Zone}),
        rate_min_hz=int(limits.RATE_MIN_HZ),
        rate_max_hz=int(limits.RATE_MAX_HZ),
        speed_min_mm_s=int(limits.SPEED_MIN_MM_S),
        speed_max_mm_s=int(limits.SPEED_MAX_MM_S),
        needles_max=int(limits.NEEDLES_MAX),
        density_max_per_cm2=int(limits.DENSITY_MAX_PER_CM2),
        head_strokes_max=int(limits.HEAD_STROKES_MAX),
        resumes_max=int(limits.RESUMES_PER_PASS),
        resume_within_ms=int(limits.RESUME_WITHIN_MS),
        press_within_ms=int(limits.PRESS_WITHIN_MS),
        press_fresh_ms=int(limits.PRESS_FRESH_MS),
        spin_up_ms=int(limits.SPIN_UP_MS),
        armed_idle_ms=int(limits.ARMED_IDLE_MS),
        lift_retract_ms=limits.LIFT_RETRACT_MS - limits.IN_WITHIN_MS - LIFT_SEEN_WITHIN_MS,
        lift_pause_ms=int(limits.LIFT_PAUSE_MS),
        stop_failed_ms=int(limits.STOP_FAILED_MS),
        self_test_within_ms=SELF_TEST_WITHIN_MS,
        session_max_ms=int(limits.SESSION_MAX_MS),
        lease_min_ms=int(limits.LEASE_MIN_MS),
        lease_max_ms=int(limits.LEASE_MAX_MS),
        interval_s=int(limits.INTERVAL_S),
        symptom_lock_s=int(limits.SYMPTOM_LOCK_S),
        clock_jump_max_s=int(limits.CLOCK_JUMP_MAX_S),
        ttl_max_ms=int(limits.TTL_MAX_MS),
        ids_ahead_max=int(limits.COMMAND_IDS_AHEAD_MAX),
        battery_start_percent=int(limits.BATTERY_START_PERCENT),
        order_valid_max_ms=int(limits.ORDER_VALID_MAX_MS),
        watchdog_ms=int(limits.WATCHDOG_MS),
    )


LIMITS: Final = _limits()
