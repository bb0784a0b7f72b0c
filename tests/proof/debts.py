"""Debts of the proof, and which rows the judge has seen whole."""

import hashlib
import inspect
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple

from dermalink_simulator.therapy.row import Row
from dermalink_simulator.therapy.subset import HELPERS
from dermalink_simulator.therapy.table import TABLE
from tests.proof.mutants import Judged, mutants, names
from tests.proof.shared import judge

DEBTS: Final = Path(__file__).with_name("debts.toml")
JUDGED: Final = Path(__file__).with_name("judged.txt")


class Debt(NamedTuple):
    """A kind of mutant that survives, and why that is let be."""

    name: str
    mutant: str
    differs: frozenset[str]
    reason: str

    def covers(self, judged: Judged) -> bool:
        """The mutant is of this kind, and changes nothing else."""
        return fnmatchcase(judged.name, self.mutant) and judged.differs <= self.differs


def debts() -> list[Debt]:
    """All debts."""
    entries = tomllib.loads(DEBTS.read_text(encoding="utf-8"))["debt"]
    return [Debt(**{**entry, "differs": frozenset(entry["differs"])}) for entry in entries]


def unpaid(judged: Iterable[Judged]) -> list[Judged]:
    """The mutants that survived and are no debt."""
    known = debts()
    return [one for one in judged if one.verdict == "survived" and not any(debt.covers(one) for debt in known)]


def source(function: Callable[..., object], seen: set[str] | None = None) -> str:
    """The text of a function and of the helpers that it calls."""
    seen = set() if seen is None else seen
    text = inspect.getsource(function)
    for name in function.__code__.co_names:
        helper = HELPERS.get(name)
        if helper is not None and name not in seen:
            seen.add(name)
            text += source(helper, seen)
    return text


def digest(row: Row) -> str:
    """What a row is, short."""
    parts = [str(tuple(map(int, row.states))), str(tuple(map(int, row.events))), source(row.guard), str(row.then)]
    parts += [str(int(row.verdict)), str(row.effects)]
    parts.append(str(int(row.reason)) if isinstance(row.reason, int) else source(row.reason))
    parts += [f"{field} {source(update)}" for field, update in sorted(row.updates().items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def lines() -> list[str]:
    """A line for each row: its digest and its name."""
    return [f"{digest(row)} {name}" for row, name in zip(TABLE, names(), strict=True)]


def changed_rows() -> set[str]:
    """The names of the rows that have changed since all mutants were judged."""
    judged = set(JUDGED.read_text(encoding="utf-8").splitlines()) if JUDGED.exists() else set()
    return {line.partition(" ")[2] for line in lines() if line not in judged}


def main() -> int:
    """Judge all mutants; if all is well, write down which rows were seen (`python -m tests.proof.debts`)."""
    found: list[Judged] = []
    for number, mutant in enumerate(mutants()):
        found.append(judge()(mutant))
        if number % 500 == 0:
            print(number, dict(Counter(one.verdict for one in found)), flush=True)
    left = unpaid(found)
    for one in left:
        print(f"{one.name}\n    {one.words}")
    print(len(found), dict(Counter(one.verdict for one in found)))
    if not left:
        JUDGED.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
