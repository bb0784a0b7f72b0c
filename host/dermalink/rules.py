"""The host's own guards: what is refused before it is sent, each with its rule (SR-DEPTH, SR-PASS, SR-CART, SR-INT).

Pure functions over what is known of the pen. They share the limits with codec and pen, and none of their checks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from dermalink.belief import Belief, Frame, PenBelief
from dermalink.claims import Finding, looser_claims, therapy_bars
from dermalink.refusals import host_refusal
from dermalink_protocol import limits
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import Limit
from dermalink_protocol.messages.identity import Capability, Cartridge, CartridgeFlag, HelloReply, Status, StatusFlag
from dermalink_protocol.zones import Direction, Head, Zone

CLOCK_SLACK_S: Final = 300  # a host's clock that was set back by less is kept right by its time service
UTC_MAX_S: Final = 0xFFFF_FFFF
BEGINS_ANEW: Final = "a simulated pen that keeps no state begins anew each time, and wants a journal of its own"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the host knows when it decides; number and hash are those of its journal's last record.

    `paused_for_ms` is by the pen's own ticks, since the pass was first seen paused. `history_fault` says what
    is wrong with the pen's history, "" for nothing (SR-LOG-1).
    """

    hello: HelloReply
    serial_number: str
    status: Status
    cartridge: Cartridge
    belief: Belief
    utc_s: int
    record_number: int = 0
    record_hash: bytes = bytes(32)
    history_fault: str = ""
    paused_for_ms: int = 0
    inspect_only: bool = False

    @property
    def pen(self) -> PenBelief:
        """What is believed of this pen's session."""
        return self.belief.pen(self.serial_number)

    @property
    def tag(self) -> str:
        """The seated head's identity, in hex."""
        return self.cartridge.tag_id.hex()


Check = Callable[[Facts], None]


def whole(what: str, value: object, low: int, high: int, reason: Reason, *, rule: str = "") -> int:
    """`value` if it is a whole number from `low` to `high`; nothing else is taken, and nothing is converted.

    A bool, a float (NaN too), a text and a numpy integer are refused: only `int` itself and a `Limit` pass.
    """
    if type(value) is not int and type(value) is not Limit:
        said = f"{value!r} is no whole number (`int`)"
        raise host_refusal(what, reason, rule=rule, because=said)
    number = int(value)
    if not low <= number <= high:
        raise host_refusal(
            what, reason, high if number > high else low, rule=rule, because=f"{number} is not within {low} to {high}"
        )
    return number


# Every command that raises exposure


def check_any(facts: Facts, what: str) -> None:
    """The pen keeps to limits at least as strict as ours, and no earlier command is in the dark (SR-UNC-1)."""
    if facts.inspect_only:
        raise host_refusal(what, Reason.NOT_OWNER, because="this connection was made to look only")
    for finding in looser_claims(facts.hello):
        _refuse_claim(what, finding)
    if facts.pen.unsettled:
        because = "the outcome of an earlier command is not known; ask the pen first (`settle`)"
        raise host_refusal(what, Reason.BUSY, rule="SR-UNC-1", because=because)
    if facts.status.state is State.STOP_FAILED:
        raise host_refusal(what, Reason.STOP_NOT_CONFIRMED)


def _refuse_claim(what: str, finding: Finding) -> NoReturn:
    raise host_refusal(what, finding.reason, finding.value, rule=finding.rule, because=finding.said)


def _check_fit(facts: Facts, what: str) -> None:
    check_any(facts, what)
    for finding in therapy_bars(facts.hello):
        _refuse_claim(what, finding)
    if facts.history_fault:
        simulated = Capability.CONTROL_CHANNEL in facts.hello.capabilities
        because = facts.history_fault + (f"; {BEGINS_ANEW}" if simulated else "")
        raise host_refusal(what, Reason.HISTORY_BROKEN, because=because)


