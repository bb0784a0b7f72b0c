"""From a file to a plan; whatever is wrong with it comes out as one `PlanError` with every problem in it."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from dermalink.plan.errors import NotTaken, PlanError, Problem, shown
from dermalink.plan.locate import Place, key_of, line_of
from dermalink.plan.model import PlanFile, Step, ZoneEntry
from dermalink_protocol.limits import PASSES_PER_ZONE

FILE_BYTES_MAX: Final = 65_536  # a plan with every zone and direction is under 2 kB
START_ANEW: Final = "`dermalink session plan` shows an example to start from"
_BOMS: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00", "UTF-16 or UTF-32"))
_AT: Final = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")


class Plan(NamedTuple):
    """What is to be done in one session; every number in it has passed the plan's own limits."""

    source: str
    steps: tuple[Step, ...]


def load_plan(path: Path) -> Plan:
    """The plan in the file at `path`; raises `PlanError` for whatever is wrong with the file or in it."""
    return plan_from_bytes(_read(path), str(path))


def plan_from_bytes(data: bytes, source: str) -> Plan:
    """The plan in `data`; `source` names it in messages."""
    if len(data) > FILE_BYTES_MAX:
        problem = Problem(
            0, "", "it is too long", f"a plan has at most {FILE_BYTES_MAX} bytes", advice=f"{START_ANEW}."
        )
        raise PlanError(source, problem)
    text = _decode(data, source)
    try:
        read = PlanFile.model_validate(_parse(text, source))
    except ValidationError as error:
        problems = [_problem(text, details) for details in error.errors()]
        raise PlanError(source, *sorted(problems, key=lambda problem: problem.line)) from None
    steps = read.steps()
    repeated = _repeated(text, read)
    if repeated:
        raise PlanError(source, *repeated)
    return Plan(source, steps)


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise PlanError(str(path), Problem(0, "", "it is a folder", advice="Name the plan file in it."))
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        problem = Problem(0, "", "there is no such file", advice=f"Check the name; {START_ANEW}.")
        raise PlanError(str(path), problem) from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PlanError(str(path), Problem(0, "", f"it can't be read ({why})")) from None
    return data


def _decode(data: bytes, source: str) -> str:
    save = "Save it as UTF-8 in your editor."
    for mark, name in _BOMS:
        if data.startswith(mark) or (mark == b"\x00" and b"\x00" in data):
            raise PlanError(source, Problem(0, "", f"it is written in {name}", "a plan is UTF-8 text", advice=save))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        refused = f"byte 0x{data[error.start]:02x} is no UTF-8"
        problem = Problem(line, "", refused, "a plan is UTF-8 text, and this looks like another encoding", advice=save)
        raise PlanError(source, problem) from None
    if not text.strip():
        raise PlanError(source, Problem(0, "", "it is empty", advice=f"{START_ANEW}."))
    return text


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise PlanError(source, Problem(0, "", "it is nested too deeply", advice=f"{START_ANEW}.")) from None
    except ValueError as error:
        said = str(error)
        found = _AT.search(said)
        line = int(found[1]) if found and found[1] else len(text.splitlines()) if found else 0
        why = _AT.sub("", said)
        advice = 'Text stands in quotes, names before "=", and a zone begins with [[zone]].'
        raise PlanError(source, Problem(line, "", f"it is no TOML ({why})", advice=advice)) from None


def _problem(text: str, details: Any) -> Problem:
    """One of pydantic's findings, in our words and with its line."""
    place: Place = tuple(part for part in details["loc"] if part != "function-before")
    reason = details.get("ctx", {}).get("error")
    if isinstance(reason, NotTaken) and reason.key:
        place = (*place, reason.key)
    line, key = line_of(text, place), key_of(place)
    if isinstance(reason, NotTaken):
        return Problem(line, key, reason.refused, reason.limit, reason.rule, reason.advice)
    if details["type"] == "missing":
        needs = "Begin the file with plan = 1." if place == ("plan",) else "Add it."
        if place == ("zone",):
            return Problem(0, "", "it has no zone", advice=f"Add a [[zone]]; {START_ANEW}.")
        return Problem(line, key, "it is missing", advice=needs)
    if details["type"] == "extra_forbidden":
        known = ZoneEntry.model_fields if len(place) > 1 else PlanFile.model_fields
        return Problem(line, key, "there is no such key", advice=f"Known are {', '.join(known)}.")
    return Problem(line, key, f"{shown(details['input'])} was refused", details["msg"])


def _repeated(text: str, read: PlanFile) -> list[Problem]:
    """A problem for each pass that is planned twice (SR-PASS-1)."""
    problems, seen = [], set()
    for index, entry in enumerate(read.zone):
        for direction in entry.directions:
            if (entry.name, direction) in seen:
                place = ("zone", index, "directions")
                refused = f"the {direction.name.lower()} pass over {entry.name.name.lower()} is planned twice"
                limit = f"a zone takes {PASSES_PER_ZONE:d} passes in a session, one a direction"
                advice = "Take one of them out."
                problems.append(Problem(line_of(text, place), key_of(place), refused, limit, "SR-PASS-1", advice))
            seen.add((entry.name, direction))
    return problems
