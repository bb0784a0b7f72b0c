"""The one way in which a pen says no, on whatever channel it was asked."""

from typing import Annotated

from dermalink_protocol.codewords import Opcode, Reason
from dermalink_protocol.schema import Effect, Reply
from dermalink_protocol.wire import I32, U16, u16


class Refused(Reply, opcode=Opcode.REFUSED, channel=None, effect=Effect.NONE, since=1):
    """A request was refused; nothing has changed.

    `refused_opcode` is what was asked (0 when it could not be read), `limit` the limit that was met, in the unit of
    the field concerned (0 where the reason has no number). `dermalink_protocol.reasons` puts it into words.
    """

    refused_opcode: U16
    reason: Annotated[Reason, u16]
    limit: I32
