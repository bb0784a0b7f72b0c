"""Who owns the pen: pairing, giving it up, and the handshake after which the owner's words are sealed.

A pen that lacks the capability refuses them as NOT_BUILT.
"""

from typing import Annotated

from dermalink_protocol.channels import Channel
from dermalink_protocol.codewords import Opcode
from dermalink_protocol.messages.therapy import TherapyCommand
from dermalink_protocol.schema import Effect, Reply, Request
from dermalink_protocol.wire import U8, U32, Raw, Tail, u8


class Owner(Reply, opcode=Opcode.OWNER, channel=Channel.PAIRING, since=1):
    """Whether the pen has an owner, how long a pairing window is open, and how long pairing is barred."""

    owned: Annotated[int, u8.within(0, 1)]
    window_s: U8
    barred_s: U32


class GetOwner(Request[Owner], opcode=Opcode.GET_OWNER, channel=Channel.PAIRING, since=1):
    """Ask how the pen stands to owners."""


class PairReply(Reply, opcode=Opcode.PAIR_REPLY, channel=Channel.PAIRING, since=1):
    """The pen's side of a pairing step: its number again, and

    1: iterations (u32, little-endian) and salt, 16 to 32 bytes; 2: shareV (65) and confirmV (32); 3: the pen's static
    key, sealed (48). See `dermalink_protocol.pairing`.
    """

    step: U8
    share: Annotated[bytes, Tail(1, 0, 160)]


class PairStep(
    TherapyCommand[PairReply],
    opcode=Opcode.PAIR_STEP,
    channel=Channel.PAIRING,
    effect=Effect.RAISES,
    since=1,
):
    """The host's side of a pairing step; an owner can run the pen, so it raises exposure.

    1: nothing; 2: the host's id (16) and shareP (65); 3: confirmP (32) and the host's static key, sealed (48).
    """

    step: U8
    share: Annotated[bytes, Tail(1, 0, 160)]


class OwnerReleased(Reply, opcode=Opcode.OWNER_RELEASED, channel=Channel.PAIRING, since=1):
    """The owner is gone; ledger, waits and history stay."""


class ReleaseOwner(
    Request[OwnerReleased], opcode=Opcode.RELEASE_OWNER, channel=Channel.PAIRING, effect=Effect.REDUCES, since=1
):
    """The owner gives the pen up; nobody can run it until it is paired again."""


class ChannelOpened(Reply, opcode=Opcode.CHANNEL_OPENED, channel=Channel.PAIRING, since=1):
    """The pen's message of the handshake; what the owner says from here on is sealed."""

    message: Annotated[bytes, Raw(48)]


class OpenChannel(Request[ChannelOpened], opcode=Opcode.OPEN_CHANNEL, channel=Channel.PAIRING, since=1):
    """The owner's message of the handshake, bound to this connection's hello (`dermalink_protocol.sealing`).

    Each needs a hello of its own (else WRONG_STATE). BUSY comes with the ms until the pen computes another; the hello
    is still good then.
    """

    message: Annotated[bytes, Raw(48)]
