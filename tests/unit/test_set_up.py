"""What the set-up relies on: locks that fit pyproject.toml, hashes, one list of tasks."""

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tasks
from dermalink_protocol.version import __version__

PYPROJECT: dict[str, Any] = tomllib.loads((tasks.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCKS = sorted(tasks.LOCKS.glob("*.txt"))
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)")


def applies(requirement: Requirement) -> bool:
    """Whether it is asked for on this system and Python."""
    return requirement.marker is None or requirement.marker.evaluate()


def pins(lock: Path, *, here: bool = False) -> dict[str, set[str]]:
    """The versions that a lock has of each package, or only `here`; several where they differ by Python or system."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if (pin := PIN.match(line)) and (not here or applies(Requirement(line.rstrip("\\ ")))):
            found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


def unmet(wanted: list[str], lock: str) -> list[str]:
    """What of it a lock does not hold, of all that is asked for on this system."""
    locked = pins(tasks.LOCKS / lock, here=True)
    requirements = [Requirement(text) for text in wanted]
    return [
        str(requirement)
        for requirement in requirements
        if applies(requirement)
        and not all(map(requirement.specifier.contains, locked.get(canonicalize_name(requirement.name), {"0"})))
    ]


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    everything = [
        *PROJECT["dependencies"],
        *PYPROJECT["dependency-groups"]["dev"],
        *(text for extra in extras.values() for text in extra),
    ]
    assert unmet(everything, "dev.txt") == []
    assert unmet(PROJECT["dependencies"], "runtime.txt") == []
    assert unmet([*PROJECT["dependencies"], *extras["test"]], "test.txt") == []
    both = [*extras["test"], *extras["simulator"]]
    assert unmet([*PROJECT["dependencies"], *both], "test-simulator.txt") == []
    assert unmet(PYPROJECT["build-system"]["requires"], "build.txt") == []


def test_the_smaller_locks_agree_with_the_whole_one() -> None:
    whole = pins(tasks.LOCKS / "dev.txt")
    for name in ("runtime.txt", "test.txt", "test-simulator.txt", "bootstrap.txt"):
        assert {package: whole.get(package) for package in pins(tasks.LOCKS / name)} == pins(tasks.LOCKS / name)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_a_hash_for_all_and_names_no_index(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index-url" not in text


def test_the_bundled_pip_is_the_one_that_the_lock_names() -> None:
    wheel = tasks.bundled_pip()
    _, version, *_ = wheel.name.split("-")
    text = (tasks.LOCKS / "bootstrap.txt").read_text(encoding="utf-8")
    entry = text[text.index(f"pip=={version} ") :].partition("\nuv==")[0]
    assert f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" in entry


def test_make_knows_every_task_and_no_other() -> None:
    makefile = (tasks.ROOT / "Makefile").read_text(encoding="utf-8")
    (names,) = re.findall(r"^TASKS := (.*)$", makefile, re.MULTILINE)
    assert sorted(names.split()) == sorted(tasks.TASKS)


def test_what_the_tests_run_are_tasks() -> None:
    assert set(tasks.STAGES) <= set(tasks.TASKS)


def test_a_task_that_does_not_exist_is_answered_with_the_nearest_one() -> None:
    command = [sys.executable, str(tasks.ROOT / "tasks.py"), "tset"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Did you mean `test`?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_version_is_the_one_that_is_installed() -> None:
    from importlib.metadata import version

    assert version("dermalink") == __version__


def test_the_licence_comes_whole() -> None:
    text = (tasks.ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == "Apache-2.0"
