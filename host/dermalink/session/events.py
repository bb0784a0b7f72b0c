"""What a session says while it runs: each event is shown to a person, or printed as one JSON line."""

import json
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.zones import Direction, Symptom, Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all; `as_dict` names the event by its class."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values: code words and zones by name, in lower case."""
        kind = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(self).__name__).lstrip("_")
        return {"event": kind, **_plain(asdict(self))}

    def as_line(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPlan(Event):
    """One pass of the plan, by number."""

    number: int
    passes: int
    zone: Zone
    direction: Direction
    depth_um: int
    rate_hz: int
    speed_mm_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlanned(Event):
    """What is going to be done, with which pen and which head."""

    plan: str
    url: str
    serial_number: str
    firmware: str
    head: str
    needles: int
    passes: tuple[PassPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTested(Event):
    """The pen tested itself."""

    retraction_ms: int
    disagreement_um: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    """The pen opened a session for this connection."""

    session_id: int
    lease_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAsked(Event):
    """The next pass waits for the person's word."""

    step: PassPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PressAsked(Event):
    """The pen waits for a press of its button."""

    step: PassPlan
    within_ms: int
    resuming: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PressMissed(Event):
    """Nobody pressed the button in time; nothing moved."""

    step: PassPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PassStarted(Event):
    """The button was pressed; the needles come out when the head touches skin."""

    step: PassPlan
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(Event):
    """The host stopped the pen on its own account."""

    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGone(Event):
    """The link was lost; the pen takes its needles in by itself when the lease lapses."""

    words: str
    trying_again: bool
    lease_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBack(Event):
    """Connected again, and the session adopted, disarmed."""

    seconds: float
    needles_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """How a running pass stands. `coverage_percent` is an estimate; `cap_um` is this pass's setting.

    `lease_margin_ms` is what was left of the lease at the last renewal, `lowest_lease_margin_ms` the least so far.
    """

    step: PassPlan
    state: State
    coverage_percent: int
    depth_um: int
    peak_um: int
    cap_um: int
    punctures: int
    budget: int
    force_mn: int
    rate_hz: int
    contact: bool
    battery_percent: int
    lease_margin_ms: int
    lowest_lease_margin_ms: int
    lease_ms: int
    round_trip_ms: float
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPaused(Event):
    """The pass waits, and goes on only with the person's word and a press; `needles_in` is as measured (SR-STOP-2)."""

    step: PassPlan
    reason: Reason
    words: str
    resumes_left: int
    needles_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOver(Event):
    """A pass ended; `used_up` says whether it counts."""

    step: PassPlan
    reason: Reason
    words: str
    punctures: int
    budget: int
    coverage_percent: int
    peak_um: int
    seconds: float
    interruptions: int
    used_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConfirmed(Event):
    """Stop was sent, and the needles were measured in after so long."""

    why: str
    confirmed: bool
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomSaid(Event):
    """A symptom was reported to the pen; the session is over."""

    symptom: Symptom


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOver(Event):
    """The session is closed, or could not be; what came of it. `link` is `LinkMargin.as_dict`."""

    completed: bool
    closed: bool
    why: str
    session_id: int
    passes_made: int
    passes_planned: int
    punctures: int
    peak_um: int
    seconds: float
    lowest_lease_margin_ms: int
    lost: int
    link: dict[str, Any]
    aftercare: tuple[str, ...]
