"""The pen's history read and checked, and whether it still holds what this host has seen of it (SR-LOG-1).

Opening and closing a session exchange both sides' last record. A pen that lacks the one this host has kept, or has
another in its place, was cut, or an old copy was put back. A record of an earlier owner's has its number and hash and
nothing else to show (SR-OWN-1), and that is enough here.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dermalink.connection import Connection
from dermalink.errors import PenRefusal
from dermalink_protocol.errors import BrokenRecord
from dermalink_protocol.history import Anchor, Damage, HiddenRecord, Record, check_chain, origin, read_record
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


class PenHistory(NamedTuple):
    """What a pen tells of its history: this owner's records whole, an earlier one's as hashes (SR-OWN-1).

    `damages` is all that is wrong with the chain; a record that is none stands there alone.
    """

    records: tuple[Record | HiddenRecord, ...]
    damages: tuple[Damage, ...]

    @property
    def hidden(self) -> int:
        """How many records are an earlier owner's.

        Nothing follows from what they don't tell: waits, locks and used heads stand in the pen's status and ledger.
        """
        return sum(isinstance(record, HiddenRecord) for record in self.records)


async def read_history(connection: Connection, serial_number: bytes, known: Iterable[Anchor] = ()) -> PenHistory:
    """Read a pen's history from its first record to its last and check that it hangs together, hidden or not.

    `serial_number` is hello's, 16 bytes; `known` are records that somebody has kept by number and hash. One question
    for each record, so minutes over slow air. Raises `PenRefusal` (NOT_OWNER while another's session is
    open, NO_OWNER of a pen that was given up), and what asking raises.
    """
    state = await connection.request(GetHistoryState())
    first = max(1, state.first_number)
    told = [(await connection.request(GetHistory(number=n))).record for n in range(first, state.last_number + 1)]
    records = [record for record in map(_sound, told) if record is not None]
    after = origin(serial_number)
    if first > 1 and records:
        after = Anchor(first - 1, records[0].previous)  # what stood before was folded, and can't be held against it
    damages = check_chain(told, after, [*known, Anchor(state.last_number, state.last_hash)])
    return PenHistory(tuple(records), tuple(damages))


def _sound(record: bytes) -> Record | HiddenRecord | None:
    try:
        return read_record(record)
    except BrokenRecord:
        return None
