"""What a campaign of many seeds came to so far, and its file: what is done, what failed, what was reached.

The file is JSON, written whole or not at all, so that a campaign that was interrupted goes on where it was.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from dermalink_protocol.errors import DermalinkError
from dermalink_protocol.version import __version__
from dermalink_simulator.campaign.coverage import Reached
from dermalink_simulator.campaign.invariants import Broken

FORMAT: Final = 1


class TallyError(DermalinkError):
    """A file that is no tally, or is another campaign's."""


class Failure:
    """A seed that broke something, and where its script is."""

    def __init__(self, seed: int, broken: Broken, script: str) -> None:
        self.seed, self.broken, self.script = seed, broken, script

    def out(self) -> dict[str, Any]:
        """For a file, or for a script that reads ours."""
        return {"seed": self.seed, **self.broken._asdict(), "script": self.script}


class Tally:
    """Seeds from `first` to before `end`, with these safeguards off; `done` are those played."""

    def __init__(self, first: int, end: int, without: frozenset[str] = frozenset()) -> None:
        self.first, self.end, self.without = first, end, without
        self.done: set[int] = set()
        self.failures: list[Failure] = []
        self.strokes = self.pen_ms = 0
        self.worked_s = 0.0
        self.reached = Reached(Counter(), Counter())

    def left(self) -> Iterator[int]:
        """The seeds that are still to be played, in order."""
        return (seed for seed in range(self.first, self.end) if seed not in self.done)

    def save(self, path: Path) -> None:
        """Write it down; what was there before stays until it is whole."""
        self.failures.sort(key=lambda one: one.seed)
        out = {
            "tally": FORMAT,
            "version": __version__,
            "seeds": [self.first, self.end],
            "without": sorted(self.without),
            "done": _spans(self.done),
            "failures": [one.out() for one in self.failures],
            "strokes": self.strokes,
            "pen_ms": self.pen_ms,
            "worked_s": round(self.worked_s, 3),
            "faults": self.reached.faults,
            "rows": self.reached.rows,
        }
        beside = path.with_name(path.name + ".new")
        try:
            beside.write_text(json.dumps(out) + "\n", encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            raise TallyError(f"the tally {path} can't be written", limit=error.strerror or "") from error

    @classmethod
    def load(cls, path: Path) -> "Tally":
        """Read it; raises `TallyError` for a file that is none, or another version's: its seeds mean something else."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["tally"] != FORMAT or found["version"] != __version__:
                raise TallyError(f"the tally {path} was refused", limit=f"it is of version {found['version']}")
            first, end = found["seeds"]
            tally = cls(first, end, frozenset(found["without"]))
            tally.done = {seed for first, end in found["done"] for seed in range(first, end)}
            for one in found["failures"]:
                broken = Broken(one["invariant"], one["rule"], one["says"])
                tally.failures.append(Failure(one["seed"], broken, one["script"]))
            tally.strokes, tally.pen_ms, tally.worked_s = found["strokes"], found["pen_ms"], found["worked_s"]
            tally.reached = Reached(
                Counter(found["faults"]), Counter({int(row): n for row, n in found["rows"].items()})
            )
        except OSError as error:
            raise TallyError(f"the tally {path} can't be read", limit=error.strerror or "") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TallyError(f"{path} is no tally of a campaign", limit=f"{type(error).__name__}: {error}") from error
        return tally


def _spans(seeds: set[int]) -> list[tuple[int, int]]:
    """Seeds as spans, first and end."""
    spans: list[tuple[int, int]] = []
    for seed in sorted(seeds):
        if spans and spans[-1][1] == seed:
            spans[-1] = spans[-1][0], seed + 1
        else:
            spans.append((seed, seed + 1))
    return spans
