"""A campaign as a script: what is done, step by step, with nothing left to chance; written and read as JSON.

    {"campaign": 1, "seed": 17, "sold": false, "without": [], "steps": [{"do": "start", "then_ms": 10}, ...]}

`then_ms` is how long time passes after the step. A fault is a step with the words of `dermalink-sim faults`. A script
is taken whole or not at all; what is wrong names the step, from 1.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.campaign.actions import ACTIONS
from dermalink_simulator.campaign.invariants import Broken
from dermalink_simulator.faults.spelling import SCHEDULE, Fault, spell
from dermalink_simulator.firmware.safeguards import SAFEGUARDS

FORMAT: Final = 1
FAULT: Final = "fault"
THEN_MAX_MS: Final = 120_000
STEPS_MAX: Final = 100_000
SEED_MAX: Final = 0xFFFF_FFFF
FILE_MAX_BYTES: Final = 16 << 20


class ScriptError(DermalinkError):
    """A file that is no script of a campaign."""


class Step(NamedTuple):
    """One thing that is done, with its numbers or the fault that it is, and how long time passes then, in ms."""

    do: str
    numbers: Mapping[str, int]
    then_ms: int = 0
    fault: Fault | None = None

    def __str__(self) -> str:
        said = str(self.fault) if self.fault else " ".join(f"{name}={value}" for name, value in self.numbers.items())
        return f"{self.do} {said}".strip()


class Script(NamedTuple):
    """A pen's seed, whether it was built to be sold, the safeguards that are off, and the steps."""

    seed: int
    steps: tuple[Step, ...]
    sold: bool = False
    without: frozenset[str] = frozenset()


def to_json(script: Script, broken: Broken | None = None) -> str:
    """The script as a file; `broken` is what it showed when it was written, for whoever reads it."""
    steps = ",\n".join("  " + json.dumps(_step_out(step)) for step in script.steps)
    head: dict[str, Any] = {"campaign": FORMAT, "seed": script.seed, "sold": script.sold}
    head["without"] = sorted(script.without)
    if broken is not None:
        head["broken"] = broken._asdict()
    return json.dumps(head, ensure_ascii=False)[:-1] + f', "steps": [\n{steps}\n]}}\n'


def load(path: Path) -> Script:
    """Read a file; raises `ScriptError`."""
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise ScriptError(f"{path} was refused", limit=f"a script has at most {FILE_MAX_BYTES} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptError(f"{path} can't be read", limit=error.strerror or "") from error
    except ValueError as error:
        raise ScriptError(f"{path} was refused", limit=f"it is no JSON: {error}") from error
    return from_json(found, str(path))


def from_json(found: object, source: str) -> Script:
    """A script from what its JSON says; raises `ScriptError`, which names `source` and the step."""
    allowed = {"campaign", "seed", "sold", "without", "broken", "steps"}
    if not isinstance(found, dict) or found.get("campaign") != FORMAT or not found.keys() <= allowed:
        limit = f'it is an object with "campaign": {FORMAT} and {", ".join(sorted(allowed - {"campaign"}))}'
        raise ScriptError(f"{source} was refused", limit=limit)
    seed, sold, without, steps = (
        found.get(key, default) for key, default in (("seed", 0), ("sold", False), ("without", []), ("steps", []))
    )
    if not _whole(seed, 0, SEED_MAX) or not isinstance(sold, bool):
        raise ScriptError(f"{source} was refused", limit=f"seed is 0 to {SEED_MAX}, sold true or false")
    if not isinstance(without, list) or not all(isinstance(one, str) and one in SAFEGUARDS for one in without):
        raise ScriptError(f"{source} was refused", limit=f"without names some of {', '.join(sorted(SAFEGUARDS))}")
    if not isinstance(steps, list) or len(steps) > STEPS_MAX:
        raise ScriptError(f"{source} was refused", limit=f"steps are a list of at most {STEPS_MAX}")
    made = []
    for number, one in enumerate(steps, 1):
        try:
            made.append(_step_in(one))
        except DermalinkError as error:
            refused = f"step {number} of {source} was refused"
            raise ScriptError(refused, limit=error.limit or error.refused, advice=error.advice) from error
    return Script(seed, tuple(made), sold, frozenset(without))


def _step_out(step: Step) -> dict[str, Any]:
    said: dict[str, Any] = {"do": step.do, **step.numbers}
    if step.fault is not None:
        fault = step.fault
        said |= {"unit": fault.unit, "kind": fault.kind} | ({"instance": fault.instance} if fault.instance else {})
        said |= fault.values
        said |= {one.name: getattr(fault, one.name) for one in SCHEDULE if getattr(fault, one.name)}
    return said | ({"then_ms": step.then_ms} if step.then_ms else {})


def _step_in(found: object) -> Step:
    if not isinstance(found, dict) or not isinstance(found.get("do"), str):
        raise ScriptError("", limit='a step is an object with "do"')
    said = dict(found)
    do, then_ms = said.pop("do"), said.pop("then_ms", 0)
    if not _whole(then_ms, 0, THEN_MAX_MS):
        raise ScriptError("", limit=f"then_ms is 0 to {THEN_MAX_MS}")
    if do == FAULT:
        unit, kind, instance = said.pop("unit", ""), said.pop("kind", ""), said.pop("instance", 0)
        when = {one.name: said.pop(one.name, 0) for one in SCHEDULE}
        return Step(do, {}, then_ms, spell(str(unit), str(kind), instance, said, **when))
    if do not in ACTIONS:
        raise ScriptError("", limit=f"{do!r} is nothing that can be done; there are {', '.join((*ACTIONS, FAULT))}")
    wanted = ACTIONS[do].numbers
    if said.keys() != {one.name for one in wanted}:
        raise ScriptError("", limit=f"{do} takes {', '.join(one.name for one in wanted) or 'no number'}")
    for one in wanted:
        if not _whole(said[one.name], one.low, one.high) or (one.only and said[one.name] not in one.only):
            fitting = ", ".join(map(str, one.only)) or f"{one.low} to {one.high}"
            raise ScriptError("", limit=f"{one.name} of {do} is {fitting}")
    return Step(do, said, then_ms)


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
