"""What a check comes to."""

from enum import IntEnum
from typing import Any, NamedTuple


class Level(IntEnum):
    """How bad it is; the worst of all decides how `doctor` ends."""

    OK = 0
    WARNING = 1
    ERROR = 2


class Finding(NamedTuple):
    """One thing looked at: what was found, and what a person can do about it (empty where there is nothing to do)."""

    level: Level
    subject: str
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "level": self.level.name.lower(),
            **{key: self[index] for index, key in enumerate(self._fields) if index},
        }


def ok(subject: str, found: str) -> Finding:
    """Nothing wrong."""
    return Finding(Level.OK, subject, found)


def warning(subject: str, found: str, advice: str) -> Finding:
    """It works, but not as well as it should, or something else may break."""
    return Finding(Level.WARNING, subject, found, advice)


def error(subject: str, found: str, advice: str) -> Finding:
    """It can't work like this."""
    return Finding(Level.ERROR, subject, found, advice)
