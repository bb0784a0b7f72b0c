"""The parts of a campaign: scripts as JSON, the truth's invariants one by one, shrinking, and the tally."""

import json
from pathlib import Path
from typing import Any

import pytest

from dermalink_protocol.limits import INTERVAL_S
from dermalink_protocol.zones import Direction, Zone
from dermalink_simulator.campaign import playing
from dermalink_simulator.campaign.actions import ACTIONS
from dermalink_simulator.campaign.invariants import INVARIANTS, Broken, first_broken
from dermalink_simulator.campaign.playing import play
from dermalink_simulator.campaign.script import Script, ScriptError, from_json, load, to_json
from dermalink_simulator.campaign.shrinking import shrunk
from dermalink_simulator.campaign.tally import Failure, Tally, TallyError
from dermalink_simulator.campaign.truth import Hung, Struck, Truth
from dermalink_simulator.campaign.world import World
from dermalink_simulator.campaign.worlds import drawn
from dermalink_simulator.faults.spelling import spell
from dermalink_simulator.pen import SimulatedPen
from dermalink_simulator.trace import head_line, replay

SOUND = Struck(1_000_000, Zone.CHIN, Direction.VERTICAL, 400, 12, 1, 1, 1, 900_000, 500_000)
MONTH_US = 30 * 86_400 * 1_000_000
BROKEN = Broken("lease", "SR-STOP-1", "said")


def struck(*changes: dict[str, Any], **of_truth: Any) -> Truth:
    """The account of a sound stroke, and of others like it with something else about them."""
    truth = Truth()
    truth.strokes = [SOUND, *(SOUND._replace(**change) for change in changes)]
    for name, value in of_truth.items():
        setattr(truth, name, value)
    return truth


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("depth", struck({"depth_um": 501})),
        ("depth", struck({"depth_um": 600, "at_us": 1_010_000}, {"depth_um": 600}, stop_broken=True)),
        (
            "depth",
            struck({"depth_um": 600}, {"depth_um": 600, "at_us": 1_025_001}, stop_broken=True, carriage_wild=True),
        ),
        ("zone-cap", struck({"zone": Zone.NOSE, "depth_um": 251})),
        ("lease", struck({"at_us": 1_425_001})),
        ("watchdog", struck({"at_us": 1_080_000}, hung=[Hung(1_004_999, 1 << 62)])),
        ("used-head", struck({"boot": 2, "true_s": INTERVAL_S + 2})),
        ("interval", struck({"boot": 2, "head": 2, "true_s": INTERVAL_S})),
        ("passes", struck({"needles": 60_000})),
        ("once", struck({"direction": Direction.DIAGONAL}, {})),
        ("dwell", struck({"needles": 700, "at_us": 1_000_001}, spots_us=[(0, 2_000_000)])),
        ("button", struck(presses_us=[974_999])),
        (
            "fresh-word",
            struck({"at_us": 12_000_001, "renewed_us": 12_000_000}, words_us=[900_000]),
        ),
        ("self-test", struck(doomed=[(1, spell("spring", "broken"))])),
        ("owner", struck(owner_missing=True)),
    ],
)
def test_each_invariant_sees_what_breaks_it(name: str, truth: Truth) -> None:
    assert next(one for one in INVARIANTS if one.name == name).finds(truth)


@pytest.mark.parametrize(
    "truth",
    [
        struck(),
        struck({"depth_um": 600}, {"depth_um": 600, "at_us": 1_025_000}, stop_broken=True, carriage_wild=True),
        struck({"at_us": 1_425_000}),
        struck({"boot": 2, "head": 2, "true_s": INTERVAL_S + 1}),
        struck({"at_us": 1_080_000}, hung=[Hung(1_005_000, 1 << 62)]),
        struck({"at_us": 1_080_000}, hung=[Hung(900_000, 999_000)]),
        struck({"needles": 700, "at_us": 1_000_001}, spots_us=[(0, 2_000_000)], moves_unseen=True),
        struck(presses_us=[975_000]),
        struck({"at_us": 12_000_001, "renewed_us": 12_000_000}, words_us=[12_000_000]),
        struck(doomed=[(2, spell("spring", "broken"))]),
    ],
)
def test_none_sees_what_is_allowed(truth: Truth) -> None:
    assert first_broken(truth) is None


