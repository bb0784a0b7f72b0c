"""The marks that tests carry, as pytest itself collects them.

A mark counts only on a test that every run of `tasks.py test` executes: not on one that is always skipped, is
expected to fail, or runs only when the proofs are run in full, and not on a benchmark.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.traceability.requirements import KINDS, SIDES

ROOT = Path(__file__).parents[2]
OUTPUT = "DERMALINK_MARKS_FILE"  # where the collecting run writes what it found
NOT_EXECUTED = ("skip", "xfail", "complete")
COLLECTING_TAKES_AT_MOST_S = 60


class BadMark(Exception):
    """A mark, or the collection of the tests, is wrong."""


@dataclass(frozen=True)
class Mark:
    """One row named by one test; no side means every side that holds the row."""

    row: str
    test: str
    side: str | None = None
    kind: str = "test"
    twin: bool = False


def of_test(test: str, args: tuple[object, ...], kwargs: dict[str, object]) -> list[Mark]:
    """The rows that one `sr` mark names; raises BadMark if it is not written as it must be."""
    side, kind, twin = kwargs.get("side"), kwargs.get("kind", "test"), kwargs.get("twin", False)
    unknown = set(kwargs) - {"side", "kind", "twin"}
    if unknown or not args or side not in (None, *SIDES) or kind not in KINDS or not isinstance(twin, bool):
        raise BadMark(
            f"{test}: @pytest.mark.sr takes row ids, then side ({' or '.join(SIDES)}), kind ({', '.join(KINDS)}) and "
            f"twin (True or False); this one has {args} and {kwargs}."
        )
    return [Mark(str(row), test, side, kind, twin) for row in args]


def collect() -> list[Mark]:
    """Let pytest collect all tests, in a process of its own; raises BadMark with its output if it can't."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "marks.json"
        pytest_command = [sys.executable, "-m", "pytest", "-p", __name__, "-p", "no:cacheprovider"]
        ended = subprocess.run(
            [*pytest_command, "--collect-only", "-qq", "--assert=plain", "--ignore=tests/benchmarks", "tests"],
            cwd=ROOT,
            env={**os.environ, OUTPUT: str(output)},
            capture_output=True,
            text=True,
            timeout=COLLECTING_TAKES_AT_MOST_S,
            check=False,
        )
        if ended.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            errors = ended.stdout[max(ended.stdout.find("= ERRORS ="), 0) :]
            raise BadMark(f"pytest could not collect the tests:\n{errors}{ended.stderr}")
        found = json.loads(output.read_text(encoding="utf-8"))
    if found["bad"]:
        raise BadMark("\n".join(found["bad"]))
    return [Mark(**mark) for mark in found["marks"]]


def marks_of(items: Iterable[pytest.Item]) -> tuple[list[Mark], list[str]]:
    """The marks of collected tests, one a test function, and what is wrong with others."""
    marks: set[Mark] = set()
    bad: set[str] = set()
    for item in items:
        if any(item.get_closest_marker(name) for name in NOT_EXECUTED):
            continue
        test = item.nodeid.partition("[")[0]
        for marker in item.iter_markers("sr"):
            try:
                marks.update(of_test(test, marker.args, dict(marker.kwargs)))
            except BadMark as error:
                bad.add(str(error))
    return sorted(marks, key=lambda mark: (mark.row, mark.test, mark.side or "", mark.kind, mark.twin)), sorted(bad)


def pytest_collection_finish(session: pytest.Session) -> None:
    """In the collecting run (this module is its plugin): write down what was found."""
    if OUTPUT in os.environ:
        marks, bad = marks_of(session.items)
        found = {"marks": [asdict(mark) for mark in marks], "bad": bad}
        Path(os.environ[OUTPUT]).write_text(json.dumps(found), encoding="utf-8")
