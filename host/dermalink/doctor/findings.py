"""What a check comes to."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple


class Level(IntEnum):
    """How bad it is; the worst of all decides how `doctor` ends."""

    OK = 0
    WARNING = 1
    ERROR = 2


class Finding(NamedTuple):
    """One thing looked at: what was found, and what a person can do about it (empty where there is nothing to do).

    `lines` show more of it to a person, and `data` the same to a program.
    """

    level: Level
    subject: str
    found: str
    advice: str = ""
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        said = {
            "level": self.level.name.lower(), "subject": self.subject, "found": self.found, "advice": self.advice,
        }  # fmt: skip
        return said if self.data is None else {**said, "data": dict(self.data)}


def ok(subject: str, found: str) -> Finding:
    """Nothing wrong."""
    return Finding(Level.OK, subject, found)


def warning(subject: str, found: str, advice: str) -> Finding:
    """It works, but not as well as it should, or something else may break."""
    return Finding(Level.WARNING, subject, found, advice)


def error(subject: str, found: str, advice: str) -> Finding:
    """It can't work like this."""
    return Finding(Level.ERROR, subject, found, advice)
