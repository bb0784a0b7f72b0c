"""Whether a pen's history still holds what this host has seen of it (SR-LOG-1).

Opening and closing a session exchange both sides' last record. A pen that lacks the one this host has kept, or has
another in its place, was cut, or an old copy was put back. A record of an earlier owner's has its number and hash and
nothing else to show (SR-OWN-1), and that is enough here.
"""

from dermalink.connection import Connection
from dermalink.errors import PenRefusal
from dermalink_protocol.errors import BrokenRecord
from dermalink_protocol.history import read_record
from dermalink_protocol.messages.records import GetHistory, GetHistoryState


async def history_fault(connection: Connection, number: int, digest: str) -> str:
    """What is wrong with the pen's history, given the record that this host has kept; "" is nothing, or not known.

    Nothing is known while somebody else's session keeps it from being asked for, or once the record was folded.
    """
    if not number:
        return ""
    try:
        state = await connection.request(GetHistoryState())
        if state.last_number < number:
            return f"it ends at record {state.last_number}, and this host has seen record {number}"
        if state.first_number > number:
            return ""
        reply = await connection.request(GetHistory(number=number))
    except PenRefusal:
        return ""
    try:
        found = read_record(reply.record)
    except BrokenRecord as error:
        return str(error)
    if found.number != number or found.hash.hex() != digest:
        return f"its record {number} is not the one that this host has seen"
    return ""
