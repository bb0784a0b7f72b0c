"""Is a command new, alive, and in order: the header of what raises exposure (SR-CMD-1)."""

from dermalink_simulator.therapy.core_limits import CoreLimits
from dermalink_simulator.therapy.events import Event
from dermalink_simulator.therapy.state import TherapyState
from dermalink_simulator.therapy.subset import helper, less


def no_id(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """No command has id 0."""
    return e.command_id == 0


@helper
def remembered(s: TherapyState, e: Event) -> bool:
    """The ring holds this id with this content."""
    return (
        (e.command_id == s.ring_ids[0] and e.digest == s.ring_digests[0])
        or (e.command_id == s.ring_ids[1] and e.digest == s.ring_digests[1])
        or (e.command_id == s.ring_ids[2] and e.digest == s.ring_digests[2])
        or (e.command_id == s.ring_ids[3] and e.digest == s.ring_digests[3])
        or (e.command_id == s.ring_ids[4] and e.digest == s.ring_digests[4])
        or (e.command_id == s.ring_ids[5] and e.digest == s.ring_digests[5])
        or (e.command_id == s.ring_ids[6] and e.digest == s.ring_digests[6])
        or (e.command_id == s.ring_ids[7] and e.digest == s.ring_digests[7])
    )


def repeated(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A command that was applied comes again."""
    return remembered(s, e)


@helper
def id_remembered(s: TherapyState, e: Event) -> bool:
    """The ring holds this id."""
    return e.command_id in s.ring_ids


def id_reused(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """The ring holds this id, with other content."""
    return id_remembered(s, e)


def id_old(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Ids only grow."""
    return e.command_id <= s.last_id


def id_far(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Ids go on from the last one: no command may use them up for all that come after it."""
    return less(e.command_id, s.last_id) > k.ids_ahead_max


def ttl_wrong(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """A time to live is 1 to 500 ms."""
    return e.ttl_ms == 0 or e.ttl_ms > k.ttl_max_ms


def from_future(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Nobody has seen a tick that is still to come."""
    return e.future != 0


def too_late(k: CoreLimits, s: TherapyState, e: Event) -> bool:
    """Older than its time to live, by the pen's own ticks."""
    return e.age_ms > e.ttl_ms
