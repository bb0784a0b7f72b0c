"""What a row may write about waits, symptoms and the clock: updates f(limits, state, event, old value)."""

from dermalink_protocol.zones import NEEDS_ADVICE
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import Clock, TherapyState
from dermalink_simulator.therapy.subset import less, most


def interval(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The whole wait after a session."""
    return k.interval_s


def interval_again(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """A wait that was running starts again."""
    return k.interval_s if old != 0 else 0


def interval_if_struck(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The whole wait from this stroke, if it made punctures."""
    return k.interval_s if e.punctures != 0 else old


def symptom_wait(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The whole wait after a symptom."""
    return k.symptom_lock_s


def symptom_again(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """A wait that was running starts again."""
    return k.symptom_lock_s if old != 0 else 0


def ran(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Seconds left after time that the clock really ran."""
    return less(old, e.seconds)


def loaded_wait(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The ledger's wait, whole if the clock was lost."""
    return k.interval_s if e.wait_s != 0 and s.clock == Clock.LOST else e.wait_s


def loaded_symptom(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The ledger's wait after a symptom, whole if the clock was lost; or one reported since."""
    return k.symptom_lock_s if e.symptom_s != 0 and s.clock == Clock.LOST else most(old, e.symptom_s)


def loaded_advice(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Advice is due by the ledger, or since power-up."""
    return 1 if e.advice_due != 0 else old


def advice(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """Bleeding and rash want a clinician's advice, and so does what was not said to be neither."""
    return 1 if e.symptom in NEEDS_ADVICE else old


def if_session(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """It is so, if a session is open."""
    return 1 if s.session_id != 0 else 0


def lost(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The clock was lost."""
    return Clock.LOST


def back(k: CoreLimits, s: TherapyState, e: Event, old: int) -> int:
    """The clock moved back; a lost one stays lost."""
    return Clock.LOST if old == Clock.LOST else Clock.BACK
