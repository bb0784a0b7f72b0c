"""Keys and lines become words, and the loop never waits for them."""

import asyncio
import contextlib
import io
import os
import sys
import threading
from typing import TextIO

import pytest

from dermalink.cli.keys import LINES, words_from
from dermalink.session.words import Word, WordQueue

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")


async def first(person: WordQueue, count: int) -> list[Word]:
    """The next words."""
    async with asyncio.timeout(5):
        return [await person.next_word() for _ in range(count)]


def typed(*presses: bytes, expect: int) -> list[Word]:
    """What these presses, each read by itself, come to in a terminal."""
    import pty
    import termios

    near, far = pty.openpty()
    before = termios.tcgetattr(far)

    async def run() -> list[Word]:
        found = []
        with os.fdopen(far, "r", closefd=False) as stream:
            async with words_from(stream) as person:
                for number, press in enumerate(presses):
                    os.write(near, press)
                    found += await first(person, 1) if number < expect else []
                return found

    try:
        words = asyncio.run(run())
        assert termios.tcgetattr(far) == before
        return words
    finally:
        os.close(near)
        os.close(far)


def test_each_key_is_its_word() -> None:
    words = typed(b"\n", b"g", b"r", b" ", b"p", b"e", b"s", b"1", b"2", b"3", b"\x1b", expect=11)
    assert words == [Word.GO, Word.GO, Word.RESUME, Word.PAUSE, Word.PAUSE, Word.END, Word.STOP, Word.PAIN,
                     Word.BLEEDING, Word.RASH, Word.STOP]  # fmt: skip


def test_an_arrow_key_means_nothing() -> None:
    assert typed(b"s", b"\x1b[A", expect=1) == [Word.STOP]
    with pytest.raises(TimeoutError):
        typed_within_a_moment(b"\x1b[A")


def typed_within_a_moment(press: bytes) -> None:
    """Raises TimeoutError when the press means nothing."""
    import pty

    near, far = pty.openpty()

    async def run() -> None:
        with os.fdopen(far, "r", closefd=False) as stream:
            async with words_from(stream) as person, asyncio.timeout(0.05):
                os.write(near, press)
                await person.next_word()

    try:
        asyncio.run(run())
    finally:
        os.close(near)
        os.close(far)


def typed_at_once(presses: bytes) -> list[Word]:
    """What these presses come to when the terminal gives them in one read."""
    import pty

    near, far = pty.openpty()

    async def run() -> list[Word]:
        found = []
        with os.fdopen(far, "r", closefd=False) as stream:
            async with words_from(stream) as person:
                os.write(near, presses)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        while True:
                            found.append(await person.next_word())
        return found

    try:
        return asyncio.run(run())
    finally:
        os.close(near)
        os.close(far)


@pytest.mark.sr("SR-STOP-4", "SR-STOP-7", side="host")
@pytest.mark.parametrize(
    ("presses", "stops"),
    [
        (b"\x1b", 1),
        (b"\x1b\x1b", 2),
        (b"\x1b\x1b\x1b", 3),
        (b"\x1bs", 2),
        (b"s\x1b", 2),
        (b"\x1b[As", 1),
        (b"\x1b[A\x1b", 1),
        (b"\x1b\x1b[A", 1),
        (b"\x1bOPs", 1),
        (b"\x1b[1;5D\x1b[15~q", 1),
        (b"\x1b[", 1),
        (b"\x1bO", 1),
        (b"\x1bx", 1),
        (b"\xff\x1b", 1),
        (b"\x1b[A\x1b[B\x1bOA\x1bOS\x1b[3~\x1b[1;2R\x1b[[E\x1b[Z", 0),
    ],
)
def test_a_stop_among_keys_that_come_in_one_read_is_never_lost(presses: bytes, stops: int) -> None:
    assert typed_at_once(presses) == [Word.STOP] * stops


def test_lines_from_a_pipe_are_words_and_its_end_is_gone() -> None:
    async def run() -> list[Word]:
        async with words_from(io.StringIO("\nresume\nnonsense\n PAIN \nstop\n")) as person:
            return await first(person, 5)

    assert asyncio.run(run()) == [Word.GO, Word.RESUME, Word.PAIN, Word.STOP, Word.GONE]
    assert set(LINES.values()) == set(Word) - {Word.GONE}


def test_a_pipe_that_says_nothing_stops_nobody() -> None:
    read, write = os.pipe()

    async def run(stream: TextIO) -> None:
        async with words_from(stream) as person:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await person.next_word()

    with os.fdopen(read) as stream:
        asyncio.run(run(stream))
        os.close(write)
        for thread in threading.enumerate():
            if thread.name == "dermalink-lines":
                thread.join(5)
