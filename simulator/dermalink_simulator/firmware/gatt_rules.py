"""What a write is refused with at ATT level: framing, and whose turn it is. What a message means is answered by one.

The rules, in the order in which they are asked; the first that fits counts:

    telemetry                                             WRITE_NOT_PERMITTED
    no channel, or a segment that carries nothing         OUT_OF_RANGE
    the link is not encrypted, and has to be              INSUFFICIENT_AUTHENTICATION  command and records, where only
                                                          or INSUFFICIENT_ENCRYPTION   an owner may run the pen
    its answers are not subscribed to                     CCCD_IMPROPERLY_CONFIGURED   never on stop
    it does not go on where the segment before ended      COUNTER                      never a first segment
    the message grows longer than any is                  OUT_OF_RANGE
    the message ends too short to say whom to answer      OUT_OF_RANGE                 never on stop
    there is no room for its reply                        IN_PROGRESS                  never on stop
    a procedure of its channel is unanswered              IN_PROGRESS                  pairing, command, records; never
                                                          what keeps alive or reduces exposure, or is sealed

What is in a sealed message is not known before it is opened: whose turn it is, is then answered as BUSY (SR-CMD-2).
"""

from typing import Final

from dermalink_protocol.channels import AttError, Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.envelope import peek_opcode
from dermalink_protocol.errors import FrameTooLong
from dermalink_protocol.messages.refusal import Refused
from dermalink_protocol.schema import ENVELOPE_BYTES, Effect, Message, Request
from dermalink_protocol.segmentation import FIRST
from dermalink_simulator.firmware import bonding
from dermalink_simulator.firmware.gatt import GattPort
from dermalink_simulator.firmware.inside import Inside

TAKEN: Final = 0
HEADER_BYTES: Final = 1
ONE_AT_A_TIME: Final = (Channel.PAIRING, Channel.COMMAND, Channel.RECORDS)
ANY_TIME: Final = (Effect.KEEPS_ALIVE, Effect.REDUCES)

_CHANNELS: Final = frozenset(int(channel) for channel in Channel)
# Opcodes of what is taken while a procedure is unanswered, and the replies to it, which are no open procedure either.
_REQUESTS: Final = [kind for kind in Message.by_opcode.values() if issubclass(kind, Request)]
_AT_ANY_TIME: Final = frozenset(int(kind.opcode) for kind in _REQUESTS if kind.effect in ANY_TIME)
_ANSWERS_TO_THOSE: Final = tuple(kind.reply for kind in _REQUESTS if kind.effect in ANY_TIME)


def att_error(pen: Inside, port: GattPort, data: bytes) -> AttError | int:
    """What the write of a value (channel and segment) is refused with, 0 if it is taken now; changes nothing."""
    if data[:1] == bytes([Channel.TELEMETRY]):
        return AttError.WRITE_NOT_PERMITTED
    segment = data[1:]
    if len(segment) <= HEADER_BYTES or data[0] not in _CHANNELS:
        return AttError.OUT_OF_RANGE
    channel = Channel(data[0])
    in_the_clear = bonding.refusal(pen, port, channel)
    if in_the_clear:
        return in_the_clear
    if channel is not Channel.STOP and not port.subscribed(channel):
        return AttError.CCCD_IMPROPERLY_CONFIGURED
    wrong, body = port.trial(channel, segment)
    if wrong is not None:
        return AttError.OUT_OF_RANGE if isinstance(wrong, FrameTooLong) else AttError.COUNTER
    if channel is Channel.STOP:
        return TAKEN
    if body is not None and len(body) < ENVELOPE_BYTES:
        return AttError.OUT_OF_RANGE
    if segment[0] & FIRST and _out_of_turn(pen, port, channel, peek_opcode(segment[HEADER_BYTES:])):
        return AttError.IN_PROGRESS
    return TAKEN


def _out_of_turn(pen: Inside, port: GattPort, channel: Channel, opcode: int) -> bool:
    """Whether a message that begins now would have to wait for an earlier one's answer."""
    if not port.takes_requests:
        return True
    return opcode != Opcode.SEALED and unanswered(pen, port, channel, opcode)


def unanswered(pen: Inside, port: GattPort, channel: Channel, opcode: int) -> bool:
    """Whether a procedure of this channel is unanswered that a message with this opcode has to wait for."""
    if channel not in ONE_AT_A_TIME or opcode in _AT_ANY_TIME:
        return False
    waits_for_a_write = pen.deferred is not None and any(
        asked.port == port.number and asked.channel is channel for asked in pen.deferred.asked
    )
    return waits_for_a_write or any(
        envelope.channel is channel and not _answers_what_may_come_at_any_time(envelope.message)
        for envelope in port.unanswered()
    )


def _answers_what_may_come_at_any_time(reply: Message) -> bool:
    if isinstance(reply, Refused):
        return reply.refused_opcode in _AT_ANY_TIME
    return isinstance(reply, _ANSWERS_TO_THOSE)
