"""A recorded trace: what the therapy core was told, what it answered, and a digest of its state, an event a line.

The first line names format, serial number and the pen's own range of rates. `power_on` begins a boot. Every other line
is `tick_ms EVENT field=value,… VERDICT REASON effects STATE digest`. A trace can be replayed through the core, now or
by a later version: the first line that comes out otherwise is named.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from dermalink_protocol.errors import DermalinkError
from dermalink_simulator.firmware.core import answer_line
from dermalink_simulator.firmware.inside import limits_for
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import POWER_UP
from dermalink_simulator.therapy.step import step

FORMAT: Final = "dermalink-trace 1"
POWER_ON: Final = "power_on"


class TraceError(DermalinkError):
    """Lines that are no trace, or that the core answers otherwise now."""


class Replayed(NamedTuple):
    """What a replay went through."""

    boots: int
    events: int


class TraceFile:
    """A trace on its way into a file; used as a context manager, its `line` is what a simulated pen wants."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> "TraceFile":
        self._file = self._path.open("w", encoding="ascii", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def line(self, line: str) -> None:
        """Write a line down."""
        if self._file is not None:
            self._file.write(line + "\n")


def head_line(rate_min_hz: int, rate_max_hz: int) -> str:
    """A trace's first line."""
    return f"{FORMAT} rate_min_hz={rate_min_hz} rate_max_hz={rate_max_hz}"


def replay(lines: Iterable[str]) -> Replayed:
    """Go through a trace again; raises `TraceError` at the first line that comes out otherwise."""
    numbered = enumerate((line.rstrip("\n") for line in lines), 1)
    _, first = next(numbered, (0, ""))
    if not first.startswith(FORMAT + " "):
        raise TraceError("a trace was refused", limit=f"its first line has to begin with {FORMAT!r}")
    rates = _numbers(first.removeprefix(FORMAT + " ").replace(" ", ","), 1)
    limits = limits_for(rates["rate_min_hz"], rates["rate_max_hz"], frozenset())
    boots = events = 0
    state = POWER_UP
    for number, line in numbered:
        if line == POWER_ON:
            boots, state = boots + 1, POWER_UP
            continue
        _, event, recorded = _parsed(line, number)
        state, answer = step(limits, state, event)
        events += 1
        got = answer_line(state, answer)
        if got != recorded:
            raise TraceError(f"line {number} comes out otherwise", limit=f"recorded {recorded!r}, now {got!r}")
    return Replayed(boots, events)


def _parsed(line: str, number: int) -> tuple[int, Event, str]:
    parts = line.split(" ", 3)
    if len(parts) != 4 or not parts[0].isdigit() or parts[1] not in EventKind.__members__:
        raise TraceError(f"line {number} of a trace was refused", limit="it is no `tick EVENT fields answer` line")
    fields = {} if parts[2] == "-" else _numbers(parts[2], number)
    if not fields.keys() <= set(Event._fields):
        raise TraceError(f"line {number} of a trace was refused", limit="it has fields that no event has")
    return int(parts[0]), Event(EventKind[parts[1]], **fields), parts[3]


def _numbers(text: str, number: int) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in (pair.split("=", 1) for pair in text.split(","))}
    except ValueError:
        raise TraceError(f"line {number} of a trace was refused", limit="its fields are name=number") from None
