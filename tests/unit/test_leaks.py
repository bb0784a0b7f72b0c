"""The check that nothing is left behind sees each kind of leak."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.leaks import everything_open, leaked_since

Cleanup = Callable[[], object]


def leak_thread() -> Cleanup:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()

    def cleanup() -> None:
        release.set()
        thread.join()

    return cleanup


def leak_socket() -> Cleanup:
    return socket.create_server(("127.0.0.1", 0)).close


def leak_process() -> Cleanup:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    return lambda: process.communicate(b"\n")


def leak_loop() -> Cleanup:
    return asyncio.new_event_loop().close


def leak_task() -> Cleanup:
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(3600), name="forgotten")
    loop.run_until_complete(asyncio.sleep(0))

    def cleanup() -> None:
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    return cleanup


LINUX_ONLY = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system lists no descriptors")


@pytest.mark.parametrize(
    ("leak", "said"),
    [
        (leak_thread, "thread forgotten"),
        pytest.param(leak_socket, "socket:", marks=LINUX_ONLY),
        pytest.param(leak_process, "child process", marks=LINUX_ONLY),
        (leak_loop, "open event loop"),
        (leak_task, "task forgotten"),
    ],
)
def test_a_leak_is_seen_and_named(leak: Callable[[], Cleanup], said: str) -> None:
    before = everything_open()
    cleanup = leak()
    try:
        assert any(said in line for line in leaked_since(before, grace_s=0))
    finally:
        cleanup()
    assert not leaked_since(before)


@pytest.mark.asyncio
async def test_a_tidy_coroutine_is_no_leak() -> None:
    await asyncio.create_task(asyncio.sleep(0))
