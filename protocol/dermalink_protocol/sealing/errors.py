"""What the sealed channel refuses, each a type of its own (SR-SEC-1).

A `HandshakeError` ends its handshake: nothing is left to go on with, and another begins anew. A `RecordError` costs
one record: what it says was dropped, and the connection stands.
"""

from dermalink_protocol.codewords import Reason
from dermalink_protocol.errors import ProtocolError

RULE = "SR-SEC-1"


class SealingError(ProtocolError):
    """Root of what the sealed channel refuses."""

    reason = Reason.NOT_AUTHENTICATED

    def __init__(self, refused: str, *, limit: str, advice: str = "", limit_value: int = 0) -> None:
        super().__init__(refused, rule=RULE, limit=limit, advice=advice, limit_value=limit_value)


class HandshakeError(SealingError):
    """A handshake came to nothing; it can't be taken up again."""


class UnusableKey(HandshakeError):
    """A key of another length, one that gives the same secret whatever the other is, or one of no chance."""


class ReflectedKey(HandshakeError):
    """A public key that should be another's is one that this side knows already: somebody plays words back."""


class UnboundHandshake(HandshakeError):
    """What was said in the clear is missing or too long, so that nothing would hold a downgrade back."""


class HandshakeLength(HandshakeError):
    """A handshake's message was cut short, or something hangs on to it."""

    reason = Reason.WRONG_LENGTH


class HandshakeRefused(HandshakeError):
    """The seal of a handshake's message is wrong: another key, altered bytes, another message, or an altered hello."""


class HandshakeSpent(HandshakeError):
    """A step of a handshake was asked for twice, out of turn, or after it failed."""


class RecordError(SealingError):
    """A record was dropped, or can't be sealed; the connection stands."""


class RecordTooShort(RecordError):
    """Too few bytes to hold a counter and a tag."""

    reason = Reason.WRONG_LENGTH


class RecordTooLong(RecordError):
    """More bytes than a record has, or a body that leaves no room for counter and tag."""

    reason = Reason.TOO_LONG


class RecordTooOld(RecordError):
    """A counter left of the channel's window, or of a key that is gone."""


class RecordTooFarAhead(RecordError):
    """A counter more than one key ahead: reaching it would cost work that anybody could ask for."""


class RecordReplayed(RecordError):
    """A counter that was taken on this channel before."""


class RecordForged(RecordError):
    """A tag that is not the sender's for this key, counter, channel and body."""


class CountersUsedUp(RecordError):
    """Every counter of a direction is used; only a new connection has new ones."""
