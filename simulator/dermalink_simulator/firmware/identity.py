"""What the pen says of itself: hello with its own limits, and whether a pen that declares so little gets therapy."""

from typing import Final

from dermalink_protocol.limits import (
    DENSITY_MAX_PER_CM2,
    DEPTH_CAP_UM,
    DEPTH_MIN_UM,
    DEPTH_STEP_UM,
    INTERVAL_S,
    LEASE_MAX_MS,
    NEEDLES_MAX,
    PASSES_PER_ZONE,
    PRESS_WITHIN_MS,
    PROTOCOL_VERSION,
    PUNCTURES_PER_CM2_PASS,
    SESSION_MAX_MS,
    TTL_MAX_MS,
)
from dermalink_protocol.messages.identity import Capability, HelloReply
from dermalink_protocol.sealing.handshake import SUITE
from dermalink_simulator.firmware.flash_layout import FactoryRecord
from dermalink_simulator.firmware.safeguards import Profile

FIRMWARE_VERSION: Final = 0 << 16 | 1 << 8 | 0  # 0.1.0


def capabilities(profile: Profile) -> Capability:
    """What the pen offers beyond the spine; a product has no control channel (SR-SEC-4)."""
    offered = Capability.STAMP_HEADS | Capability.OWNER
    return offered if profile is Profile.PRODUCT else offered | Capability.CONTROL_CHANNEL


def hello_reply(
    factory: FactoryRecord, calibration_id: int, profile: Profile, boot_id: int, tick_ms: int
) -> HelloReply:
    """The pen's identity and the limits that it keeps itself."""
    return HelloReply(
        protocol_version=int(PROTOCOL_VERSION),
        firmware_version=FIRMWARE_VERSION,
        serial_number=factory.serial_number,
        boot_id=boot_id,
        capabilities=capabilities(profile),
        suite=SUITE,
        calibration_id=calibration_id,
        depth_cap_um=int(DEPTH_CAP_UM),
        depth_min_um=int(DEPTH_MIN_UM),
        depth_step_um=int(DEPTH_STEP_UM),
        drive_tolerance_um=factory.drive_tolerance_um,
        sensor_accuracy_um=factory.sensor_accuracy_um,
        rate_min_hz=factory.rate_min_hz,
        rate_max_hz=factory.rate_max_hz,
        needles_max=int(NEEDLES_MAX),
        passes_per_zone=int(PASSES_PER_ZONE),
        budget_per_cm2=int(PUNCTURES_PER_CM2_PASS),
        density_max_per_cm2=int(DENSITY_MAX_PER_CM2),
        lease_max_ms=int(LEASE_MAX_MS),
        ttl_max_ms=int(TTL_MAX_MS),
        press_within_ms=int(PRESS_WITHIN_MS),
        session_max_s=SESSION_MAX_MS // 1_000,
        interval_s=int(INTERVAL_S),
        tick_ms=tick_ms,
    )
