"""The pen's history, as records that a host can ask for by number."""

from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.limits import RECORD_BYTES_MAX
from dermalink_protocol.schema import Reply, Request
from dermalink_protocol.wire import U32, Raw, Tail, u32


class HistoryRecord(Reply, opcode=Opcode.HISTORY_RECORD, channel=Channel.RECORDS, since=1):
    """One record as it stands in the pen's flash; one of an earlier owner's is hidden, and shows its hashes (SR-OWN-1).

    `dermalink_protocol.history` reads and checks both.
    """

    number: U32
    record: Annotated[bytes, Tail(1, 1, RECORD_BYTES_MAX)]


class GetHistory(Request[HistoryRecord], opcode=Opcode.GET_HISTORY, channel=Channel.RECORDS, since=1):
    """Ask for the record with this number; numbers start at 1."""

    number: Annotated[int, u32.within(1, 0xFFFF_FFFF)]


class HistoryState(Reply, opcode=Opcode.HISTORY_STATE, channel=Channel.RECORDS, since=1):
    """From which record to which the pen holds its history; `first_hole` is the first missing number, 0 for none."""

    first_number: U32
    last_number: U32
    last_hash: Annotated[bytes, Raw(32)]
    first_hole: U32


class GetHistoryState(Request[HistoryState], opcode=Opcode.GET_HISTORY_STATE, channel=Channel.RECORDS, since=1):
    """Ask how far the pen's history reaches."""
