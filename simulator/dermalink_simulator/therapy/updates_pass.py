"""What a row may write about head, frame and pass: updates f(limits, state, event, old value), one expression each."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy.checks import judged
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.subset import helper, least, less

FRAME_ID_TOP: Final = 0xFFFF

# Head


def verdict_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """What is thought of the head."""
    return judged(k, s, e)


@helper
def if_fit(k: CoreLimits, s: TherapyState, e: Event, value: int) -> int:
    """A value of the head that is being seated; zero if it is refused."""
    return value if judged(k, s, e) == Reason.NONE else 0


def tag_low_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The tag's identity, low half."""
    return if_fit(k, s, e, e.tag_low)


def tag_high_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The tag's identity, high half."""
    return if_fit(k, s, e, e.tag_high)


def kind_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head's kind."""
    return if_fit(k, s, e, e.head_kind)


def needles_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head's needles."""
    return if_fit(k, s, e, e.needles)


def width_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head's width."""
    return if_fit(k, s, e, e.width_um)


def reach_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head's greatest protrusion."""
    return if_fit(k, s, e, e.reach_um)


def tolerance_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The tolerance of drive and head."""
    return if_fit(k, s, e, e.tolerance_um)


def sterile_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head's sterile date."""
    return if_fit(k, s, e, e.sterile_until_s)


def strokes_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The head's strokes left, by its tag and by the pen."""
    return if_fit(k, s, e, least(e.strokes_left, k.head_strokes_max))


def mark_given(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Whether this session marked the head."""
    return if_fit(k, s, e, 1 if e.marked != 0 else 0)


def verdict_after(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """A head that the session marked is used, now that it ends."""
    return Reason.CARTRIDGE_USED if s.head_marked == 1 else old


def unmarked_only(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """What is known of the head, unless it is used now."""
    return 0 if s.head_marked == 1 else old


# Frame and pass


def zone_asked(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """As asked for."""
    return e.zone


def direction_asked(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """As asked for."""
    return e.direction


def depth_asked(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """As asked for."""
    return e.depth_um


def rate_asked(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """As asked for."""
    return e.rate_hz


def speed_asked(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """As asked for."""
    return e.speed_mm_s


def frame_next(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The next frame's number; 65535 is followed by 1."""
    return old + 1 if old < FRAME_ID_TOP else 1


def whole_budget(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """What a pass over the zone may make."""
    return k.pass_budget[s.zone]


def booked(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The zone's punctures with a whole pass booked."""
    return old + k.pass_budget[s.zone]


def given_back(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The zone's punctures without what the pass did not make."""
    return less(old, s.pass_left)


def touched(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The zone had its pass in the frame's direction."""
    return old | s.direction


def touched_if_struck(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The same, if there were punctures."""
    return old | s.direction if e.punctures != 0 else old


def punctured(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Punctures left to the pass."""
    return less(old, e.punctures)


def struck(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Strokes left to the head."""
    return less(old, e.strokes)


def one_more(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Once more."""
    return old + 1
