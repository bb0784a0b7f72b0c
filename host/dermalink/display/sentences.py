"""Each event of a session as a sentence; what only changes numbers has none."""

from collections.abc import Callable
from typing import Any, Final

from dermalink.display.link import clock_words, lease_words, link_picture, trip_words
from dermalink.display.units import count, duration, name, um
from dermalink.session import events
from dermalink.session.aftercare import DAY_S
from dermalink.session.events import Event, PassPlan
from dermalink_protocol.codewords import Reason
from dermalink_protocol.limits import SYMPTOM_LOCK_S
from dermalink_protocol.zones import Symptom


def sentence(event: Event) -> str:
    """What a person reads of `event`; empty for one that has nothing to say by itself."""
    words = _SENTENCES.get(type(event))
    return words(event) if words else ""


def pass_name(step: PassPlan) -> str:
    """Which pass: "nose, vertical (pass 1 of 2)"."""
    return f"{name(step.zone.name)}, {name(step.direction.name)} (pass {step.number} of {step.passes})"


def _planned(event: events.SessionPlanned) -> str:
    count_of = "1 pass" if len(event.passes) == 1 else f"{len(event.passes)} passes"
    pen = f"pen {event.serial_number} (firmware {event.firmware})"
    lines = [f"Plan {event.plan}: {count_of} with {pen}, {event.head} head with {event.needles} needles."]
    for step in event.passes:
        where = f"{name(step.zone.name)}, {name(step.direction.name)}"
        lines.append(f"  {step.number}. {where}: {um(step.depth_um)}, {step.rate_hz} Hz, {step.speed_mm_s} mm/s")
    return "\n".join(lines)


def _self_tested(event: events.SelfTested) -> str:
    return f"Self-test passed: needles in {event.retraction_ms} ms, sensors {um(event.disagreement_um)} apart."


def _opened(event: events.SessionOpened) -> str:
    lease = f"the pen runs only while this program renews its {event.lease_ms} ms lease"
    return f"Session {event.session_id:08x} is open; {lease}."


def _ready(event: events.ReadyAsked) -> str:
    return f"Next: {pass_name(event.step)}. Rest the pen on the zone, and press Enter when you are ready."


def _press(event: events.PressAsked) -> str:
    what = "to go on" if event.resuming else "to start"
    within = event.within_ms // 1_000
    return f"{pass_name(event.step)}: press the pen's own button {what}, within {within} s."


def _missed(_event: events.PressMissed) -> str:
    return "The pen took no press of its button in time; nothing moved."


def _paused(event: events.PassPaused) -> str:
    needles = "The needles are in" if event.needles_in else "The needles are NOT measured in: lift the pen straight off"
    if event.resumes_left == 0:
        return f"Paused: {event.words}. {needles}. This pass can't go on any more."
    left = "once more" if event.resumes_left == 1 else f"{event.resumes_left} times more"
    return f"Paused: {event.words}. {needles}. It can go on {left}: r to go on, e to end this pass."


def _started(event: events.PassStarted) -> str:
    how = "Going on" if event.resumed else "Started"
    return f"{how}: glide lightly and evenly, and lift the pen when the zone is covered."


def _alarm(event: events.Alarm) -> str:
    return f"This program told the pen to stop: {event.words}"


def _link_gone(event: events.LinkGone) -> str:
    then = "Trying to connect again." if event.trying_again else "Lift the pen off the skin."
    lapsed = f"once its {event.lease_ms} ms lease has lapsed"
    return f"{event.words}. Without a link the pen takes its needles in by itself {lapsed}. {then}"


def _link_back(event: events.LinkBack) -> str:
    needles = "its needles are in" if event.needles_in else "its needles are NOT measured in: lift it straight off"
    return f"Connected again after {duration(event.seconds)}; {needles}. Nothing moves until you say so."


def _over(event: events.PassOver) -> str:
    why = "" if event.reason is Reason.NONE else f" ({event.words})"
    return (
        f"{pass_name(event.step)}: over after {duration(event.seconds)}{why};"
        f" {count(event.punctures)} of {count(event.budget)} punctures, deepest {um(event.peak_um)}"
        f" of {um(event.step.depth_um)}, about {event.coverage_percent} % covered."
    )


def _stop(event: events.StopConfirmed) -> str:
    if event.confirmed:
        return f"Stopped ({event.why}): needles in and motor off, measured {event.milliseconds:.0f} ms after."
    return f"Stop was sent ({event.why}) and is NOT CONFIRMED: lift the pen straight off the skin."


def _symptom(event: events.SymptomSaid) -> str:
    if event.symptom is Symptom.UNSAID:
        return (
            "The pen took a symptom: its button was held. This session is over. Have none for"
            f" {SYMPTOM_LOCK_S // DAY_S} days, and none before you have asked a dermatologist, at once if it is bad."
        )
    return (
        f"Reported: {name(event.symptom.name)}. This session is over. Have none for {SYMPTOM_LOCK_S // DAY_S} days;"
        " ask a dermatologist, at once if it is bad."
    )


def _session_over(event: events.SessionOver) -> str:
    done = f"{event.passes_made} of {event.passes_planned} passes"
    what = "is closed" if event.closed else "could not be closed; the pen closes it by itself"
    lines = [
        f"The session {what}: {event.why}.",
        f"  {done} in {duration(event.seconds)}, {count(event.punctures)} punctures, deepest {um(event.peak_um)}.",
        f"  Link: {lease_words(event.link)}, {event.lost} lost.",
        f"  Link: {trip_words(event.link)}, {clock_words(event.link)}.",
        *(f"  {line}" for line in link_picture(event.link)),
    ]
    if event.aftercare:
        lines += ["", "Afterwards:", *(f"  - {line}" for line in event.aftercare)]
    return "\n".join(lines)


_SENTENCES: Final[dict[type[Event], Callable[[Any], str]]] = {
    events.SessionPlanned: _planned,
    events.SelfTested: _self_tested,
    events.SessionOpened: _opened,
    events.ReadyAsked: _ready,
    events.PressAsked: _press,
    events.PressMissed: _missed,
    events.PassPaused: _paused,
    events.PassStarted: _started,
    events.Alarm: _alarm,
    events.LinkGone: _link_gone,
    events.LinkBack: _link_back,
    events.PassOver: _over,
    events.StopConfirmed: _stop,
    events.SymptomSaid: _symptom,
    events.SessionOver: _session_over,
}