def _check_therapy(facts: Facts, what: str) -> None:
    _check_fit(facts, what)
    if facts.status.state is State.FAULT:
        raise host_refusal(what, Reason.FAULT_LATCHED)
    if facts.status.state is State.LOCKED:
        raise host_refusal(what, Reason.LOCKED)


# Sessions


def check_open_session(facts: Facts, lease_ms: object) -> int:
    """SR-INT-1, SR-SES-1, SR-SYM-1, SR-STOP-1; gives the lease."""
    what = "Opening a session"
    _check_therapy(facts, what)
    lease = check_lease(facts, what, lease_ms)
    status = facts.status
    if status.session_id or StatusFlag.SESSION_OPEN in status.flags or status.state is not State.IDLE:
        raise host_refusal(what, Reason.WRONG_STATE, because=f"the pen is {_name(status.state)}")
    if StatusFlag.CLOCK_VALID not in status.flags or not status.utc_s:
        raise host_refusal(what, Reason.CLOCK_LOST)
    if StatusFlag.SYMPTOM in status.flags:
        raise host_refusal(what, Reason.SYMPTOM_LOCK, status.wait_s)
    if status.wait_s:
        raise host_refusal(what, Reason.INTERVAL_NOT_OVER, status.wait_s)
    _check_journal_waits(facts, what)
    return lease


def _check_journal_waits(facts: Facts, what: str) -> None:
    belief, now = facts.belief, facts.utc_s
    if now + CLOCK_SLACK_S < belief.last_utc_s:
        behind = belief.last_utc_s - now
        raise host_refusal(
            what, Reason.CLOCK_BACK, behind, because=f"this computer's clock is {behind} s behind its journal"
        )
    locked = belief.symptom_lock_s(now)
    if locked:
        raise host_refusal(what, Reason.SYMPTOM_LOCK, locked)
    if belief.needs_advice:
        raise host_refusal(
            what, Reason.SYMPTOM_LOCK, because="after bleeding, a rash, or what was not named, a clinician comes first"
        )
    since = max(0, now - belief.last_touch_utc_s)
    if belief.last_touch_utc_s and since < limits.INTERVAL_S:
        raise host_refusal(what, Reason.INTERVAL_NOT_OVER, limits.INTERVAL_S - since)


def check_lease(facts: Facts, what: str, lease_ms: object) -> int:
    """A lease that host and pen both allow (SR-STOP-1)."""
    return check_own_lease(what, lease_ms, min(int(limits.LEASE_MAX_MS), facts.hello.lease_max_ms))


def check_own_lease(what: str, lease_ms: object, high: int = limits.LEASE_MAX_MS) -> int:
    """A lease that this host allows, whatever the pen says (SR-STOP-1)."""
    return whole(what, lease_ms, limits.LEASE_MIN_MS, high, Reason.LEASE_OUT_OF_RANGE)


def check_adopt_session(facts: Facts, session_id: object, lease_ms: object) -> tuple[int, int]:
    """Only the session that the pen says is open; gives session and lease."""
    what = "Adopting a session"
    _check_fit(facts, what)
    number = whole(what, session_id, 1, UTC_MAX_S, Reason.WRONG_SESSION)
    if number != facts.status.session_id:
        raise host_refusal(what, Reason.WRONG_SESSION, because=f"the pen's open session is {facts.status.session_id}")
    return number, check_lease(facts, what, lease_ms)


def check_session(facts: Facts, what: str) -> int:
    """This host's session is the pen's open one (SR-SES-1); gives its number."""
    _check_therapy(facts, what)
    mine = facts.pen.session_id
    if not mine or mine != facts.status.session_id:
        raise host_refusal(what, Reason.WRONG_SESSION, because="this host has no session open in the pen")
    if not facts.status.session_left_s:
        raise host_refusal(what, Reason.SESSION_OVER)
    if facts.belief.symptom_lock_s(facts.utc_s):
        raise host_refusal(what, Reason.SYMPTOM_LOCK, rule="SR-SYM-1", because="a symptom was reported")
    return mine


