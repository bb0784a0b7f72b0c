"""What a person says to a running session, and where it comes from."""

import asyncio
from enum import Enum
from typing import Final, Protocol

from dermalink_protocol.zones import Symptom


class Word(Enum):
    """One thing that a person can say. `GONE` is nobody's word: there is nobody left who could say one."""

    GO = "go"
    RESUME = "resume"
    PAUSE = "pause"
    END = "end"
    STOP = "stop"
    PAIN = "pain"
    BLEEDING = "bleeding"
    RASH = "rash"
    GONE = "gone"


SYMPTOMS: Final = {Word.PAIN: Symptom.PAIN, Word.BLEEDING: Symptom.BLEEDING, Word.RASH: Symptom.RASH}


class Person(Protocol):
    """Whoever is led through a session."""

    async def next_word(self) -> Word:
        """The next thing that the person says; waits until there is one."""


class WordQueue:
    """A person whose words come from elsewhere: keys, lines, a script."""

    def __init__(self) -> None:
        self._words: asyncio.Queue[Word] = asyncio.Queue()

    def say(self, word: Word) -> None:
        """Never waits."""
        self._words.put_nowait(word)

    async def next_word(self) -> Word:
        """See `Person`."""
        return await self._words.get()