@pytest.mark.parametrize("seed", [0, 1, 24, 31, 641])
def test_a_script_comes_back_from_its_json(seed: int) -> None:
    script = drawn(seed, frozenset({"wait"}))
    assert from_json(json.loads(to_json(script, BROKEN)), "it") == script
    assert drawn(seed, frozenset({"wait"})) == script


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"do": "dance"}, "step 2 of it was refused; 'dance' is nothing that can be done"),
        ({"do": "wait"}, "wait takes ms"),
        ({"do": "wait", "ms": -1}, "ms of wait is 0 to 120000"),
        ({"do": "prepare", "zone": 1, "direction": 3, "depth_um": 200}, "direction of prepare is 1, 2, 4"),
        ({"do": "wait", "ms": True}, "ms of wait is 0 to 120000"),
        ({"do": "start", "then_ms": 1 << 40}, "then_ms is 0 to 120000"),
        ({"do": "fault", "unit": "drive", "kind": "melts"}, "drive has overshoot, stuck"),
        ({"do": "fault", "unit": "supply", "kind": "glitch", "for_ms": 5}, "it happens once"),
        ("start", 'a step is an object with "do"'),
    ],
)
def test_a_wrong_step_is_refused_by_its_number(step: object, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        from_json({"campaign": 1, "seed": 1, "steps": [{"do": "start"}, step]}, "it")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "head", [{}, {"campaign": 2}, {"seed": -1}, {"sold": 1}, {"without": ["luck"]}, {"steps": {}}, {"more": 1}]
)
def test_a_wrong_head_is_refused(head: dict[str, Any]) -> None:
    with pytest.raises(ScriptError):
        from_json({"campaign": 1, "steps": []} | head if head else [], "it")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="can't be read"):
        load(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(ScriptError, match="no JSON"):
        load(tmp_path / "torn.json")


def test_a_failing_seed_is_shrunk_to_what_breaks_it() -> None:
    script = drawn(2, frozenset({"lease"}))
    assert len(script.steps) > 300
    short = shrunk(script, "lease")
    assert [step.do for step in short.steps] == ["start", "prepare", "wait"]
    broken = play(short).broken
    assert broken is not None
    assert broken.invariant == "lease"
    assert play(short._replace(without=frozenset())).broken is None


def test_shrinking_what_breaks_nothing_gives_it_back() -> None:
    script = Script(1, drawn(24).steps)
    assert shrunk(script, "lease", plays_max=12) == script


def test_the_same_seed_gives_the_same_trace_which_can_be_replayed() -> None:
    first, second = [head_line(50, 150)], [head_line(50, 150)]
    play(drawn(5), first.append)
    play(drawn(5), second.append)
    assert first == second
    assert replay(first).events > 1_000


def test_a_tally_goes_on_where_it_was(tmp_path: Path) -> None:
    tally = Tally(3, 9, frozenset({"lease"}))
    tally.done = {3, 4, 6}
    tally.failures = [Failure(4, BROKEN, "seed-4.json")]
    tally.reached.faults["none/IDLE"] = 7
    tally.reached.rows[12] = 1
    tally.save(tmp_path / "tally.json")
    again = Tally.load(tmp_path / "tally.json")
    assert list(again.left()) == [5, 7, 8]
    assert (again.without, again.reached) == (tally.without, tally.reached)
    assert [one.out() for one in again.failures] == [tally.failures[0].out()]


@pytest.mark.parametrize("text", ["", "[]", '{"tally": 1, "version": "0"}', '{"tally": 1}'])
def test_a_tally_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "tally.json").write_text(text)
    with pytest.raises(TallyError):
        Tally.load(tmp_path / "tally.json")


def broken_in(script: Script) -> str:
    broken = play(script).broken
    return "" if broken is None else broken.invariant


def trips(world: World) -> None:
    raise ZeroDivisionError


def test_what_happens_after_the_steps_is_judged_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    script = from_json({"campaign": 1, "steps": [{"do": "start"}, {"do": "look"}]}, "it")
    assert not broken_in(script)
    with monkeypatch.context() as patch:
        patch.setattr(SimulatedPen, "motor_turns", property(lambda pen: True))
        assert broken_in(script) == "settles"
    with monkeypatch.context() as patch:
        patch.setattr(playing, "check_chain", lambda records, after: [f"{len(records)} altered"])
        assert broken_in(script) == "history"
    with monkeypatch.context() as patch:
        patch.setattr(World, "note_history", lambda world: setattr(world.truth, "last_number", 1_000))
        assert broken_in(script) == "history"
    with monkeypatch.context() as patch:
        patch.setitem(ACTIONS, "look", ACTIONS["look"]._replace(do=trips))
        assert broken_in(script) == "breaks"