# Frames and passes


def check_frame(
    facts: Facts, zone: object, direction: object, depth_um: object, rate_hz: object, speed_mm_s: object
) -> Frame:
    """One frame, whole, against every cap (SR-DEPTH-1 to 3 and 8, SR-PASS-1 and 6, SR-RATE-1, SR-CART-2)."""
    what = "This frame"
    place = check_place(facts, what, zone, direction)
    head = check_cartridge(facts, what)
    depth = check_depth(facts, what, place[0], head, depth_um)
    hello = facts.hello
    low, high = max(int(limits.RATE_MIN_HZ), hello.rate_min_hz), min(int(limits.RATE_MAX_HZ), hello.rate_max_hz)
    rate = whole(what, rate_hz, low, high, Reason.RATE_OUT_OF_RANGE)
    speed = whole(what, speed_mm_s, limits.SPEED_MIN_MM_S, limits.SPEED_MAX_MM_S, Reason.SPEED_OUT_OF_RANGE)
    check_density(facts, what, rate, speed)
    return Frame(0, *place, depth, rate, speed, facts.tag)


def check_place(facts: Facts, what: str, zone: object, direction: object) -> tuple[Zone, Direction]:
    """A zone that exists, and a direction that this session has not taken there (SR-DEPTH-3, SR-PASS-1)."""
    if type(zone) is not Zone or zone not in limits.ZONE_RULES:
        because = f"{zone!r} is none of {', '.join(_name(each) for each in limits.ZONE_RULES)}"
        raise host_refusal(what, Reason.UNKNOWN_ZONE, because=because)
    if type(direction) is not Direction or direction not in limits.DIRECTIONS:
        because = f"{direction!r} is none of {', '.join(_name(each) for each in limits.DIRECTIONS)}"
        raise host_refusal(what, Reason.UNKNOWN_DIRECTION, because=because)
    made = [place for place in facts.pen.passes if place[0] == zone]
    most = min(int(limits.PASSES_PER_ZONE), facts.hello.passes_per_zone)
    if len(made) >= most:
        raise host_refusal(what, Reason.ZONE_FULL, most)
    if (int(zone), int(direction)) in made:
        because = f"{_name(zone)}, {_name(direction)} was made in this session"
        raise host_refusal(what, Reason.PASS_ALREADY_MADE, because=because)
    return zone, direction


def check_cartridge(facts: Facts, what: str) -> Head:
    """A head that may be used now (SR-CART-1 and 2, SR-DEPTH-2); used in the pen's ledger or in the journal is used."""
    head = facts.cartridge
    if CartridgeFlag.PRESENT not in head.flags:
        raise host_refusal(what, Reason.CARTRIDGE_ABSENT)
    if CartridgeFlag.READABLE not in head.flags:
        raise host_refusal(what, Reason.CARTRIDGE_UNREADABLE)
    if CartridgeFlag.MAKER_KNOWN not in head.flags:
        raise host_refusal(what, Reason.CARTRIDGE_UNKNOWN_MAKER)
    _check_used(facts, what)
    if CartridgeFlag.EXPIRED in head.flags or head.sterile_until_s <= max(facts.utc_s, facts.status.utc_s):
        raise host_refusal(what, Reason.CARTRIDGE_EXPIRED)
    cap = int(limits.DEPTH_CAP_UM)
    if not 1 <= head.protrusion_um <= cap:
        because = f"its needles may reach {head.protrusion_um} µm, allowed are {cap} µm"
        raise host_refusal(what, Reason.CARTRIDGE_OVER_CAP, cap, because=because)
    most = min(int(limits.NEEDLES_MAX), facts.hello.needles_max)
    if not 1 <= head.needles <= most:
        raise host_refusal(
            what, Reason.CARTRIDGE_OVER_NEEDLES, most, because=f"it has {head.needles}, allowed are {most}"
        )
    if head.head not in (Head.GLIDE, Head.STAMP) or not head.width_um:
        raise host_refusal(what, Reason.CARTRIDGE_WRONG_KIND, because=f"kind {head.head} is not known")
    if head.reason is not Reason.NONE:
        raise host_refusal(what, head.reason, because="so the pen says")
    return Head(head.head)


