"""When the person's keys are asked for, and that nobody has to wait for the answer."""

import asyncio
import contextlib
import threading

import pytest

from dermalink.connecting import greet
from dermalink.errors import NotOwner
from dermalink.links.stream import StreamLink
from dermalink.pen import utc_now
from tests.support.memory_pipe import MemoryPipe
from tests.support.owned import keys_of, no_keys
from tests.support.running import in_virtual_time
from tests.unit.host.sealed_pen import SealedPen
from tests.unit.host.simulated import a_desk

NEVER_S = 30  # how long the person leaves the system's question unanswered


def not_to_be_asked(_: str) -> None:
    raise AssertionError("the keys were asked for")


def test_who_ends_a_program_does_not_wait_for_the_question_that_the_keyring_asks() -> None:
    answered = threading.Event()

    async def connect() -> None:
        loop, waits = asyncio.get_running_loop(), asyncio.Event()

        def keys(_: str) -> None:
            loop.call_soon_threadsafe(waits.set)
            answered.wait(NEVER_S)

        pipe = SealedPen(MemoryPipe()).pipe
        connecting = asyncio.ensure_future(greet(StreamLink(pipe, "memory:"), journal=None, utc=utc_now, known=keys))
        await waits.wait()
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        assert pipe.closes == 1

    asyncio.run(connect())
    asking = [each for each in threading.enumerate() if each.name == "dermalink-keys"]
    answered.set()
    assert len(asking) == 1
    asking[0].join()


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_in_this_process_that_has_no_owner_is_not_taken_for_another_of_its_number() -> None:
    async with a_desk() as desk:
        for known in (keys_of, not_to_be_asked):
            async with await desk.connect(known=known) as pen:
                assert (pen.owned, pen.sealed) == (False, False)


@pytest.mark.sr("SR-SEC-1", side="host")
@in_virtual_time
async def test_a_pen_in_this_process_that_has_an_owner_is_talked_to_with_keys_or_not_at_all() -> None:
    async with a_desk() as desk:
        desk.give_owner()
        async with await desk.connect() as pen:
            assert (pen.owned, pen.sealed) == (True, True)
        with pytest.raises(NotOwner):
            await desk.connect(known=no_keys)
