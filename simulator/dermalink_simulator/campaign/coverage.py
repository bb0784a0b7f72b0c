"""What campaigns have reached: which fault was on in which state of the therapy, and which rows of its table.

It looks at a trace of the firmware to say where a campaign has been, and judges nothing by it.
"""

from collections import Counter
from typing import Final, NamedTuple

from dermalink_protocol.codewords import State
from dermalink_simulator.campaign.drawing import NOT_DRAWN
from dermalink_simulator.campaign.playing import Played, play
from dermalink_simulator.campaign.script import Script
from dermalink_simulator.campaign.world import World
from dermalink_simulator.faults.words import VOCABULARY
from dermalink_simulator.firmware.inside import limits_for
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import POWER_UP
from dermalink_simulator.therapy.step import step
from dermalink_simulator.therapy.table import TABLE
from dermalink_simulator.trace import POWER_ON

SOUND: Final = "none"
_STATE_AT: Final = -2  # of a trace's line, its last word but one


class Reached(NamedTuple):
    """How many events met a state with a fault on (`fault/STATE`), and took a row (its number in the table)."""

    faults: Counter[str]
    rows: Counter[int]

    def add(self, other: "Reached") -> None:
        """Take in what another campaign reached."""
        self.faults.update(other.faults)
        self.rows.update(other.rows)


class _Watching:
    """Takes the lines of a trace as they come, with the faults that are on at that moment."""

    def __init__(self, script: Script) -> None:
        self.reached = Reached(Counter(), Counter())
        self._limits = limits_for(0, 0xFF, script.without)
        self._state = POWER_UP
        self._world: World | None = None

    def world(self, world: World) -> None:
        """Its faults are looked at from now on."""
        self._world = world

    def line(self, line: str) -> None:
        """One line of the trace."""
        if line == POWER_ON:
            self._state = POWER_UP
            return
        parts = line.split(" ")
        if len(parts) < 3 or parts[1] not in EventKind.__members__:
            return
        pairs = (pair.split("=") for pair in parts[2].split(",")) if parts[2] != "-" else ()
        before = State(self._state.state).name
        self._state, answer = step(
            self._limits, self._state, Event(EventKind[parts[1]], **{name: int(value) for name, value in pairs})
        )
        if answer.row >= 0:
            self.reached.rows[answer.row] += 1
        on = [] if self._world is None else [f"{one.unit} {one.kind}" for one in self._world.pen.faults.active]
        for fault in on or [SOUND]:
            self.reached.faults[f"{fault}/{before}"] += 1

    def happened(self, fault: str) -> None:
        """A fault that is over as soon as it happens came in this state."""
        self.reached.faults[f"{fault}/{State(self._state.state).name}"] += 1


def played(script: Script) -> tuple[Played, Reached]:
    """Play a script and say what it reached as well; takes half as long again."""
    watching = _Watching(script)

    def watch(world: World) -> None:
        watching.world(world)
        world.on_fault = lambda fault: watching.happened(f"{fault.unit} {fault.kind}") if fault.word.once else None

    return play(script, watching.line, watch), watching.reached


def page(reached: Reached, seeds: str, command: str) -> str:
    """Faults by states, and the rows of the therapy's table, as a page in Markdown; what was never hit is named."""
    states = [state for state in State if any(key.endswith(f"/{state.name}") for key in reached.faults)]
    unseen = [state.name for state in State if state not in states]
    lines = [
        "# What campaigns reach",
        "",
        f"Written by `{command}`, from {seeds}. A number is how many events the therapy's table",
        "was told of in that state with that fault on; what happens once counts where it came. A dash is never.",
        "A main loop that hangs tells the table nothing, so that its row shows what came before it was noticed.",
        "",
        "## Faults by states",
        "",
        "| fault | " + " | ".join(state.name for state in states) + " |",
        "| --- |" + " ---: |" * len(states),
    ]
    never = []
    for word in (SOUND, *(f"{word.unit} {word.kind}" for word in VOCABULARY if (word.unit, "") not in NOT_DRAWN)):
        counts = [reached.faults[f"{word}/{state.name}"] for state in states]
        lines.append(f"| `{word}` | " + " | ".join(str(count or "-") for count in counts) + " |")
        never += [] if any(counts) else [f"`{word}`"]
    lines += ["", f"Never on while the table was told of anything: {', '.join(never) or 'none'}."]
    lines += ["", f"States never met: {', '.join(unseen) or 'none'}."]
    lines += ["", "Not drawn: " + "; ".join(f"`{unit}` ({why})" for (unit, _), why in NOT_DRAWN.items()) + "."]
    return "\n".join([*lines, "", *_rows(reached), ""])


def _rows(reached: Reached) -> list[str]:
    """Those of the therapy's table that no event took, each with where it stands."""
    missed = [number for number in range(len(TABLE)) if not reached.rows[number]]
    lines = [
        "## Rows of the therapy's table",
        "",
        f"{len(TABLE) - len(missed)} of {len(TABLE)} were taken. Never taken:",
        "",
    ]
    for number in missed:
        row = TABLE[number]
        events = ", ".join(kind.name for kind in row.events)
        where = "any state" if len(row.states) == len(State) else ", ".join(State(one).name for one in row.states)
        guard = getattr(row.guard, "__name__", "").removeprefix("_")
        lines.append(f"- row {number} ({', '.join(row.sr)}): {events} in {where}, `{guard}`")
    return lines
