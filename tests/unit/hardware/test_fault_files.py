"""Files of faults: what they say is put on; what is wrong with one points at its line and says what fits."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import tasks
from dermalink_simulator.cli.app import app
from dermalink_simulator.cli.exit_codes import ExitCode
from dermalink_simulator.faults.file import FILE_BYTES_MAX, faults_from_bytes, load_faults
from dermalink_simulator.faults.models import FAULTS_MAX, MODELS, schema
from dermalink_simulator.faults.problems import FaultFileError
from dermalink_simulator.faults.spelling import Fault, ImpossibleFaultError, schedule_of, spell
from dermalink_simulator.faults.words import VOCABULARY, FaultKind
from tests.unit.hardware.rig import Rig

WHOLE = """\
# What a test bench does to a pen.
faults = 1
seed = 7

[[fault]]
unit = "depth_sensor"
kind = "noisy"
um = 60
after_ms = 2_000
for_ms = 500

[[fault]]   # once
unit = "supply"
kind = "glitch"

[[fault]]
unit = "link"
kind = "loss"
instance = 1
permille = 30
seed = 9
"""


def read(text: str) -> tuple[Fault, ...]:
    return faults_from_bytes(text.encode(), "bench.toml").faults


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(FaultFileError) as caught:
        faults_from_bytes(text if isinstance(text, bytes) else text.encode(), "bench.toml")
    return [str(problem) for problem in caught.value.problems]


def test_a_file_says_the_same_words_as_python() -> None:
    assert read(WHOLE) == (
        spell("depth_sensor", "noisy", values={"um": 60}, after_ms=2_000, for_ms=500, seed=7),
        spell("supply", "glitch"),
        spell("link", "loss", 1, {"permille": 30}, seed=9),
    )


@pytest.mark.parametrize("word", VOCABULARY, ids=lambda word: f"{word.unit}-{word.kind}")
def test_every_word_can_be_written_with_all_its_numbers(word: FaultKind) -> None:
    numbers = {one.name: one.high for one in word.parameters if one.name != "opcode"}
    when = {one.name: one.high for one in schedule_of(word)}
    instance = {"instance": word.instances} if word.instances else {}
    lines = [f'unit = "{word.unit}"', f'kind = "{word.kind}"']
    lines += [f"{name} = {value}" for name, value in {**numbers, **when, **instance}.items()]
    text = "\n".join(["faults = 1", "[[fault]]", *lines])
    assert read(text) == (spell(word.unit, word.kind, word.instances, numbers, **when),)


@pytest.mark.parametrize("word", VOCABULARY, ids=lambda word: f"{word.unit}-{word.kind}")
def test_no_number_of_a_word_is_taken_out_of_its_range(word: FaultKind) -> None:
    head = f'faults = 1\n[[fault]]\nunit = "{word.unit}"\nkind = "{word.kind}"\n'
    for one in (*word.parameters, *schedule_of(word)):
        for wrong in (one.low - 1, one.high + 1, 1.5, "true", '"7"'):
            (problem,) = problems_of(f"{head}{one.name} = {wrong}\n")
            assert problem.startswith(f"line 5, fault 1, {one.name}: ")
            assert f"a whole number from {one.low} to {one.high}" in problem


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("faults = 1", ""), 0, "faults: it is missing; begin the file with faults = 1"),
        (("faults = 1", "faults = 2"), 2, "faults: 2 was refused; begin the file with faults = 1"),
        (("seed = 7", "sed = 7"), 3, "sed: there is no such key; known are faults, seed and [[fault]]"),
        (("seed = 7", "seed = -7"), 3, "seed: -7 was refused; a whole number from 0 to 4294967295"),
        (
            ('"depth_sensor"', '"depth_sensr"'),
            6,
            "there is no unit 'depth_sensr'; did you mean depth_sensor? there are",
        ),
        (('"noisy"', '"noise"'), 7, "there is no kind 'noise' of depth_sensor; did you mean noisy? there are stuck"),
        (('kind = "noisy"\n', ""), 5, "fault 1, kind: it is missing; one of stuck, noisy, offset"),
        (('unit = "supply"\n', ""), 12, "fault 2, unit: it is missing; one of link, firmware"),
        (('unit = "supply"', "unit = 3"), 13, "fault 2, unit: there is no unit 3; there are link"),
        (("um = 60", "um = 6_000"), 8, "6000 was refused; a whole number from 1 to 2000, greatest noise in µm"),
        (("um = 60", "mm = 6"), 8, "depth_sensor noisy takes no mm; it takes um, after_ms, for_ms, seed"),
        (('"glitch"', '"glitch"\nfor_ms = 3'), 15, "supply glitch takes no for_ms; it takes ms, after_ms"),
        (('"glitch"', '"glitch"\nseed = 3'), 15, "supply glitch takes no seed"),
        (("instance = 1", "instance = 9"), 19, "9 was refused; a whole number from 0 to 8, which link, 0 for any"),
        (('"glitch"', '"glitch'), 14, "it is no TOML"),
        (('unit = "supply"', 'unit = "supply"\nunit = "link"'), 14, "it is no TOML"),
    ],
)
def test_what_is_wrong_points_at_its_line_and_says_what_fits(change: tuple[str, str], line: int, said: str) -> None:
    (problem,) = problems_of(WHOLE.replace(*change))
    assert problem.startswith(f"line {line}" if line else "faults")
    assert said in problem


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = WHOLE.replace("seed = 7", "sed = 7").replace("um = 60", "um = 0").replace('"glitch"', '"glich"')
    assert [problem.split(",")[0] for problem in problems_of(text)] == ["line 3", "line 8", "line 14"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("faults = 1", "fault: it is missing; add a [[fault]]"),
        ("faults = 1\nfault = []", "line 2, fault: [] was refused; 1 to 1000 tables"),
        ("faults = 1\nfault = 3", "line 2, fault: 3 was refused"),
        ("faults = 1\nfault = [3]", "fault: 3 was refused"),
        (b"faults = 1\n# \xff", "line 2: byte 0xff is no UTF-8"),
        ("#" * (FILE_BYTES_MAX + 1), "it is too long"),
        ("a = " + "[" * 10_000, "it is nested too deeply"),
        ("faults = 1\n" + '[[fault]]\nunit = "button"\nkind = "dead"\n' * (FAULTS_MAX + 1), "1 to 1000 tables"),
        ('faults = 1\n[[fault]]\nunit = "firmware"\nkind = "crash_after"\nopcode = 1\n', "line 5, fault 1, opcode"),
    ],
)
def test_what_is_no_file_of_faults_is_a_sentence(text: str | bytes, said: str) -> None:
    assert said in problems_of(text)[0]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml", Path("a\0b")):
        with pytest.raises(FaultFileError, match="the file can't be read"):
            load_faults(path)


def test_a_file_is_put_on_whole() -> None:
    rig = Rig()
    rig.pen.faults.play(read(WHOLE))
    assert [fault.unit for fault in rig.pen.faults.waiting] == ["depth_sensor"]
    assert [one.fault.unit for one in rig.pen.faults.missed] == ["link"], "the glitch took its connection"
    assert not rig.pen.power.on


def test_a_file_with_something_impossible_puts_nothing_on() -> None:
    rig = Rig()
    impossible = read(WHOLE.replace("instance = 1", "instance = 2"))
    with pytest.raises(ImpossibleFaultError, match="port 2 has no connection"):
        rig.pen.faults.play(impossible)
    assert (rig.pen.faults.active, rig.pen.faults.waiting) == ([], [])
    assert rig.pen.power.on


# The schema


def fits(part: dict[str, Any], value: object, whole: dict[str, Any]) -> bool:
    """What a validator makes of the few words of JSON schema that ours is written in."""
    if "$ref" in part:
        return fits(whole["$defs"][part["$ref"].rpartition("/")[2]], value, whole)
    if "anyOf" in part:
        return any(fits(one, value, whole) for one in part["anyOf"])
    if "const" in part:
        return bool(value == part["const"]) and type(value) is type(part["const"])
    if part["type"] == "integer":
        inside = type(value) is int and part.get("minimum", value) <= value <= part.get("maximum", value)
        return inside and value % part.get("multipleOf", 1) == 0
    if part["type"] == "array":
        if not isinstance(value, list) or not part["minItems"] <= len(value) <= part["maxItems"]:
            return False
        return all(fits(part["items"], one, whole) for one in value)
    assert part["type"] == "object"
    assert part["additionalProperties"] is False
    known = part["properties"]
    if not isinstance(value, dict) or not set(part["required"]) <= set(value) <= set(known):
        return False
    return all(fits(known[name], one, whole) for name, one in value.items())


NEARLY: list[dict[str, Any]] = [
    {"faults": 1, "fault": [{"unit": "button", "kind": "dead"}]},
    {"faults": 1, "seed": 3, "fault": [{"unit": "air", "kind": "interval", "us": 8_750}]},
    {"faults": 1, "fault": [{"unit": "air", "kind": "interval", "us": 8_000}]},
    {"faults": 1, "fault": [{"unit": "button", "kind": "dead", "for_ms": 3, "after_ms": 4}]},
    {"faults": 1, "fault": [{"unit": "button", "kind": "dead", "for_ms": -3}]},
    {"faults": 1, "fault": [{"unit": "button", "kind": "dead", "for_ms": True}]},
    {"faults": 1, "fault": [{"unit": "button", "kind": "dead", "seed": 3}]},
    {"faults": 1, "fault": [{"unit": "button", "kind": "loss"}]},
    {"faults": 1, "fault": [{"unit": "link", "kind": "loss", "instance": 9}]},
    {"faults": 1, "fault": [{"unit": "link", "kind": "loss", "instance": 8, "seed": 2}]},
    {"faults": 1, "fault": [{"unit": "memory", "kind": "flip", "for_ms": 2}]},
    {"faults": 1, "fault": [{"unit": "memory"}]},
    {"faults": True, "fault": [{"unit": "button", "kind": "dead"}]},
    {"faults": 1, "fault": []},
    {"faults": 1},
    {"faults": 1, "fault": [{"unit": "button", "kind": "dead"}], "more": 1},
]


def as_toml(document: dict[str, Any]) -> str:
    head = [f"{name} = {json.dumps(value)}" for name, value in document.items() if name != "fault"]
    if document.get("fault") == []:
        head.append("fault = []")
    for fault in document.get("fault", []):
        head += ["[[fault]]", *(f"{name} = {json.dumps(value)}" for name, value in fault.items())]
    return "\n".join(head)


@pytest.mark.parametrize("document", NEARLY, ids=str)
def test_the_schema_takes_what_the_reader_takes(document: dict[str, Any]) -> None:
    whole = schema()
    try:
        read(as_toml(document))
    except FaultFileError:
        assert not fits(whole, document, whole)
    else:
        assert fits(whole, document, whole)


def test_the_schema_has_every_word_and_is_the_one_that_is_published() -> None:
    assert len(schema()["$defs"]) == len(MODELS) == len(VOCABULARY)
    published = tasks.ROOT / "docs" / "reference" / "faults.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == schema()


# The command


def test_a_file_is_checked_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(WHOLE, encoding="utf-8")
    result = CliRunner().invoke(app, ["faults", "--check", str(path)])
    assert result.exit_code == ExitCode.DONE, result.output
    assert "after 2000 ms, for 500 ms   depth_sensor noisy um=60 seed=7" in result.output
    assert "is in order: 3 faults." in result.output
    result = CliRunner().invoke(app, ["faults", "--check", str(path), "--json"])
    assert [json.loads(line)["unit"] for line in result.output.splitlines()] == ["depth_sensor", "supply", "link"]
    path.write_text(WHOLE.replace('"noisy"', '"noise"'), encoding="utf-8")
    result = CliRunner().invoke(app, ["faults", "--check", str(path)])
    assert result.exit_code == ExitCode.REFUSED
    assert "line 7, fault 1, kind: there is no kind 'noise'" in result.output


def test_the_command_prints_the_schema() -> None:
    assert json.loads(CliRunner().invoke(app, ["faults", "--schema"]).output) == schema()
    assert CliRunner().invoke(app, ["faults", "--schema", "--check", "x"]).exit_code == ExitCode.USAGE
