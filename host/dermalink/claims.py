"""What a pen claims in hello, held against the host's own limits: looser is refused, stricter is kept to."""

from typing import Final, NamedTuple

from dermalink_protocol import limits
from dermalink_protocol.codewords import Reason
from dermalink_protocol.messages.identity import HelloReply

HIGHEST: Final = (
    ("depth_cap_um", limits.DEPTH_CAP_UM, "µm"),
    ("rate_max_hz", limits.RATE_MAX_HZ, "Hz"),
    ("needles_max", limits.NEEDLES_MAX, "needles"),
    ("passes_per_zone", limits.PASSES_PER_ZONE, "passes"),
    ("budget_per_cm2", limits.PUNCTURES_PER_CM2_PASS, "punctures per cm²"),
    ("density_max_per_cm2", limits.DENSITY_MAX_PER_CM2, "punctures per cm²"),
    ("lease_max_ms", limits.LEASE_MAX_MS, "ms"),
    ("ttl_max_ms", limits.TTL_MAX_MS, "ms"),
    ("press_within_ms", limits.PRESS_WITHIN_MS, "ms"),
    ("session_max_s", limits.Limit(limits.SESSION_MAX_MS // 1_000, "SR-SES-1", limits.ASSUMPTION), "s"),
)
LOWEST: Final = (
    ("depth_min_um", limits.DEPTH_MIN_UM, "µm"),
    ("depth_step_um", limits.DEPTH_STEP_UM, "µm"),
    ("rate_min_hz", limits.RATE_MIN_HZ, "Hz"),
    ("interval_s", limits.INTERVAL_S, "s"),
)


class Finding(NamedTuple):
    """One claim that does not do: what it says, the host's own limit, the rule, and the word that refuses it."""

    said: str
    rule: str
    reason: Reason
    value: int


def looser_claims(hello: HelloReply) -> tuple[Finding, ...]:
    """The claims that are looser than the host's limits (SR-DEPTH-1 and the rule of each)."""
    found = []
    for name, limit, unit in HIGHEST:
        claim = getattr(hello, name)
        if claim > limit:
            found.append(_finding(name, claim, limit, unit, "at most"))
    for name, limit, unit in LOWEST:
        claim = getattr(hello, name)
        if claim < limit:
            found.append(_finding(name, claim, limit, unit, "at least"))
    return tuple(found)


def _finding(name: str, claim: int, limit: limits.Limit, unit: str, side: str) -> Finding:
    said = f"it claims {name} {claim}, allowed is {side} {int(limit)} {unit}"
    return Finding(said, limit.rule, Reason.VERSION_MISMATCH, int(limit))


def therapy_bars(hello: HelloReply) -> tuple[Finding, ...]:
    """Why this pen gets no therapy, though it may be looked at: undeclared or too large tolerance or accuracy."""
    found = []
    if not 1 <= hello.drive_tolerance_um <= limits.TOLERANCE_MAX_UM:
        said = f"declared is {hello.drive_tolerance_um} µm, allowed are 1 to {limits.TOLERANCE_MAX_UM} µm"
        found.append(Finding(said, "SR-DEPTH-6", Reason.TOLERANCE_UNDECLARED, int(limits.TOLERANCE_MAX_UM)))
    if not 1 <= hello.sensor_accuracy_um <= limits.ACCURACY_MAX_UM:
        said = f"declared is {hello.sensor_accuracy_um} µm, allowed are 1 to {limits.ACCURACY_MAX_UM} µm"
        found.append(Finding(said, "SR-DEPTH-5", Reason.ACCURACY_UNDECLARED, int(limits.ACCURACY_MAX_UM)))
    return tuple(found)