def _check_used(facts: Facts, what: str) -> None:
    flags = facts.cartridge.flags
    if CartridgeFlag.USED_IN_LEDGER in flags and CartridgeFlag.USED_THIS_SESSION not in flags:
        raise host_refusal(what, Reason.CARTRIDGE_USED)
    use = facts.belief.used_heads.get(facts.tag)
    if use is not None and (use.pen, use.session_id) != (facts.serial_number, facts.pen.session_id):
        raise host_refusal(
            what, Reason.CARTRIDGE_USED, because=f"this computer's journal has it in session {use.session_id}"
        )


def check_depth(facts: Facts, what: str, zone: Zone, head: Head, depth_um: object) -> int:
    """A setting under every cap: the contract's, the pen's, the zone's, the head's (SR-DEPTH-1 to 3)."""
    hello, rule = facts.hello, limits.ZONE_RULES[zone]
    if type(depth_um) is not int and type(depth_um) is not Limit:
        because = f"{depth_um!r} is no whole number of µm (`int`)"
        raise host_refusal(what, Reason.DEPTH_OVER_CAP, rule="SR-DEPTH-1", because=because)
    depth = int(depth_um)
    cap = min(int(limits.DEPTH_CAP_UM), hello.depth_cap_um)
    least = max(int(limits.DEPTH_MIN_UM), hello.depth_min_um)
    if depth > cap:
        raise host_refusal(what, Reason.DEPTH_OVER_CAP, cap, because=f"{depth} µm is over {cap} µm")
    if depth < least:
        raise host_refusal(what, Reason.DEPTH_UNDER_MIN, least, because=f"{depth} µm is under {least} µm")
    for step in (int(limits.DEPTH_STEP_UM), hello.depth_step_um):
        if depth % step:
            raise host_refusal(what, Reason.DEPTH_OFF_STEP, step)
    if depth > rule.cap_um:
        because = f"{depth} µm is over the {rule.cap_um} µm of {_name(zone)}"
        raise host_refusal(what, Reason.DEPTH_OVER_ZONE_CAP, rule.cap_um, because=because)
    if head not in rule.heads:
        raise host_refusal(what, Reason.ZONE_NEEDS_STAMP)
    if depth > facts.cartridge.protrusion_um:
        raise host_refusal(what, Reason.DEPTH_OVER_CARTRIDGE, facts.cartridge.protrusion_um)
    return depth


def check_density(facts: Facts, what: str, rate_hz: int, speed_mm_s: int) -> None:
    """A sweep that leaves few enough punctures for a pass to cover its zone (SR-PASS-6)."""
    head = facts.cartridge
    most = min(int(limits.DENSITY_MAX_PER_CM2), facts.hello.density_max_per_cm2)
    # rate [1/s] x needles / (width [µm] x speed [mm/s]) in punctures per cm²; multiplied out, so nothing is rounded
    if rate_hz * head.needles * 100_000 > most * head.width_um * speed_mm_s:
        because = f"{rate_hz} Hz with {head.needles} needles at {speed_mm_s} mm/s leaves more than {most} per cm²"
        raise host_refusal(what, Reason.DENSITY_TOO_HIGH, most, because=because)


def check_prepare(facts: Facts, frame: Callable[[], Frame]) -> Frame:
    """A frame may be prepared while none runs (SR-DEPTH-8)."""
    what = "Preparing a frame"
    check_session(facts, what)
    if StatusFlag.PASS_OPEN in facts.status.flags or facts.pen.running is not None:
        raise host_refusal(what, Reason.PASS_IN_PROGRESS)
    if facts.status.state not in (State.OPEN, State.PREPARED):
        raise host_refusal(what, Reason.WRONG_STATE, because=f"the pen is {_name(facts.status.state)}")
    return frame()


