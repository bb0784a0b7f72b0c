"""What every test is held to: it leaves nothing running and nothing open."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.leaks import everything_open, leaked_since, watch_event_loops

pytest_plugins = ["pytester"]

# A busy machine is no failure, so no test has a deadline. What every run sees is the same on every machine;
# `tasks.py proof-all` searches by chance, and longer.
settings.register_profile("every-run", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("every-run")


# No test, and no program that one starts, sees the keys of whoever runs it; one that wants keys names a folder.
os.environ["DERMALINK_KEYS"] = str(Path(__file__).parent / "no-keys-here")
os.environ["DERMALINK_BONDS"] = str(Path(__file__).parent / "no-bonds-here")  # then none is kept beyond its process


def pytest_configure() -> None:
    watch_event_loops()


@pytest.fixture(autouse=True)
def bonds_of_one_test() -> Iterator[None]:
    """A computer keeps its bonds of Bluetooth's own as long as it runs; each test has one of its own."""
    yield
    adapter = sys.modules.get("dermalink_simulator.radio.adapter")
    if adapter is not None:
        adapter._bonds.clear()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a task, a thread, a descriptor, a port or a child process behind."""
    before = everything_open()
    yield
    leaked = leaked_since(before)
    if leaked:
        pytest.fail("The test left behind:\n" + "\n".join(sorted(leaked)))
