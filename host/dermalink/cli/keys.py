"""Keys in a terminal, or lines from a pipe, as a person's words; the event loop never waits for them."""

import asyncio
import contextlib
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TextIO

from dermalink.session.words import Word, WordQueue

KEYS: Final = {
    "\r": Word.GO,
    "\n": Word.GO,
    "g": Word.GO,
    "r": Word.RESUME,
    " ": Word.PAUSE,
    "p": Word.PAUSE,
    "e": Word.END,
    "s": Word.STOP,
    "q": Word.STOP,
    "\x03": Word.STOP,
    "\x1b": Word.STOP,
    "1": Word.PAIN,
    "2": Word.BLEEDING,
    "3": Word.RASH,
}
LINES: Final = {word.value: word for word in Word if word is not Word.GONE} | {"": Word.GO}
# What a terminal sends for a key that is no character: ECMA-48's CSI, the Linux console's F1 to F5, and SS3
FUNCTION_KEY: Final = re.compile(r"\x1b(?:\[\[[A-E]|\[[0-?]*[@-~]|O[0-9;]*[A-Za-z])")
READ_MAX: Final = 4_096  # all that a terminal holds, so that no sequence is cut in two
POLL_S: Final = 0.02  # Windows only tells when asked; a key is seen within this


@contextlib.asynccontextmanager
async def words_from(stream: TextIO) -> AsyncIterator[WordQueue]:
    """The words typed on `stream` while the block runs: single keys in a terminal, lines (`LINES`) anywhere else."""
    person = WordQueue()
    if not stream.isatty():
        _read_lines(stream, person)
        yield person
    elif sys.platform == "win32":
        task = asyncio.create_task(_poll_keys(person))
        try:
            yield person
        finally:
            task.cancel()
            await asyncio.wait([task])
    else:
        with _single_keys(stream, person):
            yield person


def _say_key(person: WordQueue, key: str) -> None:
    word = KEYS.get(key.lower())
    if word is not None:
        person.say(word)


def _read_lines(stream: TextIO, person: WordQueue) -> None:
    """In a thread that nobody waits for: a read from a pipe can't be called off."""
    loop = asyncio.get_running_loop()

    def tell(word: Word) -> bool:
        try:
            loop.call_soon_threadsafe(person.say, word)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                word = LINES.get(line.strip().lower())
                if word is not None and not tell(word):
                    return
        tell(Word.GONE)

    threading.Thread(target=read, name="dermalink-lines", daemon=True).start()


if sys.platform == "win32":

    async def _poll_keys(person: WordQueue) -> None:
        import msvcrt

        while True:
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in ("\x00", "\xe0"):  # an arrow or a function key: what follows is its number, and no key
                    msvcrt.getwch()
                else:
                    _say_key(person, key)
            await asyncio.sleep(POLL_S)

else:

    @contextlib.contextmanager
    def _single_keys(stream: TextIO, person: WordQueue) -> Iterator[None]:
        import termios
        import tty

        loop, descriptor = asyncio.get_running_loop(), stream.fileno()
        before = termios.tcgetattr(descriptor)

        def ready() -> None:
            try:
                typed = os.read(descriptor, READ_MAX)
            except OSError:
                typed = b""
            if not typed:  # the terminal is gone
                loop.remove_reader(descriptor)
                person.say(Word.GONE)
            _each_key(typed, lambda key: _say_key(person, key))

        tty.setcbreak(descriptor, termios.TCSANOW)
        loop.add_reader(descriptor, ready)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)
            termios.tcsetattr(descriptor, termios.TCSANOW, before)

    def _each_key(typed: bytes, say: Callable[[str], None]) -> None:
        """An arrow or a function key means nothing; every other Escape is a key, as is all that stands around them."""
        for key in FUNCTION_KEY.sub("", typed.decode("utf-8", errors="replace")):
            say(key)
