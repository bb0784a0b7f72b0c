"""What every test is held to: it leaves nothing running and nothing open."""

from collections.abc import Iterator

import pytest

from tests.support.leaks import everything_open, leaked_since, watch_event_loops

pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    watch_event_loops()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a task, a thread, a descriptor, a port or a child process behind."""
    before = everything_open()
    yield
    leaked = leaked_since(before)
    if leaked:
        pytest.fail("The test left behind:\n" + "\n".join(sorted(leaked)))
