"""What head, frame and the pen's condition must be before anything starts: guards, each one refusal's reason."""

from dermalink_protocol.codewords import Reason
from dermalink_protocol.zones import Direction, Head
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.subset import helper
from dermalink_simulator.therapy.widths import ZONE_CELLS

# The pen's condition


def clock_unset(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """There is no time of day to hold a head's sterile date against."""
    return e.utc_s == 0


def accuracy_undeclared(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The depth monitor's sensor declares no accuracy, or more than 25 µm."""
    return e.accuracy_um == 0 or e.accuracy_um > k.accuracy_max_um


def battery_low(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Not the energy to finish a pass and to retract."""
    return e.battery_percent < k.battery_start_percent


def supplied(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """An external supply is present."""
    return e.supply != 0


def in_touch(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The head touches something; the self-test wants it free."""
    return e.contact != 0


# The head


@helper
def head_unfit(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The seated head is refused, or there is none."""
    return s.head_verdict != Reason.NONE


def head_expired(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Past its sterile date."""
    return e.utc_s > s.head_sterile_s


def head_other(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The frame names another head than the seated one."""
    return e.tag_low != s.tag_low or e.tag_high != s.tag_high


def head_worn_out(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The head has made all its strokes."""
    return s.head_strokes == 0


@helper
def judged(k: CoreLimits, s: TherapyState, e: Event) -> int:
    """Why the head that is being seated is refused; NONE if it is fit (SR-CART-2, SR-DEPTH-2, SR-DEPTH-6)."""
    return (
        e.verdict
        if e.verdict != Reason.NONE
        else (
            Reason.CARTRIDGE_UNREADABLE
            if e.needles == 0 or e.width_um == 0 or e.reach_um == 0 or e.head_kind not in (Head.GLIDE, Head.STAMP)
            else (
                Reason.CARTRIDGE_OVER_CAP
                if e.reach_um > k.depth_cap_um
                else (
                    Reason.CARTRIDGE_OVER_NEEDLES
                    if e.needles > k.needles_max
                    else (
                        Reason.TOLERANCE_UNDECLARED
                        if e.tolerance_um == 0 or e.tolerance_um > k.tolerance_max_um
                        else judged_use(s, e)
                    )
                )
            )
        )
    )


@helper
def judged_use(s: TherapyState, e: Event) -> int:
    """Why a head that could be worked with is refused for what became of it; NONE if it is fit."""
    return (
        Reason.CARTRIDGE_EXPIRED
        if e.utc_s > e.sterile_until_s
        else (
            Reason.CARTRIDGE_USED
            if e.sessions_used >= e.sessions_allowed or (e.marked != 0 and s.session_id == 0)
            else (
                Reason.EVIDENCE_MISSING
                if e.sessions_used != 0
                else (Reason.CARTRIDGE_WORN_OUT if e.strokes_left == 0 else Reason.NONE)
            )
        )
    )


# The frame, as a host asks for it


def zone_unknown(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """No such zone."""
    return e.zone == 0 or e.zone >= ZONE_CELLS


def direction_unknown(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """No such direction, or more than one."""
    return e.direction not in (Direction.VERTICAL, Direction.HORIZONTAL, Direction.DIAGONAL)


def over_cap(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Deeper than any needle may go."""
    return e.depth_um > k.depth_cap_um


def under_min(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Shallower than the lowest setting."""
    return e.depth_um < k.depth_min_um


def off_step(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Between two steps of the setting."""
    return e.depth_um % k.depth_step_um != 0


def over_zone_cap(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Deeper than this zone allows."""
    return e.depth_um > k.zone_cap_um[e.zone]


def over_reach(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Deeper than the head's own mechanical limit."""
    return e.depth_um > s.head_reach_um


def needs_stamp(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The zone takes no head of this kind."""
    return k.zone_heads[e.zone] & s.head_kind == 0


def rate_wrong(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Outside the pen's range of rates."""
    return e.rate_hz < k.rate_min_hz or e.rate_hz > k.rate_max_hz


def speed_wrong(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Outside the range of a hand's travel."""
    return e.speed_mm_s < k.speed_min_mm_s or e.speed_mm_s > k.speed_max_mm_s


PER_CM2 = 100_000
"""Hz x needles over µm x mm/s, as needles per cm²: 10 000 µm to the cm, and 10 mm."""


@helper
def density_over(k: CoreLimits, needles: int, width_um: int, rate_hz: int, speed_mm_s: int) -> bool:
    """More punctures per cm² in one sweep than a pass may make (in C: products of 64 bits)."""
    return rate_hz * needles * PER_CM2 > k.density_max_per_cm2 * (width_um * speed_mm_s)


def too_dense(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The sweep would be over the density limit."""
    return density_over(k, s.head_needles, s.head_width_um, e.rate_hz, e.speed_mm_s)


def pass_made(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """This zone had its pass in this direction."""
    return s.done[e.zone] & e.direction != 0


def zone_full(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The zone's punctures are booked."""
    return s.spent[e.zone] + k.pass_budget[e.zone] > k.zone_budget[e.zone]


# The frame that is held, checked whole again


@helper
def depth_sound(k: CoreLimits, s: TherapyState) -> bool:
    """Zone and depth are within every cap."""
    return (
        1 <= s.zone < ZONE_CELLS
        and k.depth_min_um <= s.depth_um <= k.depth_cap_um
        and s.depth_um % k.depth_step_um == 0
        and s.depth_um <= k.zone_cap_um[s.zone]
        and s.depth_um <= s.head_reach_um
        and s.head_reach_um <= k.depth_cap_um
        and 1 <= s.head_tolerance_um <= k.tolerance_max_um
    )


@helper
def sweep_sound(k: CoreLimits, s: TherapyState) -> bool:
    """Direction, rate, speed and head go together, and with the zone."""
    return (
        s.direction in (Direction.VERTICAL, Direction.HORIZONTAL, Direction.DIAGONAL)
        and k.rate_min_hz <= s.rate_hz <= k.rate_max_hz
        and k.speed_min_mm_s <= s.speed_mm_s <= k.speed_max_mm_s
        and 1 <= s.head_needles <= k.needles_max
        and k.zone_heads[s.zone] & s.head_kind != 0
        and not density_over(k, s.head_needles, s.head_width_um, s.rate_hz, s.speed_mm_s)
    )


@helper
def pass_free(k: CoreLimits, s: TherapyState) -> bool:
    """The frame's pass is one that the zone may still have."""
    return s.done[s.zone] & s.direction == 0 and s.spent[s.zone] + k.pass_budget[s.zone] <= k.zone_budget[s.zone]


@helper
def frame_sound(k: CoreLimits, s: TherapyState) -> bool:
    """The frame may run with the head that is seated."""
    return s.head_verdict == Reason.NONE and depth_sound(k, s) and sweep_sound(k, s)


def frame_startable(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The frame is sound, and its pass still free."""
    return frame_sound(k, s) and pass_free(k, s)


def frame_resumable(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The frame is sound, and its pass has begun, has punctures left, and may be resumed once more."""
    return frame_sound(k, s) and s.written == 1 and s.pass_left != 0 and s.pass_ms != 0 and s.resumes < k.resumes_max


def frame_other(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The frame that is to begin is not the one that is held."""
    return e.frame_id != s.frame_id
