"""What a row of the therapy table is made of."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy.answer import Verdict
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event, EventKind
from dermalink_simulator.therapy.state import TherapyState

Guard = Callable[[CoreLimits, TherapyState, Event], bool]
Update = Callable[[CoreLimits, TherapyState, Event, Any], int]
"""The field's new value; of a field with cells, the new value of the one cell that the field's index names."""

EVERY: Final = "[]"
"""After a field's name in a block: every cell of it."""

INDEX_OF: Final = {"done": "zone", "spent": "zone", "ring_ids": "ring_at", "ring_digests": "ring_at"}
"""The field whose value, before the step, names the cell that a row writes."""

Block = dict[str, Update]
"""Updates by field."""


class Row(NamedTuple):
    """One row: in any of `states`, on any of `events`, when `guard` holds, go to `then` (None: stay).

    `sr` are the requirements that the row serves. `reason` is the answer's: a code word, or an update's function.
    Blocks are applied together, from the state before; of two that write one field, the later wins. A refusal has none.
    """

    sr: tuple[str, ...]
    states: tuple[int, ...]
    events: tuple[EventKind, ...]
    guard: Guard
    then: int | None
    verdict: Verdict
    reason: int | Update
    effects: int
    blocks: tuple[Block, ...]

    def updates(self) -> Block:
        """The blocks as one."""
        merged: Block = {}
        for block in self.blocks:
            merged |= block
        return merged


def on(
    sr: str, states: tuple[int, ...], events: tuple[EventKind, ...], guard: Guard, then: int | None, *blocks: Block,
    effects: int = 0,
) -> Row:  # fmt: skip
    """A row that is applied; `sr` are requirements, separated by blanks."""
    return Row(tuple(sr.split()), states, events, guard, then, Verdict.APPLIED, int(Reason.NONE), effects, blocks)


def no(sr: str, states: tuple[int, ...], events: tuple[EventKind, ...], guard: Guard, reason: int | Update) -> Row:
    """A row that is refused."""
    told = int(reason) if isinstance(reason, int) else reason
    return Row(tuple(sr.split()), states, events, guard, None, Verdict.REFUSED, told, 0, ())