def check_begin_pass(facts: Facts) -> Frame:
    """The prepared frame, whole and anew, and as the pen holds it (SR-DEPTH-8); gives it."""
    what = "Beginning a pass"
    check_session(facts, what)
    frame, status = facts.pen.frame, facts.status
    if frame is None or not frame.frame_id or status.state is not State.PREPARED:
        raise host_refusal(what, Reason.WRONG_FRAME, because="no frame is prepared that this host asked for")
    held = (status.zone, status.direction, status.depth_um, status.rate_hz)
    if held != (frame.zone, frame.direction, frame.depth_um, frame.rate_hz):
        raise host_refusal(what, Reason.FRAME_CHANGED)
    if facts.tag != frame.tag:
        raise host_refusal(what, Reason.CARTRIDGE_CHANGED)
    check_frame(facts, frame.zone, frame.direction, frame.depth_um, frame.rate_hz, frame.speed_mm_s)
    return frame


def check_resume_pass(facts: Facts) -> Frame:
    """The same pass with the same head, not too often (SR-PASS-2); gives its frame."""
    what = "Resuming the pass"
    check_session(facts, what)
    frame, status = facts.pen.running, facts.status
    if frame is None or status.state is not State.PAUSED:
        raise host_refusal(what, Reason.NO_PASS)
    if (status.zone, status.direction, status.depth_um) != (frame.zone, frame.direction, frame.depth_um):
        raise host_refusal(what, Reason.FRAME_CHANGED)
    if facts.pen.resumes >= limits.RESUMES_PER_PASS or not status.resumes_left:
        raise host_refusal(what, Reason.RESUMES_USED_UP, int(limits.RESUMES_PER_PASS))
    if facts.paused_for_ms > limits.RESUME_WITHIN_MS:
        raise host_refusal(what, Reason.RESUME_TOO_LATE, int(limits.RESUME_WITHIN_MS))
    if not status.punctures_left:
        raise host_refusal(what, Reason.PASS_COMPLETE)
    head = check_cartridge(facts, what)
    if facts.tag != frame.tag:
        raise host_refusal(what, Reason.CARTRIDGE_CHANGED)
    check_depth(facts, what, frame.zone, head, frame.depth_um)
    return frame


# Faults, self-test, clock


def check_acknowledge_fault(facts: Facts, fault: object) -> Reason:
    """Only the fault that is latched, by its name."""
    what = "Acknowledging a fault"
    check_any(facts, what)
    if type(fault) is not Reason or facts.status.state is not State.FAULT or facts.status.reason is not fault:
        raise host_refusal(what, Reason.WRONG_STATE, because=f"the pen says {_name(facts.status.reason)}")
    return fault


def check_self_test(facts: Facts) -> None:
    """The self-test moves the needles below the head's face: not in contact, and not in a session (SR-POST-1)."""
    what = "The self-test"
    check_any(facts, what)
    if StatusFlag.CONTACT in facts.status.flags:
        raise host_refusal(what, Reason.IN_CONTACT)
    if facts.status.session_id:
        raise host_refusal(what, Reason.WRONG_STATE, because="a session is open")


def check_set_clock(facts: Facts, utc_s: object) -> int:
    """A time on the wire that is not before what the journal has seen."""
    what = "Setting the clock"
    check_any(facts, what)
    wanted = whole(what, utc_s, 1, UTC_MAX_S, Reason.OUT_OF_RANGE, rule="SR-INT-2")
    if wanted + CLOCK_SLACK_S < facts.belief.last_utc_s:
        raise host_refusal(what, Reason.CLOCK_BEFORE_RECORD)
    return wanted


def _name(word: State | Reason | Zone | Direction) -> str:
    return word.name.lower().replace("_", " ")
