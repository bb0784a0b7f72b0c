"""What the journal keeps, each kind a record of plain numbers and texts."""

from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Final, get_type_hints

from dermalink.errors import JournalBroken

Value = int | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Base of all; `pen` is the pen's serial number, `utc_s` the host's clock (a label; order is by number)."""

    kind: ClassVar[str] = ""

    pen: str
    utc_s: int

    def as_dict(self) -> dict[str, Value]:
        """The record as JSON holds it."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended(Record):
    """A command that raises exposure is about to be sent. What a command lacks of frame and head is 0 or empty."""

    kind: ClassVar[str] = "intended"

    boot_id: int
    session_id: int
    command_id: int
    opcode: int
    expires_tick: int
    zone: int = 0
    direction: int = 0
    depth_um: int = 0
    rate_hz: int = 0
    speed_mm_s: int = 0
    tag: str = ""
    host_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Record):
    """What came of the command with the journal number `intended`: a `Verdict`'s value.

    `session_id` and `frame_id` are what an applied command led to; `number` and `digest` are the pen's last record,
    where it told (SR-LOG-1).
    """

    kind: ClassVar[str] = "settled"

    intended: int
    verdict: str
    reason: str = ""
    session_id: int = 0
    frame_id: int = 0
    passes_done: int = 0
    number: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOver(Record):
    """A pass that was begun is over. `touched` is False only where the pen has told that no needle touched skin."""

    kind: ClassVar[str] = "pass over"

    session_id: int
    zone: int
    direction: int
    touched: bool
    punctures: int
    peak_depth_um: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOver(Record):
    """A session ended: closed with the pen's last record's number and hash, or found gone (`number` 0)."""

    kind: ClassVar[str] = "session over"

    session_id: int
    number: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomSaid(Record):
    """A symptom was reported; `told` is whether a pen has it. It bars sessions either way (SR-SYM-1)."""

    kind: ClassVar[str] = "symptom"

    symptom: int
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomSaidOpenly(SymptomSaid):
    """The same, said to `pen` in the clear: that it was this pen, and kept it, nobody has proved (SR-SEC-1)."""

    kind: ClassVar[str] = "symptom_openly"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomSeen(SymptomSaid):
    """What `pen` said of itself in the clear: nobody here reported it, so it is told to no pen and answers nothing."""

    kind: ClassVar[str] = "symptom_seen"


KINDS: Final = MappingProxyType(
    {
        kind.kind: kind
        for kind in (Intended, Settled, PassOver, SessionOver, SymptomSaid, SymptomSaidOpenly, SymptomSeen)
    }
)


def symptom_said(symptom: int, *, pen: str, sealed: bool, told: bool, utc_s: int) -> SymptomSaid:
    """The record of a symptom; `pen` is "" where none was at hand, `sealed` whether the pen was under seal."""
    kind = SymptomSaid if sealed or not pen else SymptomSaidOpenly
    return kind(pen=pen, utc_s=utc_s, symptom=int(symptom), told=told)


def symptom_seen(symptom: int, *, pen: str, sealed: bool, utc_s: int) -> SymptomSaid:
    """The record of a symptom that a status speaks of, in the clear or under seal."""
    kind = SymptomSaid if sealed else SymptomSeen
    return kind(pen=pen, utc_s=utc_s, symptom=int(symptom), told=True)


def record_from(found: dict[str, Any]) -> Record:
    """The record that `as_dict` wrote; raises `JournalBroken` for anything else."""
    kind = KINDS.get(str(found.get("kind")))
    if kind is None:
        raise JournalBroken("A journal record was refused", limit=f"its kind is {found.get('kind')!r}", rule="SR-LOG-1")
    hints = get_type_hints(kind)
    wanted = {each.name: hints[each.name] for each in fields(kind)}
    values = {name: value for name, value in found.items() if name != "kind"}
    if values.keys() != wanted.keys() or any(type(values[name]) is not wanted[name] for name in wanted):
        raise JournalBroken("A journal record was refused", limit=f"it is no {kind.kind!r} record", rule="SR-LOG-1")
    return kind(**values)
