"""What a person sees: every event has its sentence, the panel fits, and a pipe gets plain lines."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from dermalink.display import units
from dermalink.display.link import histogram_lines
from dermalink.display.live import JsonDisplay, LineDisplay, LiveDisplay, display_for, progress_panel
from dermalink.display.sentences import sentence
from dermalink.margin.margin import LinkMargin
from dermalink.session import events
from dermalink.session.aftercare import aftercare
from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.zones import Direction, Symptom, Zone

STEP = events.PassPlan(
    number=2,
    passes=9,
    zone=Zone.LEFT_UNDER_EYE,
    direction=Direction.HORIZONTAL,
    depth_um=250,
    rate_hz=100,
    speed_mm_s=40,
)
OVER: dict[str, Any] = {
    "step": STEP, "reason": Reason.BUDGET_REACHED, "words": "its budget is spent", "punctures": 12_000,
    "budget": 12_000, "coverage_percent": 97, "peak_um": 243, "seconds": 10.04, "interruptions": 0, "used_up": True,
}  # fmt: skip
SESSION: dict[str, Any] = {
    "completed": True, "closed": True, "why": "the plan is done", "session_id": 0xBEEF, "passes_made": 2,
    "passes_planned": 2, "punctures": 24_000, "peak_um": 243, "seconds": 31.5, "lowest_lease_margin_ms": 377, "lost": 0,
    "link": LinkMargin().as_dict(), "aftercare": aftercare(),
}  # fmt: skip
EVENTS: list[events.Event] = [
    events.SessionPlanned(
        plan="plan.toml",
        url="sim:",
        serial_number="SIM-0001",
        firmware="0.1.0",
        head="glide",
        needles=12,
        passes=(STEP,),
    ),
    events.SelfTested(retraction_ms=15, disagreement_um=3),
    events.SessionOpened(session_id=0xBEEF, lease_ms=500),
    events.ReadyAsked(step=STEP),
    events.PressAsked(step=STEP, within_ms=10_000, resuming=False),
    events.PressMissed(step=STEP),
    events.PassStarted(step=STEP, resumed=True),
    events.Alarm(words="Needles were measured at 530 um, so Stop was sent"),
    events.LinkGone(words="The pen hung up", trying_again=True, lease_ms=750),
    events.LinkBack(seconds=1.24, needles_in=False),
    events.PassPaused(step=STEP, reason=Reason.LIFT_OFF, words="the pen was lifted", resumes_left=4, needles_in=True),
    events.PassOver(**OVER),
    events.StopConfirmed(why="you asked", confirmed=True, milliseconds=17.2),
    events.SymptomSaid(symptom=Symptom.PAIN),
    events.SymptomSaid(symptom=Symptom.UNSAID),
    events.SessionOver(**SESSION),
]


def progress(**changes: Any) -> events.Progress:
    """A pass in its middle."""
    values: dict[str, Any] = {
        "step": STEP, "state": State.RUNNING, "coverage_percent": 58, "depth_um": 120, "peak_um": 241, "cap_um": 250,
        "punctures": 6_960, "budget": 12_000, "force_mn": 940, "rate_hz": 100, "contact": True, "battery_percent": 93,
        "lease_margin_ms": 412, "lowest_lease_margin_ms": 377, "lease_ms": 500, "round_trip_ms": 3.4, "lost": 0,
    }  # fmt: skip
    return events.Progress(**values | changes)


def shown(display: type[LineDisplay] | type[LiveDisplay], said: list[events.Event], **console: Any) -> str:
    """What a console of 80 columns shows of these events."""
    out = io.StringIO()
    with display(Console(file=out, width=80, **console)) as screen:
        for event in said:
            screen.show(event)
    return out.getvalue()


def test_every_event_but_progress_has_a_sentence_and_each_is_tried_here() -> None:
    declared = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert {type(event) for event in EVENTS} == declared - {events.Event, events.Progress, events.PassPlan}
    for event in EVENTS:
        assert sentence(event).strip()
    assert sentence(progress()) == ""


@pytest.mark.parametrize("event", [*EVENTS, progress()], ids=lambda event: type(event).__name__)
def test_every_event_is_one_line_of_json_with_names_for_words(event: events.Event) -> None:
    out = io.StringIO()
    with JsonDisplay(out) as display:
        display.show(event)
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert said["event"].islower()
    if "step" in said:
        assert said["step"]["zone"] == "left_under_eye"
        assert said["step"]["direction"] == "horizontal"


def test_a_pass_that_was_over_for_no_reason_of_the_pens_names_none() -> None:
    none = OVER | {"reason": Reason.NONE, "words": "No reason is given"}
    assert "over after 10.0 s; 12" in sentence(events.PassOver(**none))
    assert "over after 10.0 s (its budget is spent); 12" in sentence(events.PassOver(**OVER))


def test_how_near_the_lease_came_is_seen_while_it_runs_and_drawn_when_the_session_is_over() -> None:
    panel = io.StringIO()
    Console(file=panel, width=80).print(progress_panel(progress(), "keys"))
    assert "lease 412 of 500 ms left, 377 at least" in panel.getvalue()
    assert "lease 412 of 500 ms left, 377 at least" in shown(LineDisplay, [progress()])
    margin = LinkMargin()
    for left_ms in (377, 380, 410):
        margin.renewed(left_ms, 500)
    lines = sentence(events.SessionOver(**SESSION | {"link": margin.as_dict()})).splitlines()
    drawn = lines.index("  lease left:")
    assert lines[drawn + 1 : drawn + 3] == [
        f"    375-400 ms  {'#' * 30} 2",
        f"    400-425 ms  {'#' * 15:<30} 1",
    ]
    assert "  answers:" not in lines


def test_a_histogram_of_many_buckets_is_joined_to_eight_lines() -> None:
    margin = LinkMargin()
    for left_ms in range(-100, 1_000, 25):
        margin.renewed(left_ms, 500)
    lines = histogram_lines(margin.as_dict()["lease_left"])
    assert len(lines) <= 8
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == 44
    assert lines[0].split(" ms ")[0].strip() == "under 125"
    assert histogram_lines(LinkMargin().as_dict()["lease_left"]) == []


@pytest.mark.parametrize("settings", [{"force_terminal": True}, {"force_terminal": True, "no_color": True}, {}])
def test_the_panel_fits_80_columns(settings: dict[str, Any]) -> None:
    out = io.StringIO()
    extreme = progress(
        state=State.SPIN_UP,
        punctures=180_000,
        budget=180_000,
        lease_margin_ms=1_000,
        lowest_lease_margin_ms=1_000,
        lease_ms=1_000,
        lost=9,
    )
    Console(file=out, width=200, **settings | {"force_terminal": False}).print(progress_panel(extreme, "keys"))
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_without_colour_nothing_is_coloured_and_in_ascii_nothing_breaks() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    Console(file=out, width=80).print(progress_panel(progress(), "keys"))
    out.seek(0)
    assert "58 %" in out.read()
    assert "\x1b[3" not in shown(LiveDisplay, [progress()], force_terminal=True, no_color=True).replace("\x1b[3m", "")


def test_a_depth_over_the_cap_is_red() -> None:
    red = shown(LiveDisplay, [progress(peak_um=251)], force_terminal=True, color_system="standard")
    assert "\x1b[1;31m251" in red
    assert "31m" not in shown(LiveDisplay, [progress()], force_terminal=True, color_system="standard")


def test_a_pipe_gets_plain_lines_and_progress_now_and_then() -> None:
    ran: list[events.Event] = [progress(coverage_percent=percent) for percent in range(100)]
    lines = shown(LineDisplay, [*EVENTS[:5], *ran, *EVENTS[-4:]]).splitlines()
    assert len([line for line in lines if "% covered, " in line and "punctures, depth" in line]) == 5
    assert not any("\x1b" in line for line in lines)


def test_a_terminal_gets_the_panel_and_a_pipe_the_lines() -> None:
    assert isinstance(display_for(Console(file=io.StringIO(), force_terminal=True)), LiveDisplay)
    assert isinstance(display_for(Console(file=io.StringIO())), LineDisplay)


def test_an_unconfirmed_stop_says_what_to_do() -> None:
    said = sentence(events.StopConfirmed(why="you asked", confirmed=False, milliseconds=500))
    assert "NOT CONFIRMED" in said
    assert "lift the pen straight off" in said


@pytest.mark.sr("SR-AFT-1", side="host")
def test_aftercare_says_the_facts_and_promises_nothing() -> None:
    said = " ".join(aftercare())
    for fact in ("48 hours", "retinol", "vitamin C", "acids", "sun", "SPF 30", "24 to 72 hours", "14 days", "28 days",
                 "4 to 6 sessions", "3 to 4 weeks", "sharps", "dermatologist"):  # fmt: skip
        assert fact in said
    for claim in ("collagen", "scar", "wrinkle", "serum", "treat", "heal", "improve"):
        assert claim not in said.lower()


def test_numbers_are_written_for_people() -> None:
    assert units.um(250) == "250 µm"
    assert units.newton(940) == "1.0 N"
    assert units.newton(0) == "0.0 N"
    assert units.count(12_000) == "12 000"
    assert units.name("LEFT_UNDER_EYE") == "left under eye"
    assert units.duration(9.84) == "9.8 s"
    assert units.duration(192) == "3 min 12 s"
