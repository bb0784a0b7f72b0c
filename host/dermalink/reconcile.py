"""What a fresh status adds to what was believed: passes and sessions that ended, symptoms that were said."""

from typing import Final

from dermalink.belief import Belief, PenBelief
from dermalink.records import PassOver, Record, SessionOver, SymptomSaid, symptom_seen
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.limits import SYMPTOM_LOCK_S
from dermalink_protocol.messages.identity import Status, StatusFlag
from dermalink_protocol.zones import Symptom

# In every other state a begun pass may still go on, or its end is being written.
NO_PASS_OPEN: Final = (State.BOOT, State.SELF_TEST, State.IDLE, State.OPEN, State.PREPARED, State.LOCKED)
# A symptom may be reported by the pen's own button, or by another host.
SYMPTOMS: Final = {
    Reason.SYMPTOM_PAIN: Symptom.PAIN,
    Reason.SYMPTOM_BLEEDING: Symptom.BLEEDING,
    Reason.SYMPTOM_RASH: Symptom.RASH,
    Reason.SYMPTOM_UNSAID: Symptom.UNSAID,
}


def endings(believed: PenBelief, status: Status, serial_number: str, utc_s: int, *, sealed: bool) -> list[Record]:
    """The records to keep, in order, so that the belief fits what the pen says, under seal or in the clear."""
    found: list[Record] = []
    symptom = SYMPTOMS.get(status.reason)
    if symptom is not None and believed.session_id and not believed.symptom_said:
        found.append(symptom_seen(symptom, pen=serial_number, sealed=sealed, utc_s=utc_s))
    gone = bool(believed.session_id) and status.session_id != believed.session_id and status.state is not State.OPENING
    if believed.running is not None and (gone or status.state in NO_PASS_OPEN):
        found.append(_pass_over(believed, status, serial_number, utc_s))
    if gone:
        found.append(SessionOver(pen=serial_number, utc_s=utc_s, session_id=believed.session_id))
    return found


def kept_by_pen(belief: Belief, status: Status, serial_number: str, utc_s: int, *, sealed: bool) -> list[SymptomSaid]:
    """The record of a symptom that the pen keeps and this journal knows nothing of: its button took it, say (SR-SYM-1).

    It ends here when it does there; where only advice is still due, that alone is what it says.
    """
    bars, advice = StatusFlag.SYMPTOM in status.flags, StatusFlag.ADVICE_DUE in status.flags
    if not ((advice and not belief.needs_advice) or (bars and not belief.symptom_lock_s(utc_s))):
        return []
    left_s = min(status.wait_s, int(SYMPTOM_LOCK_S)) if bars else 0
    symptom = symptom_of(status.flags, status.reason)
    said_s = utc_s - (SYMPTOM_LOCK_S - left_s)
    return [symptom_seen(symptom, pen=serial_number, sealed=sealed, utc_s=said_s)]


def symptom_of(flags: StatusFlag, reason: Reason) -> Symptom:
    """Which symptom the pen keeps, as far as it says so; of those without a name only pain wants no advice."""
    return SYMPTOMS.get(reason, Symptom.UNSAID if StatusFlag.ADVICE_DUE in flags else Symptom.PAIN)


def _pass_over(believed: PenBelief, status: Status, serial_number: str, utc_s: int) -> PassOver:
    """The pass counts, unless the pen shows that no needle touched skin.

    That is when it holds the same frame prepared again (nobody pressed), or when the wait of SR-INT-1, which the first
    touch of a session starts, has not begun.
    """
    frame = believed.running
    assert frame is not None
    same_session = status.session_id == believed.session_id
    held = (status.zone, status.direction, status.depth_um, status.rate_hz)
    unpressed = status.state is State.PREPARED and held == (frame.zone, frame.direction, frame.depth_um, frame.rate_hz)
    untouched = same_session and believed.resumes == 0 and (unpressed or not status.wait_s)
    return PassOver(
        pen=serial_number,
        utc_s=utc_s,
        session_id=believed.session_id,
        zone=frame.zone,
        direction=frame.direction,
        touched=not untouched,
        punctures=status.punctures if same_session else 0,
        peak_depth_um=status.peak_depth_um if same_session else 0,
        reason=status.reason.name if same_session else Reason.NONE.name,
    )
