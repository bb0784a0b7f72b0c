"""What the host believes has happened to skin and heads: a fold over the journal, and never less than what is true.

A begun pass counts from the moment when its command is written down, before it is sent; it is taken back only when it
is certain that nothing moved (SR-UNC-2). The same fold runs in a session and after a crash.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from dermalink.journal import Entry
from dermalink.outcome import CHANGED_NOTHING, Verdict
from dermalink.records import Intended, PassOver, SessionOver, Settled, SymptomSaid
from dermalink.untold import SymptomsSaid
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.limits import DIRECTIONS, SYMPTOM_LOCK_S
from dermalink_protocol.zones import NEEDS_ADVICE, Direction, Zone, pass_bits

Pass = tuple[int, int]


class Frame(NamedTuple):
    """A prepared frame (SR-DEPTH-8) as the host asked for it; `frame_id` 0 means that the pen's number is not known."""

    frame_id: int
    zone: Zone
    direction: Direction
    depth_um: int
    rate_hz: int
    speed_mm_s: int
    tag: str

    @property
    def place(self) -> Pass:
        """Zone and direction: what a session takes once (SR-PASS-1)."""
        return self.zone, self.direction


def _frame(intended: Intended, frame_id: int) -> Frame:
    return Frame(
        frame_id,
        Zone(intended.zone),
        Direction(intended.direction),
        intended.depth_um,
        intended.rate_hz,
        intended.speed_mm_s,
        intended.tag,
    )


def passes_in(bits: int) -> frozenset[Pass]:
    """The passes in `SessionAdopted.passes_done`."""
    places = ((int(zone), int(direction)) for zone in Zone for direction in DIRECTIONS)
    return frozenset(place for place in places if bits & pass_bits(*place))


class HeadUse(NamedTuple):
    """Which session used a head up, and by which begun passes (journal numbers)."""

    pen: str
    session_id: int
    passes: frozenset[int]


@dataclass(slots=True)
class PenBelief:
    """What is believed of one pen's session; `begun` has the journal number of each pass that counts."""

    session_id: int = 0
    begun: dict[Pass, int] = field(default_factory=dict)
    frame: Frame | None = None
    running: Frame | None = None
    resumes: int = 0
    symptom_said: bool = False
    unsettled: dict[int, Intended] = field(default_factory=dict)
    history_number: int = 0
    history_digest: str = ""

    @property
    def passes(self) -> frozenset[Pass]:
        """The passes that count as made in this session, those included that may have been."""
        return frozenset(self.begun)

    def forget_session(self) -> None:
        """The session is over, and everything that was its own."""
        self.session_id = self.resumes = 0
        self.begun = {}
        self.frame = self.running = None
        self.symptom_said = False


class Belief:
    """See the module; `take` folds one entry in."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.used_heads: dict[str, HeadUse] = {}
        self.last_utc_s = 0
        self._pens: dict[str, PenBelief] = {}
        self._touches: dict[int, int] = {}
        self._intended: dict[int, Intended] = {}
        self.symptoms = SymptomsSaid()
        for entry in entries:
            self.take(entry)

    def pen(self, serial_number: str) -> PenBelief:
        """What is believed of this pen."""
        return self._pens.setdefault(serial_number, PenBelief())

    @property
    def last_touch_utc_s(self) -> int:
        """When skin was last touched by any pen, by the host's clock; 0 is never (SR-INT-1)."""
        return max(self._touches.values(), default=0)

    @property
    def needs_advice(self) -> bool:
        """Whether something was reported for which a clinician is asked first."""
        return any(said.symptom in NEEDS_ADVICE for said in self.symptoms)

    def symptom_lock_s(self, utc_s: int) -> int:
        """Seconds for which a reported symptom still bars a session."""
        ends = max((said.utc_s for said in self.symptoms), default=-SYMPTOM_LOCK_S) + SYMPTOM_LOCK_S
        return max(0, ends - utc_s)

    def take(self, entry: Entry) -> None:
        """Fold one entry in."""
        record = entry.record
        self.last_utc_s = max(self.last_utc_s, record.utc_s)
        pen = self.pen(record.pen)
        match record:
            case Intended():
                self._take_intended(pen, entry.number, record)
            case Settled():
                self._take_settled(pen, record)
            case PassOver():
                self._take_pass_over(pen, entry.number, record)
            case SessionOver():
                pen.forget_session()
                if record.number:
                    pen.history_number, pen.history_digest = record.number, record.digest
            case SymptomSaid():
                pen.symptom_said = True
                self.symptoms.take(record)
            case _:
                pass
        self.symptoms.name(record.pen)

    def _take_intended(self, pen: PenBelief, number: int, intended: Intended) -> None:
        self._intended[number] = intended
        pen.unsettled[number] = intended
        if intended.opcode in (Opcode.BEGIN_PASS, Opcode.RESUME_PASS):
            self._touches[number] = intended.utc_s
        if intended.opcode == Opcode.BEGIN_PASS:
            pen.begun.setdefault((intended.zone, intended.direction), number)
            use = self.used_heads.get(intended.tag) or HeadUse(intended.pen, intended.session_id, frozenset())
            self.used_heads[intended.tag] = use._replace(passes=use.passes | {number})

    def _take_settled(self, pen: PenBelief, settled: Settled) -> None:
        intended = self._intended.get(settled.intended)
        if intended is None or pen.unsettled.pop(settled.intended, None) is None:
            return
        if Verdict(settled.verdict) in CHANGED_NOTHING:
            self._take_back(pen, settled.intended)
            return
        match intended.opcode:
            case Opcode.OPEN_SESSION:
                pen.forget_session()
                pen.session_id = settled.session_id
            case Opcode.ADOPT_SESSION:
                self._adopt(pen, settled)
            case Opcode.PREPARE:
                pen.frame = _frame(intended, settled.frame_id)
            case Opcode.BEGIN_PASS:
                pen.running, pen.resumes = _frame(intended, pen.frame.frame_id if pen.frame else 0), 0
            case Opcode.RESUME_PASS:
                pen.resumes += 1
            case _:
                pass
        if settled.number:
            pen.history_number, pen.history_digest = settled.number, settled.digest

    def _adopt(self, pen: PenBelief, settled: Settled) -> None:
        if not settled.session_id:  # applied, but its reply was lost: whose passes these are is not known
            return
        if pen.session_id != settled.session_id:
            pen.forget_session()
        pen.session_id = settled.session_id
        for place in passes_in(settled.passes_done):
            pen.begun.setdefault(place, settled.intended)

    def _began(self, number: int) -> bool:
        return number in self._intended and self._intended[number].opcode == Opcode.BEGIN_PASS

    def _take_back(self, pen: PenBelief, number: int) -> None:
        """The command with this number certainly moved nothing."""
        self._touches.pop(number, None)
        pen.begun = {place: by for place, by in pen.begun.items() if by != number}
        for tag, use in list(self.used_heads.items()):
            if number in use.passes:
                left = use._replace(passes=use.passes - {number})
                if left.passes:
                    self.used_heads[tag] = left
                else:
                    del self.used_heads[tag]

    def _take_pass_over(self, pen: PenBelief, number: int, over: PassOver) -> None:
        by = pen.begun.get((over.zone, over.direction))
        if over.touched:
            self._touches[number] = over.utc_s
        elif by is not None and over.session_id == pen.session_id and self._began(by):
            self._take_back(pen, by)
        pen.frame = None if over.touched else pen.running
        pen.running = None
        pen.resumes = 0
