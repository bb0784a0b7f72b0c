"""Properties of commands that raise exposure: applied once, in time, in order, and remembered."""

from typing import Final

from dermalink_protocol.codewords import Reason
from dermalink_simulator.therapy import groups as at
from dermalink_simulator.therapy.answer import Answer, Verdict
from dermalink_simulator.therapy.claim import CellProperty, Property, proves
from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.guards_command import id_remembered, remembered
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.subset import less
from dermalink_simulator.therapy.widths import RING_CELLS


@proves("SR-CMD-1")
def command_is_fresh(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """A command that raises exposure is applied once: authenticated, newer, alive by the pen's ticks; ids go on."""
    return (
        e.kind not in at.RAISING
        or r.verdict != Verdict.APPLIED
        or (
            e.authenticated == 1
            and e.command_id > b.last_id
            and less(e.command_id, b.last_id) <= k.ids_ahead_max
            and 1 <= e.ttl_ms <= k.ttl_max_ms
            and e.future == 0
            and e.age_ms <= e.ttl_ms
            and a.last_id == e.command_id
            and a.ring_ids[b.ring_at] == e.command_id
            and a.ring_digests[b.ring_at] == e.digest
            and a.ring_at == (b.ring_at + 1 if b.ring_at + 1 < RING_CELLS else 0)
        )
    )


@proves("SR-CMD-1")
def repeat_is_answered(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """An applied command that comes again is answered as before; its id with other content is refused."""
    return (
        e.kind not in at.RAISING
        or e.authenticated != 1
        or e.port == 0
        or e.command_id == 0
        or (
            (r.verdict == Verdict.REPEATED or not remembered(b, e))
            and (
                remembered(b, e)
                or not id_remembered(b, e)
                or (r.verdict == Verdict.REFUSED and r.reason == Reason.COMMAND_ID_REUSED)
            )
        )
    ) and (r.verdict != Verdict.REPEATED or (e.kind in at.RAISING and e.command_id != 0 and remembered(b, e)))


@proves("SR-CMD-1")
def ring_is_commands_alone(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer) -> bool:
    """Nothing but an applied command touches what is remembered of commands."""
    return (e.kind in at.RAISING and r.verdict == Verdict.APPLIED) or (
        a.last_id == b.last_id and a.ring_at == b.ring_at
    )


@proves("SR-CMD-1")
def ring_is_kept(k: CoreLimits, b: TherapyState, e: Event, a: TherapyState, r: Answer, z: int) -> bool:
    """A cell of the ring changes when it is its turn alone."""
    return (e.kind in at.RAISING and r.verdict == Verdict.APPLIED and b.ring_at == z) or (
        a.ring_ids[z] == b.ring_ids[z] and a.ring_digests[z] == b.ring_digests[z]
    )


COMMANDS: Final[tuple[Property, ...]] = (
    command_is_fresh, repeat_is_answered, ring_is_commands_alone,
)  # fmt: skip

RING: Final[tuple[CellProperty, ...]] = (ring_is_kept,)
