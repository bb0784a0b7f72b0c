"""Plan files: what a good one comes to, and that every bad one ends in a sentence."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermalink.plan.errors import PlanError
from dermalink.plan.example import EXAMPLE
from dermalink.plan.load import load_plan, plan_from_bytes
from dermalink.plan.model import Step
from dermalink.plan.places import zone_from_name
from dermalink_protocol.limits import DEPTH_CAP_UM, DEPTH_MIN_UM, DEPTH_STEP_UM, ZONE_RULES
from dermalink_protocol.zones import Direction, Zone
from tests.unit.plan.bad_plans import BAD, zone


@pytest.mark.sr("SR-DEPTH-1", "SR-DEPTH-3", "SR-PASS-1", side="host")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_refused_in_a_sentence_that_says_where_why_and_what_to_do(name: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_from_bytes(BAD[name].data, "my.toml")
    said = str(caught.value)
    assert said.startswith("The plan my.toml was refused")
    for words in BAD[name].says:
        assert words in said
    assert "Traceback" not in said
    assert "validation error" not in said
    assert len(said.splitlines()) < 12


def test_the_example_is_a_plan() -> None:
    plan = plan_from_bytes(EXAMPLE.encode(), "example")
    assert [step.zone for step in plan.steps] == [Zone.LEFT_CHEEK] * 2 + [Zone.RIGHT_CHEEK] * 2 + [Zone.NOSE]
    assert {step.depth_um for step in plan.steps} == {250}
    assert max(map(len, EXAMPLE.splitlines())) <= 80


def test_a_step_has_its_zones_numbers_or_the_plans() -> None:
    text = b'plan = 1\nrate_hz = 70\nspeed_mm_s = 30\n[[zone]]\nname = "Left cheek"\nrate_hz = 80\n'
    text += 'directions = ["Vertical", "diagonal"]\ndepth = "300 \N{MICRO SIGN}m"\n'.encode()
    assert plan_from_bytes(text, "t").steps == (
        Step(Zone.LEFT_CHEEK, Direction.VERTICAL, 300, 80, 30),
        Step(Zone.LEFT_CHEEK, Direction.DIAGONAL, 300, 80, 30),
    )


@pytest.mark.parametrize(
    "written", ['"0.25 mm"', '"250 um"', '"0.250mm"', '" 250um "', '"250 \N{GREEK SMALL LETTER MU}m"']
)
def test_a_depth_with_its_unit_is_exact(written: str) -> None:
    assert plan_from_bytes(zone(depth=f"depth = {written}"), "t").steps[0].depth_um == 250


@pytest.mark.parametrize(
    "encode", [lambda text: text.encode("utf-8-sig"), lambda text: text.encode().replace(b"\n", b"\r\n")]
)
def test_what_windows_editors_write_is_read(encode) -> None:  # type: ignore[no-untyped-def]
    assert plan_from_bytes(encode(EXAMPLE), "t").steps == plan_from_bytes(EXAMPLE.encode(), "t").steps


def test_all_that_is_wrong_is_said_at_once_in_the_files_order() -> None:
    data = zone("eyelids", 'depth = "0.6 mm"', "rate_hz = 9", '["up"]')
    with pytest.raises(PlanError) as caught:
        plan_from_bytes(data, "t")
    assert [problem.line for problem in caught.value.problems] == [3, 4, 5, 6]


def test_a_file_that_cant_be_used_says_so(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "a folder"),
        (Path("a\0b"), "can't be read"),
    ):
        with pytest.raises(PlanError, match=words):
            load_plan(path)


def test_a_file_without_an_end_is_not_read_to_its_end() -> None:
    endless = Path("/dev/zero")
    if not endless.exists():
        pytest.skip("this system has no /dev/zero")
    with pytest.raises(PlanError, match="too long"):
        load_plan(endless)


@pytest.mark.sr("SR-DEPTH-1", side="host")
@given(st.integers() | st.floats() | st.booleans() | st.text() | st.decimals().map(lambda d: f"{d} mm"))
def test_no_depth_outside_the_limits_comes_out_of_a_plan(value: object) -> None:
    literal = repr(value) if isinstance(value, str) else str(value).lower()
    for key in ("depth", "depth_um"):
        try:
            steps = plan_from_bytes(zone(depth=f"{key} = {literal}"), "t").steps
        except PlanError:
            continue
        assert all(DEPTH_MIN_UM <= step.depth_um <= DEPTH_CAP_UM and type(step.depth_um) is int for step in steps)


@given(st.integers(0, 70).map(lambda tens: tens * 10))
def test_a_depth_is_taken_exactly_when_it_is_within_its_zones_cap(um: int) -> None:
    for where in Zone:
        fits = DEPTH_MIN_UM <= um <= ZONE_RULES[where].cap_um and um % DEPTH_STEP_UM == 0
        for written in (f"depth_um = {um}", f'depth = "{um / 1000:.3f} mm"'):
            try:
                assert plan_from_bytes(zone(where.name.lower(), written), "t").steps[0].depth_um == um
                assert fits
            except PlanError:
                assert not fits


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_plan_or_a_plan_error(data: bytes) -> None:
    for whole in (data, b"plan = 1\n[[zone]]\n" + data, EXAMPLE.encode()[: len(data) * 5] + data):
        try:
            plan_from_bytes(whole, "t")
        except PlanError as error:
            said = str(error)
        else:
            continue
        assert said.startswith("The plan t was refused")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)


@given(st.sampled_from(Zone), st.sampled_from([" ", "-", "_", "  "]), st.booleans())
def test_a_zones_name_is_known_however_it_is_spaced(where: Zone, gap: str, capital: bool) -> None:
    name = where.name.replace("_", gap)
    assert zone_from_name(name if capital else name.lower()) is where
