"""Faults written down: a TOML file, read whole or not at all.

    faults = 1

    [[fault]]
    unit = "depth_sensor"
    kind = "offset"
    um = 60
    after_ms = 2000
    for_ms = 500

Whatever is wrong with it comes out as one `FaultFileError` with every problem, its line, and what would fit.
"""

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.faults.models import FAULTS_MAX, FORMAT, MODELS, Head
from dermalink_simulator.faults.problems import FaultFileError, Problem, line_of, shown
from dermalink_simulator.faults.spelling import SCHEDULE, SEED, Fault, FaultScript, schedule_of, spell
from dermalink_simulator.faults.words import WORDS, Parameter, kinds_of, units

FILE_BYTES_MAX: Final = 1 << 18  # a thousand faults take a quarter of it
BEGIN: Final = f"begin the file with faults = {FORMAT}"
_AT: Final = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")


def load_faults(path: Path | str) -> FaultScript:
    """The faults in the file at `path`; raises `FaultFileError` for whatever is wrong with the file or in it."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise FaultFileError(str(path), Problem(0, "", f"the file can't be read ({why})")) from None
    return faults_from_bytes(data, str(path))


def faults_from_bytes(data: bytes, source: str) -> FaultScript:
    """The faults in `data`; `source` names it in messages."""
    if len(data) > FILE_BYTES_MAX:
        raise FaultFileError(source, Problem(0, "", "it is too long", f"at most {FILE_BYTES_MAX} bytes"))
    text = _decode(data, source)
    read = _parse(text, source)
    problems: list[Problem] = []
    try:
        Head.model_validate(read)
    except ValidationError as error:
        problems += [_of_head(text, details) for details in error.errors()]
    entries = read.get("fault")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):  # else it is one of the problems already
            problems += _wrong_with(text, index, entry)
    if problems:
        raise FaultFileError(source, *sorted(problems, key=lambda one: one.line))
    return FaultScript(source, tuple(_spelled(entry, read.get("seed", 0)) for entry in read["fault"]))


def _decode(data: bytes, source: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(line, "", f"byte 0x{data[error.start]:02x} is no UTF-8", "save the file as UTF-8")
        raise FaultFileError(source, problem) from None
    if not text.strip():
        raise FaultFileError(source, Problem(0, "", "it is empty", f"{BEGIN}, and add a [[fault]]"))
    return text


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FaultFileError(source, Problem(0, "", "it is nested too deeply")) from None
    except ValueError as error:
        found = _AT.search(str(error))
        line = int(found[1]) if found and found[1] else len(text.splitlines()) if found else 0
        refused = f"it is no TOML ({_AT.sub('', str(error))})"
        fits = 'text stands in quotes, names before "=", and a fault begins with [[fault]]'
        raise FaultFileError(source, Problem(line, "", refused, fits)) from None


def _of_head(text: str, details: Any) -> Problem:
    """One of pydantic's findings about what stands around the faults."""
    place = details["loc"]
    key = str(place[0])
    index = place[1] if len(place) > 1 else -1
    line = line_of(text, index, key)
    if details["type"] == "missing":
        fits = BEGIN if key == "faults" else "add a [[fault]] with a unit and a kind"
        return Problem(line, key, "it is missing", fits)
    if details["type"] == "extra_forbidden":
        return Problem(line, key, "there is no such key", "known are faults, seed and [[fault]]")
    fits = {
        "faults": BEGIN,
        "seed": f"a whole number from {SEED.low} to {SEED.high}",
        "fault": f"1 to {FAULTS_MAX} tables, each begun by [[fault]]",
    }[key]
    return Problem(line, key, f"{shown(details['input'])} was refused", fits)


def _wrong_with(text: str, index: int, entry: dict[str, Any]) -> Iterator[Problem]:
    """All that is wrong with one fault."""

    def problem(key: str, refused: str, fits: str) -> Problem:
        return Problem(line_of(text, index, key), f"fault {index + 1}, {key}", refused, fits)

    unit, kind = entry.get("unit"), entry.get("kind")
    for key, known in (("unit", units()), ("kind", kinds_of(unit) if isinstance(unit, str) else [])):
        value = entry.get(key)
        if value is None:
            fits = f"one of {', '.join(known)}" if known else "`dermalink-sim faults` lists them"
            yield problem(key, "it is missing", fits)
            return
        if value not in known:
            near = get_close_matches(str(value), known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            owner = f" of {unit}" if key == "kind" else ""
            yield problem(key, f"there is no {key} {shown(value)}{owner}", f"{hint}there are {', '.join(known)}")
            return
    word = WORDS[str(unit), str(kind)]
    numbers = {one.name: one for one in (*word.parameters, *schedule_of(word))}
    if word.instances:
        numbers["instance"] = Parameter("instance", 0, 0, word.instances, f"which {word.unit}, 0 for any")
    try:
        MODELS[word.unit, word.kind].model_validate(entry)
        _spelled(entry, 0)
    except ValidationError as error:
        for details in error.errors():
            key = str(details["loc"][0])
            if details["type"] == "extra_forbidden":
                yield problem(key, f"{word.unit} {word.kind} takes no {key}", f"it takes {', '.join(numbers)}")
            else:
                yield problem(key, f"{shown(details['input'])} was refused", _range(numbers[key]))
    except DermalinkError as error:
        yield problem("opcode" if "opcode" in entry else "kind", error.refused, error.limit)


def _range(one: Parameter) -> str:
    step = f" in steps of {one.step}" if one.step > 1 else ""
    return f"a whole number from {one.low} to {one.high}{step}, {one.says}"


def _spelled(entry: dict[str, Any], seed: int) -> Fault:
    given = dict(entry)
    unit, kind, instance = given.pop("unit"), given.pop("kind"), given.pop("instance", 0)
    when = {one.name: given.pop(one.name, 0) for one in SCHEDULE}
    if WORDS[unit, kind].drawn:
        when["seed"] = when["seed"] or seed
    return spell(unit, kind, instance, given, **when)
