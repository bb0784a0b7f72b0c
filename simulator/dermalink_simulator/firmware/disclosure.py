"""What the pen tells of earlier owners: that there are records, and that they hang together, and no more (SR-OWN-1).

A record is the owner's who was it when it was written, whatever it tells; one of a session is his who opened that
session. The time after an owner gave the pen up is still his, until the next is paired. What stood there before there
was any owner is nobody's, and told whole: anybody could read it then.

What binds the new owner all the same he hears as it stands now: waits and locks in the status and in each refusal, a
fault as a fault, a head's use from the ledger. His own records begin with what the pen is, and with the head that sits
there (SR-TRACE-1).
"""

from typing import Any, Final

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.errors import BrokenRecord
from dermalink_protocol.history import decode_record, hide
from dermalink_protocol.messages import records
from dermalink_protocol.schema import Message
from dermalink_simulator.firmware import effects, replies
from dermalink_simulator.firmware.clock import UnpressedSets
from dermalink_simulator.firmware.flash_store import owner_number
from dermalink_simulator.firmware.inside import Inside, LastApplied, Trace
from dermalink_simulator.firmware.ports import Port
from dermalink_simulator.firmware.tags import NO_TAG_ID

NUMBER_SHOWN_MAX: Final = 0x7FFF_FFFF


def told(record: bytes, owner: int) -> bytes:
    """A record of the flash as the owner of that number is told it: whole if it is his or nobody's, else hidden.

    Raises `BrokenRecord` for one that was altered.
    """
    found = decode_record(record)
    return record if found.owner in (0, owner) else hide(found)


def hidden_from(pen: Inside, port: Port) -> Reason:
    """Why history is told to the session's owner only, or with no session to whoever runs the pen; NONE if it is.

    A pen that was given up tells it to nobody: what stands there is a person's who is gone. A session whose time is
    over in a fault is nobody's any more.
    """
    if pen.store.record.owners and not pen.owner.owned:
        return Reason.NO_OWNER
    if pen.state.session_id and pen.state.owner != port.number + 1 and not session_is_over(pen):
        return Reason.NOT_OWNER
    return Reason.NONE


def session_is_over(pen: Inside) -> bool:
    """Whether a fault keeps a session whose time is over: until it is cleared, and that a lost owner can't do."""
    return pen.state.state == State.FAULT and pen.state.session_left_ms == 0


def session_is_anothers(pen: Inside) -> bool:
    """Whether such a session was opened in another owner's time."""
    record = pen.store.record
    return session_is_over(pen) and record.session_owner != owner_number(record)


def history(pen: Inside, port: Port, message: Any, _trace: Trace | None) -> Message:
    """The record that was asked for."""
    hidden = hidden_from(pen, port)
    if hidden is not Reason.NONE:
        return replies.refused(message.opcode, hidden)
    record = pen.store.history.find(message.number)
    if record is None:
        most = min(pen.store.history.anchor.number, NUMBER_SHOWN_MAX)
        return replies.refused(message.opcode, Reason.OUT_OF_RANGE, most)
    try:
        return records.HistoryRecord(number=message.number, record=told(record, pen.store.record.owners))
    except BrokenRecord:  # it was altered, and so may be whose it is
        return replies.refused(message.opcode, Reason.HISTORY_BROKEN)


def history_state(pen: Inside, port: Port, message: Any, _trace: Trace | None) -> Message:
    """How far the history reaches."""
    hidden = hidden_from(pen, port)
    return replies.refused(message.opcode, hidden) if hidden is not Reason.NONE else replies.history_state(pen)


def forget(pen: Inside) -> None:
    """Another owner, or none: what is remembered of earlier sessions while there is power is told no more.

    The number of the last command stays, since ids go on from it; by its word, 0, no host takes it for its own.
    """
    if pen.owner.owned and pen.store.record.owners == 1:
        return  # nobody was the owner before
    pen.last = LastApplied(command_id=pen.last.command_id)
    pen.last_refusal = 0, int(Reason.NONE)
    pen.remembered.clear()
    pen.symptoms.noted.clear()
    pen.pass_peak_um = pen.pass_punctures = 0
    pen.reason_is_anothers = True
    pen.refusals = 0
    pen.clock_sets = UnpressedSets()
    if pen.owner.owned:
        pen.noted_tag_id = NO_TAG_ID
        effects.head_seated(pen)
