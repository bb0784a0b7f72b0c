"""What is wrong with a file of faults, in words for whoever wrote it, with the line."""

import re
from typing import Final, NamedTuple

from dermalink_protocol.errors import DermalinkError

SHOWN_CHARS: Final = 48  # a value longer than this is cut in a message, so that the sentence stays one
_TABLE: Final = re.compile(r"\s*\[\[\s*[\"']?fault[\"']?\s*\]\]")
_OTHER_TABLE: Final = re.compile(r"\s*\[")
_KEY: Final = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=")


class Problem(NamedTuple):
    """One thing that is wrong: where (`line` 0 where there is none), what was refused, and what would fit."""

    line: int
    where: str
    refused: str
    fits: str = ""

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.where) if part)
        fits = f"; {self.fits}" if self.fits else ""
        return f"{place}{': ' if place else ''}{self.refused}{fits}"


class FaultFileError(DermalinkError):
    """A file of faults can't be used; `problems` has everything that is wrong with it, in the file's order."""

    def __init__(self, source: str, *problems: Problem) -> None:
        self.source, self.problems = source, problems
        super().__init__(f"The faults in {source} were refused", limit=". ".join(str(one) for one in problems))

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.refused}: {self.problems[0]}."
        return f"{self.refused} for {len(self.problems)} reasons:" + "".join(f"\n  {one}." for one in self.problems)


def shown(value: object) -> str:
    """A value as a message shows it: quoted if it is text, and never long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 3]}..."


def line_of(text: str, index: int, key: str) -> int:
    """The line (from 1) of `key` in the fault number `index` (from 0; -1 is before all of them).

    That of its [[fault]] where the key is not there; 0 where neither is on a line of its own.
    """
    table, found = -1, 0
    inside = index == -1
    for number, line in enumerate(text.splitlines(), start=1):
        if _TABLE.match(line):
            table += 1
            inside = table == index
            found = number if inside else found
        elif _OTHER_TABLE.match(line):
            inside = False
        elif inside and (assigned := _KEY.match(line)) and assigned[1] == key:
            return number
    return found
